//! D13: an error, a timeout, a panic and a missing snapshot are never an allow, at either door.
//!
//! Elsewhere: Envoy itself when Doorward fails (`tests/envoy.rs`: stopped, killed, without its control plane); a snapshot that
//! cannot be built keeps the last good one (`sync/publish/tests.rs`); no reply without a `Permit` (its doc tests).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use doorward::clock::Clock;
use doorward::edge::envoy::SubjectSource;
use doorward::proto::doorward as pb;
use doorward::proto::doorward::authorization_service_client::AuthorizationServiceClient;
use doorward::proto::doorward::authorization_service_server::AuthorizationServiceServer;
use doorward::proto::envoy as wire;
use doorward::proto::envoy::authorization_client::AuthorizationClient;
use doorward::proto::envoy::authorization_server::AuthorizationServer;
use doorward::services::check::CheckService;
use doorward::services::decision_point::DecisionPoint;
use doorward::services::ext_authz::ExtAuthzService;
use doorward::telemetry::metrics::Metrics;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Status};

use crate::{Doors, OTHER, SCHEMA, STATE, other_account, question, with};

/// Longer than an answer takes on any machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// The question that is allowed where nothing goes wrong.
fn allowed() -> pb::CheckRequest {
    question("settings:schemas:read")
}

/// The same question as Envoy's per-route strings.
fn extensions(question: &pb::CheckRequest) -> wire::CheckRequest {
    let parts = [
        ("subject", &question.user),
        ("environment", &question.environment),
        ("level", &question.level),
        ("permission", &question.permission),
    ];
    let parts = parts.into_iter().filter(|(_, value)| !value.is_empty());
    let parts = parts.map(|(key, value)| (key.to_owned(), value.clone()));
    let attributes = question.attributes.iter();
    let lists = attributes.map(|(name, list)| (format!("attrs.{name}"), serde_json::json!(list.values).to_string()));
    let absent = (!question.absent.is_empty()).then(|| ("absent".to_owned(), question.absent.join(",")));
    let context_extensions = parts.chain(lists).chain(absent).collect();
    wire::CheckRequest { attributes: Some(wire::AttributeContext { request: None, context_extensions }) }
}

/// Whether Envoy lets a request through: the status alone decides, and one that is missing counts as 0.
fn passes(reply: &wire::CheckResponse) -> bool {
    reply.status.as_ref().is_none_or(|status| status.code == 0)
}

fn allows(reply: &Result<pb::CheckResponse, Status>) -> bool {
    reply.as_ref().is_ok_and(|reply| reply.decision() == pb::Decision::Allow)
}

/// The answers of both doors: whether either allows.
async fn either_allows(doors: &Doors, asked: &pb::CheckRequest) -> [bool; 2] {
    [allows(&doors.check(asked.clone()).await), passes(&doors.ext_authz(extensions(asked)).await)]
}

#[tokio::test]
async fn d13_what_cannot_be_decided_is_never_an_allow() {
    let doors = Doors::open();
    assert_eq!(either_allows(&doors, &allowed()).await, [true, true], "with nothing wrong");
    let text = |value: &str| value.to_owned();
    let many = |count: usize| vec!["x".to_owned(); count];
    let list = |values| [("x:y".to_owned(), pb::AttributeValues { values })].into();
    for spoilt in [
        pb::CheckRequest { permission: text(""), ..allowed() },
        pb::CheckRequest { permission: text("no:such:permission"), ..allowed() },
        pb::CheckRequest { permission: text("settings:schemas:READ"), ..allowed() },
        pb::CheckRequest { environment: text("nowhere"), ..allowed() },
        pb::CheckRequest { environment: text(""), ..allowed() },
        pb::CheckRequest { level: text("account"), ..allowed() },
        pb::CheckRequest { level: text("global"), environment: text(""), ..allowed() },
        pb::CheckRequest { user: text(""), ..allowed() },
        pb::CheckRequest { user: text("nobody@example.com"), ..allowed() },
        pb::CheckRequest { user: text("ben@example.com"), ..allowed() },
        pb::CheckRequest { user: text("ada@example.com\0"), ..allowed() },
        pb::CheckRequest { attributes: list(many(501)), ..allowed() },
        pb::CheckRequest { attributes: list(vec!["x".repeat(4_097)]), ..allowed() },
        with(allowed(), "global:date", &["2026-03-02Z"]),
        pb::CheckRequest { absent: vec![text(SCHEMA)], ..with(allowed(), SCHEMA, &["a"]) },
    ] {
        assert_eq!(either_allows(&doors, &spoilt).await, [false, false], "{spoilt:?}");
    }
    assert!(!passes(&doors.ext_authz(wire::CheckRequest { attributes: None }).await));
    assert!(!allows(&doors.check(pb::CheckRequest::default()).await));
}

#[tokio::test]
async fn d13_without_a_snapshot_or_an_account_nothing_is_allowed() {
    let doors = Doors::closed(None);
    assert_eq!(either_allows(&doors, &allowed()).await, [false, false], "no snapshot");
    doors.publish(&[STATE, &other_account()]);
    assert_eq!(either_allows(&doors, &allowed()).await, [false, false], "which account?");
    let elsewhere = Doors::closed(Some(OTHER));
    elsewhere.publish(&[STATE]);
    assert_eq!(either_allows(&elsewhere, &allowed()).await, [false, false], "the account is not there");
}

/// Both doors behind a listener, with a clock that misbehaves: every request reads it, so that it stands for any code below.
struct Served {
    channel: Channel,
    client: Runtime,
    // It ends the server.
    _server: Runtime,
}

// === impl Served ===

impl Served {
    /// A server in threads of its own, so that a test goes on while a call there hangs.
    fn with_clock(clock: Clock) -> Self {
        let doors = Doors::open();
        let server = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let client = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let point = DecisionPoint::new(doors.snapshots, clock, None, Metrics::default(), 0);
        let sources = vec![SubjectSource::ContextExtensions];
        let routes = Server::builder()
            .add_service(AuthorizationServiceServer::new(CheckService::new(point.clone())))
            .add_service(AuthorizationServer::new(ExtAuthzService::new(point, None, sources)));
        let incoming = async move { TcpIncoming::from(TcpListener::from_std(listener).unwrap()) };
        server.spawn(async move { routes.serve_with_incoming(incoming.await).await });
        let channel = {
            let _inside = client.enter();
            Endpoint::from_shared(format!("http://{address}")).unwrap().timeout(PATIENCE).connect_lazy()
        };
        Self { channel, client, _server: server }
    }

    /// What both doors answer within `deadline`: an error, or whether it allows.
    fn ask(&self, deadline: Duration) -> [Result<bool, Code>; 2] {
        self.client.block_on(self.answers(deadline))
    }

    async fn answers(&self, deadline: Duration) -> [Result<bool, Code>; 2] {
        let mut native = Request::new(allowed());
        native.set_timeout(deadline);
        let native = AuthorizationServiceClient::new(self.channel.clone()).check(native).await;
        let mut envoy = Request::new(extensions(&allowed()));
        envoy.set_timeout(deadline);
        let envoy = AuthorizationClient::new(self.channel.clone()).check(envoy).await;
        let native = native.map(tonic::Response::into_inner).map(|reply| allows(&Ok(reply)));
        [
            native.map_err(|status| status.code()),
            envoy.map(|reply| passes(reply.get_ref())).map_err(|status| status.code()),
        ]
    }
}

fn noon() -> jiff::Timestamp {
    "2026-03-02T12:00:00Z".parse().unwrap()
}

/// A clock is read before a request is judged and again when its answer is written: the latter with the proof in hand.
#[test]
fn d13_a_panic_is_an_error_and_the_next_call_is_answered() {
    for reading in 1..=2 {
        let left = Arc::new(AtomicUsize::new(usize::MAX));
        let hands = Arc::clone(&left);
        let served = Served::with_clock(Clock::from_fn(move || {
            assert_ne!(hands.fetch_sub(1, Ordering::SeqCst), 1, "the clock breaks");
            noon()
        }));
        assert_eq!(served.ask(PATIENCE), [Ok(true), Ok(true)]);
        for door in 0..2 {
            // The calls of a pair read the clock twice each.
            left.store(reading + 2 * door, Ordering::SeqCst);
            let answers = served.ask(PATIENCE);
            assert!(matches!(answers[door], Err(code) if code != Code::DeadlineExceeded), "{reading}: {answers:?}");
            left.store(usize::MAX, Ordering::SeqCst);
            assert_eq!(served.ask(PATIENCE), [Ok(true), Ok(true)], "after the panic");
        }
    }
}

#[test]
fn d13_a_call_past_its_deadline_is_an_error_and_the_next_one_is_answered() {
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    // It stands still until the other end is dropped.
    let served = Served::with_clock(Clock::from_fn(move || {
        let _ = held.lock().unwrap().recv();
        noon()
    }));
    // Where the test fails it ends the wait of the server before the server ends.
    let release = release;
    for answer in served.ask(Duration::from_millis(50)) {
        assert!(matches!(answer, Err(Code::DeadlineExceeded | Code::Cancelled)), "{answer:?}");
    }
    drop(release);
    assert_eq!(served.ask(PATIENCE), [Ok(true), Ok(true)]);
}
