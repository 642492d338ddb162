//! Ages are measured by a clock that nobody sets, from the event that confirms a snapshot to the answer.

use std::time::Duration;

use doorward::clock::Clock;
use doorward::model::freshness::FreshnessPolicy;
use doorward::model::revision::RevisionToken;
use doorward::proto::doorward as pb;
use doorward::proto::doorward::authorization_service_server::AuthorizationService as _;
use doorward::proto::watch_server::watch_service_server::WatchServiceServer;
use doorward::server::sidecar::{CheckSide, Following};
use doorward::services::check::CheckService;
use doorward::services::decision_point::DecisionPoint;
use doorward::snapshot::handle::SnapshotHandle;
use doorward::sync::follow::{Identity, StreamLimits};
use doorward::sync::source::LocalSource;
use doorward::telemetry::metrics::Metrics;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::Request;

use crate::control_plane::{HandClock, InProcess};
use crate::question;

const NOON: &str = "2026-03-02T12:00:00Z";
const PATIENCE: Duration = Duration::from_mins(1);

/// The revision and the age that an answer tells.
async fn told(service: &CheckService) -> (u64, Duration) {
    let level = "account".to_owned();
    let question = pb::CheckRequest { environment: String::new(), level, ..question("settings:schemas:read") };
    let answer = service.check(Request::new(question)).await.unwrap().into_inner();
    (answer.revision, answer.age.unwrap().try_into().unwrap())
}

async fn published(tokens: &mut watch::Receiver<Option<RevisionToken>>, revision: u64) {
    let there = tokens.wait_for(|token| token.is_some_and(|token| token.revision.get() == revision));
    tokio::time::timeout(PATIENCE, there).await.expect("a snapshot in time").unwrap();
}

#[tokio::test]
async fn a_wall_clock_that_is_set_makes_no_snapshot_younger_or_older() {
    // No heartbeat comes in an hour: only commits confirm.
    let server = InProcess::start();
    server.account("First").await;
    let (wall, steady) = (HandClock::at(NOON), HandClock::at(NOON));
    let hands = (wall.clone(), steady.clone());
    let clock = Clock::from_hands(move || hands.0.now(), move || hands.1.now());
    let (snapshots, metrics) = (SnapshotHandle::default(), Metrics::default());
    let side = CheckSide::new(snapshots, clock, metrics, FreshnessPolicy::default());
    let (mut tokens, mut tasks) = (side.published.subscribe(), JoinSet::new());
    let limits = StreamLimits::for_heartbeat(Duration::from_hours(1));
    let source = LocalSource::new(WatchServiceServer::new(server.feed()));
    let _leaving =
        side.follow(source, Following { identity: Identity::default(), limits, saved: None, trust: None }, &mut tasks);
    let service = CheckService::new(DecisionPoint::of(side.freshness.clone(), None, 0));

    published(&mut tokens, 2).await;
    assert_eq!(told(&service).await, (2, Duration::ZERO));
    for set in ["2020-01-01T00:00:00Z", "2026-03-02T11:59:59Z", "2038-01-01T00:00:00Z"] {
        wall.set(set);
        steady.pass(Duration::from_secs(10));
        let (revision, age) = told(&service).await;
        assert_eq!(age, Duration::from_secs(10), "at {set}, after {revision}");
        // What confirms it then is measured by the same clock.
        let user = pb::User { email: format!("{revision}@example.com"), ..pb::User::default() };
        let account = server.store.state().accounts.keys().next().unwrap().to_string();
        let request = pb::CreateUserRequest { account, user: Some(user), ..pb::CreateUserRequest::default() };
        let mut users = pb::user_service_client::UserServiceClient::new(server.caller());
        users.create_user(request).await.unwrap();
        published(&mut tokens, revision + 1).await;
        assert_eq!(told(&service).await, (revision + 1, Duration::ZERO), "at {set}");
    }
}
