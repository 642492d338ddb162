//! The check side of a process: follow a watch, publish snapshots, answer checks.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::run::TaskEnd;
use super::shutdown::ShutdownSignal;
use crate::clock::Clock;
use crate::config::resolved::CheckConfig;
use crate::model::revision::RevisionToken;
use crate::proto::DESCRIPTORS;
use crate::proto::doorward::authorization_service_server::{AuthorizationServiceServer, SERVICE_NAME as NATIVE};
use crate::proto::envoy::authorization_server::{AuthorizationServer, SERVICE_NAME as ENVOY};
use crate::services::check::CheckService;
use crate::services::decision_point::DecisionPoint;
use crate::services::ext_authz::ExtAuthzService;
use crate::services::freshness::{Freshness, Refusing};
use crate::snapshot::handle::SnapshotHandle;
use crate::sync::follow::{Follower, Newest, StreamLimits};
use crate::sync::publish::Publisher;
use crate::sync::source::WatchSource;
use crate::telemetry::metrics::Metrics;

/// The check side of a process.
#[derive(Debug, Clone)]
pub struct CheckSide {
    /// The current snapshot.
    pub snapshots: SnapshotHandle,
    /// The clock of decisions.
    pub clock: Clock,
    /// Metrics.
    pub metrics: Metrics,
    /// The revision of the current snapshot, once there is one.
    pub published: watch::Sender<Option<RevisionToken>>,
    /// What calls may demand of the snapshots, and what they are good for.
    pub freshness: Freshness,
}

/// Services whose health is told one by one; the server's own name is empty.
const HEALTH: [&str; 3] = ["", NATIVE, ENVOY];

// === impl CheckSide ===

impl CheckSide {
    /// Follows `source`, publishes what it brings, and watches how old that gets, in tasks that never end by themselves.
    pub fn follow<S: WatchSource>(&self, source: S, heartbeat: Duration, tasks: &mut JoinSet<TaskEnd>) {
        let (newest, states) = watch::channel(Newest::default());
        let (clock, metrics) = (self.clock.for_ages(), self.metrics.clone());
        let limits = StreamLimits::for_heartbeat(heartbeat);
        let follower = Follower { source, limits, clock, metrics, newest };
        tasks.spawn(async move {
            follower.run().await;
            TaskEnd::unexpected("watch follower")
        });
        let (snapshots, published) = (self.snapshots.clone(), self.published.clone());
        let metrics = self.metrics.clone();
        let task =
            Publisher { newest: states, snapshots, published, metrics, retired: Vec::new(), replaced: Vec::new() };
        tasks.spawn(async move {
            task.run().await;
            TaskEnd::unexpected("snapshot publisher")
        });
        let freshness = self.freshness.clone();
        tasks.spawn(async move {
            freshness.watch_staleness().await;
            TaskEnd::unexpected("staleness watcher")
        });
    }

    /// The services of the check listener.
    pub async fn routes(&self, config: &CheckConfig, health: &HealthReporter, process: u64) -> Routes {
        // The library starts with SERVING; nothing is served before a snapshot is there.
        set_health(health, ServingStatus::NotServing).await;
        let point = DecisionPoint::of(self.freshness.clone(), config.account, process);
        let native = AuthorizationServiceServer::new(CheckService::new(point.clone()));
        let ext_authz = ExtAuthzService::new(point, config.subject_header.clone(), config.subject_sources.clone());
        let envoy = AuthorizationServer::new(ext_authz);
        let health = tonic_health::pb::health_server::HealthServer::new(
            tonic_health::server::HealthService::from_health_reporter(health.clone()),
        );
        let routes = Routes::new(native.max_decoding_message_size(config.max_message_bytes))
            .add_service(envoy.max_decoding_message_size(config.max_message_bytes))
            .add_service(health);
        let services = [NATIVE, ENVOY, tonic_health::pb::health_server::SERVICE_NAME];
        if config.reflection { with_reflection(routes, &services) } else { routes }
    }

    /// Tells the health: SERVING once there is a snapshot, `NOT_SERVING` as long as it is too old to be answered from, and for
    /// good once the process drains. It ends then, and nobody else tells it, so that a snapshot that comes late cannot turn it
    /// back.
    pub fn report_health(&self, health: HealthReporter, shutdown: ShutdownSignal) -> impl Future<Output = ()> + use<> {
        let (mut published, refusing) = (self.published.subscribe(), self.freshness.refusing());
        async move {
            let told = async {
                // An error means that nobody publishes any more, and so that there never will be a snapshot.
                if published.wait_for(Option::is_some).await.is_ok() {
                    tell_health(&health, refusing).await;
                }
            };
            tokio::select! {
                () = told => {}
                () = shutdown.clone().draining() => {}
            }
            shutdown.draining().await;
            set_health(&health, ServingStatus::NotServing).await;
        }
    }
}

/// Tells the health of a process that has a snapshot, as often as it changes.
async fn tell_health(health: &HealthReporter, mut refusing: Refusing) {
    loop {
        let status = if refusing.now() { ServingStatus::NotServing } else { ServingStatus::Serving };
        set_health(health, status).await;
        refusing.changed().await;
    }
}

/// Tells the health of the whole process.
async fn set_health(health: &HealthReporter, status: ServingStatus) {
    for service in HEALTH {
        health.set_service_status(service, status).await;
    }
}

/// Ends the streams that watch the health: they never end by themselves.
pub async fn end_health(health: &HealthReporter) {
    let mut health = health.clone();
    for service in HEALTH {
        health.clear_service_status(service).await;
    }
}

/// The same routes with reflection, in both of its versions.
#[must_use]
pub fn with_reflection(routes: Routes, services: &[&str]) -> Routes {
    let builder = || {
        let builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
        services.iter().fold(builder, |builder, service| builder.with_service_name(*service))
    };
    let (Ok(v1), Ok(v1alpha)) = (builder().build_v1(), builder().build_v1alpha()) else {
        // The descriptors are compiled in, and a test asks for them.
        tracing::error!("reflection is off: the compiled descriptors cannot be read");
        return routes;
    };
    routes.add_service(v1).add_service(v1alpha)
}
