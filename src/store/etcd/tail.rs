//! The newest log entries in memory: what ten thousand watchers ask for after each commit.

use std::collections::VecDeque;

use crate::model::revision::Revision;

use super::super::api::LogEntry;

/// Entries at most: whoever is further behind begins anew.
const ENTRIES: usize = 10_000;
/// Changes of all entries together, at most, but for the newest entry.
const CHANGES: usize = 100_000;

/// The end of the log, without a gap.
#[derive(Debug, Default)]
pub(super) struct Tail {
    entries: VecDeque<LogEntry>,
    changes: usize,
}

// === impl Tail ===

impl Tail {
    /// Adds the entry that follows.
    pub(super) fn push(&mut self, entry: LogEntry) {
        self.changes += entry.changes.len();
        self.entries.push_back(entry);
        while self.entries.len() > ENTRIES || (self.changes > CHANGES && self.entries.len() > 1) {
            self.pop();
        }
    }

    /// Forgets the entries up to `start`.
    pub(super) fn forget(&mut self, start: Revision) {
        while self.entries.front().is_some_and(|entry| entry.revision <= start) {
            self.pop();
        }
    }

    /// The first `limit` entries after `after`; `None` if the first of them is not here.
    pub(super) fn after(&self, after: Revision, limit: usize) -> Option<Vec<LogEntry>> {
        let first = self.entries.front()?.revision;
        let skipped = (after.get() + 1).checked_sub(first.get())?;
        let entries = self.entries.iter().skip(usize::try_from(skipped).ok()?);
        Some(entries.take(limit).cloned().collect())
    }

    fn pop(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.changes -= entry.changes.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::super::tests::at;
    use super::*;
    use crate::model::mutation::Actor;
    use crate::model::object::{Change, ObjectKey};

    fn entry(revision: u64, changes: usize) -> LogEntry {
        let change = Change::Delete(ObjectKey::Global);
        let changes: Arc<[Change]> = vec![change; changes].into();
        let (revision, subject) = (Revision::new(revision), ObjectKey::Global);
        LogEntry { revision, at: at(0), actor: Actor::system(), request: None, subject, changes }
    }

    fn revisions(tail: &Tail, after: u64, limit: usize) -> Option<Vec<u64>> {
        let entries = tail.after(Revision::new(after), limit)?;
        Some(entries.iter().map(|entry| entry.revision.get()).collect())
    }

    #[test]
    fn it_answers_without_a_gap_or_not_at_all() {
        let mut tail = Tail::default();
        assert_eq!(revisions(&tail, 0, 9), None);
        (5..9).for_each(|revision| tail.push(entry(revision, 1)));
        assert_eq!(revisions(&tail, 3, 9), None);
        assert_eq!(revisions(&tail, 4, 9), Some(vec![5, 6, 7, 8]));
        assert_eq!(revisions(&tail, 6, 1), Some(vec![7]));
        assert_eq!(revisions(&tail, 8, 9), Some(vec![]));
        tail.forget(Revision::new(6));
        assert_eq!((revisions(&tail, 5, 9), revisions(&tail, 6, 9)), (None, Some(vec![7, 8])));
    }

    #[test]
    fn it_keeps_within_its_limits() {
        let mut tail = Tail::default();
        (1..=ENTRIES as u64 + 3).for_each(|revision| tail.push(entry(revision, 0)));
        assert_eq!((revisions(&tail, 2, 1), revisions(&tail, 3, 1)), (None, Some(vec![4])));
        tail.push(entry(ENTRIES as u64 + 4, CHANGES + 1));
        assert_eq!(tail.entries.len(), 1, "the newest stays, however large");
    }
}
