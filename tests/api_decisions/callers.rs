//! `doorward.v1.AuthorizationService` past Check: over its routes, so that every answer has been a message.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use doorward::model::object::Change;
use doorward::model::revision::{Revision, StoreId};
use doorward::proto::doorward as pb;
use doorward::proto::doorward::authorization_service_client::AuthorizationServiceClient;
use doorward::proto::doorward::authorization_service_server::AuthorizationServiceServer;
use doorward::services::check::CheckService;
use doorward::services::decision_point::DecisionPoint;
use doorward::snapshot::build::Snapshot;
use doorward::snapshot::handle::SnapshotHandle;
use doorward::telemetry::metrics::Metrics;
use tonic::service::Routes;
use tonic::{Code, Status};

use crate::control_plane::{HandClock, fields};
use crate::{ACCOUNT, ADA, SCHEMA, STATE, attributes, state};

/// The check listener's own service.
struct Door {
    client: AuthorizationServiceClient<Routes>,
    metrics: Metrics,
    clock: HandClock,
}

// === impl Door ===

impl Door {
    fn closed() -> Self {
        Self::over(SnapshotHandle::default())
    }

    fn open() -> Self {
        Self::to(STATE)
    }

    fn to(text: &str) -> Self {
        let mut at_41 = state(text);
        let records: Vec<_> = at_41.records().map(Change::Put).collect();
        at_41.apply(Revision::new(41), &records).unwrap();
        let snapshot = Snapshot::build(StoreId::random(), &at_41, None).unwrap();
        let snapshots = SnapshotHandle::default();
        assert!(snapshots.publish(Arc::new(snapshot), HandClock::at("2026-03-02T12:00:00Z").now().into()));
        Self::over(snapshots)
    }

    fn over(snapshots: SnapshotHandle) -> Self {
        let clock = HandClock::at("2026-03-02T12:00:00Z");
        let metrics = Metrics::default();
        let point = DecisionPoint::new(snapshots, clock.clock(), None, metrics.clone(), 0xd00d);
        let routes = Routes::new(AuthorizationServiceServer::new(CheckService::new(point)));
        Self { client: AuthorizationServiceClient::new(routes), metrics, clock }
    }

    async fn batch(&self, items: Vec<pb::CheckRequest>, semantic: i32) -> Result<pb::BatchCheckResponse, Status> {
        let request = pb::BatchCheckRequest { items, semantic, ..pb::BatchCheckRequest::default() };
        self.client.clone().batch_check(request).await.map(tonic::Response::into_inner)
    }

    async fn resolve(&self, request: pb::ResolveRequest) -> Result<pb::ResolveResponse, Status> {
        self.client.clone().resolve(request).await.map(tonic::Response::into_inner)
    }

    async fn list(&self, request: pb::ListPermissionsRequest) -> Result<pb::ListPermissionsResponse, Status> {
        self.client.clone().list_permissions(request).await.map(tonic::Response::into_inner)
    }

    async fn filter(&self, request: pb::FilterRequest) -> Result<pb::FilterResponse, Status> {
        self.client.clone().filter(request).await.map(tonic::Response::into_inner)
    }
}

fn question(user: &str, permission: &str) -> pb::CheckRequest {
    pb::CheckRequest {
        user: user.to_owned(),
        environment: "prod".to_owned(),
        permission: permission.to_owned(),
        ..pb::CheckRequest::default()
    }
}

fn resolving(permissions: Vec<pb::PermissionQuery>) -> pb::ResolveRequest {
    let (user, environment) = (ADA.to_owned(), "prod".to_owned());
    pb::ResolveRequest { user, environment, permissions, ..pb::ResolveRequest::default() }
}

fn query(permission: &str, told: &[&str]) -> pb::PermissionQuery {
    let attributes = if told.is_empty() { BTreeMap::new() } else { attributes(SCHEMA, told) };
    pb::PermissionQuery { permission: permission.to_owned(), attributes, absent: Vec::new() }
}

fn listing() -> pb::ListPermissionsRequest {
    let (user, environment) = (ADA.to_owned(), "prod".to_owned());
    pb::ListPermissionsRequest { user, environment, ..pb::ListPermissionsRequest::default() }
}

fn filtering(permission: &str) -> pb::FilterRequest {
    let (user, environment, permission) = (ADA.to_owned(), "prod".to_owned(), permission.to_owned());
    pb::FilterRequest { user, environment, permission, ..pb::FilterRequest::default() }
}

fn names(answer: &pb::ListPermissionsResponse) -> Vec<(&str, &str)> {
    answer.permissions.iter().map(|it| (it.permission.as_str(), it.granted.as_str())).collect()
}

#[tokio::test]
async fn nothing_is_answered_before_there_is_a_snapshot() {
    let door = Door::closed();
    let refusals = [
        door.batch(vec![question(ADA, "settings:schemas:read")], 0).await.err(),
        door.resolve(resolving(vec![query("settings:schemas:read", &[])])).await.err(),
        door.list(listing()).await.err(),
        door.filter(filtering("settings:schemas:read")).await.err(),
    ];
    for status in refusals {
        assert_eq!(status.unwrap().code(), Code::Unavailable);
    }
}

#[tokio::test]
async fn a_batch_keeps_its_order_and_tells_errors_in_place() {
    let door = Door::open();
    let other = "9c0e1d0a-5d0f-4a57-9d5c-0d5f1f6f3a99".to_owned();
    let items = vec![
        question(ADA, "settings:schemas:read"),
        question(ADA, "no:such:permission"),
        question(ADA, "settings:objects:write"),
        pb::CheckRequest { environment: String::new(), ..question(ADA, "settings:schemas:read") },
        pb::CheckRequest { account: other, ..question(ADA, "settings:schemas:read") },
        question("ben@example.com", "settings:schemas:read"),
        pb::CheckRequest { attributes: attributes(SCHEMA, &["b"]), ..question(ADA, "settings:objects:read") },
        pb::CheckRequest { attributes: attributes("global:date", &["b"]), ..question(ADA, "settings:objects:read") },
    ];
    let batch = door.batch(items, 0).await.unwrap();
    let told = batch.answers.iter().map(|it| {
        let error = it.error.as_ref();
        assert_eq!(it.reason.is_some(), error.is_none());
        assert_eq!(it.decision_id.is_empty(), error.is_some());
        let code = it.reason.as_ref().map(|reason| reason.code().as_str_name());
        (it.decision(), code, error.map(|error| (error.code.as_str(), error.field.as_str())))
    });
    let (allow, deny) = (pb::Decision::Allow, pb::Decision::Deny);
    let expected = [
        (allow, Some("REASON_CODE_ALLOW_STATEMENT"), None),
        (deny, None, Some(("unknown_permission", "permission"))),
        (deny, Some("REASON_CODE_DENY_UNKNOWN"), None),
        (deny, None, Some(("bad_request", "environment"))),
        (deny, None, Some(("unknown_account", "account"))),
        (deny, Some("REASON_CODE_INACTIVE_SUBJECT"), None),
        (allow, Some("REASON_CODE_ALLOW_STATEMENT"), None),
        (deny, None, Some(("bad_request", "attributes.global:date"))),
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    assert_eq!(batch.revision, 41);
    assert!(batch.revision_token.contains("41") && batch.age.is_some());
    let metrics = door.metrics.open_metrics();
    for line in ["outcome=\"allow\"} 2", "outcome=\"deny\"} 2", "outcome=\"error\"} 4"] {
        assert!(metrics.contains(&format!("doorward_checks_total{{api=\"batch\",{line}")), "{metrics}");
    }
}

#[tokio::test]
async fn a_batch_stops_where_its_semantic_says() {
    let door = Door::open();
    let (yes, no) = (question(ADA, "settings:schemas:read"), question("dan@example.com", "settings:schemas:read"));
    let error = question(ADA, "no:such:permission");
    let all = pb::BatchSemantic::ExecuteAll;
    let (deny, permit) = (pb::BatchSemantic::DenyOnFirstDeny, pb::BatchSemantic::PermitOnFirstPermit);
    let rows = [
        (all, vec![&yes, &no, &yes], 3),
        (deny, vec![&yes, &no, &yes], 2),
        (deny, vec![&yes, &error, &yes], 2),
        (deny, vec![&yes, &yes], 2),
        (permit, vec![&no, &error, &yes, &no], 3),
        (permit, vec![&no, &error], 2),
    ];
    for (semantic, items, answered) in rows {
        let batch = door.batch(items.into_iter().cloned().collect(), semantic.into()).await.unwrap();
        assert_eq!(batch.answers.len(), answered, "{semantic:?}");
    }
    let unknown = door.batch(vec![yes], 9).await.unwrap_err();
    assert_eq!((unknown.code(), fields(&unknown)), (Code::InvalidArgument, vec!["semantic".to_owned()]));
}

#[tokio::test]
async fn a_list_of_questions_has_a_limit() {
    let door = Door::open();
    for (count, taken) in [(0, false), (1, true), (1_000, true), (1_001, false)] {
        let batch = door.batch(vec![question(ADA, "settings:schemas:read"); count], 0).await;
        let resolved = door.resolve(resolving(vec![query("settings:schemas:read", &[]); count])).await;
        assert_eq!((batch.is_ok(), resolved.is_ok()), (taken, taken), "{count}");
        if let (Err(batch), Err(resolved)) = (batch, resolved) {
            assert_eq!((batch.code(), fields(&batch)), (Code::InvalidArgument, vec!["items".to_owned()]));
            assert_eq!((resolved.code(), fields(&resolved)), (Code::InvalidArgument, vec!["permissions".to_owned()]));
        }
    }
}

#[tokio::test]
async fn resolve_has_three_values() {
    let door = Door::open();
    let zone = |it: pb::PermissionQuery, zone: &str| pb::PermissionQuery {
        attributes: attributes("environment:management-zone", &[zone]),
        ..it
    };
    let absent = |it: pb::PermissionQuery| pb::PermissionQuery { absent: vec![SCHEMA.to_owned()], ..it };
    let rows = [
        (query("settings:schemas:read", &[]), "true", None),
        (query("settings:objects:read", &[]), "condition", None),
        (query("settings:objects:read", &["a"]), "true", None),
        (query("settings:objects:read", &["c"]), "false", None),
        (query("settings:objects:write", &[]), "condition", None),
        (query("settings:objects:write", &["vault:x"]), "false", None),
        (absent(query("settings:objects:write", &[])), "true", None),
        (query("environment:roles:viewer", &[]), "condition", None),
        (zone(query("environment:roles:viewer", &[]), "Z"), "true", None),
        (zone(query("environment:roles:viewer", &[]), "Y"), "false", None),
        (query("automation:rules:read", &[]), "false", None),
        (query("no:such:permission", &[]), "false", Some("permission")),
        (query("", &[]), "false", Some("permission")),
        (absent(query("settings:objects:read", &["a"])), "false", Some("absent.settings:schemaId")),
    ];
    let answer = door.resolve(resolving(rows.iter().map(|(query, ..)| query.clone()).collect())).await.unwrap();
    assert_eq!((answer.permissions.len(), answer.revision), (rows.len(), 41));
    for (answer, (query, granted, field)) in answer.permissions.iter().zip(rows) {
        let told = answer.error.as_ref().map(|error| error.field.as_str());
        assert_eq!((answer.granted.as_str(), told), (granted, field), "{query:?}");
        assert_eq!(answer.permission, query.permission);
        assert_eq!(answer.reason.is_some(), granted != "condition" && field.is_none(), "{query:?}");
    }
    let calendar = door.resolve(resolving(vec![query("automation:calendars:read", &[])])).await.unwrap();
    // 18:00 on the 2nd of March 2026.
    assert_eq!(calendar.permissions[0].valid_until.as_ref().unwrap().seconds, 1_772_474_400);
    assert!(door.metrics.open_metrics().contains(r#"doorward_checks_total{api="resolve",outcome="answer"} 2"#));
}

#[tokio::test]
async fn what_all_permissions_share_is_an_error_of_the_call() {
    let door = Door::open();
    let base = || resolving(vec![query("settings:schemas:read", &[])]);
    let text = str::to_owned;
    let rows = [
        (pb::ResolveRequest { user: String::new(), ..base() }, "user"),
        (pb::ResolveRequest { environment: text("nowhere"), ..base() }, "environment"),
        (pb::ResolveRequest { environment: String::new(), ..base() }, "environment"),
        (pb::ResolveRequest { level: text("account"), ..base() }, "level"),
        (pb::ResolveRequest { account: text("x"), ..base() }, "account"),
        (pb::ResolveRequest { account: text("9c0e1d0a-5d0f-4a57-9d5c-0d5f1f6f3a99"), ..base() }, "account"),
    ];
    for (request, field) in rows {
        let status = door.resolve(request).await.unwrap_err();
        assert_eq!((status.code(), fields(&status)), (Code::InvalidArgument, vec![field.to_owned()]));
    }
    assert!(door.metrics.open_metrics().contains(r#"doorward_checks_total{api="resolve",outcome="error"} 6"#));
    for (user, code) in [("ben@example.com", "INACTIVE_SUBJECT"), ("nobody@example.com", "UNKNOWN_SUBJECT")] {
        let answer = door.resolve(pb::ResolveRequest { user: text(user), ..base() }).await.unwrap();
        let first = &answer.permissions[0];
        assert_eq!(first.granted, "false");
        assert!(first.reason.as_ref().unwrap().code().as_str_name().ends_with(code));
    }
}

#[tokio::test]
async fn a_listing_names_what_is_granted_or_open_page_by_page() {
    let door = Door::open();
    let all = door.list(listing()).await.unwrap();
    let expected = [
        ("automation:calendars:read", "true"),
        ("environment:roles:manage-settings", "condition"),
        ("environment:roles:viewer", "condition"),
        ("settings:objects:read", "condition"),
        ("settings:objects:write", "condition"),
        ("settings:schemas:read", "true"),
        ("storage:logs:read", "condition"),
    ];
    assert_eq!(names(&all), expected);
    assert_eq!((all.next_page_token.as_str(), all.revision), ("", 41));
    assert_eq!(all.valid_until.as_ref().unwrap().seconds, 1_772_474_400);
    let mut paged = Vec::new();
    let mut token = String::new();
    loop {
        let page =
            door.list(pb::ListPermissionsRequest { page_size: 3, page_token: token, ..listing() }).await.unwrap();
        paged.extend(page.permissions);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let valid = |it: pb::ResolvedPermission| it;
    assert_eq!(paged.into_iter().map(valid).collect::<Vec<_>>(), all.permissions);
    let told = pb::ListPermissionsRequest { attributes: attributes(SCHEMA, &["c"]), ..listing() };
    let told = pb::ListPermissionsRequest { services: vec!["settings".to_owned()], ..told };
    let answer = door.list(told.clone()).await.unwrap();
    assert_eq!(names(&answer), [("settings:objects:write", "true"), ("settings:schemas:read", "true")]);
    let answer = door.list(pb::ListPermissionsRequest { prefix: "settings:s".to_owned(), ..told }).await.unwrap();
    assert_eq!(names(&answer), [("settings:schemas:read", "true")]);
    let there =
        pb::ListPermissionsRequest { environment: "test".to_owned(), prefix: "automation".to_owned(), ..listing() };
    let answer = door.list(there).await.unwrap();
    assert_eq!(names(&answer), [("automation:calendars:read", "true"), ("automation:rules:read", "true")]);
    let account = pb::ListPermissionsRequest { environment: String::new(), level: "account".to_owned(), ..listing() };
    assert_eq!(names(&door.list(account).await.unwrap()), expected);
}

#[tokio::test]
async fn a_listing_refuses_what_it_cannot_use() {
    let door = Door::open();
    let token = door.list(pb::ListPermissionsRequest { page_size: 1, ..listing() }).await.unwrap().next_page_token;
    assert!(!token.is_empty());
    let text = str::to_owned;
    let rows = [
        (pb::ListPermissionsRequest { page_size: -1, ..listing() }, "page_size"),
        (pb::ListPermissionsRequest { page_size: 1_001, ..listing() }, "page_size"),
        (pb::ListPermissionsRequest { page_token: text("x"), ..listing() }, "page_token"),
        (pb::ListPermissionsRequest { page_token: token, prefix: text("a"), ..listing() }, "page_token"),
        (pb::ListPermissionsRequest { services: vec![text("a"); 101], ..listing() }, "services"),
        (pb::ListPermissionsRequest { user: String::new(), ..listing() }, "user"),
        (pb::ListPermissionsRequest { environment: text("nowhere"), ..listing() }, "environment"),
        (pb::ListPermissionsRequest { absent: vec![text("global:date")], ..listing() }, "absent.global:date"),
    ];
    for (request, field) in rows {
        let status = door.list(request).await.unwrap_err();
        assert_eq!((status.code(), fields(&status)), (Code::InvalidArgument, vec![field.to_owned()]));
    }
    let ben = door.list(pb::ListPermissionsRequest { user: text("ben@example.com"), ..listing() }).await.unwrap();
    assert_eq!((ben.permissions.len(), ben.refused()), (0, pb::ReasonCode::InactiveSubject));
    let nobody = door.list(pb::ListPermissionsRequest { user: text("nobody"), ..listing() }).await.unwrap();
    assert_eq!((nobody.permissions.len(), nobody.refused()), (0, pb::ReasonCode::UnknownSubject));
}

fn test(name: &str, operator: &str, values: &[&str], several: pb::SeveralValues) -> pb::Residual {
    let test = pb::ResidualTest {
        name: name.to_owned(),
        operator: operator.to_owned(),
        values: values.iter().map(ToString::to_string).collect(),
        patterns: Vec::new(),
        several: several.into(),
    };
    residual(pb::residual::Kind::Test(test))
}

fn residual(kind: pb::residual::Kind) -> pb::Residual {
    pb::Residual { kind: Some(kind) }
}

#[tokio::test]
async fn a_filter_is_what_is_left_of_a_decision() {
    use pb::SeveralValues::{Fails, Holds};
    use pb::residual::Kind;
    let door = Door::open();
    let constant = |it: bool| residual(Kind::Constant(it));
    let vault = test(SCHEMA, "startsWith", &["vault:"], Holds);
    let logs = pb::ResidualTest {
        name: "storage:bucket-name".to_owned(),
        operator: "MATCH".to_owned(),
        // The star of the parameter is no wildcard.
        patterns: vec![pb::MatchPattern { stretches: vec!["a*-".to_owned(), String::new()] }],
        several: pb::SeveralValues::AnyValue.into(),
        ..pb::ResidualTest::default()
    };
    let told = |permission: &str, value| pb::FilterRequest {
        attributes: attributes(SCHEMA, &[value]),
        ..filtering(permission)
    };
    let zone = test("environment:management-zone", "=", &["Z"], Fails);
    let rows = [
        (filtering("settings:schemas:read"), constant(true)),
        (filtering("automation:rules:read"), constant(false)),
        (filtering("settings:objects:read"), test(SCHEMA, "IN", &["a", "b"], Fails)),
        (filtering("settings:objects:write"), residual(Kind::Not(Box::new(vault)))),
        (told("settings:objects:write", "vault:x"), constant(false)),
        (told("settings:objects:write", "x"), constant(true)),
        (filtering("storage:logs:read"), residual(Kind::Test(logs))),
        (filtering("environment:roles:viewer"), zone),
        (filtering("automation:calendars:read"), constant(true)),
    ];
    for (request, expected) in rows {
        let answer = door.filter(request.clone()).await.unwrap();
        assert_eq!(answer.residual, Some(expected), "{request:?}");
        assert_eq!((answer.refused(), answer.revision), (pb::ReasonCode::Unspecified, 41));
        assert_eq!(answer.valid_until.is_some(), request.permission.starts_with("automation:calendars"));
    }
    door.clock.set("2026-03-02T18:00:00Z");
    let closed = door.filter(filtering("automation:calendars:read")).await.unwrap();
    assert_eq!(closed.residual, Some(constant(false)));
    let ben = pb::FilterRequest { user: "ben@example.com".to_owned(), ..filtering("settings:schemas:read") };
    let ben = door.filter(ben).await.unwrap();
    assert_eq!((ben.residual.clone(), ben.refused()), (Some(constant(false)), pb::ReasonCode::InactiveSubject));
}

#[tokio::test]
async fn a_filter_refuses_what_it_cannot_use() {
    let door = Door::open();
    let text = str::to_owned;
    let rows = [
        (pb::FilterRequest { permission: String::new(), ..filtering("") }, "permission"),
        (filtering("no:such:permission"), "permission"),
        (pb::FilterRequest { environment: text("nowhere"), ..filtering("settings:schemas:read") }, "environment"),
        (pb::FilterRequest { user: String::new(), ..filtering("settings:schemas:read") }, "user"),
        (pb::FilterRequest { account: text("x"), ..filtering("settings:schemas:read") }, "account"),
    ];
    for (request, field) in rows {
        let status = door.filter(request).await.unwrap_err();
        assert_eq!((status.code(), fields(&status)), (Code::InvalidArgument, vec![field.to_owned()]));
    }
}

/// As many statements with a value of their own as `policies` hold, 100 each.
fn wide(policies: usize) -> String {
    let mut text = format!(
        "account: {{id: {ACCOUNT}, name: Wide}}\nenvironments: [{{id: prod, name: P}}]\ngroups: [{{name: G}}]\n\
         users: [{{email: {ADA}, groups: [G]}}]\npolicies:\n"
    );
    for policy in 0..policies {
        let filler = "x".repeat(500);
        let statement = |it: usize| format!("ALLOW settings:objects:read WHERE {SCHEMA} = \"{policy}-{it}-{filler}\";");
        let statements: Vec<_> = (0..100).map(statement).collect();
        let _ = writeln!(text, "  - {{name: P{policy}, level: account, statements: '{}'}}", statements.join(" "));
    }
    text.push_str("bindings:\n");
    for policy in 0..policies {
        let _ = writeln!(text, "  - {{policy: P{policy}, group: G, level: account}}");
    }
    text
}

#[tokio::test]
async fn a_filter_has_a_limit() {
    let few = Door::to(&wide(10)).filter(filtering("settings:objects:read")).await.unwrap();
    let Some(pb::residual::Kind::Any(list)) = few.residual.and_then(|it| it.kind) else { panic!("a list") };
    assert_eq!(list.residuals.len(), 1_000);
    let door = Door::to(&wide(20));
    let status = door.filter(filtering("settings:objects:read")).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(status.message().contains("1048576 bytes"), "{status}");
    // With the attribute told nothing is left open.
    let told = pb::FilterRequest { attributes: attributes(SCHEMA, &["x"]), ..filtering("settings:objects:read") };
    assert!(door.filter(told).await.is_ok());
}
