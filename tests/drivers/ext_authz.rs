//! `envoy.service.auth.v3.Authorization`, over a connection, with everything in the per-route strings (rules §8).

use std::collections::BTreeMap;

use doorward::model::id::AccountId;
use doorward::model::state::State;
use doorward::proto::envoy as wire;
use doorward::proto::envoy::authorization_client::AuthorizationClient;
use doorward::proto::envoy::check_response::HttpResponse;
use prost_types::value::Kind;

use super::server::Listening;
use super::{Driver, Told};
use crate::reference::Question;

struct ExtAuthz {
    server: Listening,
}

/// A server and a client of `state`.
pub(super) fn start(account: AccountId, state: &State) -> Result<Box<dyn Driver>, String> {
    Ok(Box::new(ExtAuthz { server: Listening::start(account, state)? }))
}

/// What the per-route strings have no words for.
pub(super) fn cannot_ask(question: &Question) -> Option<&'static str> {
    if question.user.is_empty() {
        return Some("a request that names nobody is 401 here, not a bad request");
    }
    let unlisted = |name: &String| name.contains(',') || name.trim() != name || name.is_empty();
    question.absent.iter().any(unlisted).then_some("`absent` is names with commas between")
}

impl Driver for ExtAuthz {
    fn answer(&self, question: &Question) -> Told {
        let attributes = wire::AttributeContext { request: None, context_extensions: extensions(question) };
        let request = wire::CheckRequest { attributes: Some(attributes) };
        let reply = self.server.at(&question.time, async |channel| {
            AuthorizationClient::new(channel).check(request).await.map(tonic::Response::into_inner)
        });
        told(&reply.expect("Envoy always gets a message"))
    }
}

fn extensions(question: &Question) -> BTreeMap<String, String> {
    let Question { user, environment, level, permission, attributes, absent, time: _ } = question;
    let parts = [("subject", user), ("environment", environment), ("level", level), ("permission", permission)];
    let parts = parts.into_iter().filter(|(_, value)| !value.is_empty());
    let mut extensions: BTreeMap<_, _> = parts.map(|(key, value)| (key.to_owned(), value.clone())).collect();
    for (name, values) in attributes {
        let (key, value) = match values.as_slice() {
            [one] => (format!("attr.{name}"), one.clone()),
            several => (format!("attrs.{name}"), serde_json::Value::from(several).to_string()),
        };
        extensions.insert(key, value);
    }
    if !absent.is_empty() {
        extensions.insert("absent".to_owned(), absent.join(","));
    }
    extensions
}

/// Reads an answer as Envoy does: the status decides, and only 0 with `ok_response` lets the request through.
fn told(reply: &wire::CheckResponse) -> Told {
    let code = reply.status.as_ref().expect("a status is always set").code;
    let metadata = reply.dynamic_metadata.as_ref().expect("metadata");
    let field = |name: &str| match metadata.fields.get(name).and_then(|value| value.kind.as_ref()) {
        Some(Kind::StringValue(text)) => Some(text.clone()),
        Some(Kind::NumberValue(number)) => Some(number.to_string()),
        _ => None,
    };
    let decision = match (code, reply.http_response.as_ref().expect("a body is always set")) {
        (0, HttpResponse::OkResponse(_)) => "ALLOW",
        (0, _) | (_, HttpResponse::OkResponse(_)) => "CONTRADICTION",
        (_, HttpResponse::DeniedResponse(_)) => "DENY",
        (_, HttpResponse::ErrorResponse(_)) => {
            return Told { error: field("code"), field: field("field"), ..Told::default() };
        }
    };
    Told {
        decision: Some(decision.to_owned()),
        code: field("code"),
        policy: field("policy_name"),
        statement: field("statement").map(|number| number.parse().expect("a statement's number")),
        group: field("group_name"),
        level: field("binding_environment").or_else(|| field("binding_level")),
        boundary: field("boundary_name"),
        valid_until: field("valid_until"),
        ..Told::default()
    }
}
