//! Credentials of the control plane itself: who may administer it, who may watch it.
//!
//! They are no objects: they are neither in the state nor in the change log, so that they never travel to a sidecar.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a store keeps of a credential. The secret itself is nowhere.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CredentialRecord {
    /// The part that may be shown, and that the record is found by.
    pub public_id: String,
    /// What its holder may do.
    pub role: CredentialRole,
    /// The SHA-256 of the secret.
    pub secret_sha256: [u8; 32],
    /// When it was made.
    pub created: jiff::Timestamp,
}

/// What the holder of a credential may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CredentialRole {
    /// Everything.
    Root,
    /// Receive the state, as a sidecar does.
    Watch,
}

// === impl CredentialRecord ===

// Written by hand: the hash of a secret stays out of logs.
impl fmt::Debug for CredentialRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("CredentialRecord");
        debug.field("public_id", &self.public_id).field("role", &self.role).field("created", &self.created);
        debug.finish_non_exhaustive()
    }
}
