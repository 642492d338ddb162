//! What a backup is written to: chunks of a bounded size, each handed to the reader before the next one is made.

use std::io::{self, Write};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};

use super::BackupLimits;

/// Bytes of a chunk: far below the 4 MiB that a client takes in one message.
pub(super) const CHUNK: usize = 256 * 1024;

/// The chunks of one backup, from a thread that may block.
pub(super) struct Chunks {
    runtime: Handle,
    reader: mpsc::Sender<Vec<u8>>,
    ending: watch::Receiver<bool>,
    limits: BackupLimits,
    /// When all of it must have been taken.
    end: Instant,
    /// The chunk that is being filled.
    filling: Vec<u8>,
    sent: u64,
    stopped: Option<Stopped>,
}

/// Why nothing more is handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stopped {
    #[error("the reader of the backup went away")]
    Gone,
    #[error("the reader of the backup took nothing")]
    Stalled,
    #[error("the reader did not take the whole backup")]
    TooLong,
    #[error("the control plane ends")]
    Ending,
}

// === impl Chunks ===

impl Chunks {
    pub(super) fn new(
        runtime: Handle,
        reader: mpsc::Sender<Vec<u8>>,
        ending: watch::Receiver<bool>,
        limits: BackupLimits,
    ) -> Self {
        let end = Instant::now() + limits.total;
        Self { runtime, reader, ending, limits, end, filling: Vec::new(), sent: 0, stopped: None }
    }

    /// Bytes that were handed to the reader.
    pub(super) const fn sent(&self) -> u64 {
        self.sent
    }

    /// Why writing ended, if it was not for the store.
    pub(super) const fn stopped(&self) -> Option<Stopped> {
        self.stopped
    }

    /// Hands on what is there, as soon as there is room.
    fn hand_on(&mut self) -> io::Result<()> {
        let chunk = std::mem::take(&mut self.filling);
        let bytes = chunk.len() as u64;
        let handed = self.runtime.clone().block_on(self.wait(chunk));
        self.sent += bytes;
        handed.map_err(|stopped| {
            self.stopped = Some(stopped);
            io::Error::other(stopped)
        })
    }

    async fn wait(&mut self, chunk: Vec<u8>) -> Result<(), Stopped> {
        let stall = Instant::now() + self.limits.stall;
        let late = if stall < self.end { Stopped::Stalled } else { Stopped::TooLong };
        tokio::select! {
            biased;
            // An error means that who would say so is gone, which is an end as well.
            _ = self.ending.wait_for(|ending| *ending) => Err(Stopped::Ending),
            handed = timeout_at(stall.min(self.end), self.reader.send(chunk)) => {
                handed.map_err(|_| late)?.map_err(|_| Stopped::Gone)
            }
        }
    }
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.filling.len() >= CHUNK {
            self.hand_on()?;
        }
        let (now, _) = bytes.split_at(bytes.len().min(CHUNK - self.filling.len()));
        self.filling.extend_from_slice(now);
        Ok(now.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.filling.is_empty() { Ok(()) } else { self.hand_on() }
    }
}
