//! Accounts: each comes with its group `ALL_USERS` and, where the caller wants them, the default groups.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::check::{self, Violations};
use super::texts::Texts;
use super::{Plan, Rejection};
use crate::compile::bind::{COPY_DROPPED, LEAVES_UNRESTRICTED};
use crate::model::account::{Account, DefaultGroup};
use crate::model::binding::Binding;
use crate::model::id::{AccountId, GroupId, PolicyId};
use crate::model::identity::{ALL_USERS, Group, GroupOwner};
use crate::model::level::BindingLevel;
use crate::model::mutation::Edit;
use crate::model::object::{Object, ObjectKey};
use crate::model::revision::Revision;
use crate::model::state::{AccountState, State};

/// An account to be made.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Its id.
    pub id: AccountId,
    /// The id of its group `ALL_USERS`.
    pub all_users: GroupId,
    /// Ids for the default groups of the global level, in their order; a default group without an id is not made.
    pub default_groups: Vec<GroupId>,
    /// The rest.
    pub fields: AccountFields,
}

/// What can be written; an update replaces all of it.
#[derive(Debug, Clone)]
pub struct AccountFields {
    /// For people; not unique.
    pub name: String,
    /// Drop a copy of a statement to which a boundary added no condition (D7).
    pub strict_boundaries: bool,
}

/// Makes an account with its group `ALL_USERS`, and the default groups with their bindings at account level.
///
/// # Errors
/// [`Rejection`]: the id is taken, a field is invalid, or a default group names a policy that is not there.
pub fn create(state: &State, new: NewAccount) -> Result<Plan, Rejection> {
    let key = ObjectKey::Account(new.id);
    check::new_id(state.account(new.id).map(|owned| &owned.account), &key)?;
    let account = new.fields.validate(new.id)?;
    let mut found = Violations::default();
    let everybody = found.text("name", ALL_USERS).map(|name| Group {
        id: new.all_users,
        name,
        description: String::new(),
        owner: GroupOwner::AllUsers,
        federated_attribute_values: Vec::new(),
    });
    let everybody = Object::Group(new.id, found.finish(everybody)?);
    let mut edits = vec![Edit::Put(Object::Account(account)), Edit::Put(everybody)];
    for (group, id) in default_groups(state).iter().zip(new.default_groups) {
        add_default_group(&mut edits, state, new.id, id, group)?;
    }
    Ok(Plan::new(key, edits))
}

fn default_groups(state: &State) -> &[DefaultGroup] {
    state.global.as_ref().map_or(&[], |global| &global.value.groups)
}

fn add_default_group(
    edits: &mut Vec<Edit>,
    state: &State,
    account: AccountId,
    id: GroupId,
    group: &DefaultGroup,
) -> Result<(), Rejection> {
    edits.push(Edit::Put(Object::Group(account, ordinary(id, group))));
    for policy in &group.policies {
        if !state.global_policies().contains_key(policy) {
            return Err(Rejection::NotFound { noun: "default policy", id: policy.to_string() });
        }
        edits.push(Edit::Put(Object::Binding(account, default_binding(id, *policy))));
    }
    Ok(())
}

/// A default group as an account has it: like any other.
fn ordinary(id: GroupId, group: &DefaultGroup) -> Group {
    let DefaultGroup { name, description, policies: _ } = group.clone();
    Group { id, name, description, owner: GroupOwner::Local, federated_attribute_values: Vec::new() }
}

fn default_binding(group: GroupId, policy: PolicyId) -> Binding {
    let level = BindingLevel::Account;
    let (parameters, boundaries, metadata) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
    Binding { policy, group, level, parameters, boundaries, metadata }
}

/// Replaces the fields of an account. Warns of the bindings that are wide again without strict boundaries, or of which
/// less is left with them (D7).
///
/// # Errors
/// [`Rejection`]: it is not there, has changed, or a field is invalid.
pub fn update(
    state: &State,
    id: AccountId,
    expected: Option<Revision>,
    fields: AccountFields,
) -> Result<Plan, Rejection> {
    let key = ObjectKey::Account(id);
    let owned = check::account(state, id)?;
    let known = check::current(Some(&owned.account), &key, expected)?;
    let account = fields.validate(id)?;
    let warnings = if account.strict_boundaries == known.value.strict_boundaries {
        Vec::new()
    } else {
        check_bindings(state, owned, &account)?
    };
    Ok(Plan { subject: key, edits: vec![Edit::Put(Object::Account(account))], warnings })
}

/// What another strictness does to the bindings.
fn check_bindings(state: &State, owned: &AccountState, account: &Account) -> Result<Vec<String>, Rejection> {
    let catalogue = check::catalogue(state, owned)?;
    let mut after = owned.clone();
    after.account = Arc::new(owned.account.as_ref().clone().map(|_| account.clone()));
    let code = if account.strict_boundaries { COPY_DROPPED } else { LEAVES_UNRESTRICTED };
    Ok(Texts::default().told_of_boundaries(state, &after, &catalogue, code))
}

/// Takes an account away; with `force` everything it owns goes with it.
///
/// # Errors
/// [`Rejection`]: it is not there, has changed, or owns something beside what every new account has: its group
/// `ALL_USERS`, and default groups with their bindings as they were made.
pub fn delete(state: &State, id: AccountId, expected: Option<Revision>, force: bool) -> Result<Plan, Rejection> {
    let key = ObjectKey::Account(id);
    let owned = check::account(state, id)?;
    check::current(Some(&owned.account), &key, expected)?;
    check::unused(&key, belongings(state, owned), force)?;
    // A store takes away with an account everything it owns.
    Ok(Plan::new(key.clone(), vec![Edit::Delete(key)]))
}

/// What somebody has put there: a default group that was changed counts, and so does what is bound to it.
fn belongings(state: &State, owned: &AccountState) -> Option<String> {
    let defaults = default_groups(state);
    let default_of = |group: &Group| defaults.iter().find(|it| ordinary(group.id, it) == *group);
    let of_default = |binding: &Binding| {
        let group = owned.groups.get(&binding.group).and_then(|group| default_of(&group.value));
        let policies = group.map_or(&[] as &[_], |group| &group.policies);
        policies.iter().any(|policy| default_binding(binding.group, *policy) == *binding)
    };
    let added = |group: &Group| group.owner != GroupOwner::AllUsers && default_of(group).is_none();
    let groups = owned.groups.values().filter(|group| added(&group.value)).count();
    let bindings = owned.bindings.values().filter(|binding| !of_default(&binding.value)).count();
    check::users_of(&[
        (owned.environments.len(), "environments"),
        (groups, "groups"),
        (owned.users.len(), "users"),
        (owned.policies.len(), "policies"),
        (owned.boundaries.len(), "boundaries"),
        (bindings, "bindings"),
        (owned.catalogue.len(), "catalogue entries"),
    ])
}

// === impl AccountFields ===

impl AccountFields {
    fn validate(self, id: AccountId) -> Result<Account, Rejection> {
        let Self { name, strict_boundaries } = self;
        let mut found = Violations::default();
        let name = found.text("name", &name);
        found.finish(name.map(|name| Account { id, name, strict_boundaries }))
    }
}
