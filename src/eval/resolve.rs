//! The three-valued reading: what the statements say with what is known, and whether more could change it (reference ch. 14).

use super::condition::Facts;
use super::engine::{Weights, weigh};
use super::outcome::Reason;
use super::question::Question;
use crate::compile::account::AccountProgram;
use crate::compile::group::Origin;
use crate::model::catalogue::PermissionNumber;
use crate::model::decision::{CheckRequest, ReasonCode, Unanswerable};
use crate::model::moment::Moment;

/// What a permission comes to.
#[derive(Debug, Clone, Copy)]
pub enum Resolution<'p> {
    /// Allowed, whatever else is said: exactly where [`super::evaluate`] allows.
    Granted(Reason<'p>),
    /// What was said does not settle it. No grant.
    Conditional,
    /// Denied, whatever else is said.
    Denied(Reason<'p>),
}

/// A resolution and how long it holds.
#[derive(Debug, Clone, Copy)]
pub struct Resolved<'p> {
    /// What the permission comes to.
    pub resolution: Resolution<'p>,
    /// The first instant at which a time condition that was used is another (D12).
    pub valid_until: Option<Moment>,
}

/// Resolves `request` in the account of `program`.
///
/// # Errors
/// [`Unanswerable`] with the name that does not exist or is borne twice.
pub fn resolve<'p>(program: &'p AccountProgram, request: &CheckRequest<'_>) -> Result<Resolved<'p>, Unanswerable> {
    let Question { permission, environment, subject } = Question::new(program, request)?;
    let subject = match subject {
        Ok(subject) => subject,
        Err(step) => {
            return Ok(Resolved { resolution: Resolution::Denied(Reason::step(step)), valid_until: None });
        }
    };
    let facts = Facts::new(request, subject, program);
    let resolution = settle(program, permission, environment, &facts);
    Ok(Resolved { resolution, valid_until: facts.edge() })
}

/// What the statements about `permission` come to for the subject.
pub(super) fn settle<'p>(
    program: &'p AccountProgram,
    permission: PermissionNumber,
    environment: Option<u32>,
    facts: &Facts<'p, '_>,
) -> Resolution<'p> {
    let own = weigh(program, permission, environment, facts);
    if program.roles.viewer != Some(permission) || own.deny.is_some() {
        return of_weights(&own);
    }
    let allowed = match own.allow {
        Some(origin) => granted(origin),
        None => best_of_roles(program, environment, facts),
    };
    // An open DENY of viewer leaves nothing above Conditional (rules R14).
    match allowed {
        Resolution::Granted(_) if own.deny_unknown.is_some() => Resolution::Conditional,
        Resolution::Denied(_) if own.allow_unknown => Resolution::Conditional,
        other => other,
    }
}

/// The best of the other roles' answers.
fn best_of_roles<'p>(program: &'p AccountProgram, environment: Option<u32>, facts: &Facts<'p, '_>) -> Resolution<'p> {
    let mut first: Option<Origin<'p>> = None;
    let mut open = false;
    for role in &program.roles.others {
        let weights = weigh(program, *role, environment, facts);
        match (of_weights(&weights), weights.allow) {
            (Resolution::Granted(_), Some(origin)) => {
                first = first.into_iter().chain([origin]).min_by(Origin::rank);
            }
            (Resolution::Conditional, _) => open = true,
            _ => {}
        }
    }
    match first {
        Some(origin) => granted(origin),
        None if open => Resolution::Conditional,
        None => Resolution::Denied(Reason::step(ReasonCode::NoMatch)),
    }
}

fn of_weights<'p>(weights: &Weights<'p>) -> Resolution<'p> {
    match (weights.deny, weights.allow) {
        (Some(deny), _) => Resolution::Denied(Reason::statement(ReasonCode::DenyStatement, deny)),
        (None, Some(allow)) if weights.deny_unknown.is_none() => granted(allow),
        (None, Some(_)) => Resolution::Conditional,
        (None, None) if weights.allow_unknown => Resolution::Conditional,
        // Whatever an open DENY turns out to be, nothing allows.
        (None, None) => Resolution::Denied(Reason::step(ReasonCode::NoMatch)),
    }
}

const fn granted(origin: Origin<'_>) -> Resolution<'_> {
    Resolution::Granted(Reason::statement(ReasonCode::AllowStatement, origin))
}

// === impl Resolution ===

impl<'p> Resolution<'p> {
    /// The spelling of the contract (reference ch. 3.5).
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Granted(_) => "true",
            Self::Conditional => "condition",
            Self::Denied(_) => "false",
        }
    }

    /// Why, where it is settled.
    #[must_use]
    pub const fn reason(&self) -> Option<Reason<'p>> {
        match self {
            Self::Granted(reason) | Self::Denied(reason) => Some(*reason),
            Self::Conditional => None,
        }
    }
}
