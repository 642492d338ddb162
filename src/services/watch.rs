//! `doorward.v1.WatchService`: the state to sidecars (design §5).
//!
//! One task reads the commits of the store into a `window` of recent ones; each stream looks there for what comes
//! after what it sent last, at the pace of its reader. Nothing is pushed into a queue of a watcher, so a slow one can neither
//! delay a commit nor another watcher, and cannot miss one either: it reads on from where it was, or begins anew. Those who wait are
//! woken in `slices`, so that a commit is answered while ten thousand are told of it. An event is encoded once for each scope,
//! whatever the number of watchers.

mod encoded;
mod image;
mod past;
mod reader;
mod request;
mod seal;
mod sidecars;
mod slices;
mod watcher;
mod window;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use tokio::sync::{Semaphore, watch};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::right_of_way::RightOfWay;
use crate::clock::Clock;
use crate::proto::doorward as pb;
use crate::proto::watch_server::watch_service_server::WatchService;
use crate::signature::Signer;
use crate::store::api::Store;
use crate::telemetry::metrics::Metrics;
pub use encoded::Encoded;
use image::Images;
use reader::Reader;
use request::Subscription;
use seal::Seal;
pub use sidecars::Sidecars;
use slices::Slices;
use watcher::Watcher;
use window::Window;

/// Watchers at once.
const WATCHERS: usize = 12_000;

/// Serves watchers from a store. A cheap clone.
#[derive(Clone)]
pub struct WatchFeed {
    shared: Arc<Shared>,
    ending: watch::Sender<bool>,
}

/// What the watchers of a store share.
struct Shared {
    store: Arc<dyn Store>,
    clock: Clock,
    heartbeat: Duration,
    metrics: Metrics,
    window: Arc<Window>,
    seal: Seal,
    images: Images,
    sidecars: Sidecars,
    /// One for each watcher that may still come.
    places: Arc<Semaphore>,
    slices: Arc<Slices>,
    right_of_way: RightOfWay,
    /// The reader, and who wakes the watchers.
    tasks: [tokio::task::JoinHandle<()>; 2],
}

// === impl WatchFeed ===

impl WatchFeed {
    /// A feed of `store` with this time between heartbeats.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Clock, heartbeat: Duration, metrics: Metrics) -> Self {
        Self::signed(store, clock, heartbeat, metrics, None)
    }

    /// The same, with each event signed where there is a `signer`.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    #[must_use]
    pub fn signed(
        store: Arc<dyn Store>,
        clock: Clock,
        heartbeat: Duration,
        metrics: Metrics,
        signer: Option<Signer>,
    ) -> Self {
        let seal = Seal::new(store.id(), signer);
        let (reader, window) = Reader::new(Arc::clone(&store), clock.clone(), seal.clone());
        let slices = Arc::new(Slices::new(WATCHERS));
        let (woken, head) = (Arc::clone(&slices), window.head());
        let right_of_way = RightOfWay::default();
        let given = right_of_way.clone();
        let shared = Shared {
            images: Images::new(Arc::clone(&store), clock.clone(), seal.clone()),
            seal,
            sidecars: Sidecars::new(store.id(), clock.clone()),
            places: Arc::new(Semaphore::new(WATCHERS)),
            slices,
            right_of_way,
            tasks: [tokio::spawn(reader.run()), tokio::spawn(async move { woken.wake(head, &given).await })],
            store,
            clock,
            heartbeat,
            metrics,
            window,
        };
        Self { shared: Arc::new(shared), ending: watch::Sender::new(false) }
    }

    /// The same feed with an end of its own: [`Self::end`] of one does not end the streams of the other.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), ending: watch::Sender::new(false) }
    }

    /// Ends every stream of this feed and its clones: they never end by themselves, and would hold up the end of a process.
    pub fn end(&self) {
        self.ending.send_replace(true);
    }

    /// What a call takes that goes before the telling of many watchers.
    #[must_use]
    pub fn right_of_way(&self) -> RightOfWay {
        self.shared.right_of_way.clone()
    }

    /// What is known of those who watch.
    #[must_use]
    pub fn sidecars(&self) -> &Sidecars {
        &self.shared.sidecars
    }

    fn subscribe(&self, subscription: Subscription) -> Result<Watcher, Status> {
        let full =
            |_| Status::resource_exhausted(format!("there are {WATCHERS} watchers already; try another control plane"));
        let place = Arc::clone(&self.shared.places).try_acquire_owned().map_err(full)?;
        Watcher::new(Arc::clone(&self.shared), subscription, self.ending.clone(), place)
    }
}

#[tonic::async_trait]
impl WatchService for WatchFeed {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<Encoded, Status>> + Send>>;

    async fn watch(&self, request: Request<pb::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let subscription = Subscription::read(request.into_inner())?;
        tracing::info!(client = subscription.client, instance = subscription.instance, "watch begins");
        let watcher = self.subscribe(subscription)?;
        let events = stream::unfold(watcher, async |mut watcher| watcher.next().await.map(|event| (event, watcher)));
        Ok(Response::new(Box::pin(events)))
    }

    async fn report_applied(
        &self,
        request: Request<pb::ReportAppliedRequest>,
    ) -> Result<Response<pb::ReportAppliedResponse>, Status> {
        self.shared.sidecars.report(request.into_inner())?;
        Ok(Response::new(pb::ReportAppliedResponse {}))
    }
}

// === impl Shared ===

impl Drop for Shared {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

#[cfg(test)]
mod tests;
