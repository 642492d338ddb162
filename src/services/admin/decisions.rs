//! `doorward.v1.DecisionAdminService`.

use std::sync::Arc;

use prost::Message;
use tonic::{Request, Response, Status};

use super::fields::Fields;
use super::{Admin, Call};
use crate::compile::account::AccountProgram;
use crate::eval;
use crate::eval::effective::{EffectiveEffect, EffectivePermission, EffectiveRejected, Entity};
use crate::eval::list::Selection;
use crate::eval::outcome::StatementReason;
use crate::eval::who_can::{Able, Wanted};
use crate::model::decision::{CheckRequest, RequestParts, Target, Unanswerable};
use crate::model::id::{AccountId, UserId};
use crate::model::moment::{Moment, SECOND};
use crate::proto::doorward as pb;
use crate::proto::doorward::decision_admin_service_server::DecisionAdminService;
use crate::services::check::list::to_services;
use crate::services::check::{
    binding_reference, boundary_reference, policy_reference, to_reason, to_supplied, to_timestamp,
};
use crate::services::decision_point::Undecided;
use crate::services::explanation::{description, effect_of, explained};
use crate::services::page::Page;
use crate::services::status::{invalid_argument, undecided};
use crate::snapshot::build::Snapshot;

#[tonic::async_trait]
impl DecisionAdminService for Admin {
    async fn explain(&self, request: Request<pb::ExplainRequest>) -> Result<Response<pb::ExplainResponse>, Status> {
        self.call("Explain", request, |call, message| explain(call, &message)).await
    }

    async fn who_can(&self, request: Request<pb::WhoCanRequest>) -> Result<Response<pb::WhoCanResponse>, Status> {
        self.call("WhoCan", request, who_can).await
    }

    async fn effective_permissions(
        &self,
        request: Request<pb::EffectivePermissionsRequest>,
    ) -> Result<Response<pb::EffectivePermissionsResponse>, Status> {
        self.call("EffectivePermissions", request, effective).await
    }
}

fn refused(problem: impl Into<Undecided>) -> Status {
    undecided(&problem.into())
}

// === impl Call ===

impl Call {
    fn newest(&self) -> Result<Arc<Snapshot>, Status> {
        self.newest.get().map_err(|problem| {
            tracing::error!(error = %problem, "the newest state does not compile");
            Status::unavailable("the newest state does not compile; nothing can be said about it")
        })
    }
}

fn account_of(text: &str) -> Result<AccountId, Status> {
    let mut fields = Fields::default();
    let account = fields.read("account", text);
    fields.all(account)
}

fn program_of(snapshot: &Snapshot, account: AccountId) -> Result<&AccountProgram, Status> {
    snapshot.account(account).ok_or_else(|| refused(Unanswerable::UnknownAccount(account.to_string())))
}

fn explain(call: &Call, message: &pb::ExplainRequest) -> Result<pb::ExplainResponse, Status> {
    let account = account_of(&message.account)?;
    let pb::ExplainRequest { account: _, user, environment, level, permission, attributes, absent, time } = message;
    let at = match time {
        Some(time) => moment(time)?,
        None => call.clock.moment(),
    };
    let parts = RequestParts { user, environment, level, permission };
    let supplied = to_supplied(attributes, absent);
    let attributes = supplied.attributes().map_err(refused)?;
    let request = CheckRequest::new(parts, attributes, at).map_err(refused)?;
    let snapshot = call.newest()?;
    let explanation = eval::explain(program_of(&snapshot, account)?, &request).map_err(refused)?;
    Ok(explained(&explanation, snapshot.token()))
}

fn moment(time: &prost_types::Timestamp) -> Result<Moment, Status> {
    let in_range = jiff::Timestamp::new(time.seconds, time.nanos).is_ok() && time.nanos >= 0;
    if !in_range {
        let problem = "is no instant between the years 0001 and 9999";
        return Err(invalid_argument(format!("`time` {problem}"), [("time".to_owned(), problem.to_owned())]));
    }
    Ok(Moment::from_nanoseconds(i128::from(time.seconds) * SECOND + i128::from(time.nanos)))
}

fn who_can(call: &Call, mut message: pb::WhoCanRequest) -> Result<pb::WhoCanResponse, Status> {
    let (token, size) = (std::mem::take(&mut message.page_token), std::mem::take(&mut message.page_size));
    let page = Page::read(size, &token, &["who can".as_bytes(), &message.encode_to_vec()])?;
    let after = page.after_key::<UserId>()?;
    let account = account_of(&message.account)?;
    let pb::WhoCanRequest { environment, level, permission, attributes, absent, include_conditional, .. } = &message;
    let parts = RequestParts { user: "", environment, level, permission };
    let supplied = to_supplied(attributes, absent);
    let attributes = supplied.attributes().map_err(refused)?;
    let request = CheckRequest::of_permission(parts, attributes, call.clock.moment()).map_err(refused)?;
    let snapshot = call.newest()?;
    let wanted = Wanted { conditional: *include_conditional, size: page.size() };
    let users = snapshot.users_after(account, after);
    let able = eval::who_can(program_of(&snapshot, account)?, &request, users, wanted).map_err(refused)?;
    Ok(able_users(&snapshot, &page, &able))
}

fn able_users(snapshot: &Snapshot, page: &Page, able: &Able<'_>) -> pb::WhoCanResponse {
    let users = able.users.iter().map(|it| pb::AbleUser {
        id: it.subject.id().to_string(),
        email: it.subject.email().to_owned(),
        granted: it.resolution.name().to_owned(),
        reason: it.resolution.reason().map(|reason| to_reason(&reason)),
    });
    let token = snapshot.token();
    pb::WhoCanResponse {
        users: users.collect(),
        next_page_token: able.next.map(|last| page.token(last)).unwrap_or_default(),
        revision: token.revision.get(),
        revision_token: token.to_string(),
        valid_until: able.valid_until.map(to_timestamp),
    }
}

fn effective(
    call: &Call,
    mut message: pb::EffectivePermissionsRequest,
) -> Result<pb::EffectivePermissionsResponse, Status> {
    let (token, size) = (std::mem::take(&mut message.page_token), std::mem::take(&mut message.page_size));
    let page = Page::read(size, &token, &["effective".as_bytes(), &message.encode_to_vec()])?;
    let account = account_of(&message.account)?;
    let entity = entity_of(&message)?;
    let target = Target::new(&message.environment, &message.level).map_err(refused)?;
    let services = to_services(&message.services).map_err(refused)?;
    let after = page.after().unwrap_or_default();
    let selection = Selection { services, prefix: "", after, size: page.size() };
    let snapshot = call.newest()?;
    let listed = eval::effective(program_of(&snapshot, account)?, entity, target, &selection).map_err(rejected)?;
    let token = snapshot.token();
    let next = listed.next.map(|last| page.token(last));
    Ok(pb::EffectivePermissionsResponse {
        permissions: listed.permissions.iter().map(effective_permission).collect(),
        next_page_token: next.unwrap_or_default(),
        revision: token.revision.get(),
        revision_token: token.to_string(),
    })
}

fn entity_of(message: &pb::EffectivePermissionsRequest) -> Result<Entity<'_>, Status> {
    use pb::effective_permissions_request::Entity as Given;
    match &message.entity {
        Some(Given::User(user)) if !user.is_empty() => Ok(Entity::User(user)),
        Some(Given::GroupId(group)) => {
            let mut fields = Fields::default();
            let id = fields.read("group_id", group);
            Ok(Entity::Group(fields.all(id)?))
        }
        Some(Given::User(_)) | None => Err(field_error("user", "is missing; give a `user` or a `group_id`")),
    }
}

fn rejected(problem: EffectiveRejected) -> Status {
    match problem {
        EffectiveRejected::UnknownUser(_) => field_error("user", &problem.to_string()),
        EffectiveRejected::UnknownGroup(_) => field_error("group_id", &problem.to_string()),
        EffectiveRejected::Unanswerable(problem) => refused(problem),
    }
}

fn field_error(field: &str, problem: &str) -> Status {
    invalid_argument(format!("`{field}`: {problem}"), [(field.to_owned(), problem.to_owned())])
}

fn effective_permission(it: &EffectivePermission<'_>) -> pb::EffectivePermission {
    pb::EffectivePermission {
        permission: it.permission.to_string(),
        effects: it.effects.iter().map(effective_effect).collect(),
        truncated: it.truncated,
    }
}

fn effective_effect(it: &EffectiveEffect<'_>) -> pb::EffectiveEffect {
    pb::EffectiveEffect {
        effect: effect_of(it.effect).into(),
        implied_by: it.implied_by.map(ToString::to_string).unwrap_or_default(),
        conditions: it.conditions.iter().map(description).collect(),
        sources: it.sources.iter().map(source).collect(),
    }
}

fn source(it: &StatementReason<'_>) -> pb::EffectiveSource {
    pb::EffectiveSource {
        policy: Some(policy_reference(it.policy())),
        statement: it.statement().into(),
        binding: Some(binding_reference(it)),
        boundary: it.boundary().map(boundary_reference),
    }
}
