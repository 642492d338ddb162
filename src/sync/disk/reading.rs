//! A file read back: by one thread, while others check its frames and make objects of them.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::Path;

use prost::Message as _;

use super::{Checksum, FRAME_BYTES, FrameHash, Header, MAGIC, Unusable, VERSION};
use crate::model::revision::{InvalidRevisionToken, RevisionToken};
use crate::proto::doorward as pb;
use crate::sync::apply::{Applied, Chunk, EventRejected, Moved, Step};
use crate::threads::Threads;

/// A file that is read, with the checksum of what was read.
pub(super) struct Reading<'p> {
    bytes: Bytes<'p>,
    checksum: Checksum,
}

/// The bytes of a file.
struct Bytes<'p> {
    input: BufReader<File>,
    /// How many are not read yet.
    left: u64,
    path: &'p Path,
}

// === impl Reading ===

impl<'p> Reading<'p> {
    pub(super) fn new(file: File, path: &'p Path) -> Result<Self, Unusable> {
        let left = file.metadata().map_err(|source| Unusable::Io { path: path.to_owned(), source })?.len();
        Ok(Self { bytes: Bytes { input: BufReader::new(file), left, path }, checksum: Checksum::default() })
    }

    /// The whole of it, checked: nothing of a file that is not whole comes out.
    pub(super) fn snapshot(mut self, threads: Threads) -> Result<(Header, Moved), Unusable> {
        self.check_kind()?;
        let header = self.bytes.frame()?;
        self.checksum.add(&FrameHash::of(&header));
        let header: Header = serde_json::from_slice(&header).map_err(|error| self.damaged(error))?;
        let moved = self.chunks(threads)?;
        self.check_end()?;
        let digest = moved.state.sums().whole().digest().to_string();
        let token = RevisionToken { store: moved.store, revision: moved.state.revision };
        let told = self.token(&header)?;
        if told != token || header.digest != digest {
            return Err(self.damaged("its header is of another state"));
        }
        Ok((header, moved))
    }

    fn check_kind(&mut self) -> Result<(), Unusable> {
        let (mut magic, mut version) = ([0; MAGIC.len()], [0; 4]);
        self.bytes.fill(&mut magic)?;
        if magic != *MAGIC {
            return Err(Unusable::Foreign(self.bytes.path.to_owned()));
        }
        self.bytes.fill(&mut version)?;
        let found = u32::from_le_bytes(version);
        if found != VERSION {
            return Err(Unusable::Version { path: self.bytes.path.to_owned(), found });
        }
        Ok(())
    }

    fn token(&self, header: &Header) -> Result<RevisionToken, Unusable> {
        let store = header.store.parse().map_err(|error: InvalidRevisionToken| self.damaged(error))?;
        Ok(RevisionToken { store, revision: header.revision })
    }

    fn chunks(&mut self, threads: Threads) -> Result<Moved, Unusable> {
        let Self { bytes, checksum } = self;
        let (mut applied, mut whole, path) = (Applied::default(), None, bytes.path);
        let apply = |(hash, chunk): (FrameHash, Result<Chunk, String>)| {
            checksum.add(&hash);
            if whole.is_some() {
                return Err(damaged(path, "there is more behind its last chunk"));
            }
            let step = chunk.and_then(|chunk| applied.chunk(chunk).map_err(|error| error.to_string()));
            match step.map_err(|problem| damaged(path, problem))? {
                Step::Moved(moved) => whole = Some(moved),
                Step::Partial | Step::Confirmed(..) => {}
            }
            Ok(())
        };
        let make = |frame: Vec<u8>| (FrameHash::of(&frame), read_chunk(&frame));
        threads.in_order(|| bytes.next_frame(), make, apply)?;
        whole.ok_or_else(|| self.damaged("its last chunk is missing"))
    }

    /// The checksum of all that was read, and nothing behind it.
    fn check_end(&mut self) -> Result<(), Unusable> {
        let mut told = [0; Checksum::BYTES];
        self.bytes.fill(&mut told)?;
        if self.checksum.clone().end() == told && self.bytes.is_end()? {
            return Ok(());
        }
        Err(self.damaged("its checksum is that of other contents"))
    }

    fn damaged(&self, problem: impl Display) -> Unusable {
        damaged(self.bytes.path, problem)
    }
}

// === impl Bytes ===

impl Bytes<'_> {
    /// The next frame, with its length, while there is one before the checksum.
    fn next_frame(&mut self) -> Result<Option<(Vec<u8>, usize)>, Unusable> {
        let frame = (self.left > Checksum::BYTES as u64).then(|| self.frame()).transpose()?;
        Ok(frame.map(|frame| {
            let length = frame.len();
            (frame, length)
        }))
    }

    fn frame(&mut self) -> Result<Vec<u8>, Unusable> {
        let mut length = [0; 4];
        self.fill(&mut length)?;
        let length = u32::from_le_bytes(length);
        if length > FRAME_BYTES {
            let problem = format!("a frame claims {length} bytes, the limit is {FRAME_BYTES}");
            return Err(damaged(self.path, problem));
        }
        let mut frame = vec![0; length as usize];
        self.fill(&mut frame)?;
        Ok(frame)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Unusable> {
        self.input.read_exact(bytes).map_err(|error| self.failed(error))?;
        self.left = self.left.saturating_sub(bytes.len() as u64);
        Ok(())
    }

    fn is_end(&mut self) -> Result<bool, Unusable> {
        Ok(self.input.read(&mut [0]).map_err(|error| self.failed(error))? == 0)
    }

    fn failed(&self, error: io::Error) -> Unusable {
        match error.kind() {
            ErrorKind::UnexpectedEof => damaged(self.path, "it ends too early"),
            _ => Unusable::Io { path: self.path.to_owned(), source: error },
        }
    }
}

fn damaged(path: &Path, problem: impl Display) -> Unusable {
    Unusable::Damaged { path: path.to_owned(), problem: problem.to_string() }
}

fn read_chunk(frame: &[u8]) -> Result<Chunk, String> {
    let reset = pb::Reset::decode(frame).map_err(|error| error.to_string())?;
    Chunk::try_from(reset).map_err(|error: EventRejected| error.to_string())
}
