//! A digest is of a set: the same whatever the way to it, and another for another set.

use proptest::prelude::*;

use super::*;
use crate::model::account::{Account, Environment};
use crate::model::binding::Binding;
use crate::model::id::{BoundaryId, GroupId, PolicyId, UserId};
use crate::model::identity::{Group, GroupOwner, User, UserKind, UserState};
use crate::model::level::{BindingLevel, Level};
use crate::model::object::{Change, ObjectKey};
use crate::model::policy::{Boundary, Policy};
use crate::model::revision::Revision;
use crate::model::scope::{Environments, Scope};
use crate::model::state::{Batch, Loading, State};

const ENVIRONMENTS: [&str; 2] = ["dev", "prod"];

fn account_id(number: u8) -> AccountId {
    AccountId::from_bytes([number; 16])
}

/// An object of each noun that an account owns, of this number; `form` is what can differ in it.
fn object(account: u8, noun: u8, number: u8, form: u8) -> Object {
    let owner = account_id(account);
    let name = format!("Name {number} {form}").parse().unwrap();
    let environment: EnvironmentId = ENVIRONMENTS[usize::from(number % 2)].parse().unwrap();
    match noun {
        0 => Object::Environment(owner, Environment { id: environment, name }),
        1 => Object::Group(
            owner,
            Group {
                id: GroupId::from_bytes([number; 16]),
                name,
                description: String::new(),
                owner: GroupOwner::Local,
                federated_attribute_values: vec![form.to_string()],
            },
        ),
        2 => Object::User(
            owner,
            User {
                id: UserId::from_bytes([number; 16]),
                email: format!("{number}@example.com").parse().unwrap(),
                name: Some(name).filter(|_| form.is_multiple_of(2)),
                kind: UserKind::Service { description: form.to_string() },
                state: UserState::Active,
                groups: [GroupId::from_bytes([form; 16])].into_iter().collect(),
            },
        ),
        3 => Object::Policy(
            owner,
            Policy {
                id: PolicyId::from_bytes([number; 16]),
                // The level of a policy never changes.
                level: if number < 2 { Level::Environment(environment) } else { Level::Account },
                name,
                description: String::new(),
                tags: Vec::new(),
                statements: "ALLOW settings:schemas:read;".to_owned(),
            },
        ),
        4 => {
            let id = BoundaryId::from_bytes([number; 16]);
            Object::Boundary(owner, Boundary { id, name, query: String::new() })
        }
        _ => Object::Binding(
            owner,
            Binding {
                policy: PolicyId::from_bytes([number; 16]),
                group: GroupId::from_bytes([1; 16]),
                level: if form.is_multiple_of(2) {
                    BindingLevel::Account
                } else {
                    BindingLevel::Environment(environment)
                },
                parameters: [].into(),
                boundaries: [].into(),
                metadata: [].into(),
            },
        ),
    }
}

fn record(value: Object, revision: u64) -> Record<Object> {
    let at = jiff::Timestamp::UNIX_EPOCH;
    Record { created: at, updated: at, revision: Revision::new(revision), value }
}

fn account(number: u8) -> Change {
    let account = Account { id: account_id(number), name: "A".parse().unwrap(), strict_boundaries: false };
    Change::Put(record(Object::Account(account), 1))
}

fn apply(state: &mut State, changes: &[Change]) {
    state.apply(Revision::new(1), changes).unwrap();
}

/// What the sums of a state must be: those of a new state with the same records, in another order.
fn anew(state: &State) -> State {
    let mut records: Vec<_> = state.records().collect();
    // Owners come first; the rest backwards.
    records.sort_by_key(|record| !matches!(record.value, Object::Global(_) | Object::Account(_)));
    let owners = records.iter().take_while(|it| matches!(it.value, Object::Global(_) | Object::Account(_))).count();
    records[owners..].reverse();
    let mut other = State::default();
    let changes: Vec<_> = records.into_iter().map(Change::Put).collect();
    apply(&mut other, &changes);
    other
}

fn scopes() -> Vec<Scope> {
    let only = |ids: &[&str]| Environments::Only(ids.iter().map(|id| id.parse().unwrap()).collect());
    let of = |accounts: Vec<(u8, Environments)>| {
        Scope::of(accounts.into_iter().map(|(number, environments)| (account_id(number), environments)).collect())
    };
    vec![
        Scope::everything(),
        of(vec![(1, Environments::All)]),
        of(vec![(1, only(&["prod"]))]),
        of(vec![(1, only(&["dev", "prod"])), (2, only(&[]))]),
        of(vec![(3, Environments::All)]),
    ]
}

/// Each scope's digest is that of a state that holds the records of the scope and nothing else.
fn check_scopes(state: &State) {
    for scope in scopes() {
        let mut alone = State::default();
        let changes: Vec<_> = scope.records(state).map(Change::Put).collect();
        apply(&mut alone, &changes);
        assert_eq!(scope.digest(state.sums()), Scope::everything().digest(alone.sums()), "{scope:?}");
    }
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change =
        (1..3_u8, 0..6_u8, 0..4_u8, 0..4_u8, 0..8_u8, 1..5_u64).prop_map(|(owner, noun, number, form, what, at)| {
            match what {
                0 => Change::Delete(ObjectKey::Account(account_id(owner))),
                1 | 2 => Change::Delete(object(owner, noun, number, form).key()),
                _ => Change::Put(record(object(owner, noun, number, form), at)),
            }
        });
    proptest::collection::vec(change, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_sums_are_those_of_the_records_whatever_the_way(changes in changes()) {
        let mut state = State::default();
        for change in &changes {
            apply(&mut state, &[account(1), account(2)]);
            apply(&mut state, std::slice::from_ref(change));
        }
        let anew = anew(&state);
        prop_assert_eq!(state.sums(), anew.sums());
        check_scopes(&state);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever a batch holds twice, and whatever came before.
    #[test]
    fn a_batch_does_what_its_records_do_one_by_one(before in changes(), records in changes()) {
        let mut one_by_one = State::default();
        let owners = [account(1), account(2)];
        for change in &before {
            apply(&mut one_by_one, &owners);
            apply(&mut one_by_one, std::slice::from_ref(change));
        }
        let mut loading = Loading::default();
        loading.put(Revision::new(1), Batch::of(one_by_one.records().collect())).unwrap();
        let records = owners.into_iter().chain(records).filter_map(|change| match change {
            Change::Put(record) => Some(record),
            Change::Delete(_) => None,
        });
        let records: Vec<_> = records.collect();
        let changes: Vec<_> = records.iter().cloned().map(Change::Put).collect();
        apply(&mut one_by_one, &changes);
        loading.put(Revision::new(1), Batch::of(records)).unwrap();
        let at_once = loading.finish();
        prop_assert_eq!(at_once.sums(), one_by_one.sums());
        prop_assert!(at_once.records().eq(one_by_one.records()));
        for (account, number) in [1, 2].into_iter().flat_map(|account| (0..4).map(move |number| (account, number))) {
            let found = |state: &State| {
                let owned = state.account(account_id(account)).unwrap();
                owned.user_by_email(&format!("{number}@example.com")).map(|row| row.record())
            };
            prop_assert_eq!(found(&at_once), found(&one_by_one));
        }
        check_scopes(&at_once);
    }
}

fn digest_of(value: Object, revision: u64) -> Digest {
    let mut sums = Sums::default();
    sums.replace(None, Some(&record(value, revision)));
    sums.whole().digest()
}

#[test]
fn whatever_differs_in_a_record_differs_in_its_digest() {
    let mut seen = std::collections::HashMap::new();
    for (noun, number, form) in (0..6).flat_map(|noun| (0..4).flat_map(move |n| (0..2).map(move |f| (noun, n, f)))) {
        for revision in [1, 2] {
            let value = object(1, noun, number, form);
            let digest = digest_of(value.clone(), revision);
            if let Some(other) = seen.insert(digest, (value.clone(), revision)) {
                assert_eq!(other, (value, revision), "two records of one digest");
            }
        }
    }
    assert!(seen.len() > 80, "{}", seen.len());
}

/// Whether a record is in a set once or twice is another set, and none is a set too.
#[test]
fn how_often_a_record_is_there_counts() {
    let one = record(object(1, 1, 1, 1), 1);
    let mut sums = Sums::default();
    let mut seen = vec![sums.whole().digest()];
    for _ in 0..3 {
        sums.replace(None, Some(&one));
        seen.push(sums.whole().digest());
    }
    seen.sort_by_key(|digest| *digest.as_bytes());
    seen.dedup();
    assert_eq!(seen.len(), 4);
    for _ in 0..3 {
        sums.replace(Some(&one), None);
    }
    assert_eq!(sums.whole(), Sums::default().whole());
}

/// Sidecars of other versions compare digests: the form of a record is the same for ever.
#[test]
fn the_digest_of_a_known_state_is_what_it_always_was() {
    let mut state = State::default();
    apply(&mut state, &[account(1)]);
    let objects = (0..6).flat_map(|noun| (0..3).map(move |number| object(1, noun, number, number)));
    let changes: Vec<_> = objects.map(|value| Change::Put(record(value, 3))).collect();
    apply(&mut state, &changes);
    assert_eq!(
        state.sums().whole().digest().to_string(),
        "7e7787a2410b03614f51563836dff396d12802e9ed4c7ece8287c6b546f6fcc0"
    );
}
