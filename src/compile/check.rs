//! Validation: whether the names, operators and values of a text are those that the catalogue knows.
//!
//! A statement is checked from left to right, and what follows from an error is not reported again: an unknown
//! permission says nothing about the conditions, a condition that does not fit nothing about its operator there.
//! What could be read of a condition that did not parse is checked like one that did (rules R27).

use std::fmt::Display;

use super::advice;
use crate::lang::ast::{BoundaryAst, Condition, PolicyAst, Statement};
use crate::lang::diag::{Diagnostic, in_order};
use crate::lang::parser::{self, Fragment, Parsed};
use crate::lang::span::{Span, Spanned};
use crate::model::catalogue::{Catalogue, GLOBAL_PREFIX, GlobalCondition, OperatorSet, PermissionName};
use crate::model::policy::Effect;

mod clause;
mod suggest;
mod value;

use clause::Clause;
pub use value::{group_problem, value_problem};

/// The most permissions that one message lists.
const LISTED: usize = 6;

/// A text, parsed and held against a catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked<T> {
    /// The parts that parsed. It is the text's meaning only where [`Checked::is_ok`].
    pub ast: T,
    /// Errors and warnings, by place.
    pub diagnostics: Vec<Diagnostic>,
}

/// Parses a policy and holds it against `catalogue`.
#[must_use]
pub fn policy(text: &str, catalogue: &Catalogue) -> Checked<PolicyAst> {
    let Parsed { ast, fragments, diagnostics } = parser::policy(text);
    let mut checker = Checker::new(catalogue, diagnostics);
    for statement in &ast.statements {
        checker.statement(&statement.node, within(&fragments, statement.span));
    }
    // What a text means is known only where it is right.
    if !checker.diagnostics.iter().any(Diagnostic::is_error) {
        checker.diagnostics.extend(advice::policy(&ast, catalogue));
    }
    Checked { ast, diagnostics: in_order(checker.diagnostics) }
}

/// Parses a boundary and holds it against `catalogue`.
#[must_use]
pub fn boundary(text: &str, catalogue: &Catalogue) -> Checked<BoundaryAst> {
    let Parsed { ast, fragments, diagnostics } = parser::boundary(text);
    let mut checker = Checker::new(catalogue, diagnostics);
    let conditions = ast.conditions.iter().map(|condition| Clause::from(&condition.node));
    for clause in conditions.chain(fragments.iter().map(Clause::from)) {
        checker.boundary_clause(clause);
    }
    if !checker.diagnostics.iter().any(Diagnostic::is_error) {
        checker.diagnostics.extend(advice::boundary(&ast));
    }
    Checked { ast, diagnostics: in_order(checker.diagnostics) }
}

/// The fragments inside a statement; those of what is no statement are inside none.
fn within(fragments: &[Fragment], statement: Span) -> &[Fragment] {
    let before = |place: usize| fragments.partition_point(|fragment| fragment.attribute.span.start < place);
    fragments.get(before(statement.start)..before(statement.end)).unwrap_or_default()
}

struct Checker<'c> {
    catalogue: &'c Catalogue,
    diagnostics: Vec<Diagnostic>,
    /// So many were reported; neighbours are looked up for the first of them only.
    unknown_permissions: usize,
    /// The same of conditions.
    unknown_conditions: usize,
}

// === impl Checked ===

impl<T> Checked<T> {
    /// Whether the text is accepted; warnings do not matter.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        !self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

// === impl Checker ===

impl<'c> Checker<'c> {
    fn new(catalogue: &'c Catalogue, diagnostics: Vec<Diagnostic>) -> Self {
        Self { catalogue, diagnostics, unknown_permissions: 0, unknown_conditions: 0 }
    }

    fn statement(&mut self, statement: &Statement, fragments: &[Fragment]) {
        let mut known = Vec::new();
        for permission in &statement.permissions {
            if !self.catalogue.knows(permission.node.as_str()) {
                self.unknown_permission(permission);
            } else if !known.contains(&&permission.node) {
                known.push(&permission.node);
            }
        }
        for condition in &statement.conditions {
            self.clause(Clause::from(&condition.node), &known);
            if statement.effect == Effect::Deny {
                self.negative_in_deny(&condition.node);
            }
        }
        for fragment in fragments {
            self.clause(Clause::from(fragment), &known);
        }
    }

    fn unknown_permission(&mut self, permission: &Spanned<PermissionName>) {
        let name = permission.node.as_str();
        let service = name.split(':').next().unwrap_or_default();
        let known_service = suggest::service_permissions(self.catalogue, service).next().is_some();
        let why = if known_service { String::new() } else { format!(": there is no service `{service}`") };
        let message = format!("unknown permission `{name}`{why}");
        self.unknown_permissions += 1;
        let help = suggest::for_permission(self.catalogue, name, self.unknown_permissions);
        self.diagnostics.push(Diagnostic { help, ..Diagnostic::error("unknown_permission", permission.span, message) });
    }

    fn clause(&mut self, clause: Clause<'_>, permissions: &[&PermissionName]) {
        if clause.name().starts_with(GLOBAL_PREFIX) {
            return self.global_clause(clause);
        }
        if self.supported(clause, permissions) {
            self.operator_on_permissions(clause, permissions);
            self.values(clause);
        }
    }

    /// Reports the permissions that do not take the condition; false where none of them does.
    fn supported(&mut self, clause: Clause<'_>, permissions: &[&PermissionName]) -> bool {
        let name = clause.name();
        let takes = |permission: &&PermissionName| self.catalogue.condition(permission.as_str(), name).is_some();
        let (with, without): (Vec<_>, Vec<_>) = permissions.iter().copied().partition(takes);
        if without.is_empty() {
            return true;
        }
        let span = clause.attribute.span;
        let message = format!("{} {} no condition `{name}`", listed(&without), verb(&without));
        let diagnostic = if with.is_empty() {
            self.unknown_conditions += 1;
            let help = suggest::for_condition(self.catalogue, name, &without, self.unknown_conditions);
            Diagnostic { help, ..Diagnostic::error("unknown_condition", span, message) }
        } else {
            let help = format!("Split the statement: {} with it, {} without.", listed(&with), listed(&without));
            Diagnostic::error("condition_not_supported", span, message).with_help(help)
        };
        self.diagnostics.push(diagnostic);
        !with.is_empty()
    }

    fn operator_on_permissions(&mut self, clause: Clause<'_>, permissions: &[&PermissionName]) {
        let Some(Spanned { node: operator, span }) = clause.operator else { return };
        let name = clause.name();
        let refusing = permissions.iter().filter_map(|&permission| {
            let spec = self.catalogue.condition(permission.as_str(), name)?;
            (!spec.operators.contains(operator)).then_some((spec.operators, permission))
        });
        let refusing: Vec<_> = refusing.collect();
        if refusing.is_empty() {
            return;
        }
        let names: Vec<_> = refusing.iter().map(|&(_, permission)| permission).collect();
        let message = format!("{} {} no `{operator}` on `{name}`", listed(&names), verb(&names));
        let diagnostic = Diagnostic::error("operator_not_supported", span, message);
        self.diagnostics.push(diagnostic.with_help(allowed(&refusing)));
    }

    fn global_clause(&mut self, clause: Clause<'_>) {
        let name = clause.name();
        if let Some(global) = GlobalCondition::from_name(name) {
            self.operator_of_any(clause, global.operators());
            return self.values(clause);
        }
        let names: Vec<_> = GlobalCondition::ALL.iter().map(|global| format!("`{}`", global.name())).collect();
        let message = format!("unknown global condition `{name}`");
        let diagnostic = Diagnostic::error("unknown_global_condition", clause.attribute.span, message);
        self.diagnostics.push(diagnostic.with_help(format!("The global conditions are {}.", names.join(", "))));
    }

    /// Reports an operator that nothing takes for this name.
    fn operator_of_any(&mut self, clause: Clause<'_>, allowed: OperatorSet) {
        if let Some(operator) = clause.operator.filter(|operator| !allowed.contains(operator.node)) {
            let message = format!("`{}` takes no `{}`", clause.name(), operator.node);
            let diagnostic = Diagnostic::error("operator_not_supported", operator.span, message);
            self.diagnostics.push(diagnostic.with_help(format!("It takes {allowed}.")));
        }
    }

    /// Rules R10.
    fn boundary_clause(&mut self, clause: Clause<'_>) {
        let name = clause.name();
        if name.starts_with(GLOBAL_PREFIX) {
            return self.global_clause(clause);
        }
        let operators = self.catalogue.operators_anywhere(name);
        if operators.is_empty() {
            let message = format!("no permission takes a condition `{name}`");
            self.unknown_conditions += 1;
            let help = suggest::for_condition(self.catalogue, name, &[], self.unknown_conditions);
            let diagnostic = Diagnostic::error("unknown_condition", clause.attribute.span, message);
            return self.diagnostics.push(Diagnostic { help, ..diagnostic });
        }
        self.operator_of_any(clause, operators);
        self.values(clause);
    }

    fn values(&mut self, clause: Clause<'_>) {
        self.diagnostics.extend(clause.values.iter().filter_map(|value| value::check(clause, value)));
    }

    /// Rules R7. A global condition is never absent where it takes a negative operator.
    fn negative_in_deny(&mut self, condition: &Condition) {
        let name = condition.attribute.node.as_str();
        if !condition.operator.node.is_negative() || name.starts_with(GLOBAL_PREFIX) {
            return;
        }
        let message = format!("this DENY does not hold where `{name}` is absent");
        let help = "A comparison with an absent attribute is false, `!=`, `NOT IN` and `NOT startsWith` too; \
                    add a DENY that covers the absence where that matters.";
        let span = condition.attribute.span.to(condition.operator.span);
        self.diagnostics.push(Diagnostic::warning("deny_negative_absent", span, message).with_help(help));
    }
}

fn verb(permissions: &[&PermissionName]) -> &'static str {
    if permissions.len() == 1 { "takes" } else { "take" }
}

/// Names in back-ticks with commas between, cut to [`LISTED`].
pub(super) fn listed<T: Display>(names: &[T]) -> String {
    let shown: Vec<_> = names.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(LISTED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The operators that permissions take, each set once.
fn allowed(pairs: &[(OperatorSet, &PermissionName)]) -> String {
    let mut sets: Vec<(OperatorSet, Vec<&PermissionName>)> = Vec::new();
    for &(operators, permission) in pairs {
        match sets.iter_mut().find(|(set, _)| *set == operators) {
            Some((_, permissions)) => permissions.push(permission),
            None => sets.push((operators, vec![permission])),
        }
    }
    let sentences = sets.iter().map(|(set, names)| format!("{} {} {set}.", listed(names), verb(names)));
    sentences.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
