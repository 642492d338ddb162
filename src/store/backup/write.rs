//! How a backup is written: beside its name, and renamed when it is whole and durable.

use std::io::{self, BufWriter, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use crate::durable::sync_names;

use super::super::dump::{DumpError, Head, Row, Sink};
use super::super::format::encode;
use super::super::verify::{Verified, Verifier};
use super::{MAGIC, VERSION, kind};

/// A backup that is being written.
pub(super) struct Writer {
    path: PathBuf,
    folder: PathBuf,
    overwrite: bool,
    draft: BufWriter<NamedTempFile>,
    sum: Sha256,
    verifier: Verifier,
}

// === impl Writer ===

impl Writer {
    /// A new backup that will be at `path`. The draft is readable by its owner only, as the backup will be: it holds the
    /// hashes of credentials.
    pub(super) fn beside(path: &Path, overwrite: bool, verifier: Verifier) -> Result<Self, DumpError> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        if !overwrite && path.symlink_metadata().is_ok() {
            return Err(taken(path));
        }
        let draft = tempfile::Builder::new().prefix(".doorward-backup-").tempfile_in(&folder);
        let draft = BufWriter::new(draft.map_err(|source| failed(path, source))?);
        let mut writer = Self { path: path.to_owned(), folder, overwrite, draft, sum: Sha256::new(), verifier };
        writer.put(MAGIC)?;
        writer.put(&VERSION.to_be_bytes())?;
        Ok(writer)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), DumpError> {
        self.sum.update(bytes);
        self.draft.write_all(bytes).map_err(|source| failed(&self.path, source))
    }

    fn frame(&mut self, kind: u8, value: &impl Serialize) -> Result<(), DumpError> {
        let too_large = |problem: String| failed(&self.path, io::Error::new(ErrorKind::InvalidData, problem));
        let value = encode(value).map_err(|problem| too_large(problem.to_string()))?;
        let length = u32::try_from(value.len()).map_err(|problem| too_large(problem.to_string()))?;
        self.put(&[kind])?;
        self.put(&length.to_be_bytes())?;
        self.put(&value)
    }

    /// Ends the file, makes it durable and gives it its name.
    pub(super) fn finish(mut self) -> Result<Verified, DumpError> {
        let counts = *self.verifier.counts();
        self.frame(kind::END, &counts)?;
        let Self { path, folder, overwrite, mut draft, sum, verifier } = self;
        let verified = verifier.finish()?;
        let denied = |source| failed(&path, source);
        draft.write_all(&sum.finalize()).map_err(denied)?;
        let draft = draft.into_inner().map_err(|error| denied(error.into_error()))?;
        draft.as_file().sync_all().map_err(denied)?;
        let kept = if overwrite { draft.persist(&path) } else { draft.persist_noclobber(&path) };
        kept.map_err(|error| match error.error.kind() {
            ErrorKind::AlreadyExists => taken(&path),
            _ => denied(error.error),
        })?;
        sync_names(&folder).map_err(denied)?;
        Ok(verified)
    }
}

impl Sink for Writer {
    fn head(&mut self, head: &Head) -> Result<(), DumpError> {
        self.verifier.head(head)?;
        self.frame(kind::HEAD, head)
    }

    fn row(&mut self, row: Row) -> Result<(), DumpError> {
        match &row {
            Row::Object(record) => self.frame(kind::OBJECT, record),
            Row::Commit(entry) => self.frame(kind::COMMIT, entry),
            Row::Event(event) => self.frame(kind::EVENT, event),
            Row::Request(id, answer) => self.frame(kind::REQUEST, &(id, answer)),
            Row::Credential(credential) => self.frame(kind::CREDENTIAL, credential),
        }?;
        self.verifier.row(row)
    }
}

fn failed(path: &Path, source: io::Error) -> DumpError {
    DumpError::File { place: path.display().to_string(), done: "written", source }
}

fn taken(path: &Path) -> DumpError {
    DumpError::Taken {
        place: path.display().to_string(),
        found: "is there already; name another file, or say `--overwrite`",
    }
}
