//! The state: every object at one revision, with the indexes that uniqueness needs.
//!
//! The maps are persistent: a clone shares everything, so that readers keep a consistent view while a writer goes on.

use std::sync::Arc;

use imbl::{HashMap, OrdMap, OrdSet};

use super::account::{Account, Environment, Global};
use super::binding::{Binding, BindingKey};
use super::catalogue::{CatalogueEntry, PermissionName};
use super::digest::Sums;
use super::id::{AccountId, BoundaryId, EnvironmentId, GroupId, PolicyId, UserId};
use super::identity::{Group, GroupOwner, User};
use super::level::Level;
use super::object::{Change, Object, ObjectKey, Record};
use super::policy::{Boundary, Policy};
use super::revision::Revision;
use super::text::Name;

mod leaf;
mod users;

pub use users::{UserChange, UserRow, Users};

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
    bindings_of_group: OrdSet<(GroupId, BindingKey)>,
    bindings_of_policy: OrdSet<(PolicyId, BindingKey)>,
    bindings_of_boundary: OrdSet<(BoundaryId, BindingKey)>,
    group_names: HashMap<Name, GroupId>,
    all_users: Option<GroupId>,
    policy_names: HashMap<(Level, Name), PolicyId>,
    boundary_names: HashMap<Name, BoundaryId>,
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
                let shared = |policy: &Policy| (policy.id, share(record, policy));
                self.global_policies = global.policies.iter().map(shared).collect();
                self.global = Some(share(record, global));
            }
            Object::Account(account) => match self.accounts.get_mut(&account.id) {
                Some(known) => Arc::make_mut(known).account = share(record, account),
                None => {
                    self.accounts.insert(account.id, Arc::new(AccountState::empty(share(record, account))));
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
            bindings_of_group: OrdSet::new(),
            bindings_of_policy: OrdSet::new(),
            bindings_of_boundary: OrdSet::new(),
            group_names: HashMap::new(),
            all_users: None,
            policy_names: HashMap::new(),
            boundary_names: HashMap::new(),
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
        self.group_names.get(name).and_then(|id| self.groups.get(id))
    }

    /// The policy of this name at this level.
    #[must_use]
    pub fn policy_by_name(&self, level: &Level, name: &Name) -> Option<&Shared<Policy>> {
        self.policy_names.get(&(level.clone(), name.clone())).and_then(|id| self.policies.get(id))
    }

    /// The boundary of this name.
    #[must_use]
    pub fn boundary_by_name(&self, name: &str) -> Option<&Shared<Boundary>> {
        self.boundary_names.get(name).and_then(|id| self.boundaries.get(id))
    }

    /// The bindings of a group, by key.
    pub fn bindings_of_group(&self, group: GroupId) -> impl Iterator<Item = (BindingKey, &Shared<Binding>)> {
        self.indexed(&self.bindings_of_group, group)
    }

    /// The bindings of a policy, by key.
    pub fn bindings_of_policy(&self, policy: PolicyId) -> impl Iterator<Item = (BindingKey, &Shared<Binding>)> {
        self.indexed(&self.bindings_of_policy, policy)
    }

    /// The bindings that a boundary narrows, by key.
    pub fn bindings_of_boundary(&self, boundary: BoundaryId) -> impl Iterator<Item = (BindingKey, &Shared<Binding>)> {
        self.indexed(&self.bindings_of_boundary, boundary)
    }

    fn indexed<'a, I: Copy + Ord>(
        &'a self,
        index: &'a OrdSet<(I, BindingKey)>,
        id: I,
    ) -> impl Iterator<Item = (BindingKey, &'a Shared<Binding>)> {
        let of_id = index.range((id, BindingKey::FIRST)..).take_while(move |(other, _)| *other == id);
        of_id.filter_map(|(_, key)| self.bindings.get(key).map(|binding| (*key, binding)))
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
                self.environments.insert(it.id.clone(), share(record, it));
            }
            Object::Group(_, it) => {
                self.group_names.insert(it.name.clone(), it.id);
                if it.owner == GroupOwner::AllUsers {
                    self.all_users = Some(it.id);
                }
                self.groups.insert(it.id, share(record, it));
            }
            Object::Policy(_, it) => {
                self.policy_names.insert((it.level.clone(), it.name.clone()), it.id);
                self.policies.insert(it.id, share(record, it));
            }
            Object::Boundary(_, it) => {
                self.boundary_names.insert(it.name.clone(), it.id);
                self.boundaries.insert(it.id, share(record, it));
            }
            Object::Binding(_, it) => {
                // The key is a hash of the content, which is not made again where it is known.
                let key = if let ObjectKey::Binding(_, key) = key { *key } else { it.key() };
                self.bindings_of_group.insert((it.group, key));
                self.bindings_of_policy.insert((it.policy, key));
                self.bindings_of_boundary.extend(it.boundaries.iter().map(|boundary| (*boundary, key)));
                self.bindings.insert(key, share(record, it));
            }
            Object::CatalogueEntry(_, it) => {
                self.catalogue.insert(it.permission.clone(), share(record, it));
            }
        }
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
                    forget(&mut self.group_names, &old.value.name, id);
                    self.all_users = self.all_users.filter(|known| known != id);
                }
            }
            ObjectKey::Policy(_, id) => {
                if let Some(old) = self.policies.remove(id) {
                    forget(&mut self.policy_names, &(old.value.level.clone(), old.value.name.clone()), id);
                }
            }
            ObjectKey::Boundary(_, id) => {
                if let Some(old) = self.boundaries.remove(id) {
                    forget(&mut self.boundary_names, &old.value.name, id);
                }
            }
            ObjectKey::Binding(_, key) => {
                if let Some(old) = self.bindings.remove(key) {
                    self.bindings_of_group.remove(&(old.value.group, *key));
                    self.bindings_of_policy.remove(&(old.value.policy, *key));
                    for boundary in &old.value.boundaries {
                        self.bindings_of_boundary.remove(&(*boundary, *key));
                    }
                }
            }
            ObjectKey::CatalogueEntry(_, id) => {
                self.catalogue.remove(id);
            }
        }
    }
}

fn share<T: Clone>(record: &Record<Object>, value: &T) -> Shared<T> {
    Arc::new(Record {
        created: record.created,
        updated: record.updated,
        revision: record.revision,
        value: value.clone(),
    })
}

fn owned<T: Clone>(record: &Shared<T>, account: AccountId, form: fn(AccountId, T) -> Object) -> Record<Object> {
    record.as_ref().clone().map(|value| form(account, value))
}

/// Takes an index entry away, unless another object has taken the name within the same commit.
fn forget<K: Clone + Eq + std::hash::Hash, I: Clone + PartialEq>(index: &mut HashMap<K, I>, name: &K, id: &I) {
    if index.get(name) == Some(id) {
        index.remove(name);
    }
}
