//! The reader: the commits of a store into the window, each once and in order, whatever the number of watchers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::past::Past;
use super::seal::Seal;
use super::window::{COMMITS, Commit, Window};
use crate::clock::{Clock, LONG};
use crate::model::moment::Moment;
use crate::model::object::Change;
use crate::model::revision::Revision;
use crate::model::scope::Place;
use crate::model::state::State;
use crate::store::api::{LogEntry, Store, StoreError};

/// Commits read from the store at a time.
const BATCH: usize = 256;
/// Before a store that could not be read is asked again, where nothing is committed in between.
const RETRY: Duration = Duration::from_secs(1);

/// Reads the commits of a store.
pub(super) struct Reader {
    store: Arc<dyn Store>,
    window: Arc<Window>,
    head: watch::Receiver<Revision>,
    /// What the commits so far add up to.
    state: State,
    /// When that was known to be no older than the store's newest.
    fresh: Moment,
    clock: Clock,
    seal: Seal,
}

/// The store's newest, and when it was known to be that.
pub(super) struct Head {
    pub(super) state: Arc<State>,
    pub(super) fresh: Moment,
}

/// The store cannot be read at the moment.
struct Failed;

// === impl Reader ===

impl Reader {
    /// A reader from the store's head on, and the window that it fills: with the last commits before that at first.
    pub(super) fn new(store: Arc<dyn Store>, clock: Clock, seal: Seal) -> (Self, Arc<Window>) {
        // The head is watched before the state is looked at: no commit falls in between.
        let watched = store.watch();
        let head = Head::of(&*store, &clock);
        let Past { state, entries } = Past::of(&*store, &head.state);
        let window = Arc::new(Window::new(state.revision, state.sums().clone(), seal.clone()));
        // Until when a commit of before was the newest is not known; whoever was told it before knows better.
        let fresh = head.fresh.before(LONG);
        let mut reader = Self { store, window: Arc::clone(&window), head: watched, state, fresh, clock, seal };
        if !entries.iter().all(|entry| reader.add(entry, &head)) {
            reader.restart(&head);
        }
        reader.fresh = head.fresh;
        (reader, window)
    }

    /// Reads for as long as there is a store.
    pub(super) async fn run(mut self) {
        loop {
            self.head.borrow_and_update();
            let read = self.catch_up().await;
            self.window.set_failed(read.is_err());
            let moved = self.head.changed();
            let moved = match read {
                Ok(()) => moved.await,
                Err(Failed) => tokio::time::timeout(RETRY, moved).await.unwrap_or(Ok(())),
            };
            if moved.is_err() {
                return;
            }
        }
    }

    async fn catch_up(&mut self) -> Result<(), Failed> {
        loop {
            let head = Head::of(&*self.store, &self.clock);
            if head.state.revision == self.state.revision {
                if !self.agrees(&head) {
                    self.restart(&head);
                }
                // The same content, and shared with the store again.
                self.state = State::clone(&head.state);
                self.fresh = head.fresh;
                return Ok(());
            }
            let lag = head.state.revision.get().checked_sub(self.state.revision.get());
            if lag.is_none_or(|lag| lag > COMMITS as u64) {
                self.restart(&head);
                continue;
            }
            for entry in self.entries(&head).await? {
                if !self.add(&entry, &head) {
                    self.restart(&head);
                    break;
                }
            }
        }
    }

    /// The next commits; none where the log does not lead on from here.
    async fn entries(&mut self, head: &Head) -> Result<Vec<LogEntry>, Failed> {
        let (store, after) = (Arc::clone(&self.store), self.state.revision);
        let read = tokio::task::spawn_blocking(move || store.changes_after(after, BATCH)).await;
        match read {
            Ok(Ok(entries)) if !entries.is_empty() => Ok(entries),
            Ok(Ok(_) | Err(StoreError::Compacted { .. })) => {
                self.restart(head);
                Ok(Vec::new())
            }
            Ok(Err(problem)) => {
                tracing::error!(error = &problem as &dyn std::error::Error, "the change log cannot be read");
                Err(Failed)
            }
            Err(_) => Err(Failed),
        }
    }

    /// Adds one commit, if it is the next one.
    fn add(&mut self, entry: &LogEntry, head: &Head) -> bool {
        if Some(entry.revision) != self.state.revision.next() {
            return false;
        }
        let mut places = Vec::with_capacity(entry.changes.len());
        for change in entry.changes.iter() {
            // Each in the state that those before it made.
            places.push(self.place(change));
            if let Err(problem) = self.state.apply(entry.revision, [change]) {
                tracing::error!(revision = %entry.revision, error = &problem as &dyn std::error::Error, "a commit in the change log does not fit; watchers are told the whole state");
                return false;
            }
        }
        self.state.revision = entry.revision;
        if entry.revision == head.state.revision && !self.agrees(head) {
            return false;
        }
        // On the way to the head a state is as fresh as the one that was left behind.
        if entry.revision >= head.state.revision {
            self.fresh = head.fresh;
        }
        let sums = self.state.sums().clone();
        let commit = Commit::new(entry, places, sums.clone(), self.fresh, &self.seal);
        self.window.push(commit, sums);
        true
    }

    /// Whether the commits add up to what the store has at the same revision.
    fn agrees(&self, head: &Head) -> bool {
        let agrees = self.state.sums().whole() == head.state.sums().whole();
        if !agrees {
            tracing::error!(revision = %head.state.revision, "the change log does not add up to the state of the store; watchers are told the whole state, and `doorward store verify` tells more");
        }
        agrees
    }

    /// Where what changes belongs. What is deleted is looked for in the state before the change.
    fn place(&self, change: &Change) -> Place {
        let unknown = |key: &crate::model::object::ObjectKey| Place { account: key.account(), environment: None };
        match change {
            Change::Put(record) => Place::of(&record.value),
            Change::Delete(key) => self.state.record(key).map_or_else(|| unknown(key), |it| Place::of(&it.value)),
        }
    }

    fn restart(&mut self, head: &Head) {
        self.state = State::clone(&head.state);
        self.fresh = head.fresh;
        self.window.restart(self.state.revision, self.state.sums().clone());
    }
}

// === impl Head ===

impl Head {
    pub(super) fn of(store: &dyn Store, clock: &Clock) -> Self {
        // The time before the state: what is committed in between makes it no older than this says.
        let fresh = clock.steady().before(store.staleness());
        Self { state: store.state(), fresh }
    }
}
