//! A boundary's conditions, ready to be added to statements (reference ch. 4.3, rules R9 and R11).

use super::{Condition, Filling, Fit, fit_numbered};
use crate::lang::ast::{self, BoundaryAst};
use crate::model::catalogue::{Catalogue, PermissionNumber};

/// A boundary with its conditions in both forms.
pub(super) struct Lowered<'a> {
    conditions: Vec<Bound<'a>>,
    /// No permission knows one of its names any more. To leave that condition out would widen, so nothing is granted.
    pub(super) retired: bool,
}

/// One condition of a boundary.
struct Bound<'a> {
    source: &'a ast::Condition,
    /// For permissions with and without the any-match mark.
    scalar: Condition,
    any_match: Condition,
}

// === impl Lowered ===

impl<'a> Lowered<'a> {
    pub(super) fn new(boundary: &'a BoundaryAst, catalogue: &Catalogue, filling: &mut Filling<'_>) -> Self {
        let mut bound = |source: &'a ast::Condition| {
            let scalar = filling.condition(source, false);
            let any_match = match scalar.clone() {
                Condition::Attribute { name, test } => Condition::Attribute { name, test: test.of_any() },
                global => global,
            };
            Bound { source, scalar, any_match }
        };
        let conditions: Vec<_> = boundary.conditions.iter().map(|condition| bound(&condition.node)).collect();
        let unknown = |it: &Bound<'_>| !catalogue.knows_condition(it.source.attribute.node.as_str());
        let retired = conditions.iter().any(unknown);
        Self { conditions, retired }
    }

    /// How a permission takes each condition.
    pub(super) fn fits(&self, catalogue: &Catalogue, permission: PermissionNumber) -> Vec<Fit> {
        self.conditions.iter().map(|bound| fit_numbered(catalogue, permission, bound.source)).collect()
    }

    /// What the boundary adds for permissions that take its conditions so: for each name that fits, the alternatives of
    /// its repeats. `None` where nothing can be granted.
    pub(super) fn added(&self, fits: &[Fit]) -> Option<Vec<Condition>> {
        if self.retired {
            return None;
        }
        let mut names: Vec<(&str, Vec<Condition>)> = Vec::new();
        for (bound, fit) in self.conditions.iter().zip(fits) {
            let condition = match fit {
                Fit::NotTaken => continue,
                Fit::OperatorRefused => None,
                Fit::Taken { any_match: true } => Some(bound.any_match.clone()),
                Fit::Taken { any_match: false } => Some(bound.scalar.clone()),
            };
            let name = bound.source.attribute.node.as_str();
            match names.iter_mut().find(|(known, _)| *known == name) {
                Some((_, alternatives)) => alternatives.extend(condition),
                None => names.push((name, condition.into_iter().collect())),
            }
        }
        names.into_iter().map(|(_, alternatives)| one_of(alternatives)).collect()
    }
}

/// `None` where no alternative is left: rules R9 took every one of them.
fn one_of(mut alternatives: Vec<Condition>) -> Option<Condition> {
    match alternatives.len() {
        0 | 1 => alternatives.pop(),
        _ => Some(Condition::AnyOf(alternatives.into())),
    }
}
