//! The beginning of the log, old request ids and old audit events are taken away in the background.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::run::TaskEnd;
use crate::clock::Clock;
use crate::store::api::{Compacted, Retention, Store, StoreError};
use crate::telemetry::metrics::Metrics;

/// Between one compaction and the next.
const INTERVAL: Duration = Duration::from_mins(1);

/// Compacts `store` now and then again, for as long as the process lives. One that fails is logged, counted and tried
/// again: nothing depends on it but disk space.
pub async fn run(store: Arc<dyn Store>, retention: Retention, clock: Clock, metrics: Metrics) -> TaskEnd {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (store, now) = (Arc::clone(&store), clock.now());
        match tokio::task::spawn_blocking(move || store.compact(&retention, now)).await {
            Ok(done) => tell(&done, &metrics),
            Err(_) => return TaskEnd::unexpected("compaction of the store"),
        }
    }
}

fn tell(done: &Result<Compacted, StoreError>, metrics: &Metrics) {
    match done {
        Ok(done) => {
            let Compacted { commits, requests, audit, log_start } = *done;
            metrics.compacted(commits, requests, audit, log_start.get());
            if commits + requests + audit > 0 {
                tracing::info!(commits, requests, audit, log_start = log_start.get(), "store compacted");
            }
        }
        Err(problem) => {
            metrics.compaction_failed();
            tracing::error!(error = problem as &dyn std::error::Error, "the store cannot be compacted");
        }
    }
}
