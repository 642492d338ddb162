//! The changes of a commit as writes of objects, in lists of which each fits into one transaction of etcd.
//!
//! etcd takes no transaction that touches a key twice, so a list ends where one would; the lists are written in order.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::model::object::{Change, ObjectKey};

use super::super::format::{InvalidValue, encode, row, rows_of};

/// Operations of a list: etcd takes 128 in a transaction, and the rest of a commit needs a few.
pub(super) const OPERATIONS: usize = 100;
/// Bytes of a list: etcd takes a request of 1.5 MiB.
pub(super) const BYTES: usize = 768 * 1024;
/// What an operation takes beside its key and its value, at most.
pub(super) const OVERHEAD: usize = 32;

/// One write of the objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Write {
    /// This row holds this.
    Put(String, Vec<u8>),
    /// This row is gone.
    Delete(String),
    /// These rows are gone.
    DeleteRows(Range<String>),
}

/// A list that is being filled.
#[derive(Debug, Default)]
struct List {
    writes: Vec<Write>,
    bytes: usize,
    rows: BTreeSet<String>,
    ranges: Vec<Range<String>>,
}

/// The lists of these changes, in order.
///
/// # Errors
/// An object that cannot be encoded.
pub(super) fn lists<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Result<Vec<Vec<Write>>, InvalidValue> {
    let (mut lists, mut list) = (Vec::new(), List::default());
    for change in changes {
        let write = Write::of(change)?;
        if !list.takes(&write) {
            lists.push(std::mem::take(&mut list).writes);
        }
        list.push(write);
    }
    lists.push(list.writes);
    Ok(lists)
}

// === impl Write ===

impl Write {
    pub(super) fn of(change: &Change) -> Result<Self, InvalidValue> {
        Ok(match change {
            Change::Put(record) => Self::Put(row(&record.value.key()), encode(record)?),
            // What an account owns goes with it.
            Change::Delete(ObjectKey::Account(account)) => Self::DeleteRows(rows_of(*account)),
            Change::Delete(key) => Self::Delete(row(key)),
        })
    }

    const fn bytes(&self) -> usize {
        OVERHEAD
            + match self {
                Self::Put(row, value) => row.len() + value.len(),
                Self::Delete(row) => row.len(),
                Self::DeleteRows(rows) => rows.start.len() + rows.end.len(),
            }
    }
}

// === impl List ===

impl List {
    fn takes(&self, write: &Write) -> bool {
        let room = self.writes.len() < OPERATIONS && self.bytes + write.bytes() <= BYTES;
        self.writes.is_empty() || (room && !self.touches(write))
    }

    fn touches(&self, write: &Write) -> bool {
        match write {
            Write::Put(row, _) | Write::Delete(row) => {
                self.rows.contains(row) || self.ranges.iter().any(|range| range.contains(row))
            }
            Write::DeleteRows(rows) => {
                self.ranges.contains(rows) || self.rows.range::<String, _>(rows.clone()).next().is_some()
            }
        }
    }

    fn push(&mut self, write: Write) {
        self.bytes += write.bytes();
        match &write {
            Write::Put(row, _) | Write::Delete(row) => {
                self.rows.insert(row.clone());
            }
            Write::DeleteRows(rows) => self.ranges.push(rows.clone()),
        }
        self.writes.push(write);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::{account, account_id, at, environment};
    use super::*;
    use crate::model::id::BoundaryId;
    use crate::model::object::{Object, Record};
    use crate::model::policy::Boundary;
    use crate::model::revision::Revision;

    fn put(value: Object) -> Change {
        Change::Put(Record { created: at(0), updated: at(0), revision: Revision::new(1), value })
    }

    fn delete(number: u8) -> Change {
        Change::Delete(ObjectKey::Account(account_id(number)))
    }

    #[test]
    fn a_list_ends_where_a_key_would_be_touched_twice() {
        let check = |changes: &[Change], expected: &[usize]| {
            let lists = lists(changes).unwrap();
            assert_eq!(lists.iter().map(Vec::len).collect::<Vec<_>>(), expected, "{changes:?}");
        };
        check(&[], &[0]);
        check(&[put(account(1, "a")), put(account(2, "b"))], &[2]);
        check(&[put(account(1, "a")), put(account(1, "b"))], &[1, 1]);
        check(&[put(environment(1, "e", "n")), delete(1)], &[1, 1]);
        check(&[delete(1), put(account(1, "a")), put(environment(1, "e", "n"))], &[1, 2]);
        check(&[delete(1), put(account(2, "a")), delete(3)], &[3]);
        check(&[delete(1), delete(1)], &[1, 1]);
    }

    #[test]
    fn a_list_ends_where_it_is_full() {
        let many = |count: usize| (0..count).map(|n| put(environment(1, &format!("e{n}"), "n"))).collect::<Vec<_>>();
        for (count, expected) in [(OPERATIONS, 1), (OPERATIONS + 1, 2), (OPERATIONS * 3, 3)] {
            assert_eq!(lists(&many(count)).unwrap().len(), expected, "{count}");
        }
        let large = |number: u8| {
            let (id, name) = (BoundaryId::from_bytes([number; 16]), "Large".parse().unwrap());
            put(Object::Boundary(account_id(1), Boundary { id, name, query: "x".repeat(300_000) }))
        };
        let lists = lists(&[large(1), large(2), large(3)]).unwrap();
        assert_eq!(lists.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1], "768 KiB hold two of 300 KB");
    }
}
