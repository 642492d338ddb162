//! Default policies and groups: what a new account has of them, and that nobody changes what is shipped.

use super::*;
use crate::model::defaults::Defaults;
use crate::model::identity::Group;

/// The id of the default policy `name`.
fn shipped(name: &str) -> PolicyId {
    let policies = &Defaults::shipped().policies;
    policies.iter().find(|policy| policy.name.as_str() == name).unwrap().id
}

/// A second account in `world`, with default groups.
fn second(world: &mut World) -> AccountId {
    let id = AccountId::from_bytes([9; 16]);
    let default_groups = (20..25).map(|n| GroupId::from_bytes([n; 16])).collect();
    let new = NewAccount { default_groups, ..new_account(id, GroupId::from_bytes([19; 16]), "Second") };
    world.take(account::create(&world.state, new));
    id
}

fn group_named<'a>(world: &'a World, account: AccountId, name: &str) -> &'a Group {
    &world.state.account(account).unwrap().group_by_name(name).unwrap().value
}

#[test]
fn a_new_account_has_the_default_groups_bound_at_account_level() {
    let mut world = world();
    let id = second(&mut world);
    let owned = world.state.account(id).unwrap();
    for default in &Defaults::shipped().groups {
        let group = group_named(&world, id, default.name.as_str());
        assert_eq!((group.owner, group.description.as_str()), (GroupOwner::Local, default.description.as_str()));
        let bindings: Vec<_> = owned.bindings_of_group(group.id).map(|(_, binding)| &binding.value).collect();
        assert!(bindings.iter().all(|it| it.level == BindingLevel::Account && it.parameters.is_empty()));
        let bound: std::collections::BTreeSet<_> = bindings.iter().map(|it| it.policy).collect();
        assert_eq!(bound, default.policies.iter().copied().collect(), "{}", default.name);
    }
    assert_eq!((owned.groups.len(), owned.bindings.len(), owned.policies.len()), (6, 19, 0));
}

#[test]
fn a_default_group_without_an_id_is_not_made() {
    let world = world();
    let one = NewAccount {
        default_groups: vec![GroupId::random()],
        ..new_account(AccountId::random(), GroupId::random(), "One")
    };
    let made = account::create(&world.state, one).unwrap();
    let groups = made.edits.iter().filter(|edit| edit.key().noun() == "group").count();
    assert_eq!(groups, 2, "ALL_USERS and the first");
}

#[test]
fn a_default_group_whose_policy_is_not_there_is_refused() {
    let mut world = world();
    let mut global = shipped_global();
    global.policies.clear();
    world.apply(&[Edit::Put(Object::Global(global))]);
    let new = new_account(AccountId::random(), GroupId::random(), "Second");
    check(account::create(&world.state, NewAccount { default_groups: vec![GroupId::random()], ..new }), "not_found");
}

#[test]
fn an_account_with_nothing_but_untouched_defaults_goes_without_force() {
    let mut world = world();
    let id = second(&mut world);
    check(account::delete(&world.state, id, None, false), "delete account");
    // What was taken away leaves nothing that could be lost.
    let viewers = group_named(&world, id, "Account Viewers").id;
    world.take(group::delete(&world.state, id, viewers, None, true));
    check(account::delete(&world.state, id, None, false), "delete account");
}

#[test]
fn a_default_group_that_was_changed_or_bound_anew_is_something_to_lose() {
    let fields = |group: &Group, description: &str| GroupFields {
        description: description.to_owned(),
        ..group_fields(group.name.as_str())
    };
    let mut changed = world();
    let id = second(&mut changed);
    let admins = group_named(&changed, id, "Account Admins").clone();
    changed.take(group::update(&changed.state, id, admins.id, None, fields(&admins, "Ours")));
    check(account::delete(&changed.state, id, None, false), "in_use");
    let unbound =
        changed.state.account(id).unwrap().bindings_of_group(admins.id).map(|(key, _)| key).collect::<Vec<_>>();
    let mut bare = World { state: changed.state.clone(), ..world() };
    for key in unbound {
        bare.take(binding::delete(&bare.state, id, key, None));
    }
    check(account::delete(&bare.state, id, None, false), "in_use");
    changed.take(group::update(&changed.state, id, admins.id, None, fields(&admins, &admins.description)));
    check(account::delete(&changed.state, id, None, false), "delete account");

    let bind = |parameters, policy| BindingFields {
        group: admins.id,
        parameters,
        ..changed.binding(policy, BindingLevel::Account)
    };
    for more in [bind(BTreeMap::new(), shipped("Read Logs")), bind(entries(1, "x"), shipped("Account Admin"))] {
        let mut bound = world();
        let id = second(&mut bound);
        bound.take(binding::create(&bound.state, id, more));
        check(account::delete(&bound.state, id, None, false), "in_use");
    }
}

#[test]
fn a_default_policy_is_bound_at_both_levels() {
    let world = world();
    let at = BindingLevel::Environment(environment_id(PROD));
    check(world.bind(world.binding(shipped("Read Logs"), BindingLevel::Account)), "put binding");
    check(world.bind(world.binding(shipped("Read Logs"), at)), "put binding");
}

#[test]
fn a_default_policy_is_read_only_and_its_id_taken() {
    let world = world();
    let id = shipped("Read Logs");
    let fields = policy_fields("Read Logs", "ALLOW storage:logs:read;");
    check(policy::update(&world.state, world.account, id, None, fields), "read_only");
    check(policy::delete(&world.state, world.account, id, None, true), "read_only");
    check(world.policy(id, Level::Account, "mine", "ALLOW storage:logs:read;"), "already_exists");
    // A name is unique at its level only.
    check(world.policy(PolicyId::random(), Level::Account, "Read Logs", "ALLOW storage:logs:read;"), "put policy");
}

#[test]
fn an_own_policy_is_not_replaced_by_a_default_one_of_its_id() {
    let mut world = world();
    let mut global = shipped_global();
    let own = world.read;
    global.policies.push(crate::model::policy::Policy { id: own, ..global.policies[0].clone() });
    world.apply(&[Edit::Put(Object::Global(global))]);
    let found = world.state.policy(world.owned(), own).unwrap();
    assert_eq!(found.value.level, Level::Account);
    let fields = policy_fields("read", "ALLOW settings:schemas:read;");
    check(policy::update(&world.state, world.account, own, None, fields), "put policy");
}
