//! The lock on the folder: of two processes that keep their snapshots in one, either would write over the other's.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::durable::make_folder;

const FILE_NAME: &str = "sidecar.lock";

/// Another process keeps its snapshot in the folder.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{}` is in use by another sidecar; stop that one, \
     or give this one a folder of its own with `--data-directory` or `--snapshot-directory`",
    .0.display()
)]
pub struct FolderInUse(PathBuf);

/// Takes the folder for as long as the file that comes back is open; however a process ends, the system lets go of it. `None` where
/// no lock can be had: on a folder that is not writable, where nobody writes over anything, or on a file system that has
/// none. A process that can still serve is not stopped by that.
///
/// # Errors
/// [`FolderInUse`], at once.
pub(super) fn take(folder: &Path) -> Result<Option<File>, FolderInUse> {
    match open(folder).map_err(TryLockError::Error).and_then(|file| file.try_lock().map(|()| file)) {
        Ok(file) => Ok(Some(file)),
        // The usual folder is a relative one, which says little.
        Err(TryLockError::WouldBlock) => Err(FolderInUse(folder.canonicalize().unwrap_or_else(|_| folder.to_owned()))),
        Err(TryLockError::Error(error)) => {
            tracing::warn!(
                folder = %folder.display(),
                %error,
                "the folder of the snapshot cannot be locked; see that no other sidecar uses it"
            );
            Ok(None)
        }
    }
}

/// The file is never removed: who opened it before would hold a lock that nobody else sees.
fn open(folder: &Path) -> io::Result<File> {
    make_folder(folder)?;
    let mut options = File::options();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(folder.join(FILE_NAME))
}
