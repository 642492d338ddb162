//! A process that holds streams, and says when the last of them has received a commit.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use doorward::proto::doorward as pb;
use doorward::proto::doorward::watch_response::Event;
use doorward::proto::doorward::watch_service_client::WatchServiceClient;
use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::peer::{KEY, wire};
use crate::support::server::Caller;

/// Streams that are opened at once: the queue of a listener is not what is measured.
const OPENING: usize = 32;

/// Which streams are held.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    address: String,
    /// The watch credential of a control plane; etcd needs none
    #[arg(long)]
    token_file: Option<PathBuf>,
    #[arg(long)]
    streams: usize,
    #[arg(long)]
    connections: usize,
}

/// How far the streams of this process are.
struct Progress {
    streams: usize,
    reached: Mutex<BTreeMap<Mark, usize>>,
}

/// What each stream comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Open,
    Received(u64),
}

/// Until the process is killed, or a stream ends.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(receive(arguments))
}

async fn receive(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { streams, connections, .. } = *arguments;
    let progress = Arc::new(Progress { streams, reached: Mutex::default() });
    let opening = Arc::new(Semaphore::new(OPENING));
    let mut following = JoinSet::new();
    for connection in 0..connections {
        let caller = Caller::connect(&arguments.address, arguments.token_file.as_deref()).await?;
        for _ in (connection..streams).step_by(connections) {
            let place = Arc::clone(&opening).acquire_owned().await?;
            let (caller, progress) = (caller.clone(), Arc::clone(&progress));
            if arguments.token_file.is_some() {
                following.spawn(follow(caller, place, progress));
            } else {
                following.spawn(follow_etcd(caller.channel, place, progress));
            }
        }
    }
    match following.join_next().await {
        Some(ended) => ended?,
        None => bail!("there is no stream"),
    }
}

async fn follow(caller: Caller, place: OwnedSemaphorePermit, progress: Arc<Progress>) -> anyhow::Result<()> {
    let instance = uuid::Uuid::new_v4().to_string();
    let request = pb::WatchRequest { client: "fanout".to_owned(), instance, ..pb::WatchRequest::default() };
    let mut client = WatchServiceClient::new(caller.channel.clone());
    let mut events = client.watch(caller.request(request)?).await?.into_inner();
    let mut place = Some(place);
    while let Some(event) = events.message().await? {
        match event.event {
            Some(Event::Reset(reset)) if reset.last => {
                place = None;
                progress.reach(Mark::Open)?;
            }
            Some(Event::Change(change)) => progress.reach(Mark::Received(change.revision))?,
            Some(Event::Reset(_) | Event::Heartbeat(_)) | None => {}
        }
    }
    drop(place);
    bail!("the control plane ended a stream")
}

async fn follow_etcd(channel: Channel, place: OwnedSemaphorePermit, progress: Arc<Progress>) -> anyhow::Result<()> {
    let create = wire::WatchCreateRequest { key: KEY.into(), ..wire::WatchCreateRequest::default() };
    let create = wire::WatchRequest { request_union: Some(wire::watch_request::RequestUnion::CreateRequest(create)) };
    let mut client = wire::watch_client::WatchClient::new(channel);
    let mut events = client.watch(stream::iter([create]).chain(stream::pending())).await?.into_inner();
    let mut place = Some(place);
    while let Some(answer) = events.message().await? {
        if answer.created {
            place = None;
            progress.reach(Mark::Open)?;
        } else if !answer.events.is_empty() {
            let header = answer.header.context("no header")?;
            progress.reach(Mark::Received(header.revision.cast_unsigned()))?;
        }
    }
    drop(place);
    bail!("etcd ended a stream")
}

// === impl Progress ===

impl Progress {
    /// One more stream has come to a mark; the last one is told on standard output, with the time.
    fn reach(&self, mark: Mark) -> anyhow::Result<()> {
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        let count = reached.entry(mark).or_default();
        *count += 1;
        if *count < self.streams {
            return Ok(());
        }
        let time = now()?.as_micros();
        let mut out = io::stdout().lock();
        match mark {
            Mark::Open => writeln!(out, "open {time}")?,
            Mark::Received(revision) => writeln!(out, "{revision} {time}")?,
        }
        Ok(out.flush()?)
    }
}

/// The one clock that processes share.
pub(crate) fn now() -> anyhow::Result<Duration> {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).context("the clock is before 1970")
}
