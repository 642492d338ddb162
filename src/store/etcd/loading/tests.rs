//! Two that load, or one that loads and one that commits.

use super::super::super::api::{Store as _, StoreError};
use super::super::super::tests::etcd::Prefix;
use super::super::super::tests::{account, commit, mutation, puts};
use super::super::client::Client;
use super::super::layout::Keys;
use super::*;
use crate::model::revision::Revision;

fn is_conflict(refused: &Result<impl std::fmt::Debug, StoreError>) -> bool {
    matches!(refused, Err(StoreError::Conflict { .. }))
}

#[test]
fn of_two_that_load_one_does_and_the_other_leaves_nothing() {
    let Some(place) = Prefix::new() else { return };
    let [first, second] = [place.open_replica(), place.open_replica()];
    assert!(first.set_loading(true).unwrap());
    assert!(!second.set_loading(true).unwrap(), "it is being loaded");
    assert!(!second.set_loading(false).unwrap(), "the mark is not its own");
    assert!(second.is_loading().unwrap());
    commit(&first, puts([account(1, "one")])).unwrap();
    commit(&first, puts([account(2, "two")])).unwrap();
    assert!(first.set_loading(false).unwrap());
    assert!(!first.is_loading().unwrap());
    assert!(!first.set_loading(false).unwrap(), "there is none any more");
}

#[test]
fn a_load_ends_where_somebody_else_commits_or_takes_its_mark() {
    let Some(place) = Prefix::new() else { return };
    let [store, other] = [place.open_replica(), place.open_replica()];
    assert!(store.set_loading(true).unwrap());
    commit(&other, puts([account(1, "other")])).unwrap();
    let refused = store.commit(mutation(Revision::ZERO, puts([account(2, "two")])));
    assert!(is_conflict(&refused), "{refused:?}");

    let mark = format!("{}loading", place.config.prefix);
    for args in [&["del", &mark][..], &["put", &mark, "another"]] {
        place.member.ctl(args);
        let refused = store.commit(mutation(Revision::new(1), puts([account(2, "two")])));
        assert!(is_conflict(&refused), "{refused:?}");
    }
    assert!(!store.set_loading(false).unwrap());
    assert!(store.is_loading().unwrap(), "the mark of another one stays");
}

#[test]
fn a_mark_is_not_set_behind_a_commit() {
    let Some(place) = Prefix::new() else { return };
    let store = place.open_replica();
    let (config, identity) = (&place.config, store.replica.identity);
    // As one that has not heard of it yet, or a try that is late.
    let late = Replica::new(Client::new(config).unwrap(), Keys::new(&config.prefix), String::new(), identity);
    late.replace(store.replica.stand(), 0).unwrap();
    commit(&store, puts([account(1, "one")])).unwrap();
    assert!(!store.wait(late.begin_load()).unwrap());
    assert!(!store.is_loading().unwrap());
}
