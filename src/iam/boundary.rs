//! Boundaries of an account. A change of one acts on its bindings at once (reference ch. 4.2.12).

use super::check::{self, Violations};
use super::texts::{self, Change, Texts};
use super::{Plan, Rejection};
use crate::compile::bind::parameters_of_boundary;
use crate::compile::check::boundary as check_boundary;
use crate::lang::ast::BoundaryAst;
use crate::lang::parse_boundary;
use crate::model::catalogue::Catalogue;
use crate::model::id::{AccountId, BoundaryId};
use crate::model::limits;
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
/// [`Rejection`]: the account is not there or has as many as it may have, the id or the name is taken, or a field is
/// invalid.
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
    let (boundary, _, warnings) = fields.validate(id, catalogue)?;
    check_name(owned, &boundary, None)?;
    check::new_id(owned.boundaries.get(&id), &key)?;
    check::room("the account", "boundaries", owned.boundaries.len(), limits::ACCOUNT_BOUNDARIES)?;
    Ok(Plan { subject: key, edits: vec![Edit::Put(Object::Boundary(account, boundary))], warnings })
}

/// Replaces the fields of a boundary; while it is bound its parameters stay.
///
/// # Errors
/// [`Rejection`]: it is not there, has changed, the name is taken, a field is invalid, the parameters differ while it is
/// bound, or a binding's values do not fit the new text or it expands to too many statements.
pub fn update(
    state: &State,
    account: AccountId,
    id: BoundaryId,
    expected: Option<Revision>,
    fields: BoundaryFields,
) -> Result<Plan, Rejection> {
    let owned = check::account(state, account)?;
    let key = ObjectKey::Boundary(account, id);
    let known = &check::current(owned.boundaries.get(&id), &key, expected)?.value;
    let catalogue = check::catalogue(state, owned)?;
    let (boundary, tree, mut warnings) = fields.validate(id, &catalogue)?;
    warnings.extend(check_bound(state, owned, known, tree, &catalogue)?);
    check_name(owned, &boundary, Some(&id))?;
    Ok(Plan { subject: key, edits: vec![Edit::Put(Object::Boundary(account, boundary))], warnings })
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
    let users = owned.bindings_of_boundary(id).count();
    check::unused(&key, check::users_of(&[(users, "bindings")]), false)?;
    Ok(Plan::new(key.clone(), vec![Edit::Delete(key)]))
}

fn check_name(owned: &AccountState, boundary: &Boundary, own: Option<&BoundaryId>) -> Result<(), Rejection> {
    let bearer = owned.boundary_by_name(boundary.name.as_str()).map(|other| other.value.id);
    check::free("boundary", "name", &boundary.name, bearer, own)
}

/// Refuses a text that does not suit the bindings which have the boundary; the warnings are returned.
fn check_bound(
    state: &State,
    owned: &AccountState,
    known: &Boundary,
    tree: BoundaryAst,
    catalogue: &Catalogue,
) -> Result<Vec<String>, Rejection> {
    let mut bindings = owned.bindings_of_boundary(known.id).peekable();
    if bindings.peek().is_none() {
        return Ok(Vec::new());
    }
    let before = parse_boundary(&known.query).ast;
    let (before, after) = (parameters_of_boundary(&before), parameters_of_boundary(&tree));
    let mut found = Violations::default();
    if before != after {
        let (before, after) = (texts::listed(&before), texts::listed(&after));
        let problem = format!("the boundary is bound, so its parameters must stay {before}; they would be {after}");
        found.add("query", "parameters_changed", problem);
        return found.finish(None);
    }
    let mut texts = Texts::default();
    texts.assume_boundary(known.id, tree);
    let warnings = Change { field: "query", state, owned, catalogue, texts }.check(bindings, &mut found);
    found.finish(Some(warnings))
}

// === impl BoundaryFields ===

impl BoundaryFields {
    fn validate(
        self,
        id: BoundaryId,
        catalogue: &Catalogue,
    ) -> Result<(Boundary, BoundaryAst, Vec<String>), Rejection> {
        let Self { name, query } = self;
        let mut found = Violations::default();
        let name = found.text("name", &name);
        let checked = check_boundary(&query, catalogue);
        let warnings = found.diagnostics("query", &query, &checked.diagnostics);
        let boundary = name.map(|name| Boundary { id, name, query });
        found.finish(boundary.map(|boundary| (boundary, checked.ast, warnings)))
    }
}
