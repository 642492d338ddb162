//! Compaction: what is old is found without the writer's turn, and taken away batch by batch with it.

use redb::{ReadTransaction, ReadableTable, WriteTransaction};

use crate::model::audit::AuditEvent;
use crate::model::revision::Revision;

use super::super::api::{Compacted, Retention};
use super::tables::{self, RowError, meta};

/// Rows of one table that one transaction takes away: a writer waits for so many at most.
const BATCH: usize = 1_000;

/// What is kept: everything after these.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cutoff {
    log: Revision,
    /// `None` where the retention reaches further back than time does.
    requests: Option<jiff::Timestamp>,
    audit: Option<jiff::Timestamp>,
}

/// Rows that one transaction takes away.
#[derive(Debug)]
pub(super) struct Batch {
    log_start: Revision,
    audit_start: Revision,
    requests: Vec<(i64, String)>,
    counts: Compacted,
}

// === impl Cutoff ===

impl Cutoff {
    /// What `retention` keeps of a store at `head`, as of `now`.
    pub(super) fn of(retention: &Retention, head: Revision, now: jiff::Timestamp) -> Self {
        Self {
            log: Revision::new(head.get().saturating_sub(retention.commits)),
            requests: now.checked_sub(retention.requests).ok(),
            audit: now.checked_sub(retention.audit).ok(),
        }
    }

    /// The next rows to take away; `None` when all of them are gone.
    pub(super) fn next_batch(&self, transaction: &ReadTransaction) -> Result<Option<Batch>, RowError> {
        let starts = (tables::log_start(transaction)?, tables::audit_start(transaction)?);
        let log_start = self.log.min(step(starts.0, BATCH)).max(starts.0);
        let audit_start = step(starts.1, self.old_events(transaction)?);
        let requests = self.old_requests(transaction)?;
        if (log_start, audit_start) == starts && requests.is_empty() {
            return Ok(None);
        }
        let counts = Compacted {
            commits: log_start.get() - starts.0.get(),
            requests: requests.len() as u64,
            audit: audit_start.get() - starts.1.get(),
            log_start,
        };
        Ok(Some(Batch { log_start, audit_start, requests, counts }))
    }

    /// How many events at the beginning are old, as far as one batch goes.
    fn old_events(&self, transaction: &ReadTransaction) -> Result<usize, RowError> {
        let Some(cutoff) = self.audit else { return Ok(0) };
        let mut old = 0;
        for found in transaction.open_table(tables::AUDIT)?.iter()?.take(BATCH) {
            let (revision, value) = found?;
            let event: AuditEvent = tables::decoded(|| tables::event_name(revision.value()), value.value())?;
            if event.at >= cutoff {
                break;
            }
            old += 1;
        }
        Ok(old)
    }

    fn old_requests(&self, transaction: &ReadTransaction) -> Result<Vec<(i64, String)>, RowError> {
        let Some(cutoff) = self.requests else { return Ok(Vec::new()) };
        let table = transaction.open_table(tables::REQUEST_TIMES)?;
        let old = table.range(..(cutoff.as_microsecond(), ""))?.take(BATCH);
        old.map(|found| {
            let (key, _) = found?;
            let (at, id) = key.value();
            Ok((at, id.to_owned()))
        })
        .collect()
    }
}

/// The revision `by` after `start`.
fn step(start: Revision, by: usize) -> Revision {
    Revision::new(start.get().saturating_add(by as u64))
}

// === impl Batch ===

impl Batch {
    /// What it takes away.
    pub(super) const fn counts(&self) -> Compacted {
        self.counts
    }

    /// Takes the rows away. What another compaction took away meanwhile stays so.
    pub(super) fn write(&self, transaction: &WriteTransaction) -> Result<(), RowError> {
        tables::advance(transaction, meta::LOG_START, self.log_start)?;
        transaction.open_table(tables::LOG)?.retain_in(..=self.log_start.get(), |_, _| false)?;
        tables::advance(transaction, meta::AUDIT_START, self.audit_start)?;
        transaction.open_table(tables::AUDIT)?.retain_in(..=self.audit_start.get(), |_, _| false)?;
        let mut times = transaction.open_table(tables::REQUEST_TIMES)?;
        let mut requests = transaction.open_table(tables::REQUESTS)?;
        for (at, id) in &self.requests {
            // An id that was forgotten meanwhile may have been used anew, at another time.
            if times.remove((*at, id.as_str()))?.is_some() {
                requests.remove(id.as_str())?;
            }
        }
        Ok(())
    }
}
