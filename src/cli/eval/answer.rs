//! An answer line (rules §8).

use serde::Serialize;
use serde_json::value::RawValue;

use super::request::Failure;
use crate::eval::Outcome;
use crate::eval::outcome::StatementReason;
use crate::model::id::EnvironmentId;
use crate::model::policy;
use crate::model::revision::Revision;

#[derive(Serialize)]
struct Decided<'a> {
    id: Option<&'a RawValue>,
    decision: &'static str,
    reason: Reason<'a>,
    revision: u64,
}

#[derive(Serialize)]
struct Reason<'a> {
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<Policy<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    binding: Option<Binding<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    boundary: Option<Boundary<'a>>,
}

#[derive(Serialize)]
struct Policy<'a> {
    id: String,
    name: &'a str,
    level: &'static str,
}

#[derive(Serialize)]
struct Binding<'a> {
    group: Group<'a>,
    level: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<&'a str>,
}

#[derive(Serialize)]
struct Group<'a> {
    id: String,
    name: &'a str,
}

#[derive(Serialize)]
struct Boundary<'a> {
    id: String,
    name: &'a str,
}

#[derive(Serialize)]
struct Failed<'a> {
    id: Option<&'a RawValue>,
    error: Problem<'a>,
}

#[derive(Serialize)]
struct Problem<'a> {
    code: &'static str,
    field: &'a str,
    message: &'a str,
}

/// The line of a decision. `id` is JSON already.
pub(super) fn decision(id: &str, outcome: &Outcome<'_>, revision: Revision) -> String {
    let id = raw(id);
    let decided = outcome.reason();
    let statement = decided.statement.as_ref();
    let reason = Reason {
        code: decided.code.name(),
        policy: statement.map(policy),
        statement: statement.map(StatementReason::statement),
        binding: statement.map(binding),
        boundary: statement.and_then(StatementReason::boundary).map(boundary),
    };
    line(&Decided { id: id.as_deref(), decision: outcome.decision().name(), reason, revision: revision.get() })
}

/// The line of a request that gets no decision. `id` is JSON already.
pub(super) fn failure(id: &str, failure: &Failure) -> String {
    let id = raw(id);
    let error = Problem { code: failure.code, field: &failure.field, message: &failure.message };
    line(&Failed { id: id.as_deref(), error })
}

fn policy<'a>(reason: &StatementReason<'a>) -> Policy<'a> {
    let policy = reason.policy();
    Policy { id: policy.id.to_string(), name: policy.name.as_str(), level: policy.level.name() }
}

fn binding<'a>(reason: &StatementReason<'a>) -> Binding<'a> {
    let environment = reason.environment().map(EnvironmentId::as_str);
    let level = if environment.is_some() { "environment" } else { "account" };
    let group = Group { id: reason.group_id().to_string(), name: reason.group_name().as_str() };
    Binding { group, level, environment }
}

fn boundary(boundary: &policy::Boundary) -> Boundary<'_> {
    Boundary { id: boundary.id.to_string(), name: boundary.name.as_str() }
}

fn raw(id: &str) -> Option<Box<RawValue>> {
    RawValue::from_string(id.to_owned()).ok()
}

/// Maps of strings and numbers always can be written as JSON.
fn line(answer: &impl Serialize) -> String {
    serde_json::to_string(answer).unwrap_or_default()
}
