//! A file that comes into being whole: written beside its name, and renamed when it is durable.

use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::durable::sync_names;

use super::super::dump::DumpError;

/// What the name of a backup begins with that is not whole yet.
const DRAFT: &str = ".doorward-backup-";

/// A backup without its name. Dropped, it is gone.
pub(super) struct Draft {
    path: PathBuf,
    folder: PathBuf,
    overwrite: bool,
    file: BufWriter<NamedTempFile>,
}

// === impl Draft ===

impl Draft {
    /// A draft of what will be at `path`. It is readable by its owner only, as the backup will be: it holds the hashes of
    /// credentials.
    pub(super) fn beside(path: &Path, overwrite: bool) -> Result<Self, DumpError> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        if !overwrite && path.symlink_metadata().is_ok() {
            return Err(taken(path));
        }
        let file = tempfile::Builder::new().prefix(DRAFT).tempfile_in(&folder);
        let file = BufWriter::new(file.map_err(|source| failed(path, source))?);
        Ok(Self { path: path.to_owned(), folder, overwrite, file })
    }

    /// Makes it durable and gives it its name.
    pub(super) fn keep(self) -> Result<(), DumpError> {
        let Self { path, folder, overwrite, file } = self;
        let denied = |source| failed(&path, source);
        let file = file.into_inner().map_err(|error| denied(error.into_error()))?;
        file.as_file().sync_all().map_err(denied)?;
        let kept = if overwrite { file.persist(&path) } else { file.persist_noclobber(&path) };
        kept.map_err(|error| match error.error.kind() {
            ErrorKind::AlreadyExists => taken(&path),
            _ => denied(error.error),
        })?;
        sync_names(&folder).map_err(denied)
    }

    /// The error of a write to it.
    pub(super) fn failed(&self, source: io::Error) -> DumpError {
        failed(&self.path, source)
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
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
