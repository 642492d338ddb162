//! `doorward.v1.WatchService`: the state to sidecars (design §5).
//!
//! Each watcher has a task that reads the store at its own pace. Nothing is pushed into a queue of a watcher, so a slow one
//! can neither delay a commit nor another watcher, and cannot miss one either: it reads on from where it was, or begins anew.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::clock::Clock;
use crate::model::object::{Object, Record};
use crate::model::revision::Revision;
use crate::model::state::State;
use crate::model::text::Name;
use crate::proto::doorward as pb;
use crate::proto::doorward::watch_service_server::WatchService;
use crate::proto::object::{from_change, from_record, from_timestamp};
use crate::store::api::Store;
use crate::telemetry::metrics::Metrics;

/// Bytes of objects in a chunk of a reset, about; a single object may be larger.
const CHUNK_BYTES: usize = 512 * 1024;
/// Commits that a watcher may lag before it begins anew.
const LAG_LIMIT: u64 = 10_000;
/// Commits read from the store at a time.
const BATCH: usize = 256;
/// Events that wait for the transport: one, so that a watcher that does not read holds little.
const IN_FLIGHT: usize = 1;
/// Watchers at once.
const WATCHERS: usize = 12_000;

/// Serves watchers from a store.
#[derive(Clone)]
pub struct WatchFeed {
    store: Arc<dyn Store>,
    clock: Clock,
    heartbeat: Duration,
    metrics: Metrics,
    /// One for each watcher that may still come.
    places: Arc<Semaphore>,
    ending: watch::Sender<bool>,
}

/// One watcher: what it was sent so far, and the way to it.
struct Watcher {
    feed: WatchFeed,
    out: mpsc::Sender<Result<pb::WatchResponse, Status>>,
    /// `None` before the first reset.
    sent: Option<Revision>,
}

/// The watcher is gone, or the store cannot be read: the stream ends.
struct Ended;

// === impl WatchFeed ===

impl WatchFeed {
    /// A feed of `store` with this time between heartbeats.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Clock, heartbeat: Duration, metrics: Metrics) -> Self {
        let places = Arc::new(Semaphore::new(WATCHERS));
        Self { store, clock, heartbeat, metrics, places, ending: watch::Sender::new(false) }
    }

    /// Ends every stream of this feed and its clones: they never end by themselves, and would hold up the end of a process.
    pub fn end(&self) {
        self.ending.send_replace(true);
    }

    /// Begins a stream. It ends when its receiver is dropped, or with the feed.
    fn subscribe(&self) -> Result<ReceiverStream<Result<pb::WatchResponse, Status>>, Status> {
        let full =
            |_| Status::resource_exhausted(format!("there are {WATCHERS} watchers already; try another control plane"));
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(full)?;
        let (out, events) = mpsc::channel(IN_FLIGHT);
        let watcher = Watcher { feed: self.clone(), out, sent: None };
        tokio::spawn(async move {
            watcher.run().await;
            drop(place);
        });
        Ok(ReceiverStream::new(events))
    }
}

#[tonic::async_trait]
impl WatchService for WatchFeed {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<pb::WatchResponse, Status>> + Send>>;

    async fn watch(&self, request: Request<pb::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let pb::WatchRequest { client } = request.into_inner();
        if !client.is_empty() {
            let problem = |problem| {
                super::status::invalid_argument(
                    format!("`client` {problem}"),
                    [("client".to_owned(), format!("{problem}"))],
                )
            };
            client.parse::<Name>().map_err(problem)?;
        }
        tracing::info!(client, "watch begins");
        Ok(Response::new(Box::pin(self.subscribe()?)))
    }
}

// === impl Watcher ===

impl Watcher {
    async fn run(self) {
        let mut ending = self.feed.ending.subscribe();
        tokio::select! {
            () = self.follow() => {}
            _ = ending.wait_for(|ending| *ending) => {}
        }
    }

    async fn follow(mut self) {
        let _counted = self.feed.metrics.watcher();
        let mut head = self.feed.store.watch();
        // Either end of the loop is the end of the stream; the watcher connects again.
        while self.catch_up().await.is_ok() {
            tokio::select! {
                moved = head.changed() => if moved.is_err() { return },
                () = tokio::time::sleep(self.feed.heartbeat) => if self.heartbeat().await.is_err() { return },
                () = self.out.closed() => return,
            }
        }
    }

    /// Sends everything up to the head.
    async fn catch_up(&mut self) -> Result<(), Ended> {
        loop {
            let head = self.feed.store.state();
            match self.sent {
                Some(sent) if sent == head.revision => return Ok(()),
                Some(sent) if head.revision.get().saturating_sub(sent.get()) <= LAG_LIMIT => self.changes(sent).await?,
                _ => self.reset(head).await?,
            }
        }
    }

    async fn reset(&mut self, state: Arc<State>) -> Result<(), Ended> {
        let store_id = self.feed.store.id().to_string();
        let revision = state.revision;
        let mut chunk = Chunk::default();
        let mut first = true;
        let message = |first, last, objects| pb::Reset {
            store_id: store_id.clone(),
            revision: revision.get(),
            first,
            last,
            objects,
        };
        for record in state.records() {
            if let Some(objects) = chunk.push(&record) {
                self.send(pb::watch_response::Event::Reset(message(first, false, objects))).await?;
                first = false;
            }
        }
        self.send(pb::watch_response::Event::Reset(message(first, true, chunk.objects))).await?;
        self.sent = Some(revision);
        Ok(())
    }

    async fn changes(&mut self, after: Revision) -> Result<(), Ended> {
        let store = Arc::clone(&self.feed.store);
        let read = tokio::task::spawn_blocking(move || store.changes_after(after, BATCH)).await;
        let entries = match read {
            Ok(Ok(entries)) => entries,
            Ok(Err(problem)) => {
                tracing::error!(error = &problem as &dyn std::error::Error, "the change log cannot be read");
                return Err(self.fail().await);
            }
            Err(_) => return Err(self.fail().await),
        };
        for entry in entries {
            let changes = entry.changes.iter().map(from_change).collect();
            self.send(pb::watch_response::Event::Change(pb::Change { revision: entry.revision.get(), changes }))
                .await?;
            self.sent = Some(entry.revision);
        }
        Ok(())
    }

    async fn heartbeat(&mut self) -> Result<(), Ended> {
        let Some(sent) = self.sent else { return Ok(()) };
        let time = Some(from_timestamp(self.feed.clock.now()));
        self.send(pb::watch_response::Event::Heartbeat(pb::Heartbeat { revision: sent.get(), time })).await
    }

    async fn send(&self, event: pb::watch_response::Event) -> Result<(), Ended> {
        self.out.send(Ok(pb::WatchResponse { event: Some(event) })).await.map_err(|_| Ended)
    }

    async fn fail(&self) -> Ended {
        // A receiver that is gone needs no reason.
        let _ =
            self.out.send(Err(Status::unavailable("the change log cannot be read at the moment; connect again"))).await;
        Ended
    }
}

/// Objects of a reset that are sent together.
#[derive(Default)]
struct Chunk {
    objects: Vec<pb::Object>,
    bytes: usize,
}

// === impl Chunk ===

impl Chunk {
    /// Takes one more object. Gives back the full chunk before it, if it was full.
    fn push(&mut self, record: &Record<Object>) -> Option<Vec<pb::Object>> {
        let object = from_record(record);
        let bytes = prost::Message::encoded_len(&object);
        let full = !self.objects.is_empty() && self.bytes + bytes > CHUNK_BYTES;
        let before = full.then(|| std::mem::take(self).objects);
        self.objects.push(object);
        self.bytes += bytes;
        before
    }
}
