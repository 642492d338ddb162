//! Conditions of one statement that can never hold together.
//!
//! In a DENY only those on what is computed count: where an attribute is not supplied, or has several values, a DENY is
//! UNKNOWN and denies (rules R2, R3), whatever else it asks of the attribute.

use std::collections::BTreeMap;

use super::text::{Values, never_hold};
use super::time;
use crate::compile::check::listed;
use crate::compile::fit::{Fit, fit};
use crate::lang::ast::{Condition, Statement};
use crate::lang::diag::Diagnostic;
use crate::lang::span::{Span, Spanned};
use crate::model::catalogue::{Catalogue, GLOBAL_PREFIX, GlobalCondition, Operator, PermissionName};
use crate::model::policy::Effect;

/// Conditions that leave nothing.
pub(super) struct Contradiction<'a> {
    span: Span,
    name: &'a str,
    permissions: Vec<&'a PermissionName>,
    /// Whether it is so for all permissions of the statement.
    pub(super) of_all: bool,
}

/// The conditions on one name, in order.
type Group<'a> = Vec<&'a Spanned<Condition>>;

/// The first contradiction of a statement; one that is of all its permissions, where there is one.
pub(super) fn find<'a>(statement: &'a Statement, catalogue: &Catalogue) -> Option<Contradiction<'a>> {
    computed(statement).or_else(|| match statement.effect {
        Effect::Allow => attributes(statement, catalogue),
        Effect::Deny => None,
    })
}

/// Among the conditions on time and environment, which every permission takes alike.
fn computed(statement: &Statement) -> Option<Contradiction<'_>> {
    let in_time = time::first_impossible(statement.conditions.iter());
    let condition = in_time.or_else(|| {
        let environment = GlobalCondition::EnvironmentId.name();
        let group = groups(statement).remove(environment).filter(|group| never_hold(group, Values::One));
        group.and_then(|group| group.last().copied())
    })?;
    let name = condition.node.attribute.node.as_str();
    Some(Contradiction { span: condition.span, name, permissions: Vec::new(), of_all: true })
}

fn attributes<'a>(statement: &'a Statement, catalogue: &Catalogue) -> Option<Contradiction<'a>> {
    let repeated =
        groups(statement).into_iter().filter(|(name, group)| group.len() > 1 && !name.starts_with(GLOBAL_PREFIX));
    let found = repeated.filter_map(|(name, group)| {
        let permissions = contradicted(statement, &group, catalogue);
        let of_all = permissions.len() == statement.permissions.len();
        let span = group.last()?.span;
        (!permissions.is_empty()).then_some(Contradiction { span, name, permissions, of_all })
    });
    found.max_by_key(|contradiction| contradiction.of_all)
}

/// The permissions for which the conditions of `group` can never hold.
fn contradicted<'a>(statement: &'a Statement, group: &Group<'_>, catalogue: &Catalogue) -> Vec<&'a PermissionName> {
    let scalar = group.iter().any(|condition| condition.node.operator.node != Operator::Match);
    // Several values defeat a scalar operator, so that MATCH beside one is about one value too.
    let one = scalar && never_hold(group, Values::One);
    let any = never_hold(group, Values::Any);
    let never = |permission: &PermissionName| {
        let marked = |condition: &&Spanned<Condition>| fit(catalogue, permission, &condition.node) == MARKED;
        if group.iter().any(marked) { any } else { one || any }
    };
    if !one && !any {
        return Vec::new();
    }
    statement.permissions.iter().map(|permission| &permission.node).filter(|permission| never(permission)).collect()
}

const MARKED: Fit = Fit::Taken { any_match: true };

fn groups(statement: &Statement) -> BTreeMap<&str, Group<'_>> {
    let mut groups: BTreeMap<&str, Group<'_>> = BTreeMap::new();
    for condition in &statement.conditions {
        groups.entry(condition.node.attribute.node.as_str()).or_default().push(condition);
    }
    groups
}

// === impl Contradiction ===

impl Contradiction<'_> {
    pub(super) fn told(self) -> Diagnostic {
        let Self { span, name, permissions, of_all } = self;
        let of = if of_all { String::new() } else { format!(" for {}", listed(&permissions)) };
        let message = format!("with this condition those on `{name}` can never hold together{of}");
        let help = "Conditions are joined by AND; write a list, or a statement for each case.";
        Diagnostic::warning("contradicting_conditions", span, message).with_help(help)
    }
}
