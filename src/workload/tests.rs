//! The workload is what it says it is.

use std::collections::BTreeMap;

use super::{Dimensions, Random, Size, Workload};
use crate::compile::check;
use crate::lang::{parse_boundary, parse_policy};
use crate::model::catalogue::Catalogue;
use crate::model::decision::ReasonCode;
use crate::model::moment::Moment;
use crate::model::object::{Change, Object};
use crate::model::policy::Effect;
use crate::model::revision::{Revision, StoreId};
use crate::snapshot::build::Snapshot;

const NOW: Moment = Moment::from_nanoseconds(1_800_000_000_000_000_000);

fn small() -> Workload {
    Workload::new(Size::S.dimensions(), 1)
}

fn snapshot(workload: &Workload) -> Snapshot {
    Snapshot::build(StoreId::random(), &workload.state().unwrap(), None).unwrap()
}

/// A share of a hundred, rounded.
fn share(part: usize, whole: usize) -> usize {
    (part * 100 + whole / 2) / whole
}

#[track_caller]
fn about(found: usize, wanted: std::ops::RangeInclusive<usize>) {
    assert!(wanted.contains(&found), "{found} is not within {wanted:?}");
}

#[test]
fn a_seed_gives_one_workload() {
    let objects = |seed| Workload::new(Size::S.dimensions(), seed).objects().collect::<Vec<_>>();
    assert_eq!(objects(1), objects(1));
    assert_ne!(objects(1), objects(2));
    let requests = |seed| small().requests(seed).take(100).collect::<Vec<_>>();
    assert_eq!(requests(1), requests(1));
    assert_ne!(requests(1), requests(2));
}

#[test]
fn a_workload_has_as_many_objects_as_were_asked_for() {
    let dimensions = Dimensions { policies: 7, groups: 5, users: 11 };
    let workload = Workload::new(dimensions, 3);
    let state = workload.state().unwrap();
    let account = state.account(workload.account()).unwrap();
    assert_eq!((account.policies.len(), account.groups.len(), account.users.len()), (7, 5, 11));
    assert_eq!(account.catalogue.len(), 2_000);
    let nothing = Workload::new(Dimensions { policies: 0, groups: 0, users: 0 }, 3);
    assert_eq!(nothing.dimensions(), Dimensions { policies: 1, groups: 1, users: 1 });
    assert!(nothing.state().is_ok() && nothing.requests(1).nth(99).is_some());
}

#[test]
fn a_workload_has_no_more_boundaries_than_an_account_may_have() {
    let count = |policies| Workload::new(Dimensions { policies, groups: 1, users: 1 }, 3).boundaries().count();
    assert_eq!([11, 19_990, 20_000, 20_010, 100_000].map(count), [2, 1_999, 2_000, 2_000, 2_000]);
}

#[test]
fn texts_are_valid_in_the_account() {
    let workload = small();
    let mut catalogue = Catalogue::shipped().clone();
    Workload::catalogue().for_each(|entry| catalogue.extend(&entry).unwrap());
    for policy in workload.policies() {
        assert!(check::policy(&policy.statements, &catalogue).is_ok(), "{}", policy.statements);
    }
    for boundary in workload.boundaries() {
        assert!(check::boundary(&boundary.query, &catalogue).is_ok(), "{}", boundary.query);
    }
}

#[test]
fn shares_are_those_of_the_description() {
    let workload = Workload::new(Size::M.dimensions(), 1);
    let trees: Vec<_> = workload.policies().map(|policy| parse_policy(&policy.statements).ast).collect();
    assert!(trees.iter().all(|tree| (1..=20).contains(&tree.statements.len())));
    let statements: Vec<_> = trees.iter().flat_map(|tree| &tree.statements).map(|it| &it.node).collect();
    let conditional = statements.iter().filter(|it| !it.conditions.is_empty()).count();
    about(share(conditional, statements.len()), 28..=32);
    assert!(statements.iter().all(|it| it.conditions.len() <= 3));
    let denying = statements.iter().filter(|it| it.effect == Effect::Deny).count();
    about(share(denying, statements.len()), 2..=4);
    assert!(workload.users().all(|user| (1..=20).contains(&user.groups.len())));
    let bindings: Vec<_> = workload.bindings().collect();
    about(share(bindings.iter().filter(|it| !it.boundaries.is_empty()).count(), bindings.len()), 8..=12);
    about(share(bindings.iter().filter(|it| it.level.environment().is_some()).count(), bindings.len()), 36..=44);
    assert!(workload.boundaries().all(|it| (1..=3).contains(&parse_boundary(&it.query).ast.conditions.len())));
}

#[test]
fn about_seven_in_ten_requests_are_allowed() {
    for size in [Size::S, Size::M] {
        let workload = Workload::new(size.dimensions(), 1);
        let snapshot = snapshot(&workload);
        let mut codes: BTreeMap<&str, usize> = BTreeMap::new();
        for request in workload.requests(1).take(10_000) {
            let supplied = request.supplied();
            let outcome = snapshot.decide(workload.account(), &request.check(&supplied, NOW).unwrap()).unwrap();
            *codes.entry(outcome.reason().code.name()).or_default() += 1;
        }
        let of = |code: ReasonCode| codes.get(code.name()).copied().unwrap_or_default();
        about(share(of(ReasonCode::AllowStatement), 10_000), 69..=72);
        about(share(of(ReasonCode::NoMatch), 10_000), 24..=30);
        let rare = [ReasonCode::DenyStatement, ReasonCode::DenyUnknown];
        assert!(rare.into_iter().map(of).sum::<usize>() > 0, "{codes:?}");
        assert!(of(ReasonCode::UnknownSubject) > 0 && of(ReasonCode::InactiveSubject) > 0, "{codes:?}");
    }
}

#[test]
fn a_change_changes_one_object_that_is_there() {
    let workload = small();
    let mut state = workload.state().unwrap();
    let mut random = Random::new(5);
    for number in 2..50 {
        let revision = Revision::new(number);
        let before = state.clone();
        let changes = [
            workload.policy_change(&mut random, revision),
            workload.user_change(&mut random, revision),
            workload.binding_addition(&mut random, revision),
        ];
        state.apply(revision, &changes).unwrap();
        let known = |change: &Change| before.record(&change.key()).map(|record| record.value);
        let [policy, user, _] = &changes;
        assert!(matches!((known(policy), policy), (Some(Object::Policy(_, old)), Change::Put(new))
            if !matches!(&new.value, Object::Policy(_, new) if new.statements == old.statements)));
        assert!(matches!(known(user), Some(Object::User(..))));
        let removal = workload.binding_removal(&mut random);
        assert!(matches!(removal, Change::Delete(crate::model::object::ObjectKey::Binding(..))));
        state.apply(revision, [&removal]).unwrap();
        assert!(state.record(&removal.key()).is_none());
    }
    assert!(Snapshot::build(StoreId::random(), &state, None).is_ok());
}

#[test]
fn the_worst_subject_has_the_most_bindings() {
    let workload = small();
    let worst = workload.requests_of_worst(1, 1_000).next().unwrap().user;
    let number: usize = worst.trim_start_matches('u').split('@').next().unwrap().parse().unwrap();
    let bindings =
        |user| workload.groups_of_user(user).iter().map(|group| workload.bindings_of(*group).len()).sum::<usize>();
    assert!((0..1_000).all(|user| bindings(user) <= bindings(number)));
    assert!(workload.groups_of_user(number).len() > 10);
}
