//! The log and the audit as they are read from etcd, and how a replica catches up.

use prost::bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::model::audit::AuditEvent;
use crate::model::revision::Revision;

use super::super::api::{LogEntry, StoreError};
use super::document::{Document, joined};
use super::layout::{Keys, Series};
use super::replica::{Met, Replica};
use super::wire::pb::{KeyValue, RangeRequest, RangeResponse};
use super::wire::{get, list};

/// Documents that are read at a time: together at most as large as one answer should be.
const PAGE: usize = 64;

/// A document, as it was read.
#[derive(Debug)]
pub(super) struct Row<T> {
    /// The revision of the commit.
    pub(super) revision: Revision,
    /// What stands there.
    pub(super) document: Document<T>,
    /// When in etcd it was written, which is when the head was.
    pub(super) written: i64,
}

/// A page of documents, read at one revision of etcd.
#[derive(Debug)]
pub(super) struct Page<T> {
    /// The head then.
    pub(super) head: Revision,
    /// The start of the log then.
    pub(super) start: Revision,
    /// The revision of etcd.
    pub(super) at: i64,
    /// The documents, in order.
    pub(super) rows: Vec<Row<T>>,
}

/// An entry that is gone, or that is there.
type Found<T> = Option<T>;

impl Replica {
    /// The first documents after `after`, at most `limit` and at most a page of them.
    pub(super) async fn page<T>(&self, series: Series, after: Revision, limit: usize) -> Result<Page<T>, StoreError>
    where
        T: DeserializeOwned,
    {
        let limit = i64::try_from(limit.min(PAGE)).unwrap_or(1).max(1);
        let documents = list(self.keys.documents_after(series, after), limit);
        let reads = [documents, get(self.keys.head()), get(self.keys.start()), get(self.keys.meta())];
        let (at, [rows, head, start, meta]) = self.client.read(reads).await.map_err(|failed| self.unusable(failed))?;
        self.check_identity(&meta)?;
        self.page_of(at, &rows, &head, &start)
    }

    /// The read of the first commits after `after`, as many as a page has.
    pub(super) fn log_after(&self, after: Revision) -> RangeRequest {
        list(self.keys.documents_after(Series::Log, after), i64::try_from(PAGE).unwrap_or(1))
    }

    /// What was read at the revision `at` of etcd.
    pub(super) fn page_of<T: DeserializeOwned>(
        &self,
        at: i64,
        rows: &RangeResponse,
        head: &RangeResponse,
        start: &RangeResponse,
    ) -> Result<Page<T>, StoreError> {
        let head = self.number("head", head)?.ok_or_else(|| self.damaged("head", "it is missing"))?;
        let start = self.number("start", start)?.unwrap_or(Revision::ZERO);
        let rows = rows.kvs.iter().map(|kv| self.row(kv)).collect::<Result<_, _>>()?;
        Ok(Page { head, start, at, rows })
    }

    /// A document, by the key and the value of it.
    pub(super) fn row<T: DeserializeOwned>(&self, kv: &KeyValue) -> Result<Row<T>, StoreError> {
        let name = String::from_utf8_lossy(&kv.key);
        let revision = Keys::revision(&kv.key).ok_or_else(|| self.damaged(name.clone(), "its key has no revision"))?;
        Ok(Row { revision, document: self.decoded(&name, &kv.value)?, written: kv.mod_revision })
    }

    /// The value of a document; `None` if its parts are gone.
    pub(super) async fn value<T>(&self, series: Series, row: Row<T>) -> Result<Found<T>, StoreError>
    where
        T: DeserializeOwned,
    {
        self.value_at(series, row, 0).await
    }

    /// The same at the revision `at` of etcd, or at the newest one for 0.
    pub(super) async fn value_at<T>(&self, series: Series, row: Row<T>, at: i64) -> Result<Found<T>, StoreError>
    where
        T: DeserializeOwned,
    {
        let Document { commit, value, parts, .. } = row.document;
        if value.is_some() {
            return Ok(value);
        }
        let mut read: Vec<Bytes> = Vec::with_capacity(parts);
        for number in 0..parts {
            let part = get(self.keys.part(series, row.revision, commit, number));
            let answer = self
                .client
                .range(RangeRequest { revision: at, ..part })
                .await
                .map_err(|failed| self.unusable(failed))?;
            let Some(part) = answer.kvs.into_iter().next() else { return Ok(None) };
            read.push(part.value);
        }
        let parts: Vec<&[u8]> = read.iter().map(AsRef::as_ref).collect();
        let name = || format!("the parts of revision {}", row.revision);
        joined(&parts).map(Some).map_err(|error| self.damaged(name(), error))
    }

    /// The log entry of a row; `None` if compaction has taken its parts since.
    pub(super) async fn entry(&self, row: Row<LogEntry>) -> Result<Found<LogEntry>, StoreError> {
        self.entry_of_row(row, 0).await
    }

    /// The same at the revision `at` of etcd, or at the newest one for 0.
    pub(super) async fn entry_of_row(&self, row: Row<LogEntry>, at: i64) -> Result<Found<LogEntry>, StoreError> {
        let revision = row.revision;
        let entry = self.value_at(Series::Log, row, at).await?;
        match entry {
            Some(entry) if entry.revision != revision => {
                Err(self.damaged(format!("revision {revision} of the log"), "it holds another one"))
            }
            entry => Ok(entry),
        }
    }

    /// Publishes everything up to the head, and tells the revision of etcd at which nothing was missing.
    pub(super) async fn catch_up(&self) -> Result<i64, StoreError> {
        loop {
            let known = self.revision();
            let page = self.page::<LogEntry>(Series::Log, known, PAGE).await?;
            self.check_successor(page.head, known)?;
            let (head, at) = (page.head, page.at);
            if !self.meet_all(page).await? {
                self.load().await?;
            }
            if self.revision() >= head {
                return Ok(at);
            }
        }
    }

    /// Publishes the entries of a page; `false` where some are missing.
    pub(super) async fn meet_all(&self, page: Page<LogEntry>) -> Result<bool, StoreError> {
        if page.rows.is_empty() {
            return Ok(self.revision() >= page.head);
        }
        for row in page.rows {
            if !self.meet_row(row).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Publishes an entry of the log; `false` where some before it are missing, or a part of it.
    pub(super) async fn meet_row(&self, row: Row<LogEntry>) -> Result<bool, StoreError> {
        if self.met(row.revision, row.written)? == Met::Known {
            return Ok(true);
        }
        let written = row.written;
        match self.entry(row).await? {
            None => Ok(false),
            Some(entry) => Ok(self.meet(entry, written)? != Met::Ahead),
        }
    }

    /// The first `limit` commits after `after` up to the published head.
    pub(super) async fn changes(&self, after: Revision, limit: usize) -> Result<Vec<LogEntry>, StoreError> {
        let head = self.revision();
        if after >= head {
            return Ok(Vec::new());
        }
        if let Some(entries) = self.remembered(after, limit) {
            return Ok(entries);
        }
        let mut entries: Vec<LogEntry> = Vec::new();
        loop {
            let last = entries.last().map_or(after, |entry| entry.revision);
            let page = self.page(Series::Log, last, limit - entries.len()).await?;
            let oldest = page.start;
            if oldest > last {
                return Err(StoreError::Compacted { oldest });
            }
            self.take(page, last, head, &mut entries).await?;
            entries.truncate(limit);
            if entries.len() == limit || entries.last().is_some_and(|entry| entry.revision >= head) {
                return Ok(entries);
            }
        }
    }

    /// The events of the first `limit` commits after `after` that have one, up to the published head.
    pub(super) async fn audit(&self, after: Revision, limit: usize) -> Result<Vec<AuditEvent>, StoreError> {
        let head = self.revision();
        let (mut events, mut last) = (Vec::new(), after);
        while events.len() < limit && last < head {
            let page = self.page(Series::Audit, last, limit - events.len()).await?;
            if page.rows.is_empty() {
                break;
            }
            for row in page.rows {
                last = row.revision;
                // One whose parts are gone was taken away since; one past the head is not published yet.
                if last <= head {
                    events.extend(self.value(Series::Audit, row).await?);
                }
            }
        }
        Ok(events)
    }

    async fn take(
        &self,
        page: Page<LogEntry>,
        mut last: Revision,
        head: Revision,
        entries: &mut Vec<LogEntry>,
    ) -> Result<(), StoreError> {
        let gap = |last: Revision| self.damaged(format!("the log after revision {last}"), "an entry is missing");
        if page.rows.is_empty() {
            return Err(gap(last));
        }
        for row in page.rows {
            if last.next() != Some(row.revision) {
                return Err(gap(last));
            }
            if row.revision > head {
                return Ok(());
            }
            last = row.revision;
            match self.entry(row).await? {
                Some(entry) => entries.push(entry),
                None => return self.check_start(last).await,
            }
        }
        Ok(())
    }

    /// Where an entry was and its parts are not, the log must start behind it by now.
    async fn check_start(&self, missing: Revision) -> Result<(), StoreError> {
        let oldest = self.log_start().await?;
        if oldest >= missing {
            return Err(StoreError::Compacted { oldest });
        }
        Err(self.damaged(format!("revision {missing} of the log"), "a part is missing"))
    }

    /// Where the log starts.
    pub(super) async fn log_start(&self) -> Result<Revision, StoreError> {
        let answer = self.client.range(get(self.keys.start())).await.map_err(|failed| self.unusable(failed))?;
        Ok(self.number("start", &answer)?.unwrap_or(Revision::ZERO))
    }

    /// The number in the one key that was read.
    pub(super) fn number(&self, name: &str, read: &RangeResponse) -> Result<Option<Revision>, StoreError> {
        read.kvs.first().map(|kv| self.decoded(name, &kv.value)).transpose()
    }

    pub(super) fn foreign(&self, call: &'static str) -> StoreError {
        let source = super::error::EtcdError::Foreign(call).into();
        StoreError::Remote { place: self.place.clone(), source }
    }
}
