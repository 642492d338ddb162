//! `doorward.v1.BindingService`.

use std::collections::BTreeMap;

use tonic::{Request, Response, Status};

use super::fields::{Fields, expected, read_key};
use super::page::Page;
use super::rejection::rejected;
use super::{Admin, Carried};
use crate::iam::binding::{self, BindingFields};
use crate::iam::preview::{self, Origin, Preview, PreviewedStatement};
use crate::model::binding::{Binding, BindingKey};
use crate::model::id::{GroupId, PolicyId};
use crate::model::object::{Object, Record};
use crate::model::state::Shared;
use crate::proto::doorward as pb;
use crate::proto::doorward::binding_service_server::BindingService;
use crate::proto::object::{self, metadata};

const NOUN: &str = "binding";

#[tonic::async_trait]
impl BindingService for Admin {
    async fn create_binding(
        &self,
        request: Request<pb::CreateBindingRequest>,
    ) -> Result<Response<pb::CreateBindingResponse>, Status> {
        self.call("CreateBinding", request, |call, message| {
            let pb::CreateBindingRequest { account, binding, request_id } = message;
            let mut fields = Fields::default();
            let account = fields.read("account", &account);
            let wanted = fields.required(NOUN, binding)?;
            let wanted = read_fields(&mut fields, wanted);
            let (account, wanted) = fields.all(account.zip(wanted))?;
            let plan = |state: &_| binding::create(state, account, wanted.clone());
            let carried = call.execute(NOUN, &request_id, plan)?;
            Ok(pb::CreateBindingResponse {
                binding: Some(carried.binding()?),
                warnings: carried.done.warnings.clone(),
                revision_token: carried.revision_token,
            })
        })
        .await
    }

    async fn get_binding(
        &self,
        request: Request<pb::GetBindingRequest>,
    ) -> Result<Response<pb::GetBindingResponse>, Status> {
        self.call("GetBinding", request, |call, message| {
            let pb::GetBindingRequest { account, key } = message;
            let (binding, revision_token) =
                call.find("binding", &account, ("key", &key), |owned, key: &BindingKey| {
                    owned.bindings.get(key).map(|it| form(it))
                })?;
            Ok(pb::GetBindingResponse { binding: Some(binding), revision_token })
        })
        .await
    }

    async fn list_bindings(
        &self,
        request: Request<pb::ListBindingsRequest>,
    ) -> Result<Response<pb::ListBindingsResponse>, Status> {
        self.call("ListBindings", request, |call, message| {
            let pb::ListBindingsRequest { account, page_size, page_token, group_id, policy_id } = message;
            let page = Page::read(page_size, &page_token, &["bindings", &account, &group_id, &policy_id])?;
            let mut fields = Fields::default();
            let account = fields.read("account", &account);
            let group = optional::<GroupId>(&mut fields, "group_id", &group_id);
            let policy = optional::<PolicyId>(&mut fields, "policy_id", &policy_id);
            let keep = |it: &Shared<Binding>| {
                group.is_none_or(|group| it.value.group == group)
                    && policy.is_none_or(|policy| it.value.policy == policy)
            };
            let (listed, revision_token) =
                call.list(fields.all(account)?, |owned| page.of(&owned.bindings, keep, |it| form(it)))?;
            let (bindings, next_page_token) = listed;
            Ok(pb::ListBindingsResponse { bindings, next_page_token, revision_token })
        })
        .await
    }

    async fn update_binding(
        &self,
        request: Request<pb::UpdateBindingRequest>,
    ) -> Result<Response<pb::UpdateBindingResponse>, Status> {
        self.call("UpdateBinding", request, |call, message| {
            let pb::UpdateBindingRequest { account, key, binding, request_id, expected_revision } = message;
            let mut fields = Fields::default();
            let account = fields.read("account", &account);
            let key = fields.read::<BindingKey>("key", &key);
            let wanted = fields.required(NOUN, binding)?;
            let wanted = read_fields(&mut fields, wanted);
            let ((account, key), wanted) = fields.all(account.zip(key).zip(wanted))?;
            let expected = expected(expected_revision);
            let plan = |state: &_| binding::update(state, account, key, expected, wanted.clone());
            let carried = call.execute(NOUN, &request_id, plan)?;
            Ok(pb::UpdateBindingResponse {
                binding: Some(carried.binding()?),
                warnings: carried.done.warnings.clone(),
                revision_token: carried.revision_token,
            })
        })
        .await
    }

    async fn delete_binding(
        &self,
        request: Request<pb::DeleteBindingRequest>,
    ) -> Result<Response<pb::DeleteBindingResponse>, Status> {
        self.call("DeleteBinding", request, |call, message| {
            let pb::DeleteBindingRequest { account, key, request_id, expected_revision } = message;
            let (account, key) = read_key(&account, ("key", &key))?;
            let plan = |state: &_| binding::delete(state, account, key, expected(expected_revision));
            let carried = call.execute(NOUN, &request_id, plan)?;
            Ok(pb::DeleteBindingResponse { revision_token: carried.revision_token })
        })
        .await
    }

    async fn preview_binding(
        &self,
        request: Request<pb::PreviewBindingRequest>,
    ) -> Result<Response<pb::PreviewBindingResponse>, Status> {
        self.call("PreviewBinding", request, |call, message| {
            let pb::PreviewBindingRequest { account, binding } = message;
            let mut fields = Fields::default();
            let account = fields.read("account", &account);
            let wanted = fields.required(NOUN, binding)?;
            let wanted = read_fields(&mut fields, wanted);
            let (account, wanted) = fields.all(account.zip(wanted))?;
            let (state, revision_token) = call.read();
            let preview = preview::preview(&state, account, wanted);
            Ok(previewed(preview.map_err(|rejection| rejected(NOUN, &rejection))?, revision_token))
        })
        .await
    }
}

impl Carried {
    fn binding(&self) -> Result<pb::Binding, Status> {
        self.record(|record| match &record.value {
            Object::Binding(_, it) => Some(object::binding(it, Some(metadata(record)))),
            _ => None,
        })
    }
}

fn form(record: &Record<Binding>) -> pb::Binding {
    object::binding(&record.value, Some(metadata(record)))
}

fn previewed(preview: Preview, revision_token: String) -> pb::PreviewBindingResponse {
    let Preview { statements, expanded, truncated, parameters, warnings } = preview;
    let statement = |PreviewedStatement { text, origins }| {
        let origins = origins.into_iter().map(origin).collect();
        pb::PreviewedStatement { text, origins }
    };
    pb::PreviewBindingResponse {
        statements: statements.into_iter().map(statement).collect(),
        expanded: expanded as u32,
        truncated,
        parameters: parameters.into_iter().collect(),
        warnings,
        revision_token,
    }
}

fn origin(Origin { statement, boundary }: Origin) -> pb::StatementOrigin {
    let (boundary_id, boundary_name) = boundary.map(|(id, name)| (id.to_string(), name)).unwrap_or_default();
    pb::StatementOrigin { statement: u32::from(statement), boundary_id, boundary_name }
}

/// `key` is made of the content, so one that comes with it is not looked at.
fn read_fields(fields: &mut Fields, message: pb::Binding) -> Option<BindingFields> {
    let pb::Binding { key: _, policy_id, group_id, environment, parameters, boundary_ids, labels, metadata: _ } =
        message;
    let policy = fields.read("binding.policy_id", &policy_id);
    let group = fields.read("binding.group_id", &group_id);
    let level = fields.binding_level("binding.environment", &environment);
    let boundaries = fields.read_all("binding.boundary_ids", &boundary_ids);
    Some(BindingFields {
        policy: policy?,
        group: group?,
        level: level?,
        parameters: BTreeMap::from_iter(parameters),
        boundaries: boundaries?,
        metadata: BTreeMap::from_iter(labels),
    })
}

fn optional<T: std::str::FromStr>(fields: &mut Fields, field: &str, text: &str) -> Option<T>
where
    T::Err: std::fmt::Display,
{
    if text.is_empty() { None } else { fields.read(field, text) }
}
