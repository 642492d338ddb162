//! States to snapshots, off the async threads; the latest wins.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use super::follow::{Newest, Refused};
use crate::clock::Clock;
use crate::model::id::{AccountId, PolicyId};
use crate::model::moment::Moment;
use crate::model::revision::{Revision, RevisionToken, StoreId};
use crate::model::state::State;
use crate::snapshot::build::{BuildRejected, Snapshot};
use crate::snapshot::handle::SnapshotHandle;
use crate::telemetry::metrics::Metrics;
use crate::threads::Threads;

/// Builds a snapshot of each newest state and publishes it.
pub struct Publisher {
    /// Where states come from.
    pub newest: watch::Receiver<Newest>,
    /// Where snapshots go.
    pub snapshots: SnapshotHandle,
    /// Told the revision of each snapshot once requests see it.
    pub published: watch::Sender<Option<RevisionToken>>,
    /// Told the state of each snapshot once requests see it.
    pub served: watch::Sender<Option<Served>>,
    /// Told of states that were refused, and when that is over.
    pub refused: watch::Sender<Option<Refused>>,
    /// For the time a change takes.
    pub clock: Clock,
    /// Where builds are counted.
    pub metrics: Metrics,
    /// The retired statements that were reported last; empty at first.
    pub retired: Vec<Retired>,
    /// What was replaced, and a request may still hold; empty at first.
    pub replaced: Vec<Replaced>,
    /// What was before this process.
    pub past: Past,
}

/// What a sidecar had before it was started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Past {
    /// The newest revision that it is known to have answered from. An older one of the same store is refused; revisions of
    /// another one have no order with it.
    pub answered: Option<RevisionToken>,
    /// What it begins with, where an older state of its store may follow because somebody asked for that.
    pub given_up: Option<RevisionToken>,
}

/// What is served.
#[derive(Debug, Clone)]
pub struct Served {
    /// The store.
    pub store: StoreId,
    /// The state that the snapshot was made of.
    pub state: Arc<State>,
    /// When it was last known to be the newest.
    pub confirmed: Moment,
    /// The control plane's signature of the state; empty where it does not sign.
    pub signature: Vec<u8>,
}

/// A snapshot that is not served any more.
pub struct Replaced {
    snapshot: Arc<Snapshot>,
    /// What it was made of. The two share most of what they hold, so that the last of them to go frees it.
    state: Option<Arc<State>>,
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
            let Newest { state, confirmed, known, committed, signature, .. } = self.newest.borrow_and_update().clone();
            self.past.heard(known);
            let (Some((store, state)), Some((revision, at))) = (state, confirmed) else { continue };
            if !is_same(tried.as_ref(), &state) {
                // A state that was refused is not built again; the next one is.
                let refused = tried.replace(Arc::clone(&state)).filter(|it| !is_same(serving.as_ref(), it));
                if refused.is_some() {
                    tokio::task::spawn_blocking(move || drop(refused));
                }
                match self.past.later_than(RevisionToken { store, revision: state.revision }) {
                    Some(answered) => self.refuse_older(state.revision, answered),
                    None => self.build(store, &state, at, &mut serving).await,
                }
                if is_same(serving.as_ref(), &state) {
                    self.observe_lag(committed);
                }
            }
            // A snapshot is as young as the last time its state was known to be the newest, never younger.
            if is_same(serving.as_ref(), &state) && state.revision == revision {
                self.snapshots.confirm(at);
                self.metrics.confirmed(at);
                self.served.send_replace(Some(Served { store, state, confirmed: at, signature }));
            }
        }
    }

    /// Builds and publishes the snapshot of `state`, which is `serving` then.
    async fn build(&mut self, store: StoreId, state: &Arc<State>, at: Moment, serving: &mut Option<Arc<State>>) {
        let previous = self.snapshots.current().ok().map(|published| Arc::clone(&published.snapshot));
        let begun = Instant::now();
        let (source, base) = (Arc::clone(state), previous.clone());
        let built = tokio::task::spawn_blocking(move || {
            let snapshot = Snapshot::build_with(&Threads::default(), store, &source, base.as_deref())?;
            let retired = snapshot.retired().collect();
            Ok((Arc::new(snapshot), retired))
        });
        match built.await {
            Ok(Ok((snapshot, retired))) => {
                self.report_retired(retired);
                let not_served = if self.publish(&snapshot, at, begun) {
                    let state = serving.replace(Arc::clone(state));
                    previous.map(|snapshot| Replaced { snapshot, state })
                } else {
                    Some(Replaced { snapshot, state: None })
                };
                self.replaced.extend(not_served);
            }
            Ok(Err(rejected)) => self.reject(state.revision, &rejected),
            Err(panicked) => {
                self.metrics.build_rejected();
                let (revision, reason) = (state.revision, "the build failed".to_owned());
                tracing::error!(revision = revision.get(), error = %panicked, "{reason}; the last snapshot stays");
                self.refused.send_replace(Some(Refused { revision, reason }));
            }
        }
        self.drop_replaced();
    }

    /// The last one to hold an old snapshot or its state frees it, which takes a while: not a request, and not on a thread
    /// that serves.
    fn drop_replaced(&mut self) {
        // Nobody can get hold of a replaced snapshot any more, so a count of one stays one.
        let is_free = |it: &Replaced| Arc::strong_count(&it.snapshot) == 1;
        let (unheld, held) = std::mem::take(&mut self.replaced).into_iter().partition(is_free);
        self.replaced = held;
        let unheld: Vec<Replaced> = unheld;
        if !unheld.is_empty() {
            tokio::task::spawn_blocking(move || unheld.into_iter().for_each(Replaced::free));
        }
    }

    fn observe_lag(&self, committed: Option<jiff::Timestamp>) {
        if let Some(committed) = committed {
            self.metrics.lag(self.clock.now().duration_since(committed).as_secs_f64());
        }
    }

    /// Whether requests see it now.
    fn publish(&mut self, snapshot: &Arc<Snapshot>, at: Moment, begun: Instant) -> bool {
        let token = snapshot.token();
        let revision = token.revision.get();
        let took = begun.elapsed();
        if let Err(answered) = self.hand_out(snapshot, at) {
            self.refuse_older(token.revision, answered);
            return false;
        }
        self.published.send_replace(Some(token));
        self.refused.send_if_modified(|refused| refused.take().is_some());
        self.metrics.published(revision, took);
        let build_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        tracing::info!(revision, build_us, "snapshot published");
        true
    }

    /// Lets requests see it, unless they already see a later one.
    ///
    /// # Errors
    /// The later one.
    fn hand_out(&mut self, snapshot: &Arc<Snapshot>, at: Moment) -> Result<(), Revision> {
        if self.snapshots.publish(Arc::clone(snapshot), at) {
            return Ok(());
        }
        let seen = self.snapshots.current().ok().map(|published| published.snapshot.token());
        if seen.is_some() && seen == self.past.given_up.take() {
            self.snapshots.put_back(Arc::clone(snapshot), at);
            return Ok(());
        }
        Err(seen.map_or(Revision::ZERO, |seen| seen.revision))
    }

    /// A state is older than one that was answered from.
    fn refuse_older(&self, revision: Revision, answered: Revision) {
        self.metrics.build_rejected();
        tracing::error!(
            revision = revision.get(),
            answered = answered.get(),
            "the control plane is at an older revision than this sidecar has answered from; the last snapshot stays; \
             if its store was put back on purpose, start this sidecar once with `--accept-older-revision`"
        );
        let reason = format!("revision {revision} is older than {answered}, which this sidecar has answered from");
        self.refused.send_replace(Some(Refused { revision, reason }));
    }

    fn reject(&self, revision: Revision, rejected: &BuildRejected) {
        self.metrics.build_rejected();
        tracing::error!(revision = revision.get(), error = %rejected, "the update is refused; the last snapshot stays");
        self.refused.send_replace(Some(Refused { revision, reason: rejected.to_string() }));
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

// === impl Past ===

impl Past {
    /// A control plane has told of this revision: one that is no older than what was begun with was not put back.
    fn heard(&mut self, known: Option<(Revision, Moment)>) {
        self.given_up = self.given_up.filter(|begun| known.is_none_or(|(known, _)| known < begun.revision));
    }

    /// The revision of the same store that was answered from, where that is a later one.
    fn later_than(&self, token: RevisionToken) -> Option<Revision> {
        let answered = self.answered.filter(|answered| answered.store == token.store)?.revision;
        (answered > token.revision).then_some(answered)
    }
}

// === impl Replaced ===

impl Replaced {
    fn free(self) {
        let Self { snapshot, state } = self;
        drop((snapshot, state));
    }
}

fn is_same(known: Option<&Arc<State>>, state: &Arc<State>) -> bool {
    known.is_some_and(|known| Arc::ptr_eq(known, state))
}

#[cfg(test)]
mod tests;
