//! Plans into a store in memory.

use std::cell::Cell;
use std::sync::Arc;

use super::{account_fields, group_fields};
use crate::iam::account::NewAccount;
use crate::iam::{Done, Iam, IamError, Plan, Rejection, account, group};
use crate::model::id::{AccountId, GroupId};
use crate::model::mutation::{Actor, RequestIdentity};
use crate::model::revision::Revision;
use crate::model::state::State;
use crate::store::api::StoreError;
use crate::store::memory;

fn iam() -> Iam {
    Iam::new(Arc::new(memory::open().unwrap()), Arc::new(|| jiff::Timestamp::UNIX_EPOCH))
}

fn run(iam: &Iam, plan: impl Fn(&State) -> Result<Plan, Rejection>) -> Result<Done, IamError> {
    iam.execute(Actor::system(), None, plan)
}

fn new_account(iam: &Iam) -> AccountId {
    let id = AccountId::random();
    let new =
        NewAccount { id, all_users: GroupId::random(), default_groups: Vec::new(), fields: account_fields("Example") };
    run(iam, |state| account::create(state, new.clone())).unwrap();
    id
}

#[test]
fn the_answer_is_the_record_after_the_commit() {
    let iam = iam();
    let id = new_account(&iam);
    let group = GroupId::random();
    let done = run(&iam, |state| group::create(state, id, group, group_fields("ops"))).unwrap();
    let record = done.record.unwrap();
    assert_eq!((record.revision, done.token.revision), (Revision::new(2), Revision::new(2)));
    assert_eq!((record.value.key(), done.changed, done.replayed), (done.subject, true, false));
    let done = run(&iam, |state| group::delete(state, id, group, None, false)).unwrap();
    assert!(done.changed && done.record.is_none());
}

#[test]
fn what_changes_nothing_makes_no_revision() {
    let iam = iam();
    let id = new_account(&iam);
    let done = run(&iam, |state| account::update(state, id, None, account_fields("Example"))).unwrap();
    assert!(!done.changed && done.record.is_some());
    assert_eq!(done.token.revision, Revision::new(1));
}

#[test]
fn a_refusal_reaches_the_caller_and_changes_nothing() {
    let iam = iam();
    let refused = run(&iam, |state| account::delete(state, AccountId::random(), None, true));
    assert!(matches!(refused, Err(IamError::Rejected(Rejection::NotFound { noun: "account", .. }))));
    assert_eq!(iam.store().state().revision, Revision::ZERO);
}

#[test]
fn a_repeated_request_is_answered_without_planning_again() {
    let iam = iam();
    let id = new_account(&iam);
    let request = |digest| Some(RequestIdentity { id: "r1".to_owned(), digest: [digest; 32] });
    let group = GroupId::random();
    let plan = |state: &State| group::create(state, id, group, group_fields("ops"));
    let first = iam.execute(Actor::system(), request(1), plan).unwrap();
    // Planned again, it would be refused: the group is there.
    let second = iam.execute(Actor::system(), request(1), plan).unwrap();
    assert!(second.replayed && !second.changed);
    assert_eq!((second.token, second.record), (first.token, first.record));
    let other = iam.execute(Actor::system(), request(2), plan);
    assert!(matches!(other, Err(IamError::Store(StoreError::RequestIdReused { .. }))));
}

#[test]
fn a_plan_that_was_overtaken_is_made_again_at_the_new_head() {
    let iam = iam();
    let id = new_account(&iam);
    let plans = Cell::new(0);
    let done = run(&iam, |state| {
        plans.set(plans.get() + 1);
        if plans.get() == 1 {
            new_account(&iam);
        }
        group::create(state, id, GroupId::random(), group_fields("ops"))
    });
    assert_eq!((plans.get(), done.unwrap().token.revision), (2, Revision::new(3)));
}

#[test]
fn a_plan_that_is_always_overtaken_ends_in_an_error() {
    let iam = iam();
    let id = new_account(&iam);
    let contended = run(&iam, |state| {
        new_account(&iam);
        group::create(state, id, GroupId::random(), group_fields("ops"))
    });
    assert!(matches!(contended, Err(IamError::Contended)));
}
