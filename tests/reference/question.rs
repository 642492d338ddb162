//! A question and its answer, in words that no evaluator owns.

use std::collections::BTreeMap;

use doorward::model::decision::{Decision, ReasonCode};
use doorward::model::id::{BoundaryId, EnvironmentId, GroupId, PolicyId};
use doorward::model::level::Level;

/// A request as a caller spells it; an empty text is a missing one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Question {
    /// Who asks.
    pub user: String,
    /// Where; empty beside a level.
    pub environment: String,
    /// `account`, or empty.
    pub level: String,
    /// What.
    pub permission: String,
    /// What the caller knows.
    pub attributes: BTreeMap<String, Vec<String>>,
    /// What the caller knows to be absent.
    pub absent: Vec<String>,
    /// When, RFC 3339.
    pub time: String,
}

/// What a question comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A decision.
    Decided(Decided),
    /// None.
    Refused(Refused),
}

/// A decision with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// ALLOW or DENY.
    pub decision: Decision,
    /// The step that decided.
    pub code: ReasonCode,
    /// The statement that decided, where one did.
    pub named: Option<Named>,
}

/// A deciding statement and how it reached the subject (D9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The policy.
    pub policy: PolicyId,
    /// Its name.
    pub policy_name: String,
    /// Its level.
    pub policy_level: Level,
    /// The statement's number in it, from 0.
    pub statement: u16,
    /// The group that is bound.
    pub group: GroupId,
    /// Its name.
    pub group_name: String,
    /// The level of the binding: an environment, or the account.
    pub environment: Option<EnvironmentId>,
    /// The boundary whose copy of the statement it is, with its name.
    pub boundary: Option<(BoundaryId, String)>,
}

/// Why there is no decision (rules §8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// `bad_request`, `unknown_permission` or `unknown_environment`.
    pub code: String,
    /// The key of the request that is wrong.
    pub field: String,
}

/// The three-valued answer (reference ch. 14).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resolved {
    /// `false`
    Deny,
    /// `condition`: what the caller said does not settle it.
    Conditional,
    /// `true`
    Allow,
}

impl Resolved {
    /// The name in files and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deny => "DENY",
            Self::Conditional => "CONDITIONAL",
            Self::Allow => "ALLOW",
        }
    }
}

impl Refused {
    /// A refusal of `field`.
    pub fn new(code: &str, field: impl Into<String>) -> Self {
        Self { code: code.to_owned(), field: field.into() }
    }
}
