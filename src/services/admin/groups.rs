//! `doorward.v1.GroupService`.

use tonic::{Request, Response, Status};

use super::fields::{Fields, expected, read_key};
use super::page::Page;
use super::{Admin, Carried};
use crate::iam::group::{self, GroupFields};
use crate::model::id::GroupId;
use crate::model::identity::{Group, GroupOwner};
use crate::model::object::{Object, Record};
use crate::proto::doorward as pb;
use crate::proto::doorward::group_service_server::GroupService;
use crate::proto::object::{self, metadata};

const NOUN: &str = "group";

#[tonic::async_trait]
impl GroupService for Admin {
    async fn create_group(
        &self,
        request: Request<pb::CreateGroupRequest>,
    ) -> Result<Response<pb::CreateGroupResponse>, Status> {
        self.call("CreateGroup", request, |call, message| {
            let pb::CreateGroupRequest { account, group, request_id } = message;
            let mut fields = Fields::default();
            let account = fields.read("account", &account);
            let pb::Group { id, name, description, owner, federated_attribute_values, metadata: _ } =
                fields.required(NOUN, group)?;
            let id = fields.read_or("group.id", &id, GroupId::random);
            let owner = read_owner(&mut fields, owner);
            let ((account, id), owner) = fields.all(account.zip(id).zip(owner))?;
            let wanted = GroupFields { name, description, owner, federated_attribute_values };
            let carried = call.execute(NOUN, &request_id, |state| group::create(state, account, id, wanted.clone()))?;
            Ok(pb::CreateGroupResponse { group: Some(carried.group()?), revision_token: carried.revision_token })
        })
        .await
    }

    async fn get_group(&self, request: Request<pb::GetGroupRequest>) -> Result<Response<pb::GetGroupResponse>, Status> {
        self.call("GetGroup", request, |call, message| {
            let pb::GetGroupRequest { account, id } = message;
            let (group, revision_token) = call
                .find("group", &account, ("id", &id), |owned, id: &GroupId| owned.groups.get(id).map(|it| form(it)))?;
            Ok(pb::GetGroupResponse { group: Some(group), revision_token })
        })
        .await
    }

    async fn list_groups(
        &self,
        request: Request<pb::ListGroupsRequest>,
    ) -> Result<Response<pb::ListGroupsResponse>, Status> {
        self.call("ListGroups", request, |call, message| {
            let pb::ListGroupsRequest { account, page_size, page_token } = message;
            let page = Page::read(page_size, &page_token, &["groups", &account])?;
            let mut fields = Fields::default();
            let account = fields.read("account", &account);
            let (listed, revision_token) =
                call.list(fields.all(account)?, |owned| page.of(&owned.groups, |_| true, |it| form(it)))?;
            let (groups, next_page_token) = listed;
            Ok(pb::ListGroupsResponse { groups, next_page_token, revision_token })
        })
        .await
    }

    async fn update_group(
        &self,
        request: Request<pb::UpdateGroupRequest>,
    ) -> Result<Response<pb::UpdateGroupResponse>, Status> {
        self.call("UpdateGroup", request, |call, message| {
            let pb::UpdateGroupRequest { account, group, request_id, expected_revision } = message;
            let mut fields = Fields::default();
            let account = fields.read("account", &account);
            let pb::Group { id, name, description, owner, federated_attribute_values, metadata: _ } =
                fields.required(NOUN, group)?;
            let id = fields.read("group.id", &id);
            let owner = read_owner(&mut fields, owner);
            let ((account, id), owner) = fields.all(account.zip(id).zip(owner))?;
            let wanted = GroupFields { name, description, owner, federated_attribute_values };
            let expected = expected(expected_revision);
            let plan = |state: &_| group::update(state, account, id, expected, wanted.clone());
            let carried = call.execute(NOUN, &request_id, plan)?;
            Ok(pb::UpdateGroupResponse { group: Some(carried.group()?), revision_token: carried.revision_token })
        })
        .await
    }

    async fn delete_group(
        &self,
        request: Request<pb::DeleteGroupRequest>,
    ) -> Result<Response<pb::DeleteGroupResponse>, Status> {
        self.call("DeleteGroup", request, |call, message| {
            let pb::DeleteGroupRequest { account, id, force, request_id, expected_revision } = message;
            let (account, id) = read_key(&account, ("id", &id))?;
            let plan = |state: &_| group::delete(state, account, id, expected(expected_revision), force);
            let carried = call.execute(NOUN, &request_id, plan)?;
            Ok(pb::DeleteGroupResponse { revision_token: carried.revision_token })
        })
        .await
    }
}

impl Carried {
    fn group(&self) -> Result<pb::Group, Status> {
        self.record(|record| match &record.value {
            Object::Group(_, it) => Some(object::group(it, Some(metadata(record)))),
            _ => None,
        })
    }
}

fn form(record: &Record<Group>) -> pb::Group {
    object::group(&record.value, Some(metadata(record)))
}

fn read_owner(fields: &mut Fields, number: i32) -> Option<GroupOwner> {
    match pb::GroupOwner::try_from(number) {
        Ok(pb::GroupOwner::Unspecified | pb::GroupOwner::Local) => Some(GroupOwner::Local),
        Ok(pb::GroupOwner::Saml) => Some(GroupOwner::Saml),
        Ok(pb::GroupOwner::Scim) => Some(GroupOwner::Scim),
        Ok(pb::GroupOwner::AllUsers) => Some(GroupOwner::AllUsers),
        Err(_) => {
            fields.refuse("group.owner", format!("has no value {number}"));
            None
        }
    }
}
