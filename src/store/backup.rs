//! A backup: everything that a store holds at one revision, in one file that says whether it is whole.
//!
//! The magic, then the version, then frames: a byte with the kind, four with the length, and a value in the form of
//! [`super::format`]. The first frame is the head, the last one counts the others, and a SHA-256 of everything before
//! it ends the file. Numbers are big-endian.
//!
//! The same bytes go into a file beside the store ([`write()`]) or to somebody else ([`send`]), who makes the file of them
//! ([`Incoming`]). Whoever makes the file verifies it: a sender that did would hold the state a second time.

mod draft;
mod encode;
mod frame;
mod incoming;
mod read;
mod write;

use std::io;
use std::path::Path;

use super::dump::{Dump, DumpError, Head};
use super::verify::{Verified, Verifier};

use encode::Encoder;
pub use incoming::Incoming;
pub use read::BackupFile;
use write::Writer;

/// What a backup begins with.
const MAGIC: &[u8; 16] = b"doorward-backup\n";
/// The version of the frames.
const VERSION: u32 = 1;
/// The bytes before the first frame.
const PREFIX: usize = 20;
/// The bytes of a frame before its value.
const FRAME: usize = 5;
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

/// Writes the bytes of a backup of `store` to `out` and says what it was a backup of. Nothing is held but a row at a time,
/// and nothing is verified but each row alone: an [`Incoming`] does the rest. What comes before an error is no backup, as
/// its end is missing.
///
/// # Errors
/// [`DumpError::File`] with the error of `out`, another when something cannot be read.
pub fn send(store: &dyn Dump, out: &mut dyn io::Write) -> Result<Head, DumpError> {
    let mut encoder = Encoder::begin("the receiver of the backup", out)?;
    store.dump(&mut encoder)?;
    encoder.finish().map(|(_, head)| head)
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

/// Says what the bytes before the first frame are, where they are not those of a backup that this version reads.
fn check_prefix(prefix: &[u8]) -> Result<(), String> {
    match prefix.split_first_chunk().map(|(magic, version)| (magic, <[u8; 4]>::try_from(version))) {
        Some((MAGIC, Ok(version))) => match u32::from_be_bytes(version) {
            VERSION => Ok(()),
            other => Err(format!("it has version {other}, this version reads {VERSION}")),
        },
        _ => Err("it does not begin like one".to_owned()),
    }
}
