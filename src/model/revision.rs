//! Revisions: the order of commits of one store, and the token that names one across stores.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The number of a commit within one store; 0 is the empty store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(u64);

/// The identity of a store, made once when it is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoreId(Uuid);

/// A revision of a named store. Opaque to clients; two tokens of different stores have no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RevisionToken {
    /// The store that assigned the revision.
    pub store: StoreId,
    /// The revision within it.
    pub revision: Revision,
}

/// A text that is no revision token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is no revision token; pass one back exactly as an answer gave it")]
pub struct InvalidRevisionToken;

// === impl Revision ===

impl Revision {
    /// The empty store.
    pub const ZERO: Self = Self(0);

    /// The revision with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The next revision; `None` past the last number.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// === impl StoreId ===

impl StoreId {
    /// A new random store id.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl FromStr for StoreId {
    type Err = InvalidRevisionToken;
    fn from_str(text: &str) -> Result<Self, InvalidRevisionToken> {
        Uuid::try_parse(text).map(Self).map_err(|_| InvalidRevisionToken)
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_simple().fmt(f)
    }
}

// === impl RevisionToken ===

impl fmt::Display for RevisionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.store, self.revision)
    }
}

impl FromStr for RevisionToken {
    type Err = InvalidRevisionToken;
    fn from_str(text: &str) -> Result<Self, InvalidRevisionToken> {
        let (store, number) = text.split_once('.').ok_or(InvalidRevisionToken)?;
        let revision = number.parse().map(Revision).map_err(|_| InvalidRevisionToken)?;
        Ok(Self { store: store.parse()?, revision })
    }
}
