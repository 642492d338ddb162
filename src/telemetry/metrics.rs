//! Prometheus metrics: structs with closed label sets, no subject, no attribute value.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::model::moment::Moment;
use series::{
    AdminLabels, AdminSeries, ApiLabels, CheckLabels, CheckSeries, ConnectLabels, EventLabels, FreshnessSeries,
    MethodLabels, RejectedLabels, RowLabels, SnapshotSeries, StoreSeries, WaitLabels, WatchSeries,
};

mod series;

/// Every series, and the registry they are read from. A cheap clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    check: CheckSeries,
    snapshot: SnapshotSeries,
    freshness: FreshnessSeries,
    watch: WatchSeries,
    admin: AdminSeries,
    store: StoreSeries,
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
        let mut registry = Registry::with_prefix("doorward");
        let check = CheckSeries::register(&mut registry);
        let snapshot = SnapshotSeries::register(&mut registry);
        let freshness = FreshnessSeries::register(&mut registry);
        let watch = WatchSeries::register(&mut registry);
        let admin = AdminSeries::register(&mut registry);
        let store = StoreSeries::register(&mut registry);
        Self { registry: Arc::new(registry), check, snapshot, freshness, watch, admin, store }
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
        self.snapshot.revision.set(i64::try_from(revision).unwrap_or(i64::MAX));
        self.snapshot.builds.observe(took.as_secs_f64());
    }

    /// The published snapshot was known to be the newest at this time.
    pub fn confirmed(&self, at: Moment) {
        self.snapshot.confirmed.set(at.unix_seconds());
    }

    /// The published snapshot is this old.
    pub fn age(&self, age: Duration) {
        self.snapshot.age.set(age.as_secs_f64());
    }

    /// The published snapshot is too old, or not any more.
    pub fn stale(&self, stale: bool) {
        self.freshness.stale.set(stale.into());
    }

    /// Begins to observe a wait for a fresher snapshot.
    #[must_use]
    pub fn wait(&self) -> WaitObserver<'_> {
        self.freshness.waiting.inc();
        WaitObserver { metrics: self, outcome: "cancelled" }
    }

    /// A call was not let wait, as too many do.
    pub fn wait_refused(&self) {
        self.freshness.waits.get_or_create(&WaitLabels { outcome: "refused" }).inc();
    }

    /// So many bound statements are not known to the catalogue.
    pub fn retired(&self, statements: usize) {
        self.snapshot.retired.set(i64::try_from(statements).unwrap_or(i64::MAX));
    }

    /// An administrative call came without a credential that is good for it.
    pub fn admin_refused(&self) {
        self.admin.refused.inc();
    }

    /// A state was refused by the build.
    pub fn build_rejected(&self) {
        self.snapshot.rejected.inc();
    }

    /// A watch event of this kind arrived.
    pub fn watch_event(&self, event: &'static str) {
        self.watch.events.get_or_create(&EventLabels { event }).inc();
    }

    /// A watch stream was opened, or could not be.
    pub fn watch_connect(&self, outcome: &'static str) {
        self.watch.connects.get_or_create(&ConnectLabels { outcome }).inc();
    }

    /// Counts a watcher until the guard is dropped.
    #[must_use]
    pub fn watcher(&self) -> WatcherGuard {
        self.watch.watchers.inc();
        WatcherGuard(self.watch.watchers.clone())
    }

    /// An event was refused: `kind` says what is wrong with it.
    pub fn watch_rejected(&self, kind: &'static str) {
        self.watch.rejected.get_or_create(&RejectedLabels { kind }).inc();
    }

    /// A change has just been published, so many seconds after it was committed.
    pub fn lag(&self, seconds: f64) {
        // The clock of the control plane may be ahead.
        self.watch.lag.observe(seconds.max(0.0));
    }

    /// The snapshot was written to disk, or could not be.
    pub fn snapshot_kept(&self, outcome: &'static str) {
        self.snapshot.kept.get_or_create(&ConnectLabels { outcome }).inc();
    }

    /// A watcher is told the whole state.
    pub fn watch_reset(&self) {
        self.watch.resets.inc();
    }

    /// Compaction took away so many entries of the log, request ids and audit events.
    pub fn compacted(&self, commits: u64, requests: u64, audit: u64, log_start: u64) {
        for (rows, count) in [("log", commits), ("requests", requests), ("audit", audit)] {
            self.store.compacted.get_or_create(&RowLabels { rows }).inc_by(count);
        }
        self.store.log_start.set(i64::try_from(log_start).unwrap_or(i64::MAX));
    }

    /// A compaction failed.
    pub fn compaction_failed(&self) {
        self.store.compactions_failed.inc();
    }

    /// What the store tells was the newest so long ago.
    pub fn store_staleness(&self, staleness: Duration) {
        self.store.staleness.set(staleness.as_secs_f64());
    }

    /// An administrative call ended, after so long.
    pub fn admin_call(&self, method: &'static str, code: &'static str, took: Duration) {
        self.admin.seconds.get_or_create(&MethodLabels { method }).observe(took.as_secs_f64());
        self.admin.calls.get_or_create(&AdminLabels { method, code }).inc();
    }
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
        self.metrics.check.answered.get_or_create(&CheckLabels { api: self.api, outcome: self.outcome }).inc();
        let seconds = self.begun.elapsed().as_secs_f64();
        self.metrics.check.seconds.get_or_create(&ApiLabels { api: self.api }).observe(seconds);
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
        self.metrics.freshness.waiting.dec();
        self.metrics.freshness.waits.get_or_create(&WaitLabels { outcome: self.outcome }).inc();
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
