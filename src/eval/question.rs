//! A request whose names have been found: what every reading of the engine begins with.

use crate::compile::account::AccountProgram;
use crate::compile::subjects::{Found, Subject};
use crate::model::catalogue::PermissionNumber;
use crate::model::decision::{CheckRequest, ReasonCode, Target, Unanswerable};
use crate::model::identity::UserState;

/// The names of a request as the program knows them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'p> {
    pub(super) permission: PermissionNumber,
    /// `None` asks about the account itself.
    pub(super) environment: Option<u32>,
    /// The subject, or the step that refuses it (rules R13).
    pub(super) subject: Result<Subject<'p>, ReasonCode>,
}

impl<'p> Question<'p> {
    /// The subject is judged after the names of the request (rules R13): a permission or an environment that does not exist
    /// is an error, an unknown subject is a DENY.
    #[inline]
    pub(super) fn new(program: &'p AccountProgram, request: &CheckRequest<'_>) -> Result<Self, Unanswerable> {
        let subject = find_subject(program, request.subject)?;
        let permission = find_permission(program, request.permission)?;
        let environment = find_environment(program, request.target)?;
        Ok(Self { permission, environment, subject })
    }
}

/// The subject of a name, or the step that refuses it.
#[inline]
pub(super) fn find_subject<'p>(
    program: &'p AccountProgram,
    name: &str,
) -> Result<Result<Subject<'p>, ReasonCode>, Unanswerable> {
    match program.subjects.find(name) {
        Found::One(subject) if subject.state() == UserState::Active => Ok(Ok(subject)),
        Found::One(_) => Ok(Err(ReasonCode::InactiveSubject)),
        Found::Nobody => Ok(Err(ReasonCode::UnknownSubject)),
        Found::Several => Err(Unanswerable::AmbiguousSubject(name.to_owned())),
    }
}

/// The number of a permission.
#[inline]
pub(super) fn find_permission(program: &AccountProgram, name: &str) -> Result<PermissionNumber, Unanswerable> {
    program.catalogue.number(name).ok_or_else(|| Unanswerable::UnknownPermission(name.to_owned()))
}

/// The number of the environment asked for; `None` for the account itself.
#[inline]
pub(super) fn find_environment(program: &AccountProgram, target: Target<'_>) -> Result<Option<u32>, Unanswerable> {
    match target {
        Target::Account => Ok(None),
        Target::Environment(id) => match program.environment(id) {
            Some(number) => Ok(Some(number)),
            None => Err(Unanswerable::UnknownEnvironment(id.to_owned())),
        },
    }
}
