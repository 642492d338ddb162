//! Additions to the catalogue (rules R28).

use super::*;

#[test]
fn r28_an_addition_makes_a_permission_or_adds_conditions() {
    let mut world = world();
    check(world.addition("shop:orders:read", &[("shop:region", &["=", "IN"])]), "put catalogue entry");
    world.take(world.addition("shop:orders:read", &[("shop:region", &["=", "IN"])]));
    check(world.addition("shop:orders:read", &[("shop:region", &["IN", "="])]), "");
    check(world.addition("shop:orders:read", &[]), "");
    world.take(world.addition("shop:orders:read", &[("shop:size", &["="])]));
    let permission: PermissionName = "shop:orders:read".parse().unwrap();
    assert_eq!(world.owned().catalogue.get(&permission).unwrap().value.conditions.len(), 2);
    let text = r#"ALLOW shop:orders:read WHERE shop:region = "eu" AND shop:size = "L";"#;
    check(world.policy(PolicyId::random(), Level::Account, "shop", text), "put policy");
}

#[test]
fn r28_an_addition_to_a_shipped_permission() {
    let world = world();
    check(world.addition("settings:objects:read", &[("shop:region", &["="])]), "put catalogue entry");
    check(world.addition("storage:buckets:read", &[("storage:query-consumption", &["="])]), "");
}

#[test]
fn r28_an_addition_cannot_change_what_is_there() {
    let mut world = world();
    check(
        world.addition("storage:buckets:read", &[("storage:query-consumption", &["=", "IN"])]),
        "conditions[0] catalogue_conflict",
    );
    world.take(world.addition("shop:orders:read", &[("shop:region", &["="])]));
    check(
        world.addition("shop:orders:read", &[("shop:size", &["="]), ("shop:region", &["IN"]), ("shop:size", &["IN"])]),
        "conditions[1] catalogue_conflict, conditions[2] catalogue_conflict",
    );
}

#[test]
fn r28_roles_global_conditions_and_ordered_operators_are_not_open() {
    let world = world();
    let rejected = "conditions[0] catalogue_rejected";
    check(world.addition("environment:roles:owner", &[]), "permission catalogue_rejected");
    check(world.addition("shop:orders:read", &[("global:date", &["="])]), rejected);
    check(world.addition("shop:orders:read", &[("shop:size", &["<"])]), rejected);
    check(world.addition("shop:orders:read", &[("shop:size", &[])]), rejected);
    check(
        world.addition("shop", &[("size", &["~"])]),
        "permission invalid_name, conditions[0].name invalid_name, conditions[0].operators[0] unknown_operator",
    );
}

#[test]
fn an_addition_in_use_is_deleted_by_force_only() {
    let mut world = world();
    world.take(world.addition("shop:orders:read", &[]));
    let permission: PermissionName = "shop:orders:read".parse().unwrap();
    let delete = |world: &World, force| catalogue::delete(&world.state, world.account, &permission, None, force);
    check(delete(&world, false), "delete catalogue entry");
    world.take(world.policy(PolicyId::random(), Level::Account, "shop", "ALLOW shop:orders:read;"));
    check(delete(&world, false), "in_use");
    check(delete(&world, true), "delete catalogue entry");
}
