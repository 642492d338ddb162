//! What administrators do: one file for each resource.
//!
//! A planner is a pure function from a state and a wish to a [`Plan`] or a [`Rejection`]; it reads no clock, makes no id
//! and changes nothing. [`service`] commits plans to a store. No wire format is known here: RPCs, files and the command
//! line are thin skins over the same planners, so that a rule is written once.

pub mod account;
pub mod binding;
pub mod boundary;
pub mod catalogue;
mod check;
pub mod environment;
pub mod group;
pub mod policy;
pub mod preview;
pub mod rejection;
pub mod service;
#[cfg(test)]
mod tests;
pub mod texts;
pub mod user;

use crate::model::mutation::Edit;
use crate::model::object::ObjectKey;

pub use rejection::{Rejection, Violation};
pub use service::{Done, Iam, IamError};

/// Edits that were found to be valid at a state, to be committed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The object the answer is about.
    pub subject: ObjectKey,
    /// In order; empty where everything is so already.
    pub edits: Vec<Edit>,
    /// What the author should know, though it is accepted.
    pub warnings: Vec<String>,
}

// === impl Plan ===

impl Plan {
    /// A plan without warnings.
    #[must_use]
    pub const fn new(subject: ObjectKey, edits: Vec<Edit>) -> Self {
        Self { subject, edits, warnings: Vec::new() }
    }
}
