//! Programs back to words: what a compiled condition asks, as name, operator and values.
//!
//! The values are what the engine compares with: parameters are filled in. Where the language can spell them, compiling the
//! words again gives the same condition. What it cannot spell is written as `${literal:…}`, which the parser refuses: a `*`
//! that came from a parameter is no wildcard (rules R22), and nobody can paste it back as one.

use std::fmt;

use super::program::{Condition, Ordering, Part, Pattern, Patterns, Text, TextTest};
use crate::lang::literal::WEEK_DAYS;
use crate::model::catalogue::{GlobalCondition, Operator};
use crate::model::moment::{Moment, Offset, SECOND};

/// A condition in words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Description {
    /// `name operator values`.
    Condition(DescribedCondition),
    /// A condition that the catalogue does not know any more for the permission (rules R30): it is never settled.
    Retired,
}

/// `name operator values`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DescribedCondition {
    /// The left side.
    pub name: String,
    /// The comparison.
    pub operator: Operator,
    /// The right side, unescaped: `*` is a wildcard of MATCH, `${global:…}` is known at evaluation, `${literal:…}` is text
    /// that the language cannot spell. Lists are in the order of the program.
    pub values: Vec<String>,
    /// R6: any of several values may fit.
    pub any_match: bool,
}

/// Every day of the week.
const WEEK: u8 = 0x7F;
/// The widest offset of a value (rules R19), in seconds.
const WIDEST_OFFSET: i32 = 14 * 3_600 + 59 * 60;

/// The condition in words; alternatives each in their own, in their order.
#[must_use]
pub fn describe(condition: &Condition) -> Vec<Description> {
    match condition {
        Condition::AnyOf(alternatives) => alternatives.iter().flat_map(describe).collect(),
        Condition::Retired => vec![Description::Retired],
        one => described(one).map(Description::Condition).into_iter().collect(),
    }
}

/// The sets of conditions of which any one grants (reference ch. 4.3): each takes one alternative of every name.
#[must_use]
pub fn picks<'c>(conditions: impl Iterator<Item = &'c Condition>) -> Vec<Vec<Description>> {
    let mut picks = vec![Vec::new()];
    for alternatives in conditions.map(describe) {
        let with = |pick: &Vec<Description>| {
            let longer = alternatives.iter().map(|one| pick.iter().chain([one]).cloned().collect());
            longer.collect::<Vec<Vec<Description>>>()
        };
        picks = picks.iter().flat_map(with).collect();
    }
    picks
}

fn described(condition: &Condition) -> Option<DescribedCondition> {
    let global = |global: GlobalCondition, operator, values| DescribedCondition {
        name: global.name().to_owned(),
        operator,
        values,
        any_match: false,
    };
    let ordered = |name, order, value| global(name, operator_of(order), vec![value]);
    let of_text = |name, test| global(name, text_operator(test), text_values(test));
    Some(match condition {
        Condition::Attribute { name, test } => DescribedCondition {
            name: name.as_str().to_owned(),
            operator: text_operator(test),
            values: text_values(test),
            any_match: test.sense().any_match,
        },
        Condition::Environment(test) => of_text(GlobalCondition::EnvironmentId, test),
        Condition::UserGroup(test) => of_text(GlobalCondition::UserGroup, test),
        Condition::Date(order, day, offset) => ordered(GlobalCondition::Date, *order, date_text(*day, *offset)),
        Condition::DateTime(order, at) => ordered(GlobalCondition::DateTime, *order, date_time_text(**at)),
        Condition::TimeOfDay(order, time, offset) => {
            ordered(GlobalCondition::TimeOfDay, *order, time_text(*time) + &zone_text(*offset))
        }
        Condition::WeekDay(days) => {
            let (operator, values) = week_days(*days);
            global(GlobalCondition::WeekDay, operator, values)
        }
        Condition::Retired | Condition::AnyOf(_) => return None,
    })
}

const fn operator_of(order: Ordering) -> Operator {
    match order {
        Ordering::Before => Operator::Less,
        Ordering::After => Operator::Greater,
        Ordering::Same => Operator::Equal,
    }
}

/// The operator that a test was made of.
#[must_use]
pub const fn text_operator(test: &TextTest) -> Operator {
    match (test, test.sense().negated) {
        (TextTest::Match(..), _) => Operator::Match,
        (TextTest::Equals(..), false) => Operator::Equal,
        (TextTest::StartsWith(..), false) => Operator::StartsWith,
        (TextTest::OneOf(..), false) => Operator::In,
        (TextTest::Equals(..), true) => Operator::NotEqual,
        (TextTest::StartsWith(..), true) => Operator::NotStartsWith,
        (TextTest::OneOf(..), true) => Operator::NotIn,
    }
}

fn text_values(test: &TextTest) -> Vec<String> {
    let groups = |listed: bool| listed.then(|| "${global:userGroup}".to_owned());
    match test {
        TextTest::Match(_, Patterns { patterns, user_groups }) => {
            patterns.iter().map(pattern_text).chain(groups(*user_groups)).collect()
        }
        TextTest::Equals(_, one) | TextTest::StartsWith(_, one) => vec![text_text(one, Stars::Text)],
        TextTest::OneOf(_, list) => {
            let literals = list.literals.iter().map(|literal| literal_text(literal, Stars::Text));
            let templates = list.templates().iter().map(|text| text_text(text, Stars::Text));
            literals.chain(templates).chain(groups(list.user_groups())).collect()
        }
    }
}

/// What a `*` would be read as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stars {
    /// Itself.
    Text,
    /// A wildcard.
    Wildcard,
}

fn pattern_text(pattern: &Pattern) -> String {
    let stretches: Vec<_> =
        pattern.stretches().into_iter().map(|stretch| text_text(stretch, Stars::Wildcard)).collect();
    stretches.join("*")
}

fn text_text(text: &Text, stars: Stars) -> String {
    let part_text = |part: &Part| match part {
        Part::Literal(literal) => literal_text(literal, stars),
        Part::UserId => "${global:userId}".to_owned(),
        Part::LevelId => "${global:levelId}".to_owned(),
    };
    match text {
        Text::Literal(literal) => literal_text(literal, stars),
        Text::Template(parts) => parts.iter().map(part_text).collect(),
    }
}

fn literal_text(literal: &str, stars: Stars) -> String {
    let spelled = literal.replace("${", "${literal:$}{");
    match stars {
        Stars::Text => spelled,
        Stars::Wildcard => spelled.replace('*', "${literal:*}"),
    }
}

fn week_days(days: u8) -> (Operator, Vec<String>) {
    let names = |days: u8| {
        let named = (0..).zip(WEEK_DAYS).filter(move |(day, _)| days & (1_u8 << *day) != 0);
        named.map(|(_, name)| name.to_owned()).collect()
    };
    match days.count_ones() {
        1 => (Operator::Equal, names(days)),
        6 => (Operator::NotEqual, names(!days & WEEK)),
        _ => (Operator::In, names(days)),
    }
}

fn date_text(day: i64, offset: Offset) -> String {
    civil(day).map_or_else(|| format!("day {day}"), |date| format!("{date}{}", zone_text(offset)))
}

fn civil(day: i64) -> Option<jiff::civil::Date> {
    let epoch = jiff::civil::Date::new(1970, 1, 1).ok()?;
    epoch.checked_add(jiff::Span::new().try_days(day).ok()?).ok().filter(|date| date.year() > 0)
}

/// In UTC; at the ends of the calendar in the offset in which it has a spelling.
fn date_time_text(at: Moment) -> String {
    let offsets = [0, WIDEST_OFFSET, -WIDEST_OFFSET].map(Offset::from_seconds);
    let spelled = offsets.into_iter().find_map(|offset| {
        let date = civil(at.day(offset))?;
        let time = at.time_of_day(offset);
        let (seconds, fraction) = (time.div_euclid(SECOND as i64), time.rem_euclid(SECOND as i64));
        let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:09}") };
        Some(format!("{date}T{hours:02}:{minutes:02}:{seconds:02}{fraction}{}", zone_text(offset)))
    });
    spelled.unwrap_or_else(|| at.to_string())
}

/// A time of day of whole seconds; values have no fraction.
fn time_text(nanoseconds: i64) -> String {
    let seconds = nanoseconds / SECOND as i64;
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if seconds == 0 { format!("{hours:02}:{minutes:02}") } else { format!("{hours:02}:{minutes:02}:{seconds:02}") }
}

fn zone_text(offset: Offset) -> String {
    let seconds = offset.seconds();
    if seconds == 0 {
        return "Z".to_owned();
    }
    let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.abs() / 60);
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

// === impl Description ===

impl Description {
    /// Bytes of its texts: what it costs to send.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Retired => 0,
            Self::Condition(it) => it.name.len() + it.values.iter().map(String::len).sum::<usize>(),
        }
    }
}

/// As a statement would have it.
impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Condition(it) => it.fmt(f),
            Self::Retired => f.write_str("(a condition that the permission no longer takes)"),
        }
    }
}

/// As a statement would have it.
impl fmt::Display for DescribedCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.name, self.operator)?;
        let list = self.operator.takes_list();
        let values: Vec<_> = self.values.iter().map(|value| quoted(value)).collect();
        let values = values.join(", ");
        if list { write!(f, "({values})") } else { f.write_str(&values) }
    }
}

fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests;
