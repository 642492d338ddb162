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
        /// R6: any of several values may fit.
        any_match: bool,
        /// What must hold.
        test: TextTest,
    },
    /// `global:environmentId`.
    Environment(TextTest),
    /// `global:userGroup`: any of the subject's groups may fit (reference ch. 15 row 18).
    UserGroup(TextTest),
    /// `global:date`, in the offset of the value (rules R18).
    Date(Ordering, i64, Offset),
    /// `global:date-time`.
    DateTime(Ordering, Moment),
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

/// A test of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextTest {
    /// An operator that R3 keeps from attributes with several values.
    Scalar {
        /// Whether the operator is the negation.
        negated: bool,
        /// The positive test.
        test: ScalarTest,
    },
    /// `MATCH`: any value, any pattern.
    Match {
        /// The patterns.
        patterns: Box<[Pattern]>,
        /// `${global:userGroup}` stands among them.
        user_groups: bool,
    },
}

/// The positive form of a scalar operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScalarTest {
    /// `=`
    Equals(Text),
    /// `startsWith`
    StartsWith(Text),
    /// `IN`
    OneOf {
        /// The values known at build, sorted.
        literals: Box<[SmolStr]>,
        /// The values known at evaluation.
        templates: Box<[Text]>,
        /// `${global:userGroup}` stands among them.
        user_groups: bool,
    },
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

/// The stretches of a pattern between its wildcards; one stretch is an equality test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// At least one.
    pub stretches: Box<[Text]>,
}

// === impl PolicyProgram ===

impl PolicyProgram {
    /// What a boundary adds to one of its clauses.
    #[must_use]
    #[inline]
    pub fn bound(&self, clause: &Clause) -> Option<&Bound> {
        self.bounds.get(clause.bound?.get() as usize - 1)
    }
}
