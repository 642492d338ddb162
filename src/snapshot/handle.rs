//! The handle: any number of readers without a lock, publishers that can only go forward.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};

use super::build::Snapshot;
use crate::model::moment::Moment;

/// A cheap clone of the place where the current snapshot is.
#[derive(Debug, Clone, Default)]
pub struct SnapshotHandle {
    current: Arc<ArcSwapOption<Published>>,
    listeners: Arc<ArcSwap<Listeners>>,
}

/// Who is told that there is another snapshot, or that the one that is there was confirmed. Readers never look at it.
#[derive(Clone, Default)]
struct Listeners(Vec<Arc<dyn Fn() + Send + Sync>>);

/// A snapshot and when it was last known to be the newest.
#[derive(Debug)]
pub struct Published {
    /// The snapshot.
    pub snapshot: Arc<Snapshot>,
    confirmed: Moment,
}

/// There is no snapshot yet: nothing can be decided, so nothing is allowed (D13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no snapshot has been loaded yet; the sidecar is waiting for its control plane")]
pub struct NotReady;

// === impl SnapshotHandle ===

impl SnapshotHandle {
    /// The current snapshot. Ask once for each request and answer it whole from what you got.
    ///
    /// # Errors
    /// [`NotReady`] before the first snapshot is published.
    pub fn current(&self) -> Result<Arc<Published>, NotReady> {
        self.current.load_full().ok_or(NotReady)
    }

    /// Publishes `next`, known to be the newest at `now`, unless readers already see a later revision of the same store.
    ///
    /// Returns whether it was published.
    // INVARIANT: within one `StoreId` the published revision never decreases, but by `put_back`.
    pub fn publish(&self, next: Arc<Snapshot>, now: Moment) -> bool {
        let next = Arc::new(Published { snapshot: next, confirmed: now });
        let before = self.current.rcu(|seen| match seen {
            Some(seen) if is_later(seen, &next) => Some(Arc::clone(seen)),
            _ => Some(Arc::clone(&next)),
        });
        let published = before.is_none_or(|seen| !is_later(&seen, &next));
        if published {
            self.tell();
        }
        published
    }

    /// Publishes `next`, known to be the newest at `now`, also where readers see a later revision: somebody has put its store
    /// back, and asked for it.
    pub fn put_back(&self, next: Arc<Snapshot>, now: Moment) {
        self.current.store(Some(Arc::new(Published { snapshot: next, confirmed: now })));
        self.tell();
    }

    /// Notes that the current snapshot was the newest at `now`: the control plane said so.
    pub fn confirm(&self, now: Moment) {
        self.current.rcu(|seen| {
            seen.as_ref().map(|seen| Arc::new(Published { snapshot: Arc::clone(&seen.snapshot), confirmed: now }))
        });
        self.tell();
    }

    /// Calls `told` after each change that readers can see from then on, for as long as the handle lives. It runs where the
    /// change is made, so it has to be quick.
    pub fn listen(&self, told: impl Fn() + Send + Sync + 'static) {
        let told: Arc<dyn Fn() + Send + Sync> = Arc::new(told);
        self.listeners.rcu(|listeners| {
            let mut more = Listeners::clone(listeners);
            more.0.push(Arc::clone(&told));
            more
        });
    }

    fn tell(&self) {
        for listener in &self.listeners.load().0 {
            listener();
        }
    }
}

fn is_later(seen: &Published, next: &Published) -> bool {
    let (seen, next) = (seen.snapshot.token(), next.snapshot.token());
    seen.store == next.store && seen.revision > next.revision
}

// === impl Listeners ===

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} listeners", self.0.len())
    }
}

// === impl Published ===

impl Published {
    /// When the snapshot was last known to be the newest.
    #[must_use]
    pub const fn confirmed(&self) -> Moment {
        self.confirmed
    }

    /// How long ago the snapshot was last known to be the newest; zero for a time before that.
    #[must_use]
    pub fn age(&self, now: Moment) -> Duration {
        now.since(self.confirmed)
    }
}
