//! The series, grouped by what they are of, each registered where it is made.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry, Unit};

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

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ApiLabels {
    pub(super) api: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CheckLabels {
    pub(super) api: &'static str,
    pub(super) outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct EventLabels {
    pub(super) event: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ConnectLabels {
    pub(super) outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RejectedLabels {
    pub(super) kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct WaitLabels {
    pub(super) outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct AdminLabels {
    pub(super) method: &'static str,
    pub(super) code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct MethodLabels {
    pub(super) method: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RowLabels {
    pub(super) rows: &'static str,
}

/// Of checks and other questions.
#[derive(Debug, Clone)]
pub(super) struct CheckSeries {
    pub(super) answered: Family<CheckLabels, Counter>,
    pub(super) seconds: Family<ApiLabels, Histogram>,
}

/// Of the snapshot that is published.
#[derive(Debug, Clone)]
pub(super) struct SnapshotSeries {
    pub(super) revision: Gauge,
    pub(super) confirmed: FloatGauge,
    pub(super) age: FloatGauge,
    pub(super) builds: Histogram,
    pub(super) rejected: Counter,
    pub(super) retired: Gauge,
    pub(super) kept: Family<ConnectLabels, Counter>,
}

/// Of what is demanded of the snapshot.
#[derive(Debug, Clone)]
pub(super) struct FreshnessSeries {
    pub(super) stale: Gauge,
    pub(super) waits: Family<WaitLabels, Counter>,
    pub(super) waiting: Gauge,
}

/// Of watch streams, on both sides.
#[derive(Debug, Clone)]
pub(super) struct WatchSeries {
    pub(super) events: Family<EventLabels, Counter>,
    pub(super) connects: Family<ConnectLabels, Counter>,
    pub(super) rejected: Family<RejectedLabels, Counter>,
    pub(super) lag: Histogram,
    pub(super) watchers: Gauge,
    pub(super) resets: Counter,
}

/// Of administrative calls.
#[derive(Debug, Clone)]
pub(super) struct AdminSeries {
    pub(super) refused: Counter,
    pub(super) calls: Family<AdminLabels, Counter>,
    pub(super) seconds: Family<MethodLabels, Histogram>,
}

/// Of the store.
#[derive(Debug, Clone)]
pub(super) struct StoreSeries {
    pub(super) compacted: Family<RowLabels, Counter>,
    pub(super) compactions_failed: Counter,
    pub(super) log_start: Gauge,
    pub(super) staleness: FloatGauge,
}

// === impl CheckSeries ===

impl CheckSeries {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            answered: plain(
                registry,
                "checks",
                "Checks and other questions answered, by door and outcome",
                Family::default(),
            ),
            seconds: seconds(
                registry,
                "check_duration",
                "Time to answer a check, from the decoded request to the reply",
                Family::new_with_constructor(|| Histogram::new(CHECK_BUCKETS)),
            ),
        }
    }
}

// === impl SnapshotSeries ===

impl SnapshotSeries {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            revision: plain(registry, "snapshot_revision", "Revision of the published snapshot", Gauge::default()),
            confirmed: seconds(
                registry,
                "snapshot_confirmed_timestamp",
                "When the published snapshot was last known to be the newest, in Unix time",
                FloatGauge::default(),
            ),
            age: seconds(
                registry,
                "snapshot_age",
                "Time since the published snapshot was last known to be the newest; NaN before the first",
                unknown(),
            ),
            builds: seconds(
                registry,
                "snapshot_build_duration",
                "Time to build a snapshot",
                Histogram::new(BUILD_BUCKETS),
            ),
            rejected: plain(
                registry,
                "snapshot_builds_rejected",
                "States that were refused: not built, or older than what was answered from; the last good one stayed",
                Counter::default(),
            ),
            retired: plain(
                registry,
                "snapshot_statements_retired",
                "Bound statements that the catalogue no longer knows; they grant nothing",
                Gauge::default(),
            ),
            kept: plain(registry, "snapshots_kept", "Snapshots written to disk, by outcome", Family::default()),
        }
    }
}

// === impl FreshnessSeries ===

impl FreshnessSeries {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            stale: plain(
                registry,
                "stale",
                "Whether the published snapshot is older than `check.max_staleness_seconds`",
                Gauge::default(),
            ),
            waits: plain(
                registry,
                "freshness_waits",
                "Waits for a snapshot as fresh as a call demanded, by outcome",
                Family::default(),
            ),
            waiting: plain(
                registry,
                "freshness_waiting",
                "Calls that wait at the moment for a snapshot as fresh as they demand",
                Gauge::default(),
            ),
        }
    }
}

// === impl WatchSeries ===

impl WatchSeries {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            events: plain(registry, "watch_events", "Watch events received, by kind", Family::default()),
            connects: plain(registry, "watch_connects", "Watch streams opened, by outcome", Family::default()),
            rejected: plain(
                registry,
                "watch_events_rejected",
                "Watch events that were refused, by what was wrong: message, order, change or digest",
                Family::default(),
            ),
            lag: seconds(
                registry,
                "watch_lag",
                "Time from a commit, by the control plane's clock, to the snapshot that has it",
                Histogram::new(LAG_BUCKETS),
            ),
            watchers: plain(registry, "watchers", "Watch streams served at the moment", Gauge::default()),
            resets: plain(registry, "watch_resets", "Watchers that were told the whole state", Counter::default()),
        }
    }
}

// === impl AdminSeries ===

impl AdminSeries {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            refused: plain(
                registry,
                "admin_calls_refused",
                "Administrative calls without a credential that is good for them",
                Counter::default(),
            ),
            calls: plain(registry, "admin_calls", "Administrative calls, by method and code", Family::default()),
            seconds: seconds(
                registry,
                "admin_call_duration",
                "Time of an administrative call, from the decoded request to its answer",
                Family::new_with_constructor(|| Histogram::new(CALL_BUCKETS)),
            ),
        }
    }
}

// === impl StoreSeries ===

impl StoreSeries {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            compacted: plain(registry, "store_compacted", "Rows that compaction took away, by kind", Family::default()),
            compactions_failed: plain(
                registry,
                "store_compactions_failed",
                "Compactions of the store that failed; the next one goes on",
                Counter::default(),
            ),
            log_start: plain(
                registry,
                "store_log_start",
                "Revision after which the log of the store begins, as of the last compaction",
                Gauge::default(),
            ),
            staleness: seconds(
                registry,
                "store_staleness",
                "Time since the state of the store was last known to be the newest: 0 where nobody else writes to it",
                unknown(),
            ),
        }
    }
}

/// What is not there yet has no age, and raises no alarm about one.
fn unknown() -> FloatGauge {
    let gauge = FloatGauge::default();
    gauge.set(f64::NAN);
    gauge
}

fn plain<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

fn seconds<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register_with_unit(name, help, Unit::Seconds, metric.clone());
    metric
}
