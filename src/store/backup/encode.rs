//! Rows as the bytes of a backup, wherever they go.

use std::io::{self, ErrorKind, Write};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::super::dump::{DumpError, Head, Row, Sink};
use super::super::format::encode;
use super::super::verify::Counts;
use super::{MAGIC, VERSION, kind};

/// A backup that is being written to `W`.
pub(super) struct Encoder<W> {
    /// Where it goes, for messages.
    place: String,
    out: W,
    sum: Sha256,
    head: Option<Head>,
    counts: Counts,
}

// === impl Encoder ===

impl<W: Write> Encoder<W> {
    /// The beginning of a backup.
    pub(super) fn begin(place: impl Into<String>, out: W) -> Result<Self, DumpError> {
        let (sum, counts) = (Sha256::new(), Counts::default());
        let mut encoder = Self { place: place.into(), out, sum, head: None, counts };
        encoder.put(MAGIC)?;
        encoder.put(&VERSION.to_be_bytes())?;
        Ok(encoder)
    }

    /// The end of it; gives back where it was written, and what it is a backup of.
    pub(super) fn finish(mut self) -> Result<(W, Head), DumpError> {
        let counts = self.counts;
        self.frame(kind::END, &counts)?;
        let sum = std::mem::take(&mut self.sum).finalize();
        let written = self.out.write_all(&sum).and_then(|()| self.out.flush());
        written.map_err(|source| self.failed(source))?;
        let headless = || self.failed(io::Error::new(ErrorKind::InvalidData, "the store told no head"));
        let head = self.head.ok_or_else(headless)?;
        Ok((self.out, head))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), DumpError> {
        self.sum.update(bytes);
        self.out.write_all(bytes).map_err(|source| self.failed(source))
    }

    fn frame(&mut self, kind: u8, value: &impl Serialize) -> Result<(), DumpError> {
        let too_large = |problem: String| self.failed(io::Error::new(ErrorKind::InvalidData, problem));
        let value = encode(value).map_err(|problem| too_large(problem.to_string()))?;
        let length = u32::try_from(value.len()).map_err(|problem| too_large(problem.to_string()))?;
        self.put(&[kind])?;
        self.put(&length.to_be_bytes())?;
        self.put(&value)
    }

    fn failed(&self, source: io::Error) -> DumpError {
        DumpError::File { place: self.place.clone(), done: "written", source }
    }
}

impl<W: Write> Sink for Encoder<W> {
    fn head(&mut self, head: &Head) -> Result<(), DumpError> {
        self.head = Some(*head);
        self.frame(kind::HEAD, head)
    }

    fn row(&mut self, row: Row) -> Result<(), DumpError> {
        self.written(&row)
    }
}

impl<W: Write> Encoder<W> {
    /// Writes a row that its owner needs afterwards.
    pub(super) fn written(&mut self, row: &Row) -> Result<(), DumpError> {
        self.counts.add(row);
        match row {
            Row::Object(record) => self.frame(kind::OBJECT, record),
            Row::Commit(entry) => self.frame(kind::COMMIT, entry),
            Row::Event(event) => self.frame(kind::EVENT, event),
            Row::Request(id, answer) => self.frame(kind::REQUEST, &(id, answer)),
            Row::Credential(credential) => self.frame(kind::CREDENTIAL, credential),
        }
    }
}
