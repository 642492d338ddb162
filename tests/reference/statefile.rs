//! A state as the state file says it (rules §8): JSON for each object, one a line, which is YAML.

use std::fmt::Write as _;

use doorward::model::catalogue::CatalogueEntry;
use doorward::model::id::AccountId;
use doorward::model::identity::{User, UserState};
use doorward::model::level::Level;
use doorward::model::policy::Policy;
use doorward::model::state::{AccountState, State};
use serde_json::{Map, Value, json};

/// The state file of `account`.
///
/// A file cannot hold policies of the global level: those that are bound and do not ship are written at account level, with
/// ` (global)` behind the name where the account has one of that name.
///
/// # Panics
/// Where the state has no such account.
pub fn state_file(state: &State, account: AccountId) -> String {
    let owned = state.account(account).expect("the account");
    let own = &owned.account.value;
    let head = json!({"id": own.id, "name": own.name, "strictBoundaries": own.strict_boundaries});
    let mut text = format!("account: {head}\n");
    let (services, users): (Vec<_>, Vec<_>) = owned.users.values().partition(|user| user.value.is_service());
    let globals = bound_globals(state, owned);
    let globals = globals.iter().map(|policy| policy_entry(&as_account_policy(policy, owned)));
    section(&mut text, "catalogue", owned.catalogue.values().map(|it| permission(&it.value)));
    section(
        &mut text,
        "environments",
        owned.environments.values().map(|it| json!({"id": it.value.id, "name": it.value.name})),
    );
    section(
        &mut text,
        "groups",
        owned
            .groups
            .values()
            .map(|it| json!({"id": it.value.id, "name": it.value.name, "owner": it.value.owner.name()})),
    );
    section(&mut text, "users", users.iter().map(|it| user(&it.value)));
    section(&mut text, "serviceUsers", services.iter().map(|it| user(&it.value)));
    section(&mut text, "policies", owned.policies.values().map(|it| policy_entry(&it.value)).chain(globals));
    section(
        &mut text,
        "boundaries",
        owned.boundaries.values().map(|it| json!({"id": it.value.id, "name": it.value.name, "query": it.value.query})),
    );
    section(
        &mut text,
        "bindings",
        owned.bindings.values().map(|it| {
            let binding = &it.value;
            let entry = json!({
                "policy": binding.policy, "group": binding.group, "level": binding.level.name(),
                "parameters": binding.parameters, "boundaries": binding.boundaries, "metadata": binding.metadata,
            });
            with_environment(entry, binding.level.environment().map(ToString::to_string))
        }),
    );
    text
}

fn section(text: &mut String, name: &str, entries: impl Iterator<Item = Value>) {
    let entries: Vec<_> = entries.map(without_empty).collect();
    if entries.is_empty() {
        return;
    }
    let _ = writeln!(text, "{name}:");
    for entry in entries {
        let _ = writeln!(text, "  - {entry}");
    }
}

/// Missing keys are empty (rules §8), but for a text that must be there.
fn without_empty(entry: Value) -> Value {
    let Value::Object(entry) = entry else { return entry };
    let empty = |value: &Value| match value {
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Null => true,
        _ => false,
    };
    Value::Object(entry.into_iter().filter(|(_, value)| !empty(value)).collect::<Map<_, _>>())
}

fn with_environment(mut entry: Value, environment: Option<String>) -> Value {
    if let (Some(id), Value::Object(map)) = (environment, &mut entry) {
        map.insert("environment".to_owned(), Value::from(id));
    }
    entry
}

fn permission(entry: &CatalogueEntry) -> Value {
    let condition = |spec: &doorward::model::catalogue::ConditionSpec| json!({"name": spec.name, "operators": spec.operators, "anyMatch": spec.any_match});
    json!({"permission": entry.permission, "conditions": entry.conditions.iter().map(condition).collect::<Vec<_>>()})
}

fn user(user: &User) -> Value {
    let named = |state: UserState| UserState::NAMES.iter().find(|(_, it)| *it == state).map(|(name, _)| *name);
    let state = named(user.state).filter(|_| user.state != UserState::Active);
    json!({"id": user.id, "email": user.email, "name": user.name, "state": state, "groups": user.groups})
}

fn policy_entry(policy: &Policy) -> Value {
    let entry = json!({
        "id": policy.id, "name": policy.name, "level": policy.level.name(), "statements": policy.statements,
    });
    with_environment(entry, policy.level.environment().map(ToString::to_string))
}

fn bound_globals<'s>(state: &'s State, owned: &AccountState) -> Vec<&'s Policy> {
    let shipped = doorward::compile::shipped_global().policies;
    let bound = |policy: &Policy| owned.bindings.values().any(|binding| binding.value.policy == policy.id);
    let policies = state.global_policies().values().map(|it| &it.value);
    policies.filter(|policy| bound(policy) && !shipped.contains(policy)).collect()
}

fn as_account_policy(policy: &Policy, owned: &AccountState) -> Policy {
    let taken = owned.policy_by_name(&Level::Account, &policy.name).is_some();
    let name = if taken { format!("{} (global)", policy.name) } else { policy.name.to_string() };
    Policy { level: Level::Account, name: name.parse().expect("a name"), ..policy.clone() }
}
