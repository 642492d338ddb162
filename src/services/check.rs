//! `doorward.v1.AuthorizationService`.

mod batch;
mod filter;
pub(super) mod list;
mod resolve;

use std::collections::BTreeMap;

use tonic::{Request, Response, Status};

use super::decision_point::{DecisionPoint, Undecided};
use super::freshness::Standing;
use super::status::undecided;
use crate::eval::outcome::StatementReason;
use crate::eval::{Outcome, Permit, Reason};
use crate::model::attribute::{InvalidRequest, Supplied, Values};
use crate::model::decision::{CheckRequest, Decision, ReasonCode, RequestParts};
use crate::model::id::{EnvironmentId, GroupId};
use crate::model::moment::{Moment, SECOND};
use crate::model::policy::{Boundary, Policy};
use crate::model::text::Name;
use crate::proto::doorward as pb;
use crate::proto::doorward::authorization_service_server::AuthorizationService;
use crate::snapshot::handle::Published;
use crate::telemetry::metrics::Api;

/// What an answer says about the snapshot it is from: the revision, its token, its age.
type Stamp = (u64, String, Option<prost_types::Duration>);

/// The native door.
#[derive(Debug, Clone)]
pub struct CheckService {
    point: DecisionPoint,
}

// === impl CheckService ===

impl CheckService {
    /// A service that asks `point`.
    #[must_use]
    pub const fn new(point: DecisionPoint) -> Self {
        Self { point }
    }

    async fn checked(&self, request: &Request<pb::CheckRequest>) -> Result<pb::CheckResponse, Undecided> {
        let message = request.get_ref();
        let (at_least, max_age) = (&message.at_least_revision, message.max_age);
        let published = self.point.snapshot(request.metadata(), at_least, max_age).await?;
        self.answer(&published, message)
    }

    fn answer(&self, published: &Published, message: &pb::CheckRequest) -> Result<pb::CheckResponse, Undecided> {
        let supplied = to_supplied(&message.attributes, &message.absent);
        let request = to_request(message, &supplied, self.point.clock.moment())?;
        let standing = self.point.freshness.standing(published)?;
        if standing == Standing::DenyOnly {
            return Ok(self.deny_stale(published, &request));
        }
        let outcome = self.point.decide(published, &message.account, &request)?;
        let decision_id = self.point.decision_id();
        log(&decision_id, &request, &outcome);
        let (reason, valid_until) = (to_reason(&outcome.reason()), outcome.valid_until());
        let decided = Decided { point: &self.point, published, reason, valid_until, decision_id };
        Ok(match outcome.permit() {
            Some(permit) => decided.allow(permit),
            None => decided.deny(),
        })
    }

    /// What the names of a request come to is not looked at: the snapshot may not know them yet.
    fn deny_stale(&self, published: &Published, request: &CheckRequest<'_>) -> pb::CheckResponse {
        let decision_id = self.point.decision_id();
        log_stale(&decision_id, request);
        let reason = stale_reason();
        Decided { point: &self.point, published, reason, valid_until: None, decision_id }.deny()
    }

    fn stamp(&self, published: &Published) -> Stamp {
        let (token, age) = (published.snapshot.token(), published.age(self.point.clock.steady()));
        (token.revision.get(), token.to_string(), prost_types::Duration::try_from(age).ok())
    }

    /// Counts what is no decision.
    async fn answered<R>(
        &self,
        api: Api,
        answer: impl Future<Output = Result<R, Status>>,
    ) -> Result<Response<R>, Status> {
        let observer = self.point.metrics.check(api);
        let answer = answer.await;
        observer.outcome(if answer.is_ok() { "answer" } else { "error" });
        answer.map(Response::new)
    }
}

#[tonic::async_trait]
impl AuthorizationService for CheckService {
    async fn check(&self, request: Request<pb::CheckRequest>) -> Result<Response<pb::CheckResponse>, Status> {
        let observer = self.point.metrics.check(Api::Native);
        match self.checked(&request).await {
            Ok(reply) => {
                observer.outcome(if reply.decision() == pb::Decision::Allow { "allow" } else { "deny" });
                Ok(Response::new(reply))
            }
            Err(problem) => {
                observer.outcome("error");
                Err(undecided(&problem))
            }
        }
    }

    async fn batch_check(
        &self,
        request: Request<pb::BatchCheckRequest>,
    ) -> Result<Response<pb::BatchCheckResponse>, Status> {
        // Its items are counted one by one.
        self.batch(&request).await.map(Response::new).map_err(|problem| undecided(&problem))
    }

    async fn resolve(&self, request: Request<pb::ResolveRequest>) -> Result<Response<pb::ResolveResponse>, Status> {
        let answer = async { self.resolved(&request).await.map_err(|problem| undecided(&problem)) };
        self.answered(Api::Resolve, answer).await
    }

    async fn list_permissions(
        &self,
        request: Request<pb::ListPermissionsRequest>,
    ) -> Result<Response<pb::ListPermissionsResponse>, Status> {
        self.answered(Api::ListPermissions, self.listed(request)).await
    }

    async fn filter(&self, request: Request<pb::FilterRequest>) -> Result<Response<pb::FilterResponse>, Status> {
        self.answered(Api::Filter, self.filtered(&request)).await
    }
}

/// Writes the one line that explains a decision. Attribute values are not in it.
pub(super) fn log(decision_id: &str, request: &CheckRequest<'_>, outcome: &Outcome<'_>) {
    let reason = outcome.reason();
    let policy = reason.statement.map(|statement| statement.policy().id);
    tracing::debug!(
        decision_id,
        decision = outcome.decision().name(),
        code = reason.code.name(),
        subject = request.subject,
        permission = request.permission,
        policy = policy.map(tracing::field::display),
        statement = reason.statement.map(|statement| statement.statement()),
        "decided"
    );
}

/// The code of a denial by age, where no step of a decision was taken.
pub(super) const STALE_SNAPSHOT: &str = "stale_snapshot";

/// Writes the one line about a request that is denied by age.
pub(super) fn log_stale(decision_id: &str, request: &CheckRequest<'_>) {
    let (subject, permission) = (request.subject, request.permission);
    tracing::debug!(decision_id, decision = "DENY", code = STALE_SNAPSHOT, subject, permission, "decided");
}

/// The reason of a denial by age.
fn stale_reason() -> pb::Reason {
    pb::Reason { code: pb::ReasonCode::StaleSnapshot.into(), ..pb::Reason::default() }
}

fn to_request<'m>(
    message: &'m pb::CheckRequest,
    supplied: &'m Supplied<'_>,
    at: Moment,
) -> Result<CheckRequest<'m>, Undecided> {
    let pb::CheckRequest { user, environment, level, permission, .. } = message;
    Ok(CheckRequest::new(RequestParts { user, environment, level, permission }, supplied.attributes()?, at)?)
}

pub(super) fn to_supplied<'m>(
    attributes: &'m BTreeMap<String, pb::AttributeValues>,
    absent: &'m [String],
) -> Supplied<'m> {
    let values = attributes.iter().map(|(name, list)| (name.as_str(), Values::Many(&list.values)));
    Supplied::new(values, absent.iter().map(String::as_str))
}

/// A list that must hold something, but not too much.
fn bounded(field: &str, count: usize, limit: usize) -> Result<(), InvalidRequest> {
    match count {
        0 => Err(InvalidRequest::new(field, "is missing")),
        _ if count > limit => Err(InvalidRequest::new(field, format!("holds {count}, the limit is {limit}"))),
        _ => Ok(()),
    }
}

/// Why a part of a call got no answer.
fn answer_error(problem: &Undecided) -> pb::AnswerError {
    pb::AnswerError {
        code: problem.code().to_owned(),
        field: problem.field().unwrap_or_default().to_owned(),
        message: problem.to_string(),
    }
}

/// ALLOW only with the proof (D13).
pub(super) const fn decision_of(permit: Option<&Permit>) -> pb::Decision {
    match permit {
        Some(_) => pb::Decision::Allow,
        None => pb::Decision::Deny,
    }
}

/// A decision on its way into a message.
struct Decided<'a> {
    point: &'a DecisionPoint,
    published: &'a Published,
    reason: pb::Reason,
    valid_until: Option<Moment>,
    decision_id: String,
}

// === impl Decided ===

impl Decided<'_> {
    /// The only place where an allowing reply is made, and it takes the proof (D13).
    fn allow(self, _: Permit) -> pb::CheckResponse {
        self.reply(pb::Decision::Allow)
    }

    fn deny(self) -> pb::CheckResponse {
        self.reply(pb::Decision::Deny)
    }

    fn reply(self, decision: pb::Decision) -> pb::CheckResponse {
        let token = self.published.snapshot.token();
        let age = self.published.age(self.point.clock.steady());
        pb::CheckResponse {
            decision: decision.into(),
            reason: Some(self.reason),
            revision: token.revision.get(),
            revision_token: token.to_string(),
            age: prost_types::Duration::try_from(age).ok(),
            decision_id: self.decision_id,
            valid_until: self.valid_until.map(to_timestamp),
        }
    }
}

/// The instant as the wire spells it.
pub(super) fn to_timestamp(at: Moment) -> prost_types::Timestamp {
    let (seconds, nanos) = (at.nanoseconds().div_euclid(SECOND), at.nanoseconds().rem_euclid(SECOND));
    prost_types::Timestamp { seconds: i64::try_from(seconds).unwrap_or(i64::MAX), nanos: nanos as i32 }
}

pub(super) fn to_reason(reason: &Reason<'_>) -> pb::Reason {
    let statement = reason.statement.as_ref();
    pb::Reason {
        code: to_code(reason.code).into(),
        policy: statement.map(|statement| policy_reference(statement.policy())),
        statement: statement.map(|statement| statement.statement().into()),
        binding: statement.map(binding_reference),
        boundary: statement.and_then(StatementReason::boundary).map(boundary_reference),
    }
}

const fn to_code(code: ReasonCode) -> pb::ReasonCode {
    match code {
        ReasonCode::AllowStatement => pb::ReasonCode::AllowStatement,
        ReasonCode::DenyStatement => pb::ReasonCode::DenyStatement,
        ReasonCode::DenyUnknown => pb::ReasonCode::DenyUnknown,
        ReasonCode::NoMatch => pb::ReasonCode::NoMatch,
        ReasonCode::UnknownSubject => pb::ReasonCode::UnknownSubject,
        ReasonCode::InactiveSubject => pb::ReasonCode::InactiveSubject,
    }
}

pub(super) fn policy_reference(policy: &Policy) -> pb::PolicyReference {
    pb::PolicyReference {
        id: policy.id.to_string(),
        name: policy.name.to_string(),
        level: policy.level.name().to_owned(),
    }
}

pub(super) fn binding_reference(statement: &StatementReason<'_>) -> pb::BindingReference {
    binding_at(statement.group_id(), statement.group_name(), statement.environment())
}

/// A binding to this group; in no environment, at account level.
pub(super) fn binding_at(group: GroupId, name: &Name, environment: Option<&EnvironmentId>) -> pb::BindingReference {
    pb::BindingReference {
        group_id: group.to_string(),
        group_name: name.to_string(),
        level: if environment.is_some() { "environment" } else { "account" }.to_owned(),
        environment: environment.map(ToString::to_string).unwrap_or_default(),
    }
}

pub(super) fn boundary_reference(boundary: &Boundary) -> pb::BoundaryReference {
    pb::BoundaryReference { id: boundary.id.to_string(), name: boundary.name.to_string() }
}

/// The name of a decision for metrics.
pub(super) const fn outcome_label(decision: Decision) -> &'static str {
    match decision {
        Decision::Allow => "allow",
        Decision::Deny => "deny",
    }
}
