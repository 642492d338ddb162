//! The decision: candidates of the subject's groups for the permission, and the rule that weighs them (reference ch. 14).

use super::condition::{Facts, Truth, holds};
use super::outcome::{Outcome, Reason};
use crate::compile::program::{AccountProgram, Candidate, Named, Rank, Subject};
use crate::model::decision::{CheckRequest, ReasonCode, Target, Unanswerable};
use crate::model::id::UserId;
use crate::model::identity::UserState;
use crate::model::policy::Effect;

/// Decides `request` in the account of `program`.
///
/// The subject is judged after the names of the request (rules R13): a permission or an environment that does not exist is
/// an error, an unknown subject is a DENY.
///
/// # Errors
/// [`Unanswerable`] with the name that does not exist or is borne twice.
pub fn evaluate<'p>(program: &'p AccountProgram, request: &CheckRequest<'_>) -> Result<Outcome<'p>, Unanswerable> {
    let subject = find_subject(program, request.subject)?;
    let no_permission = || Unanswerable::UnknownPermission(request.permission.to_owned());
    let permission = *program.permissions.get(request.permission).ok_or_else(no_permission)?;
    let environment = find_environment(program, request.target)?;
    let reason = match subject {
        None => Reason::step(ReasonCode::UnknownSubject),
        Some(subject) if subject.state != UserState::Active => Reason::step(ReasonCode::InactiveSubject),
        Some(subject) => weigh(program, subject, permission, environment, request),
    };
    Ok(Outcome::new(reason))
}

/// The subject of a request; `None` where the account has none of that name.
fn find_subject<'p>(program: &'p AccountProgram, name: &str) -> Result<Option<&'p Subject>, Unanswerable> {
    let by_id = name.parse::<UserId>().ok().and_then(|id| program.subjects_by_id.get(&id).copied());
    let by_name = program.subjects_by_name.get(name).copied();
    let number = match (by_id, by_name) {
        (_, Some(Named::Several)) => return Err(Unanswerable::AmbiguousSubject(name.to_owned())),
        (Some(one), Some(Named::One(other))) if one != other => {
            return Err(Unanswerable::AmbiguousSubject(name.to_owned()));
        }
        (Some(one), _) | (None, Some(Named::One(one))) => one,
        (None, None) => return Ok(None),
    };
    Ok(program.subjects.get(number as usize))
}

/// The number of the environment asked for; `None` for the account itself.
fn find_environment(program: &AccountProgram, target: Target<'_>) -> Result<Option<u32>, Unanswerable> {
    match target {
        Target::Account => Ok(None),
        Target::Environment(id) => match program.environments.get(id) {
            Some(number) => Ok(Some(*number)),
            None => Err(Unanswerable::UnknownEnvironment(id.to_owned())),
        },
    }
}

/// The first statement of each kind that holds, in the order reasons are named.
#[derive(Default)]
struct Weights {
    deny: Option<Rank>,
    deny_unknown: Option<Rank>,
    allow: Option<Rank>,
}

fn weigh<'p>(
    program: &'p AccountProgram,
    subject: &Subject,
    permission: u32,
    environment: Option<u32>,
    request: &CheckRequest<'_>,
) -> Reason<'p> {
    let mut account = [0; 36];
    let mut user = [0; 36];
    let facts = Facts {
        attributes: &request.attributes,
        at: request.at,
        user_id: subject.id.encode(&mut user),
        level_id: match request.target {
            Target::Account => program.id.encode(&mut account),
            Target::Environment(id) => id,
        },
        environment_id: match request.target {
            Target::Account => None,
            Target::Environment(id) => Some(id),
        },
        groups: &subject.groups,
        program,
    };
    let mut weights = Weights::default();
    for group in &subject.groups {
        for candidate in program.candidates.get(&(*group, permission)).into_iter().flatten() {
            if counts(program, candidate, environment) {
                weights.add(candidate, &facts);
            }
        }
    }
    weights.reason(program)
}

/// Account bindings count in every environment, environment bindings only in their own (D4, R16).
fn counts(program: &AccountProgram, candidate: &Candidate, environment: Option<u32>) -> bool {
    let binding = program.bindings.get(candidate.rank.binding as usize);
    binding.is_some_and(|binding| binding.environment.is_none() || binding.environment == environment)
}

// === impl Weights ===

impl Weights {
    fn add(&mut self, candidate: &Candidate, facts: &Facts<'_>) {
        let Some(clause) = candidate.program.clauses.get(candidate.clause as usize) else { return };
        let truth = holds(&clause.conditions, clause.effect, facts);
        let slot = match (clause.effect, truth) {
            (_, Truth::False) | (Effect::Allow, Truth::Unknown) => return,
            (Effect::Deny, Truth::True) => &mut self.deny,
            (Effect::Deny, Truth::Unknown) => &mut self.deny_unknown,
            (Effect::Allow, Truth::True) => &mut self.allow,
        };
        let first = slot.map_or(candidate.rank, |known| known.min(candidate.rank));
        *slot = Some(first);
    }

    /// DENY beats ALLOW (D2); an unsettled DENY denies (D6); nothing is a DENY (D1).
    fn reason(self, program: &AccountProgram) -> Reason<'_> {
        let (code, rank) = match (self.deny, self.deny_unknown, self.allow) {
            (Some(rank), _, _) => (ReasonCode::DenyStatement, rank),
            (None, Some(rank), _) => (ReasonCode::DenyUnknown, rank),
            (None, None, Some(rank)) => (ReasonCode::AllowStatement, rank),
            (None, None, None) => return Reason::step(ReasonCode::NoMatch),
        };
        Reason::statement(code, program, rank)
    }
}
