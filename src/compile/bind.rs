//! Whether a policy and boundaries can be bound with these parameters, and what the author of the binding should know.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::sync::Arc;

use super::advice::range_splits;
use super::check::{group_problem, listed, value_problem};
use super::expand::{Bound, Hold, hold};
use super::lower::Parameters;
use crate::lang::ast::{BoundaryAst, Condition, ParameterName, Piece, Value};
use crate::lang::span::Spanned;
use crate::model::catalogue::{Catalogue, ConditionName, GlobalCondition, Operator, PermissionName, ValueKind};
use crate::model::limits;
use crate::model::policy::Effect;

/// The text of a binding that something is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// The policy.
    Policy,
    /// The boundary of this name.
    Boundary(Arc<str>),
}

/// What the texts of a binding ask of its parameters.
#[derive(Debug, Clone)]
pub struct Requirements {
    /// The parameters that must be given, with the first text that uses each.
    pub needed: BTreeMap<ParameterName, Source>,
    /// Every condition with a parameter in it.
    templates: Vec<(Source, Condition)>,
}

/// Why a binding is refused (reference ch. 5, rules R22).
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Misfit {
    /// A parameter that is not given.
    #[error("is missing; {text} uses `${{bindParam:{name}}}`")]
    Missing {
        /// The parameter.
        name: ParameterName,
        /// The first text that uses it.
        text: Source,
    },
    /// A value that does not fit its condition once it is filled in.
    #[error("with these parameters the value of `{condition}` in {text} {problem}")]
    Value {
        /// The condition.
        condition: ConditionName,
        /// Where it stands.
        text: Source,
        /// What is wrong, as the rest of the sentence.
        problem: String,
    },
}

/// Something about a binding that its author should know, though it is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindWarning {
    /// A stable name in snake case, for programs.
    pub code: &'static str,
    /// Lower case, names in back-ticks, no final period.
    pub message: String,
}

/// The code of a boundary that adds nothing to a permission.
pub const LEAVES_UNRESTRICTED: &str = "boundary_leaves_unrestricted";
/// The code of the same where boundaries are strict.
pub const COPY_DROPPED: &str = "boundary_copy_dropped";

/// The permissions of a policy's ALLOW statements that a boundary treats alike, and how.
#[derive(Default)]
struct Effects<'a> {
    unrestricted: Vec<&'a PermissionName>,
    misfits: BTreeMap<(&'a ConditionName, Operator), Vec<&'a PermissionName>>,
}

// === impl Source ===

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy => f.write_str("the policy"),
            Self::Boundary(name) => write!(f, "boundary `{name}`"),
        }
    }
}

// === impl Requirements ===

impl Requirements {
    /// What `bound` asks for.
    #[must_use]
    pub fn of(bound: Bound<'_>) -> Self {
        let mut requirements = Self { needed: BTreeMap::new(), templates: Vec::new() };
        let statements = bound.policy.statements.iter().flat_map(|statement| &statement.node.conditions);
        requirements.add(&Source::Policy, statements);
        for boundary in bound.boundaries {
            requirements.add(&Source::Boundary(boundary.name.into()), &boundary.tree.conditions);
        }
        requirements
    }

    fn add<'a>(&mut self, source: &Source, conditions: impl IntoIterator<Item = &'a Spanned<Condition>>) {
        for Spanned { node: condition, .. } in conditions {
            let mut names = condition.values.iter().flat_map(|value| value.node.parameters()).peekable();
            if names.peek().is_some() {
                self.templates.push((source.clone(), condition.clone()));
            }
            for name in names {
                self.needed.entry(name.clone()).or_insert_with(|| source.clone());
            }
        }
    }

    /// What is wrong with these values, each problem once. Where one is missing, the others are not looked at.
    #[must_use]
    pub fn misfits(&self, parameters: &Parameters) -> Vec<Misfit> {
        let missing = self.needed.iter().filter(|(name, _)| !parameters.contains_key(name.as_str()));
        let missing = missing.map(|(name, text)| Misfit::Missing { name: name.clone(), text: text.clone() });
        let mut misfits: Vec<_> = missing.collect();
        if misfits.is_empty() {
            for (text, Condition { attribute, values, .. }) in &self.templates {
                let problems =
                    values.iter().filter_map(|value| filled_problem(&attribute.node, &value.node, parameters));
                misfits.extend(problems.map(|problem| {
                    let (condition, text) = (attribute.node.clone(), text.clone());
                    Misfit::Value { condition, text, problem }
                }));
            }
        }
        let mut told = HashSet::new();
        misfits.retain(|misfit| told.insert(misfit.clone()));
        misfits
    }

    /// The parameters that no text asks for.
    #[must_use]
    pub fn surplus(&self, parameters: &Parameters) -> Vec<BindWarning> {
        let surplus = parameters.keys().filter(|name| self.needed.keys().all(|used| used.as_str() != name.as_str()));
        let warning = |name| BindWarning {
            code: "surplus_parameter",
            message: format!("parameter `{name}` is used neither by the policy nor by a boundary"),
        };
        surplus.map(warning).collect()
    }

    /// What should be known about the values of the parameters that are asked for.
    #[must_use]
    pub fn of_values(&self, parameters: &Parameters) -> Vec<BindWarning> {
        let starred = self.starred(parameters).into_iter().map(literal_wildcard);
        starred.chain(self.no_groups(parameters)).collect()
    }

    /// The values of `global:userGroup` that no group can have (rules R15), each text and value once.
    fn no_groups(&self, parameters: &Parameters) -> Vec<BindWarning> {
        let about_groups = |(_, condition): &&(Source, Condition)| {
            condition.attribute.node.as_str() == GlobalCondition::UserGroup.name()
        };
        let mut warnings = Vec::new();
        for (text, condition) in self.templates.iter().filter(about_groups) {
            let with_parameters = condition.values.iter().filter(|value| value.node.parameters().next().is_some());
            let filled = with_parameters.filter_map(|value| filled(&value.node, parameters));
            for problem in filled.filter_map(|value| group_problem(&value)) {
                let warning = no_group(&condition.attribute.node, text, &problem);
                if !warnings.contains(&warning) {
                    warnings.push(warning);
                }
            }
        }
        warnings
    }

    /// The parameters with a `*` that stand in a pattern (rules R22).
    fn starred(&self, parameters: &Parameters) -> BTreeSet<&ParameterName> {
        let patterns = self.templates.iter().filter(|(_, condition)| condition.operator.node == Operator::Match);
        let names = patterns.flat_map(|(_, condition)| &condition.values).flat_map(|value| value.node.parameters());
        names.filter(|name| parameters.get(name.as_str()).is_some_and(|value| value.contains('*'))).collect()
    }
}

fn literal_wildcard(name: &ParameterName) -> BindWarning {
    let message = format!("parameter `{name}` holds a `*`; in a parameter it stands for itself and is no wildcard");
    BindWarning { code: "literal_wildcard", message }
}

fn no_group(condition: &ConditionName, text: &Source, problem: &str) -> BindWarning {
    let message = format!("with these parameters the value of `{condition}` in {text} never matches: {problem}");
    BindWarning { code: "user_group_not_uuid", message }
}

/// The text of a value once its parameters are filled in; `None` where one is missing, or a part is known only at
/// evaluation.
fn filled(value: &Value, parameters: &Parameters) -> Option<String> {
    let text = |piece: &Piece| match piece {
        Piece::Text(text) => Some(text.clone()),
        Piece::BindParam(name) => parameters.get(name.as_str()).cloned(),
        Piece::Global(_) => None,
    };
    value.pieces.iter().map(text).collect()
}

/// What is wrong with the value of `condition` once its parameters are filled in; `None` where nothing is, and where a
/// part is known only at evaluation.
pub(super) fn filled_problem(condition: &ConditionName, value: &Value, parameters: &Parameters) -> Option<String> {
    value.parameters().next()?;
    let text = |piece: &Piece| match piece {
        Piece::Text(text) => Some(text.clone()),
        Piece::BindParam(name) => parameters.get(name.as_str()).cloned(),
        Piece::Global(_) => None,
    };
    let texts: Vec<_> = value.pieces.iter().map(text).collect();
    let length: usize = texts.iter().flatten().map(String::len).sum();
    if length > limits::FILLED_VALUE_BYTES {
        return Some(format!("is {length} bytes long, the limit is {}", limits::FILLED_VALUE_BYTES));
    }
    value_problem(ValueKind::of(condition.as_str()), &texts.into_iter().collect::<Option<String>>()?)
}

/// The parameters that a boundary asks for.
#[must_use]
pub fn parameters_of_boundary(boundary: &BoundaryAst) -> BTreeSet<ParameterName> {
    let values = boundary.conditions.iter().flat_map(|condition| &condition.node.values);
    values.flat_map(|value| value.node.parameters().cloned()).collect()
}

/// What the author should know about the boundaries of a binding, whatever its parameters are.
#[must_use]
pub fn boundary_warnings(bound: Bound<'_>, catalogue: &Catalogue) -> Vec<BindWarning> {
    let allowed = allowed(bound);
    let mut warnings = Vec::new();
    for boundary in bound.boundaries {
        let mut effects = Effects::default();
        for permission in allowed.iter().filter(|permission| catalogue.knows(permission.as_str())) {
            effects.add(permission, &hold(boundary.tree, permission, catalogue));
        }
        effects.tell(boundary.name, bound.strict, &mut warnings);
        for condition in range_splits(boundary.tree) {
            let name = &condition.node.attribute.node;
            let message = format!(
                "boundary `{}` names `{name}` on several lines; either may hold, so that they make no range",
                boundary.name
            );
            warnings.push(BindWarning { code: "boundary_range_split", message });
        }
    }
    warnings
}

/// The permissions of the ALLOW statements, each once, in order.
fn allowed(bound: Bound<'_>) -> Vec<&PermissionName> {
    let allows = bound.policy.statements.iter().filter(|statement| statement.node.effect == Effect::Allow);
    let mut seen = HashSet::new();
    let permissions = allows.flat_map(|statement| &statement.node.permissions).map(|permission| &permission.node);
    permissions.filter(|permission| seen.insert(*permission)).collect()
}

// === impl Effects ===

impl<'a> Effects<'a> {
    fn add(&mut self, permission: &'a PermissionName, hold: &Hold<'a>) {
        if hold.is_empty() {
            self.unrestricted.push(permission);
        }
        for Spanned { node: Condition { attribute, operator, .. }, .. } in &hold.misfits {
            let permissions = self.misfits.entry((&attribute.node, operator.node)).or_default();
            if permissions.last() != Some(&permission) {
                permissions.push(permission);
            }
        }
    }

    fn tell(self, boundary: &str, strict: bool, warnings: &mut Vec<BindWarning>) {
        if !self.unrestricted.is_empty() {
            let permissions = listed(&self.unrestricted);
            warnings.push(if strict { dropped(boundary, &permissions) } else { widened(boundary, &permissions) });
        }
        for ((condition, operator), permissions) in self.misfits {
            let permissions = listed(&permissions);
            let message = format!(
                "boundary `{boundary}`: `{operator}` on `{condition}` does not fit {permissions}; what holds this condition grants nothing there"
            );
            warnings.push(BindWarning { code: "boundary_operator_misfit", message });
        }
    }
}

fn widened(boundary: &str, permissions: &str) -> BindWarning {
    let message = format!(
        "boundary `{boundary}` has no condition that fits {permissions}; it leaves them as wide as the policy grants them, whatever other boundaries say"
    );
    BindWarning { code: LEAVES_UNRESTRICTED, message }
}

fn dropped(boundary: &str, permissions: &str) -> BindWarning {
    let message = format!(
        "boundary `{boundary}` has no condition that fits {permissions}; under it nothing of them is granted, as the boundaries of the account are strict"
    );
    BindWarning { code: COPY_DROPPED, message }
}

impl fmt::Display for BindWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.message, self.code)
    }
}

#[cfg(test)]
mod tests;
