//! Accounts: each comes with its group `ALL_USERS`.

use super::check::{self, Violations};
use super::{Plan, Rejection};
use crate::model::account::Account;
use crate::model::id::{AccountId, GroupId};
use crate::model::identity::{ALL_USERS, Group, GroupOwner};
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

/// Makes an account with its group `ALL_USERS`.
///
/// # Errors
/// [`Rejection`]: the id is taken, or a field is invalid.
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
    Ok(Plan::new(key, vec![Edit::Put(Object::Account(account)), Edit::Put(everybody)]))
}

/// Replaces the fields of an account.
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
    check::current(state.account(id).map(|owned| &owned.account), &key, expected)?;
    let account = fields.validate(id)?;
    Ok(Plan::new(key, vec![Edit::Put(Object::Account(account))]))
}

/// Takes an account away; with `force` everything it owns goes with it.
///
/// # Errors
/// [`Rejection`]: it is not there, has changed, or owns something beside its group `ALL_USERS`.
pub fn delete(state: &State, id: AccountId, expected: Option<Revision>, force: bool) -> Result<Plan, Rejection> {
    let key = ObjectKey::Account(id);
    let owned = check::account(state, id)?;
    check::current(Some(&owned.account), &key, expected)?;
    check::unused(&key, belongings(owned), force)?;
    // A store takes away with an account everything it owns.
    Ok(Plan::new(key.clone(), vec![Edit::Delete(key)]))
}

fn belongings(owned: &AccountState) -> Option<String> {
    let groups = owned.groups.values().filter(|group| group.value.owner != GroupOwner::AllUsers).count();
    check::users_of(&[
        (owned.environments.len(), "environments"),
        (groups, "groups"),
        (owned.users.len(), "users"),
        (owned.policies.len(), "policies"),
        (owned.boundaries.len(), "boundaries"),
        (owned.bindings.len(), "bindings"),
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
