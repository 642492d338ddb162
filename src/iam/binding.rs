//! Bindings: a policy given to a group at a level. Identity is content, so an update is a delete and a put.

use std::collections::{BTreeMap, BTreeSet};

use super::check::{self, Violations};
use super::texts::Texts;
use super::{Plan, Rejection, Violation};
use crate::compile::bind::Misfit;
use crate::model::binding::{Binding, BindingKey};
use crate::model::catalogue::Catalogue;
use crate::model::id::{AccountId, BoundaryId, GroupId, PolicyId};
use crate::model::level::BindingLevel;
use crate::model::limits;
use crate::model::mutation::Edit;
use crate::model::object::{Object, ObjectKey};
use crate::model::policy::Policy;
use crate::model::revision::Revision;
use crate::model::state::{AccountState, State};
use crate::model::text::refuse_control;

/// The whole content of a binding.
#[derive(Debug, Clone)]
pub struct BindingFields {
    /// What is bound.
    pub policy: PolicyId,
    /// To whom.
    pub group: GroupId,
    /// Where it counts.
    pub level: BindingLevel,
    /// Values of the policy's parameters; surplus ones are kept.
    pub parameters: BTreeMap<String, String>,
    /// Boundaries, none twice.
    pub boundaries: Vec<BoundaryId>,
    /// For people and tools.
    pub metadata: BTreeMap<String, String>,
}

/// Makes a binding.
///
/// # Errors
/// [`Rejection`]: the account is not there, a reference leads nowhere, the policy cannot be bound at the level, a
/// parameter of the policy or a boundary is missing or does not fit, a limit, the same content is there, or the group
/// has as many as it may have.
pub fn create(state: &State, account: AccountId, fields: BindingFields) -> Result<Plan, Rejection> {
    let catalogue = check::catalogue(state, check::account(state, account)?)?;
    create_against(state, account, &catalogue, &mut Texts::default(), fields)
}

/// [`create`] against the account's catalogue, for callers that make many while the texts of the account stay as they are.
///
/// # Errors
/// As [`create`].
pub fn create_against(
    state: &State,
    account: AccountId,
    catalogue: &Catalogue,
    texts: &mut Texts,
    fields: BindingFields,
) -> Result<Plan, Rejection> {
    let owned = check::account(state, account)?;
    let (binding, warnings) = validate(state, owned, catalogue, texts, fields)?;
    refuse_duplicate(owned, &binding)?;
    refuse_full(owned, texts, binding.group)?;
    let subject = ObjectKey::Binding(account, binding.key());
    Ok(Plan { subject, edits: vec![Edit::Put(Object::Binding(account, binding))], warnings })
}

/// Gives a binding another content. The plan's subject is the new one.
///
/// # Errors
/// [`Rejection`]: the old one is not there, or has changed; and as [`create`] for the new one.
pub fn update(
    state: &State,
    account: AccountId,
    key: BindingKey,
    expected: Option<Revision>,
    fields: BindingFields,
) -> Result<Plan, Rejection> {
    let owned = check::account(state, account)?;
    let old = ObjectKey::Binding(account, key);
    let known = &check::current(owned.bindings.get(&key), &old, expected)?.value;
    let catalogue = check::catalogue(state, owned)?;
    let mut texts = Texts::default();
    let (binding, warnings) = validate(state, owned, &catalogue, &mut texts, fields)?;
    if binding.key() == key {
        return Ok(Plan { subject: old, edits: Vec::new(), warnings });
    }
    refuse_duplicate(owned, &binding)?;
    if binding.group != known.group {
        refuse_full(owned, &mut texts, binding.group)?;
    }
    let subject = ObjectKey::Binding(account, binding.key());
    let edits = vec![Edit::Delete(old), Edit::Put(Object::Binding(account, binding))];
    Ok(Plan { subject, edits, warnings })
}

/// Takes a binding away.
///
/// # Errors
/// [`Rejection`]: it is not there, or has changed.
pub fn delete(
    state: &State,
    account: AccountId,
    key: BindingKey,
    expected: Option<Revision>,
) -> Result<Plan, Rejection> {
    let owned = check::account(state, account)?;
    let subject = ObjectKey::Binding(account, key);
    check::current(owned.bindings.get(&key), &subject, expected)?;
    Ok(Plan::new(subject.clone(), vec![Edit::Delete(subject)]))
}

fn refuse_duplicate(owned: &AccountState, binding: &Binding) -> Result<(), Rejection> {
    match owned.bindings.get(&binding.key()) {
        None => Ok(()),
        Some(_) => Err(Rejection::AlreadyExists {
            noun: "binding",
            what: "the same group, policy, level, parameters, boundaries and metadata".to_owned(),
        }),
    }
}

fn refuse_full(owned: &AccountState, texts: &mut Texts, group: GroupId) -> Result<(), Rejection> {
    let holder = format!("group `{group}`");
    check::room(holder, "bindings", texts.bindings_of_group(owned, group), limits::GROUP_BINDINGS)
}

/// The binding, and what its author should know.
pub(super) fn validate(
    state: &State,
    owned: &AccountState,
    catalogue: &Catalogue,
    texts: &mut Texts,
    fields: BindingFields,
) -> Result<(Binding, Vec<String>), Rejection> {
    let mut found = Violations::default();
    check_place(&mut found, owned, &fields);
    check_entries(&mut found, "parameters", &fields.parameters, limits::BINDING_PARAMETERS);
    check_entries(&mut found, "metadata", &fields.metadata, limits::BINDING_METADATA);
    check_boundaries(&mut found, owned, &fields.boundaries);
    let policy = state.policy(owned, fields.policy).map(|policy| &policy.value);
    let warnings = if let Some(policy) = policy {
        check_level(&mut found, policy, &fields.level);
        check_texts(&mut found, owned, catalogue, texts, policy, &fields)
    } else {
        found.dangling("policy", "policy", fields.policy);
        Vec::new()
    };
    found.finish(Some(()))?;
    let BindingFields { policy, group, level, parameters, boundaries, metadata } = fields;
    let boundaries: BTreeSet<_> = boundaries.into_iter().collect();
    Ok((Binding { policy, group, level, parameters, boundaries, metadata }, warnings))
}

fn check_place(found: &mut Violations, owned: &AccountState, fields: &BindingFields) {
    if !owned.groups.contains_key(&fields.group) {
        found.dangling("group", "group", fields.group);
    }
    if let Some(id) = fields.level.environment().filter(|id| !owned.environments.contains_key(*id)) {
        found.dangling("environment", "environment", id);
    }
}

fn check_entries(found: &mut Violations, field: &str, entries: &BTreeMap<String, String>, limit: usize) {
    found.count(field, entries.len(), limit);
    for (name, value) in entries {
        if name.is_empty() {
            found.add(field, "empty", "holds an empty name");
        }
        if let Err(problem) = refuse_control(name) {
            found.add(field, "control_character", format!("holds a name that {problem}"));
        }
        if name.len() > limits::PARAMETER_NAME_BYTES {
            let (length, limit) = (name.len(), limits::PARAMETER_NAME_BYTES);
            found.add(field, "limit_exceeded", format!("holds a name of {length} bytes, the limit is {limit}"));
        } else {
            found.bytes(&format!("{field}.{name}"), value.len(), limits::PARAMETER_VALUE_BYTES);
        }
    }
}

fn check_boundaries(found: &mut Violations, owned: &AccountState, boundaries: &[BoundaryId]) {
    found.count("boundaries", boundaries.len(), limits::BINDING_BOUNDARIES);
    let mut seen = BTreeSet::new();
    for (index, id) in boundaries.iter().enumerate() {
        let field = format!("boundaries[{index}]");
        if !owned.boundaries.contains_key(id) {
            found.dangling(&field, "boundary", id);
        }
        if !seen.insert(id) {
            found.add(field, "duplicate", format!("boundary `{id}` is named twice"));
        }
    }
}

fn check_level(found: &mut Violations, policy: &Policy, level: &BindingLevel) {
    if !policy.level.may_bind_at(level) {
        let problem = format!("a policy of level {} cannot be bound at level {level}", policy.level);
        found.add("level", "level_not_allowed", problem);
    }
}

/// The policy with the boundaries and the parameters; the warnings are returned.
fn check_texts(
    found: &mut Violations,
    owned: &AccountState,
    catalogue: &Catalogue,
    texts: &mut Texts,
    policy: &Policy,
    fields: &BindingFields,
) -> Vec<String> {
    // More boundaries than there may be are refused already; what they would do is not worth finding out.
    let boundaries = fields.boundaries.iter().take(limits::BINDING_BOUNDARIES).copied().collect();
    let verdict = texts.judge(owned, catalogue, policy, &boundaries, &fields.parameters);
    for Violation { field, code, problem } in verdict.misfits.iter().map(violation) {
        found.add(field, code, problem);
    }
    if let Some(too_large) = verdict.too_large {
        found.add("boundaries", "expansion_too_large", too_large.to_string());
    }
    let of_values = verdict.surplus.iter().chain(&verdict.of_values);
    of_values.chain(&*verdict.of_texts).map(ToString::to_string).collect()
}

fn violation(misfit: &Misfit) -> Violation {
    let problem = misfit.to_string();
    match misfit {
        Misfit::Missing { name, .. } => {
            Violation { field: format!("parameters.{name}"), code: "parameter_missing", problem }
        }
        Misfit::Value { .. } => Violation { field: "parameters".to_owned(), code: "parameter_invalid", problem },
    }
}
