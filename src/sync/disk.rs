//! The last good snapshot on disk: what a sidecar begins with when its control plane is away.
//!
//! A file is 16 bytes that say what it is, the version (4 bytes, the lowest first), frames, and a checksum. A frame is its
//! length (4 bytes) and its bytes: first the header, a JSON object; then each chunk of the state as a `doorward.v1.Reset`, the same
//! message that Watch sends. The checksum is the SHA-256 of the SHA-256 of each frame, one behind the other, so that
//! several frames are checked at once. A file is written under another name, made durable and renamed, so that the name always leads to
//! a whole file. Beside it lies a mark with the newest revision that was ever kept: an older file in its place is refused.
//! The folder is one process's at a time.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prost::Message as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::apply::{Moved, Trust};
use super::publish::Served;
use crate::durable::{make_folder, sync_names};
use crate::model::moment::Moment;
use crate::model::revision::{Revision, RevisionToken, StoreId};
use crate::model::state::State;
use crate::proto::object::{Cover, chunks};
use crate::signature::Statement;
use crate::threads::Threads;

mod lock;
mod mark;
mod reading;

pub use lock::FolderInUse;

use mark::Mark;
use reading::Reading;

/// The first bytes of a file.
const MAGIC: &[u8; 16] = b"doorward-state\r\n";
/// The version of the form, and the only one that is read.
const VERSION: u32 = 2;
/// The snapshot, and what it is called while it is written.
const FILE_NAMES: [&str; 2] = ["sidecar.snapshot", "sidecar.draft"];
/// The mark, in the same way.
const MARK_NAMES: [&str; 2] = ["sidecar.mark", "sidecar.mark.draft"];
/// Bytes of objects in a chunk, about: many for each thread, and for each several times what it takes to wake one.
const CHUNK_BYTES: usize = 128 * 1024;
/// Bytes of a frame: a chunk is much smaller, a single object may be larger.
const FRAME_BYTES: u32 = 16 * 1024 * 1024;

/// The place of the last good snapshot. A cheap clone.
#[derive(Debug, Clone)]
pub struct SavedSnapshot {
    folder: PathBuf,
    /// Whose states these are: another scope's file is of no use.
    accounts: Vec<String>,
    accepts_older: bool,
    /// What the signature is held against, if it is.
    trust: Option<Trust>,
    /// Held by every clone, so as long as anything may be written.
    _lock: Option<Arc<File>>,
}

/// A state that was kept.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The store.
    pub store: StoreId,
    /// The state.
    pub state: Arc<State>,
    /// When it was last known to be the newest.
    pub confirmed: Moment,
    /// The control plane's signature of the state; empty where it does not sign.
    pub signature: Vec<u8>,
}

/// A file that is not used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It cannot be read or written.
    #[error("`{}` cannot be used; check the folder, its owner, its mode and the free space", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is none of ours.
    #[error("`{}` is no snapshot of a sidecar", .0.display())]
    Foreign(PathBuf),
    /// It is one of another version.
    #[error("`{}` has version {found}, this version of Doorward reads {VERSION}; it is written anew", .path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// Its bytes are not those that were written.
    #[error("`{}` is damaged: {problem}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// It is not signed by the key that is trusted.
    #[error("`{}` is not signed by the key in `sync.public_key_file`", .0.display())]
    Unsigned(PathBuf),
    /// It is of another scope.
    #[error("`{}` was made for another scope", .0.display())]
    Scope(PathBuf),
    /// A newer one was kept before.
    #[error(
        "`{}` is of revision {found}, but {kept} was kept before; \
         ask for it with `sync.accept_older_revision` where the store was put back on purpose",
        .path.display()
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// Its revision.
        found: Revision,
        /// The newest one that was kept.
        kept: Revision,
    },
}

/// What a file says of itself.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Header {
    store: String,
    revision: Revision,
    digest: String,
    /// Nanoseconds since 1970.
    confirmed: i128,
    accounts: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    signature: Vec<u8>,
}

/// A file that is written, with the checksum of what was written.
struct Writing<W> {
    out: W,
    checksum: Checksum,
}

/// The hash of a frame.
struct FrameHash([u8; Checksum::BYTES]);

/// The checksum of some frames.
#[derive(Clone, Default)]
struct Checksum(Sha256);

// === impl SavedSnapshot ===

impl SavedSnapshot {
    /// The snapshot in `folder`, of the scope that `accounts` spells.
    #[must_use]
    pub const fn new(folder: PathBuf, accounts: Vec<String>, accepts_older: bool) -> Self {
        Self { folder, accounts, accepts_older, trust: None, _lock: None }
    }

    /// The same in a folder that is this process's alone, as far as locks can be had there.
    ///
    /// # Errors
    /// [`FolderInUse`].
    pub fn locked(self) -> Result<Self, FolderInUse> {
        let lock = lock::take(&self.folder)?.map(Arc::new);
        Ok(Self { _lock: lock, ..self })
    }

    /// The same, of which only what is signed is read.
    #[must_use]
    pub fn trusting(self, trust: Option<Trust>) -> Self {
        Self { trust, ..self }
    }

    /// Reads what was kept; `None` where nothing was. The file is read to its end and checked before anything of it is used.
    ///
    /// # Errors
    /// [`Unusable`]: the sidecar begins with nothing then. The file stays as it is.
    pub fn load(&self) -> Result<Option<Kept>, Unusable> {
        let path = self.path(FILE_NAMES);
        let file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Unusable::Io { path, source }),
            Ok(file) => file,
        };
        let (header, moved) = Reading::new(file, &path)?.snapshot(Threads::default())?;
        if header.accounts != self.accounts {
            return Err(Unusable::Scope(path));
        }
        if !self.is_signed(&moved, &header.signature) {
            return Err(Unusable::Unsigned(path));
        }
        self.check_newest(RevisionToken { store: moved.store, revision: moved.state.revision }, path)?;
        let confirmed = Moment::from_nanoseconds(header.confirmed);
        Ok(Some(Kept { store: moved.store, state: moved.state, confirmed, signature: header.signature }))
    }

    /// The newest revision that was ever kept.
    ///
    /// # Errors
    /// [`Unusable`]: a mark that cannot be read is not none, as it is what refuses an old file.
    pub fn newest(&self) -> Result<Option<RevisionToken>, Unusable> {
        let path = self.path(MARK_NAMES);
        let bytes = match std::fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Unusable::Io { path, source }),
            Ok(bytes) => bytes,
        };
        match String::from_utf8_lossy(&bytes).parse() {
            Ok(Mark(token)) => Ok(Some(token)),
            Err(problem) => {
                let problem = format!("{problem}; delete it if the snapshot beside it is the one that was kept last");
                Err(Unusable::Damaged { path, problem })
            }
        }
    }

    /// Whether an older revision than was kept is asked for.
    #[must_use]
    pub const fn accepts_older(&self) -> bool {
        self.accepts_older
    }

    /// Keeps `served` in place of what was kept before.
    ///
    /// # Errors
    /// [`Unusable::Io`]: what was kept before, or this, is there whole. [`Unusable::Older`] where a newer state of the same store was
    /// kept.
    pub fn save(&self, served: &Served) -> Result<(), Unusable> {
        let path = self.path(FILE_NAMES);
        let token = RevisionToken { store: served.store, revision: served.state.revision };
        match self.check_newest(token, path.clone()) {
            // It holds nothing any more; the next one does.
            Err(problem @ Unusable::Damaged { .. }) => {
                tracing::warn!(error = &problem as &dyn std::error::Error, "another mark takes its place");
            }
            other => other?,
        }
        self.replace(FILE_NAMES, |out| self.write(served, out)).map_err(|source| Unusable::Io { path, source })?;
        let written = self.replace(MARK_NAMES, |out| write!(out, "{}", Mark(token)));
        written.map_err(|source| Unusable::Io { path: self.path(MARK_NAMES), source })
    }

    /// Whether it is signed by the key that is trusted, where one is.
    fn is_signed(&self, moved: &Moved, signature: &[u8]) -> bool {
        let Some(Trust { verifier, scope }) = &self.trust else { return true };
        let token = RevisionToken { store: moved.store, revision: moved.state.revision };
        let digest = moved.state.sums().whole().digest();
        verifier.verifies(&Statement { token, scope, digest }, signature)
    }

    /// Refuses what is older than what was kept of the same store, unless that is asked for.
    fn check_newest(&self, token: RevisionToken, path: PathBuf) -> Result<(), Unusable> {
        if self.accepts_older {
            return Ok(());
        }
        let RevisionToken { store, revision: found } = token;
        match self.newest()? {
            Some(kept) if kept.store == store && kept.revision > found => {
                Err(Unusable::Older { path, found, kept: kept.revision })
            }
            _ => Ok(()),
        }
    }

    fn path(&self, [name, _]: [&str; 2]) -> PathBuf {
        self.folder.join(name)
    }

    fn replace(&self, names: [&str; 2], write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>) -> io::Result<()> {
        make_folder(&self.folder)?;
        // Always the same names: what a process leaves that is killed here is taken by the next one.
        let [path, draft] = names.map(|name| self.folder.join(name));
        let written = write_draft(&draft, write).and_then(|()| std::fs::rename(&draft, path));
        if written.is_err() {
            // It may not have been made at all.
            let _ = std::fs::remove_file(&draft);
        }
        written?;
        sync_names(&self.folder)
    }

    fn write(&self, served: &Served, out: impl Write) -> io::Result<()> {
        let Served { store, state, confirmed, signature } = served;
        let digest = state.sums().whole().digest();
        let header = Header {
            store: store.to_string(),
            revision: state.revision,
            digest: digest.to_string(),
            confirmed: confirmed.nanoseconds(),
            accounts: self.accounts.clone(),
            signature: signature.clone(),
        };
        let mut writing = Writing { out, checksum: Checksum::default() };
        writing.out.write_all(MAGIC)?;
        writing.out.write_all(&VERSION.to_le_bytes())?;
        writing.frame(&serde_json::to_vec(&header)?)?;
        let token = RevisionToken { store: *store, revision: state.revision };
        for chunk in chunks(state.records(), Cover { token, digest, signature: Vec::new() }, CHUNK_BYTES) {
            writing.frame(&chunk.encode_to_vec())?;
        }
        let Writing { mut out, checksum } = writing;
        out.write_all(&checksum.end())
    }
}

/// Writes a file for this user alone, and makes it durable.
fn write_draft(path: &Path, write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    let mut out = BufWriter::new(&file);
    write(&mut out)?;
    out.flush()?;
    drop(out);
    file.sync_all()
}

// === impl Writing ===

impl<W: Write> Writing<W> {
    fn frame(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= FRAME_BYTES);
        let length = length.ok_or_else(|| io::Error::other("an object is larger than a frame"))?;
        self.checksum.add(&FrameHash::of(bytes));
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(bytes)
    }
}

// === impl FrameHash ===

impl FrameHash {
    fn of(frame: &[u8]) -> Self {
        Self(Sha256::digest(frame).into())
    }
}

// === impl Checksum ===

impl Checksum {
    const BYTES: usize = 32;

    fn add(&mut self, frame: &FrameHash) {
        self.0.update(frame.0);
    }

    fn end(self) -> [u8; Self::BYTES] {
        self.0.finalize().into()
    }
}

#[cfg(test)]
mod tests;
