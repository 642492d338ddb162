//! The mark: the newest revision that was kept in a folder, as one line with a checksum.
//!
//! Version 2 is `doorward-mark 2`, a revision token and the SHA-256 of these three words. Version 1 was the token alone, of which
//! a digit could change unseen; it is read until the next snapshot is kept.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use crate::model::revision::RevisionToken;

/// What version 1 cannot begin with, so that no part of a line is one.
const NAME: &str = "doorward-mark ";
const VERSION: &str = "2";

/// A mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark(pub(super) RevisionToken);

/// A text that is no mark.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidMark {
    /// It is one of another version.
    #[error("it has version {0}, and this version of Doorward reads {VERSION}")]
    Version(String),
    /// It does not name a revision.
    #[error("it names no revision of a store")]
    Nameless,
    /// It is not what was written.
    #[error("its checksum is not that of its text")]
    Checksum,
}

// === impl Mark ===

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{NAME}{VERSION} {}", self.0);
        write!(f, "{text} ")?;
        Sha256::digest(&text).iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        writeln!(f)
    }
}

impl FromStr for Mark {
    type Err = InvalidMark;
    fn from_str(text: &str) -> Result<Self, InvalidMark> {
        let Some(rest) = text.strip_prefix(NAME) else {
            return text.trim().parse().map(Self).map_err(|_| InvalidMark::Nameless);
        };
        let mut words = rest.split_whitespace();
        match words.next().unwrap_or_default() {
            VERSION => {}
            other => return Err(InvalidMark::Version(other.to_owned())),
        }
        let token = words.next().unwrap_or_default().parse().map_err(|_| InvalidMark::Nameless)?;
        let mark = Self(token);
        // There is one way to write a mark, so that every other one is a damaged one.
        if mark.to_string() == text { Ok(mark) } else { Err(InvalidMark::Checksum) }
    }
}
