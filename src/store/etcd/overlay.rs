//! The objects of a commit that are not all written yet, laid over those that are.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::model::object::{Change, Object, ObjectKey, Record};

use super::super::format::{row, rows_of};

/// What the changes of one commit make of the rows, whichever of them are written.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    puts: BTreeMap<String, Record<Object>>,
    gone: BTreeSet<String>,
    ranges: Vec<Range<String>>,
}

// === impl Overlay ===

impl Overlay {
    /// The end of these changes, which are in order.
    pub(super) fn of<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Self {
        let mut overlay = Self::default();
        for change in changes {
            overlay.add(change);
        }
        overlay
    }

    fn add(&mut self, change: &Change) {
        match change {
            Change::Put(record) => {
                let row = row(&record.value.key());
                self.gone.remove(&row);
                self.puts.insert(row, record.clone());
            }
            Change::Delete(ObjectKey::Account(account)) => {
                let rows = rows_of(*account);
                self.puts.retain(|row, _| !rows.contains(row));
                self.ranges.push(rows);
            }
            Change::Delete(key) => {
                let row = row(key);
                self.puts.remove(&row);
                self.gone.insert(row);
            }
        }
    }

    /// Takes what stands before `row`, or all that is left, in order.
    pub(super) fn before(&mut self, row: Option<&str>) -> impl Iterator<Item = Record<Object>> {
        let rest = row.map(|row| self.puts.split_off(row)).unwrap_or_default();
        std::mem::replace(&mut self.puts, rest).into_values()
    }

    /// Whether what is stored in `row` still counts.
    pub(super) fn keeps(&self, row: &str) -> bool {
        let in_range = |range: &Range<String>| range.start.as_str() <= row && row < range.end.as_str();
        !self.puts.contains_key(row) && !self.gone.contains(row) && !self.ranges.iter().any(in_range)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::{account, account_id, at, environment};
    use super::*;
    use crate::model::revision::Revision;

    fn put(value: Object) -> Change {
        Change::Put(Record { created: at(0), updated: at(0), revision: Revision::new(1), value })
    }

    fn delete(key: ObjectKey) -> Change {
        Change::Delete(key)
    }

    /// The rows after `changes`, of which the first `written` are written already.
    fn rows(stored: &[Object], changes: &[Change], written: usize) -> Vec<String> {
        let mut map: BTreeMap<String, Object> = stored.iter().map(|it| (row(&it.key()), it.clone())).collect();
        for change in changes.iter().take(written) {
            match change {
                Change::Put(record) => drop(map.insert(row(&record.value.key()), record.value.clone())),
                Change::Delete(ObjectKey::Account(id)) => map.retain(|row, _| !rows_of(*id).contains(row)),
                Change::Delete(key) => drop(map.remove(&row(key))),
            }
        }
        let mut overlay = Overlay::of(changes);
        let mut found = Vec::new();
        for (row, object) in map {
            found.extend(overlay.before(Some(&row)).map(|record| format!("{:?}", record.value)));
            if overlay.keeps(&row) {
                found.push(format!("{object:?}"));
            }
        }
        found.extend(overlay.before(None).map(|record| format!("{:?}", record.value)));
        found
    }

    #[test]
    fn however_much_is_written_the_end_is_the_same() {
        let stored = [account(1, "a"), environment(1, "e", "n"), environment(1, "f", "n"), account(2, "b")];
        let changes = [
            put(account(3, "passing")),
            delete(environment(1, "f", "n").key()),
            put(environment(1, "d", "n")),
            put(environment(1, "e", "again")),
            delete(ObjectKey::Account(account_id(2))),
            put(account(2, "back")),
            delete(ObjectKey::Account(account_id(1))),
            put(account(1, "anew")),
            put(environment(1, "f", "new")),
            put(account(3, "three")),
        ];
        let whole = rows(&stored, &changes, changes.len());
        assert_eq!(whole.len(), 4);
        for written in 0..changes.len() {
            assert_eq!(rows(&stored, &changes, written), whole, "{written}");
        }
    }
}
