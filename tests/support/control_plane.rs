//! An administrative side in this process: a store in memory behind the real routes, with known credentials and a clock
//! that the test drives. There is no network in between, so that nothing depends on how fast one is.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]
#![expect(clippy::expect_used, reason = "test code: what goes wrong here fails the test, with its reason")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use doorward::clock::Clock;
use doorward::compile::shipped_global;
use doorward::config::resolved::CheckConfig;
use doorward::identity::credential::{Credential, RANDOM_BYTES};
use doorward::model::credential::CredentialRole;
use doorward::model::freshness::FreshnessPolicy;
use doorward::model::mutation::{Actor, Edit, Mutation};
use doorward::model::object::{Object, ObjectKey, Record};
use doorward::model::revision::Revision;
use doorward::proto::doorward as pb;
use doorward::server::bootstrap::OpenedStore;
use doorward::server::control_plane::ControlPlane;
use doorward::services::watch::WatchFeed;
use doorward::store::api::Store;
use doorward::store::memory;
use doorward::telemetry::metrics::Metrics;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::interceptor::InterceptedService;
use tonic::service::{Interceptor, Routes};
use tonic::{Request, Status};
use tonic_types::StatusExt as _;

/// Bytes of the largest request, as the configuration has it by default.
pub const MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// A clock that stands still until it is moved.
#[derive(Debug, Clone)]
pub struct HandClock(Arc<AtomicI64>);

/// The administrative side.
pub struct InProcess {
    pub store: Arc<dyn Store>,
    pub metrics: Metrics,
    pub clock: HandClock,
    /// Two holders of the root role, and one who may only watch.
    pub root: Credential,
    pub other_root: Credential,
    pub watch: Credential,
    plane: ControlPlane,
}

/// The routes, called with these `authorization` headers.
pub type Caller = InterceptedService<Routes, Headers>;

/// Adds `authorization` headers, in order.
#[derive(Debug, Clone)]
pub struct Headers(Vec<MetadataValue<Ascii>>);

// === impl HandClock ===

impl HandClock {
    /// A clock at this time, RFC 3339.
    pub fn at(time: &str) -> Self {
        let clock = Self(Arc::default());
        clock.set(time);
        clock
    }

    /// Moves the hands to `time`, RFC 3339 to the millisecond.
    pub fn set(&self, time: &str) {
        let time: jiff::Timestamp = time.parse().expect("a time");
        self.0.store(time.as_millisecond(), Ordering::SeqCst);
    }

    /// Moves the hands on.
    pub fn pass(&self, time: Duration) {
        self.0.fetch_add(i64::try_from(time.as_millis()).expect("a short time"), Ordering::SeqCst);
    }

    pub fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).expect("a time")
    }

    pub fn clock(&self) -> Clock {
        let hands = self.clone();
        Clock::from_fn(move || hands.now())
    }
}

// === impl InProcess ===

impl InProcess {
    /// A store that holds the global level, at revision 1.
    pub fn start() -> Self {
        Self::start_with_heartbeat(Duration::from_hours(1))
    }

    pub fn start_with_heartbeat(heartbeat: Duration) -> Self {
        let clock = HandClock::at("2026-03-02T12:00:00Z");
        let store: Arc<dyn Store> = Arc::new(memory::open().expect("a store in memory"));
        let this = Self::over(store, clock, heartbeat);
        this.commit([Edit::Put(Object::Global(shipped_global()))]);
        this
    }

    /// Another control plane on the same store, which begins now.
    pub fn began_anew(&self) -> Self {
        Self::over(Arc::clone(&self.store), self.clock.clone(), Duration::from_hours(1))
    }

    fn over(store: Arc<dyn Store>, clock: HandClock, heartbeat: Duration) -> Self {
        let credential = |byte| Credential::from_random(&[byte; RANDOM_BYTES]);
        let (root, other_root, watch) = (credential(1), credential(2), credential(3));
        let credentials = [
            root.record(CredentialRole::Root, clock.now()),
            other_root.record(CredentialRole::Root, clock.now()),
            watch.record(CredentialRole::Watch, clock.now()),
        ];
        let metrics = Metrics::default();
        let opened = OpenedStore { store: Arc::clone(&store), credentials: credentials.into() };
        let plane = ControlPlane::new(opened, clock.clock(), heartbeat, metrics.clone());
        Self { store, metrics, clock, root, other_root, watch, plane }
    }

    /// The routes as the first root credential calls them.
    pub fn caller(&self) -> Caller {
        self.caller_with(&[&bearer(&self.root)])
    }

    /// The routes, called with these `authorization` headers.
    pub fn caller_with(&self, headers: &[&str]) -> Caller {
        let headers = headers.iter().map(|text| text.parse().expect("a header")).collect();
        InterceptedService::new(self.plane.routes(&config()), Headers(headers))
    }

    /// The watch service without its credential.
    pub fn feed(&self) -> WatchFeed {
        self.plane.own_feed()
    }

    /// Commits past the services: what no call can make.
    pub fn commit(&self, edits: impl IntoIterator<Item = Edit>) -> Revision {
        let edits: Vec<_> = edits.into_iter().collect();
        let subject = edits.first().map_or(ObjectKey::Global, Edit::key);
        let (at, expected) = (self.clock.now(), self.store.state().revision);
        let mutation = Mutation { actor: Actor::system(), at, expected, request: None, subject, edits };
        self.store.commit(mutation).expect("a commit").revision
    }

    /// Everything the store holds: equal before and after where nothing was changed.
    pub fn contents(&self) -> (Revision, Vec<Record<Object>>) {
        let state = self.store.state();
        (state.revision, state.records().collect())
    }

    /// The number of commits so far.
    pub fn revision(&self) -> u64 {
        self.store.state().revision.get()
    }

    /// Makes an account and gives its id.
    pub async fn account(&self, name: &str) -> String {
        let account = pb::Account { name: name.to_owned(), ..pb::Account::default() };
        let request = pb::CreateAccountRequest { account: Some(account), request_id: String::new() };
        let mut client = pb::account_service_client::AccountServiceClient::new(self.caller());
        let made = client.create_account(request).await.expect("an account").into_inner();
        made.account.expect("an answer with its account").id
    }
}

/// The header of this credential.
pub fn bearer(credential: &Credential) -> String {
    format!("Bearer {}", credential.reveal())
}

fn config() -> CheckConfig {
    CheckConfig {
        listen: None,
        socket: None,
        account: None,
        reflection: false,
        max_message_bytes: MESSAGE_BYTES,
        subject_header: None,
        subject_sources: Vec::new(),
        freshness: FreshnessPolicy::default(),
    }
}

impl Interceptor for Headers {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        for header in &self.0 {
            request.metadata_mut().append("authorization", header.clone());
        }
        Ok(request)
    }
}

/// The fields that a status says are wrong, in its order.
pub fn fields(status: &Status) -> Vec<String> {
    violations(status).into_iter().map(|(field, _)| field).collect()
}

/// The fields that a status says are wrong, each with what is wrong with it.
pub fn violations(status: &Status) -> Vec<(String, String)> {
    let details = status.get_details_bad_request().map(|it| it.field_violations).unwrap_or_default();
    details.into_iter().map(|it| (it.field, it.description)).collect()
}
