//! Conditions on the time of a request, joined by AND: whether any moment is left (rules R18).

use crate::lang::ast::Condition;
use crate::lang::literal;
use crate::lang::span::Spanned;
use crate::model::catalogue::{GlobalCondition, Operator};
use crate::model::moment::{DAY, Offset, SECOND};

/// A range of integers, both ends included.
#[derive(Debug, Clone, Copy)]
struct Range {
    first: i128,
    last: i128,
}

/// What conditions leave of time.
struct Left {
    /// Of all instants, in nanoseconds.
    instants: Range,
    /// Of the day in each zone that a time of day names, in nanoseconds.
    clocks: Vec<(Offset, Range)>,
    /// Of the week, bit 0 being Monday.
    days: u8,
}

/// The condition that leaves no moment to those before it; those that are about no time, or about one that a binding
/// fills in, are passed over. A day of the week, a time of day and a date may still leave none together.
pub(super) fn first_impossible<'a>(
    mut conditions: impl Iterator<Item = &'a Spanned<Condition>>,
) -> Option<&'a Spanned<Condition>> {
    let mut left = Left { instants: Range { first: i128::MIN, last: i128::MAX }, clocks: Vec::new(), days: 0x7F };
    conditions.find(|condition| left.narrow(&condition.node) == Some(false))
}

// === impl Range ===

impl Range {
    /// Takes away what is outside of `other`; whether anything is left.
    fn narrow(&mut self, other: Self) -> bool {
        self.first = self.first.max(other.first);
        self.last = self.last.min(other.last);
        self.first <= self.last
    }

    /// What an operator leaves of a line on which its value is all that lies from `value.first` to `value.last`.
    fn of(operator: Operator, value: Self) -> Self {
        match operator {
            Operator::Less => Self { first: i128::MIN, last: value.first.saturating_sub(1) },
            Operator::Greater => Self { first: value.last.saturating_add(1), last: i128::MAX },
            _ => value,
        }
    }
}

// === impl Left ===

impl Left {
    /// Takes away what does not fit `condition`; whether anything is left. `None` where it is passed over.
    fn narrow(&mut self, condition: &Condition) -> Option<bool> {
        let operator = condition.operator.node;
        match GlobalCondition::from_name(condition.attribute.node.as_str())? {
            GlobalCondition::Date => {
                let date = literal::date(first_text(condition)?).ok()?;
                let first = i128::from(date.day) * DAY - i128::from(date.offset.seconds()) * SECOND;
                Some(self.instants.narrow(Range::of(operator, Range { first, last: first + DAY - 1 })))
            }
            GlobalCondition::DateTime => {
                let at = literal::date_time(first_text(condition)?).ok()?.nanoseconds();
                Some(self.instants.narrow(Range::of(operator, Range { first: at, last: at })))
            }
            GlobalCondition::TimeOfDay => {
                let time = literal::time_of_day(first_text(condition)?).ok()?;
                let at = i128::from(time.nanoseconds);
                Some(self.clock(time.offset).narrow(Range::of(operator, Range { first: at, last: at })))
            }
            GlobalCondition::WeekDay => {
                self.days &= days(condition)?;
                Some(self.days != 0)
            }
            GlobalCondition::EnvironmentId | GlobalCondition::UserGroup => None,
        }
    }

    /// What is left of the day in a zone.
    fn clock(&mut self, offset: Offset) -> &mut Range {
        let place = self.clocks.iter().position(|(known, _)| *known == offset);
        let place = place.unwrap_or(self.clocks.len());
        if place == self.clocks.len() {
            self.clocks.push((offset, Range { first: 0, last: DAY - 1 }));
        }
        #[expect(clippy::indexing_slicing, reason = "the place was found or has just been filled")]
        &mut self.clocks[place].1
    }
}

fn first_text(condition: &Condition) -> Option<&str> {
    condition.values.first()?.node.as_text()
}

fn days(condition: &Condition) -> Option<u8> {
    let day = |value: &Spanned<_>| -> Option<u8> {
        let value: &crate::lang::ast::Value = &value.node;
        Some(1 << literal::week_day(value.as_text()?).ok()?)
    };
    let days = condition.values.iter().map(day).try_fold(0, |days, day| Some(days | day?))?;
    Some(if condition.operator.node == Operator::NotEqual { !days & 0x7F } else { days })
}
