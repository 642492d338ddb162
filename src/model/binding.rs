//! Bindings: what attaches a policy to a group at a level.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::id::{BoundaryId, GroupId, PolicyId};
use super::level::BindingLevel;

/// A policy given to a group. Its identity is its content (reference ch. 3.2): there is no id of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// What is bound.
    pub policy: PolicyId,
    /// To whom.
    pub group: GroupId,
    /// Where it counts.
    pub level: BindingLevel,
    /// Values of the policy's `${bindParam:…}`; surplus ones are kept and returned.
    pub parameters: BTreeMap<String, String>,
    /// Boundaries, as a set.
    pub boundaries: BTreeSet<BoundaryId>,
    /// For people and tools; no effect on a decision.
    pub metadata: BTreeMap<String, String>,
}

/// The content of a binding as a short name: equal contents have equal keys (R23).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BindingKey([u8; 16]);

/// A text that is no binding key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be the key of a binding: 32 of the characters 0-9 and a-f")]
pub struct InvalidBindingKey;

// === impl Binding ===

impl Binding {
    /// The key of this content.
    #[must_use]
    pub fn key(&self) -> BindingKey {
        let mut hash = Sha256::new();
        let mut part = |text: &str| {
            // INVARIANT: each part carries its length, so that no two contents run together.
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        };
        let mut text = [0; 36];
        part(self.policy.encode(&mut text));
        part(self.group.encode(&mut text));
        part(self.level.name());
        part(self.level.environment().map_or("", |id| id.as_str()));
        for entries in [&self.parameters, &self.metadata] {
            part(&entries.len().to_string());
            for (name, value) in entries {
                part(name);
                part(value);
            }
        }
        for boundary in &self.boundaries {
            part(boundary.encode(&mut text));
        }
        let digest: [u8; 32] = hash.finalize().into();
        let mut key = [0; 16];
        key.copy_from_slice(digest.split_at(16).0);
        BindingKey(key)
    }
}

// === impl BindingKey ===

impl BindingKey {
    /// The first in their order: where a range begins.
    pub const FIRST: Self = Self([0; 16]);
}

impl fmt::Display for BindingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BindingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BindingKey({self})")
    }
}

impl FromStr for BindingKey {
    type Err = InvalidBindingKey;
    fn from_str(text: &str) -> Result<Self, InvalidBindingKey> {
        let legal = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != 32 || !text.bytes().all(legal) {
            return Err(InvalidBindingKey);
        }
        u128::from_str_radix(text, 16).map(|n| Self(n.to_be_bytes())).map_err(|_| InvalidBindingKey)
    }
}

impl TryFrom<String> for BindingKey {
    type Error = InvalidBindingKey;
    fn try_from(text: String) -> Result<Self, InvalidBindingKey> {
        text.parse()
    }
}

impl From<BindingKey> for String {
    fn from(key: BindingKey) -> Self {
        let mut text = Self::with_capacity(32);
        // Writing into a string cannot fail.
        let _ = write!(text, "{key}");
        text
    }
}
