//! A mutation: what an actor asks a store to change, before the store has given it a revision.

use serde::{Deserialize, Serialize};

use super::object::{Object, ObjectKey};
use super::revision::Revision;

/// One edit of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Make the object be this.
    Put(Object),
    /// Take the object away.
    Delete(ObjectKey),
}

/// Who changes something. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Actor(String);

/// What makes a repeated call the same call: the id the client gave and a digest of what it asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestIdentity {
    /// The client's id, unique to it.
    pub id: String,
    /// A digest of the whole request; a repeat with another one is refused.
    pub digest: [u8; 32],
}

/// Edits to be committed together or not at all.
#[derive(Debug, Clone)]
pub struct Mutation {
    /// Who.
    pub actor: Actor,
    /// When, as the control plane's clock saw it.
    pub at: jiff::Timestamp,
    /// The revision the edits were validated at: any other head is a conflict, and the caller validates again.
    pub expected: Revision,
    /// For idempotent retries.
    pub request: Option<RequestIdentity>,
    /// The object the answer is about: where a repeated call finds its answer.
    pub subject: ObjectKey,
    /// In order.
    pub edits: Vec<Edit>,
}

// === impl Edit ===

impl Edit {
    /// The object it concerns.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        match self {
            Self::Put(object) => object.key(),
            Self::Delete(key) => key.clone(),
        }
    }
}

// === impl Actor ===

impl Actor {
    /// The process itself: first start, upgrades.
    #[must_use]
    pub fn system() -> Self {
        Self("system".to_owned())
    }

    /// The holder of the credential with this public id.
    #[must_use]
    pub fn credential(public_id: &str) -> Self {
        Self(format!("credential:{public_id}"))
    }

    /// The name in the change log.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
