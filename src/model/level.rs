//! Levels: where a policy lives and where a binding counts (reference ch. 3.1).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::id::EnvironmentId;

/// The level of a policy. The order is that of inheritance, widest first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Level {
    /// Shipped with Doorward, read-only.
    Global,
    /// The account, and through it each of its environments (D4).
    Account,
    /// One environment only.
    Environment(EnvironmentId),
}

/// The level of a binding; nothing is bound at the global level.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BindingLevel {
    /// Counts in the account and in each of its environments.
    Account,
    /// Counts in this environment only.
    Environment(EnvironmentId),
}

// === impl Level ===

impl Level {
    /// The level's name as files and answers spell it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Account => "account",
            Self::Environment(_) => "environment",
        }
    }

    /// The environment of an environment level.
    #[must_use]
    pub const fn environment(&self) -> Option<&EnvironmentId> {
        match self {
            Self::Environment(id) => Some(id),
            Self::Global | Self::Account => None,
        }
    }

    /// Whether a policy of this level may be bound at `level`: its own or one below it (reference ch. 3.1).
    #[must_use]
    pub fn may_bind_at(&self, level: &BindingLevel) -> bool {
        match (self, level) {
            (Self::Global | Self::Account, _) => true,
            (Self::Environment(home), BindingLevel::Environment(there)) => home == there,
            (Self::Environment(_), BindingLevel::Account) => false,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global | Self::Account => f.write_str(self.name()),
            Self::Environment(id) => write!(f, "environment {id}"),
        }
    }
}

// === impl BindingLevel ===

impl BindingLevel {
    /// The level's name as files and answers spell it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Environment(_) => "environment",
        }
    }

    /// The environment of an environment level.
    #[must_use]
    pub const fn environment(&self) -> Option<&EnvironmentId> {
        match self {
            Self::Environment(id) => Some(id),
            Self::Account => None,
        }
    }
}

impl fmt::Display for BindingLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account => f.write_str("account"),
            Self::Environment(id) => write!(f, "environment {id}"),
        }
    }
}
