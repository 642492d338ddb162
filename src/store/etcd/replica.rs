//! What one process knows of the store: a state that only moves forward, and where it stands in etcd.

use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::model::revision::Revision;
use crate::model::state::State;

use super::super::api::{Cause, LogEntry, StoreError};
use super::super::format::{decode, encode};
use super::client::{CallFailed, Client};
use super::layout::Keys;
use super::load::Identity;
use super::tail::Tail;

/// The store as this process knows it.
#[derive(Debug)]
pub(super) struct Replica {
    pub(super) client: Client,
    pub(super) keys: Keys,
    /// For messages.
    pub(super) place: String,
    pub(super) identity: Identity,
    // INVARIANT: `published` and `head` are written by a holder of `position` only; the revision never decreases.
    position: Mutex<Position>,
    published: ArcSwap<State>,
    head: watch::Sender<Revision>,
    /// When the published state was last known to be the newest.
    confirmed: Mutex<Instant>,
    /// A head that was asked for, and that the watch has not told in time.
    pub(super) missed: watch::Sender<Revision>,
    /// When in etcd this process set the mark of a load; 0 where it does not load.
    pub(super) mark: AtomicI64,
}

/// What belongs to the published state.
#[derive(Debug, Default)]
struct Position {
    /// The revision of etcd at which the head was written.
    head_mod: i64,
    tail: Tail,
}

/// A state, and the revision of etcd at which its head was written.
#[derive(Debug, Clone, Default)]
pub(super) struct Stand {
    pub(super) state: Arc<State>,
    pub(super) head_mod: i64,
}

/// What an entry of the log is to a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Met {
    /// It was the next one, and is published.
    Next,
    /// It was published before.
    Known,
    /// Some before it are missing.
    Ahead,
}

// === impl Replica ===

impl Replica {
    /// A replica that knows nothing yet.
    pub(super) fn new(client: Client, keys: Keys, place: String, identity: Identity) -> Self {
        let (head, missed) = (watch::Sender::new(Revision::ZERO), watch::Sender::new(Revision::ZERO));
        let confirmed = Mutex::new(Instant::now());
        let (position, published, mark) = (Mutex::default(), ArcSwap::default(), AtomicI64::default());
        Self { client, keys, place, identity, position, published, head, confirmed, missed, mark }
    }

    pub(super) fn state(&self) -> Arc<State> {
        self.published.load_full()
    }

    pub(super) fn revision(&self) -> Revision {
        self.published.load().revision
    }

    pub(super) fn watch(&self) -> watch::Receiver<Revision> {
        self.head.subscribe()
    }

    /// Notes that the published state was the newest at `at`.
    pub(super) fn confirm(&self, at: Instant) {
        let mut confirmed = self.confirmed.lock().unwrap_or_else(PoisonError::into_inner);
        *confirmed = at.max(*confirmed);
    }

    /// How long ago the published state was last known to be the newest.
    pub(super) fn staleness(&self) -> Duration {
        self.confirmed.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    pub(super) fn stand(&self) -> Stand {
        let position = self.position();
        Stand { state: self.state(), head_mod: position.head_mod }
    }

    /// Publishes what `entry` makes of the published state, if it is the next one.
    pub(super) fn meet(&self, entry: LogEntry, head_mod: i64) -> Result<Met, StoreError> {
        let mut position = self.position();
        let state = self.state();
        match self.met_in(&position, entry.revision, head_mod)? {
            Met::Next => {}
            other => return Ok(other),
        }
        let mut next = state.as_ref().clone();
        let applied = next.apply(entry.revision, &*entry.changes);
        applied.map_err(|error| self.damaged(format!("revision {} of the log", entry.revision), error))?;
        self.publish(&mut position, next.into(), head_mod, Some(entry));
        Ok(Met::Next)
    }

    /// What an entry with this revision that was written at `written` in etcd would be.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] for one that was written behind the published head under a revision of before: nobody
    /// writes an entry again, so it is of another store.
    pub(super) fn met(&self, revision: Revision, written: i64) -> Result<Met, StoreError> {
        self.met_in(&self.position(), revision, written)
    }

    fn met_in(&self, position: &Position, revision: Revision, written: i64) -> Result<Met, StoreError> {
        match self.follows(revision) {
            Met::Known if written > position.head_mod => {
                Err(self.damaged(format!("revision {revision} of the log"), "it was written again; start anew"))
            }
            met => Ok(met),
        }
    }

    fn follows(&self, revision: Revision) -> Met {
        let known = self.revision();
        match known.next() {
            Some(next) if next == revision => Met::Next,
            _ if revision <= known => Met::Known,
            _ => Met::Ahead,
        }
    }

    /// Publishes a commit of this process, unless its entry was met in the meantime.
    pub(super) fn publish_own(&self, state: State, entry: LogEntry, head_mod: i64) {
        let mut position = self.position();
        if self.follows(entry.revision) == Met::Next {
            self.publish(&mut position, state.into(), head_mod, Some(entry));
        }
    }

    /// Publishes a state that was read as a whole at the revision `at` of etcd, unless a newer one is published.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] for an older one: it would be a store that has lost acknowledged commits.
    pub(super) fn replace(&self, stand: Stand, at: i64) -> Result<(), StoreError> {
        let mut position = self.position();
        self.check_head(&position, stand.state.revision, at)?;
        if stand.state.revision > self.revision() || position.head_mod == 0 {
            position.tail = Tail::default();
            self.publish(&mut position, stand.state, stand.head_mod, None);
        }
        Ok(())
    }

    /// What was published before something was read must be in it.
    pub(super) fn check_successor(&self, found: Revision, known: Revision) -> Result<(), StoreError> {
        if found >= known {
            return Ok(());
        }
        Err(self.damaged("the head", format!("revision {found} was found instead of {known}")))
    }

    fn check_head(&self, position: &Position, found: Revision, at: i64) -> Result<(), StoreError> {
        let published = self.revision();
        // What was read before a commit does not show it.
        if found >= published || at < position.head_mod {
            return Ok(());
        }
        Err(self.damaged("the head", format!("revision {found} was found instead of {published}")))
    }

    fn publish(&self, position: &mut Position, state: Arc<State>, head_mod: i64, entry: Option<LogEntry>) {
        let revision = state.revision;
        position.head_mod = head_mod;
        if let Some(entry) = entry {
            position.tail.push(entry);
        }
        self.published.store(state);
        self.head.send_if_modified(|head| std::mem::replace(head, revision) != revision);
    }

    /// The first `limit` commits after `after`, if they are in memory.
    pub(super) fn remembered(&self, after: Revision, limit: usize) -> Option<Vec<LogEntry>> {
        self.position().tail.after(after, limit)
    }

    /// Forgets the commits that are no longer in the log.
    pub(super) fn forget(&self, start: Revision) {
        self.position().tail.forget(start);
    }

    fn position(&self) -> MutexGuard<'_, Position> {
        // Nothing between two assignments can panic.
        self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // === values and errors ===

    pub(super) fn decoded<T: DeserializeOwned>(&self, row: &str, bytes: &[u8]) -> Result<T, StoreError> {
        decode(bytes).map_err(|error| self.damaged(row, error))
    }

    pub(super) fn damaged(&self, row: impl Into<String>, cause: impl Into<Cause>) -> StoreError {
        StoreError::Damaged { place: self.place.clone(), row: row.into(), source: cause.into() }
    }

    /// A read came to nothing, or a write before it could be anything.
    pub(super) fn unusable(&self, failed: CallFailed) -> StoreError {
        StoreError::Remote { place: self.place.clone(), source: failed.error.into() }
    }

    /// A write came to nothing, or nobody knows.
    pub(super) fn unwritten(&self, failed: CallFailed) -> StoreError {
        if !failed.may_be_done {
            return self.unusable(failed);
        }
        StoreError::FateUnknown { place: self.place.clone(), source: failed.error.into() }
    }
}

/// The bytes of `value`.
pub(super) fn encoded<T: Serialize>(row: &str, value: &T) -> Result<Vec<u8>, StoreError> {
    encode(value).map_err(|error| unencodable(row, error))
}

/// A value that cannot be written.
pub(super) fn unencodable(row: &str, source: impl Into<Cause>) -> StoreError {
    StoreError::Unencodable { row: row.to_owned(), source: source.into() }
}
