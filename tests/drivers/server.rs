//! Both doors behind a real listener, over one snapshot and a clock that each question sets: no wire tells the time.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use doorward::clock::Clock;
use doorward::edge::envoy::SubjectSource;
use doorward::model::id::AccountId;
use doorward::model::revision::StoreId;
use doorward::model::state::State;
use doorward::proto::doorward::authorization_service_server::AuthorizationServiceServer;
use doorward::proto::envoy::authorization_server::AuthorizationServer;
use doorward::services::check::CheckService;
use doorward::services::decision_point::DecisionPoint;
use doorward::services::ext_authz::ExtAuthzService;
use doorward::snapshot::build::Snapshot;
use doorward::snapshot::handle::SnapshotHandle;
use doorward::telemetry::metrics::Metrics;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};

/// A server with a connection to it. Its runtime ends both.
pub(super) struct Listening {
    runtime: Runtime,
    channel: Channel,
    time: Arc<Mutex<Timestamp>>,
}

// === impl Listening ===

impl Listening {
    /// A server of `account`; or why there is none for `state`.
    pub(super) fn start(account: AccountId, state: &State) -> Result<Self, String> {
        let snapshot = Snapshot::build(StoreId::random(), state, None).map_err(|rejected| rejected.to_string())?;
        let time = Arc::new(Mutex::new(Timestamp::UNIX_EPOCH));
        let hands = Arc::clone(&time);
        let clock = Clock::from_fn(move || *hands.lock().expect("a clock"));
        let snapshots = SnapshotHandle::default();
        snapshots.publish(Arc::new(snapshot), clock.moment());
        let point = DecisionPoint::new(snapshots, clock, Some(account), Metrics::default(), 0);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let channel = {
            let address = serve(&runtime, point);
            let _inside = runtime.enter();
            Endpoint::from_shared(format!("http://{address}")).expect("an address is an endpoint").connect_lazy()
        };
        Ok(Self { runtime, channel, time })
    }

    /// Sets the clock to `time`, RFC 3339, and waits for what `ask` asks.
    pub(super) fn at<R>(&self, time: &str, ask: impl AsyncFnOnce(Channel) -> R) -> R {
        *self.time.lock().expect("a clock") = time.parse().expect("a time");
        self.runtime.block_on(ask(self.channel.clone()))
    }
}

fn serve(runtime: &Runtime, point: DecisionPoint) -> SocketAddr {
    let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).expect("a free port");
    let address = listener.local_addr().expect("the address of a listener");
    let sources = vec![SubjectSource::ContextExtensions];
    let routes = Server::builder()
        .add_service(AuthorizationServiceServer::new(CheckService::new(point.clone())))
        .add_service(AuthorizationServer::new(ExtAuthzService::new(point, None, sources)));
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    runtime.spawn(routes.serve_with_incoming(incoming));
    address
}
