//! Whether a condition fits a permission: asked by name, then by operator (rules R9).

use crate::lang::ast::Condition;
use crate::model::catalogue::{Catalogue, ConditionSpec, GlobalCondition, PermissionName, PermissionNumber};

/// How a permission takes a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fit {
    /// The name does not fit: a boundary's condition is left out, a statement's is retired (rules R30).
    NotTaken,
    /// The name fits and the operator does not: nothing that holds this condition grants (rules R9).
    OperatorRefused,
    /// It fits.
    Taken {
        /// Any of several values may fit (rules R6).
        any_match: bool,
    },
}

/// How `permission` takes `condition`. A global condition fits every permission (reference ch. 2.1).
#[must_use]
pub fn fit(catalogue: &Catalogue, permission: &PermissionName, condition: &Condition) -> Fit {
    fit_of(condition, |name| catalogue.condition(permission.as_str(), name))
}

/// [`fit`] of a permission whose number is known.
#[must_use]
pub fn fit_numbered(catalogue: &Catalogue, permission: PermissionNumber, condition: &Condition) -> Fit {
    fit_of(condition, |name| catalogue.condition_of(permission, name))
}

fn fit_of<'a>(condition: &'a Condition, own: impl FnOnce(&'a str) -> Option<&'a ConditionSpec>) -> Fit {
    let name = condition.attribute.node.as_str();
    let operator = condition.operator.node;
    let taken = |allowed: bool, any_match: bool| if allowed { Fit::Taken { any_match } } else { Fit::OperatorRefused };
    if let Some(global) = GlobalCondition::from_name(name) {
        return taken(global.operators().contains(operator), false);
    }
    match own(name) {
        None => Fit::NotTaken,
        Some(spec) => taken(spec.operators.contains(operator), spec.any_match),
    }
}
