//! What a decision says, and the proof that it allows.

use crate::compile::group::Origin;
use crate::model::binding::BindingKey;
use crate::model::decision::{Decision, ReasonCode};
use crate::model::id::{EnvironmentId, GroupId};
use crate::model::moment::Moment;
use crate::model::policy::{Boundary, Effect, Policy};
use crate::model::text::Name;

/// The proof that a request was allowed. Only evaluation makes one, and an allowing reply cannot be built without it (D13).
///
/// It can be taken and passed on:
///
/// ```
/// fn reply(proof: doorward::eval::Permit) -> &'static str {
///     drop(proof);
///     "allowed"
/// }
/// ```
///
/// It cannot be made, ...
///
/// ```compile_fail,E0423
/// let forged = doorward::eval::Permit(());
/// ```
///
/// ```compile_fail,E0277
/// fn make<T: Default>() -> T {
///     T::default()
/// }
/// let forged: doorward::eval::Permit = make();
/// ```
///
/// ... nor used for a second request:
///
/// ```compile_fail,E0277
/// fn twice<T: Clone>(proof: T) -> (T, T) {
///     (proof.clone(), proof)
/// }
/// let both: fn(doorward::eval::Permit) -> (doorward::eval::Permit, doorward::eval::Permit) = twice;
/// ```
///
/// An outcome, from which a proof comes, cannot be made either:
///
/// ```compile_fail,E0624
/// use doorward::eval::{Outcome, Reason};
/// fn forge(reason: Reason<'_>) -> Outcome<'_> {
///     Outcome::new(reason, None)
/// }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Permit(());

/// A decision with its reason (D9).
#[derive(Debug)]
pub struct Outcome<'p> {
    reason: Reason<'p>,
    valid_until: Option<Moment>,
}

/// Why a decision is what it is.
#[derive(Debug, Clone, Copy)]
pub struct Reason<'p> {
    /// The step that decided.
    pub code: ReasonCode,
    /// The statement that decided, where one did.
    pub statement: Option<StatementReason<'p>>,
}

/// A statement, and how it reached the subject.
#[derive(Debug, Clone, Copy)]
pub struct StatementReason<'p>(Origin<'p>);

// === impl Outcome ===

impl<'p> Outcome<'p> {
    pub(super) const fn new(reason: Reason<'p>, valid_until: Option<Moment>) -> Self {
        Self { reason, valid_until }
    }

    /// The first instant at which a time condition that was used is another, so that the same request may be answered
    /// otherwise (D12); `None` where time plays no part.
    #[must_use]
    pub const fn valid_until(&self) -> Option<Moment> {
        self.valid_until
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

    pub(super) const fn statement(code: ReasonCode, origin: Origin<'p>) -> Self {
        Self { code, statement: Some(StatementReason(origin)) }
    }
}

// === impl StatementReason ===

impl<'p> StatementReason<'p> {
    pub(super) const fn of(origin: Origin<'p>) -> Self {
        Self(origin)
    }

    /// Whether both are the same statement on the same way to the subject.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        std::ptr::eq(self.0.group, other.0.group)
            && std::ptr::eq(self.0.binding, other.0.binding)
            && std::ptr::eq(self.0.clause, other.0.clause)
    }

    /// ALLOW or DENY.
    #[must_use]
    pub const fn effect(&self) -> Effect {
        self.0.clause.effect
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &'p Policy {
        &self.0.binding.policy.value
    }

    /// The statement's number in it, from 0.
    #[must_use]
    pub const fn statement(&self) -> u16 {
        self.0.clause.statement
    }

    /// The id of the group that the policy is bound to.
    #[must_use]
    pub const fn group_id(&self) -> GroupId {
        self.0.group.id
    }

    /// The name of that group.
    #[must_use]
    pub const fn group_name(&self) -> &'p Name {
        &self.0.group.name
    }

    /// The binding.
    #[must_use]
    pub const fn binding(&self) -> BindingKey {
        self.0.binding.key
    }

    /// The environment it is bound in; `None` at account level.
    #[must_use]
    pub fn environment(&self) -> Option<&'p EnvironmentId> {
        self.0.binding.environment.as_ref().map(|environment| &environment.id)
    }

    /// The boundary under which it decided; of several that would do, the first by name.
    #[must_use]
    pub fn boundary(&self) -> Option<&'p Boundary> {
        let place = self.0.boundary()?;
        self.0.binding.boundaries.get(usize::from(place)).map(|boundary| &boundary.value)
    }
}
