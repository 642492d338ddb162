//! Conditions: three values, joined by AND (D6, rules R1–R3, R15–R18).

use std::collections::{BTreeMap, BTreeSet};

use doorward::model::catalogue::Operator;
use doorward::model::policy::Effect;
use jiff::Timestamp;

use super::expand::{Effective, Filled};
use super::text::{passes, text_of};
use super::time;

/// Kleene's three values, in an order in which AND is the least of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Truth {
    /// It does not hold.
    False,
    /// What the caller said does not settle it.
    Unknown,
    /// It holds.
    True,
}

/// What conditions are about.
pub(super) struct Facts<'q> {
    pub(super) attributes: &'q BTreeMap<String, Vec<String>>,
    pub(super) absent: &'q [String],
    pub(super) at: Timestamp,
    pub(super) user_id: String,
    /// Ids of all groups, `ALL_USERS` among them.
    pub(super) groups: BTreeSet<String>,
    /// The environment asked for, or the account (rules R16, R17).
    pub(super) level_id: String,
    /// `None` at account level: known absent.
    pub(super) environment_id: Option<String>,
}

/// Whether a statement holds: AND is the least of its conditions, and without any it is TRUE.
pub(super) fn holds(statement: &Effective, facts: &Facts<'_>) -> Truth {
    let truths = statement.conditions.iter().map(|condition| test(condition, statement.effect, facts));
    truths.min().unwrap_or(Truth::True)
}

fn test(condition: &Filled, effect: Effect, facts: &Facts<'_>) -> Truth {
    // Rules R30: a condition that the permission no longer takes never settles.
    let Some(any_match) = condition.taken else { return Truth::Unknown };
    let supplied = match condition.name.as_str() {
        "global:date" | "global:date-time" | "global:time-of-day" => return test_time(condition, facts),
        "global:week-day" => Some(vec![time::week_day(facts.at).to_owned()]),
        "global:environmentId" => Some(facts.environment_id.iter().cloned().collect()),
        "global:userGroup" => Some(facts.groups.iter().cloned().collect()),
        name if facts.absent.iter().any(|absent| absent == name) => Some(Vec::new()),
        name => facts.attributes.get(name).cloned(),
    };
    match supplied {
        None => Truth::Unknown,
        Some(values) => test_values(condition, &values, any_match, effect, facts),
    }
}

fn test_values(condition: &Filled, values: &[String], any_match: bool, effect: Effect, facts: &Facts<'_>) -> Truth {
    if values.is_empty() {
        // Rules R2: known absent is FALSE for every operator, the negative ones too.
        return Truth::False;
    }
    let any = values.iter().any(|value| passes(condition, value, facts));
    if condition.operator == Operator::Match {
        return truth(any);
    }
    if values.len() > 1 && !any_match {
        // Rules R3: several values must not switch a DENY off.
        return match effect {
            Effect::Allow => Truth::False,
            Effect::Deny => Truth::Unknown,
        };
    }
    let negative = matches!(condition.operator, Operator::NotEqual | Operator::NotIn | Operator::NotStartsWith);
    truth(any != negative)
}

/// Both ends are excluded (rules R18).
fn test_time(condition: &Filled, facts: &Facts<'_>) -> Truth {
    let value = condition.values.first().map(|value| text_of(value, facts)).unwrap_or_default();
    let order = match condition.name.as_str() {
        "global:date" => time::dates(facts.at, &value).map(|(now, bound)| now.cmp(&bound)),
        "global:date-time" => time::date_times(facts.at, &value).map(|(now, bound)| now.cmp(&bound)),
        _ => time::clock_times(facts.at, &value).map(|(now, bound)| now.cmp(&bound)),
    };
    match order {
        // A value that cannot be read never settles.
        None => Truth::Unknown,
        Some(order) => truth(match condition.operator {
            Operator::Less => order.is_lt(),
            Operator::Greater => order.is_gt(),
            _ => order.is_eq(),
        }),
    }
}

fn truth(holds: bool) -> Truth {
    if holds { Truth::True } else { Truth::False }
}
