//! `doorward.v1.AuthorizationService`.

use tonic::{Request, Response, Status};

use super::decision_point::{DecisionPoint, Undecided};
use super::status::undecided;
use crate::eval::{Outcome, Permit, Reason};
use crate::model::attribute::{Attributes, Values};
use crate::model::decision::{CheckRequest, Decision, ReasonCode, RequestParts};
use crate::model::moment::{Moment, SECOND};
use crate::proto::doorward as pb;
use crate::proto::doorward::authorization_service_server::AuthorizationService;
use crate::snapshot::handle::Published;
use crate::telemetry::metrics::Api;

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

    fn answer(&self, message: &pb::CheckRequest) -> Result<pb::CheckResponse, Undecided> {
        let published = self.point.snapshots.current()?;
        let request = to_request(message, self.point.clock.moment())?;
        let outcome = self.point.decide(&published, &message.account, &request)?;
        let decision_id = self.point.decision_id();
        log(&decision_id, &request, &outcome);
        let (reason, valid_until) = (outcome.reason(), outcome.valid_until());
        let decided = Decided { point: &self.point, published: &published, reason, valid_until, decision_id };
        Ok(match outcome.permit() {
            Some(permit) => decided.allow(permit),
            None => decided.deny(),
        })
    }
}

#[tonic::async_trait]
impl AuthorizationService for CheckService {
    async fn check(&self, request: Request<pb::CheckRequest>) -> Result<Response<pb::CheckResponse>, Status> {
        let observer = self.point.metrics.check(Api::Native);
        match self.answer(request.get_ref()) {
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

fn to_request(message: &pb::CheckRequest, at: Moment) -> Result<CheckRequest<'_>, Undecided> {
    let pb::CheckRequest { account: _, user, environment, level, permission, attributes, absent } = message;
    let supplied = attributes.iter().map(|(name, list)| (name.as_str(), Values::Many(&list.values)));
    let attributes = Attributes::new(supplied, absent.iter().map(String::as_str))?;
    Ok(CheckRequest::new(RequestParts { user, environment, level, permission }, attributes, at)?)
}

/// A decision on its way into a message.
struct Decided<'a> {
    point: &'a DecisionPoint,
    published: &'a Published,
    reason: Reason<'a>,
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
        let age = self.published.age(self.point.clock.moment());
        pb::CheckResponse {
            decision: decision.into(),
            reason: Some(to_reason(&self.reason)),
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

fn to_reason(reason: &Reason<'_>) -> pb::Reason {
    let code = match reason.code {
        ReasonCode::AllowStatement => pb::ReasonCode::AllowStatement,
        ReasonCode::DenyStatement => pb::ReasonCode::DenyStatement,
        ReasonCode::DenyUnknown => pb::ReasonCode::DenyUnknown,
        ReasonCode::NoMatch => pb::ReasonCode::NoMatch,
        ReasonCode::UnknownSubject => pb::ReasonCode::UnknownSubject,
        ReasonCode::InactiveSubject => pb::ReasonCode::InactiveSubject,
    };
    let Some(statement) = reason.statement else {
        return pb::Reason { code: code.into(), ..pb::Reason::default() };
    };
    let (policy, environment) = (statement.policy(), statement.environment());
    let boundary = statement.boundary();
    pb::Reason {
        code: code.into(),
        policy: Some(pb::PolicyReference {
            id: policy.id.to_string(),
            name: policy.name.to_string(),
            level: policy.level.name().to_owned(),
        }),
        statement: Some(statement.statement().into()),
        binding: Some(pb::BindingReference {
            group_id: statement.group_id().to_string(),
            group_name: statement.group_name().to_string(),
            level: if environment.is_some() { "environment" } else { "account" }.to_owned(),
            environment: environment.map(ToString::to_string).unwrap_or_default(),
        }),
        boundary: boundary.map(|it| pb::BoundaryReference { id: it.id.to_string(), name: it.name.to_string() }),
    }
}

/// The name of a decision for metrics.
pub(super) const fn outcome_label(decision: Decision) -> &'static str {
    match decision {
        Decision::Allow => "allow",
        Decision::Deny => "deny",
    }
}
