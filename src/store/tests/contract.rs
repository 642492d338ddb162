//! The sentences of the contract, each on every engine.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;

use super::super::api::{CommitEffect, Store, StoreError};
use super::{Place, account, account_id, at, commit, contents, environment, furnished, mutation, owned, puts, request};
use crate::model::credential::{CredentialRecord, CredentialRole};
use crate::model::level::Level;
use crate::model::mutation::{Edit, Mutation};
use crate::model::object::{Change, Object, ObjectKey};
use crate::model::policy::Policy;
use crate::model::revision::Revision;
use crate::model::state::ChangeRejected;

super::on_every_engine! {
    a_new_store_is_empty_and_keeps_its_id,
    another_head_is_a_conflict_and_writes_nothing,
    a_commit_is_visible_stamped_and_logged,
    a_commit_survives_reopening,
    a_replaced_object_keeps_when_it_was_created,
    an_edit_that_changes_nothing_is_dropped,
    a_mutation_that_changes_nothing_makes_no_revision,
    edits_are_judged_in_order,
    names_can_be_swapped_in_one_commit,
    an_edit_that_does_not_fit_changes_nothing,
    an_account_takes_with_it_what_it_owns,
    a_policy_stays_at_its_level,
    the_log_is_read_in_order_and_within_its_limit,
    every_acknowledged_commit_is_in_the_log_once,
    a_repeated_request_gets_its_first_answer,
    a_repeated_request_is_answered_before_a_conflict,
    a_request_that_changed_nothing_is_recorded,
    a_request_id_with_another_digest_is_refused,
    a_request_that_failed_is_not_recorded,
    watchers_are_woken_by_changes_only,
    credentials_are_kept_and_never_logged,
}

fn a_new_store_is_empty_and_keeps_its_id(place: &dyn Place) {
    let store = place.open();
    assert_eq!(contents(&store.state()), (Revision::ZERO, Vec::new()));
    assert_eq!(store.changes_after(Revision::ZERO, 10).unwrap(), []);
    let id = store.id();
    drop(store);
    assert_eq!(place.open().id(), id);
}

fn another_head_is_a_conflict_and_writes_nothing(place: &dyn Place) {
    let store = furnished(place);
    let before = contents(&store.state());
    for expected in [0, 2, u64::MAX] {
        let refused = store.commit(mutation(Revision::new(expected), puts([account(3, "three")])));
        assert!(matches!(refused, Err(StoreError::Conflict { head }) if head == Revision::new(1)), "{refused:?}");
    }
    assert_eq!(contents(&store.state()), before);
    assert_eq!(store.changes_after(Revision::new(1), 10).unwrap(), []);
}

fn a_commit_is_visible_stamped_and_logged(place: &dyn Place) {
    let store = furnished(place);
    let edit = mutation(Revision::new(1), puts([environment(1, "new", "n")]));
    let committed = store.commit(edit.clone()).unwrap();
    assert_eq!((committed.revision, committed.effect), (Revision::new(2), CommitEffect::Changed));
    assert_eq!(committed.subject, edit.subject);

    let record = store.state().record(&edit.subject).unwrap();
    assert_eq!((record.created, record.updated, record.revision), (at(1), at(1), Revision::new(2)));
    assert_eq!(*committed.changes, [Change::Put(record)]);

    let log = store.changes_after(Revision::new(1), 10).unwrap();
    assert_eq!(log.len(), 1);
    assert_eq!((log[0].revision, log[0].at, &log[0].actor), (Revision::new(2), at(1), &edit.actor));
    assert_eq!((&log[0].subject, &log[0].changes, &log[0].request), (&edit.subject, &committed.changes, &None));
}

fn a_commit_survives_reopening(place: &dyn Place) {
    let store = furnished(place);
    let (before, log) = (contents(&store.state()), store.changes_after(Revision::ZERO, 10).unwrap());
    drop(store);
    let store = place.open();
    assert_eq!(contents(&store.state()), before);
    assert_eq!(store.changes_after(Revision::ZERO, 10).unwrap(), log);
}

fn a_replaced_object_keeps_when_it_was_created(place: &dyn Place) {
    let store = furnished(place);
    commit(&*store, puts([account(1, "another")])).unwrap();
    let stamps = |store: &dyn Store| {
        let record = store.state().record(&ObjectKey::Account(account_id(1))).unwrap();
        (record.created, record.updated, record.revision)
    };
    assert_eq!(stamps(&*store), (at(0), at(1), Revision::new(2)));
    commit(&*store, vec![Edit::Delete(ObjectKey::Account(account_id(1))), Edit::Put(account(1, "again"))]).unwrap();
    assert_eq!(stamps(&*store), (at(2), at(2), Revision::new(3)));
}

fn an_edit_that_changes_nothing_is_dropped(place: &dyn Place) {
    let store = furnished(place);
    let gone = environment(1, "nowhere", "n").key();
    let edits = vec![Edit::Put(account(1, "one")), Edit::Delete(gone), Edit::Put(account(2, "changed"))];
    let committed = commit(&*store, edits).unwrap();
    assert_eq!(committed.changes.iter().map(Change::key).collect::<Vec<_>>(), [ObjectKey::Account(account_id(2))]);
    assert_eq!(store.state().record(&ObjectKey::Account(account_id(1))).unwrap().revision, Revision::new(1));
}

fn a_mutation_that_changes_nothing_makes_no_revision(place: &dyn Place) {
    let store = furnished(place);
    let before = contents(&store.state());
    let everything = before.1.iter().map(|record| Edit::Put(record.value.clone())).collect();
    for edits in [Vec::new(), everything, vec![Edit::Delete(ObjectKey::Account(account_id(9)))]] {
        let committed = commit(&*store, edits).unwrap();
        assert_eq!((committed.revision, committed.effect), (Revision::new(1), CommitEffect::Unchanged));
        assert_eq!(*committed.changes, []);
    }
    assert_eq!(contents(&store.state()), before);
    assert_eq!(store.changes_after(Revision::new(1), 10).unwrap(), []);
}

fn edits_are_judged_in_order(place: &dyn Place) {
    let store = furnished(place);
    let edits = puts([account(1, "passing"), account(1, "one"), account(3, "three"), environment(3, "e", "n")]);
    let committed = commit(&*store, edits).unwrap();
    assert_eq!(committed.changes.len(), 4);
    drop(store);
    let state = place.open().state();
    assert_eq!(state.account(account_id(1)).unwrap().account.value.name.as_str(), "one");
    assert_eq!(state.account(account_id(3)).unwrap().environments.len(), 1);
}

fn names_can_be_swapped_in_one_commit(place: &dyn Place) {
    let store = furnished(place);
    let boundary = |number, form| owned(4, 1, number, form);
    let named = |store: &dyn Store, name: &str| {
        let found = store.state().account(account_id(1)).unwrap().boundary_by_name(name).unwrap().clone();
        Object::Boundary(account_id(1), found.value.clone())
    };
    commit(&*store, puts([boundary(2, 2)])).unwrap();
    commit(&*store, puts([boundary(1, 2), boundary(2, 1)])).unwrap();
    assert_eq!((named(&*store, "n2"), named(&*store, "n1")), (boundary(1, 2), boundary(2, 1)));
    drop(store);
    let store = place.open();
    assert_eq!((named(&*store, "n2"), named(&*store, "n1")), (boundary(1, 2), boundary(2, 1)));
}

fn an_edit_that_does_not_fit_changes_nothing(place: &dyn Place) {
    let store = furnished(place);
    let before = contents(&store.state());
    for last in [Edit::Put(environment(9, "e", "n")), Edit::Delete(ObjectKey::Global)] {
        let refused = commit(&*store, vec![Edit::Put(account(3, "three")), last]);
        assert!(matches!(refused, Err(StoreError::Rejected { .. })), "{refused:?}");
    }
    assert_eq!(contents(&store.state()), before);
    drop(store);
    assert_eq!(contents(&place.open().state()), before);
}

fn an_account_takes_with_it_what_it_owns(place: &dyn Place) {
    let store = furnished(place);
    let other = store.state().account(account_id(2)).unwrap().account.clone();
    commit(&*store, vec![Edit::Delete(ObjectKey::Account(account_id(1)))]).unwrap();
    let live = contents(&store.state());
    assert!(live.1.iter().all(|record| record.value.key().account() != Some(account_id(1))));
    assert_eq!(live.1.len(), 1 + 1 + usize::from(super::OWNED));
    drop(store);
    let store = place.open();
    assert_eq!(contents(&store.state()), live);
    assert_eq!(store.state().account(account_id(2)).unwrap().account, other);
    commit(&*store, puts([account(1, "back")])).unwrap();
    drop(store);
    assert!(place.open().state().account(account_id(1)).unwrap().users.is_empty());
}

fn a_policy_stays_at_its_level(place: &dyn Place) {
    let store = furnished(place);
    let Object::Policy(owner, policy) = owned(3, 1, 1, 1) else { panic!("no policy") };
    let moved = Object::Policy(owner, Policy { level: Level::Account, ..policy });
    let refused = commit(&*store, puts([moved.clone()]));
    let Err(StoreError::Rejected { source, .. }) = refused else { panic!("{refused:?}") };
    assert!(matches!(source, ChangeRejected::LevelChanged { .. }), "{source:?}");
    assert_eq!(store.state().revision, Revision::new(1));
    commit(&*store, vec![Edit::Delete(moved.key()), Edit::Put(moved.clone())]).unwrap();
    drop(store);
    assert_eq!(place.open().state().record(&moved.key()).unwrap().value, moved);
}

fn the_log_is_read_in_order_and_within_its_limit(place: &dyn Place) {
    let store = furnished(place);
    for number in 3..8 {
        commit(&*store, puts([account(number, "n")])).unwrap();
    }
    let check = |after: u64, limit: usize, expected: &[u64]| {
        let log = store.changes_after(Revision::new(after), limit).unwrap();
        assert_eq!(log.iter().map(|entry| entry.revision.get()).collect::<Vec<_>>(), expected, "{after} {limit}");
    };
    check(0, 100, &[1, 2, 3, 4, 5, 6]);
    check(2, 2, &[3, 4]);
    check(5, 1, &[6]);
    check(0, 0, &[]);
    check(6, 10, &[]);
    check(7, 10, &[]);
    check(u64::MAX, usize::MAX, &[]);
}

fn every_acknowledged_commit_is_in_the_log_once(place: &dyn Place) {
    const WRITERS: u8 = 8;
    const COMMITS: u8 = 6;
    let store: Arc<dyn Store> = Arc::from(furnished(place));
    let write = |writer: u8| {
        let store = Arc::clone(&store);
        move || (0..COMMITS).map(|n| insist(&*store, &owned(1, 1, 10 + writer, 10 + writer * COMMITS + n))).collect()
    };
    let writers: Vec<_> = (0..WRITERS).map(|writer| thread::spawn(write(writer))).collect();
    let acknowledged: Vec<Vec<(Revision, Object)>> = writers.into_iter().map(|it| it.join().unwrap()).collect();
    let acknowledged: BTreeSet<_> =
        acknowledged.into_iter().flatten().map(|(at, it)| (at, format!("{it:?}"))).collect();

    let log = store.changes_after(Revision::new(1), usize::MAX).unwrap();
    assert!(log.iter().map(|entry| entry.revision.get()).eq(2..=log.len() as u64 + 1));
    let logged = log.iter().map(|entry| match &*entry.changes {
        [Change::Put(record)] => (entry.revision, format!("{:?}", record.value)),
        other => panic!("{other:?}"),
    });
    assert_eq!(logged.collect::<BTreeSet<_>>(), acknowledged);
    assert_eq!(log.len(), usize::from(WRITERS * COMMITS));
}

/// Commits until there is no conflict, and sees what it committed.
fn insist(store: &dyn Store, object: &Object) -> (Revision, Object) {
    loop {
        match commit(store, puts([object.clone()])) {
            Err(StoreError::Conflict { head }) => assert!(head <= store.state().revision),
            other => {
                let revision = other.unwrap().revision;
                assert!(store.state().revision >= revision);
                return (revision, object.clone());
            }
        }
    }
}

fn requested(expected: u64, id: &str, digest: u8, edits: Vec<Edit>) -> Mutation {
    Mutation { request: Some(request(id, digest)), ..mutation(Revision::new(expected), edits) }
}

fn a_repeated_request_gets_its_first_answer(place: &dyn Place) {
    let mut store = furnished(place);
    let first = requested(1, "r", 1, puts([environment(1, "e", "n")]));
    assert_eq!(store.replay(&request("r", 1)).unwrap(), None);
    let committed = store.commit(first.clone()).unwrap();
    commit(&*store, puts([account(3, "three")])).unwrap();
    let before = contents(&store.state());
    for _ in 0..2 {
        let again = Mutation { expected: Revision::new(3), subject: ObjectKey::Global, ..first.clone() };
        for answer in [store.commit(again).unwrap(), store.replay(&request("r", 1)).unwrap().unwrap()] {
            assert_eq!((answer.revision, answer.effect), (committed.revision, CommitEffect::Replayed));
            assert_eq!(answer.subject, first.subject);
        }
        assert_eq!(contents(&store.state()), before);
        drop(store);
        store = place.open();
    }
    let logged = store.changes_after(Revision::new(1), 1).unwrap();
    assert_eq!(logged[0].request, Some(request("r", 1)));
}

fn a_repeated_request_is_answered_before_a_conflict(place: &dyn Place) {
    let store = furnished(place);
    let first = requested(1, "r", 1, puts([account(3, "three")]));
    store.commit(first.clone()).unwrap();
    assert_eq!(store.commit(first).unwrap().effect, CommitEffect::Replayed);
}

fn a_request_that_changed_nothing_is_recorded(place: &dyn Place) {
    let store = furnished(place);
    let same = requested(1, "r", 1, puts([account(1, "one")]));
    assert_eq!(store.commit(same).unwrap().effect, CommitEffect::Unchanged);
    commit(&*store, puts([account(1, "other")])).unwrap();
    drop(store);
    let store = place.open();
    let again = store.commit(requested(2, "r", 1, puts([account(1, "one")]))).unwrap();
    assert_eq!((again.revision, again.effect), (Revision::new(1), CommitEffect::Replayed));
    assert_eq!(store.state().revision, Revision::new(2));
}

fn a_request_id_with_another_digest_is_refused(place: &dyn Place) {
    let mut store = furnished(place);
    store.commit(requested(1, "r", 1, puts([account(3, "three")]))).unwrap();
    for _ in 0..2 {
        let refused = store.commit(requested(2, "r", 2, puts([account(4, "four")])));
        assert!(matches!(refused, Err(StoreError::RequestIdReused { ref id }) if id == "r"), "{refused:?}");
        assert!(matches!(store.replay(&request("r", 2)), Err(StoreError::RequestIdReused { .. })));
        assert_eq!(store.state().revision, Revision::new(2));
        drop(store);
        store = place.open();
    }
}

fn a_request_that_failed_is_not_recorded(place: &dyn Place) {
    let store = furnished(place);
    store.commit(requested(0, "r", 1, puts([account(3, "three")]))).unwrap_err();
    store.commit(requested(1, "r", 1, vec![Edit::Delete(ObjectKey::Global)])).unwrap_err();
    assert_eq!(store.replay(&request("r", 1)).unwrap(), None);
    assert_eq!(store.commit(requested(1, "r", 2, puts([account(3, "x")]))).unwrap().effect, CommitEffect::Changed);
}

fn watchers_are_woken_by_changes_only(place: &dyn Place) {
    let store = furnished(place);
    let mut head = store.watch();
    assert_eq!(*head.borrow_and_update(), Revision::new(1));
    commit(&*store, puts([account(1, "one")])).unwrap();
    store.commit(requested(1, "r", 1, Vec::new())).unwrap();
    store.commit(mutation(Revision::ZERO, Vec::new())).unwrap_err();
    store.put_credentials(&[credential("a", 1)]).unwrap();
    assert!(!head.has_changed().unwrap());
    commit(&*store, puts([account(1, "changed")])).unwrap();
    assert!(head.has_changed().unwrap());
    assert_eq!(*head.borrow_and_update(), Revision::new(2));
}

fn credential(public_id: &str, secret: u8) -> CredentialRecord {
    let public_id = public_id.to_owned();
    CredentialRecord { public_id, role: CredentialRole::Watch, secret_sha256: [secret; 32], created: at(0) }
}

fn credentials_are_kept_and_never_logged(place: &dyn Place) {
    let store = furnished(place);
    let before = contents(&store.state());
    store.put_credentials(&[credential("b", 1), credential("a", 201)]).unwrap();
    store.put_credentials(&[credential("b", 202)]).unwrap();
    drop(store);
    let store = place.open();
    let kept = store.credentials().unwrap();
    assert_eq!(kept, [credential("a", 201), credential("b", 202)]);
    assert!(!format!("{kept:?}").contains("201"), "the hash of a secret is printed");
    assert_eq!(contents(&store.state()), before);
    assert_eq!(store.changes_after(Revision::new(1), 10).unwrap(), []);
}
