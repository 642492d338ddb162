//! States to snapshots, off the async threads; the latest wins.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use super::follow::Newest;
use crate::model::id::{AccountId, PolicyId};
use crate::model::moment::Moment;
use crate::model::revision::{Revision, RevisionToken, StoreId};
use crate::model::state::State;
use crate::snapshot::build::{BuildRejected, Snapshot};
use crate::snapshot::handle::SnapshotHandle;
use crate::telemetry::metrics::Metrics;

/// Builds a snapshot of each newest state and publishes it.
pub struct Publisher {
    /// Where states come from.
    pub newest: watch::Receiver<Newest>,
    /// Where snapshots go.
    pub snapshots: SnapshotHandle,
    /// Told the revision of each snapshot once requests see it.
    pub published: watch::Sender<Option<RevisionToken>>,
    /// Where builds are counted.
    pub metrics: Metrics,
    /// The retired statements that were reported last; empty at first.
    pub retired: Vec<Retired>,
    /// Snapshots that were replaced, and that a request may still hold; empty at first.
    pub replaced: Vec<Arc<Snapshot>>,
}

/// A bound statement that the catalogue no longer knows in full.
pub type Retired = (AccountId, PolicyId, u16);

/// Retired statements that are named in the log; the rest is counted.
const RETIRED_LINES: usize = 20;

// === impl Publisher ===

impl Publisher {
    /// Publishes until the states end.
    pub async fn run(mut self) {
        // States are told apart by where they are, not by their revision: a store that was restored from a backup comes to
        // the same number again with another content.
        let mut tried: Option<Arc<State>> = None;
        let mut serving: Option<Arc<State>> = None;
        while self.newest.changed().await.is_ok() {
            self.drop_replaced();
            let Newest { state, confirmed } = self.newest.borrow_and_update().clone();
            let (Some((store, state)), Some((revision, at))) = (state, confirmed) else { continue };
            if !is_same(tried.as_ref(), &state) {
                // A state that was refused is not built again; the next one is.
                tried = Some(Arc::clone(&state));
                if self.build(store, Arc::clone(&state), at).await {
                    serving = Some(Arc::clone(&state));
                }
            }
            // A snapshot is as young as the last time its state was known to be the newest, never younger.
            if is_same(serving.as_ref(), &state) && state.revision == revision {
                self.snapshots.confirm(at);
                self.metrics.confirmed(at);
            }
        }
    }

    /// Builds and publishes the snapshot of `state`; whether requests see it now.
    async fn build(&mut self, store: StoreId, state: Arc<State>, at: Moment) -> bool {
        let previous = self.snapshots.current().ok().map(|published| Arc::clone(&published.snapshot));
        let revision = state.revision;
        let begun = Instant::now();
        let base = previous.clone();
        let built = tokio::task::spawn_blocking(move || {
            let snapshot = Snapshot::build(store, &state, base.as_deref())?;
            let retired = snapshot.retired().collect();
            Ok((snapshot, retired))
        });
        let published = match built.await {
            Ok(Ok((snapshot, retired))) => {
                self.report_retired(retired);
                self.publish(snapshot, at, begun)
            }
            Ok(Err(rejected)) => self.reject(revision, &rejected),
            Err(panicked) => {
                self.metrics.build_rejected();
                tracing::error!(revision = revision.get(), error = %panicked, "the build failed; the last snapshot stays");
                false
            }
        };
        self.replaced.extend(previous.filter(|_| published));
        self.drop_replaced();
        published
    }

    /// The last one to hold an old snapshot frees it, which takes a while: not a request, and not on a thread that serves.
    fn drop_replaced(&mut self) {
        // Nobody can get hold of a replaced snapshot any more, so a count of one stays one.
        let (free, held) = std::mem::take(&mut self.replaced).into_iter().partition(|it| Arc::strong_count(it) == 1);
        self.replaced = held;
        let free: Vec<Arc<Snapshot>> = free;
        if !free.is_empty() {
            tokio::task::spawn_blocking(move || drop(free));
        }
    }

    fn publish(&self, snapshot: Snapshot, at: Moment, begun: Instant) -> bool {
        let token = snapshot.token();
        let revision = token.revision.get();
        let took = begun.elapsed();
        if !self.snapshots.publish(Arc::new(snapshot), at) {
            self.metrics.build_rejected();
            tracing::error!(revision, "the control plane went back to an older revision; the last snapshot stays");
            return false;
        }
        self.published.send_replace(Some(token));
        self.metrics.published(revision, took);
        let build_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        tracing::info!(revision, build_us, "snapshot published");
        true
    }

    fn reject(&self, revision: Revision, rejected: &BuildRejected) -> bool {
        self.metrics.build_rejected();
        tracing::error!(revision = revision.get(), error = %rejected, "the update is refused; the last snapshot stays");
        false
    }

    /// Says which bound statements the catalogue no longer knows (rules R30), when that changes.
    fn report_retired(&mut self, retired: Vec<Retired>) {
        if retired == self.retired {
            return;
        }
        self.metrics.retired(retired.len());
        for (account, policy, statement) in retired.iter().take(RETIRED_LINES) {
            tracing::warn!(%account, %policy, statement, "the catalogue no longer knows this statement; it grants nothing");
        }
        tracing::warn!(statements = retired.len(), "bound statements that the catalogue does not know");
        self.retired = retired;
    }
}

fn is_same(known: Option<&Arc<State>>, state: &Arc<State>) -> bool {
    known.is_some_and(|known| Arc::ptr_eq(known, state))
}

#[cfg(test)]
mod tests;
