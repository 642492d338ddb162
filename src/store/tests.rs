//! The suite that every engine passes: each sentence of the contract is a named test.
//!
//! [`contract`], [`audit`], [`compaction`] and [`random`] run on every engine: one that is added is added to
//! `on_every_engine`, and to `on_every_kept_engine` of [`keeping`]. [`power`], [`files`], [`formats`] and [`corruption`] are about what a disk can do, [`verify`],
//! [`backup`] and [`incoming`] about rows, [`etcd`] about what several replicas can.

mod audit;
mod backup;
mod compaction;
mod contract;
mod corruption;
pub(super) mod etcd;
mod files;
mod formats;
mod incoming;
mod keeping;
mod power;
mod random;
pub(super) mod support;
pub(super) mod verify;

use std::sync::Arc;

use tempfile::TempDir;

use super::api::{Committed, Store, StoreError};
use super::embedded::EmbeddedStore;
use super::memory::Memory;
use crate::model::account::{Account, Environment, Global};
use crate::model::binding::Binding;
use crate::model::catalogue::CatalogueEntry;
use crate::model::id::{AccountId, BoundaryId, GroupId, PolicyId, UserId};
use crate::model::identity::{Group, GroupOwner, User, UserKind, UserState};
use crate::model::level::{BindingLevel, Level};
use crate::model::mutation::{Actor, Edit, Mutation, RequestIdentity};
use crate::model::object::{Object, ObjectKey, Record};
use crate::model::policy::{Boundary, Policy};
use crate::model::revision::Revision;
use crate::model::state::State;

/// Somewhere a store of some engine can be opened, closed and opened again. A new place holds an empty store.
pub(super) trait Place {
    /// Opens the store; whoever had it open before has dropped it.
    fn open(&self) -> Box<dyn Store>;
}

struct Folder(TempDir);

// === impl Place ===

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

impl Place for Folder {
    fn open(&self) -> Box<dyn Store> {
        Box::new(EmbeddedStore::open(self.0.path()).unwrap())
    }
}

impl Place for Memory {
    fn open(&self) -> Box<dyn Store> {
        Box::new(EmbeddedStore::over(self.clone()).unwrap())
    }
}

/// Runs each sentence on each engine.
macro_rules! on_every_engine {
    ($($sentence:ident),+ $(,)?) => {
        mod embedded {
            $(#[test] fn $sentence() { super::$sentence(&crate::store::tests::Folder::new()); })+
        }
        mod memory {
            $(#[test] fn $sentence() { super::$sentence(&crate::store::memory::Memory::new().unwrap()); })+
        }
        mod etcd {
            $(#[test] fn $sentence() {
                let Some(place) = crate::store::tests::etcd::Prefix::new() else { return };
                super::$sentence(&place);
            })+
        }
    };
}
use on_every_engine;

/// The nouns that an account owns, by number.
const OWNED: u8 = 7;

pub(super) fn at(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_700_000_000 + second).unwrap()
}

pub(super) fn account_id(number: u8) -> AccountId {
    AccountId::from_bytes([number; 16])
}

pub(super) fn account(number: u8, name: &str) -> Object {
    Object::Account(Account { id: account_id(number), name: name.parse().unwrap(), strict_boundaries: true })
}

fn global() -> Object {
    Object::Global(Global {
        language_version: 1,
        catalogue: Vec::new(),
        policies: Vec::new(),
        defaults_version: 0,
        groups: Vec::new(),
    })
}

pub(super) fn environment(owner: u8, id: &str, name: &str) -> Object {
    let environment = Environment { id: id.parse().unwrap(), name: name.parse().unwrap() };
    Object::Environment(account_id(owner), environment)
}

/// An object of noun `noun` that account `owner` owns; `form` varies its value.
pub(super) fn owned(noun: u8, owner: u8, number: u8, form: u8) -> Object {
    let (id, name) = (account_id(owner), format!("n{form}"));
    let bytes = [number; 16];
    let (group, policy) = (GroupId::from_bytes(bytes), PolicyId::from_bytes(bytes));
    match noun % OWNED {
        0 => environment(owner, &format!("e{number}"), &name),
        1 => Object::User(id, user(number, form)),
        2 => Object::Group(
            id,
            Group {
                id: group,
                name: name.parse().unwrap(),
                description: "a \"group\"\n".to_owned(),
                owner: GroupOwner::Local,
                federated_attribute_values: vec![String::new()],
            },
        ),
        3 => Object::Policy(
            id,
            Policy {
                id: policy,
                level: Level::Environment("e1".parse().unwrap()),
                name: name.parse().unwrap(),
                description: String::new(),
                tags: vec!["ü".to_owned()],
                statements: "ALLOW a:b:c;\r\n".to_owned(),
            },
        ),
        4 => Object::Boundary(
            id,
            Boundary { id: BoundaryId::from_bytes(bytes), name: name.parse().unwrap(), query: String::new() },
        ),
        5 => Object::Binding(
            id,
            Binding {
                policy,
                group,
                level: BindingLevel::Account,
                parameters: [("k".to_owned(), name)].into(),
                boundaries: [BoundaryId::from_bytes(bytes)].into(),
                metadata: [].into(),
            },
        ),
        _ => {
            let permission = format!("service:resource:{name}").parse().unwrap();
            Object::CatalogueEntry(id, CatalogueEntry { permission, conditions: Vec::new() })
        }
    }
}

fn user(number: u8, form: u8) -> User {
    let kind = match form % 2 {
        0 => UserKind::Local,
        _ => UserKind::Service { description: "runs".to_owned() },
    };
    User {
        id: UserId::from_bytes([number; 16]),
        email: format!("{form}@example.com").parse().unwrap(),
        name: Some(format!("n{form}").parse().unwrap()),
        kind,
        state: UserState::Active,
        groups: [GroupId::from_bytes([1; 16])].into_iter().collect(),
    }
}

pub(super) fn puts(objects: impl IntoIterator<Item = Object>) -> Vec<Edit> {
    objects.into_iter().map(Edit::Put).collect()
}

pub(super) fn mutation(expected: Revision, edits: Vec<Edit>) -> Mutation {
    let subject = edits.first().map_or(ObjectKey::Global, Edit::key);
    let at = at(expected.get().cast_signed());
    Mutation { actor: Actor::system(), at, expected, request: None, subject, edits }
}

pub(super) fn request(id: &str, digest: u8) -> RequestIdentity {
    RequestIdentity { id: id.to_owned(), digest: [digest; 32] }
}

/// Commits at the head.
pub(super) fn commit(store: &dyn Store, edits: Vec<Edit>) -> Result<Committed, StoreError> {
    store.commit(mutation(store.state().revision, edits))
}

/// Everything a state holds.
pub(super) fn contents(state: &State) -> (Revision, Vec<Record<Object>>) {
    (state.revision, state.records().collect())
}

/// A store with the global level and accounts 1 and 2, each owning one of everything; at revision 1.
pub(super) fn furnished(place: &dyn Place) -> Box<dyn Store> {
    let store = place.open();
    let owned = [1, 2].into_iter().flat_map(|owner| (0..OWNED).map(move |noun| owned(noun, owner, 1, 1)));
    let objects = [global(), account(1, "one"), account(2, "two")].into_iter().chain(owned);
    commit(&*store, puts(objects)).unwrap();
    store
}

#[test]
fn the_contract_is_object_safe() {
    let store: Arc<dyn Store> = Arc::new(super::memory::open().unwrap());
    assert_eq!(store.state().revision, Revision::ZERO);
}
