//! `doorward.v1.AuthorizationService`, over a connection.

use doorward::model::id::AccountId;
use doorward::model::state::State;
use doorward::proto::doorward as pb;
use doorward::proto::doorward::authorization_service_client::AuthorizationServiceClient;
use jiff::Timestamp;
use tonic::Status;
use tonic_types::StatusExt as _;

use super::server::Listening;
use super::{Driver, Told};
use crate::reference::{Question, Resolved};

struct Grpc {
    account: AccountId,
    server: Listening,
}

/// A server and a client of `state`.
pub(super) fn start(account: AccountId, state: &State) -> Result<Box<dyn Driver>, String> {
    Ok(Box::new(Grpc { account, server: Listening::start(account, state)? }))
}

impl Driver for Grpc {
    fn answer(&self, question: &Question) -> Told {
        let request = self.message(question);
        let reply = self.server.at(&question.time, async |channel| {
            AuthorizationServiceClient::new(channel).check(request).await.map(tonic::Response::into_inner)
        });
        match reply {
            Ok(reply) => told(&reply),
            Err(status) => refused(&status),
        }
    }

    fn resolve(&self, question: &Question) -> Option<&'static str> {
        let pb::CheckRequest { account, user, environment, level, permission, attributes, absent, .. } =
            self.message(question);
        let permissions = vec![pb::PermissionQuery { permission, attributes, absent }];
        let request =
            pb::ResolveRequest { account, user, environment, level, permissions, ..pb::ResolveRequest::default() };
        let reply = self.server.at(&question.time, async |channel| {
            AuthorizationServiceClient::new(channel).resolve(request).await.map(tonic::Response::into_inner)
        });
        let resolved = reply.ok()?.permissions.into_iter().next()?;
        let answered = resolved.error.is_none();
        let resolved = match resolved.granted.as_str() {
            "true" => Resolved::Allow,
            "condition" => Resolved::Conditional,
            "false" => Resolved::Deny,
            _ => return None,
        };
        answered.then(|| resolved.name())
    }
}

// === impl Grpc ===

impl Grpc {
    fn message(&self, question: &Question) -> pb::CheckRequest {
        let Question { user, environment, level, permission, attributes, absent, time: _ } = question.clone();
        let attributes = attributes.into_iter().map(|(name, values)| (name, pb::AttributeValues { values }));
        let (account, attributes) = (self.account.to_string(), attributes.collect());
        pb::CheckRequest {
            account,
            user,
            environment,
            level,
            permission,
            attributes,
            absent,
            ..pb::CheckRequest::default()
        }
    }
}

fn told(reply: &pb::CheckResponse) -> Told {
    let reason = reply.reason.as_ref().expect("a reply has its reason");
    let policy = reason.policy.as_ref();
    let binding = reason.binding.as_ref();
    let level = |binding: &pb::BindingReference| match binding.level.as_str() {
        "environment" => binding.environment.clone(),
        level => level.to_owned(),
    };
    let code = pb::ReasonCode::try_from(reason.code).expect("a known code");
    Told {
        decision: Some(reply.decision().as_str_name().trim_start_matches("DECISION_").to_owned()),
        code: Some(code.as_str_name().trim_start_matches("REASON_CODE_").to_lowercase()),
        policy: policy.map(|policy| policy.name.clone()),
        statement: reason.statement.map(|number| u16::try_from(number).expect("a statement's number")),
        group: binding.map(|binding| binding.group_name.clone()),
        level: binding.map(level),
        boundary: reason.boundary.as_ref().map(|boundary| boundary.name.clone()),
        valid_until: reply.valid_until.as_ref().map(spelled),
        ..Told::default()
    }
}

fn spelled(at: &prost_types::Timestamp) -> String {
    Timestamp::new(at.seconds, at.nanos).map_or_else(|_| format!("no timestamp: {at:?}"), |at| at.to_string())
}

/// The code begins the message, the field is in the details.
fn refused(status: &Status) -> Told {
    let details = status.get_details_bad_request().map(|it| it.field_violations).unwrap_or_default();
    Told {
        error: status.message().split(':').next().map(str::to_owned),
        field: details.into_iter().next().map(|violation| violation.field),
        ..Told::default()
    }
}
