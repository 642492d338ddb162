//! Conditions: three-valued, joined by AND (D6, rules R1–R3).

use super::text::{matches_pattern, matches_scalar};
use crate::compile::program::{AccountProgram, Condition, Ordering, TextTest};
use crate::model::attribute::{Attributes, Known, Values};
use crate::model::id::GroupId;
use crate::model::moment::Moment;
use crate::model::policy::Effect;

/// Kleene's three values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// The caller did not say enough.
    Unknown,
}

/// What a condition can be about.
pub(super) struct Facts<'a> {
    pub(super) attributes: &'a Attributes<'a>,
    pub(super) at: Moment,
    /// `${global:userId}`
    pub(super) user_id: &'a str,
    /// `${global:levelId}`
    pub(super) level_id: &'a str,
    /// `global:environmentId`, known absent at account level (rules R16).
    pub(super) environment_id: Option<&'a str>,
    /// Numbers of the subject's groups.
    pub(super) groups: &'a [u32],
    pub(super) program: &'a AccountProgram,
}

/// Whether all conditions hold. FALSE beats UNKNOWN (rules R1).
pub(super) fn holds(conditions: &[Condition], effect: Effect, facts: &Facts<'_>) -> Truth {
    let mut all = Truth::True;
    for condition in conditions {
        match test(condition, effect, facts) {
            Truth::False => return Truth::False,
            Truth::Unknown => all = Truth::Unknown,
            Truth::True => {}
        }
    }
    all
}

fn test(condition: &Condition, effect: Effect, facts: &Facts<'_>) -> Truth {
    match condition {
        Condition::Attribute { name, any_match, test } => match facts.attributes.get(name) {
            Known::NotSupplied => Truth::Unknown,
            Known::Absent => Truth::False,
            Known::Values(values) => test_values(test, values, *any_match, effect, facts),
        },
        Condition::Environment(test) => match facts.environment_id {
            None => Truth::False,
            Some(id) => test_values(test, Values::One(id), false, effect, facts),
        },
        Condition::UserGroup(test) => Truth::from(facts.any_group(|id| test_one(test, id, facts))),
        Condition::Date(order, day, offset) => Truth::from(order.fits(&facts.at.day(*offset), day)),
        Condition::DateTime(order, moment) => Truth::from(order.fits(&facts.at, moment)),
        Condition::TimeOfDay(order, time, offset) => Truth::from(order.fits(&facts.at.time_of_day(*offset), time)),
        Condition::WeekDay(days) => Truth::from(days & (1 << facts.at.week_day()) != 0),
        Condition::Retired => Truth::Unknown,
    }
}

/// Rules R3: several values defeat a scalar operator, but must not switch a DENY off.
fn test_values(test: &TextTest, values: Values<'_>, any_match: bool, effect: Effect, facts: &Facts<'_>) -> Truth {
    match test {
        TextTest::Match { .. } => Truth::from(values.iter().any(|value| test_one(test, value, facts))),
        TextTest::Scalar { .. } if values.len() > 1 && !any_match => match effect {
            Effect::Allow => Truth::False,
            Effect::Deny => Truth::Unknown,
        },
        TextTest::Scalar { negated, test } => {
            let any = values.iter().any(|value| matches_scalar(test, value, facts));
            Truth::from(any != *negated)
        }
    }
}

fn test_one(test: &TextTest, value: &str, facts: &Facts<'_>) -> bool {
    match test {
        TextTest::Match { patterns, user_groups } => {
            patterns.iter().any(|pattern| matches_pattern(pattern, value, facts))
                || (*user_groups && facts.is_own_group(value))
        }
        TextTest::Scalar { negated, test } => matches_scalar(test, value, facts) != *negated,
    }
}

// === impl Truth ===

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

// === impl Facts ===

impl Facts<'_> {
    /// Whether any group id of the subject passes `test`.
    fn any_group(&self, mut test: impl FnMut(&str) -> bool) -> bool {
        let mut buffer = [0; 36];
        let mut groups = self.groups.iter().filter_map(|number| self.program.groups.get(*number as usize));
        groups.any(|group| test(group.id.encode(&mut buffer)))
    }

    /// Whether `value` is the id of one of the subject's groups (rules R15).
    pub(super) fn is_own_group(&self, value: &str) -> bool {
        // An id has one spelling, so a value equals one exactly when it reads as it. Groups are numbered in their order.
        let Ok(id) = value.parse::<GroupId>() else { return false };
        let number = self.program.groups.binary_search_by_key(&id, |group| group.id);
        number.is_ok_and(|number| self.groups.binary_search(&(number as u32)).is_ok())
    }
}

// === impl Ordering ===

impl Ordering {
    /// Whether `value` stands in this order to `bound`; both ends are excluded (rules R18).
    fn fits<T: Ord>(self, value: &T, bound: &T) -> bool {
        match self {
            Self::Before => value < bound,
            Self::After => value > bound,
            Self::Same => value == bound,
        }
    }
}
