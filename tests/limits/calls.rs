//! The limits of texts and bindings as an administrator meets them in a call: the field is named as the message spells it.

use std::collections::BTreeMap;

use doorward::model::binding::Binding;
use doorward::model::id::BoundaryId;
use doorward::model::level::BindingLevel;
use doorward::model::mutation::Edit;
use doorward::model::object::Object;
use doorward::model::policy::Boundary;
use doorward::proto::doorward as pb;
use tonic::{Code, Status};

use crate::control_plane::fields;
use crate::nouns::{Bindings, Boundaries, Noun, PLAIN, Policies, World};
use crate::times;

/// What is made at the limit is kept; one past it, this one field is wrong, the limit is named and nothing is changed.
async fn check_edge<N: Noun>(world: &World, limit: usize, field: &str, make: impl Fn(usize) -> N::Form) {
    let create = |form| N::create(world.caller(), &world.account, form, PLAIN);
    let before = world.server.contents();
    let status: Status = create(make(limit + 1)).await.expect_err("one past the limit");
    assert_eq!((status.code(), fields(&status)), (Code::InvalidArgument, vec![field.to_owned()]), "{status:?}");
    assert!(status.message().contains(&limit.to_string()), "does not name {limit}: {status:?}");
    assert_eq!(world.server.contents(), before, "a refusal changes nothing");
    let kept = create(make(limit)).await.unwrap_or_else(|status| panic!("{field} at {limit}: {status:?}"));
    N::delete(world.caller(), &world.account, &N::id(&kept.form), PLAIN).await.unwrap();
}

#[tokio::test]
async fn the_text_of_a_policy_is_refused_by_its_field() {
    let world = World::new().await;
    let check = async |limit: usize, text: &dyn Fn(usize) -> String| {
        let policy = |count| pb::Policy { statements: text(count), ..Policies::sample(&world, 1) };
        check_edge::<Policies>(&world, limit, "policy.statements", policy).await;
    };
    let condition = |inside: String| format!("ALLOW storage:logs:read WHERE storage:host.name {inside};");
    check(65_536, &|bytes| format!("ALLOW iam:users:read;{}", " ".repeat(bytes - 21))).await;
    check(100, &|count| times(count, "ALLOW iam:users:read;", "")).await;
    check(100, &|count| format!("ALLOW {};", times(count, "iam:users:read", ","))).await;
    check(100, &|count| condition(times(count, "= 'h'", " AND storage:host.name "))).await;
    check(500, &|count| condition(format!("IN ({})", times(count, "'h'", ",")))).await;
    check(1_024, &|bytes| condition(format!("= '{}'", "v".repeat(bytes)))).await;
    check(128, &|bytes| condition(format!("= '${{bindParam:{}}}'", "p".repeat(bytes)))).await;
}

#[tokio::test]
async fn the_parameters_of_a_binding_are_refused_by_their_field() {
    let world = World::new().await;
    let check = async |limit: usize, field: &str, parameters: &dyn Fn(usize) -> BTreeMap<String, String>| {
        let with_team = |count| {
            let mut parameters = parameters(count);
            parameters.entry("team".to_owned()).or_default();
            parameters
        };
        let binding = |count| pb::Binding { parameters: with_team(count), ..Bindings::sample(&world, 1) };
        check_edge::<Bindings>(&world, limit, field, binding).await;
    };
    let entries = |count: usize| (1..count).map(|n| (format!("p{n}"), String::new())).collect();
    check(64, "binding.parameters", &entries).await;
    check(128, "binding.parameters", &|bytes| [("n".repeat(bytes), String::new())].into()).await;
    check(1_024, "binding.parameters.team", &|bytes| [("team".to_owned(), "v".repeat(bytes))].into()).await;
}

#[tokio::test]
async fn a_filled_in_value_is_refused_by_the_parameters() {
    let world = World::new().await;
    let value = "${bindParam:a}".repeat(3) + "${bindParam:b}";
    let statements = format!(r#"ALLOW storage:logs:read WHERE storage:host.name = "{value}";"#);
    let policy = pb::Policy {
        name: "Long".to_owned(),
        statements,
        environment: String::new(),
        level: String::new(),
        ..Policies::sample(&world, 1)
    };
    let policy_id = world.make::<Policies>(policy).await.id;
    let binding = |bytes: usize| {
        let parameters = [("a".to_owned(), "a".repeat(1_024)), ("b".to_owned(), "b".repeat(bytes - 3_072))];
        pb::Binding { policy_id: policy_id.clone(), parameters: parameters.into(), ..Bindings::sample(&world, 1) }
    };
    // One past it the last parameter is past its own limit too.
    let mut past = binding(4_096);
    *past.parameters.get_mut("b").unwrap() = "b".repeat(1_025);
    let status = Bindings::create(world.caller(), &world.account, past, PLAIN).await.unwrap_err();
    assert_eq!(fields(&status), ["binding.parameters.b", "binding.parameters"], "{status:?}");
    Bindings::create(world.caller(), &world.account, binding(4_096), PLAIN).await.unwrap();
}

#[tokio::test]
async fn the_boundaries_of_a_binding_are_refused_by_their_field() {
    let world = World::new().await;
    // 25 ways to pick one of each name.
    let names = ["storage:table-name", "storage:bucket-name"];
    let query = (0..10).map(|n| format!("{} = \"v{n}\";", names[n % 2])).collect::<Vec<_>>().join("\n");
    let mut ids = Vec::new();
    for n in 0..21 {
        let boundary = pb::Boundary { name: format!("b{n}"), query: query.clone(), ..pb::Boundary::default() };
        ids.push(world.make::<Boundaries>(boundary).await.id);
    }
    let some = |count: usize| pb::Binding { boundary_ids: ids[..count].to_vec(), ..Bindings::sample(&world, 1) };
    check_edge::<Bindings>(&world, 20, "binding.boundary_ids", some).await;

    // 20 statements under 20 boundaries in 25 ways, and one more.
    let mut policies = Vec::new();
    for more in ["", "DENY iam:users:read;"] {
        let statements = "ALLOW storage:buckets:read;".repeat(20) + more;
        let policy = pb::Policy { name: format!("Many{more}"), statements, ..Policies::sample(&world, 1) };
        policies.push(world.make::<Policies>(policy).await.id);
    }
    let wide = |count: usize| pb::Binding { policy_id: policies[count - 10_000].clone(), ..some(20) };
    check_edge::<Bindings>(&world, 10_000, "binding.boundary_ids", wide).await;
}

/// What is refused as there are too many already: the call is right, so no field of it is wrong.
async fn check_full<N: Noun>(world: &World, one_more: N::Form, limit: usize) {
    let before = world.server.contents();
    let status = N::create(world.caller(), &world.account, one_more, PLAIN).await.expect_err("one past the limit");
    assert_eq!((status.code(), fields(&status)), (Code::ResourceExhausted, Vec::new()), "{status:?}");
    assert!(status.message().contains(&format!("the limit is {limit}")), "{status:?}");
    assert_eq!(world.server.contents(), before, "a refusal changes nothing");
}

#[tokio::test]
async fn an_account_has_2000_boundaries() {
    let world = World::new().await;
    let account = world.account.parse().unwrap();
    let query = "global:week-day = 'Monday';".to_owned();
    let boundary =
        |n| Boundary { id: BoundaryId::random(), name: format!("b{n}").parse().unwrap(), query: query.clone() };
    // All but the last in one commit, as so many calls take long.
    world.server.commit((1..2_000).map(|n| Edit::Put(Object::Boundary(account, boundary(n)))));
    let named = |name: &str| pb::Boundary { name: name.to_owned(), query: query.clone(), ..pb::Boundary::default() };
    world.make::<Boundaries>(named("the last")).await;
    check_full::<Boundaries>(&world, named("one more"), 2_000).await;
}

#[tokio::test]
async fn a_group_has_10000_bindings() {
    let world = World::new().await;
    let account = world.account.parse().unwrap();
    let (policy, group) = (world.policy.parse().unwrap(), world.group.parse().unwrap());
    let binding = |n: usize| Binding {
        policy,
        group,
        level: BindingLevel::Account,
        parameters: [("team".to_owned(), format!("t{n}"))].into(),
        boundaries: [].into(),
        metadata: [].into(),
    };
    world.server.commit((1..10_000).map(|n| Edit::Put(Object::Binding(account, binding(n)))));
    let of_team = |team: &str| pb::Binding {
        parameters: [("team".to_owned(), team.to_owned())].into(),
        ..Bindings::sample(&world, 1)
    };
    world.make::<Bindings>(of_team("the last")).await;
    check_full::<Bindings>(&world, of_team("one more"), 10_000).await;
}
