//! What the engine runs: statements with their parameters filled in and their boundaries applied.
//!
//! Immutable once built, shared by every request of a snapshot.

use std::num::NonZero;

use smol_str::SmolStr;

use crate::model::catalogue::{ConditionName, PermissionNumber};
use crate::model::moment::{Moment, Offset};
use crate::model::policy::Effect;

/// A policy as a binding gives it.
#[derive(Debug, PartialEq, Eq)]
pub struct PolicyProgram {
    /// Its statements, each split by how its permissions take the conditions and by boundary; in order.
    pub clauses: Box<[Clause]>,
    /// The permissions of each clause, with its number; those that the catalogue no longer knows are left out (rules R30).
    pub about: Box<[(PermissionNumber, u32)]>,
    /// What boundaries add to clauses, each once.
    pub bounds: Box<[Bound]>,
    /// Numbers of statements with a permission or a condition that the catalogue does not know (rules R30), in order.
    pub retired: Box<[u16]>,
}

/// A statement, or the part of one whose permissions take every condition in the same way, under at most one boundary.
#[derive(Debug, PartialEq, Eq)]
pub struct Clause {
    /// The number of the statement in its policy, from 0.
    pub statement: u16,
    /// ALLOW or DENY.
    pub effect: Effect,
    /// What a boundary adds, by its number in the program, from 1.
    pub bound: Option<NonZero<u32>>,
    /// Joined by AND, before those of the boundary.
    pub conditions: Box<[Condition]>,
}

/// What a boundary adds to every clause whose permissions take its conditions in the same way.
#[derive(Debug, PartialEq, Eq)]
pub struct Bound {
    /// The boundary, by its place in the binding; boundaries of one binding are alternatives.
    pub boundary: u16,
    /// Joined by AND.
    pub conditions: Box<[Condition]>,
}

/// One condition, ready to be tested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// An attribute of the request.
    Attribute {
        /// Its name, shared with the catalogue.
        name: ConditionName,
        /// What must hold.
        test: TextTest,
    },
    /// `global:environmentId`.
    Environment(TextTest),
    /// `global:userGroup`: any of the subject's groups may fit (reference ch. 15 row 18).
    UserGroup(TextTest),
    /// `global:date`, in the offset of the value (rules R18).
    Date(Ordering, i64, Offset),
    /// `global:date-time`. Alone it would make every condition a third larger.
    DateTime(Ordering, Box<Moment>),
    /// `global:time-of-day`, nanoseconds since local midnight.
    TimeOfDay(Ordering, i64, Offset),
    /// `global:week-day`: the days that fit, bit 0 being Monday.
    WeekDay(u8),
    /// A condition the catalogue no longer knows for this permission: never settled, so it never allows and a DENY denies.
    Retired,
    /// Any of these: a name that a boundary repeats (reference ch. 4.2, 7). Never empty.
    AnyOf(Box<[Condition]>),
}

/// The comparison of an ordered value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordering {
    /// `<`
    Before,
    /// `>`
    After,
    /// `=`
    Same,
}

/// A test of a text. An account has hundreds of thousands: what several forms have in common stands in each of them, as it
/// then needs no room of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextTest {
    /// `=`
    Equals(Sense, Text),
    /// `startsWith`
    StartsWith(Sense, Text),
    /// `IN`
    OneOf(Sense, Listed),
    /// `MATCH`: any value, any pattern. It has no negation.
    Match(Sense, Patterns),
}

/// How a test is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sense {
    /// The operator is the negation.
    pub negated: bool,
    /// R6: any of several values may fit.
    pub any_match: bool,
}

/// The list of an `IN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The values known at build, sorted.
    pub literals: Box<[SmolStr]>,
    /// The others; `None` where there is none.
    pub computed: Option<Box<Computed>>,
}

/// Values of a list that are known at evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Computed {
    /// Texts with such a part.
    pub templates: Box<[Text]>,
    /// `${global:userGroup}` stands among them.
    pub user_groups: bool,
}

/// The list of a `MATCH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patterns {
    /// The patterns.
    pub patterns: Box<[Pattern]>,
    /// `${global:userGroup}` stands among them.
    pub user_groups: bool,
}

/// A text to compare with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    /// Known at build.
    Literal(SmolStr),
    /// With parts known at evaluation.
    Template(Box<[Part]>),
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Known at build.
    Literal(Box<str>),
    /// `${global:userId}`
    UserId,
    /// `${global:levelId}`
    LevelId,
}

/// A pattern by its stretches: the texts between its wildcards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// The only wildcard is at the end. Most patterns are this or the next.
    StartsWith(Text),
    /// The only wildcard is at the beginning.
    EndsWith(Text),
    /// Any other: at least one stretch, and one alone is an equality test.
    Stretches(Box<[Text]>),
}

/// An empty stretch.
static NOTHING: Text = Text::Literal(SmolStr::new_static(""));

// === impl PolicyProgram ===

impl PolicyProgram {
    /// What a boundary adds to one of its clauses.
    #[must_use]
    #[inline]
    pub fn bound(&self, clause: &Clause) -> Option<&Bound> {
        self.bounds.get(clause.bound?.get() as usize - 1)
    }
}

// === impl TextTest ===

impl TextTest {
    /// How it is taken.
    #[must_use]
    #[inline]
    pub const fn sense(&self) -> Sense {
        match self {
            Self::Equals(sense, _) | Self::StartsWith(sense, _) | Self::OneOf(sense, _) | Self::Match(sense, _) => {
                *sense
            }
        }
    }

    /// The same test for an attribute of which any value may fit.
    #[must_use]
    pub fn of_any(mut self) -> Self {
        match &mut self {
            Self::Equals(sense, _) | Self::StartsWith(sense, _) | Self::OneOf(sense, _) | Self::Match(sense, _) => {
                sense.any_match = true;
            }
        }
        self
    }
}

// === impl Pattern ===

impl Pattern {
    /// The pattern of these stretches.
    #[must_use]
    pub fn of(stretches: Vec<Text>) -> Self {
        match <[Text; 2]>::try_from(stretches) {
            Ok([first, last]) if last == NOTHING => Self::StartsWith(first),
            Ok([first, last]) if first == NOTHING => Self::EndsWith(last),
            Ok(both) => Self::Stretches(both.into()),
            Err(stretches) => Self::Stretches(stretches.into()),
        }
    }

    /// Every stretch, empty ones at the ends among them.
    #[must_use]
    pub fn stretches(&self) -> Vec<&Text> {
        match self {
            Self::StartsWith(first) => vec![first, &NOTHING],
            Self::EndsWith(last) => vec![&NOTHING, last],
            Self::Stretches(stretches) => stretches.iter().collect(),
        }
    }
}

// === impl Listed ===

impl Listed {
    /// The texts with a part that is known at evaluation.
    #[must_use]
    pub fn templates(&self) -> &[Text] {
        self.computed.as_ref().map_or(&[], |computed| &computed.templates)
    }

    /// Whether `${global:userGroup}` stands in the list.
    #[must_use]
    pub fn user_groups(&self) -> bool {
        self.computed.as_ref().is_some_and(|computed| computed.user_groups)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An account of 100,000 policies has 700,000 conditions: eight bytes more are five megabytes.
    #[test]
    fn a_condition_is_small() {
        assert_eq!(size_of::<Condition>(), 48);
        assert_eq!(size_of::<Clause>(), 24);
    }

    #[test]
    fn a_pattern_has_the_stretches_it_was_made_of() {
        for texts in
            [&["a"] as &[&str], &["", ""], &["a", ""], &["", "b"], &["a", "b"], &["", "a", ""], &["a", "", "b"]]
        {
            let stretches: Vec<_> = texts.iter().map(|text| Text::Literal(SmolStr::new(text))).collect();
            assert!(Pattern::of(stretches.clone()).stretches().into_iter().eq(&stretches), "{texts:?}");
        }
    }
}
