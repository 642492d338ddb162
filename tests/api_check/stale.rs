//! What comes of a snapshot that has not been known to be the newest for too long, in each mode and at both doors.

use std::time::Duration;

use doorward::model::freshness::{FreshnessPolicy, StaleMode};
use doorward::proto::doorward as pb;
use doorward::proto::doorward::authorization_service_server::AuthorizationService as _;
use doorward::proto::envoy as wire;
use doorward::proto::envoy::check_response::HttpResponse;
use doorward::services::freshness::Refusing;
use prost_types::value::Kind;
use tonic::{Code, Request, Status};

use crate::envoy::Asked;
use crate::{Doors, STATE, question};

const MOST: Duration = Duration::from_mins(1);
const BEAT: Duration = Duration::from_millis(1);

fn doors(stale_mode: StaleMode) -> Doors {
    let policy = FreshnessPolicy { stale_mode, max_staleness: MOST, ..FreshnessPolicy::default() };
    let doors = Doors::closed_with(None, policy);
    doors.publish(&[STATE]);
    doors
}

/// Doors to a snapshot that is just too old.
fn stale(mode: StaleMode) -> Doors {
    let doors = doors(mode);
    doors.clock.pass(MOST + BEAT);
    doors
}

fn allowed() -> pb::CheckRequest {
    question("settings:schemas:read")
}

/// What both doors say to the question that is allowed: a decision with its code, or the code of an error.
async fn answers(doors: &Doors) -> [Result<(pb::Decision, String), Code>; 2] {
    let native = doors.check(allowed()).await.map_err(|status| status.code());
    let native = native.map(|reply| {
        let code = reply.reason.as_ref().expect("a reason").code().as_str_name().to_owned();
        (reply.decision(), code.trim_start_matches("REASON_CODE_").to_lowercase())
    });
    [native, read(&doors.ext_authz(Asked::ada().message()).await)]
}

/// An answer to Envoy, as Envoy reads it.
fn read(reply: &wire::CheckResponse) -> Result<(pb::Decision, String), Code> {
    let code = Code::from_i32(reply.status.as_ref().expect("a status").code);
    let code_of = reply.dynamic_metadata.as_ref().and_then(|metadata| metadata.fields.get("code"));
    let text = match code_of.and_then(|code| code.kind.as_ref()) {
        Some(Kind::StringValue(text)) => text.clone(),
        other => panic!("{other:?}"),
    };
    match reply.http_response.as_ref().expect("a body") {
        HttpResponse::OkResponse(_) if code == Code::Ok => Ok((pb::Decision::Allow, text)),
        HttpResponse::DeniedResponse(denied) if code == Code::PermissionDenied => {
            assert_eq!(denied.status.map(|status| status.code), Some(403));
            assert!(
                denied.headers.iter().filter_map(|it| it.header.as_ref()).any(|it| it.value.contains("problem+json"))
            );
            Ok((pb::Decision::Deny, text))
        }
        HttpResponse::ErrorResponse(_) if code != Code::Ok => Err(code),
        other => panic!("{code:?} with {other:?}"),
    }
}

fn decided(decision: pb::Decision, code: &str) -> (pb::Decision, String) {
    (decision, code.to_owned())
}

async fn check(doors: &Doors, expected: Result<(pb::Decision, String), Code>, what: &str) {
    assert_eq!(answers(doors).await, [expected.clone(), expected], "{what}");
}

#[tokio::test]
async fn a_stale_snapshot_serves_denies_or_is_unavailable_as_the_mode_says_and_only_while_it_is_stale() {
    let allow = || Ok(decided(pb::Decision::Allow, "allow_statement"));
    for (mode, expected) in [
        (StaleMode::Serve, allow()),
        (StaleMode::Deny, Ok(decided(pb::Decision::Deny, "stale_snapshot"))),
        (StaleMode::Unavailable, Err(Code::Unavailable)),
    ] {
        let doors = doors(mode);
        check(&doors, allow(), "new").await;
        doors.clock.pass(MOST);
        check(&doors, allow(), "as old as it may be").await;
        doors.clock.pass(BEAT);
        check(&doors, expected, mode.name()).await;
        doors.snapshots.confirm(doors.clock.now().into());
        check(&doors, allow(), "confirmed").await;
    }
}

#[tokio::test]
async fn a_denial_by_age_says_so_and_names_no_statement() {
    let doors = stale(StaleMode::Deny);
    let reply = doors.check(allowed()).await.unwrap();
    let reason = pb::Reason { code: pb::ReasonCode::StaleSnapshot.into(), ..pb::Reason::default() };
    assert_eq!((reply.reason, reply.revision, reply.valid_until), (Some(reason), 41, None));
    let age: Duration = reply.age.unwrap().try_into().unwrap();
    assert_eq!(age, MOST + BEAT);
    assert!(!reply.decision_id.is_empty());
}

/// The names of a request may have come to be since the snapshot was made; what is wrong with its form is not a matter of that.
#[tokio::test]
async fn a_denial_by_age_looks_at_no_name_and_a_bad_request_stays_one() {
    let doors = stale(StaleMode::Deny);
    for request in [
        pb::CheckRequest { environment: "new".to_owned(), ..allowed() },
        pb::CheckRequest { user: "new@example.com".to_owned(), ..allowed() },
        question("new:permission:read"),
    ] {
        let reply = doors.check(request.clone()).await.unwrap_or_else(|status| panic!("{request:?}: {status}"));
        assert_eq!(reply.reason.unwrap().code(), pb::ReasonCode::StaleSnapshot, "{request:?}");
    }
    for request in [
        pb::CheckRequest { user: String::new(), ..allowed() },
        pb::CheckRequest { at_least_revision: "x".to_owned(), ..allowed() },
        question(""),
    ] {
        assert_eq!(doors.check(request.clone()).await.unwrap_err().code(), Code::InvalidArgument, "{request:?}");
    }
    let nobody = doors.ext_authz(Asked::ada().without("subject").message()).await;
    assert_eq!(nobody.status.unwrap().code, i32::from(Code::Unauthenticated));
}

#[tokio::test]
async fn a_batch_is_denied_item_by_item_or_refused_whole() {
    let items = vec![allowed(), pb::CheckRequest { user: String::new(), ..allowed() }, allowed()];
    let request = || pb::BatchCheckRequest { items: items.clone(), ..pb::BatchCheckRequest::default() };
    let answers =
        stale(StaleMode::Deny).native.batch_check(Request::new(request())).await.unwrap().into_inner().answers;
    let codes: Vec<_> = answers.iter().map(|it| (it.decision(), it.reason.as_ref().map(pb::Reason::code))).collect();
    let denied = (pb::Decision::Deny, Some(pb::ReasonCode::StaleSnapshot));
    assert_eq!(codes, [denied, (pb::Decision::Deny, None), denied]);
    let refused = stale(StaleMode::Unavailable).native.batch_check(Request::new(request())).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
}

#[tokio::test]
async fn what_is_no_decision_is_unavailable_where_decisions_are_denied() {
    let pb::CheckRequest { user, environment, permission, .. } = allowed();
    for (mode, expected) in [
        (StaleMode::Serve, None),
        (StaleMode::Deny, Some(Code::Unavailable)),
        (StaleMode::Unavailable, Some(Code::Unavailable)),
    ] {
        let doors = stale(mode);
        let (user, environment, permission) = (user.clone(), environment.clone(), permission.clone());
        let query = pb::PermissionQuery { permission: permission.clone(), ..pb::PermissionQuery::default() };
        let (u, e) = (user.clone(), environment.clone());
        let resolve = pb::ResolveRequest { user: u, environment: e, permissions: vec![query], ..Default::default() };
        let (u, e) = (user.clone(), environment.clone());
        let list = pb::ListPermissionsRequest { user: u, environment: e, ..Default::default() };
        let filter = pb::FilterRequest { user, environment, permission, ..Default::default() };
        let code = |status: Status| {
            assert!(status.message().contains("stale_snapshot"), "{status}");
            status.code()
        };
        assert_eq!(doors.native.resolve(Request::new(resolve)).await.map_err(code).err(), expected, "{mode:?}");
        assert_eq!(doors.native.list_permissions(Request::new(list)).await.map_err(code).err(), expected, "{mode:?}");
        assert_eq!(doors.native.filter(Request::new(filter)).await.map_err(code).err(), expected, "{mode:?}");
    }
}

#[tokio::test]
async fn before_the_first_snapshot_nothing_is_stale() {
    for mode in [StaleMode::Serve, StaleMode::Deny, StaleMode::Unavailable] {
        let doors = Doors::closed_with(None, FreshnessPolicy { stale_mode: mode, ..FreshnessPolicy::default() });
        let refused = doors.check(allowed()).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
        assert!(refused.message().contains("no snapshot"), "{refused}");
    }
}

/// Waits until another staleness may have been told.
async fn changed(refusing: &mut Refusing) {
    tokio::time::timeout(10 * MOST, refusing.changed()).await.expect("somebody tells");
}

/// The staleness as it is told, with time that passes only where everything waits for it.
#[tokio::test(start_paused = true)]
async fn becoming_stale_and_fresh_again_is_told_in_every_mode() {
    for (mode, refuses) in [(StaleMode::Serve, false), (StaleMode::Deny, true), (StaleMode::Unavailable, true)] {
        let doors = doors(mode);
        let shows = |line: &str| {
            let shown = doors.metrics.open_metrics().contains(&format!("\n{line}\n"));
            assert!(shown, "{mode:?}: no `{line}`");
        };
        let watcher = doors.freshness.clone();
        tokio::spawn(async move { watcher.watch_staleness().await });
        let mut refusing = doors.freshness.refusing();
        assert!(!refusing.now());
        shows("doorward_stale 0");
        doors.clock.pass(MOST + BEAT);
        changed(&mut refusing).await;
        assert_eq!((refusing.now(), doors.freshness.ready().is_err()), (refuses, refuses), "{mode:?}");
        shows("doorward_stale 1");
        doors.snapshots.confirm(doors.clock.now().into());
        changed(&mut refusing).await;
        assert_eq!((refusing.now(), doors.freshness.ready()), (false, Ok(())), "{mode:?}");
        shows("doorward_stale 0");
        // A snapshot that is old when it comes, as one that was kept on a disk, is stale from its first moment.
        doors.snapshots.confirm((doors.clock.now() - MOST - BEAT).into());
        changed(&mut refusing).await;
        assert_eq!(refusing.now(), refuses, "{mode:?}");
    }
}

#[tokio::test]
async fn the_age_is_shown_once_there_is_one() {
    let doors = Doors::closed(None);
    doors.freshness.show_age();
    assert!(doors.metrics.open_metrics().contains("\ndoorward_snapshot_age_seconds NaN\n"));
    doors.publish(&[STATE]);
    doors.clock.pass(Duration::from_millis(2_500));
    doors.freshness.show_age();
    assert!(doors.metrics.open_metrics().contains("\ndoorward_snapshot_age_seconds 2.5\n"));
}
