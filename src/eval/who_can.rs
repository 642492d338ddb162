//! The users who may do something here: the question turned round.

use super::condition::Facts;
use super::question::{find_environment, find_permission};
use super::resolve::{Resolution, settle};
use crate::compile::account::AccountProgram;
use crate::compile::subjects::Subject;
use crate::model::decision::{CheckRequest, Unanswerable};
use crate::model::id::UserId;
use crate::model::identity::UserState;
use crate::model::limits;
use crate::model::moment::Moment;

/// How much of an answer is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Users who might with more said, too.
    pub conditional: bool,
    /// The most users.
    pub size: usize,
}

/// A page of users.
#[derive(Debug)]
pub struct Able<'p> {
    /// In the order they were asked in.
    pub users: Vec<AbleUser<'p>>,
    /// The user after whom to go on; `None` at the end. A page can be empty and not the last.
    pub next: Option<UserId>,
    /// The first instant at which a time condition that was used is another (D12).
    pub valid_until: Option<Moment>,
}

/// A user who may, or might.
#[derive(Debug, Clone, Copy)]
pub struct AbleUser<'p> {
    /// The user or service user.
    pub subject: Subject<'p>,
    /// Granted or Conditional.
    pub resolution: Resolution<'p>,
}

/// Those of `users` who may do what `request` asks; its `subject` is not looked at. At most [`limits::WHO_CAN_USERS`] users
/// are looked at in one call.
///
/// # Errors
/// [`Unanswerable`] with the name that does not exist.
pub fn who_can<'p>(
    program: &'p AccountProgram,
    request: &CheckRequest<'_>,
    users: impl Iterator<Item = UserId>,
    wanted: Wanted,
) -> Result<Able<'p>, Unanswerable> {
    let permission = find_permission(program, request.permission)?;
    let environment = find_environment(program, request.target)?;
    let mut able = Able { users: Vec::new(), next: None, valid_until: None };
    let mut users = users.peekable();
    let mut last = None;
    for user in users.by_ref().take(limits::WHO_CAN_USERS) {
        last = Some(user);
        let active = program.subjects.by_id(user).filter(|subject| subject.state() == UserState::Active);
        let Some(subject) = active else { continue };
        let facts = Facts::new(request, subject, program);
        let resolution = settle(program, permission, environment, &facts);
        able.valid_until = able.valid_until.into_iter().chain(facts.edge()).min();
        if wanted.takes(&resolution) {
            able.users.push(AbleUser { subject, resolution });
        }
        if able.users.len() >= wanted.size {
            break;
        }
    }
    able.next = last.filter(|_| users.peek().is_some());
    Ok(able)
}

// === impl Wanted ===

impl Wanted {
    const fn takes(self, resolution: &Resolution<'_>) -> bool {
        match resolution {
            Resolution::Granted(_) => true,
            Resolution::Conditional => self.conditional,
            Resolution::Denied(_) => false,
        }
    }
}
