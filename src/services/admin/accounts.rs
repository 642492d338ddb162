//! `doorward.v1.AccountService`.

use tonic::{Request, Response, Status};

use super::fields::{Fields, expected};
use super::page::Page;
use super::{Admin, Carried};
use crate::iam::account::{self, AccountFields, NewAccount};
use crate::model::account::Account;
use crate::model::id::{AccountId, GroupId};
use crate::model::object::{Object, Record};
use crate::model::state::State;
use crate::proto::doorward as pb;
use crate::proto::doorward::account_service_server::AccountService;
use crate::proto::object::{self, metadata};

const NOUN: &str = "account";

#[tonic::async_trait]
impl AccountService for Admin {
    async fn create_account(
        &self,
        request: Request<pb::CreateAccountRequest>,
    ) -> Result<Response<pb::CreateAccountResponse>, Status> {
        self.call("CreateAccount", request, |call, message| {
            let pb::CreateAccountRequest { account, request_id } = message;
            let mut fields = Fields::default();
            let pb::Account { id, name, strict_boundaries, metadata: _ } = fields.required(NOUN, account)?;
            let id = fields.read_or("account.id", &id, AccountId::random);
            let id = fields.all(id)?;
            let all_users = GroupId::random();
            let fields = AccountFields { name, strict_boundaries };
            let plan = |state: &State| {
                let new = NewAccount { id, all_users, default_groups: group_ids(state), fields: fields.clone() };
                account::create(state, new)
            };
            let carried = call.execute(NOUN, &request_id, plan)?;
            Ok(pb::CreateAccountResponse { account: Some(carried.account()?), revision_token: carried.revision_token })
        })
        .await
    }

    async fn get_account(
        &self,
        request: Request<pb::GetAccountRequest>,
    ) -> Result<Response<pb::GetAccountResponse>, Status> {
        self.call("GetAccount", request, |call, message| {
            let pb::GetAccountRequest { id } = message;
            let mut fields = Fields::default();
            let id = fields.read::<AccountId>("id", &id);
            let id = fields.all(id)?;
            let (state, revision_token) = call.read();
            let found = state.account(id).map(|owned| form(&owned.account));
            let account = found.ok_or_else(|| Status::not_found(format!("there is no account `{id}`")))?;
            Ok(pb::GetAccountResponse { account: Some(account), revision_token })
        })
        .await
    }

    async fn list_accounts(
        &self,
        request: Request<pb::ListAccountsRequest>,
    ) -> Result<Response<pb::ListAccountsResponse>, Status> {
        self.call("ListAccounts", request, |call, message| {
            let pb::ListAccountsRequest { page_size, page_token } = message;
            let page = Page::read(page_size, &page_token, &["accounts"])?;
            let (state, revision_token) = call.read();
            let (accounts, next_page_token) = page.of(&state.accounts, |_| true, |owned| form(&owned.account))?;
            Ok(pb::ListAccountsResponse { accounts, next_page_token, revision_token })
        })
        .await
    }

    async fn update_account(
        &self,
        request: Request<pb::UpdateAccountRequest>,
    ) -> Result<Response<pb::UpdateAccountResponse>, Status> {
        self.call("UpdateAccount", request, |call, message| {
            let pb::UpdateAccountRequest { account, request_id, expected_revision } = message;
            let mut fields = Fields::default();
            let pb::Account { id, name, strict_boundaries, metadata: _ } = fields.required(NOUN, account)?;
            let id = fields.read("account.id", &id);
            let id = fields.all(id)?;
            let wanted = AccountFields { name, strict_boundaries };
            let plan = |state: &_| account::update(state, id, expected(expected_revision), wanted.clone());
            let carried = call.execute(NOUN, &request_id, plan)?;
            Ok(pb::UpdateAccountResponse {
                account: Some(carried.account()?),
                warnings: carried.done.warnings.clone(),
                revision_token: carried.revision_token,
            })
        })
        .await
    }

    async fn delete_account(
        &self,
        request: Request<pb::DeleteAccountRequest>,
    ) -> Result<Response<pb::DeleteAccountResponse>, Status> {
        self.call("DeleteAccount", request, |call, message| {
            let pb::DeleteAccountRequest { id, force, request_id, expected_revision } = message;
            let mut fields = Fields::default();
            let id = fields.read("id", &id);
            let id = fields.all(id)?;
            let plan = |state: &_| account::delete(state, id, expected(expected_revision), force);
            let carried = call.execute(NOUN, &request_id, plan)?;
            Ok(pb::DeleteAccountResponse { revision_token: carried.revision_token })
        })
        .await
    }
}

impl Carried {
    fn account(&self) -> Result<pb::Account, Status> {
        self.record(|record| match &record.value {
            Object::Account(it) => Some(object::account(it, Some(metadata(record)))),
            _ => None,
        })
    }
}

/// A new id for each default group.
fn group_ids(state: &State) -> Vec<GroupId> {
    state.global.iter().flat_map(|global| &global.value.groups).map(|_| GroupId::random()).collect()
}

fn form(record: &Record<Account>) -> pb::Account {
    object::account(&record.value, Some(metadata(record)))
}
