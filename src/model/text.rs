//! Names, e-mail addresses and descriptions: short texts that people give to nouns.

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hasher;
use std::str::FromStr;
use std::sync::Arc;

use rustc_hash::FxHasher;
use serde::{Deserialize, Serialize};

use super::limits;

/// Why a short text was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// Nothing was given.
    #[error("must not be empty")]
    Empty,
    /// More than the limit.
    #[error("must be at most {limit} {unit} long, is {length}")]
    TooLong {
        /// The limit, inclusive.
        limit: usize,
        /// What is counted.
        unit: &'static str,
        /// What was given.
        length: usize,
    },
    /// A control character, NUL among them.
    #[error("must not hold the control character U+{:04X}", u32::from(*.0))]
    Control(char),
}

/// The first control character of `text` is refused; tabs and line breaks are control characters too.
///
/// # Errors
/// [`InvalidText::Control`] with the character.
pub fn refuse_control(text: &str) -> Result<(), InvalidText> {
    match text.chars().find(|c| c.is_control()) {
        Some(found) => Err(InvalidText::Control(found)),
        None => Ok(()),
    }
}

/// The hash of a text in an index. It has no key: who can choose names can make them collide.
#[must_use]
#[inline]
pub(crate) fn hash_of(text: &str) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(text.as_bytes());
    hasher.finish()
}

/// The upper half of the hash, of which an index that is looked up in what it names needs no more.
#[must_use]
#[inline]
pub(crate) fn short_hash_of(text: &str) -> u32 {
    (hash_of(text) >> 32) as u32
}

/// Whether both are the same, without a call where they have the length of a usual name.
#[inline]
pub(crate) fn is_same(a: &[u8], b: &[u8]) -> bool {
    match (a.len(), a.first_chunk::<16>(), b.first_chunk::<16>()) {
        (16..=32, Some(first), Some(other)) => {
            a.len() == b.len() && first == other && a.last_chunk::<16>() == b.last_chunk::<16>()
        }
        _ => a == b,
    }
}

macro_rules! short_text {
    ($($(#[$doc:meta])* $name:ident, $measure:expr, $limit:expr, $unit:literal);+ $(;)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text, byte for byte as it was given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// A text that was checked before it was stored.
            pub(in crate::model) fn stored(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl FromStr for $name {
            type Err = InvalidText;
            fn from_str(text: &str) -> Result<Self, InvalidText> {
                let measure: fn(&str) -> usize = $measure;
                let length = measure(text);
                if length == 0 {
                    return Err(InvalidText::Empty);
                }
                if length > $limit {
                    return Err(InvalidText::TooLong { limit: $limit, unit: $unit, length });
                }
                refuse_control(text)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidText;
            fn try_from(text: String) -> Result<Self, InvalidText> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0.as_ref().to_owned()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    )+};
}

short_text! {
    /// The name of a group, policy, boundary, environment, account or service user. Compared bytewise (D11).
    Name, |t| t.chars().count(), limits::NAME_CHARACTERS, "characters";
    /// An e-mail address: the key of a user. Compared bytewise (D11); its form is not checked beyond length and control characters.
    Email, str::len, limits::EMAIL_BYTES, "bytes";
}

/// Checks a free text that may be empty: length and control characters (line breaks and tabs are fine).
///
/// # Errors
/// [`InvalidText`] with the limit or the character.
pub fn check_description(text: &str) -> Result<(), InvalidText> {
    let length = text.chars().count();
    if length > limits::DESCRIPTION_CHARACTERS {
        return Err(InvalidText::TooLong { limit: limits::DESCRIPTION_CHARACTERS, unit: "characters", length });
    }
    match text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        Some(found) => Err(InvalidText::Control(found)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_character_is_found_wherever_it_stands() {
        for length in 0..40 {
            let plain = "~ az".chars().cycle().take(length).collect::<String>();
            assert_eq!(refuse_control(&plain), Ok(()));
            for place in 0..length {
                for (character, control) in [
                    ('\n', true),
                    ('\0', true),
                    ('\u{1f}', true),
                    ('\u{7f}', true),
                    ('\u{85}', true),
                    ('é', false),
                    ('\u{ff}', false),
                ] {
                    let text: String =
                        plain.chars().enumerate().map(|(at, c)| if at == place { character } else { c }).collect();
                    let expected = if control { Err(InvalidText::Control(character)) } else { Ok(()) };
                    assert_eq!(refuse_control(&text), expected, "{text:?}");
                }
            }
        }
    }
}
