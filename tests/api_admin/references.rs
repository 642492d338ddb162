//! Nouns that refer to each other, and what may not be done to them.

use doorward::model::object::{Change, ObjectKey};
use doorward::proto::doorward as pb;
use doorward::proto::doorward::binding_service_client::BindingServiceClient;
use tonic::Code;

use crate::control_plane::fields;
use crate::nouns::{
    Accounts, Bindings, Boundaries, Environments, Groups, How, Noun, PLAIN, Policies, ServiceUsers, Users, World,
};
use crate::{create, delete, get, refused, update};

const FORCE: &str = "force";

fn force() -> How {
    How { force: true, request_id: FORCE.to_owned(), ..How::default() }
}

/// Refused while it is in use; with `force` it goes in one commit, together with what uses it.
async fn check_in_use<N: Noun>(world: &World, form: &N::Form) {
    let status = refused(world, Code::FailedPrecondition, delete::<N>(world, form, PLAIN)).await;
    assert!(status.message().contains(&N::id(form)), "{status:?}");
    let revision = world.server.revision();
    delete::<N>(world, form, &force()).await.unwrap();
    assert_eq!(world.server.revision(), revision + 1, "one commit");
    refused(world, Code::NotFound, get::<N>(world, form)).await;
}

#[tokio::test]
async fn trap_13_a_bound_policy_goes_only_with_its_bindings() {
    let world = World::new().await;
    let binding = world.make::<Bindings>(Bindings::sample(&world, 1)).await;
    let policy = Policies::get(world.caller(), &world.account, &world.policy).await.unwrap().form;
    check_in_use::<Policies>(&world, &policy).await;
    refused(&world, Code::NotFound, get::<Bindings>(&world, &binding)).await;
}

#[tokio::test]
async fn a_bound_group_goes_only_with_its_bindings_and_its_members_leave_it() {
    let world = World::new().await;
    let binding = world.make::<Bindings>(Bindings::sample(&world, 1)).await;
    let user = world.make::<Users>(Users::sample(&world, 1)).await;
    let robot = world.make::<ServiceUsers>(ServiceUsers::sample(&world, 1)).await;
    let group = Groups::get(world.caller(), &world.account, &world.group).await.unwrap().form;
    check_in_use::<Groups>(&world, &group).await;
    refused(&world, Code::NotFound, get::<Bindings>(&world, &binding)).await;
    assert_eq!(get::<Users>(&world, &user).await.unwrap().form.group_ids, [""; 0]);
    assert_eq!(get::<ServiceUsers>(&world, &robot).await.unwrap().form.group_ids, [""; 0]);
}

#[tokio::test]
async fn an_environment_goes_only_with_its_policies_and_bindings() {
    let world = World::new().await;
    let binding = world.make::<Bindings>(Bindings::sample(&world, 1)).await;
    let policy = world.make::<Policies>(Policies::sample(&world, 1)).await;
    let environment = Environments::get(world.caller(), &world.account, "prod").await.unwrap().form;
    check_in_use::<Environments>(&world, &environment).await;
    refused(&world, Code::NotFound, get::<Bindings>(&world, &binding)).await;
    refused(&world, Code::NotFound, get::<Policies>(&world, &policy)).await;
    Policies::get(world.caller(), &world.account, &world.policy).await.expect("the policy of the account stays");
}

#[tokio::test]
async fn an_account_goes_only_with_everything_it_owns() {
    let world = World::new().await;
    let account = Accounts::get(world.caller(), "", &world.account).await.unwrap().form;
    let other = world.server.account("Empty").await;
    check_in_use::<Accounts>(&world, &account).await;
    refused(&world, Code::NotFound, Groups::get(world.caller(), &world.account, &world.group)).await;
    Accounts::delete(world.caller(), "", &other, PLAIN).await.expect("an account with nothing in it");
    assert_eq!(world.server.store.state().accounts.len(), 0);
}

/// Nobody sees a moment without the old binding or the new one: both are in one commit, and so in one event of a watch.
#[tokio::test]
async fn trap_12_a_binding_is_replaced_in_one_commit() {
    let world = World::new().await;
    let old = world.make::<Bindings>(Bindings::sample(&world, 1)).await;
    let before = world.server.store.state().revision;
    let new = update::<Bindings>(&world, &old, Bindings::changed(&world, old.clone()), PLAIN).await.unwrap().form;
    assert_ne!(new.key, old.key, "another content is another binding");
    let commits = world.server.store.changes_after(before, 10).unwrap();
    let [commit] = commits.as_slice() else { panic!("one commit: {commits:?}") };
    let account = world.account.parse().unwrap();
    let key = |text: &str| ObjectKey::Binding(account, text.parse().unwrap());
    let gone = |change: &Change| matches!(change, Change::Delete(found) if *found == key(&old.key));
    let made = |change: &Change| matches!(change, Change::Put(record) if record.value.key() == key(&new.key));
    assert_eq!(commit.changes.len(), 2, "{commit:?}");
    assert!(commit.changes.iter().any(gone) && commit.changes.iter().any(made), "{commit:?}");
}

/// Replacing takes nothing away where it is refused.
#[tokio::test]
async fn trap_12_a_replacement_that_is_refused_leaves_what_was_there() {
    let world = World::new().await;
    let old = world.make::<Bindings>(Bindings::sample(&world, 1)).await;
    let nameless = pb::Binding { parameters: [].into(), ..Bindings::sample(&world, 1) };
    refused(&world, Code::InvalidArgument, update::<Bindings>(&world, &old, nameless, PLAIN)).await;
    let other = world.make::<Bindings>(Bindings::sample(&world, 2)).await;
    refused(&world, Code::AlreadyExists, update::<Bindings>(&world, &old, other, PLAIN)).await;
    assert_eq!(get::<Bindings>(&world, &old).await.unwrap().form, old);
}

/// The group that came with the account.
async fn all_users(world: &World) -> pb::Group {
    let groups = Groups::list(world.caller(), &world.account, 1_000, "").await.unwrap().0;
    let mut found = groups.into_iter().filter(|group| group.owner() == pb::GroupOwner::AllUsers);
    let group = found.next().expect("an account comes with its group ALL_USERS");
    assert!(found.next().is_none(), "and with one only");
    group
}

#[tokio::test]
async fn all_users_can_be_renamed_and_bound_but_neither_joined_nor_deleted_nor_made() {
    let world = World::new().await;
    let everybody = all_users(&world).await;
    assert_eq!(everybody.name, "ALL_USERS");
    for how in [PLAIN, &force()] {
        refused(&world, Code::FailedPrecondition, delete::<Groups>(&world, &everybody, how)).await;
    }
    let joined = pb::User { group_ids: vec![everybody.id.clone()], ..Users::sample(&world, 1) };
    let joined = create::<Users>(&world, joined, PLAIN);
    assert_eq!(fields(&refused(&world, Code::InvalidArgument, joined).await), ["user.group_ids[0]"]);
    let user = world.make::<Users>(Users::sample(&world, 2)).await;
    let joins = pb::User { group_ids: vec![world.group.clone(), everybody.id.clone()], ..user.clone() };
    let joins = update::<Users>(&world, &user, joins, PLAIN);
    assert_eq!(fields(&refused(&world, Code::InvalidArgument, joins).await), ["user.group_ids[1]"]);

    let all_users = pb::GroupOwner::AllUsers.into();
    let second = pb::Group { owner: all_users, federated_attribute_values: Vec::new(), ..Groups::sample(&world, 1) };
    let second = create::<Groups>(&world, second, PLAIN);
    assert_eq!(fields(&refused(&world, Code::InvalidArgument, second).await), ["group.owner"]);
    let taken_over = pb::Group { owner: pb::GroupOwner::Local.into(), ..everybody.clone() };
    let taken_over = update::<Groups>(&world, &everybody, taken_over, PLAIN);
    assert_eq!(fields(&refused(&world, Code::InvalidArgument, taken_over).await), ["group.owner"]);

    let renamed = pb::Group { name: "Everybody".to_owned(), ..everybody.clone() };
    let renamed = update::<Groups>(&world, &everybody, renamed, PLAIN).await.unwrap().form;
    assert_eq!((renamed.id, renamed.name.as_str()), (everybody.id.clone(), "Everybody"));
    world.make::<Bindings>(pb::Binding { group_id: everybody.id, ..Bindings::sample(&world, 1) }).await;
}

/// A call with the id of the other kind finds nothing.
async fn check_apart<Mine: Noun, Other: Noun>(world: &World, other: &Other::Form) {
    let id = Other::id(other);
    let mut form = Mine::sample(world, 7);
    Mine::set_id(&mut form, &id);
    refused(world, Code::NotFound, get::<Mine>(world, &form)).await;
    refused(world, Code::NotFound, update::<Mine>(world, &form, form.clone(), PLAIN)).await;
    refused(world, Code::NotFound, delete::<Mine>(world, &form, PLAIN)).await;
    let listed = Mine::list(world.caller(), &world.account, 1_000, "").await.unwrap().0;
    assert!(listed.iter().all(|mine| Mine::id(mine) != id));
    refused(world, Code::AlreadyExists, create::<Mine>(world, form, PLAIN)).await;
}

#[tokio::test]
async fn users_and_service_users_answer_on_their_own_service_only() {
    let world = World::new().await;
    let user = world.make::<Users>(Users::sample(&world, 1)).await;
    let robot = world.make::<ServiceUsers>(ServiceUsers::sample(&world, 1)).await;
    check_apart::<ServiceUsers, Users>(&world, &user).await;
    check_apart::<Users, ServiceUsers>(&world, &robot).await;
    let same_email = pb::ServiceUser { email: user.email, ..ServiceUsers::sample(&world, 2) };
    refused(&world, Code::AlreadyExists, create::<ServiceUsers>(&world, same_email, PLAIN)).await;
}

#[tokio::test]
async fn a_service_user_without_an_email_gets_one_of_its_own() {
    let world = World::new().await;
    let nameless = |number| pb::ServiceUser { email: String::new(), ..ServiceUsers::sample(&world, number) };
    let one = world.make::<ServiceUsers>(nameless(1)).await;
    let other = world.make::<ServiceUsers>(nameless(2)).await;
    assert!(one.email.starts_with(&one.id) && one.email != other.email, "{one:?} {other:?}");
    let user = pb::User { email: String::new(), ..Users::sample(&world, 1) };
    let made = create::<Users>(&world, user, PLAIN);
    assert_eq!(fields(&refused(&world, Code::InvalidArgument, made).await), ["user.email"]);
}

/// Makes a boundary and gives its id.
async fn boundary(world: &World, name: &str, query: &str) -> String {
    let form = pb::Boundary { name: name.to_owned(), query: query.to_owned(), ..pb::Boundary::default() };
    world.make::<Boundaries>(form).await.id
}

#[tokio::test]
async fn a_binding_has_boundaries_and_their_parameters() {
    let world = World::new().await;
    let id = boundary(&world, "Until", r#"global:date < "${bindParam:until}";"#).await;
    let free = world.make::<Bindings>(Bindings::sample(&world, 1)).await;
    let mut bounded = pb::Binding { boundary_ids: vec![id], ..Bindings::sample(&world, 1) };
    let made = create::<Bindings>(&world, bounded.clone(), PLAIN);
    assert_eq!(fields(&refused(&world, Code::InvalidArgument, made).await), ["binding.parameters.until"]);
    let updated = update::<Bindings>(&world, &free, bounded.clone(), PLAIN);
    assert_eq!(fields(&refused(&world, Code::InvalidArgument, updated).await), ["binding.parameters.until"]);
    bounded.parameters.insert("until".to_owned(), "2026-05-03Z".to_owned());
    let made = create::<Bindings>(&world, bounded.clone(), PLAIN).await.unwrap();
    assert_eq!((made.form.boundary_ids, made.warnings), (bounded.boundary_ids, Vec::new()));
    let unknown = pb::Binding { boundary_ids: vec![crate::NOBODY.to_owned()], ..Bindings::sample(&world, 2) };
    let made = create::<Bindings>(&world, unknown, PLAIN);
    assert_eq!(fields(&refused(&world, Code::InvalidArgument, made).await), ["binding.boundary_ids[0]"]);
}

#[tokio::test]
async fn a_binding_can_be_previewed_without_being_made() {
    let world = World::new().await;
    let id = boundary(&world, "Host", r#"storage:host.name = "h";"#).await;
    let mut binding = pb::Binding { boundary_ids: vec![id.clone()], ..Bindings::sample(&world, 1) };
    binding.parameters = [("team".to_owned(), "a".to_owned())].into();
    let before = world.server.contents();
    let mut client = BindingServiceClient::new(world.caller());
    let mut preview = async |binding: &pb::Binding| {
        let request = pb::PreviewBindingRequest { account: world.account.clone(), binding: Some(binding.clone()) };
        client.preview_binding(request).await.map(tonic::Response::into_inner)
    };
    let answer = preview(&binding).await.unwrap();
    let origin = pb::StatementOrigin { statement: 0, boundary_id: id, boundary_name: "Host".to_owned() };
    let text = r#"ALLOW storage:buckets:read WHERE storage:bucket-name MATCH ("a_x");"#.to_owned();
    assert_eq!(answer.statements, [pb::PreviewedStatement { text, origins: vec![origin] }]);
    assert_eq!((answer.expanded, answer.truncated, answer.parameters.len()), (1, false, 0));
    assert!(matches!(&answer.warnings[..], [one] if one.ends_with("[boundary_leaves_unrestricted]")), "{answer:?}");
    binding.parameters = [("team".to_owned(), "a*".to_owned())].into();
    let answer = preview(&binding).await.unwrap();
    assert_eq!(answer.parameters, binding.parameters, "a star that is no wildcard stands beside the text");
    binding.parameters.clear();
    assert_eq!(fields(&preview(&binding).await.unwrap_err()), ["binding.parameters.team"]);
    assert_eq!(world.server.contents(), before, "a preview changes nothing");
}

#[tokio::test]
async fn bindings_are_listed_by_group_and_policy() {
    let world = World::new().await;
    let group = world.make::<Groups>(Groups::sample(&world, 1)).await.id;
    let policy = world.make::<Policies>(Policies::sample(&world, 1)).await.id;
    let plain = |group: &str| pb::Binding {
        policy_id: policy.clone(),
        group_id: group.to_owned(),
        environment: "prod".to_owned(),
        ..pb::Binding::default()
    };
    let defaults = Bindings::list(world.caller(), &world.account, 1_000, "").await.unwrap().0;
    let one = world.make::<Bindings>(Bindings::sample(&world, 1)).await.key;
    let two = world.make::<Bindings>(plain(&world.group)).await.key;
    let three = world.make::<Bindings>(plain(&group)).await.key;
    let list = async |group_id: &str, policy_id: &str, size, page_token: &str| {
        let request = pb::ListBindingsRequest {
            account: world.account.clone(),
            page_size: size,
            page_token: page_token.to_owned(),
            group_id: group_id.to_owned(),
            policy_id: policy_id.to_owned(),
        };
        BindingServiceClient::new(world.caller()).list_bindings(request).await.map(tonic::Response::into_inner)
    };
    for (group_id, policy_id, expected) in [
        ("", "", defaults.iter().map(|it| &it.key).chain([&one, &two, &three]).collect()),
        (world.group.as_str(), "", vec![&one, &two]),
        (&group, "", vec![&three]),
        ("", &policy, vec![&two, &three]),
        (&world.group, &policy, vec![&two]),
        (&group, &world.policy, vec![]),
        (crate::NOBODY, "", vec![]),
    ] {
        let mut expected = expected;
        expected.sort();
        let page = list(group_id, policy_id, 0, "").await.unwrap();
        assert_eq!(page.bindings.iter().map(|it| &it.key).collect::<Vec<_>>(), expected);
    }
    let first = list(&world.group, "", 1, "").await.unwrap();
    let rest = list(&world.group, "", 1, &first.next_page_token).await.unwrap();
    assert_eq!((rest.bindings.len(), rest.next_page_token.as_str()), (1, ""));
    assert_ne!(first.bindings, rest.bindings);
    let elsewhere = list("", &policy, 1, &first.next_page_token);
    assert_eq!(fields(&refused(&world, Code::InvalidArgument, elsewhere).await), ["page_token"]);
    let wrong = list("x", "y", 1, "");
    assert_eq!(fields(&refused(&world, Code::InvalidArgument, wrong).await), ["group_id", "policy_id"]);
}
