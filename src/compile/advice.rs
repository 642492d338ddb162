//! What an author wants to know of a text that is right: statements and conditions that do nothing.
//!
//! Only what is certain is told: a warning that is wrong once is not read the next time. Everything is about one text;
//! what several bindings do together is not known here.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::check::listed;
use crate::lang::ast::{Condition, PolicyAst, Statement};
use crate::lang::diag::Diagnostic;
use crate::lang::span::{Span, Spanned};
use crate::model::catalogue::{Catalogue, Operator, PermissionName};
use crate::model::policy::Effect;

mod contradiction;
mod range;
mod text;
mod time;

pub use range::{boundary, range_splits};

const COUNTED: &str = "Statements are counted from 0.";

/// Warnings about a policy that has no errors, in no order.
///
/// `contradicting_conditions`, `unreachable_statement`, `allow_always_denied`, `duplicate_statement`,
/// `pointless_conditions`: one finding at most for a permission of a statement.
#[must_use]
pub fn policy(tree: &PolicyAst, catalogue: &Catalogue) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let index = Index::of(tree);
    for (number, Spanned { node: statement, .. }) in tree.statements.iter().enumerate() {
        let contradiction = contradiction::find(statement, catalogue);
        let reachable = contradiction.as_ref().is_none_or(|found| !found.of_all);
        found.extend(contradiction.map(contradiction::Contradiction::told));
        if reachable {
            index.tell(number, statement, &mut found);
        }
    }
    found
}

/// The conditions of a statement as a set, each by its number.
type ConditionSet = Vec<usize>;

/// What a statement says, without the order and the spelling it says it in.
struct Meaning {
    effect: Effect,
    conditions: ConditionSet,
}

/// The statements of a policy by permission.
struct Index<'a> {
    meanings: Vec<Meaning>,
    by_permission: HashMap<&'a PermissionName, Vec<usize>>,
}

/// Why a permission of a statement does nothing there; the statement that makes it so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Idle {
    /// A DENY holds whenever the statement does.
    Denied(usize),
    /// The same was said before.
    Duplicate(usize),
    /// It is granted without a condition.
    Granted(usize),
}

// === impl Index ===

impl<'a> Index<'a> {
    fn of(tree: &'a PolicyAst) -> Self {
        let mut numbers = HashMap::new();
        let mut index = Self { meanings: Vec::new(), by_permission: HashMap::new() };
        for (number, Spanned { node: statement, .. }) in tree.statements.iter().enumerate() {
            let conditions = statement.conditions.iter().map(|condition| {
                let fresh = numbers.len();
                *numbers.entry(spelling(&condition.node)).or_insert(fresh)
            });
            let conditions = conditions.collect::<BTreeSet<_>>().into_iter().collect();
            index.meanings.push(Meaning { effect: statement.effect, conditions });
            for permission in &statement.permissions {
                let statements = index.by_permission.entry(&permission.node).or_default();
                if statements.last() != Some(&number) {
                    statements.push(number);
                }
            }
        }
        index
    }

    fn tell(&self, number: usize, statement: &Statement, found: &mut Vec<Diagnostic>) {
        let mut idle: BTreeMap<Idle, Vec<&Spanned<PermissionName>>> = BTreeMap::new();
        let mut permissions = BTreeSet::new();
        for permission in &statement.permissions {
            if permissions.insert(&permission.node)
                && let Some(why) = self.idle(number, &permission.node)
            {
                idle.entry(why).or_default().push(permission);
            }
        }
        let denied: usize =
            idle.iter().filter(|(why, _)| matches!(why, Idle::Denied(_))).map(|(_, denied)| denied.len()).sum();
        let unreachable = denied == permissions.len();
        found.extend(idle.into_iter().map(|(why, permissions)| why.told(&permissions, unreachable)));
    }

    fn idle(&self, number: usize, permission: &PermissionName) -> Option<Idle> {
        let own = self.meanings.get(number)?;
        let others = self.by_permission.get(permission)?.iter();
        let mut others = others.filter_map(|other| Some((*other, self.meanings.get(*other)?)));
        let is_allow = own.effect == Effect::Allow;
        let denies = |other: &Meaning| is_allow && other.effect == Effect::Deny && includes(own, other);
        let says_the_same = |other: &Meaning| other.effect == own.effect && other.conditions == own.conditions;
        let grants = |other: &Meaning| is_allow && other.effect == Effect::Allow && other.conditions.is_empty();
        let first = |holds: &dyn Fn(usize, &Meaning) -> bool| {
            others.clone().find(|(place, other)| holds(*place, other)).map(|(place, _)| place)
        };
        let beaten = first(&|_, other| denies(other)).map(Idle::Denied);
        let duplicate = || first(&|place, other| place < number && says_the_same(other)).map(Idle::Duplicate);
        beaten.or_else(duplicate).or_else(|| {
            let conditional = !own.conditions.is_empty();
            others.find(|(_, other)| conditional && grants(other)).map(|(place, _)| Idle::Granted(place))
        })
    }
}

/// Whether every condition of `narrow` is one of `wide`: then `narrow` holds whenever `wide` does. That an ALLOW takes
/// several values otherwise than a DENY (rules R3) does not matter: a condition that is TRUE in an ALLOW is so in a DENY.
fn includes(wide: &Meaning, narrow: &Meaning) -> bool {
    narrow.conditions.iter().all(|condition| wide.conditions.binary_search(condition).is_ok())
}

/// A condition without the order of its values; `=` is a list of one.
fn spelling(condition: &Condition) -> (&str, Operator, BTreeSet<String>) {
    let operator = match condition.operator.node {
        Operator::Equal => Operator::In,
        Operator::NotEqual => Operator::NotIn,
        other => other,
    };
    let values = condition.values.iter().map(|value| value.node.to_string()).collect();
    (condition.attribute.node.as_str(), operator, values)
}

// === impl Idle ===

impl Idle {
    fn told(self, permissions: &[&Spanned<PermissionName>], unreachable: bool) -> Diagnostic {
        let span = permissions.first().map_or(Span::default(), |first| first.span);
        let names = listed(&permissions.iter().map(|permission| &permission.node).collect::<Vec<_>>());
        match self {
            Self::Denied(by) => {
                let code = if unreachable { "unreachable_statement" } else { "allow_always_denied" };
                let message = format!("statement {by} denies {names} whenever this ALLOW would grant it");
                Diagnostic::warning(code, span, message)
                    .with_help(format!("DENY wins: delete this, or narrow the DENY. {COUNTED}"))
            }
            Self::Duplicate(of) => {
                let message = format!("statement {of} says the same about {names}");
                Diagnostic::warning("duplicate_statement", span, message).with_help(format!("Delete it. {COUNTED}"))
            }
            Self::Granted(by) => {
                let message =
                    format!("statement {by} grants {names} without a condition, so that these narrow nothing");
                Diagnostic::warning("pointless_conditions", span, message)
                    .with_help(format!("Delete this, or give the other the conditions it lacks. {COUNTED}"))
            }
        }
    }
}

#[cfg(test)]
mod tests;
