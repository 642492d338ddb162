//! Identifiers: one type for each noun, so that no two can be mixed up.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A text that is no identifier of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// Not a UUID of version 4 in its hyphenated form.
    #[error("must be a UUID of version 4 in lower case, such as `7f1c2c1e-3a52-4b7c-9a51-0d2f6f3b8e44`")]
    NotUuidV4,
    /// Not an environment id.
    #[error("must be 1 to 64 of the characters a-z, 0-9 and `-`")]
    NotEnvironmentId,
}

/// Reads a hyphenated UUID of version 4 (design §2: the vendor's clients check the version).
///
/// Upper case is refused rather than folded, so that an id has one spelling (D11).
fn parse_uuid_v4(text: &str) -> Result<Uuid, InvalidId> {
    let form = <&[u8; 36]>::try_from(text.as_bytes()).map_err(|_| InvalidId::NotUuidV4)?;
    // All of them are looked at, which is quicker than to end at the first.
    if form.iter().fold(false, |upper, byte| upper | byte.is_ascii_uppercase()) {
        return Err(InvalidId::NotUuidV4);
    }
    let id = Uuid::try_parse(text).map_err(|_| InvalidId::NotUuidV4)?;
    match id.get_version_num() {
        4 => Ok(id),
        _ => Err(InvalidId::NotUuidV4),
    }
}

macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Uuid);

        impl $name {
            /// Below every id, and no id itself: where a range begins.
            pub const LOWEST: Self = Self(Uuid::nil());

            /// A new random id.
            #[must_use]
            pub fn random() -> Self {
                Self(Uuid::new_v4())
            }

            /// The id as text, without allocating.
            pub fn encode(self, buffer: &mut [u8; 36]) -> &str {
                self.0.as_hyphenated().encode_lower(buffer)
            }

            /// The 128 bits, as evenly spread as the random id.
            #[must_use]
            pub const fn bits(self) -> u128 {
                self.0.as_u128()
            }

            /// An id made of 16 bytes, with the bits of version 4 set.
            #[must_use]
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse_uuid_v4(text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    )+};
}

uuid_id! {
    /// An account: the tenant that owns everything else.
    AccountId,
    /// A user or a service user.
    UserId,
    /// A group.
    GroupId,
    /// A policy.
    PolicyId,
    /// A boundary.
    BoundaryId,
}

/// The short id of an environment: 1 to 64 of `a-z`, `0-9`, `-` (rules §8).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EnvironmentId(Arc<str>);

// === impl EnvironmentId ===

impl EnvironmentId {
    /// The id as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EnvironmentId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=64).contains(&text.len()) && text.bytes().all(legal) {
            return Ok(Self(text.into()));
        }
        Err(InvalidId::NotEnvironmentId)
    }
}

impl TryFrom<String> for EnvironmentId {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<EnvironmentId> for String {
    fn from(id: EnvironmentId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl Borrow<str> for EnvironmentId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EnvironmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EnvironmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EnvironmentId({})", self.0)
    }
}
