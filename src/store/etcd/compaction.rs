//! Compaction of the store: the beginnings of log and audit, and old requests, in transactions that etcd does at once.
//!
//! Any replica may do it, and several at the same time. With a log entry the parts of it go, and those that tries of the
//! same revision left behind when they were beaten or cut off. The history that etcd itself keeps is compacted by etcd.

use crate::model::audit::AuditEvent;
use crate::model::revision::Revision;

use super::super::api::{Compacted, Retention, StoreError};
use super::layout::Series;
use super::replica::{Replica, encoded};
use super::wire::pb::{Compare, KeyValue, RangeResponse, TxnRequest};
use super::wire::{absent, delete, delete_range, get, list, put, unchanged};

/// Commits that one transaction takes out of the log: etcd does nothing else meanwhile.
const COMMITS: u64 = 500;
/// Requests that one transaction takes away: each is two operations, and etcd takes 128.
const REQUESTS: i64 = 50;

impl Replica {
    /// Takes away what `retention` does not keep.
    pub(super) async fn compact(&self, retention: &Retention, now: jiff::Timestamp) -> Result<Compacted, StoreError> {
        let mut done = Compacted::default();
        let target = Revision::new(self.revision().get().saturating_sub(retention.commits));
        // Deletions first: an etcd without space takes them, and no other write. Where the retention reaches further back than time does, everything is kept.
        if let Ok(cutoff) = now.checked_sub(retention.audit) {
            done.audit = self.compact_audit(cutoff).await?;
        }
        if let Ok(cutoff) = now.checked_sub(retention.requests) {
            done.requests = self.compact_requests(cutoff).await?;
        }
        done.commits = self.compact_log(target).await?;
        done.log_start = self.log_start().await?;
        self.forget(done.log_start);
        Ok(done)
    }

    /// Moves the start of the log to `target`, step by step; tells how many commits went.
    async fn compact_log(&self, target: Revision) -> Result<u64, StoreError> {
        let mut gone = 0;
        loop {
            let read = self.client.range(get(self.keys.start())).await.map_err(|failed| self.unusable(failed))?;
            // A store that came in the place of this one is cut by its own.
            self.check_store().await?;
            let start = self.number("start", &read)?.unwrap_or(Revision::ZERO);
            if start >= target {
                return Ok(gone);
            }
            let next = target.min(Revision::new(start.get().saturating_add(COMMITS)));
            // The entry of the head is needed until its objects are written.
            self.settle().await?;
            if self.cut_log(&read, next).await? {
                gone += next.get() - start.get();
            }
        }
    }

    /// Moves the start of the log, if it is still what was read, and nothing is pending.
    async fn cut_log(&self, start: &RangeResponse, next: Revision) -> Result<bool, StoreError> {
        let key = self.keys.start();
        let [documents, parts] = self.keys.up_to(Series::Log, next);
        let request = TxnRequest {
            compare: vec![self.same_store(), same(&key, start), absent(self.keys.pending())],
            success: vec![put(key, encoded("start", &next)?), delete_range(documents), delete_range(parts)],
            failure: Vec::new(),
        };
        let answer = self.client.txn(request).await.map_err(|failed| self.unwritten(failed))?;
        Ok(answer.succeeded)
    }

    /// Takes away the events before the first one that is not older than `cutoff`.
    async fn compact_audit(&self, cutoff: jiff::Timestamp) -> Result<u64, StoreError> {
        let mut gone = 0;
        loop {
            let start =
                self.client.range(get(self.keys.audit_start())).await.map_err(|failed| self.unusable(failed))?;
            let page = self.page::<AuditEvent>(Series::Audit, Revision::ZERO, usize::MAX).await?;
            let old = page.rows.iter().take_while(|row| row.document.at < cutoff);
            let (count, last) = old.fold((0, None), |(count, _), row| (count + 1, Some(row.revision)));
            let Some(last) = last else { return Ok(gone) };
            if self.cut_audit(&start, last).await? {
                gone += count;
            }
        }
    }

    /// Moves the start of the audit, if it is still what was read: it tells what is missing from what was taken away.
    async fn cut_audit(&self, start: &RangeResponse, last: Revision) -> Result<bool, StoreError> {
        let key = self.keys.audit_start();
        let [documents, parts] = self.keys.up_to(Series::Audit, last);
        let request = TxnRequest {
            compare: vec![self.same_store(), same(&key, start)],
            success: vec![
                put(key, encoded("the start of the audit", &last)?),
                delete_range(documents),
                delete_range(parts),
            ],
            failure: Vec::new(),
        };
        let answer = self.client.txn(request).await.map_err(|failed| self.unwritten(failed))?;
        Ok(answer.succeeded)
    }

    /// Forgets the requests that were answered before `cutoff`.
    async fn compact_requests(&self, cutoff: jiff::Timestamp) -> Result<u64, StoreError> {
        let mut gone = 0;
        loop {
            self.check_store().await?;
            let old = list(self.keys.request_times(cutoff), REQUESTS);
            let page = self.client.range(old).await.map_err(|failed| self.unusable(failed))?;
            if page.kvs.is_empty() {
                return Ok(gone);
            }
            gone += self.forget_requests(&page.kvs).await?;
        }
    }

    /// Forgets the requests of these times, unless another compaction has forgotten some of them meanwhile.
    async fn forget_requests(&self, times: &[KeyValue]) -> Result<u64, StoreError> {
        let mut request = TxnRequest { compare: vec![self.same_store()], ..TxnRequest::default() };
        for kv in times {
            let key = String::from_utf8_lossy(&kv.key).into_owned();
            let id =
                self.keys.timed_request(&kv.key).ok_or_else(|| self.damaged(key.clone(), "it names no request"))?;
            // An id that was forgotten and used anew has another time.
            request.compare.push(unchanged(key.clone(), kv.mod_revision));
            request.success.extend([delete(key), delete(self.keys.request(id))]);
        }
        let answer = self.client.txn(request).await.map_err(|failed| self.unwritten(failed))?;
        Ok(if answer.succeeded { times.len() as u64 } else { 0 })
    }
}

/// The condition that a key is as it was read.
fn same(key: &str, read: &RangeResponse) -> Compare {
    let key = key.to_owned();
    match read.kvs.first() {
        Some(kv) => unchanged(key, kv.mod_revision),
        None => absent(key),
    }
}
