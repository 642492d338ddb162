//! A process from its first socket to its last reply.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::task::{JoinHandle, JoinSet};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::server::HealthReporter;

use super::bootstrap::{BootstrapError, open_store};
use super::control_plane::ControlPlane;
use super::http::{self, Pages};
use super::listener::{self, ListenError, SocketFile};
use super::shutdown::{EndSignals, Shutdown, ShutdownSignal};
use super::sidecar::{CheckSide, Following, Leaving, end_health};
use crate::clock::Clock;
use crate::config::resolved::{Config, DrainConfig, Role, UpstreamConfig};
use crate::proto::object::from_scope;
use crate::proto::watch_server::watch_service_server::WatchServiceServer;
use crate::signature::{InvalidKey, Signer, Verifier};
use crate::snapshot::handle::SnapshotHandle;
use crate::sync::apply::Trust;
use crate::sync::disk::{FolderInUse, SavedSnapshot};
use crate::sync::follow::{Identity, StreamLimits};
use crate::sync::source::{LocalSource, RemoteSource};
use crate::telemetry::metrics::Metrics;

/// Streams at once on one connection: an Envoy worker sends all its checks on one (reference ch. 6.3).
const MAX_STREAMS: u32 = 4_096;
/// Bytes of the headers of one call.
const MAX_HEADER_LIST: u32 = 64 * 1024;
/// Streams that a peer may reset before they were accepted: a flood of them ends the connection (CVE-2023-44487).
const MAX_PENDING_RESETS: usize = 128;
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Calls of one connection that are worked on, and so hold a message, at once; the others wait in their streams' windows.
const MAX_CALLS: usize = 256;
/// From the first byte of a call to its answer, or to the head of its stream.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a process listens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Checks over TCP.
    pub check: Option<SocketAddr>,
    /// Checks over a Unix socket.
    pub socket: Option<PathBuf>,
    /// Administration and watch.
    pub admin: Option<SocketAddr>,
    /// Metrics.
    pub metrics: Option<SocketAddr>,
}

/// A process that cannot start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A socket.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The store or its first content.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    /// A key.
    #[error(transparent)]
    Key(#[from] InvalidKey),
    /// The folder of the snapshot.
    #[error(transparent)]
    Folder(#[from] FolderInUse),
    /// The control plane's address.
    #[error("the control planes `{urls}` cannot be addressed")]
    Upstream {
        /// The addresses.
        urls: String,
        /// Why.
        source: tonic::transport::Error,
    },
    /// Something that must not end ended.
    #[error("the {0} ended, so the process does: it would only grow stale")]
    TaskEnded(&'static str),
    /// A listener failed.
    #[error("the {name} listener failed: {problem}")]
    ListenerFailed {
        /// Which listener.
        name: &'static str,
        /// Why.
        problem: String,
    },
    /// No randomness, or no signals.
    #[error("the operating system does not let the process start")]
    System(#[source] std::io::Error),
}

/// How a task of the process ended.
#[derive(Debug)]
pub enum TaskEnd {
    /// It was asked to.
    Asked,
    /// It was not asked to.
    Unexpected(ServerError),
}

/// Sockets that are bound, before they are served.
struct Sockets {
    check: Option<TcpListener>,
    unix: Option<(UnixListener, SocketFile)>,
    admin: Option<TcpListener>,
    metrics: Option<TcpListener>,
}

/// Runs a process in a role until it is asked to end. `started` is told the addresses once everything listens.
///
/// # Errors
/// [`ServerError`]; what was bound is given back.
pub async fn run(config: Config, role: Role, started: impl FnOnce(&Addresses) + Send) -> Result<(), ServerError> {
    let clock = Clock::system();
    let metrics = Metrics::default();
    let signer = config.signing_key.as_deref().map(Signer::from_file).transpose()?;
    // Nothing is bound before the store is open, or the folder of the snapshot is this process's: a second process on the
    // same data must not answer for a moment.
    let upstream = config.upstream.as_ref().map(|upstream| follows(upstream, config.heartbeat)).transpose()?;
    let control = match role {
        Role::Sidecar => None,
        Role::Serve | Role::ControlPlane => Some(open_store(&config.store, &clock).await?),
    };
    let snapshots = SnapshotHandle::default();
    let control = control.map(|store| {
        let control = ControlPlane::signed(store, clock.clone(), config.heartbeat, metrics.clone(), signer);
        control.beside(snapshots.clone())
    });
    let sockets = Sockets::bind(&config, role).await?;
    let addresses = sockets.addresses();
    let check = CheckSide::new(snapshots, clock, metrics, config.check.freshness);
    let mut background = JoinSet::new();
    if let Some(control) = &control {
        control.compact(&config.store.keep, &mut background);
    }
    let leaving = match (upstream, &control) {
        (Some((source, following)), _) => Some(check.follow(source, following, &mut background)),
        (None, Some(control)) if role == Role::Serve => {
            let limits = StreamLimits::for_heartbeat(config.heartbeat);
            let identity = Identity { client: "this process".to_owned(), ..identity() };
            let source = LocalSource::new(WatchServiceServer::new(control.own_feed()));
            Some(check.follow(source, Following { identity, limits, saved: None, trust: None }, &mut background))
        }
        (None, _) => None,
    };
    let process = Process { config: &config, role, check, control, leaving: Mutex::new(leaving) };
    process.serve(sockets, background, || started(&addresses)).await
}

struct Process<'a> {
    config: &'a Config,
    role: Role,
    check: CheckSide,
    control: Option<ControlPlane>,
    leaving: Mutex<Option<Leaving>>,
}

/// A new id of this process.
fn identity() -> Identity {
    Identity { instance: uuid::Uuid::new_v4().to_string(), ..Identity::default() }
}

/// Whom a sidecar follows, and how. From here on the folder of its snapshot is its own.
fn follows(upstream: &UpstreamConfig, heartbeat: Duration) -> Result<(RemoteSource, Following), ServerError> {
    let source = RemoteSource::new(&upstream.control_planes, upstream.token_file.clone())
        .map_err(|source| ServerError::Upstream { urls: upstream.control_planes.join(", "), source })?;
    let client = upstream.name.as_ref().map_or_else(|| format!("sidecar {}", std::process::id()), ToString::to_string);
    let accounts = from_scope(&upstream.scope);
    let spelled = accounts.iter().map(|it| format!("{}/{}", it.account, it.environments.join("/"))).collect();
    let directory = upstream.snapshot_directory.clone();
    let saved = directory.map(|folder| SavedSnapshot::new(folder, spelled, upstream.accepts_older_revision).locked());
    let limits = StreamLimits { lifetime: upstream.stream_lifetime, ..StreamLimits::for_heartbeat(heartbeat) };
    let verifier = upstream.public_key.as_deref().map(Verifier::from_file).transpose()?;
    let trust = verifier.map(|verifier| Trust { verifier, scope: upstream.scope.clone() });
    let identity = Identity { client, accounts, ..identity() };
    Ok((source, Following { identity, limits, saved: saved.transpose()?, trust }))
}

// === impl Process ===

impl Process<'_> {
    async fn serve(
        self,
        sockets: Sockets,
        mut background: JoinSet<TaskEnd>,
        started: impl FnOnce() + Send,
    ) -> Result<(), ServerError> {
        let (shutdown, end) = Shutdown::new();
        let mut listeners = JoinSet::new();
        let (health, _) = tonic_health::server::health_reporter();
        // Whoever has read that it listens may ask it to end.
        let mut signals = EndSignals::listen().map_err(ServerError::System)?;
        sockets.announce();
        let file = self.spawn_listeners(sockets, &health, &end, &mut listeners).await?;
        let told = self.answers_checks().then(|| tokio::spawn(self.check.report_health(health.clone(), end.clone())));
        started();
        let ended = tokio::select! {
            signal = signals.next() => {
                tracing::info!(signal, "draining");
                Ok(())
            }
            ended = first_end(&mut listeners) => Err(ended),
            ended = first_end(&mut background), if !background.is_empty() => Err(ended),
        };
        tokio::select! {
            () = self.drain(&health, told, file, &shutdown, listeners) => {}
            _ = signals.next() => tracing::warn!("asked to end a second time; calls under way are given up"),
        }
        tracing::info!("ended");
        ended
    }

    /// Health first, so that no new caller comes; then the listeners and the streams that never end; then a while for
    /// what is under way.
    async fn drain(
        &self,
        health: &HealthReporter,
        told: Option<JoinHandle<()>>,
        file: Option<SocketFile>,
        shutdown: &Shutdown,
        mut listeners: JoinSet<TaskEnd>,
    ) {
        let DrainConfig { delay, grace } = self.config.drain;
        shutdown.drain();
        if let Some(told) = told {
            // A panic there was one in telling the health, and the process is at its end.
            let _ = told.await;
        }
        tokio::time::sleep(delay).await;
        // Before the socket is closed: whoever takes its place from then on must keep its own file.
        drop(file);
        shutdown.end();
        end_health(health).await;
        let leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(control) = &self.control {
            control.end_streams();
        }
        let all_ended = async {
            while listeners.join_next().await.is_some() {}
            if let Some(leaving) = leaving {
                leaving.complete().await;
            }
        };
        if tokio::time::timeout(grace, all_ended).await.is_err() {
            tracing::warn!(grace_seconds = grace.as_secs(), "calls were still under way at the end");
        }
    }

    const fn answers_checks(&self) -> bool {
        matches!(self.role, Role::Serve | Role::Sidecar)
    }

    async fn spawn_listeners(
        &self,
        sockets: Sockets,
        health: &HealthReporter,
        end: &ShutdownSignal,
        tasks: &mut JoinSet<TaskEnd>,
    ) -> Result<Option<SocketFile>, ServerError> {
        let Sockets { check, unix, admin, metrics } = sockets;
        let mut random = [0; 8];
        let no_random = |_| ServerError::System(std::io::Error::other("no random numbers"));
        getrandom::fill(&mut random).map_err(no_random)?;
        let routes = self.check.routes(&self.config.check, health, u64::from_le_bytes(random)).await;
        if let Some(listener) = check {
            tasks.spawn(serve_tcp("check", listener, routes.clone(), end.clone()));
        }
        let file = unix.map(|(listener, file)| {
            tasks.spawn(serve_unix("check socket", listener, routes, end.clone()));
            file
        });
        if let (Some(listener), Some(control)) = (admin, &self.control) {
            let routes = control.routes(&self.config.check);
            tasks.spawn(serve_tcp("admin", listener, routes, end.clone()));
        }
        if let Some(listener) = metrics {
            let freshness = self.answers_checks().then(|| self.check.freshness.clone());
            let store = self.control.as_ref().map(ControlPlane::store);
            let pages = Pages { metrics: self.check.metrics.clone(), freshness, store, shutdown: end.clone() };
            tasks.spawn(async move { TaskEnd::of("metrics", http::serve(listener, pages).await) });
        }
        Ok(file)
    }
}

async fn first_end(tasks: &mut JoinSet<TaskEnd>) -> ServerError {
    match tasks.join_next().await {
        Some(Ok(TaskEnd::Unexpected(problem))) => problem,
        Some(Ok(TaskEnd::Asked)) | None => ServerError::TaskEnded("last task"),
        Some(Err(joined)) => match joined.try_into_panic() {
            // A panic in a task of the process is the process's own.
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => ServerError::TaskEnded("cancelled task"),
        },
    }
}

fn limits() -> Server {
    Server::builder()
        .max_concurrent_streams(MAX_STREAMS)
        .concurrency_limit_per_connection(MAX_CALLS)
        .timeout(CALL_TIMEOUT)
        .http2_max_header_list_size(MAX_HEADER_LIST)
        .http2_max_pending_accept_reset_streams(Some(MAX_PENDING_RESETS))
        .http2_keepalive_interval(Some(KEEP_ALIVE))
}

async fn serve_tcp(name: &'static str, listener: TcpListener, routes: Routes, end: ShutdownSignal) -> TaskEnd {
    // The server's own setting is not for sockets it did not bind. Without this one an answer waits 40 ms for a delayed
    // acknowledgement of its first packet.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    TaskEnd::of(name, limits().add_routes(routes).serve_with_incoming_shutdown(incoming, end.ended()).await)
}

async fn serve_unix(name: &'static str, listener: UnixListener, routes: Routes, end: ShutdownSignal) -> TaskEnd {
    let incoming = UnixListenerStream::new(listener);
    TaskEnd::of(name, limits().add_routes(routes).serve_with_incoming_shutdown(incoming, end.ended()).await)
}

// === impl TaskEnd ===

impl TaskEnd {
    /// A task that should not have ended.
    #[must_use]
    pub const fn unexpected(name: &'static str) -> Self {
        Self::Unexpected(ServerError::TaskEnded(name))
    }

    fn of<E: std::fmt::Display>(name: &'static str, result: Result<(), E>) -> Self {
        match result {
            Ok(()) => Self::Asked,
            Err(problem) => Self::Unexpected(ServerError::ListenerFailed { name, problem: problem.to_string() }),
        }
    }
}

// === impl Sockets ===

impl Sockets {
    async fn bind(config: &Config, role: Role) -> Result<Self, ListenError> {
        let answers_checks = role != Role::ControlPlane;
        let check = match config.check.listen.filter(|_| answers_checks) {
            Some(address) => Some(listener::tcp("check", address).await?),
            None => None,
        };
        let unix = match config.check.socket.as_ref().filter(|_| answers_checks) {
            Some(path) => Some(listener::unix(path).await?).map(|socket| (socket.listener, socket.file)),
            None => None,
        };
        let admin = match role {
            Role::Sidecar => None,
            Role::Serve | Role::ControlPlane => Some(listener::tcp("admin", config.admin).await?),
        };
        let metrics = match config.metrics {
            Some(address) => Some(listener::tcp("metrics", address).await?),
            None => None,
        };
        Ok(Self { check, unix, admin, metrics })
    }

    fn addresses(&self) -> Addresses {
        let tcp = |listener: &Option<TcpListener>| listener.as_ref().and_then(|listener| listener.local_addr().ok());
        let path = |(listener, _): &(UnixListener, SocketFile)| {
            listener.local_addr().ok().and_then(|address| address.as_pathname().map(PathBuf::from))
        };
        Addresses {
            check: tcp(&self.check),
            socket: self.unix.as_ref().and_then(path),
            admin: tcp(&self.admin),
            metrics: tcp(&self.metrics),
        }
    }

    /// One log line a socket.
    fn announce(&self) {
        let Addresses { check, socket, admin, metrics } = self.addresses();
        for (listener, address) in [("check", check), ("admin", admin), ("metrics", metrics)] {
            if let Some(address) = address {
                tracing::info!(listener, %address, "listening");
            }
        }
        if let Some(path) = socket {
            tracing::info!(listener = "check", address = %path.display(), "listening");
        }
    }
}
