//! What a decision says, and the proof that it allows.

use crate::compile::program::{AccountProgram, BindingInfo, BoundPolicy, GroupInfo, Rank};
use crate::model::decision::{Decision, ReasonCode};

/// The proof that a request was allowed. Only evaluation makes one, and an allowing reply cannot be built without it (D13).
#[derive(Debug)]
#[must_use]
pub struct Permit(());

/// A decision with its reason (D9).
#[derive(Debug)]
pub struct Outcome<'p> {
    reason: Reason<'p>,
}

/// Why a decision is what it is.
#[derive(Debug, Clone, Copy)]
pub struct Reason<'p> {
    /// The step that decided.
    pub code: ReasonCode,
    /// The statement that decided, where one did.
    pub statement: Option<StatementReason<'p>>,
}

/// The statement that decided, and how it reached the subject.
#[derive(Debug, Clone, Copy)]
pub struct StatementReason<'p> {
    /// The policy.
    pub policy: &'p BoundPolicy,
    /// The statement's number in it, from 0.
    pub statement: u16,
    /// The binding.
    pub binding: &'p BindingInfo,
    /// The group that is bound.
    pub group: &'p GroupInfo,
}

// === impl Outcome ===

impl<'p> Outcome<'p> {
    pub(super) const fn new(reason: Reason<'p>) -> Self {
        Self { reason }
    }

    /// ALLOW or DENY.
    #[must_use]
    pub const fn decision(&self) -> Decision {
        match self.reason.code {
            ReasonCode::AllowStatement => Decision::Allow,
            ReasonCode::DenyStatement
            | ReasonCode::DenyUnknown
            | ReasonCode::NoMatch
            | ReasonCode::UnknownSubject
            | ReasonCode::InactiveSubject => Decision::Deny,
        }
    }

    /// The proof, where the decision is ALLOW.
    #[must_use]
    pub const fn permit(&self) -> Option<Permit> {
        match self.decision() {
            Decision::Allow => Some(Permit(())),
            Decision::Deny => None,
        }
    }

    /// Why.
    #[must_use]
    pub const fn reason(&self) -> Reason<'p> {
        self.reason
    }
}

// === impl Reason ===

impl<'p> Reason<'p> {
    pub(super) const fn step(code: ReasonCode) -> Self {
        Self { code, statement: None }
    }

    pub(super) fn statement(code: ReasonCode, program: &'p AccountProgram, rank: Rank) -> Self {
        let binding = program.bindings.get(rank.binding as usize);
        let group = binding.and_then(|binding| program.groups.get(binding.group as usize));
        let policy = program.policies.get(rank.policy as usize);
        let statement = match (policy, binding, group) {
            (Some(policy), Some(binding), Some(group)) => {
                Some(StatementReason { policy, statement: rank.statement, binding, group })
            }
            // A rank is made beside the tables it points into; without them the code still says what decided.
            _ => None,
        };
        Self { code, statement }
    }
}
