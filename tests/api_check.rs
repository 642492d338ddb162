//! The two doors as callers see them: the native one and Envoy's, over one snapshot and a clock that the test drives.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code: what goes wrong here fails the test, with its reason"
)]

#[path = "api_check/ages.rs"]
mod ages;
#[path = "support/control_plane.rs"]
mod control_plane;
#[path = "api_check/envoy.rs"]
mod envoy;
#[path = "api_check/freshness.rs"]
mod freshness;
#[path = "api_check/native.rs"]
mod native;
#[path = "api_check/never_allow.rs"]
mod never_allow;
#[path = "api_check/stale.rs"]
mod stale;

use std::collections::BTreeMap;
use std::sync::Arc;

use doorward::edge::envoy::SubjectSource;
use doorward::model::freshness::FreshnessPolicy;
use doorward::model::id::AccountId;
use doorward::model::object::Change;
use doorward::model::revision::{Revision, StoreId};
use doorward::model::state::State;
use doorward::proto::doorward as pb;
use doorward::proto::doorward::authorization_service_server::AuthorizationService as _;
use doorward::proto::envoy as wire;
use doorward::proto::envoy::authorization_server::Authorization as _;
use doorward::services::check::CheckService;
use doorward::services::decision_point::DecisionPoint;
use doorward::services::ext_authz::ExtAuthzService;
use doorward::services::freshness::Freshness;
use doorward::snapshot::build::Snapshot;
use doorward::snapshot::handle::SnapshotHandle;
use doorward::statefile::node::Format;
use doorward::statefile::{self, Loaded};
use doorward::telemetry::metrics::Metrics;
use tonic::{Request, Status};

use crate::control_plane::HandClock;

const ACCOUNT: &str = "1c0e1d0a-5d0f-4a57-9d5c-0d5f1f6f3a11";
const OTHER: &str = "2c0e1d0a-5d0f-4a57-9d5c-0d5f1f6f3a22";
const STORE: &str = "7f1c2c1e3a524b7c9a510d2f6f3b8e44";
const SCHEMA: &str = "settings:schemaId";
const HEADER: &str = "x-doorward-subject";

/// Ada may do things, each with another reason; one statement depends on the time.
const STATE: &str = r#"
account: {id: 1c0e1d0a-5d0f-4a57-9d5c-0d5f1f6f3a11, name: Example}
environments:
  - {id: prod, name: Production}
  - {id: test, name: Test}
groups:
  - {id: 3c0e1d0a-5d0f-4a57-9d5c-0d5f1f6f3a33, name: Crew}
users:
  - {email: ada@example.com, name: Ada, groups: [Crew]}
  - {email: ben@example.com, state: inactive, groups: [Crew]}
  - {email: cleo@example.com, state: pending, groups: [Crew]}
  - {email: dan@example.com, state: deleted, groups: [Crew]}
serviceUsers:
  - {name: robot, email: robot@example.com, groups: [Crew]}
policies:
  - id: 4c0e1d0a-5d0f-4a57-9d5c-0d5f1f6f3a44
    name: Crew policy
    level: account
    statements: |
      ALLOW settings:schemas:read;
      ALLOW settings:objects:read WHERE settings:schemaId = "a";
      DENY settings:objects:write WHERE settings:schemaId startsWith "vault:";
      ALLOW settings:objects:write;
  - id: 5c0e1d0a-5d0f-4a57-9d5c-0d5f1f6f3a55
    name: Local policy
    level: environment
    environment: test
    statements: |
      ALLOW automation:rules:read;
      ALLOW automation:rules:write;
  - name: Times
    level: account
    statements: |
      ALLOW automation:calendars:read WHERE global:time-of-day > "08:00+01:00" AND global:time-of-day < "18:00+01:00";
      ALLOW automation:calendars:write WHERE global:week-day = "Tuesday";
      ALLOW storage:logs:write WHERE global:date > "2026-03-02Z";
      ALLOW storage:metrics:write WHERE global:date-time > "2026-03-02T12:00:00Z";
bindings:
  - {policy: Crew policy, group: Crew, level: account}
  - {policy: Local policy, group: Crew, level: environment, environment: test}
  - {policy: Times, group: Crew, level: account}
"#;

/// Both doors over one snapshot.
struct Doors {
    snapshots: SnapshotHandle,
    clock: HandClock,
    native: CheckService,
    envoy: ExtAuthzService,
    metrics: Metrics,
    freshness: Freshness,
}

// === impl Doors ===

impl Doors {
    /// Doors with nothing behind them yet.
    fn closed(account: Option<&str>) -> Self {
        Self::closed_with(account, FreshnessPolicy::default())
    }

    /// The same where an operator says otherwise about freshness.
    fn closed_with(account: Option<&str>, policy: FreshnessPolicy) -> Self {
        let snapshots = SnapshotHandle::default();
        let clock = HandClock::at("2026-03-02T12:00:00Z");
        let metrics = Metrics::default();
        let account = account.map(|id| id.parse::<AccountId>().unwrap());
        let freshness = Freshness::new(snapshots.clone(), clock.clock(), metrics.clone(), policy);
        let point = DecisionPoint::of(freshness.clone(), account, 0xd00d);
        let sources = vec![SubjectSource::Bearer, SubjectSource::ContextExtensions, SubjectSource::Header];
        let envoy = ExtAuthzService::new(point.clone(), Some(HEADER.to_owned()), sources);
        Self { snapshots, clock, native: CheckService::new(point), envoy, metrics, freshness }
    }

    /// Doors to one account.
    fn open() -> Self {
        let doors = Self::closed(None);
        doors.publish(&[STATE]);
        doors
    }

    /// Publishes the accounts of these state files at revision 41.
    fn publish(&self, files: &[&str]) {
        self.publish_at(41, files);
    }

    fn publish_at(&self, revision: u64, files: &[&str]) {
        let now = self.clock.now();
        let mut state = State::default();
        for file in files {
            let loaded = statefile::load(file, Format::Yaml, now);
            let Loaded { state: of_file, .. } = loaded.unwrap_or_else(|problems| panic!("{problems:?}"));
            let changes: Vec<_> = of_file.records().map(Change::Put).collect();
            state.apply(Revision::new(revision), &changes).unwrap();
        }
        let store: StoreId = STORE.parse().unwrap();
        let snapshot = Snapshot::build(store, &state, None).unwrap();
        assert!(self.snapshots.publish(Arc::new(snapshot), now.into()));
    }

    async fn check(&self, request: pb::CheckRequest) -> Result<pb::CheckResponse, Status> {
        self.native.check(Request::new(request)).await.map(tonic::Response::into_inner)
    }

    async fn ext_authz(&self, request: wire::CheckRequest) -> wire::CheckResponse {
        self.envoy.check(Request::new(request)).await.expect("Envoy always gets a message").into_inner()
    }
}

/// A second account, in which nobody may do anything.
fn other_account() -> String {
    format!(
        "account: {{id: {OTHER}, name: Other}}\nenvironments: [{{id: prod, name: P}}]\nusers: [{{email: ada@example.com}}]\n"
    )
}

/// May Ada do this in production?
fn question(permission: &str) -> pb::CheckRequest {
    pb::CheckRequest {
        user: "ada@example.com".to_owned(),
        environment: "prod".to_owned(),
        permission: permission.to_owned(),
        ..pb::CheckRequest::default()
    }
}

fn with(request: pb::CheckRequest, name: &str, values: &[&str]) -> pb::CheckRequest {
    let values = pb::AttributeValues { values: values.iter().map(ToString::to_string).collect() };
    let attributes: BTreeMap<_, _> = request.attributes.into_iter().chain([(name.to_owned(), values)]).collect();
    pb::CheckRequest { attributes, ..request }
}
