//! The account, its environments, and what is global to an installation.

use serde::{Deserialize, Serialize};

use super::catalogue::CatalogueEntry;
use super::id::{AccountId, EnvironmentId};
use super::text::Name;

/// A tenant. It owns everything but the global level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Identity.
    pub id: AccountId,
    /// A name for people; not unique.
    pub name: Name,
    /// D7: drop an expanded statement to which a boundary added no condition. Has effect once boundaries can be bound.
    pub strict_boundaries: bool,
}

/// One environment of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// The short id, unique in the account.
    pub id: EnvironmentId,
    /// A name for people; not unique.
    pub name: Name,
}

/// What every account shares: it travels with the state, so that a sidecar never uses a copy of its own (design §5, 9).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Global {
    /// The version of the policy language the texts are written in.
    pub language_version: u32,
    /// The default permission catalogue, sorted by permission.
    pub catalogue: Vec<CatalogueEntry>,
}
