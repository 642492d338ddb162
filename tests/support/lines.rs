//! Lines that a reader thread collects and a test waits for: on a state, with a bound, without a sleep.

use std::io::{BufRead as _, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The lines of one stream, as far as they have come.
#[derive(Debug, Clone, Default)]
pub struct Lines {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<String>,
    ended: bool,
}

/// What was waited for did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitError {
    /// The stream ended first.
    Ended,
    /// The deadline passed first.
    TimedOut,
}

// === impl Lines ===

impl Lines {
    /// Collects the lines of `stream` on a thread of their own, until it ends.
    pub fn collect(stream: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let sink = lines.clone();
        thread::spawn(move || {
            // Bytes, not `lines()`: a peer may print what is not UTF-8, and that must not end the log.
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                sink.push(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned());
            }
            sink.end();
        });
        lines
    }

    /// All lines so far.
    pub fn all(&self) -> Vec<String> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).lines.clone()
    }

    /// All lines so far, as one text.
    pub fn text(&self) -> String {
        self.all().join("\n")
    }

    /// Waits until `find` makes something of the lines so far.
    pub fn wait<T>(&self, within: Duration, mut find: impl FnMut(&[String]) -> Option<T>) -> Result<T, WaitError> {
        self.wait_state(within, |state| match find(&state.lines) {
            Some(found) => Some(Ok(found)),
            None if state.ended => Some(Err(WaitError::Ended)),
            None => None,
        })
        .unwrap_or(Err(WaitError::TimedOut))
    }

    /// Waits for the end of the stream: the process closed it, mostly by exiting.
    pub fn wait_end(&self, within: Duration) -> Result<(), WaitError> {
        self.wait_state(within, |state| state.ended.then_some(())).ok_or(WaitError::TimedOut)
    }

    fn wait_state<T>(&self, within: Duration, mut look: impl FnMut(&State) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + within;
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(seen) = look(&state) {
                return Some(seen);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn push(&self, line: String) {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).lines.push(line);
        self.shared.changed.notify_all();
    }

    fn end(&self) {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
        self.shared.changed.notify_all();
    }
}
