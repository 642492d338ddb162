//! The window: the commits that a watcher can go on with. What lies before it is told by a reset.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::watch;

use super::encoded::Encoded;
use super::seal::Seal;
use crate::model::digest::{Digest, Sums};
use crate::model::moment::Moment;
use crate::model::object::Change;
use crate::model::revision::Revision;
use crate::model::scope::{Place, Scope};
use crate::proto::doorward as pb;
use crate::proto::doorward::watch_response::Event;
use crate::proto::object::{from_change, from_timestamp};
use crate::store::api::LogEntry;

/// Commits that are kept: a watcher that lags further begins anew.
pub(super) const COMMITS: usize = 10_000;
/// Bytes of events that are kept.
const BYTES: usize = 64 * 1024 * 1024;
/// Commits whose sums are kept: those that a watcher of a part of the state can go on with.
pub(super) const SUMMED: usize = 1_024;
/// Bytes of events that are kept in scopes.
const SCOPED_BYTES: usize = 64 * 1024 * 1024;
/// Bytes of an event; a commit that comes to more is told by a reset, which is cut into chunks, to those who see a part of it.
const EVENT_BYTES: usize = 8 * 1024 * 1024;

/// The commits that a watcher can go on with.
pub(super) struct Window {
    ring: RwLock<Ring>,
    head: watch::Sender<Head>,
    seal: Seal,
    /// Bytes of the events that are kept in scopes.
    scoped_bytes: AtomicUsize,
}

/// Where the window ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// The newest commit in it.
    pub(super) revision: Revision,
    /// Whether the store cannot be read at the moment.
    pub(super) failed: bool,
}

/// What comes after a revision.
#[derive(Debug)]
pub(super) enum Next {
    /// A commit of the scope.
    Event(Told),
    /// A commit that has nothing in the scope.
    Silent(Revision),
    /// Nothing yet.
    Head,
    /// It is not known any more.
    TooOld,
}

/// A commit for a watcher.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) revision: Revision,
    pub(super) event: Encoded,
    /// When its state was known to be no older than the store's newest.
    pub(super) fresh: Moment,
}

/// One commit.
pub(super) struct Commit {
    pub(super) revision: Revision,
    pub(super) at: jiff::Timestamp,
    pub(super) changes: Arc<[Change]>,
    /// Of each change, in the same order.
    pub(super) places: Vec<Place>,
    fresh: Moment,
    digest: Digest,
    everything: Encoded,
    /// Whether it comes to more than an event may have: what it changes is not kept then.
    is_too_large: bool,
    scoped: Mutex<Scoped>,
}

/// A commit as the scopes see it.
struct Scoped {
    /// `None` once the commit is old.
    sums: Option<Sums>,
    /// Of scopes that hold a part of it, once somebody asked.
    events: HashMap<Arc<Scope>, Encoded>,
}

// INVARIANT: the commits follow each other without a gap, the first one upon `start`.
struct Ring {
    start: Revision,
    start_sums: Option<Sums>,
    /// Of the newest commit.
    sums: Sums,
    commits: VecDeque<Arc<Commit>>,
    bytes: usize,
}

// === impl Window ===

impl Window {
    /// An empty window, behind the state with these sums.
    pub(super) fn new(start: Revision, sums: Sums, seal: Seal) -> Self {
        let head = watch::Sender::new(Head { revision: start, failed: false });
        Self { ring: RwLock::new(Ring::new(start, sums)), head, seal, scoped_bytes: AtomicUsize::new(0) }
    }

    /// Told of each new commit, and when the store cannot be read.
    pub(super) fn head(&self) -> watch::Receiver<Head> {
        self.head.subscribe()
    }

    /// Adds the next commit.
    pub(super) fn push(&self, commit: Commit, sums: Sums) {
        let revision = commit.revision;
        let freed = self.write().push(commit, sums);
        self.scoped_bytes.fetch_sub(freed, Ordering::Relaxed);
        self.head.send_replace(Head { revision, failed: false });
    }

    /// Begins anew behind a state: what came before cannot be told by changes.
    pub(super) fn restart(&self, start: Revision, sums: Sums) {
        let freed = self.write().begin_anew(start, sums);
        self.scoped_bytes.fetch_sub(freed, Ordering::Relaxed);
        self.head.send_replace(Head { revision: start, failed: false });
    }

    /// Notes whether the store can be read.
    pub(super) fn set_failed(&self, failed: bool) {
        self.head.send_if_modified(|head| std::mem::replace(&mut head.failed, failed) != failed);
    }

    /// Whether the store cannot be read at the moment.
    pub(super) fn has_failed(&self) -> bool {
        self.head.borrow().failed
    }

    /// What comes after `revision` in a scope.
    pub(super) fn after(&self, revision: Revision, scope: &Arc<Scope>) -> Next {
        let found = self.read().after(revision);
        match found {
            Ok(commit) => self.told(&commit, scope),
            Err(next) => next,
        }
    }

    /// Whether a watcher that has `revision` with this digest can go on from there.
    pub(super) fn continues(&self, revision: Revision, digest: Option<Digest>, scope: &Scope) -> bool {
        let ring = self.read();
        let known = ring.digest_at(revision, scope);
        revision >= ring.start && digest.zip(known).is_none_or(|(has, known)| has == known)
    }

    /// Whether changes lead from `revision` on in a scope.
    pub(super) fn reaches(&self, revision: Revision, scope: &Scope) -> bool {
        let ring = self.read();
        let mut after = ring.commits.iter().rev().take_while(|commit| commit.revision > revision);
        revision >= ring.start && !after.any(|commit| commit.is_untold(scope))
    }

    /// The digest of the head in a scope, if the head is at `revision`.
    pub(super) fn digest_of_head(&self, revision: Revision, scope: &Scope) -> Option<Digest> {
        let ring = self.read();
        (ring.head() == revision).then(|| scope.digest(&ring.sums))
    }

    fn told(&self, commit: &Commit, scope: &Arc<Scope>) -> Next {
        if commit.is_untold(scope) {
            return Next::TooOld;
        }
        if scope.is_everything() {
            return Next::Event(commit.told(commit.everything.clone()));
        }
        if !commit.holds(scope) {
            return Next::Silent(commit.revision);
        }
        // INVARIANT: whoever holds a commit's lock does not ask for the ring's; the other way round is the order.
        let known = commit.scoped().events.get(scope).cloned();
        let event = known.or_else(|| self.make(commit, scope));
        event.map_or(Next::TooOld, |event| Next::Event(commit.told(event)))
    }

    /// The event of a commit in a scope that holds a part of it; `None` where its digest is not known any more.
    fn make(&self, commit: &Commit, scope: &Arc<Scope>) -> Option<Encoded> {
        let after = self.read().last_of(scope, commit.revision);
        let mut scoped = commit.scoped();
        if let Some(known) = scoped.events.get(scope) {
            // Another watcher of the scope was quicker.
            return Some(known.clone());
        }
        let digest = scope.digest(scoped.sums.as_ref()?);
        let event = commit.event(scope, after, digest, &self.seal);
        // Past the limit it is made for each watcher: a change of the global level is in all scopes.
        if self.scoped_bytes.fetch_add(event.len(), Ordering::Relaxed) > SCOPED_BYTES {
            self.scoped_bytes.fetch_sub(event.len(), Ordering::Relaxed);
            return Some(event);
        }
        scoped.events.insert(Arc::clone(scope), event.clone());
        Some(event)
    }

    fn read(&self) -> RwLockReadGuard<'_, Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Ring> {
        self.ring.write().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Ring ===

impl Ring {
    fn new(start: Revision, sums: Sums) -> Self {
        Self { start, start_sums: Some(sums.clone()), sums, commits: VecDeque::new(), bytes: 0 }
    }

    fn head(&self) -> Revision {
        self.commits.back().map_or(self.start, |commit| commit.revision)
    }

    /// Adds a commit; gives the bytes of the scoped events that are not kept any more.
    fn push(&mut self, commit: Commit, sums: Sums) -> usize {
        self.sums = sums;
        self.bytes += commit.everything.len();
        self.commits.push_back(Arc::new(commit));
        let mut freed = 0;
        while self.commits.len() > COMMITS || self.bytes > BYTES {
            freed += self.forget_first();
        }
        let old = self.commits.len().checked_sub(SUMMED + 1).and_then(|place| self.commits.get(place));
        freed + old.map_or(0, |old| old.scoped().forget())
    }

    fn forget_first(&mut self) -> usize {
        let Some(first) = self.commits.pop_front() else { return 0 };
        self.bytes = self.bytes.saturating_sub(first.everything.len());
        self.start = first.revision;
        let mut scoped = first.scoped();
        self.start_sums.clone_from(&scoped.sums);
        scoped.forget()
    }

    /// Forgets everything; gives the bytes of the scoped events.
    fn begin_anew(&mut self, start: Revision, sums: Sums) -> usize {
        let before = std::mem::replace(self, Self::new(start, sums));
        before.commits.iter().map(|commit| commit.scoped().forget()).sum()
    }

    fn after(&self, revision: Revision) -> Result<Arc<Commit>, Next> {
        let place = revision.get().checked_sub(self.start.get()).ok_or(Next::TooOld)?;
        let commit = usize::try_from(place).ok().and_then(|place| self.commits.get(place));
        commit.map(Arc::clone).ok_or(Next::Head)
    }

    fn digest_at(&self, revision: Revision, scope: &Scope) -> Option<Digest> {
        if revision == self.start {
            return self.start_sums.as_ref().map(|sums| scope.digest(sums));
        }
        let place = revision.get().checked_sub(self.start.get())?.checked_sub(1)?;
        let commit = self.commits.get(usize::try_from(place).ok()?)?;
        if scope.is_everything() {
            return Some(commit.digest);
        }
        commit.scoped().sums.as_ref().map(|sums| scope.digest(sums))
    }

    /// A revision before `revision` behind which no commit before it is of the scope.
    fn last_of(&self, scope: &Scope, revision: Revision) -> Revision {
        let before = self.commits.iter().rev().skip_while(|commit| commit.revision >= revision);
        before.filter(|commit| commit.holds(scope)).map(|commit| commit.revision).next().unwrap_or(self.start)
    }
}

// === impl Scoped ===

impl Scoped {
    /// Forgets what belongs to scopes; gives the bytes of that.
    fn forget(&mut self) -> usize {
        self.sums = None;
        std::mem::take(&mut self.events).values().map(Encoded::len).sum()
    }
}

// === impl Commit ===

impl Commit {
    /// The commit of `entry`, with the place of each change, that led to a state with `sums`, which was no older than the newest one
    /// of the store at `fresh`.
    pub(super) fn new(entry: &LogEntry, places: Vec<Place>, sums: Sums, fresh: Moment, seal: &Seal) -> Self {
        let (revision, at, changes) = (entry.revision, entry.at, Arc::clone(&entry.changes));
        let digest = sums.whole().digest();
        let scoped = Mutex::new(Scoped { sums: Some(sums), events: HashMap::new() });
        let (everything, is_too_large) = (Encoded::default(), false);
        let mut commit = Self { revision, at, changes, places, fresh, digest, everything, is_too_large, scoped };
        let before = Revision::new(revision.get().saturating_sub(1));
        let event = commit.event(&Scope::everything(), before, digest, seal);
        if event.len() > EVENT_BYTES {
            commit.is_too_large = true;
            commit.changes = Arc::default();
            commit.places = commit.places.drain(..).collect::<HashSet<_>>().into_iter().collect();
        } else {
            commit.everything = event;
        }
        commit
    }

    /// Whether it has something in the scope that cannot be told by an event.
    fn is_untold(&self, scope: &Scope) -> bool {
        self.is_too_large && self.holds(scope)
    }

    const fn told(&self, event: Encoded) -> Told {
        Told { revision: self.revision, event, fresh: self.fresh }
    }

    fn holds(&self, scope: &Scope) -> bool {
        self.places.iter().any(|place| scope.holds(place))
    }

    fn event(&self, scope: &Scope, after: Revision, digest: Digest, seal: &Seal) -> Encoded {
        let held = self.changes.iter().zip(&self.places).filter(|(_, place)| scope.holds(place));
        Encoded::of(Event::Change(pb::Change {
            revision: self.revision.get(),
            changes: held.map(|(change, _)| from_change(change)).collect(),
            after: after.get(),
            digest: digest.as_bytes().to_vec(),
            time: Some(from_timestamp(self.at)),
            signature: seal.of(self.revision, scope, digest),
        }))
    }

    fn scoped(&self) -> MutexGuard<'_, Scoped> {
        self.scoped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
