//! The check side of a process: follow a watch, publish snapshots, answer checks.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::run::TaskEnd;
use super::shutdown::ShutdownSignal;
use crate::clock::Clock;
use crate::config::resolved::CheckConfig;
use crate::model::freshness::FreshnessPolicy;
use crate::model::revision::RevisionToken;
use crate::proto::DESCRIPTORS;
use crate::proto::doorward::authorization_service_server::{AuthorizationServiceServer, SERVICE_NAME as NATIVE};
use crate::proto::envoy::authorization_server::{AuthorizationServer, SERVICE_NAME as ENVOY};
use crate::services::check::CheckService;
use crate::services::decision_point::DecisionPoint;
use crate::services::ext_authz::ExtAuthzService;
use crate::services::freshness::{Freshness, Refusing};
use crate::snapshot::handle::SnapshotHandle;
use crate::sync::apply::{Applied, Trust};
use crate::sync::disk::{Kept, SavedSnapshot};
use crate::sync::follow::{Follower, Identity, Newest, Refused, StreamLimits};
use crate::sync::keep::Keeper;
use crate::sync::publish::{Past, Publisher, Served};
use crate::sync::report::{Reporter, leave};
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
    /// The state that the current snapshot was made of.
    pub served: watch::Sender<Option<Served>>,
    /// What calls may demand of the snapshots, and what they are good for.
    pub freshness: Freshness,
}

/// How a check side follows.
pub struct Following {
    /// Who follows.
    pub identity: Identity,
    /// Time limits.
    pub limits: StreamLimits,
    /// Where the last good snapshot is kept, if it is.
    pub saved: Option<SavedSnapshot>,
    /// What signatures are held against, if they are.
    pub trust: Option<Trust>,
}

/// The end of following, in order: what is served is kept, and the control plane is told.
pub struct Leaving {
    ending: watch::Sender<bool>,
    keeping: Option<JoinHandle<()>>,
    leave: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Services whose health is told one by one; the server's own name is empty.
const HEALTH: [&str; 3] = ["", NATIVE, ENVOY];

// === impl CheckSide ===

impl CheckSide {
    /// A check side that has nothing yet.
    #[must_use]
    pub fn new(snapshots: SnapshotHandle, clock: Clock, metrics: Metrics, policy: FreshnessPolicy) -> Self {
        let freshness = Freshness::new(snapshots.clone(), clock.clone(), metrics.clone(), policy);
        let (published, served) = (watch::Sender::new(None), watch::Sender::new(None));
        Self { snapshots, clock, metrics, published, served, freshness }
    }

    /// Follows `source` and publishes what it brings, in tasks that never end by themselves. What comes back ends them in
    /// order.
    pub fn follow<S: WatchSource>(&self, source: S, following: Following, tasks: &mut JoinSet<TaskEnd>) -> Leaving {
        let Following { identity, limits, saved, trust } = following;
        let saved = saved.map(|saved| saved.trusting(trust.clone()));
        let kept = saved.as_ref().and_then(load);
        let (newest, states) = watch::channel(Newest::default());
        let (refused, refusals) = watch::channel(None);
        let (ending, ended) = watch::channel(false);
        let source = Arc::new(source);
        let reporter = Reporter {
            source: Arc::clone(&source),
            instance: identity.instance.clone(),
            published: self.published.subscribe(),
            refused: refusals,
            newest: states.clone(),
        };
        let past = saved.as_ref().map(|saved| past(saved, kept.as_ref())).unwrap_or_default();
        let publisher = self.publisher(states, refused.clone(), past);
        let applied = Applied::begin(kept.as_ref().map(|kept| (kept.store, Arc::clone(&kept.state))), trust);
        if let Some(Kept { store, state, confirmed, signature }) = kept {
            let confirmed = Some((state.revision, self.clock.steady_at(confirmed)));
            newest.send_replace(Newest { state: Some((store, state)), confirmed, signature, ..Newest::default() });
        }
        let instance = identity.instance.clone();
        let (clock, metrics) = (self.clock.for_ages(), self.metrics.clone());
        let follower = Follower { source: Arc::clone(&source), limits, clock, metrics, identity, newest, refused };
        spawn(tasks, "watch follower", follower.run(applied));
        spawn(tasks, "snapshot publisher", publisher.run());
        spawn(tasks, "reporter", reporter.run());
        let freshness = self.freshness.clone();
        spawn(tasks, "staleness watcher", async move { freshness.watch_staleness().await });
        let keeping = saved.map(|saved| tokio::spawn(self.keeper(saved, ended).run()));
        Leaving { ending, keeping, leave: Box::pin(async move { leave(&*source, instance).await }) }
    }

    fn keeper(&self, saved: SavedSnapshot, ending: watch::Receiver<bool>) -> Keeper {
        let (served, clock) = (self.served.subscribe(), self.clock.clone());
        Keeper { saved, served, ending, clock, metrics: self.metrics.clone() }
    }

    fn publisher(
        &self,
        newest: watch::Receiver<Newest>,
        refused: watch::Sender<Option<Refused>>,
        past: Past,
    ) -> Publisher {
        Publisher {
            newest,
            snapshots: self.snapshots.clone(),
            published: self.published.clone(),
            served: self.served.clone(),
            refused,
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
            retired: Vec::new(),
            replaced: Vec::new(),
            past,
        }
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

// === impl Leaving ===

impl Leaving {
    /// Keeps what is served and says that this process ends.
    pub async fn complete(self) {
        self.ending.send_replace(true);
        self.leave.await;
        if let Some(keeping) = self.keeping {
            // A panic in keeping lost the file, and the one before it is still there.
            let _ = keeping.await;
        }
    }
}

/// Runs a task that must not end.
fn spawn(tasks: &mut JoinSet<TaskEnd>, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
    tasks.spawn(async move {
        task.await;
        TaskEnd::unexpected(name)
    });
}

/// What was kept, if it can be used.
fn load(saved: &SavedSnapshot) -> Option<Kept> {
    match saved.load() {
        Ok(kept) => {
            if let Some(kept) = &kept {
                tracing::info!(store = %kept.store, revision = %kept.state.revision, "begins with the snapshot on disk");
            }
            kept
        }
        Err(problem) => {
            tracing::error!(error = &problem as &dyn std::error::Error, "the snapshot on disk is not used");
            None
        }
    }
}

/// What was before this process, which begins with `kept`.
fn past(saved: &SavedSnapshot, kept: Option<&Kept>) -> Past {
    let begun = kept.map(|kept| RevisionToken { store: kept.store, revision: kept.state.revision });
    if saved.accepts_older() {
        return Past { answered: None, given_up: begun };
    }
    let answered = saved.newest().unwrap_or_else(|problem| {
        let error = &problem as &dyn std::error::Error;
        tracing::error!(error, "the mark of the newest snapshot is not used; an older state is not refused");
        None
    });
    // A snapshot may be newer than the mark beside it, where a process ended between the two.
    let later =
        begun.filter(|begun| answered.is_none_or(|mark| mark.store == begun.store && mark.revision < begun.revision));
    Past { answered: later.or(answered), given_up: None }
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
