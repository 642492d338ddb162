//! What people type: a TOML file, flags and environment variables. Nothing is judged here but unknown keys.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer};

/// The whole configuration as typed; what is missing has a default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawConfig {
    /// `[check]`
    pub check: RawCheck,
    /// `[ext_authz]`
    pub ext_authz: RawExtAuthz,
    /// `[admin]`
    pub admin: RawAdmin,
    /// `[metrics]`
    pub metrics: RawMetrics,
    /// `[store]`
    pub store: RawStore,
    /// `[sync]`
    pub sync: RawSync,
    /// `[log]`
    pub log: RawLog,
    /// `[drain]`
    pub drain: RawDrain,
}

/// The listener that answers checks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct RawCheck {
    /// Address of the check listener [default: 127.0.0.1:7070]; `off` for none
    #[arg(id = "check-listen", long, env = "DOORWARD_CHECK_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Unix socket of the check listener [default: none]
    #[arg(id = "check-socket", long, env = "DOORWARD_CHECK_SOCKET", value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Account that checks are about where they do not say; needed where there is more than one
    #[arg(id = "account", long, env = "DOORWARD_ACCOUNT", value_name = "ID")]
    pub account: Option<String>,
    /// Serve gRPC reflection on every gRPC listener
    #[arg(id = "reflection", long, env = "DOORWARD_REFLECTION", num_args = 0..=1, default_missing_value = "true")]
    pub reflection: Option<bool>,
    /// Largest request message in bytes [default: 4194304]
    #[arg(id = "max-message-bytes", long, env = "DOORWARD_MAX_MESSAGE_BYTES", value_name = "BYTES")]
    pub max_message_bytes: Option<usize>,
    /// Milliseconds a call waits at most for the freshness it demands [default: 1000]; 0 for never
    #[arg(id = "max-wait-ms", long, env = "DOORWARD_MAX_WAIT_MS", value_name = "MILLISECONDS")]
    pub max_wait_ms: Option<u64>,
    /// What checks get from a stale snapshot: `serve`, `deny` or `unavailable` [default: serve]
    #[arg(id = "stale-mode", long, env = "DOORWARD_STALE_MODE", value_name = "MODE")]
    pub stale_mode: Option<String>,
    /// Seconds without news of the control plane past which a snapshot is stale [default: 60, or three heartbeats]
    #[arg(id = "max-staleness-seconds", long, env = "DOORWARD_MAX_STALENESS_SECONDS", value_name = "SECONDS")]
    pub max_staleness_seconds: Option<u64>,
}

/// Envoy's door.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct RawExtAuthz {
    /// Header that names the subject, set by a proxy you trust; off unless named. It never reaches the upstream
    #[arg(id = "subject-header", long, env = "DOORWARD_SUBJECT_HEADER", value_name = "NAME")]
    pub subject_header: Option<String>,
    /// Where the subject comes from, first present decides [default: `bearer,context_extensions,header`]
    #[arg(id = "subject-sources", long, env = "DOORWARD_SUBJECT_SOURCES", value_name = "LIST", value_delimiter = ',')]
    pub subject_sources: Option<Vec<String>>,
}

/// The administrative listener.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct RawAdmin {
    /// Address of the administrative listener [default: 127.0.0.1:7072]; loopback only, as there is no TLS yet
    #[arg(id = "admin-listen", long, env = "DOORWARD_ADMIN_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<String>,
}

/// The metrics listener.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct RawMetrics {
    /// Address of /metrics, /livez and /readyz [default: 127.0.0.1:7073]; `off` for none
    #[arg(id = "metrics-listen", long, env = "DOORWARD_METRICS_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<String>,
}

/// The store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct RawStore {
    /// Directory of the store and of the credentials made at its first start [default: doorward-data]
    #[arg(id = "data-directory", long, env = "DOORWARD_DATA_DIRECTORY", value_name = "PATH")]
    pub directory: Option<PathBuf>,
    /// State file that an empty store begins with
    #[arg(id = "state", long, env = "DOORWARD_STATE", value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Newest commits that stay in the log; a sidecar further behind begins anew [default: 10000]
    #[arg(id = "log-commits", long, env = "DOORWARD_LOG_COMMITS", value_name = "N")]
    pub log_commits: Option<u64>,
    /// Hours for which a request id is remembered [default: 24]
    #[arg(id = "request-hours", long, env = "DOORWARD_REQUEST_HOURS", value_name = "HOURS")]
    pub request_hours: Option<u64>,
    /// Days for which audit events are kept [default: 90]
    #[arg(id = "audit-days", long, env = "DOORWARD_AUDIT_DAYS", value_name = "DAYS")]
    pub audit_days: Option<u64>,
    /// `embedded` (a file in the data directory) or `etcd` [default: embedded]
    #[arg(id = "store", long, env = "DOORWARD_STORE", value_name = "ENGINE")]
    pub engine: Option<String>,
    /// etcd
    #[command(flatten)]
    pub etcd: RawEtcd,
}

/// The store in etcd.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct RawEtcd {
    /// Members of etcd, `https://HOST:PORT`; `http://` on this machine only
    #[arg(id = "etcd-endpoints", long, env = "DOORWARD_ETCD_ENDPOINTS", value_name = "URLS", value_delimiter = ',')]
    pub endpoints: Option<Vec<String>>,
    /// What the keys of this store begin with [default: /doorward/]
    #[arg(id = "etcd-prefix", long, env = "DOORWARD_ETCD_PREFIX", value_name = "PREFIX")]
    pub prefix: Option<String>,
    /// Authorities (PEM) that sign the members' certificates [default: those of the system]
    #[arg(id = "etcd-ca-file", long, env = "DOORWARD_ETCD_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Certificate (PEM) to show to the members [default: none]
    #[arg(id = "etcd-certificate-file", long, env = "DOORWARD_ETCD_CERTIFICATE_FILE", value_name = "FILE")]
    pub certificate_file: Option<PathBuf>,
    /// Key (PEM) of that certificate
    #[arg(id = "etcd-key-file", long, env = "DOORWARD_ETCD_KEY_FILE", value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// User of etcd [default: none]
    #[arg(id = "etcd-username", long, env = "DOORWARD_ETCD_USERNAME", value_name = "NAME")]
    pub username: Option<String>,
    /// File with the password of that user
    #[arg(id = "etcd-password-file", long, env = "DOORWARD_ETCD_PASSWORD_FILE", value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

/// The watch of a sidecar.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct RawSync {
    /// Control planes to watch, `http://HOST:PORT`: one, or several of one store with commas between
    #[arg(id = "control-plane", long, env = "DOORWARD_CONTROL_PLANE", value_name = "URL", value_delimiter = ',')]
    #[serde(deserialize_with = "one_or_many")]
    pub control_plane: Option<Vec<String>>,
    /// File with the watch credential
    #[arg(id = "token-file", long, env = "DOORWARD_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// What the control plane calls this sidecar [default: `sidecar` and the process id]
    #[arg(id = "sidecar-name", long, env = "DOORWARD_SIDECAR_NAME", value_name = "NAME")]
    pub name: Option<String>,
    /// What is asked for: `ACCOUNT` or `ACCOUNT/ENVIRONMENT`, several with commas between [default: everything]
    #[arg(id = "scope", long, env = "DOORWARD_SCOPE", value_name = "SCOPE", value_delimiter = ',')]
    pub scope: Option<Vec<String>>,
    /// Folder of the last good snapshot, or `off` [default: the data directory]
    #[arg(id = "snapshot-directory", long, env = "DOORWARD_SNAPSHOT_DIRECTORY", value_name = "DIRECTORY")]
    pub snapshot_directory: Option<PathBuf>,
    /// Take an older revision than was kept before, from disk and from the control plane: where its store was put back
    #[arg(id = "accept-older-revision", long, env = "DOORWARD_ACCEPT_OLDER_REVISION", num_args = 0..=1, default_missing_value = "true")]
    pub accept_older_revision: Option<bool>,
    /// File with the public key of the control planes, Ed25519 in PEM: what they did not sign is refused
    #[arg(id = "public-key-file", long, env = "DOORWARD_PUBLIC_KEY_FILE", value_name = "FILE")]
    pub public_key_file: Option<PathBuf>,
    /// File with the private key that a control plane signs with, Ed25519 in PEM
    #[arg(id = "signing-key-file", long, env = "DOORWARD_SIGNING_KEY_FILE", value_name = "FILE")]
    pub signing_key_file: Option<PathBuf>,
    /// Seconds after which a stream is opened anew, about [default: 3600]
    #[arg(id = "stream-lifetime-seconds", long, env = "DOORWARD_STREAM_LIFETIME_SECONDS", value_name = "SECONDS")]
    pub stream_lifetime_seconds: Option<u64>,
    /// Seconds between the heartbeats of the control plane [default: 5]
    #[arg(id = "heartbeat-seconds", long, env = "DOORWARD_HEARTBEAT_SECONDS", value_name = "SECONDS")]
    pub heartbeat_seconds: Option<u64>,
}

/// Logs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct RawLog {
    /// `text` or `json` [default: text]
    #[arg(id = "log-format", long, env = "DOORWARD_LOG_FORMAT", value_name = "FORMAT")]
    pub format: Option<String>,
    /// What is logged, such as `info` or `doorward=debug` [default: info]
    #[arg(id = "log-filter", long, env = "DOORWARD_LOG_FILTER", value_name = "FILTER")]
    pub filter: Option<String>,
}

/// The end of the process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct RawDrain {
    /// Seconds between `NOT_SERVING` and the end of accepting [default: 0]
    #[arg(id = "drain-delay-seconds", long, env = "DOORWARD_DRAIN_DELAY_SECONDS", value_name = "SECONDS")]
    pub delay_seconds: Option<u64>,
    /// Seconds that calls under way are given [default: 10]
    #[arg(id = "drain-grace-seconds", long, env = "DOORWARD_DRAIN_GRACE_SECONDS", value_name = "SECONDS")]
    pub grace_seconds: Option<u64>,
}

/// The same keys as flags and environment variables.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct Flags {
    /// Configuration file (TOML); flags and environment variables win over it
    #[arg(id = "config", long, env = "DOORWARD_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Check listener
    #[command(flatten)]
    pub check: RawCheck,
    /// Envoy's door
    #[command(flatten)]
    pub ext_authz: RawExtAuthz,
    /// Administrative listener
    #[command(flatten)]
    pub admin: RawAdmin,
    /// Metrics listener
    #[command(flatten)]
    pub metrics: RawMetrics,
    /// Store
    #[command(flatten)]
    pub store: RawStore,
    /// Watch
    #[command(flatten)]
    pub sync: RawSync,
    /// Logs
    #[command(flatten)]
    pub log: RawLog,
    /// Drain
    #[command(flatten)]
    pub drain: RawDrain,
}

// === impl RawConfig ===

impl RawConfig {
    /// Reads a TOML text.
    ///
    /// # Errors
    /// The parser's message with line and column, for a syntax error or an unknown key.
    pub fn from_toml(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// What the flags say, and where they say nothing what the file said.
    #[must_use]
    pub fn overridden_by(self, flags: Flags) -> Self {
        let Flags { config: _, check, ext_authz, admin, metrics, store, sync, log, drain } = flags;
        Self {
            check: RawCheck {
                listen: check.listen.or(self.check.listen),
                socket: check.socket.or(self.check.socket),
                account: check.account.or(self.check.account),
                reflection: check.reflection.or(self.check.reflection),
                max_message_bytes: check.max_message_bytes.or(self.check.max_message_bytes),
                max_wait_ms: check.max_wait_ms.or(self.check.max_wait_ms),
                stale_mode: check.stale_mode.or(self.check.stale_mode),
                max_staleness_seconds: check.max_staleness_seconds.or(self.check.max_staleness_seconds),
            },
            ext_authz: RawExtAuthz {
                subject_header: ext_authz.subject_header.or(self.ext_authz.subject_header),
                subject_sources: ext_authz.subject_sources.or(self.ext_authz.subject_sources),
            },
            admin: RawAdmin { listen: admin.listen.or(self.admin.listen) },
            metrics: RawMetrics { listen: metrics.listen.or(self.metrics.listen) },
            store: self.store.overridden_by(store),
            sync: RawSync {
                control_plane: sync.control_plane.or(self.sync.control_plane),
                token_file: sync.token_file.or(self.sync.token_file),
                name: sync.name.or(self.sync.name),
                scope: sync.scope.or(self.sync.scope),
                snapshot_directory: sync.snapshot_directory.or(self.sync.snapshot_directory),
                accept_older_revision: sync.accept_older_revision.or(self.sync.accept_older_revision),
                public_key_file: sync.public_key_file.or(self.sync.public_key_file),
                signing_key_file: sync.signing_key_file.or(self.sync.signing_key_file),
                stream_lifetime_seconds: sync.stream_lifetime_seconds.or(self.sync.stream_lifetime_seconds),
                heartbeat_seconds: sync.heartbeat_seconds.or(self.sync.heartbeat_seconds),
            },
            log: RawLog { format: log.format.or(self.log.format), filter: log.filter.or(self.log.filter) },
            drain: RawDrain {
                delay_seconds: drain.delay_seconds.or(self.drain.delay_seconds),
                grace_seconds: drain.grace_seconds.or(self.drain.grace_seconds),
            },
        }
    }
}

// === impl RawStore ===

impl RawStore {
    fn overridden_by(self, flags: Self) -> Self {
        let (file, etcd) = (self.etcd, flags.etcd);
        Self {
            directory: flags.directory.or(self.directory),
            state: flags.state.or(self.state),
            log_commits: flags.log_commits.or(self.log_commits),
            request_hours: flags.request_hours.or(self.request_hours),
            audit_days: flags.audit_days.or(self.audit_days),
            engine: flags.engine.or(self.engine),
            etcd: RawEtcd {
                endpoints: etcd.endpoints.or(file.endpoints),
                prefix: etcd.prefix.or(file.prefix),
                ca_file: etcd.ca_file.or(file.ca_file),
                certificate_file: etcd.certificate_file.or(file.certificate_file),
                key_file: etcd.key_file.or(file.key_file),
                username: etcd.username.or(file.username),
                password_file: etcd.password_file.or(file.password_file),
            },
        }
    }
}

/// A text, or a list of them.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(Some(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(text) => vec![text],
        OneOrMany::Many(texts) => texts,
    }))
}
