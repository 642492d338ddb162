//! A question, and the words of its answer.

use super::attribute::{Attributes, InvalidRequest};
use super::limits;
use super::moment::Moment;

/// May this subject do this here? Made only by [`CheckRequest::new`], so it is within every limit.
#[derive(Debug, Clone)]
pub struct CheckRequest<'a> {
    /// The user: an id, an e-mail, or the name of a service user.
    pub subject: &'a str,
    /// The environment asked for, or the account.
    pub target: Target<'a>,
    /// `service:resource:action`.
    pub permission: &'a str,
    /// What the caller knows.
    pub attributes: Attributes<'a>,
    /// When: the clock is passed in.
    pub at: Moment,
}

/// The level a request asks about (rules R16).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// The account itself: only account bindings count.
    Account,
    /// An environment, by its short id.
    Environment(&'a str),
}

/// The parts of a request as a caller spells them; an empty text is a missing one.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestParts<'a> {
    /// Field `user`.
    pub user: &'a str,
    /// Field `environment`.
    pub environment: &'a str,
    /// Field `level`.
    pub level: &'a str,
    /// Field `permission`.
    pub permission: &'a str,
}

/// The two answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Proven allowed.
    Allow,
    /// Everything else.
    Deny,
}

/// Why (rules §8). The names are part of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReasonCode {
    /// An ALLOW matched, and no DENY did or might have.
    AllowStatement,
    /// A DENY matched.
    DenyStatement,
    /// A DENY could not be settled (D6).
    DenyUnknown,
    /// No ALLOW matched (D1).
    NoMatch,
    /// The account has no such user or service user (R13).
    UnknownSubject,
    /// The subject is not active (R13).
    InactiveSubject,
}

/// A request that names something that does not exist: an error, never a decision (rules R13).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswerable {
    /// The catalogue has no such permission.
    #[error("`permission`: there is no permission `{}` in the catalogue", .0.escape_debug())]
    UnknownPermission(String),
    /// The account has no such environment.
    #[error("`environment`: the account has no environment `{}`", .0.escape_debug())]
    UnknownEnvironment(String),
    /// The snapshot has no such account.
    #[error("`account`: there is no account `{}`", .0.escape_debug())]
    UnknownAccount(String),
    /// Two nouns bear the name (rules §8).
    #[error("`user`: several users or service users are called `{}`; use the id", .0.escape_debug())]
    AmbiguousSubject(String),
}

// === impl CheckRequest ===

impl<'a> CheckRequest<'a> {
    /// A request from its parts, each checked.
    ///
    /// # Errors
    /// [`InvalidRequest`] naming the first part that is missing, too long, or contradicts another.
    #[inline]
    pub fn new(parts: RequestParts<'a>, attributes: Attributes<'a>, at: Moment) -> Result<Self, InvalidRequest> {
        let RequestParts { user, environment, level, permission } = parts;
        // Most requests are about an environment and have nothing wrong; of others every part is looked at in order.
        if !(level.is_empty() && [user, environment, permission].into_iter().all(has_length)) {
            return Self::checked(parts, attributes, at);
        }
        Ok(Self { subject: user, target: Target::Environment(environment), permission, attributes, at })
    }

    #[cold]
    fn checked(parts: RequestParts<'a>, attributes: Attributes<'a>, at: Moment) -> Result<Self, InvalidRequest> {
        require("user", parts.user)?;
        let target = Target::new(parts.environment, parts.level)?;
        require("permission", parts.permission)?;
        Ok(Self { subject: parts.user, target, permission: parts.permission, attributes, at })
    }

    /// A question about every permission: one that is named is not looked at.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of_subject(parts: RequestParts<'a>, attributes: Attributes<'a>, at: Moment) -> Result<Self, InvalidRequest> {
        require("user", parts.user)?;
        let target = Target::new(parts.environment, parts.level)?;
        Ok(Self { subject: parts.user, target, permission: "", attributes, at })
    }

    /// A question about every user: one that is named is not looked at.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of_permission(
        parts: RequestParts<'a>,
        attributes: Attributes<'a>,
        at: Moment,
    ) -> Result<Self, InvalidRequest> {
        let target = Target::new(parts.environment, parts.level)?;
        require("permission", parts.permission)?;
        Ok(Self { subject: "", target, permission: parts.permission, attributes, at })
    }
}

// === impl Target ===

impl<'a> Target<'a> {
    /// The target of a request; an empty text is a missing one.
    ///
    /// # Errors
    /// [`InvalidRequest`] where neither or both are given, or one that cannot be.
    pub fn new(environment: &'a str, level: &'a str) -> Result<Self, InvalidRequest> {
        match (environment.is_empty(), level) {
            (false, "") => {
                require("environment", environment)?;
                Ok(Self::Environment(environment))
            }
            (true, "") => {
                Err(InvalidRequest::new("environment", "is missing; for the account itself say `level: account`"))
            }
            (true, "account") => Ok(Self::Account),
            (true, _) => Err(InvalidRequest::new("level", "must be `account`, or left out beside an `environment`")),
            (false, _) => Err(InvalidRequest::new("level", "stands beside `environment`; give one of the two")),
        }
    }
}

/// Whether a name is neither missing nor too long. Whether it exists, the snapshot tells.
fn has_length(name: &str) -> bool {
    (1..=limits::REQUEST_NAME_BYTES).contains(&name.len())
}

fn require(field: &str, value: &str) -> Result<(), InvalidRequest> {
    if value.is_empty() {
        return Err(InvalidRequest::new(field, "is missing"));
    }
    if !has_length(value) {
        let problem = format!("is {} bytes long, the limit is {}", value.len(), limits::REQUEST_NAME_BYTES);
        return Err(InvalidRequest::new(field, problem));
    }
    Ok(())
}

// === impl Decision ===

impl Decision {
    /// `ALLOW` or `DENY`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "ALLOW",
            Self::Deny => "DENY",
        }
    }
}

// === impl ReasonCode ===

impl ReasonCode {
    /// The name of the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AllowStatement => "allow_statement",
            Self::DenyStatement => "deny_statement",
            Self::DenyUnknown => "deny_unknown",
            Self::NoMatch => "no_match",
            Self::UnknownSubject => "unknown_subject",
            Self::InactiveSubject => "inactive_subject",
        }
    }
}

// === impl Unanswerable ===

impl Unanswerable {
    /// The code of the contract (rules §8).
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownPermission(_) => "unknown_permission",
            Self::UnknownEnvironment(_) => "unknown_environment",
            Self::UnknownAccount(_) => "unknown_account",
            Self::AmbiguousSubject(_) => "bad_request",
        }
    }

    /// The field of the request that is wrong.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        match self {
            Self::UnknownPermission(_) => "permission",
            Self::UnknownEnvironment(_) => "environment",
            Self::UnknownAccount(_) => "account",
            Self::AmbiguousSubject(_) => "user",
        }
    }
}
