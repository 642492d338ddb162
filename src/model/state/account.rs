//! What one account owns, with the indexes that uniqueness needs.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use super::index::{Index, short};
use super::{ChangeRejected, Shared, UserRow, Users};
use crate::model::account::{Account, Environment};
use crate::model::binding::{Binding, BindingKey};
use crate::model::catalogue::{CatalogueEntry, PermissionName};
use crate::model::id::{AccountId, BoundaryId, EnvironmentId, GroupId, PolicyId, UserId};
use crate::model::identity::{Group, GroupOwner, User};
use crate::model::level::{BindingLevel, Level};
use crate::model::object::{Object, ObjectKey, Record};
use crate::model::policy::{Boundary, Policy};
use crate::model::text::{self, Name};

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

    pub(super) fn check_level(&self, object: &Object) -> Result<(), ChangeRejected> {
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

    pub(super) fn record(&self, key: &ObjectKey) -> Option<Record<Object>> {
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

    pub(super) fn put(&mut self, key: &ObjectKey, record: Record<Object>) {
        // INVARIANT: an old value's index entries go before the new value's come. The users see to it themselves.
        if !matches!(key, ObjectKey::User(..)) {
            self.delete(key);
        }
        let (stamp, value) = record.split();
        match value {
            Object::Global(_) | Object::Account(_) => {}
            Object::User(_, it) => {
                let record = stamp.with(it);
                let name = self.users.put(&record, &record.value);
                self.put_service_name(name, &record.value);
            }
            Object::Environment(_, it) => {
                self.environments.insert(it.id.clone(), Arc::new(stamp.with(it)));
            }
            Object::Group(_, it) => {
                self.group_names.insert(text::short_hash_of(it.name.as_str()), it.id);
                if it.owner == GroupOwner::AllUsers {
                    self.all_users = Some(it.id);
                }
                self.groups.insert(it.id, Arc::new(stamp.with(it)));
            }
            Object::Policy(_, it) => {
                self.policy_names.insert(hash_at(&it.level, &it.name), it.id);
                self.policies.insert(it.id, Arc::new(stamp.with(it)));
            }
            Object::Boundary(_, it) => {
                self.boundary_names.insert(text::short_hash_of(it.name.as_str()), it.id);
                self.boundaries.insert(it.id, Arc::new(stamp.with(it)));
            }
            Object::Binding(_, it) => self.put_binding(key, stamp.with(it)),
            Object::CatalogueEntry(_, it) => {
                self.catalogue.insert(it.permission.clone(), Arc::new(stamp.with(it)));
            }
        }
    }

    fn put_binding(&mut self, key: &ObjectKey, mut record: Record<Binding>) {
        let it = &mut record.value;
        // The key is a hash of the content, which is not made again where it is known.
        let key = if let ObjectKey::Binding(_, key) = key { *key } else { it.key() };
        self.bindings_of_group.insert(short(it.group.bits()), key);
        self.bindings_of_policy.insert(short(it.policy.bits()), key);
        for boundary in &it.boundaries {
            self.bindings_of_boundary.insert(short(boundary.bits()), key);
        }
        // There are many bindings to few environments: they share the text of its id.
        if let BindingLevel::Environment(id) = &mut it.level
            && let Some((shared, _)) = self.environments.get_key_value(id)
        {
            id.clone_from(shared);
        }
        self.bindings.insert(key, Arc::new(record));
    }

    /// [`Self::put`] while a state comes: [`Self::index`] is to follow.
    pub(super) fn put_unindexed(&mut self, key: &ObjectKey, record: Record<Object>) {
        let Object::User(_, user) = &record.value else { return self.put(key, record) };
        let name = self.users.put_unindexed(&record, user);
        self.put_service_name(name, user);
    }

    /// Makes up for what [`Self::put_unindexed`] left out.
    pub(super) fn index(&mut self) {
        self.users.index();
    }

    fn put_service_name(&mut self, old: Option<Name>, user: &User) {
        if let Some(old) = old {
            self.service_names.remove(&(old, user.id));
        }
        if let (true, Some(name)) = (user.is_service(), &user.name) {
            self.service_names.insert((name.clone(), user.id));
        }
    }

    pub(super) fn delete(&mut self, key: &ObjectKey) {
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

fn owned<T: Clone>(record: &Shared<T>, account: AccountId, form: fn(AccountId, T) -> Object) -> Record<Object> {
    record.as_ref().clone().map(|value| form(account, value))
}

/// The hash of a name that is unique at its level.
fn hash_at(level: &Level, name: &Name) -> u32 {
    let environment = level.environment().map_or(0, |id| text::short_hash_of(id.as_str()));
    text::short_hash_of(name.as_str()) ^ environment.rotate_left(1)
}
