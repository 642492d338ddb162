//! `doorward.v1.UserService`.

use std::ops::Bound;

use tonic::{Request, Response, Status};

use super::fields::{Fields, expected, read_key};
use super::page::Page;
use super::{Admin, Carried};
use crate::iam::Rejection;
use crate::iam::rejection::Violation;
use crate::iam::user::{self, NewUser, UserFields};
use crate::model::id::{AccountId, UserId};
use crate::model::identity::{User, UserKind};
use crate::model::object::{Object, Record};
use crate::model::state::{AccountState, State, UserRow};
use crate::proto::doorward as pb;
use crate::proto::doorward::user_service_server::UserService;
use crate::proto::object::{self, metadata};

const NOUN: &str = "user";

#[tonic::async_trait]
impl UserService for Admin {
    async fn create_user(
        &self,
        request: Request<pb::CreateUserRequest>,
    ) -> Result<Response<pb::CreateUserResponse>, Status> {
        self.call("CreateUser", request, |call, message| {
            let pb::CreateUserRequest { account, user, request_id } = message;
            let mut fields = Fields::default();
            let account = fields.read("account", &account);
            let pb::User { id, email, name, state, origin, group_ids, metadata: _ } = fields.required(NOUN, user)?;
            let id = fields.read_or("user.id", &id, UserId::random);
            let wanted = read_fields(&mut fields, name, state, origin, &group_ids);
            let ((account, id), wanted) = fields.all(account.zip(id).zip(wanted))?;
            let new = NewUser { id, email, fields: wanted };
            let carried = call.execute(NOUN, &request_id, |state| user::create(state, account, new.clone()))?;
            Ok(pb::CreateUserResponse { user: Some(carried.user()?), revision_token: carried.revision_token })
        })
        .await
    }

    async fn get_user(&self, request: Request<pb::GetUserRequest>) -> Result<Response<pb::GetUserResponse>, Status> {
        self.call("GetUser", request, |call, message| {
            let pb::GetUserRequest { account, id } = message;
            let (user, revision_token) = call.find("user", &account, ("id", &id), |owned, id: &UserId| {
                owned.users.get(id).filter(|it| !it.value.is_service()).map(|it| form(&it))
            })?;
            Ok(pb::GetUserResponse { user: Some(user), revision_token })
        })
        .await
    }

    async fn list_users(
        &self,
        request: Request<pb::ListUsersRequest>,
    ) -> Result<Response<pb::ListUsersResponse>, Status> {
        self.call("ListUsers", request, |call, message| {
            let pb::ListUsersRequest { account, page_size, page_token } = message;
            let page = Page::read(page_size, &page_token, &["users", &account])?;
            let mut fields = Fields::default();
            let account = fields.read("account", &account);
            let (listed, revision_token) = call.list(fields.all(account)?, |owned| {
                page.among(|start| by_id(owned, start), |it| !it.is_service(), |it| form(&it.record()))
            })?;
            let (users, next_page_token) = listed;
            Ok(pb::ListUsersResponse { users, next_page_token, revision_token })
        })
        .await
    }

    async fn update_user(
        &self,
        request: Request<pb::UpdateUserRequest>,
    ) -> Result<Response<pb::UpdateUserResponse>, Status> {
        self.call("UpdateUser", request, |call, message| {
            let pb::UpdateUserRequest { account, user, request_id, expected_revision } = message;
            let mut fields = Fields::default();
            let account = fields.read("account", &account);
            let pb::User { id, email, name, state, origin, group_ids, metadata: _ } = fields.required(NOUN, user)?;
            let id = fields.read("user.id", &id);
            let wanted = read_fields(&mut fields, name, state, origin, &group_ids);
            let ((account, id), wanted) = fields.all(account.zip(id).zip(wanted))?;
            let carried = call.execute(NOUN, &request_id, |state| {
                check_known(state, account, id, false, &email)?;
                user::update(state, account, id, expected(expected_revision), wanted.clone())
            })?;
            Ok(pb::UpdateUserResponse { user: Some(carried.user()?), revision_token: carried.revision_token })
        })
        .await
    }

    async fn delete_user(
        &self,
        request: Request<pb::DeleteUserRequest>,
    ) -> Result<Response<pb::DeleteUserResponse>, Status> {
        self.call("DeleteUser", request, |call, message| {
            let pb::DeleteUserRequest { account, id, request_id, expected_revision } = message;
            let (account, id) = read_key(&account, ("id", &id))?;
            let plan = |state: &_| {
                check_known(state, account, id, false, "")?;
                user::delete(state, account, id, expected(expected_revision))
            };
            let carried = call.execute(NOUN, &request_id, plan)?;
            Ok(pb::DeleteUserResponse { revision_token: carried.revision_token })
        })
        .await
    }
}

impl Carried {
    fn user(&self) -> Result<pb::User, Status> {
        self.record(|record| match &record.value {
            Object::User(_, it) if !it.is_service() => Some(object::user(it, Some(metadata(record)))),
            _ => None,
        })
    }
}

/// The users and service users from an id on.
pub(super) fn by_id(owned: &AccountState, start: Bound<UserId>) -> impl Iterator<Item = (UserId, UserRow<'_>)> {
    owned.users.rows_from(start).map(|row| (row.id(), row))
}

fn form(record: &Record<User>) -> pb::User {
    object::user(&record.value, Some(metadata(record)))
}

fn read_fields(fields: &mut Fields, name: String, state: i32, origin: i32, group_ids: &[String]) -> Option<UserFields> {
    let state = fields.user_state("user.state", state);
    let kind = match pb::UserOrigin::try_from(origin) {
        Ok(pb::UserOrigin::Unspecified | pb::UserOrigin::Local) => Some(UserKind::Local),
        Ok(pb::UserOrigin::Federated) => Some(UserKind::Federated),
        Err(_) => {
            fields.refuse("user.origin", format!("has no value {origin}"));
            None
        }
    };
    let groups = fields.read_all("user.group_ids", group_ids);
    Some(UserFields { name, kind: kind?, state: state?, groups: groups? })
}

/// Users and service users share their ids, but not their services; and an e-mail, once given, stays.
pub(super) fn check_known(
    state: &State,
    account: AccountId,
    id: UserId,
    service: bool,
    email: &str,
) -> Result<(), Rejection> {
    let noun = if service { "service user" } else { "user" };
    let known = state.account(account).and_then(|owned| owned.users.get(&id));
    let known = known.filter(|known| known.value.is_service() == service);
    let known = known.ok_or_else(|| Rejection::NotFound { noun, id: id.to_string() })?;
    if email.is_empty() || known.value.email.as_str() == email {
        return Ok(());
    }
    let problem = format!("is `{}` and cannot change; make another {noun} instead", known.value.email);
    Err(Rejection::Invalid(vec![Violation { field: "email".to_owned(), code: "immutable", problem }]))
}
