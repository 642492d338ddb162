//! How fresh the snapshot is: calls that demand a fresher one wait for it here, and one that is too old is told.
//!
//! Whoever demands nothing passes by: [`Freshness`] is then not asked for more than the current snapshot.

pub mod demand;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use self::demand::{Demand, NotFresh};
use super::decision_point::Undecided;
use crate::clock::Clock;
use crate::model::attribute::InvalidRequest;
use crate::model::freshness::{FreshnessPolicy, StaleMode};
use crate::model::limits;
use crate::snapshot::handle::{NotReady, Published, SnapshotHandle};
use crate::telemetry::metrics::Metrics;

/// The freshness of the snapshots behind a handle. A cheap clone.
#[derive(Debug, Clone)]
pub struct Freshness {
    snapshots: SnapshotHandle,
    clock: Clock,
    metrics: Metrics,
    policy: FreshnessPolicy,
    /// Sent to after each change that readers of the handle can see.
    changed: watch::Sender<()>,
    /// Whether the snapshot is stale, as it was told last.
    stale: watch::Sender<bool>,
    waiting: Arc<Semaphore>,
}

/// What a snapshot of its age is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Answers.
    Usable,
    /// Denials only.
    DenyOnly,
}

/// The snapshot is too old for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the snapshot was last known to be the newest {age:?} ago, and past {most:?} this sidecar does not answer; it does not \
     hear from its control plane"
)]
pub struct StaleSnapshot {
    /// How old it is.
    pub age: Duration,
    /// How old it may be.
    pub most: Duration,
}

/// So many calls wait already that no other one may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{} calls wait for a fresher snapshot already; ask again later, or demand less", limits::WAITING_CALLS)]
pub struct TooManyWaiting;

// === impl Freshness ===

impl Freshness {
    /// The freshness of what `snapshots` holds, by the steady time of `clock`.
    #[must_use]
    pub fn new(snapshots: SnapshotHandle, clock: Clock, metrics: Metrics, policy: FreshnessPolicy) -> Self {
        let changed = watch::Sender::new(());
        let told = changed.clone();
        snapshots.listen(move || {
            told.send_replace(());
        });
        let waiting = Arc::new(Semaphore::new(limits::WAITING_CALLS));
        Self { snapshots, clock, metrics, policy, changed, stale: watch::Sender::new(false), waiting }
    }

    /// The handle that this is about.
    pub(super) const fn snapshots(&self) -> &SnapshotHandle {
        &self.snapshots
    }

    /// The clock of ages.
    pub(super) const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Where waits are counted.
    pub(super) const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// A snapshot that is as fresh as `demand` says. Where the current one is not, the call waits for it: at most as long as
    /// the policy lets it, and only until its answer would come too late for `deadline`, the time that its caller gives it.
    ///
    /// # Errors
    /// [`Undecided`] where there is none in time, where too many calls wait, and where the demand is of another store.
    pub async fn snapshot(&self, demand: &Demand, deadline: Option<Duration>) -> Result<Arc<Published>, Undecided> {
        if let Some(published) = self.meeting(demand)? {
            return Ok(published);
        }
        let most = deadline.map_or(self.policy.max_wait, |left| left.min(self.policy.max_wait));
        if most.is_zero() {
            return Err(self.not_fresh(demand));
        }
        let Ok(_slot) = self.waiting.try_acquire() else {
            self.metrics.wait_refused();
            return Err(TooManyWaiting.into());
        };
        let observer = self.metrics.wait();
        let (outcome, answer) = match timeout(most, self.met(demand)).await {
            Ok(Ok(published)) => ("fresh", Ok(published)),
            Ok(Err(refused)) => ("error", Err(refused.into())),
            Err(_) => ("timeout", Err(self.not_fresh(demand))),
        };
        observer.outcome(outcome);
        answer
    }

    /// Waits until a snapshot meets the demand.
    async fn met(&self, demand: &Demand) -> Result<Arc<Published>, InvalidRequest> {
        // It is subscribed before the first look, so nothing that comes in between is missed.
        let mut changed = self.changed.subscribe();
        loop {
            if let Some(published) = self.meeting(demand)? {
                return Ok(published);
            }
            if changed.changed().await.is_err() {
                // Who sends is here, so it is not gone.
                std::future::pending::<()>().await;
            }
        }
    }

    /// The current snapshot, where it meets the demand.
    fn meeting(&self, demand: &Demand) -> Result<Option<Arc<Published>>, InvalidRequest> {
        let Ok(published) = self.snapshots.current() else { return Ok(None) };
        Ok(demand.is_met_by(&published)?.then_some(published))
    }

    fn not_fresh(&self, demand: &Demand) -> Undecided {
        match self.snapshots.current() {
            Err(not_ready) => not_ready.into(),
            Ok(published) => {
                let (revision, age) = (published.snapshot.revision(), published.age(self.clock.steady()));
                NotFresh { revision, age, demand: *demand }.into()
            }
        }
    }

    /// What decisions may come from this snapshot now. An operator who lets a stale one serve pays nothing here.
    ///
    /// # Errors
    /// [`StaleSnapshot`] where it is stale and the mode is `unavailable`.
    pub fn standing(&self, published: &Published) -> Result<Standing, StaleSnapshot> {
        match self.policy.stale_mode {
            StaleMode::Serve => Ok(Standing::Usable),
            StaleMode::Deny => Ok(self.judge(published).map_or(Standing::DenyOnly, |()| Standing::Usable)),
            StaleMode::Unavailable => self.judge(published).map(|()| Standing::Usable),
        }
    }

    /// Whether anything but a decision may come from this snapshot now: what is none cannot be denied.
    ///
    /// # Errors
    /// [`StaleSnapshot`] where it is stale and the mode is not `serve`.
    pub fn usable(&self, published: &Published) -> Result<(), StaleSnapshot> {
        match self.policy.stale_mode {
            StaleMode::Serve => Ok(()),
            StaleMode::Deny | StaleMode::Unavailable => self.judge(published),
        }
    }

    fn judge(&self, published: &Published) -> Result<(), StaleSnapshot> {
        let (age, most) = (published.age(self.clock.steady()), self.policy.max_staleness);
        if age > most { Err(StaleSnapshot { age, most }) } else { Ok(()) }
    }

    /// Whether calls are answered as they should be: for the pages that say so.
    ///
    /// # Errors
    /// Why they are not, in words.
    pub fn ready(&self) -> Result<(), String> {
        let published = self.snapshots.current().map_err(|not_ready: NotReady| not_ready.to_string())?;
        self.usable(&published).map_err(|stale| stale.to_string())
    }

    /// Brings the gauge of the age up to date: it grows by itself, so it is set when somebody reads it.
    pub fn show_age(&self) {
        if let Some(age) = self.age() {
            self.metrics.age(age);
        }
    }

    fn age(&self) -> Option<Duration> {
        self.snapshots.current().ok().map(|published| published.age(self.clock.steady()))
    }

    /// Whether the snapshot is so old that calls are not answered as they should be, as a value that changes.
    #[must_use]
    pub fn refusing(&self) -> Refusing {
        Refusing { stale: self.stale.subscribe(), serves: self.policy.stale_mode == StaleMode::Serve }
    }

    /// Tells when the snapshot becomes stale and when it no longer is, for ever: one line of the log each, a gauge, and
    /// whoever asked for [`Self::refusing`].
    pub async fn watch_staleness(&self) {
        let mut changed = self.changed.subscribe();
        loop {
            let left = self.tell_staleness();
            let older = async {
                match left {
                    Some(left) => sleep(left).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = changed.changed() => {}
                () = older => {}
            }
        }
    }

    /// Tells whether the snapshot is stale, where that is another than before. Gives the time after which a snapshot that is
    /// not would be.
    fn tell_staleness(&self) -> Option<Duration> {
        let age = self.age()?;
        let most = self.policy.max_staleness;
        let stale = age > most;
        let is_new = self.stale.send_if_modified(|told| std::mem::replace(told, stale) != stale);
        if is_new {
            self.metrics.stale(stale);
            let (age_seconds, max_staleness_seconds) = (age.as_secs(), most.as_secs());
            let mode = self.policy.stale_mode.name();
            if stale {
                tracing::error!(age_seconds, max_staleness_seconds, mode, "the snapshot is stale");
            } else {
                tracing::info!(age_seconds, max_staleness_seconds, mode, "the snapshot is no longer stale");
            }
        }
        // A timer may be early by its grain.
        (!stale).then(|| most.saturating_sub(age) + Duration::from_millis(1))
    }
}

/// Whether a process refuses answers because its snapshot is too old.
#[derive(Debug, Clone)]
pub struct Refusing {
    stale: watch::Receiver<bool>,
    serves: bool,
}

// === impl Refusing ===

impl Refusing {
    /// Whether it does now; what is told from here on is a change.
    pub fn now(&mut self) -> bool {
        *self.stale.borrow_and_update() && !self.serves
    }

    /// Returns when that may be another; never where nobody tells any more.
    pub async fn changed(&mut self) {
        if self.stale.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
