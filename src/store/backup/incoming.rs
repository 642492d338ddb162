//! How a backup is taken from somebody who sends it: written as it comes, verified on the way, and kept if it is whole.

use std::io::Write as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::super::dump::{DumpError, Sink as _};
use super::super::verify::{Verified, Verifier};
use super::draft::Draft;
use super::frame::{Frame, Order};
use super::{FRAME, PREFIX, SUM, check_prefix};

/// A backup that arrives piece by piece, and becomes a file when all of it is there and right. It holds what its verifier
/// does, and the frame that is not whole yet. Dropped before [`Self::finish`], it leaves nothing.
pub struct Incoming {
    /// Who sends it, for messages.
    place: String,
    draft: Draft,
    sum: Sha256,
    order: Order,
    verifier: Verifier,
    expected: Part,
    /// What has come of the part that is expected.
    waiting: Vec<u8>,
    /// Where that part begins.
    at: u64,
}

/// The parts of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Prefix,
    Frame,
    Sum,
    /// Everything has come.
    Nothing,
}

// === impl Incoming ===

impl Incoming {
    /// Awaits the backup that `place` sends, for a new file at `path`.
    ///
    /// # Errors
    /// [`DumpError::Taken`] for a file that is there, unless `overwrite`; [`DumpError::File`] where none can be made.
    pub fn new(place: impl Into<String>, path: &Path, overwrite: bool) -> Result<Self, DumpError> {
        let (place, draft) = (place.into(), Draft::beside(path, overwrite)?);
        Ok(Self {
            verifier: Verifier::new(place.clone()),
            place,
            draft,
            sum: Sha256::new(),
            order: Order::default(),
            expected: Part::Prefix,
            waiting: Vec::new(),
            at: 0,
        })
    }

    /// Takes the next bytes, however they were divided.
    ///
    /// # Errors
    /// [`DumpError::Foreign`] for what is no backup or one of another version, [`DumpError::Damaged`] for what does not fit
    /// together, [`DumpError::File`] where it cannot be written. Nothing else is taken then.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), DumpError> {
        self.draft.write_all(bytes).map_err(|source| self.draft.failed(source))?;
        self.waiting.extend_from_slice(bytes);
        let (waiting, mut taken) = (std::mem::take(&mut self.waiting), 0);
        while let Some(part) = self.length(waiting.get(taken..).unwrap_or_default())? {
            let Some(bytes) = waiting.get(taken..taken.saturating_add(part)) else { break };
            self.part(bytes)?;
            (taken, self.at) = (taken + part, self.at + part as u64);
        }
        self.waiting = waiting;
        self.waiting.drain(..taken);
        Ok(())
    }

    /// Verifies the whole, makes the file durable and gives it its name.
    ///
    /// # Errors
    /// [`DumpError::CutOff`] where the end has not come; [`DumpError::Damaged`] for a store that is not whole, of which no
    /// backup is made; [`DumpError::Taken`] or [`DumpError::File`] where the file cannot get its name.
    pub fn finish(self) -> Result<Verified, DumpError> {
        if self.expected != Part::Nothing {
            return Err(DumpError::CutOff { place: self.place });
        }
        let verified = self.verifier.finish()?;
        self.draft.keep().map(|()| verified)
    }

    /// How long the expected part is that begins with `waiting`; `None` where that cannot be told yet.
    fn length(&self, waiting: &[u8]) -> Result<Option<usize>, DumpError> {
        match self.expected {
            Part::Prefix => Ok(Some(PREFIX)),
            Part::Frame => Ok(waiting
                .first_chunk::<FRAME>()
                .and_then(|[_, length @ ..]| usize::try_from(u32::from_be_bytes(*length)).ok()?.checked_add(FRAME))),
            Part::Sum => Ok(Some(SUM)),
            Part::Nothing if waiting.is_empty() => Ok(None),
            Part::Nothing => Err(self.damaged("something follows its end")),
        }
    }

    /// Reads the expected part.
    fn part(&mut self, bytes: &[u8]) -> Result<(), DumpError> {
        match self.expected {
            Part::Prefix => {
                let foreign = |found| DumpError::Foreign { place: self.place.clone(), found };
                check_prefix(bytes).map_err(foreign)?;
                self.expected = Part::Frame;
            }
            Part::Frame => self.frame(bytes)?,
            Part::Sum => {
                if std::mem::take(&mut self.sum).finalize().as_slice() != bytes {
                    return Err(self.damaged("some of its bytes are not what was sent"));
                }
                self.expected = Part::Nothing;
                return Ok(());
            }
            Part::Nothing => {}
        }
        self.sum.update(bytes);
        Ok(())
    }

    fn frame(&mut self, bytes: &[u8]) -> Result<(), DumpError> {
        let (kind, value) = (bytes.first().copied().unwrap_or_default(), bytes.get(FRAME..).unwrap_or_default());
        match self.order.read(kind, value).map_err(|problem| self.damaged(problem))? {
            Frame::Head(head) => self.verifier.head(&head),
            Frame::Row(row) => self.verifier.row(row),
            Frame::End => {
                self.expected = Part::Sum;
                Ok(())
            }
        }
    }

    fn damaged(&self, problem: impl Into<String>) -> DumpError {
        let row = format!("byte {} of its backup", self.at);
        DumpError::Damaged { place: self.place.clone(), row, problem: problem.into() }
    }
}
