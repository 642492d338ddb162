//! What lies between a control plane and a sidecar: a service that hands events on, or does not.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use doorward::clock::Clock;
use doorward::proto::doorward as pb;
use doorward::proto::doorward::watch_response::Event;
use doorward::proto::doorward::watch_service_client::WatchServiceClient;
use doorward::proto::doorward::watch_service_server::{WatchService, WatchServiceServer};
use doorward::proto::watch_server::watch_service_server::WatchServiceServer as EncodingServer;
use doorward::services::watch::WatchFeed;
use doorward::store::api::Store;
use doorward::sync::source::LocalSource;
use doorward::telemetry::metrics::Metrics;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::seeded::Seeded;

/// Between heartbeats.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(2);

/// What the way is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    Fair,
    Stormy,
}

/// A wall clock that can jump, and the steady time, which is that of the paused clock of the test.
#[derive(Debug, Clone)]
pub(crate) struct Clocks {
    jumped: Arc<AtomicI64>,
    begun: Instant,
}

/// The control plane of the moment, and the way to it.
#[derive(Clone)]
pub(crate) struct Planes {
    store: Arc<dyn Store>,
    clock: Clock,
    feed: Arc<Mutex<WatchFeed>>,
    stormy: Arc<AtomicBool>,
    seen: Arc<Mutex<BTreeMap<Fate, usize>>>,
}

/// What becomes of a call or of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    Refused,
    Passed,
    Cut,
    Ended,
    Doubled,
    Lost,
    Altered,
    Stalled,
}

/// The way to the control plane.
#[derive(Clone)]
pub(crate) struct Way {
    planes: Planes,
    seeded: Arc<Mutex<Seeded>>,
}

// === impl Clocks ===

impl Default for Clocks {
    fn default() -> Self {
        Self { jumped: Arc::default(), begun: Instant::now() }
    }
}

impl Clocks {
    pub(crate) fn now(&self) -> jiff::Timestamp {
        self.steady() + jiff::SignedDuration::from_secs(self.jumped.load(Ordering::SeqCst))
    }

    fn steady(&self) -> jiff::Timestamp {
        let passed = jiff::SignedDuration::try_from(self.begun.elapsed()).expect("hours");
        jiff::Timestamp::from_second(1_800_000_000).expect("a time") + passed
    }

    pub(crate) fn clock(&self) -> Clock {
        let [wall, steady] = [self.clone(), self.clone()];
        Clock::from_hands(move || wall.now(), move || steady.steady())
    }

    /// Up to a day on or back, and by more than the storm takes.
    pub(crate) fn jump(&self, seeded: &mut Seeded) {
        let seconds = i64::try_from(seeded.below(80_000)).expect("a day") + 6_400;
        self.jumped.fetch_add(if seeded.below(2) == 0 { seconds } else { -seconds }, Ordering::SeqCst);
    }
}

// === impl Planes ===

impl Planes {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Clock) -> Self {
        let feed = Arc::new(Mutex::new(feed(&store, &clock)));
        Self { store, clock, feed, stormy: Arc::default(), seen: Arc::default() }
    }

    /// Another control plane takes the place of the one there is, whose streams end.
    pub(crate) fn restart(&self) {
        let next = feed(&self.store, &self.clock);
        std::mem::replace(&mut *self.feed.lock().expect("no panic"), next).end();
    }

    pub(crate) fn weather(&self, weather: Weather) {
        self.stormy.store(weather == Weather::Stormy, Ordering::SeqCst);
    }

    pub(crate) fn source(&self, seed: u64) -> LocalSource<WatchServiceServer<Way>> {
        let seeded = Arc::new(Mutex::new(Seeded::new(seed ^ 0x57_A7_E0)));
        LocalSource::new(WatchServiceServer::new(Way { planes: self.clone(), seeded }))
    }

    pub(crate) fn seen(&self) -> BTreeMap<Fate, usize> {
        self.seen.lock().expect("no panic").clone()
    }

    fn client(&self) -> WatchServiceClient<EncodingServer<WatchFeed>> {
        WatchServiceClient::new(EncodingServer::new(self.feed.lock().expect("no panic").clone()))
    }
}

fn feed(store: &Arc<dyn Store>, clock: &Clock) -> WatchFeed {
    WatchFeed::new(Arc::clone(store), clock.clone(), HEARTBEAT, Metrics::default())
}

// === impl Way ===

impl Way {
    fn fate(&self, of: &[(Fate, usize)]) -> Fate {
        let stormy = self.planes.stormy.load(Ordering::SeqCst);
        let place = self.seeded.lock().expect("no panic").below(100);
        let mut sum = 0;
        let drawn = of.iter().find(|(_, share)| {
            sum += share;
            place < sum
        });
        let fate = drawn.filter(|_| stormy).map_or(Fate::Passed, |(fate, _)| *fate);
        *self.planes.seen.lock().expect("no panic").entry(fate).or_default() += 1;
        fate
    }

    /// Hands events on until the weather ends it.
    async fn hand_on(
        self,
        mut events: Streaming<pb::WatchResponse>,
        out: mpsc::Sender<Result<pb::WatchResponse, Status>>,
    ) {
        const SHARES: [(Fate, usize); 6] = [
            (Fate::Cut, 5),
            (Fate::Ended, 2),
            (Fate::Doubled, 4),
            (Fate::Lost, 3),
            (Fate::Altered, 3),
            (Fate::Stalled, 1),
        ];
        while let Ok(Some(event)) = events.message().await {
            let sent = match self.fate(&SHARES) {
                Fate::Passed | Fate::Refused => out.send(Ok(event)).await,
                Fate::Cut => return drop(out.send(Err(Status::unavailable("cut"))).await),
                Fate::Ended => return,
                Fate::Doubled => match out.send(Ok(event.clone())).await {
                    Ok(()) => out.send(Ok(event)).await,
                    gone => gone,
                },
                Fate::Lost => Ok(()),
                Fate::Altered => out.send(Ok(altered(event))).await,
                Fate::Stalled => return out.closed().await,
            };
            if sent.is_err() {
                return;
            }
        }
    }
}

/// The event without the last of what it brings. A revision alone is not altered: the digest does not hold it.
fn altered(mut event: pb::WatchResponse) -> pb::WatchResponse {
    match &mut event.event {
        Some(Event::Reset(reset)) => drop(reset.objects.pop()),
        Some(Event::Change(change)) => drop(change.changes.pop()),
        Some(Event::Heartbeat(beat)) => drop(beat.digest.pop()),
        None => {}
    }
    event
}

#[tonic::async_trait]
impl WatchService for Way {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<pb::WatchResponse, Status>> + Send>>;

    async fn watch(&self, request: Request<pb::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        if self.fate(&[(Fate::Refused, 10)]) == Fate::Refused {
            return Err(Status::unavailable("refused"));
        }
        let events = self.planes.client().watch(request).await?.into_inner();
        let (out, handed) = mpsc::channel(1);
        tokio::spawn(self.clone().hand_on(events, out));
        Ok(Response::new(Box::pin(ReceiverStream::new(handed))))
    }

    async fn report_applied(
        &self,
        request: Request<pb::ReportAppliedRequest>,
    ) -> Result<Response<pb::ReportAppliedResponse>, Status> {
        self.planes.client().report_applied(request).await
    }
}
