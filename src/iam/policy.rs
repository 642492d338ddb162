//! Policies at account and environment level. Those of the global level ship with Doorward.

use super::check::{self, Violations};
use super::texts::{self, Change, Texts};
use super::{Plan, Rejection};
use crate::compile::check::policy as check_policy;
use crate::compile::lower::parameters_of;
use crate::lang::ast::PolicyAst;
use crate::lang::parse_policy;
use crate::model::catalogue::Catalogue;
use crate::model::id::{AccountId, PolicyId};
use crate::model::level::Level;
use crate::model::limits;
use crate::model::mutation::Edit;
use crate::model::object::{Object, ObjectKey};
use crate::model::policy::Policy;
use crate::model::revision::Revision;
use crate::model::state::{AccountState, State};
use crate::model::text::Name;

/// A policy to be made.
#[derive(Debug, Clone)]
pub struct NewPolicy {
    /// Its id.
    pub id: PolicyId,
    /// Where it lives, for good.
    pub level: Level,
    /// The rest.
    pub fields: PolicyFields,
}

/// What can be written; an update replaces all of it.
#[derive(Debug, Clone)]
pub struct PolicyFields {
    /// Unique at its level.
    pub name: String,
    /// For people.
    pub description: String,
    /// For people.
    pub tags: Vec<String>,
    /// The text, kept byte for byte.
    pub statements: String,
}

/// Makes a policy.
///
/// # Errors
/// [`Rejection`]: the account is not there, the level is global, the id or the name is taken, or a field is invalid.
pub fn create(state: &State, account: AccountId, new: NewPolicy) -> Result<Plan, Rejection> {
    let catalogue = check::catalogue(state, check::account(state, account)?)?;
    create_against(state, account, &catalogue, new)
}

/// [`create`] against the account's catalogue, for callers that make many.
///
/// # Errors
/// As [`create`].
pub fn create_against(
    state: &State,
    account: AccountId,
    catalogue: &Catalogue,
    new: NewPolicy,
) -> Result<Plan, Rejection> {
    let NewPolicy { id, level, fields } = new;
    let owned = check::account(state, account)?;
    refuse_global(&level, &fields.name)?;
    let mut found = Violations::default();
    if let Some(environment) = level.environment().filter(|id| !owned.environments.contains_key(*id)) {
        found.dangling("environment", "environment", environment);
    }
    let (policy, _, warnings) = fields.validate(id, level, catalogue, found)?;
    check_name(owned, &policy, None)?;
    let key = ObjectKey::Policy(account, id);
    check::new_id(state.policy(owned, id), &key)?;
    Ok(Plan { subject: key, edits: vec![Edit::Put(Object::Policy(account, policy))], warnings })
}

/// Replaces the fields of a policy; the level stays, and while it is bound so do its parameters (reference ch. 5).
///
/// # Errors
/// [`Rejection`]: it is not there, has changed, is global, the name is taken, a field is invalid, the parameters differ
/// while it is bound, or a binding's values do not fit the new text or it expands to too many statements.
pub fn update(
    state: &State,
    account: AccountId,
    id: PolicyId,
    expected: Option<Revision>,
    fields: PolicyFields,
) -> Result<Plan, Rejection> {
    let owned = check::account(state, account)?;
    let key = ObjectKey::Policy(account, id);
    refuse_shipped(state, owned, id)?;
    let known = &check::current(owned.policies.get(&id), &key, expected)?.value;
    let catalogue = check::catalogue(state, owned)?;
    let level = known.level.clone();
    let (policy, tree, mut warnings) = fields.validate(id, level, &catalogue, Violations::default())?;
    warnings.extend(check_bound(state, owned, known, tree, &catalogue)?);
    check_name(owned, &policy, Some(&id))?;
    Ok(Plan { subject: key, edits: vec![Edit::Put(Object::Policy(account, policy))], warnings })
}

/// Takes a policy away; with `force` its bindings go too, those of the environments below among them.
///
/// # Errors
/// [`Rejection`]: it is not there, has changed, is global, or is bound at any level.
pub fn delete(
    state: &State,
    account: AccountId,
    id: PolicyId,
    expected: Option<Revision>,
    force: bool,
) -> Result<Plan, Rejection> {
    let owned = check::account(state, account)?;
    let key = ObjectKey::Policy(account, id);
    refuse_shipped(state, owned, id)?;
    check::current(owned.policies.get(&id), &key, expected)?;
    let bindings: Vec<_> = owned.bindings_of_policy(id).map(|(key, _)| ObjectKey::Binding(account, key)).collect();
    check::unused(&key, check::users_of(&[(bindings.len(), "bindings")]), force)?;
    let edits = bindings.into_iter().chain([key.clone()]).map(Edit::Delete).collect();
    Ok(Plan::new(key, edits))
}

fn refuse_global(level: &Level, name: &str) -> Result<(), Rejection> {
    match level {
        Level::Global => Err(Rejection::ReadOnly { what: format!("the global policy `{name}`") }),
        Level::Account | Level::Environment(_) => Ok(()),
    }
}

/// Refuses a change of a policy that the account only inherits.
fn refuse_shipped(state: &State, owned: &AccountState, id: PolicyId) -> Result<(), Rejection> {
    match state.policy(owned, id) {
        Some(policy) => refuse_global(&policy.value.level, policy.value.name.as_str()),
        None => Ok(()),
    }
}

fn check_name(owned: &AccountState, policy: &Policy, own: Option<&PolicyId>) -> Result<(), Rejection> {
    let bearer = owned.policy_by_name(&policy.level, &policy.name).map(|other| other.value.id);
    check::free("policy", "name", &policy.name, bearer, own)
}

/// Refuses a text that would leave a binding without its parameters, with values that do not fit, or too large; the
/// warnings are returned.
fn check_bound(
    state: &State,
    owned: &AccountState,
    known: &Policy,
    tree: PolicyAst,
    catalogue: &Catalogue,
) -> Result<Vec<String>, Rejection> {
    let mut bindings = owned.bindings_of_policy(known.id).peekable();
    if bindings.peek().is_none() {
        return Ok(Vec::new());
    }
    let (before, after) = (parameters_of(&parse_policy(&known.statements).ast), parameters_of(&tree));
    let mut found = Violations::default();
    if before != after {
        let (before, after) = (texts::listed(&before), texts::listed(&after));
        let problem = format!("the policy is bound, so its parameters must stay {before}; they would be {after}");
        found.add("statements", "parameters_changed", problem);
        return found.finish(None);
    }
    let mut texts = Texts::default();
    texts.assume_policy(known.id, tree);
    let warnings = Change { field: "statements", state, owned, catalogue, texts }.check(bindings, &mut found);
    found.finish(Some(warnings))
}

// === impl PolicyFields ===

impl PolicyFields {
    fn validate(
        self,
        id: PolicyId,
        level: Level,
        catalogue: &Catalogue,
        mut found: Violations,
    ) -> Result<(Policy, PolicyAst, Vec<String>), Rejection> {
        let Self { name, description, tags, statements } = self;
        let name = found.text("name", &name);
        found.description("description", &description);
        found.count("tags", tags.len(), limits::POLICY_TAGS);
        for (index, tag) in tags.iter().enumerate() {
            found.text::<Name>(&format!("tags[{index}]"), tag);
        }
        let checked = check_policy(&statements, catalogue);
        let warnings = found.diagnostics("statements", &statements, &checked.diagnostics);
        let policy = name.map(|name| Policy { id, level, name, description, tags, statements });
        found.finish(policy.map(|policy| (policy, checked.ast, warnings)))
    }
}
