//! The eight nouns behind one interface, so that a sentence about all of them is written once.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]
#![expect(clippy::expect_used, reason = "test code: what goes wrong here fails the test, with its reason")]

use std::fmt::Debug;

use doorward::proto::doorward as pb;
use tonic::Status;

use crate::control_plane::{Caller, InProcess};

/// A server with an account in it, and one of each thing that others refer to.
pub struct World {
    pub server: InProcess,
    pub account: String,
    pub group: String,
    pub policy: String,
}

/// A mutation beside its resource.
#[derive(Debug, Clone, Default)]
pub struct How {
    pub request_id: String,
    pub expected_revision: u64,
    pub force: bool,
}

/// A call with nothing beside its resource.
pub const PLAIN: &How = &How { request_id: String::new(), expected_revision: 0, force: false };

/// A resource as an answer has it, with the revision token of the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<F> {
    pub form: F,
    pub revision_token: String,
    pub warnings: Vec<String>,
}

/// A noun with its five calls.
pub trait Noun {
    /// The message of the resource.
    type Form: Clone + PartialEq + Debug + Default;
    /// The field of the messages that holds the resource.
    const FIELD: &'static str;
    /// The kind of name in it that others may not have too.
    const UNIQUE: bool;
    /// A resource that can be made, each number another one; with no id where Doorward makes ids.
    fn sample(world: &World, number: u8) -> Self::Form;
    /// The same resource with every writable field changed.
    fn changed(world: &World, form: Self::Form) -> Self::Form;
    /// What it is found by.
    fn id(form: &Self::Form) -> String;
    fn set_id(form: &mut Self::Form, id: &str);
    fn metadata(form: &mut Self::Form) -> &mut Option<pb::Metadata>;
    async fn create(to: Caller, account: &str, form: Self::Form, how: &How) -> Result<Answer<Self::Form>, Status>;
    async fn get(to: Caller, account: &str, id: &str) -> Result<Answer<Self::Form>, Status>;
    async fn list(to: Caller, account: &str, size: i32, token: &str) -> Result<(Vec<Self::Form>, String), Status>;
    async fn update(
        to: Caller,
        account: &str,
        id: &str,
        form: Self::Form,
        how: &How,
    ) -> Result<Answer<Self::Form>, Status>;
    async fn delete(to: Caller, account: &str, id: &str, how: &How) -> Result<String, Status>;
}

pub struct Accounts;
pub struct Environments;
pub struct Users;
pub struct ServiceUsers;
pub struct Groups;
pub struct Policies;
pub struct Boundaries;
pub struct Bindings;

// === impl World ===

impl World {
    pub async fn new() -> Self {
        Self::over(InProcess::start()).await
    }

    pub async fn over(server: InProcess) -> Self {
        let account = server.account("Harbour").await;
        let mut world = Self { server, account, group: String::new(), policy: String::new() };
        let group = pb::Group { name: "Crew".to_owned(), ..pb::Group::default() };
        world.group = world.make::<Groups>(group).await.id;
        let policy =
            pb::Policy { name: "Template".to_owned(), statements: TEMPLATE.to_owned(), ..pb::Policy::default() };
        world.policy = world.make::<Policies>(policy).await.id;
        let environment = pb::Environment { id: "prod".to_owned(), name: "Production".to_owned(), metadata: None };
        world.make::<Environments>(environment).await;
        world
    }

    pub fn caller(&self) -> Caller {
        self.server.caller()
    }

    /// Creates, for what the test is not about.
    pub async fn make<N: Noun>(&self, form: N::Form) -> N::Form {
        let made = N::create(self.caller(), &self.account, form, PLAIN).await;
        made.expect("a resource to begin with").form
    }
}

/// A policy with a parameter in a pattern.
pub const TEMPLATE: &str = r#"ALLOW storage:buckets:read WHERE storage:bucket-name MATCH ("${bindParam:team}_x");"#;

/// Writes the five calls of a noun. What differs between nouns is in braces.
macro_rules! calls {
    (
        $field:ident, $list:ident, $client:path, [$($owner:ident)?], $key:ident, [$($update_key:ident)?], [$($force:ident)?],
        [$($warnings:ident)?],
        $create:ident $create_request:ident, $get:ident $get_request:ident, $list_call:ident $list_request:ident,
        $update:ident $update_request:ident, $delete:ident $delete_request:ident
    ) => {
        const FIELD: &'static str = stringify!($field);

        fn metadata(form: &mut Self::Form) -> &mut Option<pb::Metadata> {
            &mut form.metadata
        }

        async fn create(to: Caller, account: &str, form: Self::Form, how: &How) -> Result<Answer<Self::Form>, Status> {
            let _ = account;
            let request_id = how.request_id.clone();
            let request = pb::$create_request { $($owner: account.to_owned(),)? $field: Some(form), request_id };
            let answer = client!($client, to).$create(request).await?.into_inner();
            let warnings = warnings!(answer $($warnings)?);
            Ok(Answer { form: answer.$field.expect("a resource"), revision_token: answer.revision_token, warnings })
        }

        async fn get(to: Caller, account: &str, id: &str) -> Result<Answer<Self::Form>, Status> {
            let _ = account;
            let request = pb::$get_request { $($owner: account.to_owned(),)? $key: id.to_owned() };
            let answer = client!($client, to).$get(request).await?.into_inner();
            let form = answer.$field.expect("a resource");
            Ok(Answer { form, revision_token: answer.revision_token, warnings: Vec::new() })
        }

        #[allow(clippy::needless_update, reason = "one of the lists has filters")]
        async fn list(to: Caller, account: &str, size: i32, token: &str) -> Result<(Vec<Self::Form>, String), Status> {
            let _ = account;
            let page_token = token.to_owned();
            let request = pb::$list_request {
                $($owner: account.to_owned(),)? page_size: size, page_token, ..pb::$list_request::default()
            };
            let answer = client!($client, to).$list_call(request).await?.into_inner();
            Ok((answer.$list, answer.next_page_token))
        }

        async fn update(
            to: Caller, account: &str, id: &str, form: Self::Form, how: &How,
        ) -> Result<Answer<Self::Form>, Status> {
            let _ = (account, id);
            let How { request_id, expected_revision, .. } = how.clone();
            let request = pb::$update_request {
                $($owner: account.to_owned(),)? $($update_key: id.to_owned(),)? $field: Some(form), request_id,
                expected_revision,
            };
            let answer = client!($client, to).$update(request).await?.into_inner();
            let warnings = warnings!(answer $($warnings)?);
            Ok(Answer { form: answer.$field.expect("a resource"), revision_token: answer.revision_token, warnings })
        }

        async fn delete(to: Caller, account: &str, id: &str, how: &How) -> Result<String, Status> {
            let _ = account;
            let How { request_id, expected_revision, force } = how.clone();
            let _ = force;
            let request = pb::$delete_request {
                $($owner: account.to_owned(),)? $key: id.to_owned(), $($force: force,)? request_id, expected_revision,
            };
            Ok(client!($client, to).$delete(request).await?.into_inner().revision_token)
        }
    };
}

macro_rules! client {
    ($client:path, $to:ident) => {{
        use $client as client;
        client::new($to)
    }};
}

macro_rules! warnings {
    ($answer:ident) => {
        Vec::new()
    };
    ($answer:ident warnings) => {
        $answer.warnings
    };
}

impl Noun for Accounts {
    type Form = pb::Account;
    const UNIQUE: bool = false;
    calls!(
        account, accounts, pb::account_service_client::AccountServiceClient, [], id, [], [force], [],
        create_account CreateAccountRequest, get_account GetAccountRequest, list_accounts ListAccountsRequest,
        update_account UpdateAccountRequest, delete_account DeleteAccountRequest
    );

    fn sample(_: &World, number: u8) -> pb::Account {
        pb::Account { name: format!("Account {number}"), strict_boundaries: true, ..pb::Account::default() }
    }

    fn changed(_: &World, form: pb::Account) -> pb::Account {
        pb::Account { name: "Änderung 🚢".to_owned(), strict_boundaries: false, ..form }
    }

    fn id(form: &pb::Account) -> String {
        form.id.clone()
    }

    fn set_id(form: &mut pb::Account, id: &str) {
        id.clone_into(&mut form.id);
    }
}

impl Noun for Environments {
    type Form = pb::Environment;
    const UNIQUE: bool = false;
    calls!(
        environment, environments, pb::environment_service_client::EnvironmentServiceClient, [account], id, [], [force],
        [], create_environment CreateEnvironmentRequest, get_environment GetEnvironmentRequest,
        list_environments ListEnvironmentsRequest, update_environment UpdateEnvironmentRequest,
        delete_environment DeleteEnvironmentRequest
    );

    fn sample(_: &World, number: u8) -> pb::Environment {
        pb::Environment { id: format!("env-{number:03}"), name: format!("Environment {number}"), metadata: None }
    }

    fn changed(_: &World, form: pb::Environment) -> pb::Environment {
        pb::Environment { name: "Änderung".to_owned(), ..form }
    }

    fn id(form: &pb::Environment) -> String {
        form.id.clone()
    }

    fn set_id(form: &mut pb::Environment, id: &str) {
        id.clone_into(&mut form.id);
    }
}

impl Noun for Users {
    type Form = pb::User;
    const UNIQUE: bool = true;
    calls!(
        user, users, pb::user_service_client::UserServiceClient, [account], id, [], [], [],
        create_user CreateUserRequest, get_user GetUserRequest, list_users ListUsersRequest,
        update_user UpdateUserRequest, delete_user DeleteUserRequest
    );

    fn sample(world: &World, number: u8) -> pb::User {
        pb::User {
            id: String::new(),
            email: format!("user{number}@example.com"),
            name: "Ada".to_owned(),
            state: pb::UserState::Pending.into(),
            origin: pb::UserOrigin::Federated.into(),
            group_ids: vec![world.group.clone()],
            metadata: None,
        }
    }

    fn changed(_: &World, form: pb::User) -> pb::User {
        pb::User {
            name: String::new(),
            state: pb::UserState::Deleted.into(),
            origin: pb::UserOrigin::Local.into(),
            group_ids: Vec::new(),
            ..form
        }
    }

    fn id(form: &pb::User) -> String {
        form.id.clone()
    }

    fn set_id(form: &mut pb::User, id: &str) {
        id.clone_into(&mut form.id);
    }
}

impl Noun for ServiceUsers {
    type Form = pb::ServiceUser;
    const UNIQUE: bool = true;
    calls!(
        service_user, service_users, pb::service_user_service_client::ServiceUserServiceClient, [account], id, [], [],
        [], create_service_user CreateServiceUserRequest, get_service_user GetServiceUserRequest,
        list_service_users ListServiceUsersRequest, update_service_user UpdateServiceUserRequest,
        delete_service_user DeleteServiceUserRequest
    );

    fn sample(world: &World, number: u8) -> pb::ServiceUser {
        pb::ServiceUser {
            id: String::new(),
            email: format!("robot{number}@example.com"),
            name: "robot".to_owned(),
            description: "Runs\nat night".to_owned(),
            state: pb::UserState::Inactive.into(),
            group_ids: vec![world.group.clone()],
            metadata: None,
        }
    }

    fn changed(_: &World, form: pb::ServiceUser) -> pb::ServiceUser {
        pb::ServiceUser {
            name: "another".to_owned(),
            description: String::new(),
            state: pb::UserState::Active.into(),
            group_ids: Vec::new(),
            ..form
        }
    }

    fn id(form: &pb::ServiceUser) -> String {
        form.id.clone()
    }

    fn set_id(form: &mut pb::ServiceUser, id: &str) {
        id.clone_into(&mut form.id);
    }
}

impl Noun for Groups {
    type Form = pb::Group;
    const UNIQUE: bool = true;
    calls!(
        group, groups, pb::group_service_client::GroupServiceClient, [account], id, [], [force], [],
        create_group CreateGroupRequest, get_group GetGroupRequest, list_groups ListGroupsRequest,
        update_group UpdateGroupRequest, delete_group DeleteGroupRequest
    );

    fn sample(_: &World, number: u8) -> pb::Group {
        pb::Group {
            id: String::new(),
            name: format!("Group {number}"),
            description: "For\tpeople".to_owned(),
            owner: pb::GroupOwner::Saml.into(),
            federated_attribute_values: vec!["b".to_owned(), "a".to_owned()],
            metadata: None,
        }
    }

    fn changed(_: &World, form: pb::Group) -> pb::Group {
        pb::Group {
            name: format!("{} anew", form.name),
            description: String::new(),
            owner: pb::GroupOwner::Scim.into(),
            federated_attribute_values: Vec::new(),
            ..form
        }
    }

    fn id(form: &pb::Group) -> String {
        form.id.clone()
    }

    fn set_id(form: &mut pb::Group, id: &str) {
        id.clone_into(&mut form.id);
    }
}

impl Noun for Policies {
    type Form = pb::Policy;
    const UNIQUE: bool = true;
    calls!(
        policy, policies, pb::policy_service_client::PolicyServiceClient, [account], id, [], [force], [warnings],
        create_policy CreatePolicyRequest, get_policy GetPolicyRequest, list_policies ListPoliciesRequest,
        update_policy UpdatePolicyRequest, delete_policy DeletePolicyRequest
    );

    fn sample(_: &World, number: u8) -> pb::Policy {
        pb::Policy {
            id: String::new(),
            environment: "prod".to_owned(),
            name: format!("Policy {number}"),
            description: "For people".to_owned(),
            tags: vec!["b".to_owned(), "a".to_owned()],
            statements: "  allow settings:schemas:read ;\r\n// kept ü\n".to_owned(),
            metadata: None,
            level: "environment".to_owned(),
        }
    }

    fn changed(_: &World, form: pb::Policy) -> pb::Policy {
        pb::Policy {
            name: format!("{} anew", form.name),
            description: String::new(),
            tags: Vec::new(),
            statements: "DENY settings:schemas:read;".to_owned(),
            ..form
        }
    }

    fn id(form: &pb::Policy) -> String {
        form.id.clone()
    }

    fn set_id(form: &mut pb::Policy, id: &str) {
        id.clone_into(&mut form.id);
    }
}

impl Noun for Boundaries {
    type Form = pb::Boundary;
    const UNIQUE: bool = true;
    calls!(
        boundary, boundaries, pb::boundary_service_client::BoundaryServiceClient, [account], id, [], [], [warnings],
        create_boundary CreateBoundaryRequest, get_boundary GetBoundaryRequest, list_boundaries ListBoundariesRequest,
        update_boundary UpdateBoundaryRequest, delete_boundary DeleteBoundaryRequest
    );

    fn sample(_: &World, number: u8) -> pb::Boundary {
        pb::Boundary {
            id: String::new(),
            name: format!("Boundary {number}"),
            query: "  global:week-day = 'Monday' ;\r\n\t// kept ü\n".replace('\'', "\""),
            metadata: None,
        }
    }

    fn changed(_: &World, form: pb::Boundary) -> pb::Boundary {
        let query = r#"storage:host.name = "h""#.to_owned();
        pb::Boundary { name: format!("{} anew", form.name), query, ..form }
    }

    fn id(form: &pb::Boundary) -> String {
        form.id.clone()
    }

    fn set_id(form: &mut pb::Boundary, id: &str) {
        id.clone_into(&mut form.id);
    }
}

impl Noun for Bindings {
    type Form = pb::Binding;
    const UNIQUE: bool = true;
    calls!(
        binding, bindings, pb::binding_service_client::BindingServiceClient, [account], key, [key], [], [warnings],
        create_binding CreateBindingRequest, get_binding GetBindingRequest, list_bindings ListBindingsRequest,
        update_binding UpdateBindingRequest, delete_binding DeleteBindingRequest
    );

    fn sample(world: &World, number: u8) -> pb::Binding {
        pb::Binding {
            policy_id: world.policy.clone(),
            group_id: world.group.clone(),
            environment: "prod".to_owned(),
            parameters: [("team".to_owned(), format!("t{number}"))].into(),
            labels: [("ticket".to_owned(), "OPS-7".to_owned())].into(),
            ..pb::Binding::default()
        }
    }

    fn changed(_: &World, form: pb::Binding) -> pb::Binding {
        let parameters = form.parameters.into_iter().map(|(name, value)| (name, format!("{value}-anew"))).collect();
        pb::Binding { environment: String::new(), parameters, labels: [].into(), ..form }
    }

    fn id(form: &pb::Binding) -> String {
        form.key.clone()
    }

    fn set_id(form: &mut pb::Binding, id: &str) {
        id.clone_into(&mut form.key);
    }
}
