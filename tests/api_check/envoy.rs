//! `envoy.service.auth.v3.Authorization`: a status code of 0 is an ALLOW, whatever else the message says.

use std::collections::BTreeMap;

use doorward::proto::envoy as wire;
use doorward::proto::envoy::attribute_context;
use doorward::proto::envoy::check_response::HttpResponse;
use prost_types::value::Kind;
use tonic::Code;

use crate::{Doors, HEADER, SCHEMA, STATE, STORE, other_account};

/// A request as Envoy sends it.
#[derive(Clone, Default)]
pub(crate) struct Asked {
    extensions: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, &'static str)>,
    raw: Vec<(&'static str, &'static str)>,
}

// === impl Asked ===

impl Asked {
    /// Whether Ada may read schemas in production.
    pub(crate) fn ada() -> Self {
        Self::default()
            .with("subject", "ada@example.com")
            .with("environment", "prod")
            .with("permission", "settings:schemas:read")
    }

    fn with(mut self, key: &'static str, value: &str) -> Self {
        self.extensions.retain(|(known, _)| *known != key);
        self.extensions.push((key, value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, key: &'static str) -> Self {
        self.extensions.retain(|(known, _)| *known != key);
        self
    }

    fn header(mut self, key: &'static str, value: &'static str) -> Self {
        self.headers.push((key, value));
        self
    }

    fn raw(mut self, key: &'static str, value: &'static str) -> Self {
        self.raw.push((key, value));
        self
    }

    pub(crate) fn message(self) -> wire::CheckRequest {
        let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let raw = |(key, value): (&str, &str)| wire::HeaderValue {
            key: key.to_owned(),
            value: String::new(),
            raw_value: value.as_bytes().to_vec(),
        };
        let http = attribute_context::HttpRequest {
            headers: self.headers.into_iter().map(owned).collect(),
            header_map: Some(wire::HeaderMap { headers: self.raw.into_iter().map(raw).collect() }),
        };
        let attributes = wire::AttributeContext {
            request: Some(attribute_context::Request { http: Some(http) }),
            context_extensions: self.extensions.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        };
        wire::CheckRequest { attributes: Some(attributes) }
    }
}

/// What an answer comes to.
#[derive(Debug, PartialEq, Eq)]
enum Is {
    Allowed,
    Denied(i32),
    Failed(Code),
}

/// Reads an answer as Envoy does, and finds it whole: a code, and the one body that goes with it.
fn read(reply: &wire::CheckResponse) -> (Is, BTreeMap<String, String>) {
    let code = reply.status.as_ref().expect("a status is always set: without one the code would be 0").code;
    let body = reply.http_response.as_ref().expect("a body is always set");
    assert_eq!(code == 0, matches!(body, HttpResponse::OkResponse(_)), "0 goes with ok_response only: {reply:?}");
    let is = match body {
        HttpResponse::OkResponse(_) => Is::Allowed,
        HttpResponse::DeniedResponse(denied) => Is::Denied(denied.status.expect("a status of its own").code),
        HttpResponse::ErrorResponse(_) => Is::Failed(Code::from_i32(code)),
    };
    let fields = reply.dynamic_metadata.as_ref().expect("metadata").fields.iter();
    let text = |kind: &Option<Kind>| match kind {
        Some(Kind::StringValue(text)) => text.clone(),
        Some(Kind::NumberValue(number)) => number.to_string(),
        other => panic!("{other:?}"),
    };
    (is, fields.map(|(key, value)| (key.clone(), text(&value.kind))).collect())
}

/// The answer to `asked` comes to this, with this code in its metadata.
async fn check(doors: &Doors, asked: Asked, expected: Is, code: &str) -> BTreeMap<String, String> {
    let message = asked.message();
    let (is, metadata) = read(&doors.ext_authz(message.clone()).await);
    assert_eq!((is, metadata.get("code").map(String::as_str)), (expected, Some(code)), "{message:?}");
    metadata
}

#[tokio::test]
async fn every_outcome_sets_its_code_and_0_goes_with_ok_only() {
    let doors = Doors::open();
    let ada = Asked::ada;
    let write = || ada().with("permission", "settings:objects:write");
    let (denied, bad) = (Is::Denied(403), Is::Failed(Code::InvalidArgument));
    check(&doors, ada(), Is::Allowed, "allow_statement").await;
    check(&doors, write().with("attr.settings:schemaId", "x"), Is::Allowed, "allow_statement").await;
    check(&doors, write().with("attr.settings:schemaId", "vault:x"), denied, "deny_statement").await;
    check(&doors, write(), Is::Denied(403), "deny_unknown").await;
    check(&doors, ada().with("permission", "settings:objects:read"), Is::Denied(403), "no_match").await;
    check(&doors, ada().with("subject", "ben@example.com"), Is::Denied(403), "inactive_subject").await;
    check(&doors, ada().with("subject", "nobody"), Is::Denied(401), "unknown_subject").await;
    check(&doors, ada().without("subject"), Is::Denied(401), "missing_subject").await;
    check(&doors, ada().with("permission", "no:such:one"), bad, "unknown_permission").await;
    let bad = || Is::Failed(Code::InvalidArgument);
    check(&doors, ada().with("environment", "nowhere"), bad(), "unknown_environment").await;
    check(&doors, ada().without("permission"), bad(), "bad_request").await;
    check(&doors, ada().with("level", "account"), bad(), "bad_request").await;
    check(&doors, ada().with("attr.global:date", "x"), bad(), "bad_request").await;
    check(&doors, ada().with("attrs.x:y", "no list"), bad(), "bad_request").await;
    check(&doors, ada().with("permission", "a\0b"), bad(), "unknown_permission").await;
    check(&doors, ada().with("attr.x:y", &"x".repeat(4_097)), bad(), "bad_request").await;
    let empty = read(&doors.ext_authz(wire::CheckRequest { attributes: None }).await);
    assert_eq!((empty.0, empty.1["code"].as_str()), (bad(), "bad_request"), "a bad request is found first");
    let closed = Doors::closed(None);
    check(&closed, ada(), Is::Failed(Code::Unavailable), "not_ready").await;
    check(&closed, Asked::default(), Is::Failed(Code::Unavailable), "not_ready").await;
    let several = Doors::closed(None);
    several.publish(&[STATE, &other_account()]);
    let fields = check(&several, ada(), bad(), "bad_request").await;
    assert_eq!(fields["field"], "account");
}

#[tokio::test]
async fn a_bad_request_is_found_before_the_subject_is_judged() {
    let doors = Doors::open();
    for subject in ["nobody", "ben@example.com"] {
        let asked = Asked::ada().with("subject", subject).with("permission", "no:such:one");
        let fields = check(&doors, asked, Is::Failed(Code::InvalidArgument), "unknown_permission").await;
        assert_eq!(fields["field"], "permission");
    }
}

#[tokio::test]
async fn metadata_tells_what_decided() {
    let doors = Doors::open();
    let there = Asked::ada().with("environment", "test").with("permission", "automation:rules:write");
    doors.clock.pass(std::time::Duration::from_millis(250));
    let mut fields = check(&doors, there, Is::Allowed, "allow_statement").await;
    assert!(fields.remove("decision_id").unwrap().starts_with("000000000000d00d"));
    let token = format!("{STORE}.41");
    let expected = [
        ("age_ms", "250"),
        ("binding_environment", "test"),
        ("binding_level", "environment"),
        ("code", "allow_statement"),
        ("decision", "ALLOW"),
        ("group_id", "3c0e1d0a-5d0f-4a57-9d5c-0d5f1f6f3a33"),
        ("group_name", "Crew"),
        ("policy_id", "5c0e1d0a-5d0f-4a57-9d5c-0d5f1f6f3a55"),
        ("policy_level", "environment"),
        ("policy_name", "Local policy"),
        ("revision", "41"),
        ("revision_token", &token),
        ("statement", "1"),
    ];
    assert_eq!(fields, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    let fields = check(&doors, Asked::ada().with("subject", "nobody"), Is::Denied(401), "unknown_subject").await;
    let keys: Vec<_> = fields.keys().map(String::as_str).collect();
    assert_eq!(keys, ["age_ms", "code", "decision", "decision_id", "revision", "revision_token"]);
    assert_eq!(fields["decision"], "DENY");
}

#[tokio::test]
async fn the_subject_header_never_reaches_the_upstream() {
    let doors = Doors::open();
    for asked in [Asked::ada(), Asked::ada().without("subject").header(HEADER, "ada@example.com")] {
        let reply = doors.ext_authz(asked.message()).await;
        let Some(HttpResponse::OkResponse(ok)) = reply.http_response else { panic!("{reply:?}") };
        assert_eq!(ok.headers_to_remove, [HEADER]);
    }
}

#[tokio::test]
async fn the_first_source_that_is_present_decides() {
    let doors = Doors::open();
    let nobody = || Asked::ada().without("subject");
    check(&doors, nobody().raw(HEADER, "ada@example.com"), Is::Allowed, "allow_statement").await;
    check(&doors, nobody().header("X-Doorward-Subject", "ben@example.com"), Is::Denied(403), "inactive_subject").await;
    // The route's own subject comes before the header.
    check(&doors, Asked::ada().header(HEADER, "nobody"), Is::Allowed, "allow_statement").await;
    // A credential that is present and cannot be verified is never passed over.
    for scheme in ["Bearer x", "bearer x", "Api-Token x"] {
        check(&doors, Asked::ada().header("authorization", scheme), Is::Denied(401), "token_not_supported").await;
        check(&doors, Asked::ada().raw("Authorization", scheme), Is::Denied(401), "token_not_supported").await;
    }
    check(&doors, Asked::ada().header("authorization", "Basic eA=="), Is::Allowed, "allow_statement").await;
    check(&doors, nobody().header(HEADER, ""), Is::Denied(401), "subject_empty").await;
    let twice = nobody().raw(HEADER, "ada@example.com").raw(HEADER, "ada@example.com");
    check(&doors, twice, Is::Denied(401), "subject_repeated").await;
}

/// The body of a refusal.
fn refusal(reply: &wire::CheckResponse) -> &wire::DeniedHttpResponse {
    match &reply.http_response {
        Some(HttpResponse::DeniedResponse(it) | HttpResponse::ErrorResponse(it)) => it,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_refusal_tells_the_client_nothing_but_an_id() {
    let doors = Doors::open();
    let write = Asked::ada().with("permission", "settings:objects:write");
    for (asked, status, challenge) in [
        (write.clone().with("attr.settings:schemaId", "vault:secret"), 403, false),
        (write, 403, false),
        (Asked::ada().with("subject", "ben@example.com"), 403, false),
        (Asked::ada().with("subject", "nobody"), 401, true),
        (Asked::ada().with("permission", "no:such:one"), 503, false),
    ] {
        let reply = doors.ext_authz(asked.message()).await;
        let body = refusal(&reply);
        let header = |name: &str| {
            body.headers.iter().filter_map(|it| it.header.as_ref()).find(|it| it.key == name).map(|it| it.value.clone())
        };
        assert_eq!(header("content-type").as_deref(), Some("application/problem+json"));
        assert_eq!(header("www-authenticate").is_some(), challenge);
        assert_eq!(body.status.unwrap().code, status);
        let problem: serde_json::Value = serde_json::from_str(&body.body).unwrap();
        let id = read(&reply).1["decision_id"].clone();
        assert_eq!(
            (problem["status"].as_i64(), problem["decisionId"].as_str()),
            (Some(status.into()), Some(id.as_str()))
        );
        for told in ["ada", "ben", "nobody", "vault", "Crew", "no:such:one", SCHEMA] {
            assert!(!body.body.contains(told), "{told} in {}", body.body);
        }
    }
}
