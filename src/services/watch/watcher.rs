//! One watcher: what it was told so far, and what it is told next.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;
use tonic::Status;

use super::Shared;
use super::encoded::Encoded;
use super::image::{Images, Origin, Part, Telling};
use super::request::Subscription;
use super::sidecars::Presence;
use super::window::{Next, Told};
use crate::model::digest::Digest;
use crate::model::moment::Moment;
use crate::model::revision::{Revision, RevisionToken};
use crate::model::scope::Scope;
use crate::proto::doorward as pb;
use crate::proto::doorward::watch_response::Event;
use crate::proto::object::from_timestamp;
use crate::telemetry::metrics::WatcherGuard;

/// How long commits out of scope may wait to be told by one heartbeat.
const ADVANCE: Duration = Duration::from_millis(250);

/// A stream of events for one watcher.
pub(super) struct Watcher {
    shared: Arc<Shared>,
    scope: Arc<Scope>,
    phase: Phase,
    /// The digest of what it says it has, until it is told something.
    claimed: Option<Digest>,
    /// Told when there may be more in the window.
    woken: watch::Receiver<()>,
    ending: watch::Sender<bool>,
    /// When the last event was told; `None` before the first one.
    told: Option<Instant>,
    /// Whether it passed a commit out of scope since.
    passed: bool,
    _counted: WatcherGuard,
    _present: Option<Presence>,
    _place: OwnedSemaphorePermit,
}

enum Phase {
    /// It needs a whole state.
    Fresh,
    /// It needs a whole state, and was too slow for one that others read.
    Slow,
    /// It is told a whole state.
    Resetting(Telling),
    /// It was told everything up to this revision.
    Following(Revision),
    /// It is told nothing more.
    Ended,
}

// === impl Watcher ===

impl Watcher {
    pub(super) fn new(
        shared: Arc<Shared>,
        subscription: Subscription,
        ending: watch::Sender<bool>,
        place: OwnedSemaphorePermit,
    ) -> Result<Self, Status> {
        let present = shared.sidecars.begin(&subscription)?;
        let phase = match subscription.after {
            Some(after) if leads_on(&shared, &subscription, after) => Phase::Following(after.revision),
            _ => Phase::Fresh,
        };
        Ok(Self {
            scope: Arc::new(subscription.scope),
            phase,
            claimed: subscription.digest,
            woken: shared.slices.join(),
            ending,
            told: None,
            passed: false,
            _counted: shared.metrics.watcher(),
            _present: present,
            _place: place,
            shared,
        })
    }

    /// The next event; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Result<Encoded, Status>> {
        if matches!(self.phase, Phase::Ended) {
            return None;
        }
        let mut ending = self.ending.subscribe();
        let event = tokio::select! {
            biased;
            _ = ending.wait_for(|ending| *ending) => None,
            event = self.event() => Some(event),
        };
        self.claimed = None;
        match &event {
            Some(Ok(_)) => self.told = Some(Instant::now()),
            Some(Err(_)) | None => self.phase = Phase::Ended,
        }
        event
    }

    async fn event(&mut self) -> Result<Encoded, Status> {
        loop {
            match &mut self.phase {
                Phase::Fresh | Phase::Slow => {
                    let Shared { metrics, images, window, .. } = &*self.shared;
                    metrics.watch_reset();
                    let is_slow = matches!(self.phase, Phase::Slow);
                    let telling = if is_slow { Images::of_slow } else { Images::of };
                    self.phase = Phase::Resetting(telling(images, &self.scope, window));
                }
                Phase::Resetting(telling) => match telling.next().await {
                    Part::Chunk(chunk) => {
                        let Origin { revision, fresh } = telling.origin();
                        return Ok(chunk.aged(self.age(revision, fresh)));
                    }
                    Part::End => self.phase = Phase::Following(telling.origin().revision),
                    Part::Gone => self.phase = Phase::Slow,
                },
                Phase::Following(at) => {
                    let at = *at;
                    if let Some(event) = self.follow(at).await? {
                        return Ok(event);
                    }
                }
                Phase::Ended => return Err(Status::internal("the stream is at its end")),
            }
        }
    }

    /// What comes after `at`; `None` where that has to be asked again.
    async fn follow(&mut self, at: Revision) -> Result<Option<Encoded>, Status> {
        self.woken.borrow_and_update();
        if self.shared.window.has_failed() {
            return Err(Status::unavailable("the change log cannot be read at the moment; connect again"));
        }
        if self.is_refuted(at) {
            self.phase = Phase::Fresh;
            return Ok(None);
        }
        match self.shared.window.after(at, &self.scope) {
            Next::Event(Told { revision, event, fresh }) => {
                self.phase = Phase::Following(revision);
                self.passed = false;
                Ok(Some(event.aged(self.age(revision, fresh))))
            }
            Next::Silent(revision) => {
                self.phase = Phase::Following(revision);
                self.passed = true;
                Ok(None)
            }
            Next::TooOld => {
                self.phase = Phase::Fresh;
                Ok(None)
            }
            Next::Head => Ok(self.wait(at).await),
        }
    }

    /// Whether what it says it has at `at` is something else. When it came, the window may not have known that yet.
    fn is_refuted(&self, at: Revision) -> bool {
        self.claimed.is_some() && !self.shared.window.continues(at, self.claimed, &self.scope)
    }

    /// How long ago the state at `revision` was last known to be the newest: at `fresh`, unless it is now.
    fn age(&self, revision: Revision, fresh: Moment) -> Duration {
        let Shared { store, clock, .. } = &*self.shared;
        // Before the head is looked at: what comes in between is not older than this says.
        let age = store.staleness();
        if store.state().revision == revision { age } else { clock.steady().since(fresh) }
    }

    /// Waits at the head: for a commit, or until a heartbeat is due.
    async fn wait(&mut self, at: Revision) -> Option<Encoded> {
        let due = self.told.map_or_else(Instant::now, |told| {
            told + if self.passed { ADVANCE.min(self.shared.heartbeat) } else { self.shared.heartbeat }
        });
        tokio::select! {
            // A head that never moves again leaves the heartbeats.
            Ok(()) = self.woken.changed() => None,
            () = tokio::time::sleep_until(due) => {
                let beat = self.heartbeat(at);
                if self.is_refuted(at) {
                    return None;
                }
                if beat.is_none() {
                    // A commit is on its way into the window, and is told first.
                    let _ = self.woken.changed().await;
                }
                self.passed &= beat.is_none();
                beat
            }
        }
    }

    /// The heartbeat at `at`, if that is the newest revision.
    fn heartbeat(&self, at: Revision) -> Option<Encoded> {
        let Shared { store, window, clock, seal, .. } = &*self.shared;
        // Before the head is looked at: what comes in between is not older than this says.
        let age = store.staleness();
        let digest = window.digest_of_head(at, &self.scope)?;
        if store.state().revision != at {
            return None;
        }
        Some(Encoded::of(Event::Heartbeat(pb::Heartbeat {
            revision: at.get(),
            time: Some(from_timestamp(clock.now())),
            digest: digest.as_bytes().to_vec(),
            age: prost_types::Duration::try_from(age).ok(),
            signature: seal.of(at, &self.scope, digest),
        })))
    }
}

/// Whether events lead on from what a watcher says it has.
fn leads_on(shared: &Shared, subscription: &Subscription, after: RevisionToken) -> bool {
    after.store == shared.store.id()
        && after.revision <= shared.store.state().revision
        && shared.window.continues(after.revision, subscription.digest, &subscription.scope)
}
