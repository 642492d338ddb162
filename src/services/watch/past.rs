//! The past of a store that a control plane opens: its last commits, so that sidecars who missed some of them go on where they were.
//!
//! The log says what a commit put and the audit what was there before, so the state can be taken back commit by commit, and with
//! it the digest that a sidecar must have had. What cannot be taken back whole is told by a reset.

use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};

use super::window::SUMMED;
use crate::model::audit::{AuditEvent, AuditedChange};
use crate::model::object::Change;
use crate::model::revision::Revision;
use crate::model::state::State;
use crate::store::api::{LogEntry, Store, StoreError};

/// Commits that are read at a time. A large one is most often the last that is read.
const BATCH: usize = 8;
/// Changes that are taken back, about: all of them are in memory at once.
const CHANGES: usize = 4_096;
/// How long it may take: nobody is served before.
const TIME: Duration = Duration::from_secs(2);

/// The last commits of a store, and the state that they follow.
pub(super) struct Past {
    pub(super) state: State,
    pub(super) entries: VecDeque<LogEntry>,
}

// === impl Past ===

impl Past {
    /// The last commits before `head`: as many as a window keeps the sums of, as far as they can be taken back.
    pub(super) fn of(store: &dyn Store, head: &State) -> Self {
        let mut past = Self { state: head.clone(), entries: VecDeque::new() };
        // A store may wait for its own runtime, which is not done on a thread of this one.
        let read = thread::scope(|threads| threads.spawn(|| past.read(store)).join());
        match read {
            Ok(Ok(())) => past,
            Ok(Err(problem)) => {
                tracing::warn!(
                    error = &problem as &dyn std::error::Error,
                    "the commits before the start cannot be read; sidecars that missed one are told the whole state"
                );
                past
            }
            Err(_) => Self { state: head.clone(), entries: VecDeque::new() },
        }
    }

    fn read(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        let (start, end) = (store.log_start()?, Instant::now() + TIME);
        let mut changes = 0;
        while self.state.revision > start && self.entries.len() < SUMMED && changes < CHANGES && Instant::now() < end {
            let to = self.state.revision;
            let from = Revision::new(to.get().saturating_sub(BATCH as u64)).max(start);
            let audit = store.audit_after(from, BATCH)?;
            // What is in the audit in part may be a large import, which is not read in vain.
            let parts = audit.iter().filter(|event| event.revision <= to && !is_whole(event));
            let from = parts.map(|event| event.revision).max().unwrap_or(from).max(from);
            if from == to {
                return Ok(());
            }
            let log = store.changes_after(from, BATCH)?;
            for entry in log.into_iter().rev().skip_while(|entry| entry.revision > to) {
                let event = audit.iter().find(|event| event.revision == entry.revision);
                let Some(before) = event.and_then(|event| self.before(&entry, event)) else { return Ok(()) };
                changes += entry.changes.len();
                self.state = before;
                self.entries.push_front(entry);
            }
            if self.state.revision == to {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The state before a commit, if that can be told.
    fn before(&self, entry: &LogEntry, event: &AuditEvent) -> Option<State> {
        let is_told = is_whole(event) && entry.revision == self.state.revision;
        let revision = Revision::new(entry.revision.get().checked_sub(1).filter(|_| is_told)?);
        let mut state = self.state.clone();
        let back: Vec<_> = event.changes.iter().rev().map(taken_back).collect();
        state.apply(revision, &back).ok()?;
        Some(state)
    }
}

fn is_whole(event: &AuditEvent) -> bool {
    event.omitted == 0
}

fn taken_back(change: &AuditedChange) -> Change {
    change.before.clone().map_or_else(|| Change::Delete(change.key.clone()), Change::Put)
}
