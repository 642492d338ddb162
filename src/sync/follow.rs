//! The stream client: time limits, backoff, and which state is the newest.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use tonic::{Code, Status, Streaming};

use super::apply::{Applied, EventRejected, Step};
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
}

/// The newest state, for whoever makes a snapshot of it.
#[derive(Debug, Clone, Default)]
pub struct Newest {
    /// The state and the store it belongs to; `None` before the first reset is complete.
    pub state: Option<(StoreId, Arc<State>)>,
    /// The revision last known to be the newest, and when that was known.
    pub confirmed: Option<(Revision, Moment)>,
}

/// Follows a source for ever, telling `newest`.
pub struct Follower<S: WatchSource> {
    /// Where streams come from.
    pub source: S,
    /// Time limits.
    pub limits: StreamLimits,
    /// For ages.
    pub clock: Clock,
    /// Where events are counted.
    pub metrics: Metrics,
    /// Who is told.
    pub newest: watch::Sender<Newest>,
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
    #[error("an event was rejected: {0}")]
    Rejected(#[from] EventRejected),
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
        }
    }
}

// === impl Follower ===

impl<S: WatchSource> Follower<S> {
    /// Follows the source until the task is dropped.
    pub async fn run(self) {
        let mut applied = Applied::default();
        let mut failures = 0_u32;
        loop {
            let before = self.revision();
            let mut confirmed = false;
            let Err(ended) = self.stream(&mut applied, &mut confirmed).await else { continue };
            // A stream that brought something new, or lived to a heartbeat, was a good one: begin again at once. One that
            // had to be given up was not: a source that errs each time is not asked for the whole state without a pause.
            let good = confirmed || self.revision() != before;
            let rejected = matches!(ended, StreamEnded::Rejected(_));
            failures = if good && !rejected { 0 } else { failures.saturating_add(1) };
            let wait = self.backoff(failures);
            Self::report(&ended, wait);
            tokio::time::sleep(wait).await;
        }
    }

    fn revision(&self) -> Option<Revision> {
        self.newest.borrow().state.as_ref().map(|(_, state)| state.revision)
    }

    async fn stream(&self, applied: &mut Applied, confirmed: &mut bool) -> Result<(), StreamEnded> {
        applied.begin_stream();
        let mut stream = self.open().await?;
        let mut limit = self.limits.first_event;
        loop {
            let event = timeout(limit, stream.next()).await.map_err(|_| StreamEnded::Silent(limit))?;
            let event = event.ok_or(StreamEnded::Closed)?.map_err(|status| StreamEnded::Status(Box::new(status)))?;
            self.metrics.watch_event(event_name(&event));
            let step = applied.event(event)?;
            *confirmed |= matches!(step, Step::Confirmed(_));
            self.tell(step);
            limit = self.limits.idle;
        }
    }

    async fn open(&self) -> Result<Streaming<pb::WatchResponse>, StreamEnded> {
        let limit = self.limits.first_event;
        let opened = timeout(limit, self.source.open()).await.map_err(|_| StreamEnded::Silent(limit));
        let opened = opened.and_then(|opened| opened.map_err(|status| StreamEnded::Status(Box::new(status))));
        self.metrics.watch_connect(if opened.is_ok() { "ok" } else { "error" });
        opened
    }

    fn tell(&self, step: Step) {
        let now = self.clock.moment();
        match step {
            Step::Partial => {}
            Step::Confirmed(revision) => self.newest.send_modify(|newest| newest.confirmed = Some((revision, now))),
            Step::Moved(store, state) => {
                let confirmed = Some((state.revision, now));
                self.newest.send_replace(Newest { state: Some((store, state)), confirmed });
            }
        }
    }

    /// Doubled for each failure in a row, and then a random part of it, so that sidecars do not come back all at once.
    fn backoff(&self, failures: u32) -> Duration {
        let doubled = self.limits.backoff_least.saturating_mul(2_u32.saturating_pow(failures.min(16)));
        let most = doubled.min(self.limits.backoff_most);
        let mut random = [0_u8; 2];
        // Without randomness the wait is just the same for everybody.
        let share = getrandom::fill(&mut random).map_or(1.0, |()| f64::from(u16::from_le_bytes(random)) / 65_536.0);
        most.mul_f64(0.5 + share / 2.0)
    }

    fn report(ended: &StreamEnded, wait: Duration) {
        let retry_in_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        match ended {
            StreamEnded::Status(status) if matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied) => {
                tracing::error!(error = %ended, retry_in_ms, "the control plane refuses this sidecar; check its token file");
            }
            StreamEnded::Rejected(_) => tracing::error!(error = %ended, retry_in_ms, "watch stream given up"),
            StreamEnded::Status(_) | StreamEnded::Closed | StreamEnded::Silent(_) => {
                tracing::warn!(error = %ended, retry_in_ms, "watch stream ended");
            }
        }
    }
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
