//! The keys of a store in etcd.
//!
//! | key | value |
//! |---|---|
//! | `meta` | the format and the identity of the store; written once |
//! | `head` | the revision; written by each commit and by nothing else, so that its `mod_revision` guards a commit |
//! | `log/R`, `audit/R` | the log entry and the audit event of a commit: [`Document`](super::document::Document) |
//! | `log-parts/R/C/N`, `audit-parts/R/C/N` | the parts of one that is too large, by the id C of the commit |
//! | `pending` | there while the objects of the head's commit are not all written: how far they are |
//! | `objects/ROW` | an object, in the row of [`row`](super::super::format::row) |
//! | `requests/ID`, `request-times/T/ID` | the answer to a request, and when it was answered, by which old ones are found |
//! | `credentials/ID` | a credential |
//! | `start` | where the log starts, once compaction has moved it |
//! | `audit-start` | where the audit starts; a store of an older version may be without it |
//! | `loading` | there while a load or a restoration is under way |

use std::ops::Range;

use uuid::Uuid;

use crate::model::revision::Revision;

/// The digits of a revision in a key: as many as the largest one has, so that keys are in the order of revisions.
const DIGITS: usize = 20;

/// The keys below one prefix.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: String,
}

/// What a commit leaves behind, by its revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Series {
    /// The log.
    Log,
    /// The audit.
    Audit,
}

// === impl Keys ===

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        let slash = if prefix.ends_with('/') { "" } else { "/" };
        Self { prefix: format!("{prefix}{slash}") }
    }

    /// Every key of the store.
    pub(super) fn all(&self) -> Range<String> {
        self.prefix.clone()..format!("{}0", self.prefix.trim_end_matches('/'))
    }

    pub(super) fn meta(&self) -> String {
        self.at("meta")
    }

    pub(super) fn head(&self) -> String {
        self.at("head")
    }

    pub(super) fn pending(&self) -> String {
        self.at("pending")
    }

    pub(super) fn start(&self) -> String {
        self.at("start")
    }

    pub(super) fn audit_start(&self) -> String {
        self.at("audit-start")
    }

    pub(super) fn loading(&self) -> String {
        self.at("loading")
    }

    /// The document of a commit.
    pub(super) fn document(&self, series: Series, revision: Revision) -> String {
        self.at(&format!("{}/{}", series.name(), digits(revision)))
    }

    /// The documents of the commits after `after`.
    pub(super) fn documents_after(&self, series: Series, after: Revision) -> Range<String> {
        let start = format!("{}\0", self.document(series, after));
        start..self.at(&format!("{}0", series.name()))
    }

    /// What a replica watches: `head`, the log with its parts, and `meta`, which lie beside each other, so that etcd tells
    /// of them in the one order in which they were written.
    pub(super) fn watched(&self) -> Range<String> {
        self.head()..format!("{}\0", self.meta())
    }

    /// Whether this is the key of a document of a series.
    pub(super) fn is_document(&self, series: Series, key: &[u8]) -> bool {
        Self::rest(key, &self.at(&format!("{}/", series.name()))).is_some()
    }

    /// The documents of the commits up to `last`, or their parts.
    pub(super) fn up_to(&self, series: Series, last: Revision) -> [Range<String>; 2] {
        let range = |name: &str| {
            // `0` follows `/`, so that this is behind the document itself and behind its parts.
            self.at(&format!("{name}/"))..self.at(&format!("{name}/{}0", digits(last)))
        };
        [range(series.name()), range(series.parts())]
    }

    /// The parts of the document of one commit.
    pub(super) fn parts(&self, series: Series, revision: Revision, commit: Uuid) -> Range<String> {
        let place = self.at(&format!("{}/{}/{commit}", series.parts(), digits(revision)));
        format!("{place}/")..format!("{place}0")
    }

    /// One of them.
    pub(super) fn part(&self, series: Series, revision: Revision, commit: Uuid, number: usize) -> String {
        format!("{}{number:08}", self.parts(series, revision, commit).start)
    }

    pub(super) fn object(&self, row: &str) -> String {
        self.at(&format!("objects/{row}"))
    }

    pub(super) fn objects(&self) -> Range<String> {
        self.at("objects/")..self.at("objects0")
    }

    pub(super) fn request(&self, id: &str) -> String {
        self.at(&format!("requests/{id}"))
    }

    pub(super) fn requests(&self) -> Range<String> {
        self.at("requests/")..self.at("requests0")
    }

    /// When a request was answered. It is there as long as the answer is.
    pub(super) fn request_time(&self, at: jiff::Timestamp, id: &str) -> String {
        self.at(&format!("request-times/{}/{id}", moment(at)))
    }

    /// The times of the requests that were answered before `cutoff`.
    pub(super) fn request_times(&self, cutoff: jiff::Timestamp) -> Range<String> {
        self.at("request-times/")..self.at(&format!("request-times/{}", moment(cutoff)))
    }

    /// The times of all requests.
    pub(super) fn all_request_times(&self) -> Range<String> {
        self.at("request-times/")..self.at("request-times0")
    }

    /// The id of the request whose time this key is.
    pub(super) fn timed_request<'a>(&self, key: &'a [u8]) -> Option<&'a str> {
        let rest = Self::rest(key, &self.at("request-times/"))?;
        rest.split_once('/').map(|(_, id)| id)
    }

    pub(super) fn credential(&self, public_id: &str) -> String {
        self.at(&format!("credentials/{public_id}"))
    }

    pub(super) fn credentials(&self) -> Range<String> {
        self.at("credentials/")..self.at("credentials0")
    }

    /// The rest of a key of ours behind `before`, which is one of ours too.
    pub(super) fn rest<'a>(key: &'a [u8], before: &str) -> Option<&'a str> {
        std::str::from_utf8(key.strip_prefix(before.as_bytes())?).ok()
    }

    /// The revision that the key of a document ends with.
    pub(super) fn revision(key: &[u8]) -> Option<Revision> {
        let at = key.len().checked_sub(DIGITS)?;
        std::str::from_utf8(key.get(at..)?).ok()?.parse().ok().map(Revision::new)
    }

    fn at(&self, rest: &str) -> String {
        format!("{}{rest}", self.prefix)
    }
}

fn digits(revision: Revision) -> String {
    format!("{:0DIGITS$}", revision.get())
}

/// A time in as many digits as the latest one has: in the order of times, those before 1970 too.
fn moment(at: jiff::Timestamp) -> String {
    format!("{:0DIGITS$}", at.as_microsecond().cast_unsigned() ^ (1 << 63))
}

// === impl Series ===

impl Series {
    /// As a word, too.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Audit => "audit",
        }
    }

    const fn parts(self) -> &'static str {
        match self {
            Self::Log => "log-parts",
            Self::Audit => "audit-parts",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_their_keys_and_no_others() {
        let keys = Keys::new("/d");
        let commit = Uuid::from_bytes([7; 16]);
        let revision = Revision::new;
        let check = |range: &Range<String>, key: String, inside: bool| {
            assert_eq!(range.contains(&key), inside, "{key} in {range:?}");
        };
        for series in [Series::Log, Series::Audit] {
            let after = keys.documents_after(series, revision(9));
            check(&after, keys.document(series, revision(9)), false);
            check(&after, keys.document(series, revision(10)), true);
            check(&after, keys.document(series, revision(u64::MAX)), true);
            check(&after, keys.part(series, revision(10), commit, 0), false);
            let [documents, parts] = keys.up_to(series, revision(9));
            for (number, inside) in [(0, true), (9, true), (10, false), (90, false)] {
                check(&documents, keys.document(series, revision(number)), inside);
                check(&parts, keys.part(series, revision(number), commit, 3), inside);
            }
            let own = keys.parts(series, revision(9), commit);
            check(&own, keys.part(series, revision(9), commit, 99_999_999), true);
            check(&own, keys.part(series, revision(9), Uuid::nil(), 0), false);
        }
        for (key, inside) in [
            (keys.head(), true),
            (keys.document(Series::Log, revision(1)), true),
            (keys.meta(), true),
            (keys.object("0"), false),
            (keys.document(Series::Audit, revision(1)), false),
        ] {
            check(&keys.watched(), key, inside);
        }
        let is_document = |key: String| keys.is_document(Series::Log, key.as_bytes());
        assert!(is_document(keys.document(Series::Log, revision(1))));
        assert!(!is_document(keys.part(Series::Log, revision(1), commit, 0)));
        check(&keys.objects(), keys.object("0"), true);
        let second = |second| jiff::Timestamp::from_second(second).unwrap();
        for (at, inside) in [(-10, true), (0, true), (6, true), (7, false), (2_000_000_000, false)] {
            check(&keys.request_times(second(7)), keys.request_time(second(at), "a/b"), inside);
        }
        assert_eq!(keys.timed_request(keys.request_time(second(7), "a/b").as_bytes()), Some("a/b"));
        check(&keys.credentials(), keys.request("a"), false);
    }

    #[test]
    fn a_revision_is_read_from_its_key() {
        let keys = Keys::new("/d/");
        for number in [0, 7, u64::MAX] {
            let key = keys.document(Series::Log, Revision::new(number));
            assert_eq!(Keys::revision(key.as_bytes()), Some(Revision::new(number)));
        }
        assert_eq!(Keys::revision(b"short"), None);
        assert_eq!(Keys::revision(&[b'x'; 30]), None);
    }
}
