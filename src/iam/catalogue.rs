//! Additions of an account to the permission catalogue (rules R28).

use super::check::{self, Violations};
use super::{Plan, Rejection};
use crate::model::catalogue::{
    Catalogue, CatalogueEntry, CatalogueRejected, ConditionSpec, Operator, OperatorSet, PermissionName,
};
use crate::model::id::AccountId;
use crate::model::mutation::Edit;
use crate::model::object::{Object, ObjectKey};
use crate::model::revision::Revision;
use crate::model::state::{AccountState, State};

/// A permission with conditions to be added to it.
#[derive(Debug, Clone)]
pub struct NewPermission {
    /// `service:resource:action`.
    pub permission: String,
    /// Its conditions; those that are there already may be named again, as they are.
    pub conditions: Vec<NewCondition>,
}

/// A condition of a permission.
#[derive(Debug, Clone)]
pub struct NewCondition {
    /// `service:attribute`.
    pub name: String,
    /// As the language spells them.
    pub operators: Vec<String>,
    /// R6.
    pub any_match: bool,
}

/// Adds a permission, or conditions to one that is known. What is there already is no change.
///
/// # Errors
/// [`Rejection`]: the account is not there, or a field is invalid: `catalogue_conflict` where a condition would change.
pub fn create(state: &State, account: AccountId, new: &NewPermission) -> Result<Plan, Rejection> {
    let there = check::catalogue(state, check::account(state, account)?)?;
    create_against(state, account, &there, new)
}

/// [`create`] where the catalogue of the account is at hand: one file adds thousands.
pub(crate) fn create_against(
    state: &State,
    account: AccountId,
    there: &Catalogue,
    new: &NewPermission,
) -> Result<Plan, Rejection> {
    let owned = check::account(state, account)?;
    let addition = read(new)?;
    check_addition(only(there, &addition.permission), &addition)?;
    let key = ObjectKey::CatalogueEntry(account, addition.permission.clone());
    let merged = merge(owned, there, addition);
    let edits = merged.map(|entry| Edit::Put(Object::CatalogueEntry(account, entry)));
    Ok(Plan::new(key, edits.into_iter().collect()))
}

/// Adds to an addition of the account that is there.
///
/// # Errors
/// [`Rejection`]: it is not there, has changed; and as [`create`].
pub fn update(
    state: &State,
    account: AccountId,
    expected: Option<Revision>,
    new: &NewPermission,
) -> Result<Plan, Rejection> {
    let owned = check::account(state, account)?;
    let permission = read(new)?.permission;
    let key = ObjectKey::CatalogueEntry(account, permission.clone());
    check::current(owned.catalogue.get(&permission), &key, expected)?;
    create(state, account, new)
}

/// Takes an addition of the account away. Statements that used it grant nothing more (rules R30).
///
/// # Errors
/// [`Rejection`]: it is not there, has changed, or without `force` a policy of the account names the permission.
pub fn delete(
    state: &State,
    account: AccountId,
    permission: &PermissionName,
    expected: Option<Revision>,
    force: bool,
) -> Result<Plan, Rejection> {
    let owned = check::account(state, account)?;
    let key = ObjectKey::CatalogueEntry(account, permission.clone());
    check::current(owned.catalogue.get(permission), &key, expected)?;
    check::unused(&key, check::users_of(&[(policies_with(owned, permission), "policies")]), force)?;
    Ok(Plan::new(key.clone(), vec![Edit::Delete(key)]))
}

fn policies_with(owned: &AccountState, permission: &PermissionName) -> usize {
    let names = |text: &str| {
        let statements = crate::lang::parse_policy(text).ast.statements;
        statements.iter().flat_map(|it| &it.node.permissions).any(|named| named.node == *permission)
    };
    // A permission is written in one piece, so that a text without it need not be parsed.
    let texts = owned.policies.values().map(|policy| policy.value.statements.as_str());
    texts.filter(|text| text.contains(permission.as_str()) && names(text)).count()
}

fn read(new: &NewPermission) -> Result<CatalogueEntry, Rejection> {
    let mut found = Violations::default();
    let permission = name(&mut found, "permission", &new.permission);
    let specs =
        new.conditions.iter().enumerate().map(|(index, condition)| read_condition(&mut found, index, condition));
    let conditions: Vec<_> = specs.collect();
    let conditions: Option<Vec<_>> = conditions.into_iter().collect();
    let entry = permission.zip(conditions).map(|(permission, conditions)| CatalogueEntry { permission, conditions });
    found.finish(entry)
}

fn read_condition(found: &mut Violations, index: usize, new: &NewCondition) -> Option<ConditionSpec> {
    let field = format!("conditions[{index}]");
    let name = name(found, &format!("{field}.name"), &new.name);
    let mut operators = Vec::new();
    for (position, token) in new.operators.iter().enumerate() {
        match Operator::from_token(token) {
            Some(operator) => operators.push(operator),
            None => found.add(format!("{field}.operators[{position}]"), "unknown_operator", no_operator()),
        }
    }
    Some(ConditionSpec { name: name?, operators: operators.into(), any_match: new.any_match })
}

fn name<T: std::str::FromStr<Err: std::fmt::Display>>(found: &mut Violations, field: &str, text: &str) -> Option<T> {
    text.parse().map_err(|problem: T::Err| found.add(field, "invalid_name", problem.to_string())).ok()
}

fn no_operator() -> String {
    let known: OperatorSet =
        Operator::ALL.into_iter().filter(|it| !matches!(it, Operator::Less | Operator::Greater)).collect();
    format!("must be one of {known}")
}

/// What the catalogue says of one permission: all that an addition to it can contradict.
fn only(there: &Catalogue, permission: &PermissionName) -> Catalogue {
    let conditions = there.conditions_of(permission.as_str()).cloned().collect();
    let known = CatalogueEntry { permission: permission.clone(), conditions };
    Catalogue::from_entries(there.knows(permission.as_str()).then_some(&known))
}

/// Each condition by itself, so that all problems are told.
fn check_addition(mut catalogue: Catalogue, addition: &CatalogueEntry) -> Result<(), Rejection> {
    let CatalogueEntry { permission, conditions } = addition;
    let mut found = Violations::default();
    let bare = CatalogueEntry { permission: permission.clone(), conditions: Vec::new() };
    if let Err(rejected) = catalogue.extend(&bare) {
        found.add("permission", code(&rejected), rejected.to_string());
        return found.finish(None);
    }
    for (index, spec) in conditions.iter().enumerate() {
        let one = CatalogueEntry { permission: permission.clone(), conditions: vec![spec.clone()] };
        let Err(rejected) = catalogue.extend(&one) else { continue };
        found.add(format!("conditions[{index}]"), code(&rejected), rejected.to_string());
        if matches!(rejected, CatalogueRejected::TooManyConditions(_)) {
            break;
        }
    }
    found.finish(Some(()))
}

const fn code(rejected: &CatalogueRejected) -> &'static str {
    match rejected {
        CatalogueRejected::Conflict { .. } => "catalogue_conflict",
        _ => "catalogue_rejected",
    }
}

/// The account's earlier addition with what is new; `None` where nothing is.
fn merge(owned: &AccountState, there: &Catalogue, addition: CatalogueEntry) -> Option<CatalogueEntry> {
    let CatalogueEntry { permission, conditions } = addition;
    let known = there.knows(permission.as_str());
    let earlier = owned.catalogue.get(&permission).map(|entry| entry.value.conditions.clone());
    let mut merged = earlier.unwrap_or_default();
    let before = merged.len();
    for spec in conditions {
        let is_there = there.condition(permission.as_str(), spec.name.as_str()).is_some();
        if !is_there && !merged.contains(&spec) {
            merged.push(spec);
        }
    }
    (!known || merged.len() > before).then_some(CatalogueEntry { permission, conditions: merged })
}
