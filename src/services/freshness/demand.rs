//! How fresh an answer a call demands, and how long its caller waits for it.

use std::fmt;
use std::time::Duration;

use tonic::metadata::MetadataMap;

use crate::model::attribute::InvalidRequest;
use crate::model::moment::Moment;
use crate::model::revision::{Revision, RevisionToken};
use crate::snapshot::handle::Published;

/// The field of the revision that is demanded.
pub const AT_LEAST_REVISION: &str = "at_least_revision";
/// The field of the age that is demanded.
pub const MAX_AGE: &str = "max_age";

/// What an answer has to be made with the state of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// This commit, or a later one of the same store.
    at_least: Option<RevisionToken>,
    /// One that was known to be the newest no longer ago than this when the call came.
    recent: Option<Recent>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Recent {
    max_age: Duration,
    /// The age is that at the time when the call came: one of zero would never be met at a later one.
    since: Moment,
}

/// No snapshot came in time that is as fresh as a call demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotFresh {
    /// The revision of the snapshot that there is.
    pub revision: Revision,
    /// Its age.
    pub age: Duration,
    /// What was demanded.
    pub demand: Demand,
}

impl std::error::Error for NotFresh {}

// === impl Demand ===

impl Demand {
    /// What the fields of a call demand that came at `now`; `None` where they are left out.
    ///
    /// # Errors
    /// [`InvalidRequest`] naming the field that cannot be read.
    pub fn read(
        at_least_revision: &str,
        max_age: Option<prost_types::Duration>,
        now: impl FnOnce() -> Moment,
    ) -> Result<Option<Self>, InvalidRequest> {
        if at_least_revision.is_empty() && max_age.is_none() {
            return Ok(None);
        }
        let token = (!at_least_revision.is_empty()).then(|| at_least_revision.parse());
        let at_least =
            token.transpose().map_err(|problem| InvalidRequest::new(AT_LEAST_REVISION, format!("{problem}")))?;
        let recent = max_age.map(to_duration).transpose()?;
        let recent = recent.map(|max_age| Recent { max_age, since: now().before(max_age) });
        Ok(Some(Self { at_least, recent }))
    }

    /// Whether an answer that is made with this snapshot is as fresh as that.
    ///
    /// # Errors
    /// [`InvalidRequest`] where the revision is one of another store: the two have no order.
    pub fn is_met_by(&self, published: &Published) -> Result<bool, InvalidRequest> {
        let token = published.snapshot.token();
        if self.at_least.is_some_and(|least| least.store != token.store) {
            let problem =
                "is of another store than the one that this sidecar follows; take it from an answer of that store";
            return Err(InvalidRequest::new(AT_LEAST_REVISION, problem));
        }
        let is_late = self.at_least.is_none_or(|least| least.revision <= token.revision);
        Ok(is_late && self.recent.is_none_or(|recent| recent.since <= published.confirmed()))
    }
}

/// An age of the wire: not negative.
fn to_duration(age: prost_types::Duration) -> Result<Duration, InvalidRequest> {
    let (seconds, nanos) = (u64::try_from(age.seconds), u32::try_from(age.nanos));
    match (seconds, nanos) {
        (Ok(seconds), Ok(nanos)) if nanos < 1_000_000_000 => Ok(Duration::new(seconds, nanos)),
        _ => {
            let (seconds, nanos) = (age.seconds, age.nanos);
            let problem = format!("is {seconds} s and {nanos} ns; give no seconds below 0, and 0 to 999,999,999 ns");
            Err(InvalidRequest::new(MAX_AGE, problem))
        }
    }
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at_least, recent } = self;
        match (at_least, recent) {
            (Some(least), None) => write!(f, "revision {} or later", least.revision),
            (None, Some(recent)) => write!(f, "no more than {:?}", recent.max_age),
            (Some(least), Some(recent)) => {
                write!(f, "revision {} or later, and no more than {:?}", least.revision, recent.max_age)
            }
            (None, None) => f.write_str("nothing"),
        }
    }
}

// === impl NotFresh ===

impl fmt::Display for NotFresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { revision, age, demand } = self;
        write!(
            f,
            "the sidecar is at revision {revision}, last known to be the newest {age:?} ago; the call demands {demand}, and \
             that did not come in the time it may wait"
        )
    }
}

/// Bytes that gRPC allows for the number of a `grpc-timeout`.
const TIMEOUT_DIGITS: usize = 8;
/// What is left of a call's time for its answer to be made and sent: a tenth of it, and between these two.
const MARGINS: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(50)];

/// How long a call may wait for its answer, where its caller says how long it takes at most. A text that is none of gRPC's
/// says nothing, as to the transport.
#[must_use]
pub fn deadline(metadata: &MetadataMap) -> Option<Duration> {
    let text = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if number.len() > TIMEOUT_DIGITS || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = number.parse().ok()?;
    let timeout = match unit {
        "H" => Duration::from_hours(number),
        "M" => Duration::from_mins(number),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    };
    let [least, most] = MARGINS;
    Some(timeout.saturating_sub((timeout / 10).clamp(least, most)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_deadline(timeout: &str, expected: Option<Duration>) {
        let mut metadata = MetadataMap::new();
        metadata.insert("grpc-timeout", timeout.parse().unwrap());
        assert_eq!(deadline(&metadata), expected, "`{timeout}`");
    }

    #[test]
    fn the_time_a_caller_gives_is_read_in_every_unit_of_grpc_less_a_margin() {
        let less = |time: Duration, margin| Some(time.saturating_sub(Duration::from_millis(margin)));
        check_deadline("2H", less(Duration::from_hours(2), 50));
        check_deadline("3M", less(Duration::from_mins(3), 50));
        check_deadline("4S", less(Duration::from_secs(4), 50));
        check_deadline("300m", less(Duration::from_millis(300), 30));
        check_deadline("99999999u", less(Duration::from_micros(99_999_999), 50));
        check_deadline("20m", less(Duration::from_millis(20), 10));
        check_deadline("5n", Some(Duration::ZERO));
        check_deadline("99999999H", less(Duration::from_hours(99_999_999), 50));
        assert_eq!(deadline(&MetadataMap::new()), None);
    }

    #[test]
    fn what_is_no_time_of_grpc_says_nothing() {
        for text in ["", "5", "m", "5s", "+5m", "-5m", "5 m", "123456789m", "5.5S"] {
            check_deadline(text, None);
        }
    }

    #[track_caller]
    fn check_refused(at_least: &str, max_age: Option<(i64, i32)>, field: &str) {
        let max_age = max_age.map(|(seconds, nanos)| prost_types::Duration { seconds, nanos });
        let refused = Demand::read(at_least, max_age, || Moment::from_nanoseconds(0)).unwrap_err();
        assert_eq!(refused.field, field, "{refused}");
    }

    #[test]
    fn a_demand_that_cannot_be_read_names_its_field() {
        for text in ["x", "41", ".41", "7f1c2c1e3a524b7c9a510d2f6f3b8e44.", "7f1c2c1e3a524b7c9a510d2f6f3b8e44.-1"] {
            check_refused(text, None, "at_least_revision");
        }
        for age in [(-1, 0), (0, -1), (1, -1), (-1, 1), (0, 1_000_000_000), (i64::MIN, 0)] {
            check_refused("", Some(age), "max_age");
        }
    }

    #[test]
    fn nothing_demanded_looks_at_no_clock() {
        assert_eq!(Demand::read("", None, || panic!("a look at the clock")), Ok(None));
    }

    #[test]
    fn the_longest_age_is_met_by_everything() {
        let longest = prost_types::Duration { seconds: i64::MAX, nanos: 999_999_999 };
        let demand = Demand::read("", Some(longest), || Moment::from_nanoseconds(0)).unwrap().unwrap();
        assert!(demand.recent.unwrap().since < Moment::from(jiff::Timestamp::MIN));
    }
}
