//! What only a store in etcd can be like while it is read.

use std::cell::Cell;

use super::super::super::backup;
use super::super::super::format::row;
use super::super::super::tests::etcd::Prefix;
use super::super::super::tests::support::etcd::{Cluster, Options};
use super::super::super::tests::verify::{Rows, eventful_in};
use super::super::super::tests::{account, account_id, commit, environment, furnished, mutation, owned, puts, request};
use super::super::super::{api::Store as _, plan::plan};
use super::super::write::Draft;
use super::super::{EtcdStore, restore};
use super::*;
use crate::model::mutation::{Edit, Mutation};
use crate::model::object::{Object, ObjectKey};

fn reader(place: &Prefix) -> EtcdReader {
    EtcdReader::open(&place.config).unwrap()
}

fn objects(rows: &Rows) -> Vec<Object> {
    let object = |row: &Row| match row {
        Row::Object(record) => Some(record.value.clone()),
        _ => None,
    };
    rows.rows.iter().filter_map(object).collect()
}

/// Takes rows, and does something when the head is told.
struct Disturbing<'d> {
    rows: Rows,
    disturb: &'d dyn Fn(),
}

impl Sink for Disturbing<'_> {
    fn head(&mut self, head: &Head) -> Result<(), DumpError> {
        (self.disturb)();
        self.rows.head(head)
    }

    fn row(&mut self, row: Row) -> Result<(), DumpError> {
        self.rows.row(row)
    }
}

#[test]
fn what_is_committed_meanwhile_is_not_told() {
    let Some(place) = Prefix::new() else { return };
    let store = eventful_in(&place);
    let before = Rows::of(&reader(&place));
    let forms = Cell::new(10_u8);
    let disturb = || {
        let form = forms.replace(forms.get() + 1);
        let edits = vec![Edit::Put(account(form, "new")), Edit::Delete(ObjectKey::Account(account_id(form - 1)))];
        let named = mutation(store.state().revision, edits);
        store.commit(Mutation { request: Some(request(&form.to_string(), 1)), ..named }).unwrap();
    };
    let mut sink = Disturbing { rows: Rows::default(), disturb: &disturb };
    reader(&place).dump(&mut sink).unwrap();
    assert_eq!(sink.rows, before);
    assert_eq!(Rows::of(&reader(&place)).head.unwrap().revision, store.state().revision);
}

#[test]
fn what_etcd_compacts_meanwhile_ends_the_reading_by_name() {
    let Some(cluster) = Cluster::start(Options::SINGLE) else { return };
    let config = EtcdConfig::new(cluster.endpoints(), "/d/");
    let store = EtcdStore::open(&config).unwrap();
    commit(&store, puts([account(1, "one")])).unwrap();
    let disturb = || {
        let head_mod = commit(&store, puts([account(1, "two")])).map(|_| store.replica.stand().head_mod).unwrap();
        cluster.ctl(&["compaction", &head_mod.to_string()]);
    };
    let mut sink = Disturbing { rows: Rows::default(), disturb: &disturb };
    let refused = EtcdReader::open(&config).unwrap().dump(&mut sink).unwrap_err();
    assert!(matches!(&refused, DumpError::Compacted { place } if place.ends_with(" /d/")), "{refused:?}");
    assert!(!refused.is_damage() && refused.to_string().contains("--auto-compaction-retention"), "{refused}");
    backup::verify(&EtcdReader::open(&config).unwrap(), "it").unwrap();
}

#[test]
fn a_commit_whose_objects_are_not_all_written_is_told_whole() {
    let Some(place) = Prefix::new() else { return };
    drop(furnished(&place));
    let store = place.open_replica();
    let edits = puts((0..300).map(|number| environment(1, &format!("many{number}"), "n")))
        .into_iter()
        .chain([Edit::Delete(owned(1, 1, 1, 1).key())]);
    let stand = store.replica.stand();
    let step = plan(&stand.state, &mutation(stand.state.revision, edits.collect())).unwrap().unwrap();
    let draft = Draft { commit: uuid::Uuid::new_v4(), entry: &step.entry, audit: &step.audit, answered: None };
    store.wait(store.replica.write(&draft, stand.head_mod)).unwrap();
    let expected: Vec<_> = step.state.records().map(|record| record.value).collect();
    let rows = Rows::of(&reader(&place));
    assert_eq!((objects(&rows), rows.head.unwrap().revision), (expected, step.state.revision));
    backup::verify(&reader(&place), "it").unwrap();
}

#[test]
fn large_commits_go_through_a_backup() {
    let Some((place, other)) = Prefix::new().zip(Prefix::new()) else { return };
    let store = furnished(&place);
    let name = "x".repeat(200);
    let many = (0..1_500).map(|number| environment(1, &format!("many{number}"), &name));
    commit(&*store, puts(many)).unwrap();
    let rows = Rows::of(&reader(&place));
    restore(&reader(&place), &other.config).unwrap();
    assert_eq!(Rows::of(&reader(&other)).rows, rows.rows);
    let again = other.open_replica();
    assert_eq!(again.changes_after(Revision::ZERO, 9).unwrap(), store.changes_after(Revision::ZERO, 9).unwrap());
    assert_eq!(again.audit_after(Revision::ZERO, 9).unwrap(), store.audit_after(Revision::ZERO, 9).unwrap());
}

#[test]
fn each_key_that_is_lost_is_found() {
    let object = format!("objects/{}", row(&owned(1, 1, 1, 1).key()));
    for (lost, expected) in [
        ("head", "head"),
        ("log/00000000000000000003", "revision 4 of the log: it follows revision 2"),
        ("log/00000000000000000006", "the end of the log: it ends at revision 5"),
        ("audit/00000000000000000001", "revision 2 of the audit: it follows revision 0"),
        ("audit/00000000000000000006", "the end of the audit: it ends at revision 5"),
        ("requests/first", "the times of the requests"),
        ("request-times/", "the times of the requests"),
        (&object, "the log leaves"),
        ("objects/0", "the log leaves"),
    ] {
        let Some(place) = Prefix::new() else { return };
        drop(eventful_in(&place));
        place.member.ctl(&["del", "--prefix", &format!("{}{lost}", place.config.prefix)]);
        let refused = backup::verify(&reader(&place), "it").unwrap_err();
        assert!(refused.is_damage() && refused.to_string().contains(expected), "{lost}: {refused}");
    }
}

#[test]
fn an_audit_whose_start_was_never_written_down_starts_at_its_first_event() {
    for gone in [0, 2, 6] {
        let Some(place) = Prefix::new() else { return };
        drop(eventful_in(&place));
        // As an older version made it, and compacted it.
        let key = |name: &str| format!("{}{name}", place.config.prefix);
        place.member.ctl(&["del", &key("audit-start")]);
        for revision in 1..=gone {
            place.member.ctl(&["del", &key(&format!("audit/{revision:020}"))]);
        }
        let verified = backup::verify(&reader(&place), "it").unwrap();
        assert_eq!((verified.head.audit_start, verified.counts.events), (Revision::new(gone), 6 - gone));
    }
}

#[test]
fn a_store_that_came_in_the_place_of_another_is_told_by_neither() {
    let Some((place, source)) = Prefix::new().zip(Prefix::new()) else { return };
    drop(eventful_in(&place));
    drop(eventful_in(&source));
    let (store, reading) = (place.open_replica(), reader(&place));
    place.member.ctl(&["del", "--prefix", &place.config.prefix]);
    for expected in ["meta: it is gone", "came in the place of"] {
        for dump in [&store as &dyn Dump, &reading] {
            let refused = backup::verify(dump, "it").unwrap_err();
            let DumpError::Store(StoreError::Damaged { row, source, .. }) = &refused else { panic!("{refused:?}") };
            assert!(format!("{row}: {source}").contains(expected), "{refused:?}");
        }
        if expected.starts_with("meta") {
            restore(&reader(&source), &place.config).unwrap();
        }
    }
    backup::verify(&reader(&place), "it").unwrap();
}

/// Deletes a place, and then tells what is in another one.
struct Deleting<'t>(EtcdReader, &'t Prefix);

impl Dump for Deleting<'_> {
    fn dump(&self, sink: &mut dyn Sink) -> Result<(), DumpError> {
        self.1.member.ctl(&["del", "--prefix", &self.1.config.prefix]);
        self.0.dump(sink)
    }
}

#[test]
fn a_restoration_that_somebody_disturbs_is_given_up() {
    let Some((place, source)) = Prefix::new().zip(Prefix::new()) else { return };
    drop(eventful_in(&source));
    let refused = restore(&Deleting(reader(&source), &place), &place.config).unwrap_err();
    assert!(refused.to_string().contains("was changed meanwhile"), "{refused}");
    let left = place.member.ctl(&["get", "--prefix", "--keys-only", &place.config.prefix]);
    assert_eq!(left.trim(), "", "what is not its own is not touched, and nothing was written");
}
