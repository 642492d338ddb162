//! `doorward.v1.EnvironmentService`.

use tonic::{Request, Response, Status};

use super::fields::{Fields, expected, read_key};
use super::page::Page;
use super::{Admin, Carried};
use crate::iam::environment::{self, EnvironmentFields};
use crate::model::account::Environment;
use crate::model::id::EnvironmentId;
use crate::model::object::{Object, Record};
use crate::proto::doorward as pb;
use crate::proto::doorward::environment_service_server::EnvironmentService;
use crate::proto::object::{self, metadata};

const NOUN: &str = "environment";

#[tonic::async_trait]
impl EnvironmentService for Admin {
    async fn create_environment(
        &self,
        request: Request<pb::CreateEnvironmentRequest>,
    ) -> Result<Response<pb::CreateEnvironmentResponse>, Status> {
        self.call("CreateEnvironment", request, |call, message| {
            let pb::CreateEnvironmentRequest { account, environment, request_id } = message;
            let mut fields = Fields::default();
            let account = fields.read("account", &account);
            let pb::Environment { id, name, metadata: _ } = fields.required(NOUN, environment)?;
            let id = fields.read::<EnvironmentId>("environment.id", &id);
            let (account, id) = fields.all(account.zip(id))?;
            let wanted = EnvironmentFields { name };
            let plan = |state: &_| environment::create(state, account, id.clone(), wanted.clone());
            let carried = call.execute(NOUN, &request_id, plan)?;
            Ok(pb::CreateEnvironmentResponse {
                environment: Some(carried.environment()?),
                revision_token: carried.revision_token,
            })
        })
        .await
    }

    async fn get_environment(
        &self,
        request: Request<pb::GetEnvironmentRequest>,
    ) -> Result<Response<pb::GetEnvironmentResponse>, Status> {
        self.call("GetEnvironment", request, |call, message| {
            let pb::GetEnvironmentRequest { account, id } = message;
            let (environment, revision_token) =
                call.find("environment", &account, ("id", &id), |owned, id: &EnvironmentId| {
                    owned.environments.get(id).map(|it| form(it))
                })?;
            Ok(pb::GetEnvironmentResponse { environment: Some(environment), revision_token })
        })
        .await
    }

    async fn list_environments(
        &self,
        request: Request<pb::ListEnvironmentsRequest>,
    ) -> Result<Response<pb::ListEnvironmentsResponse>, Status> {
        self.call("ListEnvironments", request, |call, message| {
            let pb::ListEnvironmentsRequest { account, page_size, page_token } = message;
            let page = Page::read(page_size, &page_token, &["environments", &account])?;
            let mut fields = Fields::default();
            let account = fields.read("account", &account);
            let (listed, revision_token) =
                call.list(fields.all(account)?, |owned| page.of(&owned.environments, |_| true, |it| form(it)))?;
            let (environments, next_page_token) = listed;
            Ok(pb::ListEnvironmentsResponse { environments, next_page_token, revision_token })
        })
        .await
    }

    async fn update_environment(
        &self,
        request: Request<pb::UpdateEnvironmentRequest>,
    ) -> Result<Response<pb::UpdateEnvironmentResponse>, Status> {
        self.call("UpdateEnvironment", request, |call, message| {
            let pb::UpdateEnvironmentRequest { account, environment, request_id, expected_revision } = message;
            let mut fields = Fields::default();
            let account = fields.read("account", &account);
            let pb::Environment { id, name, metadata: _ } = fields.required(NOUN, environment)?;
            let id = fields.read::<EnvironmentId>("environment.id", &id);
            let (account, id) = fields.all(account.zip(id))?;
            let wanted = EnvironmentFields { name };
            let expected = expected(expected_revision);
            let plan = |state: &_| environment::update(state, account, id.clone(), expected, wanted.clone());
            let carried = call.execute(NOUN, &request_id, plan)?;
            Ok(pb::UpdateEnvironmentResponse {
                environment: Some(carried.environment()?),
                revision_token: carried.revision_token,
            })
        })
        .await
    }

    async fn delete_environment(
        &self,
        request: Request<pb::DeleteEnvironmentRequest>,
    ) -> Result<Response<pb::DeleteEnvironmentResponse>, Status> {
        self.call("DeleteEnvironment", request, |call, message| {
            let pb::DeleteEnvironmentRequest { account, id, force, request_id, expected_revision } = message;
            let (account, id) = read_key(&account, ("id", &id))?;
            let plan = |state: &_| environment::delete(state, account, &id, expected(expected_revision), force);
            let carried = call.execute(NOUN, &request_id, plan)?;
            Ok(pb::DeleteEnvironmentResponse { revision_token: carried.revision_token })
        })
        .await
    }
}

impl Carried {
    fn environment(&self) -> Result<pb::Environment, Status> {
        self.record(|record| match &record.value {
            Object::Environment(_, it) => Some(object::environment(it, Some(metadata(record)))),
            _ => None,
        })
    }
}

fn form(record: &Record<Environment>) -> pb::Environment {
    object::environment(&record.value, Some(metadata(record)))
}
