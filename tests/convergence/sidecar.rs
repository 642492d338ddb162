//! A sidecar as the server makes one, that can be begun anew.

use std::sync::Arc;
use std::time::Duration;

use doorward::clock::Clock;
use doorward::model::digest::Digest;
use doorward::model::freshness::FreshnessPolicy;
use doorward::model::revision::{Revision, RevisionToken, StoreId};
use doorward::model::scope::Scope;
use doorward::proto::doorward::watch_service_server::WatchServiceServer;
use doorward::proto::object::from_scope;
use doorward::server::sidecar::{CheckSide, Following, Leaving};
use doorward::snapshot::build::Snapshot;
use doorward::snapshot::handle::SnapshotHandle;
use doorward::sync::disk::SavedSnapshot;
use doorward::sync::follow::{Identity, StreamLimits};
use doorward::sync::publish::Served;
use doorward::sync::source::LocalSource;
use doorward::telemetry::metrics::Metrics;
use tokio::task::JoinSet;

use crate::weather::{HEARTBEAT, Way};

type Source = LocalSource<WatchServiceServer<Way>>;

pub(crate) struct Sidecar {
    pub(crate) name: &'static str,
    pub(crate) scope: Scope,
    source: Source,
    clock: Clock,
    folder: tempfile::TempDir,
    /// `None` only while it is begun anew.
    running: Option<Running>,
}

struct Running {
    side: CheckSide,
    leaving: Leaving,
    _tasks: JoinSet<doorward::server::run::TaskEnd>,
}

// === impl Sidecar ===

impl Sidecar {
    pub(crate) fn start(name: &'static str, scope: Scope, source: Source, clock: Clock) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut sidecar = Self { name, scope, source, clock, folder, running: None };
        sidecar.run();
        sidecar
    }

    fn run(&mut self) {
        let clock = self.clock.clone();
        let side = CheckSide::new(SnapshotHandle::default(), clock, Metrics::default(), FreshnessPolicy::default());
        let identity =
            Identity { client: self.name.to_owned(), accounts: from_scope(&self.scope), ..Identity::default() };
        let identity = Identity { instance: self.name.replace(' ', "-"), ..identity };
        let saved = SavedSnapshot::new(self.folder.path().to_owned(), vec![self.name.to_owned()], false);
        let following =
            Following { identity, limits: StreamLimits::for_heartbeat(HEARTBEAT), saved: Some(saved), trust: None };
        let mut tasks = JoinSet::new();
        let leaving = side.follow(self.source.clone(), following, &mut tasks);
        self.running = Some(Running { side, leaving, _tasks: tasks });
    }

    /// Ends it in order, and begins it with what it kept.
    pub(crate) async fn restart(&mut self) {
        if let Some(running) = self.running.take() {
            running.leaving.complete().await;
        }
        self.run();
    }

    /// Ends it at once, and begins it with what it happened to have kept.
    pub(crate) fn crash(&mut self) {
        drop(self.running.take());
        self.run();
    }

    /// Waits until it answers at this revision.
    pub(crate) async fn reached(&self, store: StoreId, revision: Revision) {
        let is_there = |served: &Served| served.store == store && served.state.revision == revision;
        let mut served = self.side().served.subscribe();
        let reached = served.wait_for(|served| served.as_ref().is_some_and(is_there)).await;
        reached.map(|_| ()).expect("the sidecar lives");
    }

    pub(crate) fn published(&self) -> Option<RevisionToken> {
        *self.side().published.borrow()
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.side().snapshots.current().expect("a snapshot").snapshot)
    }

    /// The revision it answers from, and how long ago it says that this was the newest.
    pub(crate) fn claim(&self) -> Option<(Revision, Duration)> {
        let current = self.side().snapshots.current().ok()?;
        Some((current.snapshot.revision(), current.age(self.clock.steady())))
    }

    /// The digest of what it answers from.
    pub(crate) fn digest(&self) -> Digest {
        let served = self.side().served.borrow();
        Scope::everything().digest(served.as_ref().expect("a state").state.sums())
    }

    fn side(&self) -> &CheckSide {
        &self.running.as_ref().expect("a sidecar that runs").side
    }
}
