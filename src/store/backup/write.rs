//! How a backup is written beside its name, and verified on the way.

use std::path::Path;

use super::super::dump::{DumpError, Head, Row, Sink};
use super::super::verify::{Verified, Verifier};
use super::draft::Draft;
use super::encode::Encoder;

/// A backup that is being written into a file.
pub(super) struct Writer {
    encoder: Encoder<Draft>,
    verifier: Verifier,
}

// === impl Writer ===

impl Writer {
    /// A new backup that will be at `path`.
    pub(super) fn beside(path: &Path, overwrite: bool, verifier: Verifier) -> Result<Self, DumpError> {
        let draft = Draft::beside(path, overwrite)?;
        Ok(Self { encoder: Encoder::begin(path.display().to_string(), draft)?, verifier })
    }

    /// Ends the file, makes it durable and gives it its name.
    pub(super) fn finish(self) -> Result<Verified, DumpError> {
        let verified = self.verifier.finish()?;
        let (draft, _) = self.encoder.finish()?;
        draft.keep().map(|()| verified)
    }
}

impl Sink for Writer {
    fn head(&mut self, head: &Head) -> Result<(), DumpError> {
        self.verifier.head(head)?;
        self.encoder.head(head)
    }

    fn row(&mut self, row: Row) -> Result<(), DumpError> {
        self.encoder.written(&row)?;
        self.verifier.row(row)
    }
}
