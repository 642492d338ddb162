//! `doorward.v1.PolicyService`.

use std::sync::Arc;

use imbl::OrdMap;
use tonic::{Request, Response, Status};

use super::fields::{Fields, expected, read_key};
use super::page::Page;
use super::{Admin, Carried};
use crate::iam::Rejection;
use crate::iam::policy::{self, NewPolicy, PolicyFields};
use crate::iam::rejection::Violation;
use crate::model::id::{AccountId, PolicyId};
use crate::model::level::Level;
use crate::model::object::{Object, Record};
use crate::model::policy::Policy;
use crate::model::state::{AccountState, Shared, State};
use crate::proto::doorward as pb;
use crate::proto::doorward::policy_service_server::PolicyService;
use crate::proto::object::{self, metadata};

const NOUN: &str = "policy";

#[tonic::async_trait]
impl PolicyService for Admin {
    async fn create_policy(
        &self,
        request: Request<pb::CreatePolicyRequest>,
    ) -> Result<Response<pb::CreatePolicyResponse>, Status> {
        self.call("CreatePolicy", request, |call, message| {
            let pb::CreatePolicyRequest { account, policy, request_id } = message;
            let mut fields = Fields::default();
            let account = fields.read("account", &account);
            let pb::Policy { id, environment, name, description, tags, statements, metadata: _, level } =
                fields.required(NOUN, policy)?;
            let id = fields.read_or("policy.id", &id, PolicyId::random);
            let level = fields.policy_level(&environment, &level);
            let ((account, id), level) = fields.all(account.zip(id).zip(level))?;
            let new = NewPolicy { id, level, fields: PolicyFields { name, description, tags, statements } };
            let carried = call.execute(NOUN, &request_id, |state| policy::create(state, account, new.clone()))?;
            Ok(pb::CreatePolicyResponse {
                policy: Some(carried.policy()?),
                warnings: carried.done.warnings.clone(),
                revision_token: carried.revision_token,
            })
        })
        .await
    }

    async fn get_policy(
        &self,
        request: Request<pb::GetPolicyRequest>,
    ) -> Result<Response<pb::GetPolicyResponse>, Status> {
        self.call("GetPolicy", request, |call, message| {
            let pb::GetPolicyRequest { account, id } = message;
            let (account, id) = read_key::<PolicyId>(&account, ("id", &id))?;
            let (state, revision_token) = call.read();
            let found = state.account(account).and_then(|owned| state.policy(owned, id)).map(|it| form(it));
            let missing = || Status::not_found(format!("there is no policy `{id}` in account `{account}`"));
            let policy = found.ok_or_else(missing)?;
            Ok(pb::GetPolicyResponse { policy: Some(policy), revision_token })
        })
        .await
    }

    async fn list_policies(
        &self,
        request: Request<pb::ListPoliciesRequest>,
    ) -> Result<Response<pb::ListPoliciesResponse>, Status> {
        self.call("ListPolicies", request, |call, message| {
            let pb::ListPoliciesRequest { account, page_size, page_token, inherited } = message;
            let question = if inherited { "policies, inherited" } else { "policies" };
            let page = Page::read(page_size, &page_token, &[question, &account])?;
            let mut fields = Fields::default();
            let account = fields.read("account", &account);
            let account = fields.all(account)?;
            let (state, revision_token) = call.read();
            let owned = state.account(account);
            let owned = owned.ok_or_else(|| Status::not_found(format!("there is no account `{account}`")))?;
            let (listed, defaults_version) =
                if inherited { overview(&state, owned) } else { (owned.policies.clone(), 0) };
            let (policies, next_page_token) = page.of(&listed, |_| true, |it| form(it))?;
            Ok(pb::ListPoliciesResponse { policies, next_page_token, revision_token, defaults_version })
        })
        .await
    }

    async fn update_policy(
        &self,
        request: Request<pb::UpdatePolicyRequest>,
    ) -> Result<Response<pb::UpdatePolicyResponse>, Status> {
        self.call("UpdatePolicy", request, |call, message| {
            let pb::UpdatePolicyRequest { account, policy, request_id, expected_revision } = message;
            let mut fields = Fields::default();
            let account = fields.read("account", &account);
            let pb::Policy { id, environment, name, description, tags, statements, metadata: _, level } =
                fields.required(NOUN, policy)?;
            let id = fields.read("policy.id", &id);
            let level = fields.policy_level(&environment, &level);
            let ((account, id), level) = fields.all(account.zip(id).zip(level))?;
            let wanted = PolicyFields { name, description, tags, statements };
            let carried = call.execute(NOUN, &request_id, |state| {
                same_level(state, account, id, &level)?;
                policy::update(state, account, id, expected(expected_revision), wanted.clone())
            })?;
            Ok(pb::UpdatePolicyResponse {
                policy: Some(carried.policy()?),
                warnings: carried.done.warnings.clone(),
                revision_token: carried.revision_token,
            })
        })
        .await
    }

    async fn delete_policy(
        &self,
        request: Request<pb::DeletePolicyRequest>,
    ) -> Result<Response<pb::DeletePolicyResponse>, Status> {
        self.call("DeletePolicy", request, |call, message| {
            let pb::DeletePolicyRequest { account, id, force, request_id, expected_revision } = message;
            let (account, id) = read_key(&account, ("id", &id))?;
            let plan = |state: &_| policy::delete(state, account, id, expected(expected_revision), force);
            let carried = call.execute(NOUN, &request_id, plan)?;
            Ok(pb::DeletePolicyResponse { revision_token: carried.revision_token })
        })
        .await
    }
}

impl Carried {
    fn policy(&self) -> Result<pb::Policy, Status> {
        self.record(|record| match &record.value {
            Object::Policy(_, it) => Some(object::policy(it, Some(metadata(record)))),
            _ => None,
        })
    }
}

fn form(record: &Record<Policy>) -> pb::Policy {
    object::policy(&record.value, Some(metadata(record)))
}

/// What an account has and inherits, and the version of what it inherits. Its own come first where an id is in both.
fn overview(state: &State, owned: &AccountState) -> (OrdMap<PolicyId, Shared<Policy>>, u32) {
    let mut listed = state.global_policies().clone();
    listed.extend(owned.policies.iter().map(|(id, policy)| (*id, Arc::clone(policy))));
    (listed, state.global.as_ref().map_or(0, |global| global.value.defaults_version))
}

/// A policy does not move between levels; a message that says so is refused rather than half carried out. A default
/// policy is left to the planner, which says that it is read-only.
fn same_level(state: &State, account: AccountId, id: PolicyId, level: &Level) -> Result<(), Rejection> {
    let known = state.account(account).and_then(|owned| state.policy(owned, id));
    match known {
        Some(known) if known.value.level == Level::Global => Ok(()),
        Some(known) if known.value.level != *level => {
            let problem = format!("the policy lives at level `{}` and stays there", known.value.level);
            let violation = Violation { field: "environment".to_owned(), code: "immutable", problem };
            Err(Rejection::Invalid(vec![violation]))
        }
        _ => Ok(()),
    }
}
