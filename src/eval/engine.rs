//! The decision: candidates of the subject's groups for the permission, and the rule that weighs them (reference ch. 14).

use std::cmp::Ordering;

use super::condition::{Facts, Truth, holds};
use super::outcome::{Outcome, Reason};
use super::question::Question;
use crate::compile::account::AccountProgram;
use crate::compile::group::{Candidates, Origin};
use crate::model::catalogue::PermissionNumber;
use crate::model::decision::{CheckRequest, ReasonCode, Unanswerable};
use crate::model::policy::Effect;

/// A request whose names have been found in a program: it can be decided without looking for them again.
#[derive(Debug)]
pub struct Prepared<'p, 'r> {
    program: &'p AccountProgram,
    request: &'r CheckRequest<'r>,
    question: Question<'p>,
}

/// Decides `request` in the account of `program`.
///
/// # Errors
/// [`Unanswerable`] with the name that does not exist or is borne twice.
#[inline]
pub fn evaluate<'p>(program: &'p AccountProgram, request: &CheckRequest<'_>) -> Result<Outcome<'p>, Unanswerable> {
    let question = Question::new(program, request)?;
    Ok(decide(program, request, &question))
}

#[inline]
fn decide<'p>(program: &'p AccountProgram, request: &CheckRequest<'_>, question: &Question<'p>) -> Outcome<'p> {
    let Question { permission, environment, subject } = question;
    let subject = match subject {
        Ok(subject) => *subject,
        Err(step) => return Outcome::new(Reason::step(*step), None),
    };
    let facts = Facts::new(request, subject, program);
    let mut weights = Weights::default();
    weights.weigh(program, *permission, *environment, &facts);
    let mut verdict = weights.verdict();
    if verdict.is_none() && program.roles.viewer == Some(*permission) {
        verdict = implied(program, *environment, &facts).map(|allow| (ReasonCode::AllowStatement, allow));
    }
    let reason = match verdict {
        Some((code, origin)) => Reason::statement(code, origin),
        None => Reason::step(ReasonCode::NoMatch),
    };
    Outcome::new(reason, facts.edge())
}

/// The first statement of each kind that holds, in the order reasons are named.
#[derive(Debug, Default)]
pub(super) struct Weights<'p> {
    pub(super) deny: Option<Origin<'p>>,
    pub(super) deny_unknown: Option<Origin<'p>>,
    pub(super) allow: Option<Origin<'p>>,
    /// Some ALLOW could not be settled; only told where none holds.
    pub(super) allow_unknown: bool,
}

/// Weighs the statements about `permission` that reach the subject.
#[inline]
pub(super) fn weigh<'p>(
    program: &'p AccountProgram,
    permission: PermissionNumber,
    environment: Option<u32>,
    facts: &Facts<'p, '_>,
) -> Weights<'p> {
    let mut weights = Weights::default();
    weights.weigh(program, permission, environment, facts);
    weights
}

/// The ALLOW that viewer has from another role (rules R14): the first of those roles that are themselves allowed.
pub(super) fn implied<'p>(
    program: &'p AccountProgram,
    environment: Option<u32>,
    facts: &Facts<'p, '_>,
) -> Option<Origin<'p>> {
    let roles = program.roles.others.iter().map(|role| weigh(program, *role, environment, facts).verdict());
    let allowed = roles.filter_map(|verdict| match verdict {
        Some((ReasonCode::AllowStatement, origin)) => Some(origin),
        _ => None,
    });
    allowed.min_by(Origin::rank)
}

fn precedes(origin: &Origin<'_>, known: Option<&Origin<'_>>) -> bool {
    known.is_none_or(|known| origin.rank(known) == Ordering::Less)
}

// === impl Prepared ===

impl<'p, 'r> Prepared<'p, 'r> {
    /// Finds the names of `request`.
    ///
    /// # Errors
    /// [`Unanswerable`] with the name that does not exist or is borne twice.
    pub fn new(program: &'p AccountProgram, request: &'r CheckRequest<'r>) -> Result<Self, Unanswerable> {
        Ok(Self { program, request, question: Question::new(program, request)? })
    }

    /// The same decision as that of [`evaluate`].
    #[must_use]
    pub fn decide(&self) -> Outcome<'p> {
        decide(self.program, self.request, &self.question)
    }
}

// === impl Weights ===

impl<'p> Weights<'p> {
    #[inline]
    fn weigh(
        &mut self,
        program: &'p AccountProgram,
        permission: PermissionNumber,
        environment: Option<u32>,
        facts: &Facts<'p, '_>,
    ) {
        program.visit_groups_about(&facts.subject, permission, |group| {
            self.add(group.candidates(permission, environment), facts);
        });
    }

    /// The candidates of one group: DENY before ALLOW, each in the order reasons are named.
    ///
    /// It ends where nothing that follows could change the answer or the reason.
    fn add(&mut self, candidates: Candidates<'p>, facts: &Facts<'_, '_>) {
        for origin in candidates {
            let goes_on = match origin.clause.effect {
                Effect::Deny => self.add_deny(origin, facts),
                Effect::Allow => self.add_allow(origin, facts),
            };
            if !goes_on {
                return;
            }
        }
    }

    fn add_deny(&mut self, origin: Origin<'p>, facts: &Facts<'_, '_>) -> bool {
        if !precedes(&origin, self.deny.as_ref()) {
            return false;
        }
        match holds(&origin, facts) {
            Truth::False => true,
            Truth::True => {
                self.deny = Some(origin);
                false
            }
            Truth::Unknown => {
                if precedes(&origin, self.deny_unknown.as_ref()) {
                    self.deny_unknown = Some(origin);
                }
                true
            }
        }
    }

    fn add_allow(&mut self, origin: Origin<'p>, facts: &Facts<'_, '_>) -> bool {
        if self.deny.is_some() || !precedes(&origin, self.allow.as_ref()) {
            return false;
        }
        match holds(&origin, facts) {
            Truth::False => true,
            Truth::True => {
                self.allow = Some(origin);
                false
            }
            Truth::Unknown => {
                self.allow_unknown = true;
                true
            }
        }
    }

    /// DENY beats ALLOW (D2); an unsettled DENY denies (D6); nothing is a DENY (D1).
    pub(super) fn verdict(&self) -> Option<(ReasonCode, Origin<'p>)> {
        let deny = self.deny.map(|origin| (ReasonCode::DenyStatement, origin));
        let unknown = || self.deny_unknown.map(|origin| (ReasonCode::DenyUnknown, origin));
        deny.or_else(unknown).or_else(|| self.allow.map(|origin| (ReasonCode::AllowStatement, origin)))
    }
}
