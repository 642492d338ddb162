//! A prefix that is emptied and given another store while a replica of the first one runs.

use super::super::super::dump::Dump;
use super::super::super::tests::verify::Rows;
use super::super::{EtcdReader, restore};
use super::*;

/// A store at revision 5, and what it held at revision 3, with or without its log.
fn grown(place: &Prefix, log: bool) -> (EtcdStore, Rows) {
    drop(furnished(place));
    let store = open(place);
    for number in 3..5 {
        commit(&store, puts([account(number, "first")])).unwrap();
    }
    if !log {
        store.compact(&Retention { commits: 0, requests: PATIENCE, audit: PATIENCE }, at(0)).unwrap();
    }
    let rows = Rows::of(&EtcdReader::open(&place.config).unwrap());
    for number in 5..7 {
        commit(&store, puts([account(number, "first")])).unwrap();
    }
    (store, rows)
}

fn empty_prefix(place: &Prefix) {
    place.member.ctl(&["del", "--prefix", &place.config.prefix]);
}

/// Empties the prefix, and makes another store of `rows` there, which somebody takes to revision 7.
fn replaced(place: &Prefix, rows: &dyn Dump) -> EtcdStore {
    empty_prefix(place);
    restore(rows, &place.config).unwrap();
    let second = open(place);
    while second.state().revision < Revision::new(7) {
        let number = 10 + u8::try_from(second.state().revision.get()).unwrap();
        commit(&second, puts([account(number, "second")])).unwrap();
    }
    second
}

/// It serves no other state than `before`, takes no commit, and says that it is not the newest.
fn check_stands_still(store: &EtcdStore, before: &(Revision, Vec<crate::model::object::Record<Object>>)) {
    let stale = Duration::from_secs(3);
    let begun = std::time::Instant::now();
    while store.staleness() < stale {
        assert_eq!(store.state().revision, before.0, "a mixture of two stores");
        assert!(begun.elapsed() < PATIENCE, "what it serves is still taken for the newest");
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(contents(&store.state()), *before);
    let refused = commit(store, puts([account(9, "mixed")])).unwrap_err();
    assert!(matches!(&refused, StoreError::Damaged { row, .. } if row == "meta"), "{refused:?}");
}

#[test]
fn a_replica_takes_nothing_of_a_store_that_came_after_its_own() {
    for log in [true, false] {
        let Some(place) = Prefix::new() else { return };
        let (store, rows) = grown(&place, log);
        let before = contents(&store.state());
        let second = replaced(&place, &rows);
        let expected = contents(&second.state());
        check_stands_still(&store, &before);
        assert_eq!(contents(&second.state()), expected);
        store.compact(&Retention { commits: 0, requests: PATIENCE, audit: PATIENCE }, at(0)).unwrap_err();
        store.put_credentials(&[credential(1)]).unwrap_err();
        drop(store);
        let third = EtcdReader::open(&place.config).unwrap();
        super::super::super::backup::verify(&third, "it").unwrap();
        assert_eq!(contents(&open(&place).state()), expected);
    }
}

#[test]
fn a_replica_that_was_cut_off_finds_another_store_by_its_identity() {
    let Some(place) = Prefix::new() else { return };
    let (store, rows) = grown(&place, true);
    let (identity, before) = (store.replica.identity, store.replica.stand());
    drop(store);
    let second = replaced(&place, &rows);
    let cut_off =
        Replica::new(Client::new(&place.config).unwrap(), Keys::new(&place.config.prefix), String::new(), identity);
    cut_off.replace(before, 0).unwrap();
    let refused = second.wait(cut_off.catch_up()).unwrap_err();
    assert!(matches!(&refused, StoreError::Damaged { row, .. } if row == "meta"), "{refused:?}");
    assert_eq!(cut_off.revision(), Revision::new(5));

    // Even at the head of the other one.
    let (stand, step) = planned(&second, puts([account(9, "mixed")]));
    let refused = second.wait(cut_off.write(&draft(&step), stand.head_mod)).unwrap_err();
    assert!(matches!(&refused, StoreError::Damaged { row, .. } if row == "meta"), "{refused:?}");
    assert_eq!(open(&place).state().revision, Revision::new(7));
}

#[test]
fn an_entry_that_is_written_again_is_no_known_one() {
    let Some(place) = Prefix::new() else { return };
    let (store, _) = grown(&place, true);
    let stand = store.replica.stand();
    assert_eq!(store.replica.met(Revision::new(5), stand.head_mod).unwrap(), Met::Known);
    let refused = store.replica.met(Revision::new(2), stand.head_mod + 1).unwrap_err();
    assert!(matches!(refused, StoreError::Damaged { .. }), "{refused:?}");
}

#[test]
fn a_prefix_that_is_emptied_is_told() {
    for lost in ["", "meta", "head"] {
        let Some(place) = Prefix::new() else { return };
        let (store, _) = grown(&place, true);
        let before = contents(&store.state());
        place.member.ctl(&["del", "--prefix", &format!("{}{lost}", place.config.prefix)]);
        let begun = std::time::Instant::now();
        while store.staleness() < Duration::from_secs(3) {
            assert!(begun.elapsed() < PATIENCE, "without `{lost}`");
            thread::sleep(Duration::from_millis(10));
        }
        commit(&store, puts([account(9, "lost")])).unwrap_err();
        assert_eq!(contents(&store.state()), before);
    }
}
