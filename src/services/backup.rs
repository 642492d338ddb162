//! `doorward.v1.StoreService`: a backup of the store while it is served.
//!
//! The store is told on a blocking thread of its own, which is held up by the reader: a few chunks are under way, whatever
//! the store holds. The thread ends, and what the store keeps for it goes, when the reader is gone, or takes nothing for a
//! while, or takes too long for all of it, or the process ends.

mod chunks;
#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::Stream;
use tonic::{Code, Request, Response, Status};

use super::status::code_name;
use crate::model::mutation::Actor;
use crate::proto::doorward as pb;
use crate::proto::doorward::store_service_server::StoreService;
use crate::store::api::StoreError;
use crate::store::backup;
use crate::store::dump::{Dump, DumpError};
use crate::telemetry::metrics::Metrics;
use chunks::{Chunks, Stopped};

/// Backups at once: each keeps what the store would have given up.
const BACKUPS: usize = 1;

/// How long the reader of a backup may take.
#[derive(Debug, Clone, Copy)]
pub struct BackupLimits {
    /// For room for the next chunk.
    pub stall: Duration,
    /// For the whole.
    pub total: Duration,
}

/// Sends backups of a store. A cheap clone.
#[derive(Clone)]
pub struct BackupService {
    store: Arc<dyn Dump + Send + Sync>,
    metrics: Metrics,
    limits: BackupLimits,
    /// One for each backup that may still begin.
    places: Arc<Semaphore>,
    ending: watch::Sender<bool>,
}

/// One backup, on the thread that makes it.
struct Sending {
    store: Arc<dyn Dump + Send + Sync>,
    metrics: Metrics,
    limits: BackupLimits,
    actor: Actor,
    chunks: Chunks,
    _place: OwnedSemaphorePermit,
}

/// What a reader reads: the chunks, and at their end what came of the backup.
struct Reading {
    chunks: mpsc::Receiver<Vec<u8>>,
    sending: JoinHandle<Result<(), Status>>,
}

// === impl BackupLimits ===

impl Default for BackupLimits {
    fn default() -> Self {
        Self { stall: Duration::from_secs(30), total: Duration::from_hours(1) }
    }
}

// === impl BackupService ===

impl BackupService {
    /// A service that sends backups of `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Dump + Send + Sync>, metrics: Metrics, limits: BackupLimits) -> Self {
        let places = Arc::new(Semaphore::new(BACKUPS));
        Self { store, metrics, limits, places, ending: watch::Sender::new(false) }
    }

    /// Ends the backup that is under way, and lets none begin: it would hold up the end of a process.
    pub fn end(&self) {
        self.ending.send_replace(true);
    }

    fn begin(&self, request: &Request<pb::BackupRequest>) -> Result<Reading, Status> {
        let actor = request.extensions().get::<Actor>().cloned();
        let actor = actor.ok_or_else(|| Status::unauthenticated("the call carries no credential"))?;
        let under_way = |_| Status::resource_exhausted("another backup is under way; begin this one when it has ended");
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(under_way)?;
        // One chunk waits while another one is on its way.
        let (sender, chunks) = mpsc::channel(1);
        let chunks_out = Chunks::new(Handle::current(), sender, self.ending.subscribe(), self.limits);
        let (store, metrics, limits) = (Arc::clone(&self.store), self.metrics.clone(), self.limits);
        let sending = Sending { store, metrics, limits, actor, chunks: chunks_out, _place: place };
        Ok(Reading { chunks, sending: tokio::task::spawn_blocking(|| sending.run()) })
    }
}

#[tonic::async_trait]
impl StoreService for BackupService {
    type BackupStream = Pin<Box<dyn Stream<Item = Result<pb::BackupResponse, Status>> + Send>>;

    async fn backup(&self, request: Request<pb::BackupRequest>) -> Result<Response<Self::BackupStream>, Status> {
        let reading = self.begin(&request).inspect_err(|status| {
            self.metrics.admin_call("Backup", code_name(status.code()), Duration::ZERO);
        })?;
        Ok(Response::new(Box::pin(stream::unfold(Some(reading), async |reading| reading?.next().await))))
    }
}

// === impl Reading ===

impl Reading {
    /// The next answer, and what is read after it.
    async fn next(mut self) -> Option<(Result<pb::BackupResponse, Status>, Option<Self>)> {
        if let Some(chunk) = self.chunks.recv().await {
            return Some((Ok(pb::BackupResponse { chunk }), Some(self)));
        }
        // No more chunks: of a backup that is whole, or of one that is not.
        let sent = self.sending.await.unwrap_or_else(|panicked| {
            tracing::error!(error = %panicked, "a backup panicked");
            Err(Status::internal("the backup failed inside Doorward; nothing of it can be used"))
        });
        sent.err().map(|status| (Err(status), None))
    }
}

// === impl Sending ===

impl Sending {
    fn run(mut self) -> Result<(), Status> {
        let begun = Instant::now();
        let actor = self.actor.as_str();
        tracing::info!(actor, "backup begins");
        let sent = backup::send(&*self.store, &mut self.chunks);
        let (bytes, seconds) = (self.chunks.sent(), begun.elapsed().as_secs_f64());
        let sent = match (sent, self.chunks.stopped()) {
            (Ok(head), _) => {
                tracing::info!(actor, revision = %head.revision, bytes, seconds, "backup sent");
                Ok(())
            }
            (Err(_), Some(stopped)) => {
                tracing::warn!(actor, reason = %stopped, bytes, seconds, "backup not sent to its end");
                Err(self.unread(stopped))
            }
            (Err(problem), None) => {
                let error = &problem as &dyn std::error::Error;
                tracing::error!(actor, error, bytes, seconds, "backup not sent to its end");
                Err(unreadable(&problem))
            }
        };
        let code = sent.as_ref().err().map_or(Code::Ok, Status::code);
        self.metrics.admin_call("Backup", code_name(code), begun.elapsed());
        sent
    }

    /// The status of a backup that was not read to its end. One whose reader is gone reaches nobody.
    fn unread(&self, stopped: Stopped) -> Status {
        let BackupLimits { stall, total } = self.limits;
        match stopped {
            Stopped::Gone => Status::cancelled(stopped.to_string()),
            Stopped::Stalled => Status::deadline_exceeded(format!("{stopped} for {} seconds", stall.as_secs_f64())),
            Stopped::TooLong => Status::deadline_exceeded(format!("{stopped} within {} seconds", total.as_secs_f64())),
            Stopped::Ending => {
                Status::unavailable(format!("{stopped}; back up another one of this store, or this one later"))
            }
        }
    }
}

/// The status of a store that cannot be told. Driver texts go to the log, not to the wire.
fn unreadable(problem: &DumpError) -> Status {
    match problem {
        DumpError::Damaged { row, .. } | DumpError::Store(StoreError::Damaged { row, .. }) => {
            Status::data_loss(format!(
                "the store is damaged at {row}, so that no backup is made of it; the log of the control plane says more"
            ))
        }
        DumpError::Compacted { .. } => Status::aborted(
            "etcd compacted its history while the store was read; do it again, and let etcd keep its history for longer \
             (--auto-compaction-retention)",
        ),
        DumpError::Loading { .. } => {
            Status::failed_precondition("the store is being loaded, or holds the part of a load that did not end")
        }
        _ => Status::unavailable("the store cannot be read at the moment; the log of the control plane says why"),
    }
}
