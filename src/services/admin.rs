//! The administrative services: each call is read field by field, carried out by `iam`, and answered.

mod accounts;
mod audit;
mod bindings;
mod boundaries;
mod decisions;
mod environments;
mod fields;
mod groups;
mod newest;
mod policies;
mod rejection;
mod service_users;
mod users;

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

use prost::Message;
use sha2::{Digest, Sha256};
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;
use tonic::{Code, Request, Response, Status};

use super::authenticate::Authenticator;
use super::page;
use super::right_of_way::RightOfWay;
use super::status::code_name;
use crate::clock::Clock;
use crate::iam::service::{Done, Iam};
use crate::iam::{Plan, Rejection};
use crate::model::id::AccountId;
use crate::model::limits;
use crate::model::mutation::{Actor, RequestIdentity};
use crate::model::object::{Change, Object, Record};
use crate::model::revision::{Revision, RevisionToken};
use crate::model::state::{AccountState, State};
use crate::model::text::refuse_control;
use crate::proto::doorward as pb;
use crate::store::api::StoreError;
use crate::telemetry::metrics::Metrics;
use fields::read_key;
pub use newest::NewestSnapshot;
use rejection::{iam_error, missing_record, store_error};

/// The names of the administrative services.
pub const SERVICES: [&str; 10] = [
    pb::account_service_server::SERVICE_NAME,
    pb::environment_service_server::SERVICE_NAME,
    pb::user_service_server::SERVICE_NAME,
    pb::service_user_service_server::SERVICE_NAME,
    pb::group_service_server::SERVICE_NAME,
    pb::policy_service_server::SERVICE_NAME,
    pb::boundary_service_server::SERVICE_NAME,
    pb::binding_service_server::SERVICE_NAME,
    pb::decision_admin_service_server::SERVICE_NAME,
    pb::audit_service_server::SERVICE_NAME,
];

/// Every administrative service. A cheap clone.
#[derive(Debug, Clone)]
pub struct Admin {
    iam: Arc<Iam>,
    newest: Arc<NewestSnapshot>,
    clock: Clock,
    metrics: Metrics,
    right_of_way: RightOfWay,
}

/// One call: who makes it, and what makes a repetition of it the same call.
struct Call {
    iam: Arc<Iam>,
    newest: Arc<NewestSnapshot>,
    clock: Clock,
    actor: Actor,
    digest: [u8; 32],
}

/// A mutation that was carried out, with its record in the form of its noun.
struct Carried {
    done: Done,
    revision_token: String,
}

/// Adds every administrative service to `routes`, each behind `authenticator`.
#[must_use]
pub fn add_services(routes: Routes, admin: &Admin, authenticator: &Authenticator, message_bytes: usize) -> Routes {
    macro_rules! add {
        ($routes:expr, $($server:path),+ $(,)?) => {{
            let routes = $routes;
            $(
                let server = <$server>::new(admin.clone()).max_decoding_message_size(message_bytes);
                let routes = routes.add_service(InterceptedService::new(server, authenticator.clone()));
            )+
            routes
        }};
    }
    add!(
        routes,
        pb::account_service_server::AccountServiceServer<Admin>,
        pb::environment_service_server::EnvironmentServiceServer<Admin>,
        pb::user_service_server::UserServiceServer<Admin>,
        pb::service_user_service_server::ServiceUserServiceServer<Admin>,
        pb::group_service_server::GroupServiceServer<Admin>,
        pb::policy_service_server::PolicyServiceServer<Admin>,
        pb::boundary_service_server::BoundaryServiceServer<Admin>,
        pb::binding_service_server::BindingServiceServer<Admin>,
        pb::decision_admin_service_server::DecisionAdminServiceServer<Admin>,
        pb::audit_service_server::AuditServiceServer<Admin>,
    )
}

// === impl Admin ===

impl Admin {
    /// Services that administer through `iam`, and answer questions about decisions from `newest` at the time of `clock`.
    #[must_use]
    pub const fn new(
        iam: Arc<Iam>,
        newest: Arc<NewestSnapshot>,
        clock: Clock,
        metrics: Metrics,
        right_of_way: RightOfWay,
    ) -> Self {
        Self { iam, newest, clock, metrics, right_of_way }
    }

    /// Carries out one call on a thread that may block, and counts it.
    async fn call<M, R>(
        &self,
        method: &'static str,
        request: Request<M>,
        carry_out: impl FnOnce(&Call, M) -> Result<R, Status> + Send + 'static,
    ) -> Result<Response<R>, Status>
    where
        M: Message + 'static,
        R: Send + 'static,
    {
        let begun = Instant::now();
        let _passage = self.right_of_way.take();
        let actor = request.extensions().get::<Actor>().cloned();
        let actor = actor.ok_or_else(|| Status::unauthenticated("the call carries no credential"));
        let (iam, newest, clock) = (Arc::clone(&self.iam), Arc::clone(&self.newest), self.clock.clone());
        let message = request.into_inner();
        let carried = match actor {
            Err(status) => Err(status),
            Ok(actor) => {
                let task = move || {
                    let call = Call { iam, newest, clock, actor, digest: digest(method, &message) };
                    carry_out(&call, message)
                };
                let joined = tokio::task::spawn_blocking(task).await;
                joined.unwrap_or_else(|panicked| {
                    tracing::error!(method, error = %panicked, "an administrative call panicked");
                    Err(Status::internal("the call failed inside Doorward; its change was made whole or not at all"))
                })
            }
        };
        let code = carried.as_ref().err().map_or(Code::Ok, Status::code);
        self.metrics.admin_call(method, code_name(code), begun.elapsed());
        carried.map(Response::new)
    }
}

/// What tells a repetition of a call from another call with the same request id.
fn digest(method: &str, message: &impl Message) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(method);
    hash.update([0]);
    hash.update(message.encode_to_vec());
    hash.finalize().into()
}

// === impl Call ===

impl Call {
    /// Makes a plan and commits it. `noun` is the field of the message that holds the resource, for the names of fields.
    fn execute(
        &self,
        noun: &'static str,
        request_id: &str,
        plan: impl Fn(&State) -> Result<Plan, Rejection>,
    ) -> Result<Carried, Status> {
        let request = self.identity(request_id)?;
        let done = self.iam.execute(self.actor.clone(), request, plan).map_err(|problem| iam_error(noun, problem))?;
        tracing::info!(actor = self.actor.as_str(), object = %done.subject, revision = %done.token.revision, changed = done.changed, replayed = done.replayed, "administrative change");
        let done = if done.replayed { self.as_first_answered(done)? } else { done };
        let revision_token = done.token.to_string();
        Ok(Carried { done, revision_token })
    }

    /// A repeated call is answered as the first time: with its subject as that commit left it, not as it is by now.
    fn as_first_answered(&self, done: Done) -> Result<Done, Status> {
        let commit = done.token.revision;
        let before = Revision::new(commit.get().saturating_sub(1));
        let entries = match self.iam.store().changes_after(before, 1) {
            Err(StoreError::Compacted { .. }) => return self.as_audited(done, before),
            entries => entries.map_err(|problem| store_error(&problem))?,
        };
        let mut changes =
            entries.iter().filter(|entry| entry.revision == commit).flat_map(|entry| entry.changes.iter());
        let left = changes.rfind(|change| change.key() == done.subject);
        match left {
            Some(Change::Put(record)) => Ok(Done { record: Some(record.clone()), ..done }),
            // A delete answers without a record; a call that changed nothing has none in the log.
            Some(Change::Delete(_)) | None => Ok(done),
        }
    }

    /// The audit goes further back than the log.
    fn as_audited(&self, done: Done, before: Revision) -> Result<Done, Status> {
        let events = self.iam.store().audit_after(before, 1).map_err(|problem| store_error(&problem))?;
        let told = events.into_iter().filter(|event| event.revision == done.token.revision);
        let left = told.flat_map(|event| event.changes).filter(|change| change.key == done.subject).last();
        Ok(match left.and_then(|change| change.after) {
            Some(record) => Done { record: Some(record), ..done },
            None => done,
        })
    }

    fn identity(&self, id: &str) -> Result<Option<RequestIdentity>, Status> {
        if id.is_empty() {
            return Ok(None);
        }
        let mut fields = fields::Fields::default();
        if id.len() > limits::REQUEST_ID_BYTES {
            fields
                .refuse("request_id", format!("is {} bytes long, the limit is {}", id.len(), limits::REQUEST_ID_BYTES));
        }
        if let Err(problem) = refuse_control(id) {
            fields.refuse("request_id", problem.to_string());
        }
        fields.done()?;
        // Two holders of credentials may choose the same id.
        let id = format!("{}/{id}", self.actor.as_str());
        Ok(Some(RequestIdentity { id, digest: self.digest }))
    }

    /// One resource, and the revision it is read at.
    fn find<I, R>(
        &self,
        noun: &str,
        account: &str,
        key: (&str, &str),
        form: impl FnOnce(&AccountState, &I) -> Option<R>,
    ) -> Result<(R, String), Status>
    where
        I: FromStr<Err: Display> + Display,
    {
        let (account, id) = read_key::<I>(account, key)?;
        let (state, revision_token) = self.read();
        let found = state.account(account).and_then(|owned| form(owned, &id));
        let missing = || Status::not_found(format!("there is no {noun} `{id}` in account `{account}`"));
        Ok((found.ok_or_else(missing)?, revision_token))
    }

    /// What `list` makes of an account, and the revision it is read at.
    fn list<R>(
        &self,
        account: AccountId,
        list: impl FnOnce(&AccountState) -> Result<R, Status>,
    ) -> Result<(R, String), Status> {
        let (state, revision_token) = self.read();
        let owned = state.account(account);
        let owned = owned.ok_or_else(|| Status::not_found(format!("there is no account `{account}`")))?;
        Ok((list(owned)?, revision_token))
    }

    /// The state that a read answers from, and its revision.
    fn read(&self) -> (Arc<State>, String) {
        let store = self.iam.store();
        let state = store.state();
        let token = RevisionToken { store: store.id(), revision: state.revision };
        (state, token.to_string())
    }
}

// === impl Carried ===

impl Carried {
    /// The record after the commit, in the form that `form` picks out of it.
    fn record<T>(&self, form: impl FnOnce(&Record<Object>) -> Option<T>) -> Result<T, Status> {
        self.done.record.as_ref().and_then(form).ok_or_else(|| missing_record(&self.done))
    }
}
