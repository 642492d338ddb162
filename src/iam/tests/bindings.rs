//! Bindings: levels, parameters, limits, and identity by content.

use super::*;
use crate::iam::check;
use crate::iam::texts::Texts;

#[test]
fn a_policy_is_bound_at_its_level_or_below() {
    let world = world();
    let at = |id: &str| BindingLevel::Environment(environment_id(id));
    check(world.bind(world.binding(world.read, BindingLevel::Account)), "put binding");
    check(world.bind(world.binding(world.read, at(PROD))), "put binding");
    check(world.bind(world.binding(world.local, at(PROD))), "put binding");
    check(world.bind(world.binding(world.local, at("dev"))), "level level_not_allowed");
    check(world.bind(world.binding(world.local, BindingLevel::Account)), "level level_not_allowed");
}

#[test]
fn what_a_binding_names_exists() {
    let world = world();
    let level = BindingLevel::Environment(environment_id("test"));
    let group = GroupId::random();
    let boundaries = vec![BoundaryId::random()];
    let fields = BindingFields { group, boundaries, ..world.binding(PolicyId::random(), level) };
    let all = "group not_found, environment not_found, boundaries[0] not_found, policy not_found";
    check(world.bind(fields), all);
}

#[test]
fn parameters_are_complete_and_surplus_ones_are_kept_with_a_warning() {
    let world = world();
    check(world.bind(world.binding(world.template, BindingLevel::Account)), "parameters.schema parameter_missing");
    let mut fields = world.template_with("x");
    fields.parameters.insert("surplus".to_owned(), "y".to_owned());
    let plan = world.bind(fields).unwrap();
    let told = "parameter `surplus` is used neither by the policy nor by a boundary [surplus_parameter]";
    assert_eq!(plan.warnings, [told]);
    let Some(Edit::Put(Object::Binding(_, bound))) = plan.edits.first() else { panic!("a binding") };
    assert_eq!(bound.parameters.len(), 2);
}

#[test]
fn a_star_in_a_parameter_of_match_is_warned_of() {
    let mut world = world();
    let id = PolicyId::random();
    let text = r#"ALLOW storage:logs:read WHERE storage:bucket-name MATCH ("${bindParam:b}");"#;
    world.take(world.policy(id, Level::Account, "logs", text));
    let parameters = BTreeMap::from([("b".to_owned(), "a*".to_owned())]);
    let plan = world.bind(BindingFields { parameters, ..world.binding(id, BindingLevel::Account) }).unwrap();
    let told = "parameter `b` holds a `*`; in a parameter it stands for itself and is no wildcard [literal_wildcard]";
    assert_eq!(plan.warnings, [told]);
}

#[test]
fn a_filled_value_that_does_not_fit_is_refused_once() {
    let mut world = world();
    let id = PolicyId::random();
    // Two permissions that take the condition differently make two clauses of one statement.
    let text = r#"ALLOW storage:entities:read, storage:logs:read
        WHERE storage:dt.security_context = "a" AND global:date < "${bindParam:d}";"#;
    world.take(world.policy(id, Level::Account, "dated", text));
    let parameters = BTreeMap::from([("d".to_owned(), "soon".to_owned())]);
    let fields = BindingFields { parameters, ..world.binding(id, BindingLevel::Account) };
    check(world.bind(fields), "parameters parameter_invalid");
}

#[test]
fn limits_of_a_binding_at_the_edge_and_one_past_it() {
    let world = world();
    let with =
        |parameters| world.bind(BindingFields { parameters, ..world.binding(world.read, BindingLevel::Account) });
    let tell = |metadata| world.bind(BindingFields { metadata, ..world.binding(world.read, BindingLevel::Account) });
    check(with(entries(64, "")), "put binding");
    check(with(entries(65, "")), "parameters limit_exceeded");
    check(tell(entries(64, "")), "put binding");
    check(tell(entries(65, "")), "metadata limit_exceeded");
    let named = |length| BTreeMap::from([("n".repeat(length), String::new())]);
    check(with(named(128)), "put binding");
    check(with(named(129)), "parameters limit_exceeded");
    check(with(named(0)), "parameters empty");
    check(with(entries(1, &"é".repeat(512))), "put binding");
    check(with(entries(1, &("é".repeat(512) + "x"))), "parameters.p0 limit_exceeded");
}

#[test]
fn the_limit_of_a_filled_value_at_the_edge_and_one_past_it() {
    let mut world = world();
    let bind = |world: &mut World, text: usize| {
        let id = PolicyId::random();
        let value = "${bindParam:p0}".repeat(4) + &"x".repeat(text);
        let text = format!(r#"ALLOW storage:logs:read WHERE storage:bucket-name = "{value}";"#);
        world.take(world.policy(id, Level::Account, &format!("p{}", text.len()), &text));
        let parameters = entries(1, &"v".repeat(1_000));
        world.bind(BindingFields { parameters, ..world.binding(id, BindingLevel::Account) })
    };
    check(bind(&mut world, 96), "put binding");
    check(bind(&mut world, 97), "parameters parameter_invalid");
}

#[test]
fn the_names_of_parameters_and_metadata_hold_no_control_characters() {
    let world = world();
    let name = || BTreeMap::from([("a\0".to_owned(), "x".to_owned())]);
    let fields = world.binding(world.read, BindingLevel::Account);
    check(world.bind(BindingFields { parameters: name(), ..fields.clone() }), "parameters control_character");
    check(world.bind(BindingFields { metadata: name(), ..fields }), "metadata control_character");
}

#[test]
fn an_exact_duplicate_is_refused_and_any_difference_is_another_binding() {
    let mut world = world();
    world.bind_template("x");
    check(world.bind(world.template_with("x")), "already_exists");
    check(world.bind(world.template_with("y")), "put binding");
    let metadata = BTreeMap::from([("team".to_owned(), "blue".to_owned())]);
    check(world.bind(BindingFields { metadata, ..world.template_with("x") }), "put binding");
    let level = BindingLevel::Environment(environment_id(PROD));
    check(world.bind(BindingFields { level, ..world.template_with("x") }), "put binding");
    check(world.bind(BindingFields { group: world.all_users, ..world.template_with("x") }), "put binding");
}

#[test]
fn trap_12_updating_a_binding_replaces_it_in_one_plan() {
    let mut world = world();
    let key = world.bind_template("x");
    world.bind_template("z");
    let update = |fields| binding::update(&world.state, world.account, key, None, fields);
    check(update(world.template_with("y")), "delete binding, put binding");
    check(update(world.template_with("x")), "");
    check(update(world.template_with("z")), "already_exists");
    let gone = binding::delete(&world.state, world.account, key, None);
    check(gone, "delete binding");
}

#[test]
fn r15_a_parameter_that_is_no_group_id_is_told() {
    let mut world = world();
    let id = PolicyId::random();
    let text = r#"ALLOW storage:logs:read WHERE global:userGroup IN ("${bindParam:g}", "${bindParam:h}");"#;
    world.take(world.policy(id, Level::Account, "grouped", text));
    let (ops, upper) = (world.ops.to_string(), "0A0A0A0A-0A0A-4A0A-8A0A-0A0A0A0A0A0A");
    for (g, h, expected) in [
        (ops.as_str(), ops.as_str(), &[][..]),
        ("Alpha", ops.as_str(), &["`Alpha`"][..]),
        ("Alpha", "Alpha", &["`Alpha`"]),
        // The id of a group has one spelling.
        ("Alpha", upper, &["`Alpha`", upper]),
    ] {
        let parameters = BTreeMap::from([("g", g), ("h", h)].map(|(name, value)| (name.to_owned(), value.to_owned())));
        let plan = world.bind(BindingFields { parameters, ..world.binding(id, BindingLevel::Account) }).unwrap();
        assert_eq!(plan.warnings.len(), expected.len(), "{:?}", plan.warnings);
        for (told, word) in plan.warnings.iter().zip(expected) {
            assert!(told.contains(word) && told.ends_with("[user_group_not_uuid]"), "{told}");
        }
    }
}

#[test]
fn a_group_has_10000_bindings() {
    let mut world = world();
    let numbered = |world: &World, number: usize| {
        let metadata = BTreeMap::from([("n".to_owned(), number.to_string())]);
        BindingFields { metadata, ..world.binding(world.read, BindingLevel::Account) }
    };
    let (catalogue, mut texts) = (check::catalogue(&world.state, world.owned()).unwrap(), Texts::default());
    let mut create =
        |world: &World, fields| binding::create_against(&world.state, world.account, &catalogue, &mut texts, fields);
    let other = GroupId::random();
    world.take(group::create(&world.state, world.account, other, group_fields("other")));
    let elsewhere = BindingFields { group: other, ..numbered(&world, 0) };
    let plan = create(&world, elsewhere.clone());
    let moved = world.bound(plan);
    for number in 0..10_000 {
        let plan = create(&world, numbered(&world, number));
        world.take(plan);
    }
    let full = |planned: Planned| {
        let refused = planned.unwrap_err();
        assert_eq!(refused.code(), "limit_exceeded");
        let told = format!("group `{}` has 10000 bindings, the limit is 10000", world.ops);
        assert_eq!(refused.to_string(), told);
    };
    full(create(&world, numbered(&world, 10_000)));
    full(create(&world, numbered(&world, 10_001)));
    full(world.bind(numbered(&world, 10_000)));
    let change = |key, fields| binding::update(&world.state, world.account, key, None, fields);
    full(change(moved, numbered(&world, 10_000)));
    // Its own place is free to it, and another group has room.
    let key = world.owned().bindings_of_group(world.ops).next().unwrap().0;
    check(change(key, numbered(&world, 10_000)), "delete binding, put binding");
    let elsewhere = BindingFields { group: other, ..numbered(&world, 1) };
    check(create(&world, elsewhere), "put binding");
    check(world.bind(numbered(&world, 0)), "already_exists");
}
