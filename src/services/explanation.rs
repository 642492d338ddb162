//! An explanation as a message: for the administrative service, and for the command line.

use super::check::{
    binding_at, binding_reference, boundary_reference, decision_of, policy_reference, to_reason, to_timestamp,
};
use crate::compile::describe::Description;
use crate::compile::expand::Removal;
use crate::eval::Truth;
use crate::eval::explain::{ExplainedCondition, ExplainedStatement, Explanation, Said, Standing};
use crate::eval::removed::{RemovedBy, RemovedStatement};
use crate::model::policy::Effect;
use crate::model::revision::RevisionToken;
use crate::proto::doorward as pb;

/// An explanation as the message of it, from the state of this revision.
#[must_use]
pub fn explained(explanation: &Explanation<'_>, token: RevisionToken) -> pb::ExplainResponse {
    let outcome = &explanation.outcome;
    let removed = explanation.removed.iter().map(removed_statement);
    pb::ExplainResponse {
        decision: decision_of(outcome.permit().as_ref()).into(),
        reason: Some(to_reason(&outcome.reason())),
        statements: explanation.statements.iter().map(statement).chain(removed).collect(),
        truncated: explanation.truncated,
        revision: token.revision.get(),
        revision_token: token.to_string(),
        valid_until: outcome.valid_until().map(to_timestamp),
    }
}

fn statement(it: &ExplainedStatement<'_>) -> pb::ExplainedStatement {
    let standing = match it.standing {
        Standing::Decided => pb::Standing::Decided,
        Standing::Counted => pb::Standing::Counted,
        Standing::Overruled => pb::Standing::Overruled,
        Standing::Unsettled => pb::Standing::Unsettled,
        Standing::NotHeld => pb::Standing::NotHeld,
        Standing::Elsewhere => pb::Standing::Elsewhere,
    };
    pb::ExplainedStatement {
        permission: it.permission.to_string(),
        effect: effect_of(it.source.effect()).into(),
        policy: Some(policy_reference(it.source.policy())),
        statement: it.source.statement().into(),
        binding: Some(binding_reference(&it.source)),
        boundary: it.source.boundary().map(boundary_reference),
        conditions: it.conditions.iter().map(condition).collect(),
        truth: truth_of(it.truth).into(),
        standing: standing.into(),
        removed_by: Vec::new(),
    }
}

fn removed_statement(it: &RemovedStatement<'_>) -> pb::ExplainedStatement {
    pb::ExplainedStatement {
        permission: it.permission.to_string(),
        effect: effect_of(Effect::Allow).into(),
        policy: Some(policy_reference(it.policy())),
        statement: it.statement.into(),
        binding: Some(binding_at(it.group_id(), it.group_name(), it.environment())),
        boundary: None,
        conditions: Vec::new(),
        // Of no copy any would hold.
        truth: truth_of(Truth::False).into(),
        standing: pb::Standing::Removed.into(),
        removed_by: it.by.iter().map(removed_by).collect(),
    }
}

fn removed_by(it: &RemovedBy<'_>) -> pb::RemovedBy {
    let removal = match it.why {
        Removal::AddsNothing => pb::Removal::AddsNothing,
        Removal::NotTaken => pb::Removal::NotTaken,
    };
    pb::RemovedBy { boundary: Some(boundary_reference(it.boundary)), removal: removal.into() }
}

fn condition(it: &ExplainedCondition) -> pb::ExplainedCondition {
    let (said, values, left_out) = match &it.said {
        Said::Values { values, left_out } => (pb::Said::Values, values.clone(), *left_out),
        Said::Absent => (pb::Said::Absent, Vec::new(), 0),
        Said::Nothing => (pb::Said::Nothing, Vec::new(), 0),
    };
    pb::ExplainedCondition {
        alternatives: it.alternatives.iter().map(description).collect(),
        said: said.into(),
        values,
        values_left_out: u32::try_from(left_out).unwrap_or(u32::MAX),
        truth: truth_of(it.truth).into(),
    }
}

pub(super) fn description(it: &Description) -> pb::Condition {
    match it {
        Description::Retired => pb::Condition { retired: true, ..pb::Condition::default() },
        Description::Condition(it) => pb::Condition {
            name: it.name.clone(),
            operator: it.operator.token().to_owned(),
            values: it.values.clone(),
            any_match: it.any_match,
            retired: false,
        },
    }
}

pub(super) const fn effect_of(effect: Effect) -> pb::StatementEffect {
    match effect {
        Effect::Allow => pb::StatementEffect::Allow,
        Effect::Deny => pb::StatementEffect::Deny,
    }
}

const fn truth_of(truth: Truth) -> pb::Truth {
    match truth {
        Truth::True => pb::Truth::True,
        Truth::False => pb::Truth::False,
        Truth::Unknown => pb::Truth::Unknown,
    }
}
