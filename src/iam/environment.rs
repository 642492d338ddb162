//! Environments of an account.

use super::check::{self, Violations};
use super::{Plan, Rejection};
use crate::model::account::Environment;
use crate::model::id::{AccountId, EnvironmentId};
use crate::model::mutation::Edit;
use crate::model::object::{Object, ObjectKey};
use crate::model::revision::Revision;
use crate::model::state::{AccountState, State};

/// What can be written; an update replaces all of it.
#[derive(Debug, Clone)]
pub struct EnvironmentFields {
    /// For people; not unique.
    pub name: String,
}

/// Makes an environment.
///
/// # Errors
/// [`Rejection`]: the account is not there, the id is taken, or a field is invalid.
pub fn create(
    state: &State,
    account: AccountId,
    id: EnvironmentId,
    fields: EnvironmentFields,
) -> Result<Plan, Rejection> {
    let owned = check::account(state, account)?;
    let key = ObjectKey::Environment(account, id.clone());
    check::new_id(owned.environments.get(&id), &key)?;
    put(account, key, id, fields)
}

/// Replaces the fields of an environment.
///
/// # Errors
/// [`Rejection`]: it is not there, has changed, or a field is invalid.
pub fn update(
    state: &State,
    account: AccountId,
    id: EnvironmentId,
    expected: Option<Revision>,
    fields: EnvironmentFields,
) -> Result<Plan, Rejection> {
    let owned = check::account(state, account)?;
    let key = ObjectKey::Environment(account, id.clone());
    check::current(owned.environments.get(&id), &key, expected)?;
    put(account, key, id, fields)
}

/// Takes an environment away; with `force` its policies and bindings go too, in the same plan.
///
/// # Errors
/// [`Rejection`]: it is not there, has changed, or policies or bindings are at its level.
pub fn delete(
    state: &State,
    account: AccountId,
    id: &EnvironmentId,
    expected: Option<Revision>,
    force: bool,
) -> Result<Plan, Rejection> {
    let owned = check::account(state, account)?;
    let key = ObjectKey::Environment(account, id.clone());
    check::current(owned.environments.get(id), &key, expected)?;
    let (bindings, policies) = (bindings_at(owned, account, id), policies_at(owned, account, id));
    let users = check::users_of(&[(policies.len(), "policies"), (bindings.len(), "bindings")]);
    check::unused(&key, users, force)?;
    // What refers goes before what it refers to.
    let gone = bindings.into_iter().chain(policies).chain([key.clone()]);
    Ok(Plan::new(key, gone.map(Edit::Delete).collect()))
}

fn put(account: AccountId, key: ObjectKey, id: EnvironmentId, fields: EnvironmentFields) -> Result<Plan, Rejection> {
    let EnvironmentFields { name } = fields;
    let mut found = Violations::default();
    let name = found.text("name", &name);
    let environment = found.finish(name.map(|name| Environment { id, name }))?;
    Ok(Plan::new(key, vec![Edit::Put(Object::Environment(account, environment))]))
}

fn bindings_at(owned: &AccountState, account: AccountId, id: &EnvironmentId) -> Vec<ObjectKey> {
    // A policy of an environment is bound nowhere else, so that these are all the bindings of its policies too.
    let there = owned.bindings.iter().filter(|(_, binding)| binding.value.level.environment() == Some(id));
    there.map(|(key, _)| ObjectKey::Binding(account, *key)).collect()
}

fn policies_at(owned: &AccountState, account: AccountId, id: &EnvironmentId) -> Vec<ObjectKey> {
    let there = owned.policies.values().filter(|policy| policy.value.level.environment() == Some(id));
    there.map(|policy| ObjectKey::Policy(account, policy.value.id)).collect()
}
