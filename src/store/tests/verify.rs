//! What verification finds: each kind of row that does not fit the others.

use super::super::api::{Retention, Store};
use super::super::backup;
use super::super::dump::{Dump, DumpError, Head, Row, Sink};
use super::super::embedded::EmbeddedStore;
use super::super::memory::Memory;
use super::super::verify::Counts;
use super::{Place, account, account_id, at, commit, environment, furnished, mutation, owned, puts, request};
use crate::model::credential::{CredentialRecord, CredentialRole};
use crate::model::mutation::{Actor, Edit, Mutation};
use crate::model::object::{Object, ObjectKey};
use crate::model::revision::Revision;

/// Rows in memory.
#[derive(Debug, Default, Clone, PartialEq)]
pub(in super::super) struct Rows {
    pub(in super::super) head: Option<Head>,
    pub(in super::super) rows: Vec<Row>,
}

impl Sink for Rows {
    fn head(&mut self, head: &Head) -> Result<(), DumpError> {
        self.head = Some(*head);
        Ok(())
    }

    fn row(&mut self, row: Row) -> Result<(), DumpError> {
        self.rows.push(row);
        Ok(())
    }
}

impl Dump for Rows {
    fn dump(&self, sink: &mut dyn Sink) -> Result<(), DumpError> {
        sink.head(&self.head.unwrap())?;
        self.rows.iter().try_for_each(|row| sink.row(row.clone()))
    }
}

impl Rows {
    pub(in super::super) fn of(source: &dyn Dump) -> Self {
        let mut rows = Self::default();
        source.dump(&mut rows).unwrap();
        rows
    }

    fn object(&mut self, key: &ObjectKey) -> usize {
        let found = self.rows.iter().position(|row| matches!(row, Row::Object(it) if it.value.key() == *key));
        found.unwrap()
    }
}

/// A store with a bit of everything, at revision 6.
pub(super) fn eventful() -> EmbeddedStore {
    let memory = Memory::new().unwrap();
    drop(eventful_in(&memory));
    EmbeddedStore::over(memory).unwrap()
}

/// The same in an empty place.
pub(in super::super) fn eventful_in(place: &dyn Place) -> Box<dyn Store> {
    let store = furnished(place);
    let named = mutation(Revision::new(1), puts([account(1, "renamed"), account(1, "again")]));
    store.commit(Mutation { request: Some(request("first", 1)), ..named }).unwrap();
    commit(&*store, vec![Edit::Delete(ObjectKey::Account(account_id(2)))]).unwrap();
    commit(&*store, puts([account(2, "back"), environment(2, "e2", "n")])).unwrap();
    commit(&*store, vec![Edit::Delete(environment(2, "e2", "n").key()), Edit::Put(account(3, "three"))]).unwrap();
    let same = mutation(Revision::new(5), puts([account(3, "three")]));
    store.commit(Mutation { request: Some(request("same", 1)), ..same }).unwrap();
    commit(&*store, puts([environment(3, "e", "n")])).unwrap();
    let public_id = "holder".to_owned();
    let credential = CredentialRecord { public_id, role: CredentialRole::Root, secret_sha256: [1; 32], created: at(0) };
    store.put_credentials(&[credential]).unwrap();
    store
}

fn retention(commits: u64) -> Retention {
    let kept = std::time::Duration::from_secs(1_000_000);
    Retention { commits, requests: kept, audit: kept }
}

#[test]
fn a_whole_store_is_counted() {
    for (commits, kept) in [(10, 6), (4, 4), (3, 3), (1, 1), (0, 0)] {
        let store = eventful();
        store.compact(&retention(commits), at(10)).unwrap();
        let verified = backup::verify(&store, "memory").unwrap();
        let objects = store.state().records().count() as u64;
        let expected = Counts { objects, commits: kept, events: 6, requests: 2, credentials: 1 };
        assert_eq!((verified.counts, verified.head.revision), (expected, Revision::new(6)), "{commits}");
        assert_eq!(verified.head.log_start, Revision::new(6 - kept));
        // The user's group, the policy's environment, and of the binding policy, group and boundary.
        assert_eq!(verified.references, 5);
    }
}

/// Verifies the rows of an eventful store after `change`, of which `expected` must be said.
fn check(expected: &str, change: impl FnOnce(&mut Rows)) {
    let mut rows = Rows::of(&eventful());
    change(&mut rows);
    let refused = backup::verify(&rows, "rows").unwrap_err();
    assert!(refused.is_damage(), "{refused:?}");
    assert!(refused.to_string().contains(expected), "`{expected}` is not in: {refused}");
}

fn last(rows: &mut Rows, is: fn(&Row) -> bool) -> &mut Row {
    rows.rows.iter_mut().rev().find(|row| is(row)).unwrap()
}

fn is_commit(row: &Row) -> bool {
    matches!(row, Row::Commit(_))
}

fn is_event(row: &Row) -> bool {
    matches!(row, Row::Event(_))
}

fn remove_last(rows: &mut Rows, is: fn(&Row) -> bool) {
    let place = rows.rows.iter().rposition(is).unwrap();
    rows.rows.remove(place);
}

#[test]
fn an_object_that_is_missing_or_too_many_is_found() {
    check("the log leaves", |rows| {
        let place = rows.object(&owned(6, 1, 1, 1).key());
        rows.rows.remove(place);
    });
    check("belongs to account", |rows| {
        let place = rows.object(&account(1, "again").key());
        rows.rows.remove(place);
    });
    check("it is there twice", |rows| rows.rows.insert(0, rows.rows[0].clone()));
    check("unlike in the log", |rows| {
        let place = rows.object(&account(3, "three").key());
        let Row::Object(mut more) = rows.rows[place].clone() else { panic!("another row") };
        more.value = account(9, "nine");
        rows.rows.insert(place, Row::Object(more));
    });
}

#[test]
fn an_object_that_is_another_than_in_the_log_is_found() {
    for (value, revision, expected) in [
        (account(1, "other"), 2, "it is not what revision 2 of the log made it"),
        (account(1, "renamed"), 2, "it is not what revision 2 of the log made it"),
        (account(1, "again"), 1, "it is not what revision 1 of the log made it"),
        (account(1, "again"), 3, "unlike in the log"),
        (account(1, "again"), 7, "unlike in the log"),
    ] {
        check(expected, |rows| {
            let place = rows.object(&account(1, "again").key());
            let Row::Object(record) = &mut rows.rows[place] else { panic!("another row") };
            (record.value, record.revision) = (value, Revision::new(revision));
        });
    }
}

#[test]
fn what_outlived_its_account_is_found() {
    let store = eventful();
    store.compact(&retention(4), at(10)).unwrap();
    let mut rows = Rows::of(&store);
    let place = rows.object(&account(3, "three").key());
    let Row::Object(mut left) = rows.rows[0].clone() else { panic!("another row") };
    (left.value, left.revision) = (environment(2, "e9", "n"), Revision::new(1));
    rows.rows.insert(place, Row::Object(left));
    let refused = backup::verify(&rows, "rows").unwrap_err();
    assert!(refused.to_string().contains("environment `e9`"), "{refused}");
}

#[test]
fn a_log_or_audit_with_a_gap_is_found() {
    check("the end of the log", |rows| remove_last(rows, is_commit));
    check("the end of the audit", |rows| remove_last(rows, is_event));
    for (is, name) in [(is_commit as fn(&Row) -> bool, "log"), (is_event, "audit")] {
        check(&format!("revision 2 of the {name}: it follows revision 0"), |rows| {
            let place = rows.rows.iter().position(is).unwrap();
            rows.rows.remove(place);
        });
    }
    check("it holds a change of revision 5", |rows| {
        let Row::Commit(entry) = last(rows, is_commit) else { panic!("another row") };
        let crate::model::object::Change::Put(mut record) = entry.changes[0].clone() else { panic!("another row") };
        record.revision = Revision::new(5);
        entry.changes = [crate::model::object::Change::Put(record)].into();
    });
}

#[test]
fn an_event_that_tells_something_else_than_the_log_is_found() {
    for change in [
        (|event| event.actor = Actor::credential("other")) as fn(&mut crate::model::audit::AuditEvent),
        |event| event.at = at(99),
        |event| event.request = Some("other".to_owned()),
        |event| event.changes.clear(),
        |event| event.changes[0].after = None,
    ] {
        check("revision 6 of the audit: the log tells the commit otherwise", |rows| {
            let Row::Event(event) = last(rows, is_event) else { panic!("another row") };
            change(event);
        });
    }
}

#[test]
fn a_request_that_cannot_have_been_answered_so_is_found() {
    let requested = |rows: &mut Rows, id: &str| {
        rows.rows.iter().position(|row| matches!(row, Row::Request(it, _) if it == id)).unwrap()
    };
    check("request `same`: it is of revision 7, the head is 6", |rows| {
        let place = requested(rows, "same");
        let Row::Request(_, answer) = &mut rows.rows[place] else { panic!("another row") };
        answer.revision = Revision::new(7);
    });
    check("request `first`: the log has it with another digest", |rows| {
        let place = requested(rows, "first");
        let Row::Request(_, answer) = &mut rows.rows[place] else { panic!("another row") };
        answer.digest = [9; 32];
    });
}

#[test]
fn a_reference_that_leads_nowhere_is_found() {
    let bound = owned(5, 1, 1, 1).key();
    for (missing, expected) in [
        (owned(2, 1, 1, 1), "is in group"),
        (owned(0, 1, 1, 1), "is at environment `e1`"),
        (owned(3, 1, 1, 1), "binds policy"),
        (owned(4, 1, 1, 1), "is within boundary"),
    ] {
        let store = eventful();
        // Without a log, what is missing is not told by it.
        store.compact(&retention(0), at(10)).unwrap();
        let mut rows = Rows::of(&store);
        let place = rows.object(&missing.key());
        rows.rows.remove(place);
        let refused = backup::verify(&rows, "rows").unwrap_err().to_string();
        assert!(refused.contains(expected) && refused.contains("which is not there"), "{refused}");
        assert!(matches!(missing, Object::Group(..)) || !expected.contains("bind") || refused.contains(&bound.id()));
    }
}
