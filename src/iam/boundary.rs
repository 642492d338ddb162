//! Boundaries of an account: kept and validated, not bound yet.

use super::check::{self, Violations};
use super::{Plan, Rejection};
use crate::compile::check::boundary as check_boundary;
use crate::model::catalogue::Catalogue;
use crate::model::id::{AccountId, BoundaryId};
use crate::model::mutation::Edit;
use crate::model::object::{Object, ObjectKey};
use crate::model::policy::Boundary;
use crate::model::revision::Revision;
use crate::model::state::{AccountState, State};

/// What can be written; an update replaces all of it.
#[derive(Debug, Clone)]
pub struct BoundaryFields {
    /// Unique in the account.
    pub name: String,
    /// The text, kept byte for byte.
    pub query: String,
}

/// Makes a boundary.
///
/// # Errors
/// [`Rejection`]: the account is not there, the id or the name is taken, or a field is invalid.
pub fn create(state: &State, account: AccountId, id: BoundaryId, fields: BoundaryFields) -> Result<Plan, Rejection> {
    let catalogue = check::catalogue(state, check::account(state, account)?)?;
    create_against(state, account, &catalogue, id, fields)
}

/// [`create`] against the account's catalogue, for callers that make many.
///
/// # Errors
/// As [`create`].
pub fn create_against(
    state: &State,
    account: AccountId,
    catalogue: &Catalogue,
    id: BoundaryId,
    fields: BoundaryFields,
) -> Result<Plan, Rejection> {
    let owned = check::account(state, account)?;
    let key = ObjectKey::Boundary(account, id);
    let plan = put(owned, account, catalogue, id, None, fields)?;
    check::new_id(owned.boundaries.get(&id), &key)?;
    Ok(plan)
}

/// Replaces the fields of a boundary.
///
/// # Errors
/// [`Rejection`]: it is not there, has changed, the name is taken, or a field is invalid.
pub fn update(
    state: &State,
    account: AccountId,
    id: BoundaryId,
    expected: Option<Revision>,
    fields: BoundaryFields,
) -> Result<Plan, Rejection> {
    let owned = check::account(state, account)?;
    check::current(owned.boundaries.get(&id), &ObjectKey::Boundary(account, id), expected)?;
    put(owned, account, &*check::catalogue(state, owned)?, id, Some(&id), fields)
}

/// Takes a boundary away.
///
/// # Errors
/// [`Rejection`]: it is not there, has changed, or a binding has it. There is no force: a binding without its boundary
/// would grant more, and a binding is not taken away for the sake of a boundary.
pub fn delete(
    state: &State,
    account: AccountId,
    id: BoundaryId,
    expected: Option<Revision>,
) -> Result<Plan, Rejection> {
    let owned = check::account(state, account)?;
    let key = ObjectKey::Boundary(account, id);
    check::current(owned.boundaries.get(&id), &key, expected)?;
    let users = owned.bindings.values().filter(|binding| binding.value.boundaries.contains(&id)).count();
    check::unused(&key, check::users_of(&[(users, "bindings")]), false)?;
    Ok(Plan::new(key.clone(), vec![Edit::Delete(key)]))
}

fn put(
    owned: &AccountState,
    account: AccountId,
    catalogue: &Catalogue,
    id: BoundaryId,
    own: Option<&BoundaryId>,
    fields: BoundaryFields,
) -> Result<Plan, Rejection> {
    let BoundaryFields { name, query } = fields;
    let mut found = Violations::default();
    let name = found.text("name", &name);
    let checked = check_boundary(&query, catalogue);
    let warnings = found.diagnostics("query", &query, &checked.diagnostics);
    let boundary = found.finish(name.map(|name| Boundary { id, name, query }))?;
    let bearer = owned.boundary_by_name(boundary.name.as_str()).map(|other| other.value.id);
    check::free("boundary", "name", &boundary.name, bearer, own)?;
    let edits = vec![Edit::Put(Object::Boundary(account, boundary))];
    Ok(Plan { subject: ObjectKey::Boundary(account, id), edits, warnings })
}
