//! How a backup is read: its sum first, so that everything after it was written so.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::super::dump::{Dump, DumpError, Sink};
use super::frame::{Frame, Order};
use super::{FRAME, MAGIC, PREFIX, SUM, VERSION, check_prefix};

/// A backup whose sum is right.
#[derive(Debug)]
pub struct BackupFile {
    path: PathBuf,
    /// Bytes of the frames.
    frames: u64,
}

/// The frames of a backup, one after the other.
struct Frames<'a> {
    file: &'a BackupFile,
    reader: BufReader<File>,
    at: u64,
}

// === impl BackupFile ===

impl BackupFile {
    /// Opens the backup at `path` and holds all of it against its sum.
    ///
    /// # Errors
    /// [`DumpError::Foreign`] for a file that is no backup or of another version, [`DumpError::Damaged`] for one that is
    /// not what was written, [`DumpError::File`] for one that cannot be read.
    pub fn open(path: &Path) -> Result<Self, DumpError> {
        let mut backup = Self { path: path.to_owned(), frames: 0 };
        let file = File::open(path).map_err(|source| backup.unreadable(source))?;
        let length = file.metadata().map_err(|source| backup.unreadable(source))?.len();
        let mut reader = BufReader::new(file);
        backup.check_prefix(&mut reader)?;
        let Some(frames) = length.checked_sub((PREFIX + SUM) as u64) else {
            return Err(backup.damaged("its end", "it is shorter than any backup"));
        };
        backup.frames = frames;
        backup.check_sum(&mut reader)?;
        Ok(backup)
    }

    /// The name of the file, for messages.
    #[must_use]
    pub fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn check_prefix(&self, reader: &mut impl Read) -> Result<(), DumpError> {
        let mut prefix = [0; PREFIX];
        let foreign = |found: String| DumpError::Foreign { place: self.place(), found };
        match reader.read_exact(&mut prefix) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(foreign("it is too short to be one".to_owned()));
            }
            read => read.map_err(|source| self.unreadable(source))?,
        }
        check_prefix(&prefix).map_err(foreign)
    }

    fn check_sum(&self, reader: &mut impl Read) -> Result<(), DumpError> {
        let mut sum = Sha256::new();
        sum.update(MAGIC);
        sum.update(VERSION.to_be_bytes());
        io::copy(&mut reader.by_ref().take(self.frames), &mut HashWriter(&mut sum))
            .map_err(|source| self.unreadable(source))?;
        let mut written = [0; SUM];
        reader.read_exact(&mut written).map_err(|source| self.unreadable(source))?;
        if sum.finalize().as_slice() == written {
            return Ok(());
        }
        Err(self.damaged("its sum", "some of its bytes are not what was written"))
    }

    fn unreadable(&self, source: io::Error) -> DumpError {
        DumpError::File { place: self.place(), done: "read", source }
    }

    fn damaged(&self, row: impl Into<String>, problem: impl Into<String>) -> DumpError {
        DumpError::Damaged { place: self.place(), row: row.into(), problem: problem.into() }
    }

    fn frames(&self) -> Result<Frames<'_>, DumpError> {
        let mut file = File::open(&self.path).map_err(|source| self.unreadable(source))?;
        file.seek(SeekFrom::Start(PREFIX as u64)).map_err(|source| self.unreadable(source))?;
        Ok(Frames { file: self, reader: BufReader::new(file), at: 0 })
    }
}

impl Dump for BackupFile {
    fn dump(&self, sink: &mut dyn Sink) -> Result<(), DumpError> {
        let (mut frames, mut order) = (self.frames()?, Order::default());
        loop {
            let (kind, value) = frames.next()?;
            match order.read(kind, &value).map_err(|problem| frames.damaged(problem))? {
                Frame::Head(head) => sink.head(&head)?,
                Frame::Row(row) => sink.row(row)?,
                Frame::End => return frames.finish(),
            }
        }
    }
}

// === impl Frames ===

impl Frames<'_> {
    /// The next frame: its kind and its value. No length is believed further than the file goes.
    fn next(&mut self) -> Result<(u8, Vec<u8>), DumpError> {
        let mut header = [0; FRAME];
        let left = self.file.frames - self.at;
        if left < FRAME as u64 {
            return Err(self.damaged("it ends before its last frame"));
        }
        self.reader.read_exact(&mut header).map_err(|source| self.file.unreadable(source))?;
        let [kind, length @ ..] = header;
        let length = u64::from(u32::from_be_bytes(length));
        if left - (FRAME as u64) < length {
            return Err(self.damaged("a frame is longer than the file"));
        }
        let mut value = Vec::new();
        let read = self.reader.by_ref().take(length).read_to_end(&mut value);
        if read.map_err(|source| self.file.unreadable(source))? as u64 != length {
            return Err(self.damaged("it was made shorter while it was read"));
        }
        self.at += FRAME as u64 + length;
        Ok((kind, value))
    }

    fn finish(&self) -> Result<(), DumpError> {
        if self.at == self.file.frames {
            return Ok(());
        }
        Err(self.damaged("something follows the last frame"))
    }

    fn damaged(&self, problem: impl Into<String>) -> DumpError {
        self.file.damaged(format!("the frame before byte {}", PREFIX as u64 + self.at), problem)
    }
}

/// A sum as something to write to.
struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
