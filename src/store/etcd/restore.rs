//! A store below a prefix, made of the rows of another one.
//!
//! The mark of a load is there from the first key to the last, so that nobody serves a part, and every transaction asks for
//! it, so that nobody else can have been there.

use serde::Serialize;
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::model::revision::{Revision, StoreId};

use super::super::api::StoreError;
use super::super::dump::{Dump, DumpError, Head, Row, Sink};
use super::super::format::row;
use super::batch::{BYTES, OPERATIONS, OVERHEAD};
use super::config::EtcdConfig;
use super::connect;
use super::document::Written;
use super::layout::Series;
use super::load::{Identity, found_identity, meta};
use super::replica::{Replica, encoded, unencodable};
use super::wire::pb::{RequestOp, TxnRequest};
use super::wire::{delete, delete_range, empty, get, put, unchanged};
use super::write::check_object;

/// Makes a store below the prefix of `config`, where nothing is, of everything that `source` tells, under a new identity.
/// Nobody serves it before all of it is there; where it cannot be finished nothing is left.
///
/// # Errors
/// [`DumpError::Taken`] for a prefix below which something is, another when something cannot be read or written.
pub fn restore(source: &dyn Dump, config: &EtcdConfig) -> Result<StoreId, DumpError> {
    let (runtime, client, keys, place) = connect(config)?;
    let id = StoreId::random();
    // It is written by what begins; until then no other one is this one.
    let replica = Replica::new(client, keys, place, Identity { store: id, written: 0 });
    let mark = runtime.block_on(begin(&replica))?;
    let mut filler = Filler { replica, runtime, mark, commit: Uuid::new_v4(), ops: Vec::new(), bytes: 0, head: None };
    let done = source.dump(&mut filler).and_then(|()| filler.finish());
    if done.is_err() {
        filler.clear();
    }
    done.map(|()| id)
}

/// Takes the prefix; gives when in etcd that was.
async fn begin(replica: &Replica) -> Result<i64, DumpError> {
    let keys = &replica.keys;
    let success = vec![
        put(keys.loading(), Vec::new()),
        put(keys.meta(), meta(replica.identity.store)?),
        put(keys.head(), encoded("head", &Revision::ZERO)?),
    ];
    let request = TxnRequest { compare: vec![empty(keys.all())], success, failure: Vec::new() };
    match replica.client.txn(request).await {
        Ok(answer) if answer.succeeded => Ok(answer.revision()),
        Ok(_) => found_instead(replica).await,
        Err(failed) => {
            // It may have been done all the same.
            withdraw(replica).await;
            Err(replica.unwritten(failed).into())
        }
    }
}

/// What it means that something is below the prefix: that it is taken, or when this process took it.
async fn found_instead(replica: &Replica) -> Result<i64, DumpError> {
    let keys = &replica.keys;
    let taken = DumpError::Taken {
        place: replica.place.clone(),
        found: "is not empty; name a prefix below which nothing is, or stop every control plane of this one and then delete \
                what is there",
    };
    // The try before this one may have been it, though its answer was lost.
    let found = found_identity(&replica.client, keys, &replica.place).await;
    if !is_own(found, replica.identity.store)? {
        return Err(taken);
    }
    let mark = replica.client.range(get(keys.loading())).await.map_err(|failed| replica.unusable(failed))?;
    mark.kvs.first().map(|kv| kv.mod_revision).ok_or(taken)
}

/// Whether what was found is the store `own`; what could not be looked at is no reason to call the prefix taken.
fn is_own(found: Result<Identity, StoreError>, own: StoreId) -> Result<bool, StoreError> {
    match found {
        Ok(found) => Ok(found.store == own),
        Err(StoreError::Foreign { .. } | StoreError::Format { .. }) => Ok(false),
        Err(problem) => Err(problem),
    }
}

/// Takes away what a beginning whose answer was lost may have written, and nothing of anybody else. Where that is not
/// possible either, the mark stays, and says what there is.
async fn withdraw(replica: &Replica) {
    let Replica { client, keys, place, identity, .. } = replica;
    let Ok(found) = found_identity(client, keys, place).await else { return };
    if found.store != identity.store {
        return;
    }
    let compare = vec![unchanged(keys.meta(), found.written), unchanged(keys.loading(), found.written)];
    let request = TxnRequest { compare, success: vec![delete_range(keys.all())], failure: Vec::new() };
    if let Err(failed) = client.txn(request).await {
        tracing::debug!(place, error = %failed.error, "what a restoration began is not taken away");
    }
}

/// Writes rows, as many at a time as one transaction takes.
struct Filler {
    replica: Replica,
    runtime: Runtime,
    /// When in etcd the mark was written.
    mark: i64,
    /// The name of the try, for documents.
    commit: Uuid,
    ops: Vec<RequestOp>,
    bytes: usize,
    head: Option<Head>,
}

// === impl Filler ===

impl Filler {
    fn put(&mut self, key: String, value: Vec<u8>) -> Result<(), DumpError> {
        let bytes = OVERHEAD + key.len() + value.len();
        if self.ops.len() == OPERATIONS || (self.bytes + bytes > BYTES && !self.ops.is_empty()) {
            self.flush()?;
        }
        self.bytes += bytes;
        self.ops.push(put(key, value));
        Ok(())
    }

    fn put_document<T: Serialize>(
        &mut self,
        series: Series,
        revision: Revision,
        at: jiff::Timestamp,
        value: &T,
    ) -> Result<(), DumpError> {
        let name = |error| unencodable(&format!("revision {revision} of the {}", series.name()), error);
        let Written { document, parts } = Written::of(self.commit, at, value).map_err(name)?;
        for (number, part) in parts.into_iter().enumerate() {
            self.put(self.replica.keys.part(series, revision, self.commit, number), part)?;
        }
        self.put(self.replica.keys.document(series, revision), document)
    }

    fn flush(&mut self) -> Result<(), DumpError> {
        self.bytes = 0;
        let success = std::mem::take(&mut self.ops);
        if self.txn(success)? { Ok(()) } else { Err(self.disturbed()) }
    }

    /// A transaction, as long as the mark is the one that was set.
    fn txn(&self, success: Vec<RequestOp>) -> Result<bool, DumpError> {
        let replica = &self.replica;
        let compare = vec![unchanged(replica.keys.loading(), self.mark)];
        let request = TxnRequest { compare, success, failure: Vec::new() };
        let answer = self.runtime.block_on(replica.client.txn(request));
        Ok(answer.map_err(|failed| replica.unwritten(failed))?.succeeded)
    }

    fn disturbed(&self) -> DumpError {
        let found = "was changed meanwhile; name a prefix that nobody else uses";
        DumpError::Taken { place: self.replica.place.clone(), found }
    }

    /// Says where the store is, and takes the mark away, at once.
    fn finish(&mut self) -> Result<(), DumpError> {
        self.flush()?;
        let keys = &self.replica.keys;
        let Some(head) = self.head else { return Err(self.disturbed()) };
        let mut last = vec![delete(keys.loading()), put(keys.head(), encoded("head", &head.revision)?)];
        for (key, start) in [(keys.start(), head.log_start), (keys.audit_start(), head.audit_start)] {
            last.push(put(key, encoded("a start", &start)?));
        }
        // A second try finds the mark gone where the first one was it.
        if self.txn(last)? || self.is_finished()? { Ok(()) } else { Err(self.disturbed()) }
    }

    fn is_finished(&self) -> Result<bool, DumpError> {
        let Replica { client, keys, place, identity, .. } = &self.replica;
        let found = self.runtime.block_on(found_identity(client, keys, place))?;
        let mark = self.runtime.block_on(client.range(get(keys.loading())));
        Ok(found.store == identity.store && mark.map_err(|failed| self.replica.unusable(failed))?.kvs.is_empty())
    }

    /// Takes away what was written. Where that is not possible either, the mark stays, and says what there is.
    fn clear(&self) {
        let _ = self.txn(vec![delete_range(self.replica.keys.all())]);
    }
}

impl Sink for Filler {
    fn head(&mut self, head: &Head) -> Result<(), DumpError> {
        self.head = Some(*head);
        Ok(())
    }

    fn row(&mut self, it: Row) -> Result<(), DumpError> {
        match &it {
            Row::Object(record) => {
                let (name, value) = (row(&record.value.key()), encoded("an object", record)?);
                check_object(&name, &value)?;
                self.put(self.replica.keys.object(&name), value)
            }
            Row::Commit(entry) => self.put_document(Series::Log, entry.revision, entry.at, entry),
            Row::Event(event) => self.put_document(Series::Audit, event.revision, event.at, event),
            Row::Request(id, answer) => {
                self.put(self.replica.keys.request(id), encoded("a request", answer)?)?;
                self.put(self.replica.keys.request_time(answer.at, id), Vec::new())
            }
            Row::Credential(credential) => {
                self.put(self.replica.keys.credential(&credential.public_id), encoded("a credential", credential)?)
            }
        }
    }
}

#[cfg(test)]
mod tests;
