//! `doorward.v1.ServiceUserService`.

use tonic::{Request, Response, Status};

use super::fields::{Fields, expected, read_key};
use super::page::Page;
use super::{Admin, Carried};
use crate::iam::user::{self, NewUser, UserFields};
use crate::model::id::UserId;
use crate::model::identity::{User, UserKind};
use crate::model::object::{Object, Record};
use crate::model::state::UserRow;
use crate::proto::doorward as pb;
use crate::proto::doorward::service_user_service_server::ServiceUserService;
use crate::proto::object::{self, metadata};
use crate::services::admin::users::{by_id, check_known};

const NOUN: &str = "service_user";

#[tonic::async_trait]
impl ServiceUserService for Admin {
    async fn create_service_user(
        &self,
        request: Request<pb::CreateServiceUserRequest>,
    ) -> Result<Response<pb::CreateServiceUserResponse>, Status> {
        self.call("CreateServiceUser", request, |call, message| {
            let pb::CreateServiceUserRequest { account, service_user, request_id } = message;
            let mut fields = Fields::default();
            let account = fields.read("account", &account);
            let pb::ServiceUser { id, email, name, description, state, group_ids, metadata: _ } =
                fields.required(NOUN, service_user)?;
            let id = fields.read_or("service_user.id", &id, UserId::random);
            let wanted = read_fields(&mut fields, name, description, state, &group_ids);
            let ((account, id), wanted) = fields.all(account.zip(id).zip(wanted))?;
            let new = NewUser { id, email, fields: wanted };
            let carried = call.execute(NOUN, &request_id, |state| user::create(state, account, new.clone()))?;
            Ok(pb::CreateServiceUserResponse {
                service_user: Some(carried.service_user()?),
                revision_token: carried.revision_token,
            })
        })
        .await
    }

    async fn get_service_user(
        &self,
        request: Request<pb::GetServiceUserRequest>,
    ) -> Result<Response<pb::GetServiceUserResponse>, Status> {
        self.call("GetServiceUser", request, |call, message| {
            let pb::GetServiceUserRequest { account, id } = message;
            let (service_user, revision_token) =
                call.find("service user", &account, ("id", &id), |owned, id: &UserId| {
                    owned.users.get(id).filter(|it| it.value.is_service()).map(|it| form(&it))
                })?;
            Ok(pb::GetServiceUserResponse { service_user: Some(service_user), revision_token })
        })
        .await
    }

    async fn list_service_users(
        &self,
        request: Request<pb::ListServiceUsersRequest>,
    ) -> Result<Response<pb::ListServiceUsersResponse>, Status> {
        self.call("ListServiceUsers", request, |call, message| {
            let pb::ListServiceUsersRequest { account, page_size, page_token } = message;
            let page = Page::read(page_size, &page_token, &["service_users", &account])?;
            let mut fields = Fields::default();
            let account = fields.read("account", &account);
            let (listed, revision_token) = call.list(fields.all(account)?, |owned| {
                page.among(|start| by_id(owned, start), UserRow::is_service, |it| form(&it.record()))
            })?;
            let (service_users, next_page_token) = listed;
            Ok(pb::ListServiceUsersResponse { service_users, next_page_token, revision_token })
        })
        .await
    }

    async fn update_service_user(
        &self,
        request: Request<pb::UpdateServiceUserRequest>,
    ) -> Result<Response<pb::UpdateServiceUserResponse>, Status> {
        self.call("UpdateServiceUser", request, |call, message| {
            let pb::UpdateServiceUserRequest { account, service_user, request_id, expected_revision } = message;
            let mut fields = Fields::default();
            let account = fields.read("account", &account);
            let pb::ServiceUser { id, email, name, description, state, group_ids, metadata: _ } =
                fields.required(NOUN, service_user)?;
            let id = fields.read("service_user.id", &id);
            let wanted = read_fields(&mut fields, name, description, state, &group_ids);
            let ((account, id), wanted) = fields.all(account.zip(id).zip(wanted))?;
            let carried = call.execute(NOUN, &request_id, |state| {
                check_known(state, account, id, true, &email)?;
                user::update(state, account, id, expected(expected_revision), wanted.clone())
            })?;
            Ok(pb::UpdateServiceUserResponse {
                service_user: Some(carried.service_user()?),
                revision_token: carried.revision_token,
            })
        })
        .await
    }

    async fn delete_service_user(
        &self,
        request: Request<pb::DeleteServiceUserRequest>,
    ) -> Result<Response<pb::DeleteServiceUserResponse>, Status> {
        self.call("DeleteServiceUser", request, |call, message| {
            let pb::DeleteServiceUserRequest { account, id, request_id, expected_revision } = message;
            let (account, id) = read_key(&account, ("id", &id))?;
            let plan = |state: &_| {
                check_known(state, account, id, true, "")?;
                user::delete(state, account, id, expected(expected_revision))
            };
            let carried = call.execute(NOUN, &request_id, plan)?;
            Ok(pb::DeleteServiceUserResponse { revision_token: carried.revision_token })
        })
        .await
    }
}

impl Carried {
    fn service_user(&self) -> Result<pb::ServiceUser, Status> {
        self.record(|record| match &record.value {
            Object::User(_, it) if it.is_service() => Some(object::service_user(it, Some(metadata(record)))),
            _ => None,
        })
    }
}

fn form(record: &Record<User>) -> pb::ServiceUser {
    object::service_user(&record.value, Some(metadata(record)))
}

fn read_fields(
    fields: &mut Fields,
    name: String,
    description: String,
    state: i32,
    group_ids: &[String],
) -> Option<UserFields> {
    if name.is_empty() {
        fields.refuse("service_user.name", "is missing");
    }
    let state = fields.user_state("service_user.state", state);
    let groups = fields.read_all("service_user.group_ids", group_ids);
    Some(UserFields { name, kind: UserKind::Service { description }, state: state?, groups: groups? })
}
