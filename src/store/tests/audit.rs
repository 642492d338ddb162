//! The sentences of the contract about the audit, each on every engine.

use super::super::api::Store;
use super::{Place, account, account_id, at, commit, environment, furnished, mutation, owned, puts, request};
use crate::model::audit::AuditEvent;
use crate::model::limits::AUDITED_CHANGES;
use crate::model::mutation::{Actor, Edit, Mutation};
use crate::model::object::{Change, Object, ObjectKey, Record};
use crate::model::revision::Revision;

super::on_every_engine! {
    the_audit_tells_who_when_before_and_after,
    the_audit_tells_each_step_of_an_object_that_changes_twice,
    the_audit_tells_a_deleted_account_and_counts_what_went_with_it,
    the_audit_of_a_large_commit_tells_the_first_changes_and_counts_the_others,
    what_changed_nothing_has_no_event,
    the_audit_survives_reopening_and_is_read_in_order_within_its_limit,
    the_audit_and_the_log_agree,
}

/// The event of the newest commit.
fn newest(store: &dyn Store) -> AuditEvent {
    let head = store.state().revision;
    let mut events = store.audit_after(Revision::new(head.get() - 1), 10).unwrap();
    assert_eq!(events.len(), 1);
    events.remove(0)
}

fn values(event: &AuditEvent) -> Vec<(Option<Object>, Option<Object>)> {
    let value = |record: &Option<Record<Object>>| record.as_ref().map(|record| record.value.clone());
    event.changes.iter().map(|change| (value(&change.before), value(&change.after))).collect()
}

fn the_audit_tells_who_when_before_and_after(place: &dyn Place) {
    let store = furnished(place);
    let before = store.state().record(&account(1, "one").key());
    let edits = vec![
        Edit::Put(account(1, "renamed")),
        Edit::Put(environment(1, "new", "n")),
        Edit::Delete(environment(2, "e1", "n").key()),
    ];
    let actor = Actor::credential("somebody");
    let made = Mutation { actor: actor.clone(), request: Some(request("r", 1)), ..mutation(Revision::new(1), edits) };
    store.commit(made).unwrap();

    let event = newest(&*store);
    assert_eq!((event.revision, event.at, &event.actor), (Revision::new(2), at(1), &actor));
    assert_eq!((event.request.as_deref(), event.omitted), (Some("r"), 0));
    assert_eq!(event.changes[0].before, before);
    assert_eq!(event.changes[0].after, store.state().record(&account(1, "one").key()));
    assert_eq!(
        values(&event),
        [
            (Some(account(1, "one")), Some(account(1, "renamed"))),
            (None, Some(environment(1, "new", "n"))),
            (Some(environment(2, "e1", "n1")), None),
        ]
    );
}

fn the_audit_tells_each_step_of_an_object_that_changes_twice(place: &dyn Place) {
    let store = furnished(place);
    commit(&*store, puts([account(1, "passing"), account(1, "last")])).unwrap();
    assert_eq!(
        values(&newest(&*store)),
        [
            (Some(account(1, "one")), Some(account(1, "passing"))),
            (Some(account(1, "passing")), Some(account(1, "last"))),
        ]
    );
}

fn the_audit_tells_a_deleted_account_and_counts_what_went_with_it(place: &dyn Place) {
    let store = furnished(place);
    commit(&*store, vec![Edit::Delete(ObjectKey::Account(account_id(1)))]).unwrap();
    let event = newest(&*store);
    assert_eq!(values(&event), [(Some(account(1, "one")), None)]);
    assert_eq!(event.omitted, u64::from(super::OWNED));
}

fn the_audit_of_a_large_commit_tells_the_first_changes_and_counts_the_others(place: &dyn Place) {
    let store = furnished(place);
    let check = |count: usize, prefix: &str, told: usize, omitted: u64| {
        let made: Vec<_> = (0..count).map(|number| environment(1, &format!("{prefix}{number}"), "n")).collect();
        commit(&*store, puts(made.iter().cloned())).unwrap();
        let event = newest(&*store);
        let expected: Vec<_> = made.into_iter().take(told).map(|it| (None, Some(it))).collect();
        assert!(values(&event) == expected, "{count}");
        assert_eq!(event.omitted, omitted, "{count}");
    };
    check(AUDITED_CHANGES, "at", AUDITED_CHANGES, 0);
    check(AUDITED_CHANGES + 1, "past", AUDITED_CHANGES, 1);
}

fn what_changed_nothing_has_no_event(place: &dyn Place) {
    let store = furnished(place);
    commit(&*store, puts([account(1, "one")])).unwrap();
    commit(&*store, vec![Edit::Delete(ObjectKey::Global)]).unwrap_err();
    store.commit(mutation(Revision::ZERO, puts([account(3, "n")]))).unwrap_err();
    let first = Mutation { request: Some(request("r", 1)), ..mutation(Revision::new(1), puts([account(3, "n")])) };
    store.commit(first.clone()).unwrap();
    store.commit(first).unwrap();
    let revisions: Vec<_> = store.audit_after(Revision::ZERO, 10).unwrap().iter().map(|it| it.revision.get()).collect();
    assert_eq!(revisions, [1, 2]);
}

fn the_audit_survives_reopening_and_is_read_in_order_within_its_limit(place: &dyn Place) {
    let store = furnished(place);
    for number in 3..7 {
        commit(&*store, puts([account(number, "n")])).unwrap();
    }
    let all = store.audit_after(Revision::ZERO, 100).unwrap();
    drop(store);
    let store = place.open();
    assert_eq!(store.audit_after(Revision::ZERO, 100).unwrap(), all);
    let check = |after: u64, limit: usize, expected: &[u64]| {
        let events = store.audit_after(Revision::new(after), limit).unwrap();
        assert_eq!(events.iter().map(|event| event.revision.get()).collect::<Vec<_>>(), expected, "{after} {limit}");
    };
    check(0, 100, &[1, 2, 3, 4, 5]);
    check(2, 2, &[3, 4]);
    check(0, 0, &[]);
    check(5, 10, &[]);
    check(u64::MAX, usize::MAX, &[]);
}

fn the_audit_and_the_log_agree(place: &dyn Place) {
    let store = furnished(place);
    for round in 0..6_u8 {
        let put = owned(round, 1, 2, round);
        commit(&*store, vec![Edit::Put(put), Edit::Delete(owned(round + 1, 1, 1, 1).key())]).unwrap();
    }
    let log = store.changes_after(Revision::ZERO, 100).unwrap();
    let audit = store.audit_after(Revision::ZERO, 100).unwrap();
    assert_eq!(log.len(), audit.len());
    for (entry, event) in log.iter().zip(&audit) {
        assert_eq!((entry.revision, entry.at, &entry.actor), (event.revision, event.at, &event.actor));
        let told = event.changes.iter().map(|change| match &change.after {
            Some(record) => Change::Put(record.clone()),
            None => Change::Delete(change.key.clone()),
        });
        assert!(told.eq(entry.changes.iter().cloned()), "{}", entry.revision);
    }
}
