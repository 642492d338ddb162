//! `envoy.service.auth.v3.Authorization`.
//!
//! A status code of 0 means ALLOW to Envoy, whatever else the message says, so each of the three answers has one
//! constructor: `ok` takes the proof, `denied` and `failed` set a code (reference ch. 6.2).

use std::collections::BTreeMap;

use prost_types::value::Kind;
use prost_types::{Struct, Value};
use tonic::{Code, Request, Response, Status};

use super::check::{STALE_SNAPSHOT, log, log_stale, outcome_label};
use super::decision_point::{DecisionPoint, Undecided};
use super::freshness::Standing;
use crate::edge::envoy::{Claim, Extensions, SubjectSource};
use crate::eval::{Outcome, Permit};
use crate::model::decision::{Decision, ReasonCode};
use crate::proto::envoy as pb;
use crate::proto::envoy::authorization_server::Authorization;
use crate::proto::envoy::check_response::HttpResponse;
use crate::snapshot::handle::Published;
use crate::telemetry::metrics::Api;

/// Envoy's door.
#[derive(Debug, Clone)]
pub struct ExtAuthzService {
    point: DecisionPoint,
    subject_header: Option<String>,
    sources: Vec<SubjectSource>,
}

/// Stands where a subject would while the rest of a request is read; it is never judged.
const NOBODY: &str = "-";

/// What happened, before it becomes a message.
enum Answered {
    Decided(Decision, pb::CheckResponse),
    /// Nobody who could be judged.
    Unauthenticated(pb::CheckResponse),
}

// === impl ExtAuthzService ===

impl ExtAuthzService {
    /// A service that asks `point`. `subject_header` is in lower case; it never reaches the upstream.
    #[must_use]
    pub const fn new(point: DecisionPoint, subject_header: Option<String>, sources: Vec<SubjectSource>) -> Self {
        Self { point, subject_header, sources }
    }

    fn answer(&self, message: &pb::CheckRequest, decision_id: &str) -> Result<Answered, Undecided> {
        let published = self.point.snapshots.current()?;
        let attributes = message.attributes.as_ref();
        let entries = attributes.into_iter().flat_map(|attributes| &attributes.context_extensions);
        let extensions = Extensions::read(entries.map(|(key, value)| (key.as_str(), value.as_str())))?;
        let (subject, nobody) = match self.claim(attributes, &extensions) {
            Claim::Subject(subject) => (subject, None),
            Claim::Nobody => (NOBODY, Some("missing_subject")),
            Claim::Unusable(why) => (NOBODY, Some(why.code())),
        };
        // A bad request is found first, whoever asks (rules R13).
        let supplied = extensions.supplied();
        let request = extensions.request(&supplied, subject, self.point.clock.moment())?;
        if let Some(code) = nobody {
            return Ok(self.unauthenticated(decision_id, &published, code));
        }
        if self.point.freshness.standing(&published)? == Standing::DenyOnly {
            log_stale(decision_id, &request);
            let fields = self.undecided_fields(decision_id, &published, STALE_SNAPSHOT);
            return Ok(Answered::Decided(Decision::Deny, deny_message(&FORBIDDEN, decision_id, Struct { fields })));
        }
        let outcome = self.point.decide(&published, "", &request)?;
        log(decision_id, &request, &outcome);
        let reason = outcome.reason();
        let metadata = self.metadata(decision_id, &published, &outcome);
        let reply = match outcome.permit() {
            Some(permit) => self.ok(permit, metadata),
            None => denied(reason.code, decision_id, metadata),
        };
        Ok(Answered::Decided(outcome.decision(), reply))
    }

    /// The first source that is present decides, and never the next one instead (design §7).
    fn claim<'a>(&'a self, attributes: Option<&'a pb::AttributeContext>, extensions: &Extensions<'a>) -> Claim<'a> {
        let claims = self.sources.iter().map(|source| match (source, &self.subject_header) {
            (SubjectSource::Bearer, _) => Claim::of_authorization(header_values(attributes, "authorization")),
            (SubjectSource::ContextExtensions, _) => Claim::of_values(extensions.subject()),
            (SubjectSource::Header, Some(name)) => Claim::of_values(header_values(attributes, name)),
            (SubjectSource::Header, None) => Claim::Nobody,
        });
        let mut present = claims.filter(|claim| *claim != Claim::Nobody);
        present.next().unwrap_or(Claim::Nobody)
    }

    fn metadata(&self, decision_id: &str, published: &Published, outcome: &Outcome<'_>) -> Struct {
        let mut fields = self.freshness(decision_id, published);
        let reason = outcome.reason();
        fields.insert("decision".to_owned(), text(outcome.decision().name()));
        fields.insert("code".to_owned(), text(reason.code.name()));
        if let Some(statement) = &reason.statement {
            let (policy, environment) = (statement.policy(), statement.environment());
            fields.extend([
                ("policy_id".to_owned(), text(&policy.id)),
                ("policy_name".to_owned(), text(&policy.name)),
                ("policy_level".to_owned(), text(policy.level.name())),
                ("statement".to_owned(), number(f64::from(statement.statement()))),
                ("group_id".to_owned(), text(&statement.group_id())),
                ("group_name".to_owned(), text(statement.group_name())),
                ("binding_level".to_owned(), text(if environment.is_some() { "environment" } else { "account" })),
            ]);
            fields.extend(environment.map(|id| ("binding_environment".to_owned(), text(id))));
            let boundary = statement.boundary();
            fields.extend(boundary.map(|it| ("boundary_id".to_owned(), text(&it.id))));
            fields.extend(boundary.map(|it| ("boundary_name".to_owned(), text(&it.name))));
        }
        fields.extend(outcome.valid_until().map(|at| ("valid_until".to_owned(), text(&at))));
        Struct { fields }
    }

    fn freshness(&self, decision_id: &str, published: &Published) -> BTreeMap<String, Value> {
        let token = published.snapshot.token();
        let age = published.age(self.point.clock.steady());
        BTreeMap::from([
            ("decision_id".to_owned(), text(decision_id)),
            ("revision".to_owned(), number(as_double(token.revision.get()))),
            ("revision_token".to_owned(), text(&token)),
            ("age_ms".to_owned(), number(age.as_secs_f64() * 1_000.0)),
        ])
    }

    /// The metadata of a denial for which no statement was looked at.
    fn undecided_fields(&self, decision_id: &str, published: &Published, code: &str) -> BTreeMap<String, Value> {
        let mut fields = self.freshness(decision_id, published);
        fields.insert("decision".to_owned(), text("DENY"));
        fields.insert("code".to_owned(), text(code));
        fields
    }

    /// The only place where an allowing answer is made, and it takes the proof (D13).
    fn ok(&self, _: Permit, metadata: Struct) -> pb::CheckResponse {
        let headers_to_remove = self.subject_header.iter().cloned().collect();
        pb::CheckResponse {
            status: Some(pb::Status { code: Code::Ok.into(), message: String::new() }),
            http_response: Some(HttpResponse::OkResponse(pb::OkHttpResponse {
                headers: Vec::new(),
                headers_to_remove,
            })),
            dynamic_metadata: Some(metadata),
        }
    }

    fn unauthenticated(&self, decision_id: &str, published: &Published, code: &'static str) -> Answered {
        tracing::debug!(decision_id, decision = "DENY", code, "decided");
        let fields = self.undecided_fields(decision_id, published, code);
        Answered::Unauthenticated(deny_message(&UNAUTHENTICATED, decision_id, Struct { fields }))
    }
}

#[tonic::async_trait]
impl Authorization for ExtAuthzService {
    async fn check(&self, request: Request<pb::CheckRequest>) -> Result<Response<pb::CheckResponse>, Status> {
        let observer = self.point.metrics.check(Api::ExtAuthz);
        let decision_id = self.point.decision_id();
        let reply = match self.answer(request.get_ref(), &decision_id) {
            Ok(Answered::Decided(decision, reply)) => {
                observer.outcome(outcome_label(decision));
                reply
            }
            Ok(Answered::Unauthenticated(reply)) => {
                observer.outcome("deny");
                reply
            }
            Err(problem) => {
                observer.outcome("error");
                failed(&problem, &decision_id)
            }
        };
        Ok(Response::new(reply))
    }
}

/// The values of a header, from the merged map and from the raw list.
fn header_values<'a>(attributes: Option<&'a pb::AttributeContext>, name: &'a str) -> impl Iterator<Item = &'a str> {
    let http = attributes.and_then(|attributes| attributes.request.as_ref()).and_then(|request| request.http.as_ref());
    let merged = http.into_iter().flat_map(|http| &http.headers);
    let merged = merged.filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str());
    let raw = http.and_then(|http| http.header_map.as_ref()).into_iter().flat_map(|map| &map.headers);
    let raw =
        raw.filter(move |header| header.key.eq_ignore_ascii_case(name)).map(|header| match header.value.as_str() {
            // A raw value that is no text names nobody: empty is refused where it is read.
            "" => std::str::from_utf8(&header.raw_value).unwrap_or_default(),
            value => value,
        });
    merged.chain(raw)
}

/// A revision as a number of JSON. Past 2^53 it is rounded; the token beside it is exact.
#[expect(clippy::cast_precision_loss, reason = "a store would need 2^53 commits")]
const fn as_double(revision: u64) -> f64 {
    revision as f64
}

/// How a denial looks to the client: one for each status, whatever the reason (reference ch. 4.3 F). That an unknown subject
/// is 401 and a known one 403 is rules R13.
struct Denial {
    code: Code,
    status: i32,
    title: &'static str,
    detail: &'static str,
}

const UNAUTHENTICATED: Denial = Denial {
    code: Code::Unauthenticated,
    status: 401,
    title: "Unauthorized",
    detail: "The request does not say who asks in a way that can be trusted.",
};

const FORBIDDEN: Denial = Denial {
    code: Code::PermissionDenied,
    status: 403,
    title: "Forbidden",
    detail: "The permission that this request needs is not granted.",
};

fn denied(code: ReasonCode, decision_id: &str, metadata: Struct) -> pb::CheckResponse {
    let denial = match code {
        ReasonCode::UnknownSubject => &UNAUTHENTICATED,
        // An allow never comes here; were it to, it would be refused.
        ReasonCode::AllowStatement
        | ReasonCode::DenyStatement
        | ReasonCode::DenyUnknown
        | ReasonCode::NoMatch
        | ReasonCode::InactiveSubject => &FORBIDDEN,
    };
    deny_message(denial, decision_id, metadata)
}

fn deny_message(denial: &Denial, decision_id: &str, metadata: Struct) -> pb::CheckResponse {
    let mut headers = vec![header("content-type", "application/problem+json")];
    if denial.code == Code::Unauthenticated {
        // RFC 9110 §15.5.2: a 401 says how to do better.
        headers.push(header("www-authenticate", "Bearer realm=\"doorward\""));
    }
    let body = problem_json(denial.title, denial.status, denial.detail, decision_id);
    let response = pb::DeniedHttpResponse { status: Some(pb::HttpStatus { code: denial.status }), headers, body };
    pb::CheckResponse {
        status: Some(pb::Status { code: denial.code.into(), message: denial.title.to_owned() }),
        http_response: Some(HttpResponse::DeniedResponse(response)),
        dynamic_metadata: Some(metadata),
    }
}

/// Doorward could not decide: Envoy's failure mode does. The client learns nothing but the id; the operator reads the rest.
fn failed(problem: &Undecided, decision_id: &str) -> pb::CheckResponse {
    let code = match problem {
        Undecided::NotReady(_) | Undecided::NotFresh(_) | Undecided::Stale(_) => Code::Unavailable,
        Undecided::TooManyWaiting(_) => Code::ResourceExhausted,
        Undecided::Invalid(_) | Undecided::Unanswerable(_) => Code::InvalidArgument,
    };
    tracing::warn!(decision_id, code = problem.code(), field = problem.field(), error = %problem, "could not decide");
    let fields = BTreeMap::from([
        ("decision_id".to_owned(), text(decision_id)),
        ("code".to_owned(), text(problem.code())),
        ("field".to_owned(), text(problem.field().unwrap_or_default())),
    ]);
    let body = problem_json("Authorization could not be decided", 503, "Try again later.", decision_id);
    let headers = vec![header("content-type", "application/problem+json")];
    let response = pb::DeniedHttpResponse { status: Some(pb::HttpStatus { code: 503 }), headers, body };
    pb::CheckResponse {
        status: Some(pb::Status { code: code.into(), message: problem.to_string() }),
        http_response: Some(HttpResponse::ErrorResponse(response)),
        dynamic_metadata: Some(Struct { fields }),
    }
}

/// RFC 9457.
fn problem_json(title: &str, status: i32, detail: &str, decision_id: &str) -> String {
    serde_json::json!({ "type": "about:blank", "title": title, "status": status, "detail": detail, "decisionId": decision_id })
        .to_string()
}

fn header(name: &str, value: &str) -> pb::HeaderValueOption {
    let header = pb::HeaderValue { key: name.to_owned(), value: value.to_owned(), raw_value: Vec::new() };
    let action = pb::header_value_option::HeaderAppendAction::OverwriteIfExistsOrAdd;
    pb::HeaderValueOption { header: Some(header), append_action: action.into() }
}

fn text(value: &(impl ToString + ?Sized)) -> Value {
    Value { kind: Some(Kind::StringValue(value.to_string())) }
}

const fn number(value: f64) -> Value {
    Value { kind: Some(Kind::NumberValue(value)) }
}
