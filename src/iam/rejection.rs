//! Why a wish of an administrator is refused.

use std::fmt;

use crate::model::object::ObjectKey;
use crate::model::revision::Revision;

/// A field that cannot be as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The field as the state file spells it: `name`, `groups[2]`, `parameters.schema`.
    pub field: String,
    /// A stable name in snake case, for programs.
    pub code: &'static str,
    /// What is wrong: lower case, names in back-ticks, no final period.
    pub problem: String,
}

/// A refusal. Nothing has been changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Fields that cannot be as they were given: all of them.
    #[error("{}", listed(.0))]
    Invalid(Vec<Violation>),
    /// The object is not there.
    #[error("there is no {noun} `{id}`")]
    NotFound {
        /// What was looked for.
        noun: &'static str,
        /// Its id.
        id: String,
    },
    /// Something of that id, name or content is there.
    #[error("there is a {noun} with {what} already")]
    AlreadyExists {
        /// What is there.
        noun: &'static str,
        /// What it has in common: the name, the id, or the whole content.
        what: String,
    },
    /// Something else needs the object.
    #[error("{noun} `{id}` is in use by {by}")]
    InUse {
        /// What was to go.
        noun: &'static str,
        /// Its id.
        id: String,
        /// What needs it.
        by: String,
    },
    /// There are as many as there may be.
    #[error("{holder} has {limit} {nouns}, the limit is {limit}")]
    Full {
        /// What has them.
        holder: String,
        /// What it has.
        nouns: &'static str,
        /// How many it may have.
        limit: usize,
    },
    /// The object has changed since the caller looked at it.
    #[error("{key} was last changed at revision {found}, not {expected}; read it again")]
    Mismatch {
        /// The object.
        key: Box<ObjectKey>,
        /// The revision that the caller saw.
        expected: Revision,
        /// The revision it has.
        found: Revision,
    },
    /// An object that administrators cannot change.
    #[error("{what} is read-only")]
    ReadOnly {
        /// What was to be changed.
        what: String,
    },
}

// === impl Violation ===

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.field, self.problem)
    }
}

// === impl Rejection ===

impl Rejection {
    /// A stable name in snake case, for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid",
            Self::NotFound { .. } => "not_found",
            Self::AlreadyExists { .. } => "already_exists",
            Self::InUse { .. } => "in_use",
            Self::Full { .. } => "limit_exceeded",
            Self::Mismatch { .. } => "mismatch",
            Self::ReadOnly { .. } => "read_only",
        }
    }
}

fn listed(violations: &[Violation]) -> String {
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
