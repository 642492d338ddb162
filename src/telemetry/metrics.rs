//! Prometheus metrics: structs with closed label sets, no subject, no attribute value.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::model::moment::Moment;

/// Seconds a check may take: the buckets are about those that matter below Envoy's 200 ms.
const CHECK_BUCKETS: [f64; 14] =
    [1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 5e-3, 2.5e-2, 0.1, 0.2];
/// Seconds from a commit's event to the snapshot that has it.
const BUILD_BUCKETS: [f64; 9] = [1e-4, 5e-4, 1e-3, 5e-3, 2e-2, 0.1, 0.5, 2.0, 10.0];

/// Seconds from a commit to the snapshot that has it.
const LAG_BUCKETS: [f64; 10] = [1e-3, 2.5e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.5, 2.0, 10.0];

/// Seconds of an administrative call.
const CALL_BUCKETS: [f64; 10] = [2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 2e-2, 0.1, 0.5, 2.0, 10.0];

type FloatGauge = Gauge<f64, AtomicU64>;

/// Every series, and the registry they are read from. A cheap clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    checks: Family<CheckLabels, Counter>,
    check_seconds: Family<ApiLabels, Histogram>,
    snapshot_revision: Gauge,
    snapshot_confirmed: FloatGauge,
    snapshot_age: FloatGauge,
    stale: Gauge,
    waits: Family<WaitLabels, Counter>,
    waiting: Gauge,
    snapshot_builds: Histogram,
    snapshot_rejected: Counter,
    snapshot_retired: Gauge,
    admin_refused: Counter,
    watch_events: Family<EventLabels, Counter>,
    watch_connects: Family<ConnectLabels, Counter>,
    watchers: Gauge,
    watch_resets: Counter,
    watch_rejected: Family<RejectedLabels, Counter>,
    watch_lag: Histogram,
    snapshot_kept: Family<ConnectLabels, Counter>,
    admin_calls: Family<AdminLabels, Counter>,
    admin_seconds: Family<MethodLabels, Histogram>,
    store_compacted: Family<RowLabels, Counter>,
    store_compactions_failed: Counter,
    store_log_start: Gauge,
    store_staleness: FloatGauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ApiLabels {
    api: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CheckLabels {
    api: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    event: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConnectLabels {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RejectedLabels {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WaitLabels {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AdminLabels {
    method: &'static str,
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabels {
    method: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RowLabels {
    rows: &'static str,
}

/// Which door a check, or another question, came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// `doorward.v1.AuthorizationService`.
    Native,
    /// `envoy.service.auth.v3.Authorization`.
    ExtAuthz,
    /// An item of `doorward.v1.AuthorizationService/BatchCheck`.
    Batch,
    /// `doorward.v1.AuthorizationService/Resolve`.
    Resolve,
    /// `doorward.v1.AuthorizationService/ListPermissions`.
    ListPermissions,
    /// `doorward.v1.AuthorizationService/Filter`.
    Filter,
}

/// Counts one check when it is told how the check ended, and counts it as cancelled where it never is.
#[derive(Debug)]
pub struct CheckObserver<'m> {
    metrics: &'m Metrics,
    api: &'static str,
    outcome: &'static str,
    begun: Instant,
}

/// Counts one call as waiting for as long as it lives, and its wait when it is told how that ended, as cancelled where it
/// never is.
#[derive(Debug)]
pub struct WaitObserver<'m> {
    metrics: &'m Metrics,
    outcome: &'static str,
}

/// Counts one watcher for as long as it lives.
#[derive(Debug)]
pub struct WatcherGuard(Gauge);

// === impl Metrics ===

impl Default for Metrics {
    fn default() -> Self {
        let checks = Family::default();
        let check_seconds = Family::new_with_constructor((|| Histogram::new(CHECK_BUCKETS)) as fn() -> Histogram);
        let snapshot_revision = Gauge::default();
        let snapshot_confirmed = FloatGauge::default();
        // Before the first snapshot there is no age, and no alarm about one.
        let snapshot_age = FloatGauge::default();
        snapshot_age.set(f64::NAN);
        let (stale, waits, waiting) = (Gauge::default(), Family::default(), Gauge::default());
        let snapshot_builds = Histogram::new(BUILD_BUCKETS);
        let (snapshot_rejected, admin_refused) = (Counter::default(), Counter::default());
        let snapshot_retired = Gauge::default();
        let (watch_events, watch_connects, admin_calls) = (Family::default(), Family::default(), Family::default());
        let (watchers, watch_resets) = (Gauge::default(), Counter::default());
        let (store_compacted, store_compactions_failed, store_log_start) = Default::default();
        let mut registry = Registry::with_prefix("doorward");
        registry.register("checks", "Checks and other questions answered, by door and outcome", Family::clone(&checks));
        let help = "Time to answer a check, from the decoded request to the reply";
        registry.register_with_unit("check_duration", help, Unit::Seconds, Family::clone(&check_seconds));
        registry.register("snapshot_revision", "Revision of the published snapshot", snapshot_revision.clone());
        let help = "When the published snapshot was last known to be the newest, in Unix time";
        registry.register_with_unit("snapshot_confirmed_timestamp", help, Unit::Seconds, snapshot_confirmed.clone());
        let help = "Time since the published snapshot was last known to be the newest; NaN before the first";
        registry.register_with_unit("snapshot_age", help, Unit::Seconds, snapshot_age.clone());
        let help = "Whether the published snapshot is older than `check.max_staleness_seconds`";
        registry.register("stale", help, stale.clone());
        let help = "Waits for a snapshot as fresh as a call demanded, by outcome";
        registry.register("freshness_waits", help, Family::clone(&waits));
        let help = "Calls that wait at the moment for a snapshot as fresh as they demand";
        registry.register("freshness_waiting", help, waiting.clone());
        let help = "Time to build a snapshot";
        registry.register_with_unit("snapshot_build_duration", help, Unit::Seconds, snapshot_builds.clone());
        let help =
            "States that were refused: not built, or older than what was answered from; the last good one stayed";
        registry.register("snapshot_builds_rejected", help, snapshot_rejected.clone());
        let help = "Bound statements that the catalogue no longer knows; they grant nothing";
        registry.register("snapshot_statements_retired", help, snapshot_retired.clone());
        let help = "Administrative calls without a credential that is good for them";
        registry.register("admin_calls_refused", help, admin_refused.clone());
        registry.register("watch_events", "Watch events received, by kind", Family::clone(&watch_events));
        registry.register("watch_connects", "Watch streams opened, by outcome", Family::clone(&watch_connects));
        registry.register("watchers", "Watch streams served at the moment", watchers.clone());
        let watch_rejected = Family::default();
        let help = "Watch events that were refused, by what was wrong: message, order, change or digest";
        registry.register("watch_events_rejected", help, Family::clone(&watch_rejected));
        let snapshot_kept = Family::default();
        let help = "Snapshots written to disk, by outcome";
        registry.register("snapshots_kept", help, Family::clone(&snapshot_kept));
        let watch_lag = Histogram::new(LAG_BUCKETS);
        let help = "Time from a commit, by the control plane's clock, to the snapshot that has it";
        registry.register_with_unit("watch_lag", help, Unit::Seconds, watch_lag.clone());
        registry.register("watch_resets", "Watchers that were told the whole state", watch_resets.clone());
        registry.register("admin_calls", "Administrative calls, by method and code", Family::clone(&admin_calls));
        let admin_seconds = Family::new_with_constructor((|| Histogram::new(CALL_BUCKETS)) as fn() -> Histogram);
        let help = "Time of an administrative call, from the decoded request to its answer";
        registry.register_with_unit("admin_call_duration", help, Unit::Seconds, Family::clone(&admin_seconds));
        register_store(&mut registry, &store_compacted, &store_compactions_failed, &store_log_start);
        // Of a process without a store there is none.
        let store_staleness = FloatGauge::default();
        store_staleness.set(f64::NAN);
        let help =
            "Time since the state of the store was last known to be the newest: 0 where nobody else writes to it";
        registry.register_with_unit("store_staleness", help, Unit::Seconds, store_staleness.clone());
        Self {
            registry: Arc::new(registry),
            checks,
            check_seconds,
            snapshot_revision,
            snapshot_confirmed,
            snapshot_age,
            stale,
            waits,
            waiting,
            snapshot_builds,
            snapshot_rejected,
            snapshot_retired,
            admin_refused,
            watch_events,
            watch_connects,
            watchers,
            watch_resets,
            watch_rejected,
            watch_lag,
            snapshot_kept,
            admin_calls,
            admin_seconds,
            store_compacted,
            store_compactions_failed,
            store_log_start,
            store_staleness,
        }
    }
}

impl Metrics {
    /// Everything in the text format of `OpenMetrics`.
    #[must_use]
    pub fn open_metrics(&self) -> String {
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// Everything in the older text format of Prometheus.
    #[must_use]
    pub fn prometheus(&self) -> String {
        to_prometheus(&self.open_metrics())
    }

    /// Begins to observe a check.
    #[must_use]
    pub fn check(&self, api: Api) -> CheckObserver<'_> {
        CheckObserver { metrics: self, api: api.label(), outcome: "cancelled", begun: Instant::now() }
    }

    /// A snapshot was built in `took` and published.
    pub fn published(&self, revision: u64, took: Duration) {
        self.snapshot_revision.set(i64::try_from(revision).unwrap_or(i64::MAX));
        self.snapshot_builds.observe(took.as_secs_f64());
    }

    /// The published snapshot was known to be the newest at this time.
    pub fn confirmed(&self, at: Moment) {
        self.snapshot_confirmed.set(at.unix_seconds());
    }

    /// The published snapshot is this old.
    pub fn age(&self, age: Duration) {
        self.snapshot_age.set(age.as_secs_f64());
    }

    /// The published snapshot is too old, or not any more.
    pub fn stale(&self, stale: bool) {
        self.stale.set(stale.into());
    }

    /// Begins to observe a wait for a fresher snapshot.
    #[must_use]
    pub fn wait(&self) -> WaitObserver<'_> {
        self.waiting.inc();
        WaitObserver { metrics: self, outcome: "cancelled" }
    }

    /// A call was not let wait, as too many do.
    pub fn wait_refused(&self) {
        self.waits.get_or_create(&WaitLabels { outcome: "refused" }).inc();
    }

    /// So many bound statements are not known to the catalogue.
    pub fn retired(&self, statements: usize) {
        self.snapshot_retired.set(i64::try_from(statements).unwrap_or(i64::MAX));
    }

    /// An administrative call came without a credential that is good for it.
    pub fn admin_refused(&self) {
        self.admin_refused.inc();
    }

    /// A state was refused by the build.
    pub fn build_rejected(&self) {
        self.snapshot_rejected.inc();
    }

    /// A watch event of this kind arrived.
    pub fn watch_event(&self, event: &'static str) {
        self.watch_events.get_or_create(&EventLabels { event }).inc();
    }

    /// A watch stream was opened, or could not be.
    pub fn watch_connect(&self, outcome: &'static str) {
        self.watch_connects.get_or_create(&ConnectLabels { outcome }).inc();
    }

    /// Counts a watcher until the guard is dropped.
    #[must_use]
    pub fn watcher(&self) -> WatcherGuard {
        self.watchers.inc();
        WatcherGuard(self.watchers.clone())
    }

    /// An event was refused: `kind` says what is wrong with it.
    pub fn watch_rejected(&self, kind: &'static str) {
        self.watch_rejected.get_or_create(&RejectedLabels { kind }).inc();
    }

    /// A change has just been published, so many seconds after it was committed.
    pub fn lag(&self, seconds: f64) {
        // The clock of the control plane may be ahead.
        self.watch_lag.observe(seconds.max(0.0));
    }

    /// The snapshot was written to disk, or could not be.
    pub fn snapshot_kept(&self, outcome: &'static str) {
        self.snapshot_kept.get_or_create(&ConnectLabels { outcome }).inc();
    }

    /// A watcher is told the whole state.
    pub fn watch_reset(&self) {
        self.watch_resets.inc();
    }

    /// Compaction took away so many entries of the log, request ids and audit events.
    pub fn compacted(&self, commits: u64, requests: u64, audit: u64, log_start: u64) {
        for (rows, count) in [("log", commits), ("requests", requests), ("audit", audit)] {
            self.store_compacted.get_or_create(&RowLabels { rows }).inc_by(count);
        }
        self.store_log_start.set(i64::try_from(log_start).unwrap_or(i64::MAX));
    }

    /// A compaction failed.
    pub fn compaction_failed(&self) {
        self.store_compactions_failed.inc();
    }

    /// What the store tells was the newest so long ago.
    pub fn store_staleness(&self, staleness: Duration) {
        self.store_staleness.set(staleness.as_secs_f64());
    }

    /// An administrative call ended, after so long.
    pub fn admin_call(&self, method: &'static str, code: &'static str, took: Duration) {
        self.admin_seconds.get_or_create(&MethodLabels { method }).observe(took.as_secs_f64());
        self.admin_calls.get_or_create(&AdminLabels { method, code }).inc();
    }
}

fn register_store(registry: &mut Registry, rows: &Family<RowLabels, Counter>, failed: &Counter, log_start: &Gauge) {
    registry.register("store_compacted", "Rows that compaction took away, by kind", Family::clone(rows));
    let help = "Compactions of the store that failed; the next one goes on";
    registry.register("store_compactions_failed", help, failed.clone());
    let help = "Revision after which the log of the store begins, as of the last compaction";
    registry.register("store_log_start", help, log_start.clone());
}

/// In the older format a counter is described under the name of its series, `_total` and all; units and the mark of the
/// end are unknown.
fn to_prometheus(open_metrics: &str) -> String {
    let counter = |line| str::strip_prefix(line, "# TYPE ")?.strip_suffix(" counter");
    let counters: BTreeSet<&str> = open_metrics.lines().filter_map(counter).collect();
    let mut text = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines() {
        let mut words = line.splitn(4, ' ');
        let _ = match [(); 4].map(|()| words.next()) {
            [Some("#"), Some("UNIT" | "EOF"), ..] => continue,
            [Some("#"), Some(keyword), Some(name), Some(rest)] if counters.contains(name) => {
                // Writing into a string cannot fail.
                writeln!(text, "# {keyword} {name}_total {rest}")
            }
            _ => writeln!(text, "{line}"),
        };
    }
    text
}

// === impl Api ===

impl Api {
    const fn label(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::ExtAuthz => "ext_authz",
            Self::Batch => "batch",
            Self::Resolve => "resolve",
            Self::ListPermissions => "list_permissions",
            Self::Filter => "filter",
        }
    }
}

// === impl CheckObserver ===

impl CheckObserver<'_> {
    /// Says how the check ended: `allow`, `deny` or `error`; what is no decision ends with `answer` or `error`.
    pub fn outcome(mut self, outcome: &'static str) {
        self.outcome = outcome;
    }
}

impl Drop for CheckObserver<'_> {
    fn drop(&mut self) {
        self.metrics.checks.get_or_create(&CheckLabels { api: self.api, outcome: self.outcome }).inc();
        let seconds = self.begun.elapsed().as_secs_f64();
        self.metrics.check_seconds.get_or_create(&ApiLabels { api: self.api }).observe(seconds);
    }
}

// === impl WaitObserver ===

impl WaitObserver<'_> {
    /// Says how the wait ended: `fresh`, `timeout` or `error`.
    pub fn outcome(mut self, outcome: &'static str) {
        self.outcome = outcome;
    }
}

impl Drop for WaitObserver<'_> {
    fn drop(&mut self) {
        self.metrics.waiting.dec();
        self.metrics.waits.get_or_create(&WaitLabels { outcome: self.outcome }).inc();
    }
}

// === impl WatcherGuard ===

impl Drop for WatcherGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_format_describes_counters_by_their_series() {
        let open = "# HELP a_b Two words.\n# TYPE a_b counter\na_b_total{x=\"y z\"} 1\n# TYPE c gauge\n# UNIT c seconds\nc 2\n# EOF\n";
        let older =
            "# HELP a_b_total Two words.\n# TYPE a_b_total counter\na_b_total{x=\"y z\"} 1\n# TYPE c gauge\nc 2\n";
        assert_eq!(to_prometheus(open), older);
    }
}
