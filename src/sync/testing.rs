//! What the tests of this room share: a store with something in it, and its states as events.

use crate::compile::shipped_global;
use crate::model::account::{Account, Environment};
use crate::model::binding::Binding;
use crate::model::id::{AccountId, BoundaryId, GroupId, PolicyId, UserId};
use crate::model::identity::{Group, GroupOwner, User, UserKind, UserState};
use crate::model::level::{BindingLevel, Level};
use crate::model::mutation::{Actor, Edit, Mutation};
use crate::model::object::{Object, ObjectKey, Record};
use crate::model::policy::{Boundary, Policy};
use crate::model::revision::{Revision, StoreId};
use crate::model::state::State;
use crate::proto::doorward as pb;
use crate::proto::doorward::watch_response::Event;
use crate::proto::object::{from_change, from_record};
use crate::store::api::Store;

/// The store that events come from where it does not matter.
pub(super) fn store_id() -> StoreId {
    "7f1c2c1e3a524b7c9a510d2f6f3b8e44".parse().unwrap()
}

pub(super) fn account_id(number: u8) -> AccountId {
    AccountId::from_bytes([number; 16])
}

pub(super) fn global() -> Object {
    Object::Global(shipped_global())
}

pub(super) fn account(number: u8, name: &str) -> Object {
    Object::Account(Account { id: account_id(number), name: name.parse().unwrap(), strict_boundaries: false })
}

pub(super) fn environment(owner: u8, id: &str, name: &str) -> Object {
    let environment = Environment { id: id.parse().unwrap(), name: name.parse().unwrap() };
    Object::Environment(account_id(owner), environment)
}

pub(super) fn group(owner: u8, number: u8) -> Object {
    let group = Group {
        id: GroupId::from_bytes([number; 16]),
        name: format!("group {number}").parse().unwrap(),
        description: String::new(),
        owner: GroupOwner::Local,
        federated_attribute_values: Vec::new(),
    };
    Object::Group(account_id(owner), group)
}

pub(super) fn user(owner: u8, number: u8, state: UserState) -> Object {
    let user = User {
        id: UserId::from_bytes([number; 16]),
        email: format!("{number}@example.com").parse().unwrap(),
        name: None,
        kind: UserKind::Local,
        state,
        groups: [GroupId::from_bytes([1; 16])].into_iter().collect(),
    };
    Object::User(account_id(owner), user)
}

pub(super) fn policy(owner: u8, number: u8, statements: &str) -> Object {
    let policy = Policy {
        id: PolicyId::from_bytes([number; 16]),
        level: Level::Account,
        name: format!("policy {number}").parse().unwrap(),
        description: String::new(),
        tags: Vec::new(),
        statements: statements.to_owned(),
    };
    Object::Policy(account_id(owner), policy)
}

pub(super) fn boundary(owner: u8, number: u8, query: &str) -> Object {
    let name = format!("boundary {number}").parse().unwrap();
    let boundary = Boundary { id: BoundaryId::from_bytes([number; 16]), name, query: query.to_owned() };
    Object::Boundary(account_id(owner), boundary)
}

/// Binds policy `number` to group 1.
pub(super) fn binding(owner: u8, number: u8) -> Object {
    bound(owner, number, [])
}

/// Binds policy `number` to group 1 within boundaries.
pub(super) fn bound<const N: usize>(owner: u8, number: u8, boundaries: [u8; N]) -> Object {
    let binding = Binding {
        policy: PolicyId::from_bytes([number; 16]),
        group: GroupId::from_bytes([1; 16]),
        level: BindingLevel::Account,
        parameters: [].into(),
        boundaries: boundaries.into_iter().map(|number| BoundaryId::from_bytes([number; 16])).collect(),
        metadata: [].into(),
    };
    Object::Binding(account_id(owner), binding)
}

/// An account in which user 1 may read schemas, through policy 1.
pub(super) fn furnished() -> Vec<Object> {
    vec![
        global(),
        account(1, "one"),
        environment(1, "prod", "Production"),
        group(1, 1),
        user(1, 1, UserState::Active),
        policy(1, 1, "ALLOW settings:schemas:read;"),
        binding(1, 1),
    ]
}

/// Commits at the head.
pub(super) fn commit(store: &dyn Store, edits: Vec<Edit>) -> Revision {
    let subject = edits.first().map_or(ObjectKey::Global, Edit::key);
    let expected = store.state().revision;
    let at = jiff::Timestamp::UNIX_EPOCH;
    store.commit(Mutation { actor: Actor::system(), at, expected, request: None, subject, edits }).unwrap().revision
}

pub(super) fn puts(objects: impl IntoIterator<Item = Object>) -> Vec<Edit> {
    objects.into_iter().map(Edit::Put).collect()
}

/// A state with these objects at `revision`.
pub(super) fn state(revision: u64, objects: Vec<Object>) -> State {
    let at = jiff::Timestamp::UNIX_EPOCH;
    let revision = Revision::new(revision);
    let record = |value| crate::model::object::Change::Put(Record { created: at, updated: at, revision, value });
    let mut state = State::default();
    let changes: Vec<_> = objects.into_iter().map(record).collect();
    state.apply(revision, &changes).unwrap();
    state
}

/// Everything a state holds.
pub(super) fn contents(state: &State) -> (Revision, Vec<Record<Object>>) {
    (state.revision, state.records().collect())
}

pub(super) fn event(event: Event) -> pb::WatchResponse {
    pb::WatchResponse { event: Some(event), age: None }
}

/// A state as a reset in chunks of `size` objects.
pub(super) fn chunks(store: StoreId, state: &State, size: usize) -> Vec<pb::Reset> {
    let objects: Vec<_> = state.records().map(|record| from_record(&record)).collect();
    let parts: Vec<_> = objects.chunks(size).collect();
    let end = parts.len().saturating_sub(1);
    let chunk = |(number, part): (usize, &&[pb::Object])| pb::Reset {
        store_id: store.to_string(),
        revision: state.revision.get(),
        first: number == 0,
        last: number == end,
        objects: part.to_vec(),
        digest: digest(state),
        signature: Vec::new(),
    };
    parts.iter().enumerate().map(chunk).collect()
}

/// A state as a reset of one chunk.
pub(super) fn reset(store: StoreId, state: &State) -> pb::WatchResponse {
    event(Event::Reset(chunks(store, state, usize::MAX).remove(0)))
}

/// The digest of everything in a state.
pub(super) fn digest(state: &State) -> Vec<u8> {
    state.sums().whole().digest().as_bytes().to_vec()
}

/// Each commit after the state `before` as a change.
pub(super) fn changes(store: &dyn Store, before: &State) -> Vec<pb::WatchResponse> {
    let mut state = before.clone();
    let change = |entry: &crate::store::api::LogEntry| {
        let after = state.revision.get();
        state.apply(entry.revision, entry.changes.iter()).unwrap();
        pb::Change {
            revision: entry.revision.get(),
            changes: entry.changes.iter().map(from_change).collect(),
            after,
            digest: digest(&state),
            time: None,
            signature: Vec::new(),
        }
    };
    let entries = store.changes_after(before.revision, usize::MAX).unwrap();
    entries.iter().map(change).map(|change| event(Event::Change(change))).collect()
}

/// The change to `revision` of a state that was [`furnished`] at the revision `made`.
pub(super) fn change(revision: u64, made: u64, changes: Vec<pb::ObjectChange>) -> pb::Change {
    let digest = digest(&state(made, furnished()));
    pb::Change { revision, changes, after: revision.saturating_sub(1), digest, time: None, signature: Vec::new() }
}

/// A commit that changes nothing, which a store would not make but a stream may carry.
pub(super) fn empty_change(revision: u64, made: u64) -> pb::WatchResponse {
    event(Event::Change(change(revision, made, Vec::new())))
}

/// A heartbeat at `revision` of a state that was [`furnished`] at the revision `made`.
pub(super) fn heartbeat(revision: u64, made: u64) -> pb::WatchResponse {
    let digest = digest(&state(made, furnished()));
    event(Event::Heartbeat(pb::Heartbeat { revision, time: None, digest, age: None, signature: Vec::new() }))
}
