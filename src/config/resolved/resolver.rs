//! Each key judged, with all that is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::raw::{RawCheck, RawConfig, RawExtAuthz, RawStore, RawSync};
use super::{
    CheckConfig, Config, ConfigProblem, DrainConfig, KeepConfig, LogConfig, Role, StoreConfig, UpstreamConfig,
    is_loopback,
};
use crate::edge::envoy::SubjectSource;
use crate::model::freshness::{FreshnessPolicy, StaleMode};
use crate::model::id::{AccountId, EnvironmentId};
use crate::model::scope::{Environments, Scope};
use crate::telemetry::log::{LogFormat, parse_filter};

/// The longest that a call may be let wait: below the ten seconds after which the server ends it.
const MOST_WAIT: Duration = Duration::from_secs(9);
/// A week.
const MOST_STALENESS_SECONDS: u64 = 7 * 86_400;

/// Adds an environment of an account, or all of it.
fn add_to(accounts: &mut BTreeMap<AccountId, Environments>, account: AccountId, environment: Option<EnvironmentId>) {
    let known = accounts.entry(account).or_insert_with(|| Environments::Only(BTreeSet::new()));
    match (known, environment) {
        (Environments::Only(ids), Some(id)) => {
            ids.insert(id);
        }
        (known, None) => *known = Environments::All,
        (Environments::All, Some(_)) => {}
    }
}

/// Judges key by key, and notes every problem.
#[derive(Default)]
pub(super) struct Resolver {
    pub(super) problems: Vec<ConfigProblem>,
}

// === impl Resolver ===

impl Resolver {
    pub(super) fn config(&mut self, raw: RawConfig, role: Role) -> Option<Config> {
        let RawConfig { check, ext_authz, admin, metrics, store, sync, log, drain } = raw;
        let heartbeat = self.seconds("sync.heartbeat_seconds", sync.heartbeat_seconds, 5, 1..=3_600);
        let freshness = self.freshness(&check, heartbeat, role);
        let check = self.check(check, ext_authz, freshness, role);
        let admin = self.admin(admin.listen.as_deref());
        let metrics = self.optional_address("metrics.listen", metrics.listen.as_deref(), "127.0.0.1:7073");
        let directory = store.directory.clone().unwrap_or_else(|| PathBuf::from("doorward-data"));
        let signing_key = sync.signing_key_file.clone();
        let upstream = match role {
            Role::Sidecar => self.upstream(sync, &directory),
            Role::Serve | Role::ControlPlane => None,
        };
        let store = self.store(store, directory);
        let log = self.log(log.format.as_deref(), log.filter);
        let delay = self.seconds("drain.delay_seconds", drain.delay_seconds, 0, 0..=600);
        let grace = self.seconds("drain.grace_seconds", drain.grace_seconds, 10, 0..=600);
        Some(Config {
            check,
            admin: admin?,
            metrics,
            store: store?,
            upstream,
            heartbeat,
            signing_key,
            log: log?,
            drain: DrainConfig { delay, grace },
        })
    }

    pub(super) fn refuse<T>(&mut self, key: &'static str, problem: impl Into<String>) -> Option<T> {
        self.problems.push(ConfigProblem { key, problem: problem.into() });
        None
    }

    /// How long calls wait, and how old a snapshot may be.
    fn freshness(&mut self, raw: &RawCheck, heartbeat: Duration, role: Role) -> FreshnessPolicy {
        let usual = FreshnessPolicy::default();
        let max_wait = raw.max_wait_ms.map_or(usual.max_wait, Duration::from_millis);
        if max_wait > MOST_WAIT {
            let (given, most) = (max_wait.as_millis(), MOST_WAIT.as_millis());
            self.refuse::<()>(
                "check.max_wait_ms",
                format!("{given} is more than {most}; a call ends after 10 seconds"),
            );
        }
        let stale_mode = raw.stale_mode.as_deref().map_or(Some(usual.stale_mode), |name| self.stale_mode(name));
        let stale_mode = stale_mode.unwrap_or(usual.stale_mode);
        let default = usual.max_staleness.max(heartbeat * 3).as_secs();
        let key = "check.max_staleness_seconds";
        let max_staleness = self.seconds(key, raw.max_staleness_seconds, default, 1..=MOST_STALENESS_SECONDS);
        if role != Role::ControlPlane && max_staleness <= heartbeat * 2 {
            let (given, least) = (max_staleness.as_secs(), heartbeat.as_secs() * 2);
            let problem = format!(
                "{given} is not above two heartbeats, {least} seconds, so a single one that is late would make a snapshot \
                 stale; raise it, or lower `sync.heartbeat_seconds`"
            );
            self.refuse::<()>(key, problem);
        }
        FreshnessPolicy { max_wait, stale_mode, max_staleness }
    }

    fn stale_mode(&mut self, name: &str) -> Option<StaleMode> {
        let known = StaleMode::NAMES.into_iter().find(|(known, _)| *known == name);
        let problem = || format!("`{}` is none of serve, deny, unavailable", name.escape_debug());
        known.map(|(_, mode)| mode).or_else(|| self.refuse("check.stale_mode", problem()))
    }

    fn check(&mut self, raw: RawCheck, ext: RawExtAuthz, freshness: FreshnessPolicy, role: Role) -> CheckConfig {
        let listen = self.optional_address("check.listen", raw.listen.as_deref(), "127.0.0.1:7070");
        if listen.is_none()
            && raw.socket.is_none()
            && role != Role::ControlPlane
            && raw.listen.as_deref() == Some("off")
        {
            self.refuse::<()>(
                "check.listen",
                "is `off` and `check.socket` is not set, so nothing could ask; set one of them",
            );
        }
        let account = raw.account.map(|text| match text.parse() {
            Ok(id) => Some(id),
            Err(problem) => self.refuse("check.account", format!("`{text}` {problem}")),
        });
        let max_message_bytes = raw.max_message_bytes.unwrap_or(4 * 1024 * 1024);
        if !(1_024..=64 * 1024 * 1024).contains(&max_message_bytes) {
            self.refuse::<()>(
                "check.max_message_bytes",
                format!("{max_message_bytes} is not between 1,024 and 67,108,864"),
            );
        }
        let subject_header = ext.subject_header.map(|name| self.header(&name));
        let subject_sources = self.sources(ext.subject_sources, subject_header.is_some());
        CheckConfig {
            listen,
            socket: raw.socket,
            account: account.unwrap_or(None),
            reflection: raw.reflection.unwrap_or(false),
            max_message_bytes,
            subject_header: subject_header.unwrap_or(None),
            subject_sources,
            freshness,
        }
    }

    fn header(&mut self, name: &str) -> Option<String> {
        match http::HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) if matches!(name.as_str(), "host" | "authorization" | "cookie") => self.refuse(
                "ext_authz.subject_header",
                format!("`{name}` has a meaning of its own; use a header made for this"),
            ),
            Ok(name) => Some(name.as_str().to_owned()),
            Err(_) => self.refuse("ext_authz.subject_header", format!("`{}` is no header name", name.escape_debug())),
        }
    }

    fn sources(&mut self, named: Option<Vec<String>>, has_header: bool) -> Vec<SubjectSource> {
        let default = [SubjectSource::Bearer, SubjectSource::ContextExtensions, SubjectSource::Header];
        let Some(named) = named else { return default.to_vec() };
        let mut sources = Vec::new();
        for name in named {
            let Some((_, source)) = SubjectSource::NAMES.into_iter().find(|(known, _)| *known == name) else {
                let problem = format!("`{}` is none of bearer, context_extensions, header", name.escape_debug());
                self.refuse::<()>("ext_authz.subject_sources", problem);
                continue;
            };
            if source == SubjectSource::Header && !has_header {
                self.refuse::<()>(
                    "ext_authz.subject_sources",
                    "names `header`, but `ext_authz.subject_header` is not set",
                );
            }
            if sources.contains(&source) {
                self.refuse::<()>("ext_authz.subject_sources", format!("names `{name}` twice"));
            }
            sources.push(source);
        }
        sources
    }

    fn admin(&mut self, listen: Option<&str>) -> Option<SocketAddr> {
        let address = self.address("admin.listen", listen.unwrap_or("127.0.0.1:7072"))?;
        if address.ip().is_loopback() {
            return Some(address);
        }
        let problem = format!(
            "{address} is not a loopback address; without TLS the root credential would cross the network in clear; \
             listen on 127.0.0.1 or [::1] and put a tunnel in front"
        );
        self.refuse("admin.listen", problem)
    }

    fn address(&mut self, key: &'static str, text: &str) -> Option<SocketAddr> {
        match text.parse() {
            Ok(address) => Some(address),
            Err(_) => self
                .refuse(key, format!("`{}` is no address; write IP:PORT, such as 127.0.0.1:7070", text.escape_debug())),
        }
    }

    fn optional_address(&mut self, key: &'static str, text: Option<&str>, default: &str) -> Option<SocketAddr> {
        match text {
            Some("off") => None,
            other => self.address(key, other.unwrap_or(default)),
        }
    }

    fn upstream(&mut self, raw: RawSync, data: &Path) -> Option<UpstreamConfig> {
        let urls = raw.control_plane.unwrap_or_default();
        if urls.is_empty() {
            self.refuse::<()>("sync.control_plane", "is missing; a sidecar follows one, such as http://127.0.0.1:7072");
        }
        let count = urls.len();
        let control_planes: Vec<String> = urls.into_iter().filter_map(|url| self.control_plane(url)).collect();
        let token_file = match raw.token_file {
            None => self.refuse("sync.token_file", "is missing; it holds the watch credential of the control plane"),
            some => some,
        };
        let name = raw.name.and_then(|name| match name.parse() {
            Ok(name) => Some(name),
            Err(problem) => self.refuse("sync.name", format!("{problem}")),
        });
        let scope = self.scope(raw.scope);
        let directory = raw.snapshot_directory.unwrap_or_else(|| data.to_owned());
        let stream_lifetime =
            self.seconds("sync.stream_lifetime_seconds", raw.stream_lifetime_seconds, 3_600, 10..=604_800);
        if control_planes.len() < count {
            return None;
        }
        Some(UpstreamConfig {
            control_planes,
            token_file: token_file?,
            name,
            scope,
            public_key: raw.public_key_file,
            snapshot_directory: (directory != Path::new("off")).then_some(directory),
            accepts_older_revision: raw.accept_older_revision.unwrap_or(false),
            stream_lifetime,
        })
    }

    fn scope(&mut self, entries: Option<Vec<String>>) -> Scope {
        let Some(entries) = entries else { return Scope::everything() };
        let mut accounts: BTreeMap<AccountId, Environments> = BTreeMap::new();
        if entries.is_empty() {
            self.refuse::<()>("sync.scope", "is empty; leave it out for everything");
        }
        for entry in entries {
            let (account, environment) = entry.split_once('/').map_or((entry.as_str(), None), |(a, e)| (a, Some(e)));
            match (account.parse(), environment.map(str::parse).transpose()) {
                (Ok(account), Ok(environment)) => add_to(&mut accounts, account, environment),
                (Err(problem), _) | (_, Err(problem)) => {
                    self.refuse::<()>("sync.scope", format!("`{}` {problem}", entry.escape_debug()));
                }
            }
        }
        Scope::of(accounts)
    }

    fn control_plane(&mut self, url: String) -> Option<String> {
        let shown = url.escape_debug().to_string();
        let Ok(uri) = url.parse::<http::Uri>() else {
            return self.refuse("sync.control_plane", format!("`{shown}` is no URL; write http://HOST:PORT"));
        };
        let Some(host) = uri.host().filter(|_| uri.scheme_str() == Some("http")) else {
            return self.refuse("sync.control_plane", format!("`{shown}` does not begin with http:// and a host"));
        };
        if is_loopback(host) {
            return Some(url);
        }
        let problem =
            format!("`{shown}` is not on this machine; without TLS the credential would cross the network in clear");
        self.refuse("sync.control_plane", problem)
    }

    fn log(&mut self, format: Option<&str>, filter: Option<String>) -> Option<LogConfig> {
        let filter = filter.unwrap_or_else(|| "info".to_owned());
        if parse_filter(&filter).is_err() {
            self.refuse::<()>(
                "log.filter",
                format!("`{}` is no filter; write `info` or `doorward=debug`", filter.escape_debug()),
            );
        }
        let format = match format {
            None | Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(other) => {
                return self.refuse("log.format", format!("`{}` is neither text nor json", other.escape_debug()));
            }
        };
        Some(LogConfig { format, filter })
    }

    fn store(&mut self, raw: RawStore, directory: PathBuf) -> Option<StoreConfig> {
        let engine = self.engine(raw.engine.as_deref(), raw.etcd);
        let hours = self.number("store.request_hours", raw.request_hours, 24, 1..=8_760, "hours");
        let days = self.number("store.audit_days", raw.audit_days, 90, 1..=36_500, "days");
        let keep = KeepConfig {
            log_commits: self.number("store.log_commits", raw.log_commits, 10_000, 1..=10_000_000, "commits"),
            requests: Duration::from_hours(hours),
            audit: Duration::from_hours(days.saturating_mul(24)),
        };
        Some(StoreConfig { engine: engine?, directory, state: raw.state, keep })
    }

    fn seconds(
        &mut self,
        key: &'static str,
        given: Option<u64>,
        default: u64,
        range: std::ops::RangeInclusive<u64>,
    ) -> Duration {
        Duration::from_secs(self.number(key, given, default, range, "seconds"))
    }

    /// A number within `range`; one that is not is refused, and the default is gone on with.
    fn number(
        &mut self,
        key: &'static str,
        given: Option<u64>,
        default: u64,
        range: std::ops::RangeInclusive<u64>,
        unit: &str,
    ) -> u64 {
        let number = given.unwrap_or(default);
        if range.contains(&number) {
            return number;
        }
        self.refuse::<()>(key, format!("{number} is not between {} and {} {unit}", range.start(), range.end()));
        default
    }
}
