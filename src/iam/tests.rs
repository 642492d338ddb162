//! Planner rules, one test each. A result is told as its edits, or as the fields and codes of its refusal.

use std::collections::BTreeMap;

use super::account::{AccountFields, NewAccount};
use super::binding::BindingFields;
use super::boundary::BoundaryFields;
use super::catalogue::{NewCondition, NewPermission};
use super::environment::EnvironmentFields;
use super::group::GroupFields;
use super::policy::{NewPolicy, PolicyFields};
use super::user::{NewUser, UserFields};
use super::{Plan, Rejection, account, binding, boundary, catalogue, environment, group, policy, user};
use crate::compile::shipped_global;
use crate::model::binding::BindingKey;
use crate::model::catalogue::PermissionName;
use crate::model::id::{AccountId, BoundaryId, EnvironmentId, GroupId, PolicyId, UserId};
use crate::model::identity::{GroupOwner, UserKind, UserState};
use crate::model::level::{BindingLevel, Level};
use crate::model::limits;
use crate::model::mutation::Edit;
use crate::model::object::{Change, Object, ObjectKey, Record};
use crate::model::revision::Revision;
use crate::model::state::{AccountState, State};

mod additions;
mod bindings;
mod boundaries;
mod defaults;
mod service;

type Planned = Result<Plan, Rejection>;

const PROD: &str = "prod";
const TEMPLATE: &str = r#"ALLOW settings:objects:read WHERE settings:schemaId = "${bindParam:schema}";"#;

/// An account with environments `prod` and `dev`, group `ops`, user `ada`, an account policy `read`, one of `prod`, a
/// template, and a boundary.
struct World {
    state: State,
    account: AccountId,
    all_users: GroupId,
    ops: GroupId,
    ada: UserId,
    read: PolicyId,
    local: PolicyId,
    template: PolicyId,
    boundary: BoundaryId,
}

fn world() -> World {
    let id = |n: u8| [n; 16];
    let mut world = World {
        state: State::default(),
        account: AccountId::from_bytes(id(1)),
        all_users: GroupId::from_bytes(id(2)),
        ops: GroupId::from_bytes(id(3)),
        ada: UserId::from_bytes(id(4)),
        read: PolicyId::from_bytes(id(5)),
        local: PolicyId::from_bytes(id(6)),
        template: PolicyId::from_bytes(id(7)),
        boundary: BoundaryId::from_bytes(id(8)),
    };
    world.apply(&[Edit::Put(Object::Global(shipped_global()))]);
    let new = new_account(world.account, world.all_users, "Example");
    world.take(account::create(&world.state, new));
    for name in [PROD, "dev"] {
        let fields = EnvironmentFields { name: name.to_owned() };
        world.take(environment::create(&world.state, world.account, environment_id(name), fields));
    }
    world.take(group::create(&world.state, world.account, world.ops, group_fields("ops")));
    world.take(world.user(world.ada, "ada@example.com", vec![world.ops]));
    world.take(world.policy(world.read, Level::Account, "read", "ALLOW settings:objects:read;"));
    let level = Level::Environment(environment_id(PROD));
    world.take(world.policy(world.local, level, "local", "ALLOW settings:objects:read;"));
    world.take(world.policy(world.template, Level::Account, "template", TEMPLATE));
    let fields = BoundaryFields { name: "mondays".to_owned(), query: r#"global:week-day = "Monday";"#.to_owned() };
    world.take(boundary::create(&world.state, world.account, world.boundary, fields));
    world
}

fn environment_id(text: &str) -> EnvironmentId {
    text.parse().unwrap()
}

fn account_fields(name: &str) -> AccountFields {
    AccountFields { name: name.to_owned(), strict_boundaries: false }
}

/// An account without default groups.
fn new_account(id: AccountId, all_users: GroupId, name: &str) -> NewAccount {
    NewAccount { id, all_users, default_groups: Vec::new(), fields: account_fields(name) }
}

fn group_fields(name: &str) -> GroupFields {
    let (name, description) = (name.to_owned(), String::new());
    GroupFields { name, description, owner: GroupOwner::Local, federated_attribute_values: Vec::new() }
}

fn user_fields(groups: Vec<GroupId>) -> UserFields {
    UserFields { name: String::new(), kind: UserKind::Local, state: UserState::Active, groups }
}

fn policy_fields(name: &str, statements: &str) -> PolicyFields {
    let (name, statements) = (name.to_owned(), statements.to_owned());
    PolicyFields { name, description: String::new(), tags: Vec::new(), statements }
}

fn entries(count: usize, value: &str) -> BTreeMap<String, String> {
    (0..count).map(|n| (format!("p{n}"), value.to_owned())).collect()
}

impl World {
    fn apply(&mut self, edits: &[Edit]) {
        let at = jiff::Timestamp::UNIX_EPOCH;
        let revision = self.state.revision.next().unwrap();
        let change = |edit| match edit {
            Edit::Put(value) => Change::Put(Record { created: at, updated: at, revision, value }),
            Edit::Delete(key) => Change::Delete(key),
        };
        let changes: Vec<_> = edits.iter().cloned().map(change).collect();
        self.state.apply(revision, &changes).unwrap();
    }

    fn take(&mut self, plan: Planned) -> ObjectKey {
        let plan = plan.unwrap();
        self.apply(&plan.edits);
        plan.subject
    }

    fn owned(&self) -> &AccountState {
        self.state.account(self.account).unwrap()
    }

    fn user(&self, id: UserId, email: &str, groups: Vec<GroupId>) -> Planned {
        let new = NewUser { id, email: email.to_owned(), fields: user_fields(groups) };
        user::create(&self.state, self.account, new)
    }

    fn policy(&self, id: PolicyId, level: Level, name: &str, statements: &str) -> Planned {
        policy::create(&self.state, self.account, NewPolicy { id, level, fields: policy_fields(name, statements) })
    }

    fn binding(&self, policy: PolicyId, level: BindingLevel) -> BindingFields {
        let (parameters, metadata) = (BTreeMap::new(), BTreeMap::new());
        BindingFields { policy, group: self.ops, level, parameters, boundaries: Vec::new(), metadata }
    }

    fn bind(&self, fields: BindingFields) -> Planned {
        binding::create(&self.state, self.account, fields)
    }

    fn bind_account(&mut self, policy: PolicyId) -> BindingKey {
        let plan = self.bind(self.binding(policy, BindingLevel::Account));
        self.bound(plan)
    }

    fn bind_prod(&mut self, policy: PolicyId) -> BindingKey {
        let plan = self.bind(self.binding(policy, BindingLevel::Environment(environment_id(PROD))));
        self.bound(plan)
    }

    fn bind_template(&mut self, value: &str) -> BindingKey {
        let plan = self.bind(self.template_with(value));
        self.bound(plan)
    }

    fn template_with(&self, value: &str) -> BindingFields {
        let parameters = BTreeMap::from([("schema".to_owned(), value.to_owned())]);
        BindingFields { parameters, ..self.binding(self.template, BindingLevel::Account) }
    }

    fn bound(&mut self, plan: Planned) -> BindingKey {
        match self.take(plan) {
            ObjectKey::Binding(_, key) => key,
            other => panic!("{other}"),
        }
    }

    fn addition(&self, permission: &str, conditions: &[(&str, &[&str])]) -> Planned {
        let condition = |(name, operators): &(&str, &[&str])| NewCondition {
            name: (*name).to_owned(),
            operators: operators.iter().map(|it| (*it).to_owned()).collect(),
            any_match: false,
        };
        let conditions = conditions.iter().map(condition).collect();
        catalogue::create(&self.state, self.account, &NewPermission { permission: permission.to_owned(), conditions })
    }
}

/// Compares a plan or a refusal with its short form.
#[track_caller]
fn check(planned: Planned, expected: &str) {
    let told = match planned {
        Ok(plan) => plan.edits.iter().map(told).collect::<Vec<_>>().join(", "),
        Err(Rejection::Invalid(violations)) => {
            violations.iter().map(|it| format!("{} {}", it.field, it.code)).collect::<Vec<_>>().join(", ")
        }
        Err(other) => other.code().to_owned(),
    };
    assert_eq!(told, expected);
}

fn told(edit: &Edit) -> String {
    let verb = if matches!(edit, Edit::Put(_)) { "put" } else { "delete" };
    format!("{verb} {}", edit.key().noun())
}

#[test]
fn an_account_comes_with_its_all_users_group() {
    let world = world();
    let new = |id| new_account(id, GroupId::random(), "Other");
    check(account::create(&world.state, new(AccountId::random())), "put account, put group");
    check(account::create(&world.state, new(world.account)), "already_exists");
    let everybody = world.owned().all_users().unwrap();
    assert_eq!((everybody.value.name.as_str(), everybody.value.owner), ("ALL_USERS", GroupOwner::AllUsers));
}

#[test]
fn all_users_cannot_be_deleted_not_even_by_force() {
    let world = world();
    check(group::delete(&world.state, world.account, world.all_users, None, false), "read_only");
    check(group::delete(&world.state, world.account, world.all_users, None, true), "read_only");
}

#[test]
fn nobody_is_put_into_all_users() {
    let world = world();
    check(world.user(UserId::random(), "bob@example.com", vec![world.ops, world.all_users]), "groups[1] all_users");
}

#[test]
fn the_owner_of_all_users_stays_and_no_other_group_gets_it() {
    let world = world();
    let everybody = GroupFields { owner: GroupOwner::AllUsers, ..group_fields("everybody") };
    let update = |id, fields| group::update(&world.state, world.account, id, None, fields);
    check(update(world.all_users, group_fields("everybody")), "owner all_users");
    check(update(world.ops, everybody.clone()), "owner all_users");
    check(group::create(&world.state, world.account, GroupId::random(), everybody.clone()), "owner all_users");
    check(update(world.all_users, everybody), "put group");
}

#[test]
fn an_account_that_owns_something_is_deleted_by_force_only() {
    let world = world();
    check(account::delete(&world.state, world.account, None, false), "in_use");
    check(account::delete(&world.state, world.account, None, true), "delete account");
    let mut bare = State::default();
    let (id, all_users) = (AccountId::random(), GroupId::random());
    let plan = account::create(&bare, new_account(id, all_users, "Bare")).unwrap();
    let record = |value| Record {
        created: jiff::Timestamp::UNIX_EPOCH,
        updated: jiff::Timestamp::UNIX_EPOCH,
        revision: Revision::new(1),
        value,
    };
    for edit in plan.edits {
        let Edit::Put(value) = edit else { panic!("a put") };
        bare.apply(Revision::new(1), &[Change::Put(record(value))]).unwrap();
    }
    check(account::delete(&bare, id, None, false), "delete account");
}

#[test]
fn an_environment_in_use_goes_by_force_with_what_is_at_its_level() {
    let mut world = world();
    let delete = |world: &World, id: &str, force| {
        environment::delete(&world.state, world.account, &environment_id(id), None, force)
    };
    check(delete(&world, "dev", false), "delete environment");
    check(delete(&world, PROD, false), "in_use");
    world.bind_prod(world.local);
    world.bind_prod(world.read);
    world.bind_account(world.read);
    check(delete(&world, PROD, true), "delete binding, delete binding, delete policy, delete environment");
    check(delete(&world, "test", true), "not_found");
}

#[test]
fn trap_13_a_policy_in_use_below_goes_by_force_with_its_bindings() {
    let mut world = world();
    let delete = |world: &World, force| policy::delete(&world.state, world.account, world.read, None, force);
    check(delete(&world, false), "delete policy");
    world.bind_prod(world.read);
    check(delete(&world, false), "in_use");
    world.bind_account(world.read);
    check(delete(&world, true), "delete binding, delete binding, delete policy");
}

#[test]
fn a_bound_group_goes_by_force_and_its_members_leave_it() {
    let mut world = world();
    let delete = |world: &World, force| group::delete(&world.state, world.account, world.ops, None, force);
    check(delete(&world, false), "put user, delete group");
    world.bind_account(world.read);
    check(delete(&world, false), "in_use");
    check(delete(&world, true), "delete binding, put user, delete group");
    world.take(delete(&world, true));
    assert!(world.owned().users.get(&world.ada).unwrap().value.groups.is_empty());
}

#[test]
fn a_deleted_user_is_gone_and_the_state_deleted_is_kept() {
    let mut world = world();
    let fields = UserFields { state: UserState::Deleted, ..user_fields(Vec::new()) };
    check(user::update(&world.state, world.account, world.ada, None, fields), "put user");
    world.take(user::delete(&world.state, world.account, world.ada, None));
    assert!(world.owned().user_by_email("ada@example.com").is_none());
    check(user::delete(&world.state, world.account, world.ada, None), "not_found");
}

#[test]
fn names_are_unique_where_they_must_be() {
    let mut world = world();
    check(group::create(&world.state, world.account, GroupId::random(), group_fields("ops")), "already_exists");
    check(world.user(UserId::random(), "ada@example.com", Vec::new()), "already_exists");
    let read = "ALLOW settings:objects:read;";
    check(world.policy(PolicyId::random(), Level::Account, "read", read), "already_exists");
    check(world.policy(PolicyId::random(), Level::Environment(environment_id("dev")), "read", read), "put policy");
    let query = r#"global:week-day = "Monday";"#.to_owned();
    let named = BoundaryFields { name: "mondays".to_owned(), query };
    check(boundary::create(&world.state, world.account, BoundaryId::random(), named.clone()), "already_exists");
    check(boundary::update(&world.state, world.account, world.boundary, None, named), "put boundary");
    world.take(group::create(&world.state, world.account, GroupId::random(), group_fields("sre")));
    check(group::update(&world.state, world.account, world.ops, None, group_fields("sre")), "already_exists");
    check(group::update(&world.state, world.account, world.ops, None, group_fields("ops")), "put group");
}

#[test]
fn e_mails_are_unique_among_users_and_service_users_together() {
    let world = world();
    let kind = UserKind::Service { description: String::new() };
    let new = |id, email: &str| NewUser {
        id,
        email: email.to_owned(),
        fields: UserFields { kind: kind.clone(), name: "robot".to_owned(), ..user_fields(Vec::new()) },
    };
    let create = |new| user::create(&world.state, world.account, new);
    check(create(new(UserId::random(), "ada@example.com")), "already_exists");
    let id = UserId::random();
    let plan = create(new(id, "")).unwrap();
    let Some(Edit::Put(Object::User(_, robot))) = plan.edits.first() else { panic!("a user") };
    assert_eq!(robot.email.as_str(), format!("{id}@service.doorward.internal"));
    check(world.user(UserId::random(), "", Vec::new()), "email empty");
}

#[test]
fn a_user_stays_a_user() {
    let world = world();
    let service = UserFields { kind: UserKind::Service { description: String::new() }, ..user_fields(Vec::new()) };
    check(user::update(&world.state, world.account, world.ada, None, service), "kind immutable");
    let federated = UserFields { kind: UserKind::Federated, ..user_fields(vec![world.ops]) };
    check(user::update(&world.state, world.account, world.ada, None, federated), "put user");
}

#[test]
fn a_global_policy_is_read_only() {
    let mut world = world();
    check(world.policy(PolicyId::random(), Level::Global, "shipped", "ALLOW settings:objects:read;"), "read_only");
    let mut shipped = world.owned().policies.get(&world.read).unwrap().value.clone();
    (shipped.id, shipped.level) = (PolicyId::random(), Level::Global);
    let id = shipped.id;
    world.apply(&[Edit::Put(Object::Policy(world.account, shipped))]);
    let fields = policy_fields("read", "ALLOW settings:objects:read;");
    check(policy::update(&world.state, world.account, id, None, fields), "read_only");
    check(policy::delete(&world.state, world.account, id, None, true), "read_only");
}

#[test]
fn all_violations_of_an_object_are_told() {
    let world = world();
    let fields = PolicyFields {
        description: "\u{1}".to_owned(),
        tags: vec![String::new(); limits::POLICY_TAGS + 1],
        ..policy_fields("", "ALLOW no:such:permission;\nALLOW settings:objects:read WHERE no:condition = \"x\";")
    };
    let level = Level::Environment(environment_id("test"));
    let planned = policy::create(&world.state, world.account, NewPolicy { id: PolicyId::random(), level, fields });
    let Err(Rejection::Invalid(violations)) = planned else { panic!("{planned:?}") };
    let fields: Vec<_> = violations.iter().map(|it| (it.field.as_str(), it.code)).collect();
    for expected in [
        ("environment", "not_found"),
        ("name", "empty"),
        ("description", "control_character"),
        ("tags", "limit_exceeded"),
        ("tags[100]", "empty"),
        ("statements", "unknown_permission"),
        ("statements", "unknown_condition"),
    ] {
        assert!(fields.contains(&expected), "{expected:?} is not in {fields:?}");
    }
    let condition = violations.iter().find(|it| it.code == "unknown_condition").unwrap();
    assert!(condition.problem.starts_with("line 2, column 35: "), "{}", condition.problem);
}

#[test]
fn trap_13_a_bound_policy_keeps_its_parameters() {
    let mut world = world();
    let update = |world: &World, text: &str| {
        policy::update(&world.state, world.account, world.template, None, policy_fields("t", text))
    };
    check(update(&world, "ALLOW settings:objects:read;"), "put policy");
    world.bind_template("builtin:x");
    check(update(&world, "ALLOW settings:objects:read;"), "statements parameters_changed");
    check(update(&world, &TEMPLATE.replace("schema}", "other}")), "statements parameters_changed");
    check(update(&world, &TEMPLATE.replace("ALLOW", "DENY")), "put policy");
    let date = r#"ALLOW settings:objects:read WHERE global:date < "${bindParam:schema}";"#;
    check(update(&world, date), "statements binding_invalid");
}

#[test]
fn trap_13_a_boundary_is_validated_kept_and_not_deleted_while_bound() {
    let mut world = world();
    let fields = |query: &str| BoundaryFields { name: "b".to_owned(), query: query.to_owned() };
    let create = |fields| boundary::create(&world.state, world.account, BoundaryId::random(), fields);
    check(create(fields("")), "query empty_boundary");
    check(create(fields(r#"no:condition = "x";"#)), "query unknown_condition");
    check(boundary::delete(&world.state, world.account, world.boundary, None), "delete boundary");
    let key = world.bind_account(world.read);
    let mut bound = world.owned().bindings.get(&key).unwrap().value.clone();
    bound.boundaries.insert(world.boundary);
    world.apply(&[Edit::Put(Object::Binding(world.account, bound))]);
    check(boundary::delete(&world.state, world.account, world.boundary, None), "in_use");
}

#[test]
fn claims_are_for_groups_that_take_members_from_them() {
    let world = world();
    let with = |owner, count| {
        let federated_attribute_values = vec!["claim".to_owned(); count];
        let fields = GroupFields { owner, federated_attribute_values, ..group_fields("g") };
        group::create(&world.state, world.account, GroupId::random(), fields)
    };
    check(with(GroupOwner::Saml, 100), "put group");
    check(with(GroupOwner::Saml, 101), "federatedAttributeValues limit_exceeded");
    check(with(GroupOwner::Scim, 1), "federatedAttributeValues not_allowed");
}

#[test]
fn a_record_that_changed_since_is_not_touched() {
    let mut world = world();
    let key = world.bind_account(world.read);
    let (state, account, old) = (&world.state, world.account, Some(Revision::new(99)));
    let environment = EnvironmentFields { name: "p".to_owned() };
    let text = "ALLOW settings:objects:read;";
    let query = BoundaryFields { name: "b".to_owned(), query: r#"global:week-day = "Monday";"#.to_owned() };
    for planned in [
        account::update(state, account, old, account_fields("n")),
        account::delete(state, account, old, true),
        environment::update(state, account, environment_id(PROD), old, environment),
        environment::delete(state, account, &environment_id(PROD), old, true),
        group::update(state, account, world.ops, old, group_fields("n")),
        group::delete(state, account, world.ops, old, true),
        user::update(state, account, world.ada, old, user_fields(Vec::new())),
        user::delete(state, account, world.ada, old),
        policy::update(state, account, world.read, old, policy_fields("n", text)),
        policy::delete(state, account, world.read, old, true),
        boundary::update(state, account, world.boundary, old, query),
        boundary::delete(state, account, world.boundary, old),
        binding::update(state, account, key, old, world.template_with("x")),
        binding::delete(state, account, key, old),
    ] {
        check(planned, "mismatch");
    }
    let seen = world.owned().groups.get(&world.ops).unwrap().revision;
    check(group::update(state, account, world.ops, Some(seen), group_fields("n")), "put group");
}
