//! Groups. The one of owner `ALL_USERS` comes with the account, holds everybody and cannot go.

use super::check::{self, Violations};
use super::{Plan, Rejection};
use crate::model::id::{AccountId, GroupId};
use crate::model::identity::{ALL_USERS, Group, GroupOwner, User};
use crate::model::limits;
use crate::model::mutation::Edit;
use crate::model::object::{Object, ObjectKey};
use crate::model::revision::Revision;
use crate::model::state::{AccountState, State};
use crate::model::text::Name;

/// What can be written; an update replaces all of it.
#[derive(Debug, Clone)]
pub struct GroupFields {
    /// Unique in the account.
    pub name: String,
    /// For people.
    pub description: String,
    /// Who decides about its members.
    pub owner: GroupOwner,
    /// Claim values that put a federated user into the group.
    pub federated_attribute_values: Vec<String>,
}

/// Makes a group.
///
/// # Errors
/// [`Rejection`]: the account is not there, the id or the name is taken, or a field is invalid.
pub fn create(state: &State, account: AccountId, id: GroupId, fields: GroupFields) -> Result<Plan, Rejection> {
    let owned = check::account(state, account)?;
    let mut found = Violations::default();
    if fields.owner == GroupOwner::AllUsers {
        let problem = format!("cannot be `{ALL_USERS}`; the account has that group already");
        found.add("owner", "all_users", problem);
    }
    let group = fields.validate(id, found)?;
    check_name(owned, &group, None)?;
    let key = ObjectKey::Group(account, id);
    check::new_id(owned.groups.get(&id), &key)?;
    Ok(Plan::new(key, vec![Edit::Put(Object::Group(account, group))]))
}

/// Replaces the fields of a group.
///
/// # Errors
/// [`Rejection`]: it is not there, has changed, the name is taken, or a field is invalid. The owner of `ALL_USERS` stays.
pub fn update(
    state: &State,
    account: AccountId,
    id: GroupId,
    expected: Option<Revision>,
    fields: GroupFields,
) -> Result<Plan, Rejection> {
    let owned = check::account(state, account)?;
    let key = ObjectKey::Group(account, id);
    let known = check::current(owned.groups.get(&id), &key, expected)?;
    let mut found = Violations::default();
    if known.value.owner != fields.owner && [known.value.owner, fields.owner].contains(&GroupOwner::AllUsers) {
        let problem = format!("cannot change from `{}` to `{}`", known.value.owner.name(), fields.owner.name());
        found.add("owner", "all_users", problem);
    }
    let group = fields.validate(id, found)?;
    check_name(owned, &group, Some(&id))?;
    Ok(Plan::new(key, vec![Edit::Put(Object::Group(account, group))]))
}

/// Takes a group away, and its members out of it; with `force` its bindings go too, in the same plan.
///
/// # Errors
/// [`Rejection`]: it is not there, has changed, is `ALL_USERS`, or is bound.
pub fn delete(
    state: &State,
    account: AccountId,
    id: GroupId,
    expected: Option<Revision>,
    force: bool,
) -> Result<Plan, Rejection> {
    let owned = check::account(state, account)?;
    let key = ObjectKey::Group(account, id);
    let known = check::current(owned.groups.get(&id), &key, expected)?;
    if known.value.owner == GroupOwner::AllUsers {
        return Err(Rejection::ReadOnly { what: format!("the existence of the group `{}`", known.value.name) });
    }
    let bindings: Vec<_> = owned.bindings.iter().filter(|(_, binding)| binding.value.group == id).collect();
    check::unused(&key, check::users_of(&[(bindings.len(), "bindings")]), force)?;
    let unbind = bindings.into_iter().map(|(key, _)| Edit::Delete(ObjectKey::Binding(account, *key)));
    let leave = members(owned, id).map(|user| Edit::Put(Object::User(account, without(user, id))));
    let edits = unbind.chain(leave).chain([Edit::Delete(key.clone())]).collect();
    Ok(Plan::new(key, edits))
}

fn check_name(owned: &AccountState, group: &Group, own: Option<&GroupId>) -> Result<(), Rejection> {
    let bearer = owned.group_by_name(group.name.as_str()).map(|other| other.value.id);
    check::free("group", "name", &group.name, bearer, own)
}

fn members(owned: &AccountState, id: GroupId) -> impl Iterator<Item = User> {
    owned.users.rows().filter(move |user| user.is_member(id)).map(|user| user.user())
}

fn without(mut user: User, id: GroupId) -> User {
    user.groups = user.groups.without(&id);
    user
}

// === impl GroupFields ===

impl GroupFields {
    fn validate(self, id: GroupId, mut found: Violations) -> Result<Group, Rejection> {
        let Self { name, description, owner, federated_attribute_values } = self;
        let name = found.text("name", &name);
        found.description("description", &description);
        check_claims(&mut found, owner, &federated_attribute_values);
        found.finish(name.map(|name| Group { id, name, description, owner, federated_attribute_values }))
    }
}

/// Reference ch. 8.2: provisioning and `ALL_USERS` take no members from claims.
fn check_claims(found: &mut Violations, owner: GroupOwner, values: &[String]) {
    const FIELD: &str = "federatedAttributeValues";
    found.count(FIELD, values.len(), limits::FEDERATED_VALUES);
    if !values.is_empty() && matches!(owner, GroupOwner::Scim | GroupOwner::AllUsers) {
        found.add(FIELD, "not_allowed", format!("must be empty for a group of owner `{}`", owner.name()));
    }
    for (index, value) in values.iter().enumerate() {
        found.text::<Name>(&format!("{FIELD}[{index}]"), value);
    }
}
