//! How a commit is written: whole for every reader, however large it is.
//!
//! One transaction of etcd, guarded by the head, makes the commit: from then on it is in the log, and before it there is
//! nothing that a reader looks at. What does not fit into that transaction is written around it: parts of a large log
//! entry before it, in keys that only this commit names, and the objects of a large commit after it, list by list, by
//! whoever finds that they are not all written (`pending`). Until they are, nobody commits, and a reader lays the log
//! entry over the objects.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::audit::AuditEvent;
use crate::model::revision::Revision;

use super::super::api::{LogEntry, StoreError};
use super::super::plan::AnsweredRequest;
use super::batch::{BYTES, Write, lists};
use super::document::Written;
use super::layout::Series;
use super::log::Page;
use super::replica::{Replica, encoded, unencodable};
use super::wire::pb::{Compare, KeyValue, RequestOp, TxnRequest, TxnResponse};
use super::wire::{absent, delete, delete_range, get, put, read, unchanged};

/// Bytes of the largest object: etcd takes 1.5 MiB in a request.
const OBJECT_BYTES: usize = 1_250_000;

/// The value of the key `pending`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Pending {
    /// The commit.
    pub(super) revision: Revision,
    /// The lists of its objects that are written.
    pub(super) done: usize,
}

/// A commit that is about to be written.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    /// By this the log tells it from every other try.
    pub(super) commit: Uuid,
    /// Its entry in the log.
    pub(super) entry: &'a LogEntry,
    /// Its event in the audit.
    pub(super) audit: &'a AuditEvent,
    /// What is recorded of its request.
    pub(super) answered: Option<(&'a str, AnsweredRequest)>,
}

/// How a transaction at the head ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is done.
    Done {
        /// The revision of etcd at which it was.
        head_mod: i64,
        /// Its objects are not written with it.
        pending: bool,
    },
    /// Somebody else was faster, with a commit or with the same request. The head then, where it was told; what leads to
    /// it is published, as far as it could be.
    Beaten(Option<Revision>),
    /// It may have been done, and been compacted since.
    Forgotten,
}

// === impl Fate ===

impl Fate {
    const fn done(head_mod: i64) -> Self {
        Self::Done { head_mod, pending: false }
    }
}

// === impl Replica ===

impl Replica {
    /// Writes a commit on the head that was written at `head_mod`.
    pub(super) async fn write(&self, draft: &Draft<'_>, head_mod: i64) -> Result<Fate, StoreError> {
        let (commit, entry) = (draft.commit, draft.entry);
        let written = |row: &str, document: Result<Written, _>| document.map_err(|error| unencodable(row, error));
        let log = written("the entry of the log", Written::of(commit, entry.at, entry))?;
        let audit = written("the audit event", Written::of(commit, entry.at, draft.audit))?;
        let mut objects = lists(&*entry.changes).map_err(|error| unencodable("an object", error))?;
        objects.iter().try_for_each(|list| check_size(list))?;

        for (series, document) in [(Series::Log, &log), (Series::Audit, &audit)] {
            if !self.write_parts(draft, series, document, head_mod).await? {
                return Ok(Fate::Beaten(None));
            }
        }
        let key = |series| self.keys.document(series, entry.revision);
        let mut success = vec![
            put(key(Series::Log), log.document),
            put(key(Series::Audit), audit.document),
            put(self.keys.head(), encoded("the head", &entry.revision)?),
        ];
        let pending = objects.len() > 1;
        if let [list] = objects.as_mut_slice() {
            success.extend(std::mem::take(list).into_iter().map(|write| self.operation(write)));
        } else {
            let mark = Pending { revision: entry.revision, done: 0 };
            success.push(put(self.keys.pending(), encoded("pending", &mark)?));
        }
        let fate = self.decide(draft, head_mod, success).await?;
        Ok(match fate {
            Fate::Done { head_mod, .. } => Fate::Done { head_mod, pending },
            other => other,
        })
    }

    /// Writes the parts of a document, as long as the head is where it was; `false` where it is not.
    pub(super) async fn write_parts(
        &self,
        draft: &Draft<'_>,
        series: Series,
        document: &Written,
        head_mod: i64,
    ) -> Result<bool, StoreError> {
        for (number, part) in document.parts.iter().enumerate() {
            let key = self.keys.part(series, draft.entry.revision, draft.commit, number);
            let request = TxnRequest {
                compare: vec![unchanged(self.keys.head(), head_mod)],
                success: vec![put(key, part.clone())],
                failure: Vec::new(),
            };
            // Nobody looks at a part before the commit: whether it was written is no question of the commit's fate.
            let answer = self.client.txn(request).await.map_err(|failed| self.unusable(failed))?;
            if !answer.succeeded {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The transaction that makes the commit, or finds that it is made.
    async fn decide(&self, draft: &Draft<'_>, head_mod: i64, success: Vec<RequestOp>) -> Result<Fate, StoreError> {
        let mut compare = vec![self.same_store(), unchanged(self.keys.head(), head_mod), absent(self.keys.pending())];
        compare.extend(self.marked());
        let mut success = success;
        if let Some((id, answer)) = &draft.answered {
            compare.push(absent(self.keys.request(id)));
            success.extend(self.recorded(id, answer)?);
        }
        loop {
            let answer = self.at_head(compare.clone(), success.clone(), draft.entry.revision).await?;
            if answer.succeeded {
                return Ok(Fate::done(answer.revision()));
            }
            let at = answer.revision();
            let [head, pending, start, log, meta] = answer.reads().ok_or_else(|| self.foreign("Txn"))?;
            self.check_identity(&meta)?;
            let at_head = head.kvs.first().is_some_and(|head| head.mod_revision == head_mod);
            let page = self.page_of(at, &log, &head, &start).map_err(undecided)?;
            if pending.kvs.is_empty() || !at_head {
                return self.met_instead(draft, page).await;
            }
            self.settle().await.map_err(undecided)?;
        }
    }

    /// What it means that these commits are there instead of the draft, or before it, or that it is one of them.
    async fn met_instead(&self, draft: &Draft<'_>, page: Page<LogEntry>) -> Result<Fate, StoreError> {
        let revision = draft.entry.revision;
        match page.rows.first() {
            // The try before this one was it, though its answer was lost.
            Some(row) if row.revision == revision && row.document.commit == draft.commit => {
                return Ok(Fate::done(row.written));
            }
            Some(row) if row.revision == revision => {}
            _ if page.start >= revision => return Ok(Fate::Forgotten),
            _ => {}
        }
        let head = page.head;
        self.meet_all(page).await?;
        Ok(Fate::Beaten(Some(head)))
    }

    /// Records a request at the head that was written at `head_mod`, without a commit. Without a request it only tells
    /// whether the head is still there.
    pub(super) async fn record(
        &self,
        answered: Option<&(&str, AnsweredRequest)>,
        head_mod: i64,
    ) -> Result<bool, StoreError> {
        let Some((id, answer)) = answered else {
            let head = self.client.range(get(self.keys.head())).await.map_err(|failed| self.unusable(failed))?;
            return Ok(head.kvs.first().is_some_and(|head| head.mod_revision == head_mod));
        };
        let compare = vec![self.same_store(), unchanged(self.keys.head(), head_mod), absent(self.keys.request(id))];
        let request = TxnRequest { compare, success: self.recorded(id, answer)?.into(), failure: Vec::new() };
        let answer = self.client.txn(request).await.map_err(|failed| self.unwritten(failed))?;
        Ok(answer.succeeded)
    }

    fn recorded(&self, id: &str, answer: &AnsweredRequest) -> Result<[RequestOp; 2], StoreError> {
        let value = encoded("the request id", answer)?;
        Ok([put(self.keys.request(id), value), put(self.keys.request_time(answer.at, id), Vec::new())])
    }

    /// A transaction; where it does not come to pass, what is at the head, and what led there.
    async fn at_head(
        &self,
        compare: Vec<Compare>,
        success: Vec<RequestOp>,
        revision: Revision,
    ) -> Result<TxnResponse, StoreError> {
        let before = Revision::new(revision.get().saturating_sub(1));
        let log = self.log_after(before);
        let keys = &self.keys;
        let reads = [get(keys.head()), get(keys.pending()), get(keys.start()), log, get(keys.meta())];
        let request = TxnRequest { compare, success, failure: reads.map(read).into() };
        self.client.txn(request).await.map_err(|failed| self.unwritten(failed))
    }

    /// Writes the objects of the head's commit that are not written yet. Several processes may do it at once: each list
    /// is written by one of them, and in order.
    pub(super) async fn settle(&self) -> Result<(), StoreError> {
        while let Some(kv) = self.pending().await? {
            let pending: Pending = self.decoded("pending", &kv.value)?;
            let entry = self.entry_of(pending.revision).await?;
            let Some(entry) = entry else { continue };
            let objects = lists(&*entry.changes).map_err(|error| unencodable("an object", error))?;
            self.settle_from(kv.mod_revision, pending, objects).await?;
        }
        Ok(())
    }

    async fn settle_from(&self, mut written: i64, pending: Pending, lists: Vec<Vec<Write>>) -> Result<(), StoreError> {
        let count = lists.len();
        for (number, list) in lists.into_iter().enumerate().skip(pending.done) {
            let done = Pending { done: number + 1, ..pending.clone() };
            let is_end = done.done == count;
            match self.settle_list(written, &done, list, is_end).await? {
                Some(now) => written = now,
                // Somebody else goes on, or the try before this one did it.
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// Writes one list, and that it is written; `None` if `pending` is no longer what was written at `written`.
    pub(super) async fn settle_list(
        &self,
        written: i64,
        done: &Pending,
        list: Vec<Write>,
        is_end: bool,
    ) -> Result<Option<i64>, StoreError> {
        let key = self.keys.pending();
        let mark = if is_end { delete(key.clone()) } else { put(key.clone(), encoded("pending", done)?) };
        let writes = list.into_iter().map(|write| self.operation(write));
        let request = TxnRequest {
            compare: vec![unchanged(key, written)],
            success: writes.chain([mark]).collect(),
            failure: Vec::new(),
        };
        let answer = self.client.txn(request).await.map_err(|failed| self.unusable(failed))?;
        Ok(answer.succeeded.then(|| answer.revision()))
    }

    async fn pending(&self) -> Result<Option<KeyValue>, StoreError> {
        let answer = self.client.range(get(self.keys.pending())).await.map_err(|failed| self.unusable(failed))?;
        Ok(answer.kvs.into_iter().next())
    }

    /// The log entry of a pending commit; `None` if it is no longer pending.
    async fn entry_of(&self, revision: Revision) -> Result<Option<LogEntry>, StoreError> {
        let key = self.keys.document(Series::Log, revision);
        let answer = self.client.range(get(key)).await.map_err(|failed| self.unusable(failed))?;
        let found = match answer.kvs.first() {
            Some(kv) => self.entry(self.row(kv)?).await?,
            None => None,
        };
        // Compaction waits for what is pending.
        if found.is_none() && self.pending().await?.is_some() {
            return Err(self.damaged(format!("revision {revision} of the log"), "it is missing, and its objects too"));
        }
        Ok(found)
    }

    fn operation(&self, write: Write) -> RequestOp {
        match write {
            Write::Put(row, value) => put(self.keys.object(&row), value),
            Write::Delete(row) => delete(self.keys.object(&row)),
            Write::DeleteRows(rows) => delete_range(self.keys.object(&rows.start)..self.keys.object(&rows.end)),
        }
    }
}

/// An object that no request can hold must not be committed: it could never be written.
fn check_size(list: &[Write]) -> Result<(), StoreError> {
    list.iter().try_for_each(|write| match write {
        Write::Put(row, value) => check_object(row, value),
        Write::Delete(_) | Write::DeleteRows(_) => Ok(()),
    })
}

/// The same of one.
pub(super) fn check_object(row: &str, value: &[u8]) -> Result<(), StoreError> {
    if value.len() <= OBJECT_BYTES.max(BYTES) {
        return Ok(());
    }
    let problem = format!("it takes {} bytes, and etcd takes {OBJECT_BYTES} in a value", value.len());
    Err(unencodable(&format!("object `{row}`"), problem))
}

/// A try of the transaction may still be on its way when something fails behind it.
fn undecided(error: StoreError) -> StoreError {
    match error {
        StoreError::Remote { place, source } => StoreError::FateUnknown { place, source },
        other => other,
    }
}
