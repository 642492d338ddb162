//! Everything that is kept below a prefix, read at one revision of etcd: of which a backup is made, and what is verified.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde::de::DeserializeOwned;
use tokio::runtime::{Handle, Runtime};

use crate::model::audit::AuditEvent;
use crate::model::credential::CredentialRecord;
use crate::model::revision::Revision;

use super::super::api::{LogEntry, StoreError};
use super::super::dump::{AnsweredRequest, Dump, DumpError, Head, Row, Sink};
use super::config::EtcdConfig;
use super::error::EtcdError;
use super::layout::{Keys, Series};
use super::load::found_identity;
use super::overlay::Overlay;
use super::pages::Pages;
use super::replica::Replica;
use super::wire::pb::{KeyValue, RangeRequest};
use super::wire::{get, list};
use super::{EtcdStore, connect};

/// Small values that are read at a time.
const SMALL: i64 = 2_000;
/// Documents that are read at a time: each may have 64 KiB.
const DOCUMENTS: i64 = 64;

/// A store in etcd that is read from its beginning to its end, and not served: it holds no state in memory.
pub struct EtcdReader {
    /// Nothing is ever published to it.
    replica: Replica,
    runtime: Runtime,
}

/// What there was at one revision of etcd.
struct Cut<'r> {
    replica: &'r Replica,
    runtime: &'r Handle,
    at: i64,
}

/// What keys come to, in whatever order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sum {
    count: u64,
    hashes: u64,
}

// === impl EtcdReader ===

impl EtcdReader {
    /// Looks below the prefix of `config`; nothing is made there.
    ///
    /// # Errors
    /// [`StoreError::Remote`] where etcd cannot be reached or does not let this user in, [`StoreError::Foreign`] or
    /// [`StoreError::Format`] where there is no store of this version.
    pub fn open(config: &EtcdConfig) -> Result<Self, StoreError> {
        let (runtime, client, keys, place) = connect(config)?;
        let identity = runtime.block_on(found_identity(&client, &keys, &place))?;
        Ok(Self { replica: Replica::new(client, keys, place, identity), runtime })
    }
}

impl Dump for EtcdReader {
    fn dump(&self, sink: &mut dyn Sink) -> Result<(), DumpError> {
        self.replica.dump(self.runtime.handle(), sink)
    }
}

impl fmt::Debug for EtcdReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdReader").field("place", &self.replica.place).finish_non_exhaustive()
    }
}

impl Dump for EtcdStore {
    /// By a connection of its own, so that no commit waits behind a page.
    fn dump(&self, sink: &mut dyn Sink) -> Result<(), DumpError> {
        let runtime = self.runtime.as_ref().ok_or_else(|| self.closed())?;
        self.replica.apart().dump(runtime.handle(), sink)
    }
}

// === impl Replica ===

impl Replica {
    /// One that knows the same store, and nothing of it.
    fn apart(&self) -> Self {
        Self::new(self.client.apart(), self.keys.clone(), self.place.clone(), self.identity)
    }

    fn dump(&self, runtime: &Handle, sink: &mut dyn Sink) -> Result<(), DumpError> {
        self.tell(runtime, sink).map_err(|error| match error {
            DumpError::Store(StoreError::Remote { source, .. }) if EtcdError::is_compacted(&*source) => {
                DumpError::Compacted { place: self.place.clone() }
            }
            error => error,
        })
    }

    fn tell(&self, runtime: &Handle, sink: &mut dyn Sink) -> Result<(), DumpError> {
        let keys = &self.keys;
        let names = [keys.loading(), keys.meta(), keys.head(), keys.start(), keys.audit_start(), keys.pending()];
        let read = runtime.block_on(self.client.read(names.map(get)));
        let (at, [loading, meta, head, start, audit_start, pending]) = read.map_err(|failed| self.unusable(failed))?;
        if !loading.kvs.is_empty() {
            return Err(DumpError::Loading { place: self.place.clone() });
        }
        self.check_identity(&meta)?;
        let revision = self.number("head", &head)?.ok_or_else(|| self.damaged("head", "it is missing"))?;
        let log_start = self.number("start", &start)?.unwrap_or_default();
        let cut = Cut { replica: self, runtime, at };
        let audit_start = match self.number("audit-start", &audit_start)? {
            Some(start) => start,
            None => cut.audit_start(revision)?,
        };
        sink.head(&Head { store: self.identity.store, revision, log_start, audit_start })?;
        // Where the objects of the newest commit are not all written it is as whole as the others.
        let overlay = if pending.kvs.is_empty() { Overlay::default() } else { cut.overlay(revision)? };
        cut.objects(overlay, sink)?;
        cut.documents(Series::Log, sink, |entry: LogEntry| (entry.revision, Row::Commit(entry)))?;
        cut.documents(Series::Audit, sink, |event: AuditEvent| (event.revision, Row::Event(event)))?;
        cut.requests(sink)?;
        cut.credentials(sink)
    }
}

// === impl Cut ===

impl Cut<'_> {
    fn page(&self, pages: &mut Pages) -> Result<Option<Vec<KeyValue>>, DumpError> {
        Ok(self.runtime.block_on(pages.next(&self.replica.client)).map_err(|failed| self.replica.unusable(failed))?)
    }

    fn damaged(&self, row: impl Into<String>, problem: &'static str) -> DumpError {
        self.replica.damaged(row, problem).into()
    }

    /// Where the audit starts in a store of a version that did not write it down: before its first event.
    fn audit_start(&self, head: Revision) -> Result<Revision, DumpError> {
        let first = list(self.replica.keys.documents_after(Series::Audit, Revision::ZERO), 1);
        let read = self.runtime.block_on(self.replica.client.range(RangeRequest { revision: self.at, ..first }));
        let Some(kv) = read.map_err(|failed| self.replica.unusable(failed))?.kvs.into_iter().next() else {
            return Ok(head);
        };
        let first = Keys::revision(&kv.key).and_then(|first| first.get().checked_sub(1));
        let name = String::from_utf8_lossy(&kv.key);
        first.map(Revision::new).ok_or_else(|| self.damaged(name, "its key has no revision"))
    }

    fn overlay(&self, head: Revision) -> Result<Overlay, DumpError> {
        let read = self.runtime.block_on(self.replica.entry_at(head, self.at))?;
        let entry = read.map_err(|failed| self.replica.unusable(failed))?;
        Ok(Overlay::of(&*entry.changes))
    }

    fn objects(&self, mut overlay: Overlay, sink: &mut dyn Sink) -> Result<(), DumpError> {
        let mut each = |record| sink.row(Row::Object(record));
        let mut pages = Pages::of(self.replica.keys.objects(), self.at, SMALL);
        while let Some(page) = self.page(&mut pages)? {
            page.iter().try_for_each(|kv| self.replica.each_of_row(kv, &mut overlay, &mut each))?;
        }
        overlay.before(None).try_for_each(each)
    }

    fn documents<T: DeserializeOwned>(
        &self,
        series: Series,
        sink: &mut dyn Sink,
        form: fn(T) -> (Revision, Row),
    ) -> Result<(), DumpError> {
        let mut pages = Pages::of(self.replica.keys.documents_after(series, Revision::ZERO), self.at, DOCUMENTS);
        while let Some(page) = self.page(&mut pages)? {
            for kv in &page {
                let row = self.replica.row(kv)?;
                let revision = row.revision;
                let named = || format!("revision {revision} of the {}", series.name());
                let value = self.runtime.block_on(self.replica.value_at(series, row, self.at))?;
                let (held, row) = form(value.ok_or_else(|| self.damaged(named(), "a part is missing"))?);
                if held != revision {
                    return Err(self.damaged(named(), "it holds another revision"));
                }
                sink.row(row)?;
            }
        }
        Ok(())
    }

    /// The requests, each of which is found by its time, too.
    fn requests(&self, sink: &mut dyn Sink) -> Result<(), DumpError> {
        let (range, mut found) = (self.replica.keys.requests(), Sum::default());
        let mut pages = Pages::of(range.clone(), self.at, SMALL);
        while let Some(page) = self.page(&mut pages)? {
            for kv in &page {
                let id = Keys::rest(&kv.key, &range.start).unwrap_or_default().to_owned();
                let answer: AnsweredRequest = self.replica.decoded(&format!("request `{id}`"), &kv.value)?;
                found.add(self.replica.keys.request_time(answer.at, &id).as_bytes());
                sink.row(Row::Request(id, answer))?;
            }
        }
        if found == self.times()? {
            return Ok(());
        }
        Err(self.damaged("the times of the requests", "they are those of other requests"))
    }

    fn times(&self) -> Result<Sum, DumpError> {
        let mut times = Sum::default();
        let mut pages = Pages::of(self.replica.keys.all_request_times(), self.at, SMALL).without_values();
        while let Some(page) = self.page(&mut pages)? {
            for kv in &page {
                times.add(&kv.key);
            }
        }
        Ok(times)
    }

    fn credentials(&self, sink: &mut dyn Sink) -> Result<(), DumpError> {
        let range = self.replica.keys.credentials();
        let mut pages = Pages::of(range.clone(), self.at, SMALL);
        while let Some(page) = self.page(&mut pages)? {
            for kv in &page {
                let id = Keys::rest(&kv.key, &range.start).unwrap_or_default();
                let name = format!("credential `{id}`");
                let credential: CredentialRecord = self.replica.decoded(&name, &kv.value)?;
                if credential.public_id != id {
                    return Err(self.damaged(name, "it holds another credential"));
                }
                sink.row(Row::Credential(credential))?;
            }
        }
        Ok(())
    }
}

// === impl Sum ===

impl Sum {
    fn add(&mut self, key: &[u8]) {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        self.count += 1;
        self.hashes = self.hashes.wrapping_add(hasher.finish());
    }
}

#[cfg(test)]
mod tests;
