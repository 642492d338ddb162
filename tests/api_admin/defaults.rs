//! Default policies and groups as a client of the administrative services sees them.

use std::collections::BTreeSet;

use doorward::model::defaults::Defaults;
use doorward::proto::doorward as pb;
use doorward::proto::doorward::policy_service_client::PolicyServiceClient;
use tonic::{Code, Status};

use crate::control_plane::fields;
use crate::nouns::{Accounts, Bindings, Groups, How, Noun, PLAIN, Policies, World};
use crate::{create, delete, get, refused, update};

/// The policies of an account on pages of `size`, with the version that the last page told.
async fn list(world: &World, inherited: bool, size: i32) -> (Vec<pb::Policy>, u32) {
    let mut client = PolicyServiceClient::new(world.caller());
    let (mut listed, mut token) = (Vec::new(), String::new());
    loop {
        let request =
            pb::ListPoliciesRequest { account: world.account.clone(), page_size: size, page_token: token, inherited };
        let page = client.list_policies(request).await.unwrap().into_inner();
        listed.extend(page.policies);
        token = page.next_page_token;
        if token.is_empty() {
            return (listed, page.defaults_version);
        }
    }
}

async fn default_policy(world: &World, name: &str) -> pb::Policy {
    let (policies, _) = list(world, true, 1_000).await;
    policies.into_iter().find(|policy| policy.name == name && policy.level == "global").unwrap()
}

#[tokio::test]
async fn the_overview_holds_own_policies_and_inherited_ones_and_the_plain_list_its_own() {
    let world = World::new().await;
    let shipped = Defaults::shipped();
    let (own, version) = list(&world, false, 1_000).await;
    assert!(own.iter().all(|policy| policy.level == "account"), "{own:?}");
    assert_eq!(version, 0);
    for size in [1_000, 7] {
        let (all, version) = list(&world, true, size).await;
        assert_eq!((all.len(), version), (own.len() + shipped.policies.len(), shipped.version));
        assert!(all.is_sorted_by(|a, b| a.id < b.id), "in the order of ids, each once");
        let global: BTreeSet<_> = all.iter().filter(|it| it.level == "global").map(|it| it.name.as_str()).collect();
        assert_eq!(global, shipped.policies.iter().map(|policy| policy.name.as_str()).collect());
    }
}

#[tokio::test]
async fn a_page_of_the_overview_is_no_page_of_the_plain_list() {
    let world = World::new().await;
    let mut client = PolicyServiceClient::new(world.caller());
    let request = |inherited, page_token| pb::ListPoliciesRequest {
        account: world.account.clone(),
        page_size: 1,
        page_token,
        inherited,
    };
    let token = client.list_policies(request(true, String::new())).await.unwrap().into_inner().next_page_token;
    let status = client.list_policies(request(false, token)).await.unwrap_err();
    assert_eq!(fields(&status), ["page_token"]);
}

#[tokio::test]
async fn a_default_policy_is_read_bound_and_never_changed() {
    let world = World::new().await;
    let policy = default_policy(&world, "Read Logs").await;
    let read = get::<Policies>(&world, &policy).await.unwrap().form;
    assert_eq!((&read.level, &read.statements), (&policy.level, &policy.statements));
    assert!(read.metadata.is_some());

    for level in ["global", "", "account"] {
        let wish = pb::Policy { description: "Ours".to_owned(), level: level.to_owned(), ..policy.clone() };
        refused(&world, Code::FailedPrecondition, update::<Policies>(&world, &policy, wish, PLAIN)).await;
    }
    let force = How { force: true, ..How::default() };
    refused(&world, Code::FailedPrecondition, delete::<Policies>(&world, &policy, &force)).await;

    let binding = pb::Binding { policy_id: policy.id.clone(), parameters: [].into(), ..Bindings::sample(&world, 1) };
    let bound = create::<Bindings>(&world, binding, PLAIN).await.unwrap().form;
    assert_eq!(bound.policy_id, policy.id);
}

#[tokio::test]
async fn nobody_makes_a_global_policy_or_takes_the_id_of_one() {
    let world = World::new().await;
    let sample = pb::Policy { environment: String::new(), level: String::new(), ..Policies::sample(&world, 1) };
    let global = pb::Policy { level: "global".to_owned(), ..sample.clone() };
    refused(&world, Code::FailedPrecondition, create::<Policies>(&world, global, PLAIN)).await;
    let taken = pb::Policy { id: default_policy(&world, "Read Logs").await.id, ..sample.clone() };
    refused(&world, Code::AlreadyExists, create::<Policies>(&world, taken, PLAIN)).await;
    let named = pb::Policy { name: "Read Logs".to_owned(), ..sample };
    create::<Policies>(&world, named, PLAIN).await.expect("a name is unique at its level");
}

#[tokio::test]
async fn a_level_that_contradicts_the_environment_is_refused() {
    let world = World::new().await;
    for (environment, level) in [("prod", "account"), ("prod", "global"), ("", "environment"), ("", "cluster")] {
        let policy =
            pb::Policy { environment: environment.to_owned(), level: level.to_owned(), ..Policies::sample(&world, 1) };
        let status = refused(&world, Code::InvalidArgument, create::<Policies>(&world, policy, PLAIN)).await;
        assert_eq!(fields(&status), ["policy.level"], "{environment} {level}");
    }
}

/// The policies that a group of an account is bound to, by name.
async fn bound_to(world: &World, account: &str, group: &str) -> Result<BTreeSet<String>, Status> {
    let bindings = Bindings::list(world.caller(), account, 1_000, "").await?.0;
    let (policies, _) = list(world, true, 1_000).await;
    let name = |id: &str| policies.iter().find(|policy| policy.id == id).unwrap().name.clone();
    let of_group = bindings.iter().filter(|it| it.group_id == group && it.environment.is_empty());
    Ok(of_group.map(|binding| name(&binding.policy_id)).collect())
}

#[tokio::test]
async fn a_new_account_has_the_five_groups_and_they_are_ordinary() {
    let world = World::new().await;
    let account = world.server.account("New").await;
    let groups = Groups::list(world.caller(), &account, 1_000, "").await.unwrap().0;
    for default in &Defaults::shipped().groups {
        let group = groups.iter().find(|group| group.name == default.name.as_str()).unwrap();
        assert_eq!((group.owner(), &group.description), (pb::GroupOwner::Local, &default.description));
        assert_eq!(bound_to(&world, &account, &group.id).await.unwrap().len(), default.policies.len());
        let changed = pb::Group { name: format!("{} of ours", group.name), ..group.clone() };
        Groups::update(world.caller(), &account, &group.id, changed, PLAIN).await.expect("it can be changed");
        let force = How { force: true, ..How::default() };
        Groups::delete(world.caller(), &account, &group.id, &force).await.expect("it can be deleted");
    }
    assert_eq!(Groups::list(world.caller(), &account, 1_000, "").await.unwrap().0.len(), 1, "ALL_USERS stays");
    Accounts::delete(world.caller(), "", &account, PLAIN).await.expect("nothing is left to lose");
}
