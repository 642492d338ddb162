//! The account, its environments, and what is global to an installation.

use serde::{Deserialize, Serialize};

use super::catalogue::CatalogueEntry;
use super::id::{AccountId, EnvironmentId, PolicyId};
use super::policy::Policy;
use super::text::Name;

/// A tenant. It owns everything but the global level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Identity.
    pub id: AccountId,
    /// A name for people; not unique.
    pub name: Name,
    /// D7: drop an expanded statement to which a boundary added no condition.
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
    /// The default policies, sorted by name; all of level [`super::level::Level::Global`].
    #[serde(default)]
    pub policies: Vec<Policy>,
    /// The version of the set of default policies and groups; 0 for none.
    #[serde(default, skip_serializing_if = "is_none")]
    pub defaults_version: u32,
    /// The groups that a new account gets, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<DefaultGroup>,
}

/// Whether a version is that of no set; a record without one is written as a store of the first version has it.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
const fn is_none(version: &u32) -> bool {
    *version == 0
}

/// A group that a new account gets: an ordinary one from then on (reference ch. 6.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultGroup {
    /// Its name.
    pub name: Name,
    /// For people.
    pub description: String,
    /// The default policies it is bound to, at account level.
    pub policies: Vec<PolicyId>,
}
