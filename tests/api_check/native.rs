//! `doorward.v1.AuthorizationService`.

use std::collections::HashSet;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use doorward::proto::doorward as pb;
use doorward::services::decision_point::DecisionPoint;
use tonic::Code;
use tonic::metadata::MetadataMap;

use crate::control_plane::fields;
use crate::{ACCOUNT, Doors, OTHER, SCHEMA, STATE, STORE, other_account, question, with};

/// A question with its answer: the reason's code, and the number of the deciding statement.
async fn check(doors: &Doors, request: pb::CheckRequest, code: pb::ReasonCode, statement: Option<u32>) -> pb::Reason {
    let reply = doors.check(request.clone()).await.unwrap_or_else(|status| panic!("{request:?}: {status}"));
    let expected = match code {
        pb::ReasonCode::AllowStatement => pb::Decision::Allow,
        _ => pb::Decision::Deny,
    };
    let reason = reply.reason.clone().expect("a reason");
    assert_eq!((reply.decision(), reason.code(), reason.statement), (expected, code, statement), "{request:?}");
    reason
}

#[tokio::test]
async fn every_reason_has_its_code() {
    use pb::ReasonCode as Is;
    let doors = Doors::open();
    let ask = |user: &str| pb::CheckRequest { user: user.to_owned(), ..question("settings:schemas:read") };
    let write = |schema| with(question("settings:objects:write"), SCHEMA, &[schema]);
    for (request, code, statement) in [
        (question("settings:schemas:read"), Is::AllowStatement, Some(0)),
        (with(question("settings:objects:read"), SCHEMA, &["a"]), Is::AllowStatement, Some(1)),
        (with(question("settings:objects:read"), SCHEMA, &["b"]), Is::NoMatch, None),
        (question("settings:objects:read"), Is::NoMatch, None),
        (write("vault:x"), Is::DenyStatement, Some(2)),
        (write("x"), Is::AllowStatement, Some(3)),
        (question("settings:objects:write"), Is::DenyUnknown, Some(2)),
        (with(question("settings:objects:write"), SCHEMA, &[]), Is::AllowStatement, Some(3)),
        (ask("nobody@example.com"), Is::UnknownSubject, None),
        (ask("ben@example.com"), Is::InactiveSubject, None),
        (ask("cleo@example.com"), Is::InactiveSubject, None),
        (ask("dan@example.com"), Is::InactiveSubject, None),
        (ask("robot"), Is::AllowStatement, Some(0)),
        (ask("robot@example.com"), Is::AllowStatement, Some(0)),
        (ask("Ada@example.com"), Is::UnknownSubject, None),
    ] {
        let reason = check(&doors, request, code, statement).await;
        assert_eq!(reason.policy.is_some(), statement.is_some());
        assert_eq!(reason.binding.is_some(), statement.is_some());
    }
    let absent = pb::CheckRequest { absent: vec![SCHEMA.to_owned()], ..question("settings:objects:write") };
    check(&doors, absent, Is::AllowStatement, Some(3)).await;
}

#[tokio::test]
async fn a_reason_names_statement_policy_binding_and_environment() {
    let doors = Doors::open();
    let group = "3c0e1d0a-5d0f-4a57-9d5c-0d5f1f6f3a33".to_owned();
    let at_account = check(&doors, question("settings:schemas:read"), pb::ReasonCode::AllowStatement, Some(0)).await;
    let (policy, binding) = (at_account.policy.unwrap(), at_account.binding.unwrap());
    assert_eq!(
        (policy.id.as_str(), policy.name.as_str(), policy.level.as_str()),
        ("4c0e1d0a-5d0f-4a57-9d5c-0d5f1f6f3a44", "Crew policy", "account")
    );
    let expected = pb::BindingReference {
        group_id: group,
        group_name: "Crew".to_owned(),
        level: "account".to_owned(),
        environment: String::new(),
    };
    assert_eq!(binding, expected);

    let there = pb::CheckRequest { environment: "test".to_owned(), ..question("automation:rules:write") };
    let local = check(&doors, there, pb::ReasonCode::AllowStatement, Some(1)).await;
    let policy = local.policy.unwrap();
    assert_eq!((policy.name.as_str(), policy.level.as_str()), ("Local policy", "environment"));
    let there = pb::BindingReference { level: "environment".to_owned(), environment: "test".to_owned(), ..expected };
    assert_eq!(local.binding.unwrap(), there);

    let level = "account".to_owned();
    let above = pb::CheckRequest { environment: String::new(), level, ..question("automation:rules:write") };
    check(&doors, above, pb::ReasonCode::NoMatch, None).await;
}

#[tokio::test]
async fn an_answer_says_its_revision_age_and_id() {
    let doors = Doors::open();
    let mut ids = HashSet::new();
    for (millis, seconds, nanos) in [(0, 0, 0), (1_500, 1, 500_000_000), (60_000, 61, 500_000_000)] {
        doors.clock.pass(Duration::from_millis(millis));
        let reply = doors.check(question("settings:schemas:read")).await.unwrap();
        assert_eq!((reply.revision, reply.revision_token), (41, format!("{STORE}.41")));
        let age = reply.age.expect("an age");
        assert_eq!((age.seconds, age.nanos), (seconds, nanos));
        assert!(reply.decision_id.starts_with("000000000000d00d"), "{}", reply.decision_id);
        assert!(ids.insert(reply.decision_id));
    }
    let denied = doors.check(question("settings:objects:read")).await.unwrap();
    assert!(ids.insert(denied.decision_id) && denied.age.is_some());
    // A clock that goes back makes no negative age.
    doors.clock.set("2020-01-01T00:00:00Z");
    let age = doors.check(question("settings:schemas:read")).await.unwrap().age.unwrap();
    assert_eq!((age.seconds, age.nanos), (0, 0));
}

async fn check_bad(doors: &Doors, request: pb::CheckRequest, field: &str) {
    let status = doors.check(request.clone()).await.expect_err("an error, never a decision");
    assert_eq!((status.code(), fields(&status)), (Code::InvalidArgument, vec![field.to_owned()]), "{request:?}");
    assert!(status.message().contains(field), "{status}");
}

fn many(count: usize) -> Vec<String> {
    vec!["x".to_owned(); count]
}

#[tokio::test]
async fn a_bad_request_names_its_field() {
    let doors = Doors::open();
    let base = question("settings:schemas:read");
    let text = |value: &str| value.to_owned();
    let names = |count: usize| (0..count).map(|n| (format!("x:{n}"), pb::AttributeValues::default())).collect();
    let list = |values: Vec<String>| [("x:y".to_owned(), pb::AttributeValues { values })].into();
    for (request, field) in [
        (pb::CheckRequest { permission: text(""), ..base.clone() }, "permission"),
        (pb::CheckRequest { permission: text("no:such:permission"), ..base.clone() }, "permission"),
        (pb::CheckRequest { permission: text("a\0b"), ..base.clone() }, "permission"),
        (pb::CheckRequest { permission: "x".repeat(1_025), ..base.clone() }, "permission"),
        (pb::CheckRequest { environment: text("nowhere"), ..base.clone() }, "environment"),
        (pb::CheckRequest { environment: text("a\0b"), ..base.clone() }, "environment"),
        (pb::CheckRequest { environment: "x".repeat(1_025), ..base.clone() }, "environment"),
        (pb::CheckRequest { environment: text(""), ..base.clone() }, "environment"),
        (pb::CheckRequest { level: text("account"), ..base.clone() }, "level"),
        (pb::CheckRequest { level: text("global"), environment: text(""), ..base.clone() }, "level"),
        (pb::CheckRequest { level: text("a\0b"), environment: text(""), ..base.clone() }, "level"),
        (pb::CheckRequest { user: text(""), ..base.clone() }, "user"),
        (pb::CheckRequest { user: "x".repeat(1_025), ..base.clone() }, "user"),
        (pb::CheckRequest { account: text("a\0b"), ..base.clone() }, "account"),
        (pb::CheckRequest { account: text(OTHER), ..base.clone() }, "account"),
        (with(base.clone(), "global:date", &["2026-03-02Z"]), "attributes.global:date"),
        (pb::CheckRequest { absent: vec![text("global:date")], ..base.clone() }, "absent.global:date"),
        (pb::CheckRequest { absent: vec![text("x:y")], ..with(base.clone(), "x:y", &["a"]) }, "absent.x:y"),
        (with(base.clone(), "", &["a"]), "attributes"),
        (pb::CheckRequest { absent: vec![text("")], ..base.clone() }, "absent"),
        (pb::CheckRequest { attributes: names(257), ..base.clone() }, "attributes"),
        (pb::CheckRequest { attributes: list(many(501)), ..base.clone() }, "attributes.x:y"),
        (pb::CheckRequest { attributes: list(vec!["x".repeat(4_097)]), ..base.clone() }, "attributes.x:y"),
        (with(base.clone(), &"x".repeat(1_025), &["a"]), "attributes"),
    ] {
        check_bad(&doors, request, field).await;
    }
    for request in [
        pb::CheckRequest { attributes: names(256), ..base.clone() },
        pb::CheckRequest { attributes: list(many(500)), ..base.clone() },
        pb::CheckRequest { attributes: list(vec!["x".repeat(4_096)]), ..base.clone() },
        with(base.clone(), &"x".repeat(1_024), &["a"]),
        // A name that no permission knows is ignored (rules R5), whatever it is.
        with(base.clone(), "a\0b", &["a"]),
        pb::CheckRequest { absent: vec![text("a\0b")], ..base.clone() },
        // A value is data: it is compared, never read.
        with(base.clone(), "x:y", &["a\0b", ""]),
    ] {
        check(&doors, request, pb::ReasonCode::AllowStatement, Some(0)).await;
    }
    let long = pb::CheckRequest { user: "x".repeat(1_024), ..base };
    check(&doors, long, pb::ReasonCode::UnknownSubject, None).await;
    // Nobody is called so (rules R13).
    let odd = pb::CheckRequest { user: text("a\0b"), ..question("settings:schemas:read") };
    check(&doors, odd, pb::ReasonCode::UnknownSubject, None).await;
}

#[tokio::test]
async fn a_bad_request_is_found_before_the_subject_is_judged() {
    let doors = Doors::open();
    for user in ["nobody@example.com", "ben@example.com", "ada@example.com"] {
        let base = pb::CheckRequest { user: user.to_owned(), ..question("no:such:permission") };
        check_bad(&doors, base.clone(), "permission").await;
        check_bad(&doors, pb::CheckRequest { environment: "nowhere".to_owned(), ..question(user) }, "permission").await;
        let nowhere = pb::CheckRequest { user: user.to_owned(), ..question("settings:schemas:read") };
        check_bad(&doors, pb::CheckRequest { environment: "nowhere".to_owned(), ..nowhere.clone() }, "environment")
            .await;
        // What is wrong with the request itself comes before what does not exist.
        check_bad(&doors, with(base, "global:date", &["x"]), "attributes.global:date").await;
        check_bad(&doors, pb::CheckRequest { account: OTHER.to_owned(), ..nowhere }, "account").await;
    }
}

#[tokio::test]
async fn the_account_is_named_where_there_are_several() {
    let doors = Doors::closed(None);
    doors.publish(&[STATE, &other_account()]);
    let base = question("settings:schemas:read");
    check_bad(&doors, base.clone(), "account").await;
    let ask = |account: &str| pb::CheckRequest { account: account.to_owned(), ..base.clone() };
    check(&doors, ask(ACCOUNT), pb::ReasonCode::AllowStatement, Some(0)).await;
    check(&doors, ask(OTHER), pb::ReasonCode::NoMatch, None).await;
    check_bad(&doors, ask("7f1c2c1e-3a52-4b7c-9a51-0d2f6f3b8e44"), "account").await;
    check_bad(&doors, ask("x"), "account").await;
    check_bad(&doors, ask(&ACCOUNT.to_uppercase()), "account").await;
}

#[tokio::test]
async fn the_configured_account_stands_in_for_one_that_is_not_named() {
    let doors = Doors::closed(Some(OTHER));
    doors.publish(&[STATE, &other_account()]);
    let base = question("settings:schemas:read");
    check(&doors, base.clone(), pb::ReasonCode::NoMatch, None).await;
    let named = pb::CheckRequest { account: ACCOUNT.to_owned(), ..base.clone() };
    check(&doors, named, pb::ReasonCode::AllowStatement, Some(0)).await;
    let gone = Doors::closed(Some(OTHER));
    gone.publish(&[STATE]);
    // Never another account instead, though there is only one.
    check_bad(&gone, base, "account").await;
}

#[tokio::test]
async fn before_the_first_snapshot_nothing_is_decided() {
    let doors = Doors::closed(None);
    let status = doors.check(question("settings:schemas:read")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    // Not even a bad request is judged: nobody knows yet what is bad.
    let status = doors.check(pb::CheckRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    doors.publish(&[STATE]);
    check(&doors, question("settings:schemas:read"), pb::ReasonCode::AllowStatement, Some(0)).await;
}

#[tokio::test]
async fn conditions_on_the_time_flip_at_their_edge() {
    use pb::ReasonCode::{AllowStatement, NoMatch};
    let doors = Doors::open();
    // A Monday; each permission with the moments just outside and just inside of what allows it.
    for (permission, statement, outside, inside) in [
        ("automation:calendars:read", 0, "2026-03-02T07:00:00Z", "2026-03-02T07:00:00.001Z"),
        ("automation:calendars:read", 0, "2026-03-02T17:00:00Z", "2026-03-02T16:59:59.999Z"),
        ("automation:calendars:write", 1, "2026-03-02T23:59:59.999Z", "2026-03-03T00:00:00Z"),
        ("automation:calendars:write", 1, "2026-03-04T00:00:00Z", "2026-03-03T23:59:59.999Z"),
        ("storage:logs:write", 2, "2026-03-02T23:59:59.999Z", "2026-03-03T00:00:00Z"),
        ("storage:metrics:write", 3, "2026-03-02T12:00:00Z", "2026-03-02T12:00:00.001Z"),
    ] {
        doors.clock.set(outside);
        check(&doors, question(permission), NoMatch, None).await;
        doors.clock.set(inside);
        check(&doors, question(permission), AllowStatement, Some(statement)).await;
    }
}

#[tokio::test]
async fn every_answer_is_counted_by_its_outcome() {
    let doors = Doors::open();
    doors.check(question("settings:schemas:read")).await.unwrap();
    doors.check(question("settings:objects:read")).await.unwrap();
    doors.check(question("no:such:permission")).await.unwrap_err();
    let text = doors.metrics.open_metrics();
    for outcome in ["allow", "deny", "error"] {
        let counted = text.lines().any(|line| {
            line.starts_with("doorward_checks_total{")
                && line.contains(&format!("\"{outcome}\""))
                && line.ends_with(" 1")
        });
        assert!(counted, "{outcome}: {text}");
    }
}

/// Requests of one tenant must not be judged in another because the first one went.
#[tokio::test]
async fn the_only_account_stays_the_account_of_requests_that_name_none() {
    let doors = Doors::open();
    assert!(doors.check(question("settings:schemas:read")).await.is_ok());
    doors.publish(&[&other_account()]);
    let refused = doors.check(question("settings:schemas:read")).await.unwrap_err();
    assert_eq!((refused.code(), fields(&refused)), (Code::InvalidArgument, vec!["account".to_owned()]), "{refused}");
}

/// Without a runtime there is no timer, no task and nobody who would wake it: the first look is the answer.
#[test]
fn a_call_without_demands_neither_waits_nor_allocates() {
    let doors = Doors::open();
    let point = DecisionPoint::of(doors.freshness.clone(), None, 0);
    let metadata = MetadataMap::new();
    let mut revision = 0;
    let info = allocation_counter::measure(|| {
        let mut asked = pin!(point.snapshot(&metadata, "", None));
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(Ok(published)) = asked.as_mut().poll(&mut context) {
            revision = published.snapshot.revision().get();
        }
    });
    assert_eq!((revision, info.count_total), (41, 0));
}
