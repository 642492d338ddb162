//! Folders and names that outlive the power: what every file that must not be lost needs beside its own contents.

use std::fs::{DirBuilder, File};
use std::io;
use std::path::Path;

/// Makes the folder, and those above it, for this user alone.
///
/// # Errors
/// Where it cannot be made.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Makes the name of a new file durable, and as far as this process may the names of the folders it is in.
///
/// # Errors
/// Where the folder cannot be read, or the disk does not take it.
pub fn sync_names(folder: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    let folder = folder.canonicalize()?;
    File::open(&folder)?.sync_all()?;
    for above in folder.ancestors().skip(1) {
        // A folder that was there before may be closed to this process: its name is durable already.
        let _ = File::open(above).and_then(|it| it.sync_all());
    }
    Ok(())
}
