//! What is served, kept on disk: not each commit, and never on a thread that serves.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::disk::SavedSnapshot;
use super::publish::Served;
use crate::clock::Clock;
use crate::telemetry::metrics::Metrics;

/// Between two files at least.
const LEAST: Duration = Duration::from_secs(10);
/// Writing takes this part of the time at most.
const SHARE: u32 = 20;

/// Keeps what is served.
pub struct Keeper {
    /// Where it is kept.
    pub saved: SavedSnapshot,
    /// What is served.
    pub served: watch::Receiver<Option<Served>>,
    /// Ends the process in order: what is served then is kept, too.
    pub ending: watch::Receiver<bool>,
    /// For times that another process can read.
    pub clock: Clock,
    /// Where files are counted.
    pub metrics: Metrics,
}

// === impl Keeper ===

impl Keeper {
    /// Keeps until the process ends.
    pub async fn run(mut self) {
        let mut kept = None;
        loop {
            let moved = tokio::select! {
                moved = self.served.changed() => moved.is_ok(),
                _ = self.ending.wait_for(|ending| *ending) => false,
            };
            let served = self.served.borrow_and_update().clone();
            // A new time of confirmation alone is not worth a file, but for the last one.
            let revision = served.as_ref().map(|served| (served.store, served.state.revision));
            let begun = Instant::now();
            if let Some(served) = served.filter(|_| revision != kept || !moved) {
                // What could not be kept is tried again.
                kept = if self.save(served).await { revision } else { None };
            }
            if !moved {
                return;
            }
            let pause = LEAST.max(begun.elapsed() * SHARE);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = self.ending.wait_for(|ending| *ending) => {}
            }
        }
    }

    /// Whether it is kept.
    async fn save(&self, served: Served) -> bool {
        let saved = self.saved.clone();
        let served = Served { confirmed: self.clock.wall_at(served.confirmed), ..served };
        let done = tokio::task::spawn_blocking(move || saved.save(&served)).await;
        let is_kept = matches!(done, Ok(Ok(())));
        if let Ok(Err(problem)) = done {
            tracing::error!(error = &problem as &dyn std::error::Error, "the snapshot cannot be kept on disk");
        }
        self.metrics.snapshot_kept(if is_kept { "ok" } else { "error" });
        is_kept
    }
}
