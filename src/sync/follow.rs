//! The stream client: time limits, backoff, and which state is the newest.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_stream::StreamExt as _;
use tonic::{Code, Status, Streaming};

use super::apply::{Applied, EventRejected, Moved, Position, Step};
use super::source::WatchSource;
use crate::clock::Clock;
use crate::model::moment::Moment;
use crate::model::revision::{Revision, StoreId};
use crate::model::state::State;
use crate::proto::doorward as pb;
use crate::telemetry::metrics::Metrics;

/// How long things may take, always passed.
#[derive(Debug, Clone, Copy)]
pub struct StreamLimits {
    /// Until a stream is open and its first event is there.
    pub first_event: Duration,
    /// Between two events; above the heartbeat of the control plane.
    pub idle: Duration,
    /// Before the first retry; doubles up to `backoff_most`.
    pub backoff_least: Duration,
    /// Between two retries at most.
    pub backoff_most: Duration,
    /// Of a stream to the only address there is, before it is given up because the control plane is cut off from its store: behind
    /// the address there may be others.
    pub again: Duration,
    /// Of a stream, about: it is opened anew then and goes on where it was, so that sidecars spread over control planes that
    /// came later.
    pub lifetime: Duration,
}

/// Who follows, and what it wants to see.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// What it calls itself.
    pub client: String,
    /// The id of this process; empty for one that does not report.
    pub instance: String,
    /// What it wants to see; nothing for everything.
    pub accounts: Vec<pb::AccountScope>,
}

/// An update that was refused: what was good before stays in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The revision of the update, as far as it is known.
    pub revision: Revision,
    /// Why.
    pub reason: String,
}

/// The newest state, for whoever makes a snapshot of it.
#[derive(Debug, Clone, Default)]
pub struct Newest {
    /// The state and the store it belongs to; `None` before the first reset is complete.
    pub state: Option<(StoreId, Arc<State>)>,
    /// The revision last known to be the newest, and when that was known.
    pub confirmed: Option<(Revision, Moment)>,
    /// The latest moment of which a control plane told the newest revision, and that revision: it holds for all behind it.
    pub known: Option<(Revision, Moment)>,
    /// When the change that led to the state was committed, by the control plane's clock.
    pub committed: Option<jiff::Timestamp>,
    /// The control plane's signature of the state; empty where it does not sign.
    pub signature: Vec<u8>,
    /// Streams that were opened so far: after another one, whoever listens at its end is told anew.
    pub streams: u64,
}

/// Follows a source for ever, telling `newest`.
pub struct Follower<S: WatchSource> {
    /// Where streams come from.
    pub source: Arc<S>,
    /// Time limits.
    pub limits: StreamLimits,
    /// For ages.
    pub clock: Clock,
    /// Where events are counted.
    pub metrics: Metrics,
    /// Who follows.
    pub identity: Identity,
    /// Who is told.
    pub newest: watch::Sender<Newest>,
    /// Told of events that were refused.
    pub refused: watch::Sender<Option<Refused>>,
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
enum StreamEnded {
    #[error("the control plane answered {:?}: {}", .0.code(), .0.message())]
    Status(Box<Status>),
    #[error("the control plane ended the stream")]
    Closed,
    #[error("no event came for {0:?}")]
    Silent(Duration),
    #[error("its time is over")]
    Lived,
    #[error("the control plane has not heard of its store for {0:?}")]
    Stale(Duration),
    #[error("an event was rejected: {0}")]
    Rejected(#[from] EventRejected),
}

// === impl Newest ===

impl Newest {
    /// Notes that `revision`, which is what there is, was the newest at `moment`.
    fn confirm(&mut self, revision: Revision, moment: Moment) {
        let known = self.known.filter(|(_, known)| *known > moment).unwrap_or((revision, moment));
        // What there was before may be known from the disk. Where a stream goes back to an older revision, that is not fresher for
        // what is known of a later one.
        let before = [self.known, self.confirmed].into_iter().flatten().filter(|(before, _)| *before <= revision);
        let fresh = before.map(|(_, known)| known).fold(moment, Moment::max);
        (self.known, self.confirmed) = (Some(known), Some((revision, fresh)));
    }
}

// === impl StreamLimits ===

impl StreamLimits {
    /// Limits that fit a control plane with this time between heartbeats.
    #[must_use]
    pub fn for_heartbeat(heartbeat: Duration) -> Self {
        Self {
            first_event: Duration::from_secs(10),
            idle: heartbeat * 3 + Duration::from_secs(1),
            backoff_least: Duration::from_millis(50),
            backoff_most: Duration::from_secs(5),
            again: Duration::from_mins(1),
            lifetime: Duration::from_hours(1),
        }
    }
}

// === impl Follower ===

impl<S: WatchSource> Follower<S> {
    /// Follows the source until the task is dropped, from what is there already.
    pub async fn run(self, mut applied: Applied) {
        let mut failures = 0_u32;
        loop {
            let before = self.revision();
            let mut confirmed = false;
            let Err(ended) = self.stream(&mut applied, &mut confirmed).await;
            // A stream that brought something new, or lived to a heartbeat, was a good one: begin again at once. One that
            // had to be given up was not: a source that errs each time is not asked for the whole state without a pause.
            let good = confirmed || self.revision() != before;
            let bad = matches!(ended, StreamEnded::Rejected(_) | StreamEnded::Stale(_));
            failures = if good && !bad { 0 } else { failures.saturating_add(1) };
            let wait = if matches!(ended, StreamEnded::Lived) { Duration::ZERO } else { self.backoff(failures) };
            self.report(&ended, wait);
            // Whoever falls silent, errs or is cut off is not asked again before the others.
            self.source.turn();
            tokio::time::sleep(wait).await;
        }
    }

    fn revision(&self) -> Option<Revision> {
        self.newest.borrow().state.as_ref().map(|(_, state)| state.revision)
    }

    async fn stream(&self, applied: &mut Applied, confirmed: &mut bool) -> Result<Infallible, StreamEnded> {
        let position = applied.position();
        applied.begin_stream(position.is_some());
        let mut stream = self.open(position).await?;
        let begun = Instant::now();
        let end = begun + self.lifetime();
        let mut limit = self.limits.first_event;
        loop {
            let event = timeout(limit, stream.next()).await.map_err(|_| StreamEnded::Silent(limit))?;
            let event = event.ok_or(StreamEnded::Closed)?.map_err(|status| StreamEnded::Status(Box::new(status)))?;
            // Before it is applied: that may take seconds, in which there may be a newer one.
            let arrived = self.clock.moment();
            self.metrics.watch_event(event_name(&event));
            // What comes with a reset or a change may be old because this stream lags; a heartbeat tells of the control plane.
            let is_heartbeat = matches!(event.event, Some(pb::watch_response::Event::Heartbeat(_)));
            let step = applied.event(event)?;
            *confirmed |= matches!(step, Step::Confirmed(..));
            let age = step.age();
            // Between two events of a reset a stream is not left.
            let is_whole = !matches!(step, Step::Partial);
            self.tell(step, arrived);
            let is_worth_it = self.source.has_another() || begun.elapsed() >= self.limits.again;
            if is_heartbeat && age > self.limits.idle && is_worth_it {
                return Err(StreamEnded::Stale(age));
            }
            if is_whole && Instant::now() >= end {
                return Err(StreamEnded::Lived);
            }
            limit = self.limits.idle;
        }
    }

    async fn open(&self, position: Option<Position>) -> Result<Streaming<pb::WatchResponse>, StreamEnded> {
        let limit = self.limits.first_event;
        let Identity { client, instance, accounts } = self.identity.clone();
        let (after, digest) =
            position.map(|it| (it.token.to_string(), it.digest.as_bytes().to_vec())).unwrap_or_default();
        let request = pb::WatchRequest { client, after, digest, accounts, instance };
        let opened = timeout(limit, self.source.open(request)).await.map_err(|_| StreamEnded::Silent(limit));
        let opened = opened.and_then(|opened| opened.map_err(|status| StreamEnded::Status(Box::new(status))));
        self.metrics.watch_connect(if opened.is_ok() { "ok" } else { "error" });
        if opened.is_ok() {
            self.newest.send_modify(|newest| newest.streams += 1);
        }
        opened
    }

    fn tell(&self, step: Step, arrived: Moment) {
        self.newest.send_if_modified(|newest| {
            match step {
                Step::Partial => return false,
                Step::Confirmed(revision, age) => newest.confirm(revision, arrived.before(age)),
                Step::Moved(Moved { store, state, committed, age, signature }) => {
                    // What was known of another store says nothing of this one.
                    if newest.state.as_ref().is_some_and(|(before, _)| *before != store) {
                        (newest.known, newest.confirmed) = (None, None);
                    }
                    newest.confirm(state.revision, arrived.before(age));
                    (newest.committed, newest.signature) = (committed, signature);
                    newest.state = Some((store, state));
                }
            }
            true
        });
    }

    /// So long a stream lives: sidecars that began together do not come back together.
    fn lifetime(&self) -> Duration {
        jittered(self.limits.lifetime)
    }

    /// Doubled for each failure in a row, and then a random part of it, so that sidecars do not come back all at once.
    fn backoff(&self, failures: u32) -> Duration {
        let doubled = self.limits.backoff_least.saturating_mul(2_u32.saturating_pow(failures.min(16)));
        jittered(doubled.min(self.limits.backoff_most))
    }

    fn report(&self, ended: &StreamEnded, wait: Duration) {
        let retry_in_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        match ended {
            StreamEnded::Status(status) if matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied) => {
                tracing::error!(error = %ended, retry_in_ms, "the control plane refuses this sidecar; check its token file");
            }
            StreamEnded::Rejected(rejected) => {
                self.metrics.watch_rejected(rejected.kind());
                let revision = self.revision().unwrap_or_default();
                self.refused.send_replace(Some(Refused { revision, reason: rejected.to_string() }));
                tracing::error!(error = %ended, retry_in_ms, "watch stream given up; the whole state is asked for");
            }
            StreamEnded::Lived => tracing::info!("the watch stream is opened anew"),
            StreamEnded::Status(_) | StreamEnded::Closed | StreamEnded::Silent(_) | StreamEnded::Stale(_) => {
                tracing::warn!(error = %ended, retry_in_ms, "watch stream ended");
            }
        }
    }
}

/// Between a half of `most` and all of it.
fn jittered(most: Duration) -> Duration {
    let mut random = [0_u8; 2];
    // Without randomness the time is just the same for everybody.
    let share = getrandom::fill(&mut random).map_or(1.0, |()| f64::from(u16::from_le_bytes(random)) / 65_536.0);
    most.mul_f64(0.5 + share / 2.0)
}

const fn event_name(event: &pb::WatchResponse) -> &'static str {
    match &event.event {
        Some(pb::watch_response::Event::Reset(_)) => "reset",
        Some(pb::watch_response::Event::Change(_)) => "change",
        Some(pb::watch_response::Event::Heartbeat(_)) => "heartbeat",
        None => "unknown",
    }
}

#[cfg(test)]
mod tests;
