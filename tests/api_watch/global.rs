//! The global level comes through Watch, and a sidecar decides by what came.

use doorward::compile::shipped_global;
use doorward::lang::literal::request_time;
use doorward::model::account::{DefaultGroup, Global};
use doorward::model::attribute::Attributes;
use doorward::model::decision::{CheckRequest, RequestParts};
use doorward::model::id::{AccountId, PolicyId};
use doorward::model::level::Level;
use doorward::model::mutation::Edit;
use doorward::model::object::{Object, Record};
use doorward::model::policy::Policy;
use doorward::model::revision::{Revision, StoreId};
use doorward::model::state::State;
use doorward::proto::doorward as pb;
use doorward::proto::object::{from_record, to_record};
use doorward::snapshot::build::Snapshot;

use crate::at;
use crate::control_plane::InProcess;
use crate::nouns::{Bindings, Boundaries, Noun, PLAIN, Policies, Users, World};
use crate::watcher::Watcher;

/// The global level with a default policy that no build ships, and a group of it.
fn foreign_global() -> Global {
    let (id, level, name) = (PolicyId::from_bytes([7; 16]), Level::Global, "Of another build".parse().unwrap());
    let statements = "ALLOW hub:catalog:read;".to_owned();
    let policy = Policy { id, level, name, description: "d".to_owned(), tags: vec!["t".to_owned()], statements };
    let group = DefaultGroup { name: "Others".parse().unwrap(), description: "g".to_owned(), policies: vec![id] };
    Global { policies: vec![policy], defaults_version: 99, groups: vec![group], ..shipped_global() }
}

#[tokio::test]
async fn the_global_level_brings_the_default_policies_and_groups() {
    let server = InProcess::start();
    let mut watcher = Watcher::open(&server).await;
    let first = watcher.reset().await.swap_remove(0).objects.swap_remove(0);
    let Some(pb::object::Object::Global(global)) = first.object else { panic!("the global level comes first") };
    let shipped = shipped_global();
    assert_eq!((global.policies.len(), global.groups.len()), (shipped.policies.len(), shipped.groups.len()));
    assert_eq!(global.defaults_version, shipped.defaults_version);
    assert_eq!(watcher.contents(), server.contents());
    server.commit([Edit::Put(Object::Global(foreign_global()))]);
    watcher.change().await;
    assert_eq!(watcher.state.as_ref().unwrap().global.as_ref().unwrap().value, foreign_global());
}

/// A sidecar has no policies of its own build: it decides by those that came, and not by those that did not.
#[tokio::test]
async fn a_sidecar_decides_through_the_default_policies_that_came() {
    let server = InProcess::start();
    server.commit([Edit::Put(Object::Global(foreign_global()))]);
    let world = World::over(server).await;
    let user = pb::User { state: pb::UserState::Active.into(), ..Users::sample(&world, 1) };
    let user = world.make::<Users>(user).await;
    let policy_id = foreign_global().policies[0].id.to_string();
    let binding = pb::Binding { policy_id, parameters: [].into(), ..Bindings::sample(&world, 1) };
    world.make::<Bindings>(binding).await;

    let mut watcher = Watcher::open(&world.server).await;
    watcher.reset().await;
    let mut state = watcher.state.clone().unwrap();
    assert_eq!(asked(&state, &world.account, &user.email), ("allow_statement", Some("Of another build".to_owned())));
    let mut narrowed = foreign_global();
    narrowed.policies[0].statements = "ALLOW settings:schemas:read;".to_owned();
    world.server.commit([Edit::Put(Object::Global(narrowed))]);
    watcher.change().await;
    state = watcher.state.clone().unwrap();
    assert_eq!(asked(&state, &world.account, &user.email), ("no_match", None));
}

#[tokio::test]
async fn a_sidecar_decides_by_a_changed_boundary_at_once() {
    let world = World::new().await;
    let user = pb::User { state: pb::UserState::Active.into(), ..Users::sample(&world, 1) };
    let user = world.make::<Users>(user).await;
    let statements = "ALLOW hub:catalog:read;".to_owned();
    let policy = world.make::<Policies>(pb::Policy { statements, ..Policies::sample(&world, 1) }).await;
    // The question is of a Monday.
    let day = |day: &str| format!("global:week-day = \"{day}\";");
    let boundary = pb::Boundary { query: day("Monday"), ..Boundaries::sample(&world, 1) };
    let boundary = world.make::<Boundaries>(boundary).await;
    let (policy_id, boundary_ids) = (policy.id, vec![boundary.id.clone()]);
    let binding = pb::Binding { policy_id, boundary_ids, parameters: [].into(), ..Bindings::sample(&world, 1) };
    world.make::<Bindings>(binding).await;

    let mut watcher = Watcher::open(&world.server).await;
    watcher.reset().await;
    let told = |watcher: &Watcher| asked(watcher.state.as_ref().unwrap(), &world.account, &user.email).0;
    assert_eq!(told(&watcher), "allow_statement");
    for (now, expected) in [("Tuesday", "no_match"), ("Monday", "allow_statement")] {
        let changed = pb::Boundary { query: day(now), ..boundary.clone() };
        Boundaries::update(world.caller(), &world.account, &boundary.id, changed, PLAIN).await.unwrap();
        watcher.change().await;
        assert_eq!(told(&watcher), expected, "{now}");
    }
}

/// The code, and the policy that decided, for `hub:catalog:read` in `prod`.
fn asked(state: &State, account: &str, user: &str) -> (&'static str, Option<String>) {
    let snapshot = Snapshot::build(StoreId::random(), state, None).unwrap();
    let parts = RequestParts { user, environment: "prod", level: "", permission: "hub:catalog:read" };
    let at = request_time("2026-03-02T12:00:00Z").unwrap();
    let request = CheckRequest::new(parts, Attributes::default(), at).unwrap();
    let outcome = snapshot.decide(account.parse().unwrap(), &request).unwrap();
    let reason = outcome.reason();
    (reason.code.name(), reason.statement.map(|it| it.policy().name.to_string()))
}

/// A message of the global level that is no global level is refused.
#[test]
fn default_policies_that_cannot_be_are_refused() {
    let record = |value| Record { created: at(), updated: at(), revision: Revision::new(1), value };
    let message = || match from_record(&record(Object::Global(foreign_global()))).object {
        Some(pb::object::Object::Global(global)) => global,
        other => panic!("{other:?}"),
    };
    let refused = |change: &dyn Fn(&mut pb::Global)| {
        let mut global = message();
        change(&mut global);
        let object = Some(pb::object::Object::Global(global));
        to_record(pb::Object { account: String::new(), object }).err().map(|refused| refused.field)
    };
    assert_eq!(refused(&|_| {}), None);
    assert_eq!(refused(&|it| it.policies[0].id = "x".to_owned()), Some("id"));
    assert_eq!(refused(&|it| it.policies[0].name.clear()), Some("name"));
    assert_eq!(refused(&|it| it.policies[0].level.clear()), Some("policies"));
    assert_eq!(refused(&|it| it.policies[0].environment = "prod".to_owned()), Some("policies"));
    assert_eq!(refused(&|it| it.policies.push(it.policies[0].clone())), Some("policies"));
    assert_eq!(refused(&|it| it.policies.clear()), Some("policy_ids"));
    assert_eq!(refused(&|it| it.groups[0].policy_ids.push("x".to_owned())), Some("policy_ids"));
    assert_eq!(refused(&|it| it.groups[0].name.clear()), Some("name"));

    let owned = |level: &str| {
        let policy =
            pb::Policy { level: level.to_owned(), metadata: message().metadata, ..message().policies.swap_remove(0) };
        let account = AccountId::from_bytes([1; 16]).to_string();
        to_record(pb::Object { account, object: Some(pb::object::Object::Policy(policy)) }).err().map(|it| it.field)
    };
    assert_eq!((owned("account"), owned("")), (None, None));
    assert_eq!((owned("global"), owned("environment")), (Some("level"), Some("level")));
}
