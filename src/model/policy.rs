//! Policies and boundaries: texts that people write, kept byte for byte.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::id::{BoundaryId, PolicyId};
use super::level::Level;
use super::text::Name;

/// What a statement does when it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Effect {
    /// Grants, unless a DENY matches too (D2).
    Allow,
    /// Refuses, whatever else matches.
    Deny,
}

/// A list of statements as text. It has no effect until it is bound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Identity.
    pub id: PolicyId,
    /// Where it lives.
    pub level: Level,
    /// Unique at its level.
    pub name: Name,
    /// For people.
    pub description: String,
    /// For people.
    pub tags: Vec<String>,
    /// The text of the statements, kept byte for byte.
    pub statements: String,
}

/// A reusable list of conditions that narrows the bindings which name it (reference ch. 4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boundary {
    /// Identity.
    pub id: BoundaryId,
    /// Unique in the account.
    pub name: Name,
    /// The text of the conditions, kept byte for byte.
    pub query: String,
}

// === impl Effect ===

impl Effect {
    /// The keyword of the language.
    #[must_use]
    pub const fn keyword(self) -> &'static str {
        match self {
            Self::Allow => "ALLOW",
            Self::Deny => "DENY",
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.keyword())
    }
}
