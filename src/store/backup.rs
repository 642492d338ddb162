//! A backup: everything that a store holds at one revision, in one file that says whether it is whole.
//!
//! The magic, then the version, then frames: a byte with the kind, four with the length, and a value in the form of
//! [`super::format`]. The first frame is the head, the last one counts the others, and a SHA-256 of everything before
//! it ends the file. Numbers are big-endian.

mod read;
mod write;

use std::path::Path;

use super::dump::{Dump, DumpError};
use super::verify::{Verified, Verifier};

pub use read::BackupFile;
use write::Writer;

/// What a backup begins with.
const MAGIC: &[u8; 16] = b"doorward-backup\n";
/// The version of the frames.
const VERSION: u32 = 1;
/// Bytes of a SHA-256.
const SUM: usize = 32;

/// The kinds of frames, in the order in which they come.
mod kind {
    pub(super) const HEAD: u8 = 0;
    pub(super) const OBJECT: u8 = 1;
    pub(super) const COMMIT: u8 = 2;
    pub(super) const EVENT: u8 = 3;
    pub(super) const REQUEST: u8 = 4;
    pub(super) const CREDENTIAL: u8 = 5;
    pub(super) const END: u8 = 255;
}

/// Writes everything that `store` holds into a new file at `path`, and verifies it on the way. The file comes into being
/// whole: until then, and if anything fails, whatever has its name stays.
///
/// # Errors
/// [`DumpError::Taken`] for a file that is there, unless `overwrite`; [`DumpError::Damaged`] for a store that is not
/// whole, of which no backup is made; another when something cannot be read or written.
pub fn write(store: &dyn Dump, place: &str, path: &Path, overwrite: bool) -> Result<Verified, DumpError> {
    let mut writer = Writer::beside(path, overwrite, Verifier::new(place))?;
    store.dump(&mut writer)?;
    writer.finish()
}

/// Reads all of `source` and says what it holds.
///
/// # Errors
/// [`DumpError::Damaged`] for rows that do not fit together, another when something cannot be read.
pub fn verify(source: &dyn Dump, place: &str) -> Result<Verified, DumpError> {
    let mut verifier = Verifier::new(place);
    source.dump(&mut verifier)?;
    verifier.finish()
}
