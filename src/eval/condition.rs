//! Conditions: three-valued, joined by AND (D6, rules R1–R3).

use std::cell::{Cell, OnceCell};

use super::edge::next_edge;
use super::text::matches;
use crate::compile::account::AccountProgram;
use crate::compile::group::Origin;
use crate::compile::program::{Condition, Ordering, Sense, TextTest};
use crate::compile::subjects::Subject;
use crate::model::attribute::{Attributes, Known, Values};
use crate::model::decision::{CheckRequest, Target};
use crate::model::id::{AccountId, GroupId, UserId};
use crate::model::moment::Moment;
use crate::model::policy::Effect;

/// Kleene's three values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// The caller did not say enough.
    Unknown,
}

/// What a condition can be about.
pub(super) struct Facts<'p, 'r> {
    pub(super) attributes: &'r Attributes<'r>,
    pub(super) target: Target<'r>,
    pub(super) at: Moment,
    pub(super) subject: Subject<'p>,
    pub(super) program: &'p AccountProgram,
    /// The first instant at which a time condition that was tested is another (D12).
    edge: Cell<Option<Moment>>,
    /// `${global:userId}`, where somebody asked.
    user_id: OnceCell<[u8; 36]>,
    /// `${global:levelId}` at account level, where somebody asked.
    account_id: OnceCell<[u8; 36]>,
}

/// Whether all conditions of a clause and of its boundary hold.
#[inline]
pub(super) fn holds(origin: &Origin<'_>, facts: &Facts<'_, '_>) -> Truth {
    let effect = origin.clause.effect;
    let own = all(&origin.clause.conditions, effect, facts);
    match (origin.clause.bound, own) {
        (None, _) | (Some(_), Truth::False) => own,
        // A clause is made beside what bounds it; should that be missing, nothing is granted.
        (Some(_), _) => origin.bound().map_or(Truth::False, |bound| own.and(all(&bound.conditions, effect, facts))),
    }
}

/// Whether all of them hold. FALSE beats UNKNOWN (rules R1).
fn all(conditions: &[Condition], effect: Effect, facts: &Facts<'_, '_>) -> Truth {
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

/// Whether one condition holds.
pub(super) fn test(condition: &Condition, effect: Effect, facts: &Facts<'_, '_>) -> Truth {
    match condition {
        Condition::Attribute { name, test } => match facts.attributes.get(name.as_str()) {
            Known::NotSupplied => Truth::Unknown,
            Known::Absent => Truth::False,
            Known::Values(values) => test_values(test, values, effect, facts),
        },
        Condition::Environment(test) => match facts.environment_id() {
            None => Truth::False,
            Some(id) => test_values(test, Values::One(id), effect, facts),
        },
        Condition::UserGroup(test) => Truth::from(facts.any_group(|id| test_one(test, id, facts))),
        Condition::Retired => Truth::Unknown,
        Condition::AnyOf(alternatives) => any(alternatives, effect, facts),
        time => {
            facts.note_edge(next_edge(time, facts.at));
            Truth::from(test_time(time, facts.at))
        }
    }
}

/// TRUE beats UNKNOWN, UNKNOWN beats FALSE.
fn any(alternatives: &[Condition], effect: Effect, facts: &Facts<'_, '_>) -> Truth {
    let mut any = Truth::False;
    for alternative in alternatives {
        match test(alternative, effect, facts) {
            Truth::True => return Truth::True,
            Truth::Unknown => any = Truth::Unknown,
            Truth::False => {}
        }
    }
    any
}

/// Whether a time condition holds at `at`; one that is not about time does not.
fn test_time(condition: &Condition, at: Moment) -> bool {
    match condition {
        Condition::Date(order, day, offset) => order.fits(&at.day(*offset), day),
        Condition::DateTime(order, moment) => order.fits(&at, &**moment),
        Condition::TimeOfDay(order, time, offset) => order.fits(&at.time_of_day(*offset), time),
        Condition::WeekDay(days) => days & (1 << at.week_day()) != 0,
        _ => false,
    }
}

/// Rules R3: several values defeat a scalar operator, but must not switch a DENY off.
fn test_values(test: &TextTest, values: Values<'_>, effect: Effect, facts: &Facts<'_, '_>) -> Truth {
    let Sense { negated, any_match } = test.sense();
    if values.len() > 1 && !any_match && !matches!(test, TextTest::Match(..)) {
        return match effect {
            Effect::Allow => Truth::False,
            Effect::Deny => Truth::Unknown,
        };
    }
    Truth::from(values.iter().any(|value| matches(test, value, facts)) != negated)
}

fn test_one(test: &TextTest, value: &str, facts: &Facts<'_, '_>) -> bool {
    matches(test, value, facts) != test.sense().negated
}

// === impl Truth ===

impl Truth {
    /// Whether both hold (rules R1).
    const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::True, Self::True) => Self::True,
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

// === impl Facts ===

impl<'p, 'r> Facts<'p, 'r> {
    pub(super) fn new(request: &'r CheckRequest<'_>, subject: Subject<'p>, program: &'p AccountProgram) -> Self {
        let CheckRequest { attributes, target, at, .. } = request;
        let (edge, user_id, account_id) = (Cell::new(None), OnceCell::new(), OnceCell::new());
        Self { attributes, target: *target, at: *at, subject, program, edge, user_id, account_id }
    }

    /// The first instant at which one of the time conditions tested so far is another.
    pub(super) const fn edge(&self) -> Option<Moment> {
        self.edge.get()
    }

    fn note_edge(&self, edge: Option<Moment>) {
        let first = self.edge.get().into_iter().chain(edge).min();
        self.edge.set(first);
    }

    /// `global:environmentId`, known absent at account level (rules R16).
    pub(super) fn environment_id(&self) -> Option<&'r str> {
        match self.target {
            Target::Account => None,
            Target::Environment(id) => Some(id),
        }
    }

    /// `${global:userId}`
    pub(super) fn user_id(&self) -> &str {
        encoded(&self.user_id, |buffer| UserId::encode(self.subject.id(), buffer).len())
    }

    /// `${global:levelId}` (rules R16, R17)
    pub(super) fn level_id(&self) -> &str {
        match self.target {
            Target::Account => encoded(&self.account_id, |buffer| AccountId::encode(self.program.id, buffer).len()),
            Target::Environment(id) => id,
        }
    }

    /// Whether any group id of the subject passes `test`.
    pub(super) fn any_group(&self, mut test: impl FnMut(&str) -> bool) -> bool {
        let mut buffer = [0; 36];
        self.program.groups_of(&self.subject).any(|group| test(group.id.encode(&mut buffer)))
    }

    /// Whether `value` is the id of one of the subject's groups (rules R15).
    pub(super) fn is_own_group(&self, value: &str) -> bool {
        // An id has one spelling, so a value equals one exactly when it reads as it.
        value.parse::<GroupId>().is_ok_and(|id| self.program.is_member(&self.subject, id))
    }
}

/// The text of an id, written at most once.
fn encoded(cell: &OnceCell<[u8; 36]>, encode: impl FnOnce(&mut [u8; 36]) -> usize) -> &str {
    let text = cell.get_or_init(|| {
        let mut buffer = [0; 36];
        encode(&mut buffer);
        buffer
    });
    std::str::from_utf8(text).unwrap_or_default()
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
