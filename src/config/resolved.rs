//! What the configuration means. All errors are found at once, before anything is bound.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::raw::RawConfig;
use crate::edge::envoy::SubjectSource;
use crate::model::freshness::FreshnessPolicy;
use crate::model::id::AccountId;
use crate::model::scope::Scope;
use crate::model::text::Name;
use crate::store::etcd::EtcdConfig;
use crate::telemetry::log::LogFormat;
use resolver::Resolver;
pub use store::resolve_etcd;

mod resolver;
mod store;

/// Which parts of Doorward a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Store, administration, watch and checks in one process.
    Serve,
    /// Store, administration and watch.
    ControlPlane,
    /// Checks, fed by a control plane's watch.
    Sidecar,
}

/// A configuration that can be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The check listener.
    pub check: CheckConfig,
    /// The administrative listener.
    pub admin: SocketAddr,
    /// The metrics listener.
    pub metrics: Option<SocketAddr>,
    /// The store.
    pub store: StoreConfig,
    /// The watch of a sidecar; `None` in the other roles.
    pub upstream: Option<UpstreamConfig>,
    /// Between heartbeats of the control plane.
    pub heartbeat: Duration,
    /// File with the private key that a control plane signs with.
    pub signing_key: Option<PathBuf>,
    /// Logs.
    pub log: LogConfig,
    /// The end of the process.
    pub drain: DrainConfig,
}

/// The check listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckConfig {
    /// Address, if it listens on TCP.
    pub listen: Option<SocketAddr>,
    /// Path, if it listens on a Unix socket.
    pub socket: Option<PathBuf>,
    /// The account of checks that do not name one.
    pub account: Option<AccountId>,
    /// Reflection, on every gRPC listener.
    pub reflection: bool,
    /// Largest request message.
    pub max_message_bytes: usize,
    /// The trusted header that names a subject, in lower case.
    pub subject_header: Option<String>,
    /// Where Envoy's requests name a subject, in order.
    pub subject_sources: Vec<SubjectSource>,
    /// How long calls wait for a fresher snapshot, and what becomes of a stale one.
    pub freshness: FreshnessPolicy,
}

/// The store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// What keeps it.
    pub engine: Engine,
    /// Directory of the embedded store, and of the credentials that this process makes.
    pub directory: PathBuf,
    /// State file that an empty store begins with.
    pub state: Option<PathBuf>,
    /// What compaction keeps.
    pub keep: KeepConfig,
}

/// What the store keeps of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepConfig {
    /// The newest commits of the log.
    pub log_commits: u64,
    /// How long a request id is remembered.
    pub requests: Duration,
    /// How long audit events are kept.
    pub audit: Duration,
}

/// What keeps the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Engine {
    /// A file in the data directory.
    Embedded,
    /// A cluster of etcd, for several control planes at once.
    Etcd(EtcdConfig),
}

/// The control plane a sidecar follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamConfig {
    /// `http://HOST:PORT`, of each control plane of the store.
    pub control_planes: Vec<String>,
    /// File with the watch credential.
    pub token_file: PathBuf,
    /// What the control plane calls this sidecar.
    pub name: Option<Name>,
    /// What is asked for.
    pub scope: Scope,
    /// File with the key that the control planes sign with.
    pub public_key: Option<PathBuf>,
    /// Folder of the last good snapshot, if it is kept.
    pub snapshot_directory: Option<PathBuf>,
    /// Whether an older revision than was kept before is taken, from disk and from the control plane.
    pub accepts_older_revision: bool,
    /// After which a stream is opened anew, about.
    pub stream_lifetime: Duration,
}

/// Logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// Format.
    pub format: LogFormat,
    /// Filter; it has been read once and is valid.
    pub filter: String,
}

/// The end of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainConfig {
    /// Between `NOT_SERVING` and the end of accepting.
    pub delay: Duration,
    /// For calls under way.
    pub grace: Duration,
}

/// Every problem of a configuration, each with its key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the configuration cannot be used:\n{}", .0.iter().map(|p| format!("  {p}")).collect::<Vec<_>>().join("\n"))]
pub struct InvalidConfig(pub Vec<ConfigProblem>);

/// One problem of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {problem}")]
pub struct ConfigProblem {
    /// The key as the file spells it.
    pub key: &'static str,
    /// What is wrong, with the value, and what to do.
    pub problem: String,
}

// === impl Config ===

impl Config {
    /// Judges every key.
    ///
    /// # Errors
    /// [`InvalidConfig`] with all problems at once.
    pub fn resolve(raw: RawConfig, role: Role) -> Result<Self, InvalidConfig> {
        let mut resolver = Resolver::default();
        let config = resolver.config(raw, role);
        match (config, resolver.problems.is_empty()) {
            (Some(config), true) => Ok(config),
            _ => Err(InvalidConfig(resolver.problems)),
        }
    }
}

/// Whether a host of a URL is this machine. Without TLS no credential goes anywhere else.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|ip| ip.is_loopback())
}
