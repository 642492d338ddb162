//! The administrative side of a process: the store behind admin RPCs and watch.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tonic::service::Routes;

use super::bootstrap::OpenedStore;
use super::compaction;
use super::run::TaskEnd;
use super::sidecar::with_reflection;
use crate::clock::Clock;
use crate::config::resolved::{CheckConfig, KeepConfig};
use crate::iam::service::Iam;
use crate::proto::doorward::sidecar_service_server::{SERVICE_NAME as SIDECARS, SidecarServiceServer};
use crate::proto::doorward::store_service_server::{SERVICE_NAME as STORE, StoreServiceServer};
use crate::proto::watch_server::watch_service_server::{SERVICE_NAME as WATCH, WatchServiceServer};
use crate::services::admin::{self, Admin, NewestSnapshot};
use crate::services::authenticate::Authenticator;
use crate::services::backup::{BackupLimits, BackupService};
use crate::services::sidecars::SidecarRegistry;
use crate::services::watch::WatchFeed;
use crate::signature::Signer;
use crate::snapshot::handle::SnapshotHandle;
use crate::store::api::{Retention, Store};
use crate::telemetry::metrics::Metrics;

/// The administrative side of a process.
pub struct ControlPlane {
    store: OpenedStore,
    clock: Clock,
    metrics: Metrics,
    /// What watchers over the network are served from.
    feed: WatchFeed,
    backups: BackupService,
    /// What the check side of this process answers from, where there is one.
    checks: SnapshotHandle,
}

// === impl ControlPlane ===

impl ControlPlane {
    /// The administrative side over an open store.
    #[must_use]
    pub fn new(store: OpenedStore, clock: Clock, heartbeat: Duration, metrics: Metrics) -> Self {
        Self::signed(store, clock, heartbeat, metrics, None)
    }

    /// The same, which signs what its watchers are told where there is a `signer`.
    #[must_use]
    pub fn signed(
        store: OpenedStore,
        clock: Clock,
        heartbeat: Duration,
        metrics: Metrics,
        signer: Option<Signer>,
    ) -> Self {
        let feed = WatchFeed::signed(Arc::clone(&store.store), clock.clone(), heartbeat, metrics.clone(), signer);
        let backups = BackupService::new(Arc::clone(&store.store) as _, metrics.clone(), BackupLimits::default());
        Self { store, clock, metrics, feed, backups, checks: SnapshotHandle::default() }
    }

    /// The same beside a check side, whose snapshots need not be built a second time.
    #[must_use]
    pub fn beside(self, checks: SnapshotHandle) -> Self {
        Self { checks, ..self }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store.store)
    }

    /// What the check side of this process is served from. It goes on while the process drains.
    #[must_use]
    pub fn own_feed(&self) -> WatchFeed {
        self.feed.apart()
    }

    /// Keeps no more of the past than `keep` says, in the background.
    pub fn compact(&self, keep: &KeepConfig, background: &mut JoinSet<TaskEnd>) {
        let retention = Retention { commits: keep.log_commits, requests: keep.requests, audit: keep.audit };
        let store = Arc::clone(&self.store.store);
        background.spawn(compaction::run(store, retention, self.clock.clone(), self.metrics.clone()));
    }

    /// Ends the streams of the watchers over the network, and the backup that is under way.
    pub fn end_streams(&self) {
        self.feed.end();
        self.backups.end();
    }

    /// The services of the administrative listener, each behind its credential. Reflection, where it is on, shows the schema
    /// to whoever asks.
    #[must_use]
    pub fn routes(&self, config: &CheckConfig) -> Routes {
        let clock = self.clock.clone();
        let iam = Arc::new(Iam::new(Arc::clone(&self.store.store), Arc::new(move || clock.now())));
        let newest = NewestSnapshot::new(Arc::clone(&self.store.store), self.checks.clone());
        let admin =
            Admin::new(iam, Arc::new(newest), self.clock.clone(), self.metrics.clone(), self.feed.right_of_way());
        let root = Authenticator::root(Arc::clone(&self.store.credentials), self.metrics.clone());
        let watch = Authenticator::watch(Arc::clone(&self.store.credentials), self.metrics.clone());
        let watch = WatchServiceServer::with_interceptor(self.feed.clone(), watch);
        let sidecars = SidecarRegistry::new(self.feed.sidecars().clone());
        let sidecars = SidecarServiceServer::with_interceptor(sidecars, root.clone());
        let store = StoreServiceServer::with_interceptor(self.backups.clone(), root.clone());
        let routes = Routes::new(watch).add_service(sidecars).add_service(store);
        let routes = admin::add_services(routes, &admin, &root, config.max_message_bytes);
        let mut services = admin::SERVICES.to_vec();
        services.extend([WATCH, SIDECARS, STORE]);
        if config.reflection { with_reflection(routes, &services) } else { routes }
    }
}
