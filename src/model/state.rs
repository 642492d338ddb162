//! The state: every object at one revision, with the indexes that uniqueness needs.
//!
//! The maps are persistent: a clone shares everything, so that readers keep a consistent view while a writer goes on.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use super::account::{Account, Environment, Global};
use super::binding::{Binding, BindingKey};
use super::catalogue::{CatalogueEntry, PermissionName};
use super::digest::Sums;
use super::id::{AccountId, BoundaryId, EnvironmentId, GroupId, PolicyId, UserId};
use super::identity::{Group, GroupOwner, User};
use super::level::{BindingLevel, Level};
use super::object::{Change, Object, ObjectKey, Record};
use super::policy::{Boundary, Policy};
use super::revision::Revision;
use super::text::{self, Name};

mod index;
mod leaf;
mod users;

use index::{Index, short};

pub use users::{Page, UserChange, UserRow, Users};

/// A shared record.
pub type Shared<T> = Arc<Record<T>>;

/// Everything at one revision.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// The commit this is the state after.
    pub revision: Revision,
    /// The global level; `None` only in a store that has not been initialised.
    pub global: Option<Shared<Global>>,
    /// Every account.
    pub accounts: OrdMap<AccountId, Arc<AccountState>>,
    global_policies: OrdMap<PolicyId, Shared<Policy>>,
    sums: Sums,
}

/// Everything that one account owns.
#[derive(Debug, Clone)]
pub struct AccountState {
    /// The account itself.
    pub account: Shared<Account>,
    /// By id.
    pub environments: OrdMap<EnvironmentId, Shared<Environment>>,
    /// By id.
    pub users: Users,
    /// By id.
    pub groups: OrdMap<GroupId, Shared<Group>>,
    /// By id.
    pub policies: OrdMap<PolicyId, Shared<Policy>>,
    /// By id.
    pub boundaries: OrdMap<BoundaryId, Shared<Boundary>>,
    /// By content.
    pub bindings: OrdMap<BindingKey, Shared<Binding>>,
    /// By permission.
    pub catalogue: OrdMap<PermissionName, Shared<CatalogueEntry>>,
    service_names: OrdSet<(Name, UserId)>,
    bindings_of_group: Index<BindingKey>,
    bindings_of_policy: Index<BindingKey>,
    bindings_of_boundary: Index<BindingKey>,
    group_names: Index<GroupId>,
    all_users: Option<GroupId>,
    policy_names: Index<PolicyId>,
    boundary_names: Index<BoundaryId>,
}

/// A change that does not fit the state it was to be applied to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeRejected {
    /// Its account is not there.
    #[error("{key} belongs to account `{account}`, which is not there")]
    NoAccount {
        /// The object.
        key: Box<ObjectKey>,
        /// The account.
        account: AccountId,
    },
    /// The global level cannot be taken away.
    #[error("the global level cannot be deleted")]
    GlobalDeleted,
    /// A policy stays at its level: whoever follows one level only would not learn that it left.
    #[error("policy `{policy}` is at {known} and stays there; delete it and create it at the other level")]
    LevelChanged {
        /// The policy.
        policy: PolicyId,
        /// Its level.
        known: Level,
    },
}

// === impl State ===

impl State {
    /// The account of this id.
    #[must_use]
    pub fn account(&self, id: AccountId) -> Option<&AccountState> {
        self.accounts.get(&id).map(Arc::as_ref)
    }

    /// The default policies, by id; they are no account's.
    #[must_use]
    pub const fn global_policies(&self) -> &OrdMap<PolicyId, Shared<Policy>> {
        &self.global_policies
    }

    /// The default policy of this name.
    #[must_use]
    pub fn global_policy_by_name(&self, name: &Name) -> Option<&Shared<Policy>> {
        self.global_policies.values().find(|policy| policy.value.name == *name)
    }

    /// The policy of this id that `owned` has or inherits. An account's own one is found first, so that no default
    /// policy of a later build takes the place of one that is bound.
    #[must_use]
    pub fn policy<'a>(&'a self, owned: &'a AccountState, id: PolicyId) -> Option<&'a Shared<Policy>> {
        owned.policies.get(&id).or_else(|| self.global_policies.get(&id))
    }

    /// What the records add up to: the digest of each part of the state.
    #[must_use]
    pub const fn sums(&self) -> &Sums {
        &self.sums
    }

    /// Applies the changes of one commit.
    ///
    /// # Errors
    /// [`ChangeRejected`]; the state is then to be thrown away.
    pub fn apply<'a>(
        &mut self,
        revision: Revision,
        changes: impl IntoIterator<Item = &'a Change>,
    ) -> Result<(), ChangeRejected> {
        for change in changes {
            match change {
                Change::Put(record) => self.replace(record)?,
                Change::Delete(key) => self.remove(key)?,
            }
        }
        self.revision = revision;
        Ok(())
    }

    /// Every object as records, parents before what they own: the order in which they can be applied.
    pub fn records(&self) -> impl Iterator<Item = Record<Object>> + '_ {
        self.global_record().into_iter().chain(self.accounts.values().flat_map(|account| account.records()))
    }

    /// The record of the global level.
    #[must_use]
    pub fn global_record(&self) -> Option<Record<Object>> {
        self.global.as_ref().map(|record| record.as_ref().clone().map(Object::Global))
    }

    /// The record of one object.
    #[must_use]
    pub fn record(&self, key: &ObjectKey) -> Option<Record<Object>> {
        match key {
            ObjectKey::Global => self.global_record(),
            _ => self.account(key.account()?)?.record(key),
        }
    }

    fn replace(&mut self, record: &Record<Object>) -> Result<(), ChangeRejected> {
        let old = self.record(&record.value.key());
        self.put(record)?;
        self.sums.replace(old.as_ref(), Some(record));
        Ok(())
    }

    fn remove(&mut self, key: &ObjectKey) -> Result<(), ChangeRejected> {
        let old = self.record(key);
        self.delete(key)?;
        match key {
            ObjectKey::Account(id) => self.sums.remove_account(*id),
            _ => self.sums.replace(old.as_ref(), None),
        }
        Ok(())
    }

    fn put(&mut self, record: &Record<Object>) -> Result<(), ChangeRejected> {
        match &record.value {
            Object::Global(global) => {
                let shared = |policy: &Policy| (policy.id, share(record, policy.clone()));
                self.global_policies = global.policies.iter().map(shared).collect();
                self.global = Some(share(record, global.clone()));
            }
            Object::Account(account) => match self.accounts.get_mut(&account.id) {
                Some(known) => Arc::make_mut(known).account = share(record, account.clone()),
                None => {
                    self.accounts.insert(account.id, Arc::new(AccountState::empty(share(record, account.clone()))));
                }
            },
            owned => {
                let key = owned.key();
                let account = self.owner(&key)?;
                account.check_level(owned)?;
                account.put(&key, record);
            }
        }
        Ok(())
    }

    fn delete(&mut self, key: &ObjectKey) -> Result<(), ChangeRejected> {
        match key {
            ObjectKey::Global => return Err(ChangeRejected::GlobalDeleted),
            ObjectKey::Account(id) => {
                self.accounts.remove(id);
            }
            owned => self.owner(owned)?.delete(owned),
        }
        Ok(())
    }

    fn owner(&mut self, key: &ObjectKey) -> Result<&mut AccountState, ChangeRejected> {
        let account = key.account().ok_or(ChangeRejected::GlobalDeleted)?;
        let state = self.accounts.get_mut(&account);
        state.map(Arc::make_mut).ok_or_else(|| ChangeRejected::NoAccount { key: Box::new(key.clone()), account })
    }
}

// === impl AccountState ===

impl AccountState {
    /// An account that owns nothing.
    #[must_use]
    pub fn empty(account: Shared<Account>) -> Self {
        Self {
            account,
            environments: OrdMap::new(),
            users: Users::default(),
            groups: OrdMap::new(),
            policies: OrdMap::new(),
            boundaries: OrdMap::new(),
            bindings: OrdMap::new(),
            catalogue: OrdMap::new(),
            service_names: OrdSet::new(),
            bindings_of_group: Index::default(),
            bindings_of_policy: Index::default(),
            bindings_of_boundary: Index::default(),
            group_names: Index::default(),
            all_users: None,
            policy_names: Index::default(),
            boundary_names: Index::default(),
        }
    }

    /// The user or service user of this e-mail.
    #[must_use]
    pub fn user_by_email(&self, email: &str) -> Option<UserRow<'_>> {
        self.users.by_email(email)
    }

    /// The service users of this name.
    pub fn service_users_by_name<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = UserRow<'a>> + 'a {
        let from = (name.clone(), UserId::from_bytes([0; 16]));
        let named = self.service_names.range(from..).take_while(move |(other, _)| other == name);
        named.filter_map(|(_, id)| self.users.row(*id))
    }

    /// The group of this name.
    #[must_use]
    pub fn group_by_name(&self, name: &str) -> Option<&Shared<Group>> {
        let mut found = self.group_names.of(text::short_hash_of(name)).filter_map(|id| self.groups.get(id));
        found.find(|group| group.value.name.as_str() == name)
    }

    /// The policy of this name at this level.
    #[must_use]
    pub fn policy_by_name(&self, level: &Level, name: &Name) -> Option<&Shared<Policy>> {
        let mut found = self.policy_names.of(hash_at(level, name)).filter_map(|id| self.policies.get(id));
        found.find(|policy| policy.value.level == *level && policy.value.name == *name)
    }

    /// The boundary of this name.
    #[must_use]
    pub fn boundary_by_name(&self, name: &str) -> Option<&Shared<Boundary>> {
        let mut found = self.boundary_names.of(text::short_hash_of(name)).filter_map(|id| self.boundaries.get(id));
        found.find(|boundary| boundary.value.name.as_str() == name)
    }

    /// The bindings of a group, by key.
    pub fn bindings_of_group(&self, group: GroupId) -> impl Iterator<Item = (BindingKey, &Shared<Binding>)> {
        let found = self.found(self.bindings_of_group.of(short(group.bits())));
        found.filter(move |(_, binding)| binding.value.group == group)
    }

    /// The bindings of a policy, by key.
    pub fn bindings_of_policy(&self, policy: PolicyId) -> impl Iterator<Item = (BindingKey, &Shared<Binding>)> {
        let found = self.found(self.bindings_of_policy.of(short(policy.bits())));
        found.filter(move |(_, binding)| binding.value.policy == policy)
    }

    /// The bindings that a boundary narrows, by key.
    pub fn bindings_of_boundary(&self, boundary: BoundaryId) -> impl Iterator<Item = (BindingKey, &Shared<Binding>)> {
        let found = self.found(self.bindings_of_boundary.of(short(boundary.bits())));
        found.filter(move |(_, binding)| binding.value.boundaries.contains(&boundary))
    }

    fn found<'a>(
        &'a self,
        keys: impl Iterator<Item = &'a BindingKey>,
    ) -> impl Iterator<Item = (BindingKey, &'a Shared<Binding>)> {
        keys.filter_map(|key| self.bindings.get(key).map(|binding| (*key, binding)))
    }

    /// The group that holds everybody.
    #[must_use]
    pub fn all_users(&self) -> Option<&Shared<Group>> {
        self.all_users.and_then(|id| self.groups.get(&id))
    }

    /// How many objects the account owns, itself not counted.
    #[must_use]
    pub fn owned(&self) -> usize {
        let named = self.environments.len() + self.catalogue.len() + self.groups.len() + self.users.len();
        named + self.policies.len() + self.boundaries.len() + self.bindings.len()
    }

    fn check_level(&self, object: &Object) -> Result<(), ChangeRejected> {
        let Object::Policy(_, policy) = object else { return Ok(()) };
        match self.policies.get(&policy.id) {
            Some(known) if known.value.level != policy.level => {
                Err(ChangeRejected::LevelChanged { policy: policy.id, known: known.value.level.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Every record of the account, parents before what they own.
    pub fn records(&self) -> impl Iterator<Item = Record<Object>> + '_ {
        let id = self.account.value.id;
        let account = std::iter::once(self.account.as_ref().clone().map(Object::Account));
        account
            .chain(self.environments.values().map(move |r| owned(r, id, Object::Environment)))
            .chain(self.catalogue.values().map(move |r| owned(r, id, Object::CatalogueEntry)))
            .chain(self.groups.values().map(move |r| owned(r, id, Object::Group)))
            .chain(self.users.rows().map(move |row| row.record().map(|user| Object::User(id, user))))
            .chain(self.policies.values().map(move |r| owned(r, id, Object::Policy)))
            .chain(self.boundaries.values().map(move |r| owned(r, id, Object::Boundary)))
            .chain(self.bindings.values().map(move |r| owned(r, id, Object::Binding)))
    }

    fn record(&self, key: &ObjectKey) -> Option<Record<Object>> {
        let account = self.account.value.id;
        match key {
            ObjectKey::Global => None,
            ObjectKey::Account(_) => Some(self.account.as_ref().clone().map(Object::Account)),
            ObjectKey::Environment(_, id) => self.environments.get(id).map(|r| owned(r, account, Object::Environment)),
            ObjectKey::User(_, id) => {
                self.users.row(*id).map(|row| row.record().map(|user| Object::User(account, user)))
            }
            ObjectKey::Group(_, id) => self.groups.get(id).map(|r| owned(r, account, Object::Group)),
            ObjectKey::Policy(_, id) => self.policies.get(id).map(|r| owned(r, account, Object::Policy)),
            ObjectKey::Boundary(_, id) => self.boundaries.get(id).map(|r| owned(r, account, Object::Boundary)),
            ObjectKey::Binding(_, key) => self.bindings.get(key).map(|r| owned(r, account, Object::Binding)),
            ObjectKey::CatalogueEntry(_, id) => {
                self.catalogue.get(id).map(|r| owned(r, account, Object::CatalogueEntry))
            }
        }
    }

    fn put(&mut self, key: &ObjectKey, record: &Record<Object>) {
        if let Object::User(_, it) = &record.value {
            return self.put_user(record, it);
        }
        // INVARIANT: an old value's index entries go before the new value's come.
        self.delete(key);
        match &record.value {
            Object::Global(_) | Object::Account(_) | Object::User(..) => {}
            Object::Environment(_, it) => {
                self.environments.insert(it.id.clone(), share(record, it.clone()));
            }
            Object::Group(_, it) => {
                self.group_names.insert(text::short_hash_of(it.name.as_str()), it.id);
                if it.owner == GroupOwner::AllUsers {
                    self.all_users = Some(it.id);
                }
                self.groups.insert(it.id, share(record, it.clone()));
            }
            Object::Policy(_, it) => {
                self.policy_names.insert(hash_at(&it.level, &it.name), it.id);
                self.policies.insert(it.id, share(record, it.clone()));
            }
            Object::Boundary(_, it) => {
                self.boundary_names.insert(text::short_hash_of(it.name.as_str()), it.id);
                self.boundaries.insert(it.id, share(record, it.clone()));
            }
            Object::Binding(_, it) => {
                // The key is a hash of the content, which is not made again where it is known.
                let key = if let ObjectKey::Binding(_, key) = key { *key } else { it.key() };
                self.bindings_of_group.insert(short(it.group.bits()), key);
                self.bindings_of_policy.insert(short(it.policy.bits()), key);
                for boundary in &it.boundaries {
                    self.bindings_of_boundary.insert(short(boundary.bits()), key);
                }
                self.bindings.insert(key, share(record, self.in_its_environment(it)));
            }
            Object::CatalogueEntry(_, it) => {
                self.catalogue.insert(it.permission.clone(), share(record, it.clone()));
            }
        }
    }

    /// A binding that shares the text of its environment's id with the environment, as there are many bindings to few of them.
    fn in_its_environment(&self, binding: &Binding) -> Binding {
        let shared = binding.level.environment().and_then(|id| self.environments.get_key_value(id));
        let level = shared.map_or_else(|| binding.level.clone(), |(id, _)| BindingLevel::Environment(id.clone()));
        Binding { level, ..binding.clone() }
    }

    fn put_user(&mut self, record: &Record<Object>, user: &User) {
        if let Some(name) = self.users.put(record, user) {
            self.service_names.remove(&(name, user.id));
        }
        if let (true, Some(name)) = (user.is_service(), &user.name) {
            self.service_names.insert((name.clone(), user.id));
        }
    }

    fn delete(&mut self, key: &ObjectKey) {
        match key {
            ObjectKey::Global | ObjectKey::Account(_) => {}
            ObjectKey::Environment(_, id) => {
                self.environments.remove(id);
            }
            ObjectKey::User(_, id) => {
                if let Some(name) = self.users.remove(*id) {
                    self.service_names.remove(&(name, *id));
                }
            }
            ObjectKey::Group(_, id) => {
                if let Some(old) = self.groups.remove(id) {
                    self.group_names.remove(text::short_hash_of(old.value.name.as_str()), *id);
                    self.all_users = self.all_users.filter(|known| known != id);
                }
            }
            ObjectKey::Policy(_, id) => {
                if let Some(old) = self.policies.remove(id) {
                    self.policy_names.remove(hash_at(&old.value.level, &old.value.name), *id);
                }
            }
            ObjectKey::Boundary(_, id) => {
                if let Some(old) = self.boundaries.remove(id) {
                    self.boundary_names.remove(text::short_hash_of(old.value.name.as_str()), *id);
                }
            }
            ObjectKey::Binding(_, key) => {
                if let Some(old) = self.bindings.remove(key) {
                    self.bindings_of_group.remove(short(old.value.group.bits()), *key);
                    self.bindings_of_policy.remove(short(old.value.policy.bits()), *key);
                    for boundary in &old.value.boundaries {
                        self.bindings_of_boundary.remove(short(boundary.bits()), *key);
                    }
                }
            }
            ObjectKey::CatalogueEntry(_, id) => {
                self.catalogue.remove(id);
            }
        }
    }
}

fn share<T>(record: &Record<Object>, value: T) -> Shared<T> {
    Arc::new(Record { created: record.created, updated: record.updated, revision: record.revision, value })
}

fn owned<T: Clone>(record: &Shared<T>, account: AccountId, form: fn(AccountId, T) -> Object) -> Record<Object> {
    record.as_ref().clone().map(|value| form(account, value))
}

/// The hash of a name that is unique at its level.
fn hash_at(level: &Level, name: &Name) -> u32 {
    let environment = level.environment().map_or(0, |id| text::short_hash_of(id.as_str()));
    text::short_hash_of(name.as_str()) ^ environment.rotate_left(1)
}
