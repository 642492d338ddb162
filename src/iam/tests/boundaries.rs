//! Boundaries of bindings: what they ask of a binding, how large they make it, and what a change of one must leave right.

use super::*;
use crate::iam::preview::{self, Preview};
use crate::model::policy::Boundary;

const HOST: &str = r#"storage:host.name = "h";"#;
const DATED: &str = r#"global:date < "${bindParam:until}";"#;

impl World {
    fn boundary(&mut self, name: &str, query: &str) -> BoundaryId {
        let id = BoundaryId::random();
        let fields = BoundaryFields { name: name.to_owned(), query: query.to_owned() };
        self.take(boundary::create(&self.state, self.account, id, fields));
        id
    }

    fn change(&self, id: BoundaryId, query: &str) -> Planned {
        let fields = BoundaryFields { name: "changed".to_owned(), query: query.to_owned() };
        boundary::update(&self.state, self.account, id, None, fields)
    }

    fn logs(&mut self, statements: &str) -> PolicyId {
        let id = PolicyId::random();
        self.take(self.policy(id, Level::Account, &id.to_string(), statements));
        id
    }

    fn within(&self, policy: PolicyId, boundaries: &[BoundaryId], parameters: &[(&str, &str)]) -> BindingFields {
        let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        BindingFields { boundaries: boundaries.to_vec(), parameters, ..self.binding(policy, BindingLevel::Account) }
    }

    fn preview(&self, fields: BindingFields) -> Preview {
        preview::preview(&self.state, self.account, fields).unwrap()
    }
}

fn codes(warnings: &[String]) -> Vec<&str> {
    let code = |warning: &str| warning.rfind('[').unwrap_or_default();
    warnings.iter().filter_map(|warning| warning.get(code(warning)..)).collect()
}

#[test]
fn a_boundary_is_bound_and_its_set_is_part_of_the_content() {
    let mut world = world();
    let other = world.boundary("host", HOST);
    let both = world.within(world.read, &[other, world.boundary], &[]);
    world.take(world.bind(both));
    check(world.bind(world.within(world.read, &[world.boundary, other], &[])), "already_exists");
    check(world.bind(world.within(world.read, &[other], &[])), "put binding");
}

#[test]
fn limits_of_the_boundaries_of_a_binding_at_the_edge_and_one_past_it() {
    let mut world = world();
    let ids: Vec<_> = (0..21).map(|n| world.boundary(&n.to_string(), r#"global:week-day = "Monday";"#)).collect();
    check(world.bind(world.within(world.read, &ids[..20], &[])), "put binding");
    check(world.bind(world.within(world.read, &ids, &[])), "boundaries limit_exceeded");
    check(world.bind(world.within(world.read, &[ids[0], ids[0]], &[])), "boundaries[1] duplicate");
}

#[test]
fn parameters_of_boundaries_are_asked_for_too() {
    let mut world = world();
    let dated = world.boundary("dated", DATED);
    check(world.bind(world.within(world.read, &[dated], &[])), "parameters.until parameter_missing");
    check(
        world.bind(world.within(world.template, &[dated], &[])),
        "parameters.schema parameter_missing, parameters.until parameter_missing",
    );
    check(world.bind(world.within(world.read, &[dated], &[("until", "soon")])), "parameters parameter_invalid");
    let plan = world.bind(world.within(world.read, &[dated], &[("until", "2026-05-03Z"), ("more", "x")])).unwrap();
    assert_eq!(codes(&plan.warnings), ["[surplus_parameter]"], "{:?}", plan.warnings);
}

#[test]
fn what_a_boundary_leaves_open_is_told_when_it_is_bound() {
    let mut world = world();
    let host = world.boundary("host", HOST);
    let plan = world.bind(world.within(world.read, &[host], &[])).unwrap();
    assert_eq!(codes(&plan.warnings), ["[boundary_leaves_unrestricted]"]);
    assert!(plan.warnings[0].contains("`settings:objects:read`"), "{:?}", plan.warnings);
    let strict = AccountFields { strict_boundaries: true, ..account_fields("Example") };
    world.take(account::update(&world.state, world.account, None, strict));
    let plan = world.bind(world.within(world.read, &[host], &[])).unwrap();
    assert_eq!(codes(&plan.warnings), ["[boundary_copy_dropped]"]);
}

/// Lines that make 36 picks, on names that `storage:logs:read` knows.
fn widest() -> String {
    let names = ["storage:host.name", "storage:log.source", "storage:k8s.cluster.name"];
    (0..10).map(|n| format!("{} = \"{n}\";\n", names[n % 3])).collect::<Vec<_>>().concat()
}

#[test]
fn a_binding_that_expands_to_too_much_is_refused_at_each_way_to_make_it() {
    let mut world = world();
    let logs = |count: usize| "ALLOW storage:logs:read;".repeat(count);
    let policy = world.logs(&logs(13));
    let ids: Vec<_> = (0..20).map(|n| world.boundary(&n.to_string(), &widest())).collect();
    // 13 × 20 × 36 = 9,360 and 14 × 20 × 36 = 10,080.
    let plan = world.bind(world.within(policy, &ids, &[]));
    let key = world.bound(plan);
    let text = |count| policy_fields("logs", &logs(count));
    check(policy::update(&world.state, world.account, policy, None, text(14)), "statements expansion_too_large");
    check(policy::update(&world.state, world.account, policy, None, text(12)), "put policy");
    let larger = world.logs(&logs(14));
    check(world.bind(world.within(larger, &ids, &[])), "boundaries expansion_too_large");
    let fields = world.within(larger, &ids, &[]);
    check(binding::update(&world.state, world.account, key, None, fields), "boundaries expansion_too_large");
    check(world.bind(world.within(larger, &ids[..19], &[])), "put binding");
    // 13 × (19 × 36 + 86) does not go: a boundary has ten lines. With a small boundary in place of one there is room.
    world.take(world.change(ids[0], HOST));
    let plan = world.bind(world.within(larger, &ids, &[]));
    world.take(plan);
    check(world.change(ids[0], &widest()), "query expansion_too_large");
    check(world.change(ids[0], HOST), "put boundary");
}

#[test]
fn trap_13_a_bound_boundary_keeps_its_parameters_and_suits_its_bindings() {
    let mut world = world();
    let dated = world.boundary("dated", DATED);
    check(world.change(dated, HOST), "put boundary");
    world.take(world.bind(world.within(world.read, &[dated], &[("until", "2026-05-03Z")])));
    check(world.change(dated, HOST), "query parameters_changed");
    check(world.change(dated, &DATED.replace("until", "other")), "query parameters_changed");
    check(world.change(dated, r#"global:time-of-day < "${bindParam:until}";"#), "query binding_invalid");
    check(world.change(dated, &DATED.replace('<', ">")), "put boundary");
    check(world.change(dated, ""), "query empty_boundary");
    check(boundary::delete(&world.state, world.account, dated, None), "in_use");
}

#[test]
fn a_change_that_leaves_a_binding_open_is_told() {
    let mut world = world();
    let monday = world.boundary("monday", r#"global:week-day = "Monday";"#);
    assert_eq!(world.change(monday, HOST).unwrap().warnings, Vec::<String>::new());
    world.take(world.bind(world.within(world.read, &[monday], &[])));
    let plan = world.change(monday, HOST).unwrap();
    assert_eq!(codes(&plan.warnings), ["[boundary_leaves_unrestricted]"]);
    assert!(plan.warnings[0].starts_with("policy `read`: boundary `monday`"), "{:?}", plan.warnings);
}

#[test]
fn the_bindings_that_a_change_would_break_are_told_up_to_a_number() {
    let mut world = world();
    let dated = world.boundary("dated", DATED);
    for n in 0..25 {
        let mut fields = world.within(world.read, &[dated], &[("until", "2026-05-03Z")]);
        fields.metadata.insert("n".to_owned(), n.to_string());
        world.take(world.bind(fields));
    }
    let refused = world.change(dated, r#"global:time-of-day < "${bindParam:until}";"#);
    let Err(Rejection::Invalid(violations)) = refused else { panic!("{refused:?}") };
    assert_eq!(violations.len(), 21);
    assert_eq!(violations[20].problem, "5 more bindings would not be valid");
}

#[test]
fn a_preview_shows_what_counts_and_where_it_comes_from() {
    let mut world = world();
    let host = world.boundary("host", HOST);
    let context = world.boundary("context", r#"storage:dt.security_context = "${bindParam:sc}";"#);
    let policy = world.logs("ALLOW storage:logs:read, storage:entities:read; DENY iam:users:read;");
    let fields = world.within(policy, &[host, context], &[("sc", "x")]);
    let preview = world.preview(fields.clone());
    let texts: Vec<_> = preview.statements.iter().map(|it| it.text.as_str()).collect();
    for expected in [
        r#"ALLOW storage:logs:read WHERE storage:host.name = "h";"#,
        r#"ALLOW storage:logs:read WHERE storage:dt.security_context = "x";"#,
        "ALLOW storage:entities:read;",
        r#"ALLOW storage:entities:read WHERE storage:dt.security_context = "x";"#,
        "DENY iam:users:read;",
    ] {
        assert!(texts.contains(&expected), "{expected} is not in {texts:?}");
    }
    assert_eq!((preview.expanded, preview.truncated, preview.parameters), (5, false, BTreeMap::new()));
    assert_eq!(codes(&preview.warnings), ["[boundary_leaves_unrestricted]"]);
    let deny = preview.statements.last().unwrap();
    assert_eq!(deny.origins, [preview::Origin { statement: 1, boundary: None }]);
    let open = preview.statements.iter().find(|it| it.text == "ALLOW storage:entities:read;").unwrap();
    assert_eq!(open.origins, [preview::Origin { statement: 0, boundary: Some((host, "host".to_owned())) }]);
    // It changes nothing, and what is there can be looked at again.
    world.take(world.bind(fields.clone()));
    assert_eq!(world.preview(fields).expanded, 5);
}

#[test]
fn a_preview_merges_what_is_equal() {
    let mut world = world();
    let (one, other) = (world.boundary("one", HOST), world.boundary("other", HOST));
    let policy = world.logs("ALLOW storage:logs:read; ALLOW storage:logs:read, storage:logs:read;");
    let preview = world.preview(world.within(policy, &[one, other], &[]));
    assert_eq!((preview.statements.len(), preview.expanded), (1, 6));
    assert_eq!(preview.statements[0].origins.len(), 4);
}

#[test]
fn r22_a_preview_does_not_turn_a_star_into_a_wildcard() {
    let mut world = world();
    let policy =
        world.logs(r#"ALLOW storage:logs:read WHERE storage:host.name MATCH ("${bindParam:p}", "${bindParam:q}*");"#);
    let preview = world.preview(world.within(policy, &[], &[("p", "a*"), ("q", "b"), ("r", "*")]));
    let text = r#"ALLOW storage:logs:read WHERE storage:host.name MATCH ("${bindParam:p}", "b*");"#;
    assert_eq!(preview.statements[0].text, text);
    assert_eq!(preview.parameters, BTreeMap::from([("p".to_owned(), "a*".to_owned())]));
}

#[test]
fn a_preview_that_would_be_too_large_says_so() {
    let mut world = world();
    let values: Vec<_> = (0..490).map(|n| format!("\"{n:0>100}\"")).collect();
    let policy = world.logs(&format!("ALLOW storage:logs:read WHERE storage:host.name IN ({});", values.join(",")));
    let wide = world.boundary("wide", &widest());
    let preview = world.preview(world.within(policy, &[wide], &[]));
    assert_eq!((preview.expanded, preview.truncated), (36, true));
    let bytes: usize = preview.statements.iter().map(|it| it.text.len()).sum();
    assert!(!preview.statements.is_empty() && bytes <= preview::TEXT_BYTES, "{bytes}");
}

#[test]
fn a_preview_is_refused_as_the_binding_would_be() {
    let world = world();
    let missing = world.within(world.template, &[BoundaryId::random()], &[]);
    let refused = preview::preview(&world.state, world.account, missing.clone()).unwrap_err();
    assert_eq!(refused, world.bind(missing).unwrap_err());
}

#[test]
fn d7_a_looser_account_is_told_what_is_open_again() {
    let mut world = world();
    let host = world.boundary("host", HOST);
    world.take(world.bind(world.within(world.read, &[host], &[])));
    world.take(world.bind(world.within(world.read, &[world.boundary], &[])));
    let change = |world: &World, strict_boundaries| {
        let fields = AccountFields { strict_boundaries, ..account_fields("Example") };
        account::update(&world.state, world.account, None, fields)
    };
    let plan = change(&world, true).unwrap();
    assert_eq!(codes(&plan.warnings), ["[boundary_copy_dropped]"]);
    world.take(Ok(plan));
    assert_eq!(change(&world, true).unwrap().warnings, Vec::<String>::new(), "it was so before");
    let plan = change(&world, false).unwrap();
    assert_eq!(codes(&plan.warnings), ["[boundary_leaves_unrestricted]"]);
    assert!(plan.warnings[0].starts_with("policy `read`: boundary `host`"), "{:?}", plan.warnings);
}

#[test]
fn warnings_about_many_bindings_are_told_up_to_a_number() {
    let mut world = world();
    for n in 0..25 {
        let boundary = world.boundary(&format!("host {n}"), HOST);
        world.take(world.bind(world.within(world.read, &[boundary], &[])));
    }
    let strict = AccountFields { strict_boundaries: true, ..account_fields("Example") };
    let warnings = account::update(&world.state, world.account, None, strict).unwrap().warnings;
    assert_eq!((warnings.len(), codes(&warnings)[20]), (21, "[warnings_left_out]"), "{warnings:?}");
}

#[test]
fn r22_a_change_that_makes_a_star_literal_is_told_with_its_binding() {
    let mut world = world();
    let (scalar, pattern) =
        (r#"storage:host.name = "${bindParam:b}";"#, r#"storage:host.name MATCH ("${bindParam:b}");"#);
    let boundary = world.boundary("b", scalar);
    let statements = |condition: &str| format!("ALLOW storage:logs:read WHERE {condition}");
    let policy = world.logs(&statements(scalar));
    // What nothing uses was told when it was bound.
    let plan = world.bind(world.within(policy, &[boundary], &[("b", "a*"), ("more", "x")]));
    let key = world.bound(plan);
    let changed = policy_fields("logs", &statements(pattern));
    let plan = policy::update(&world.state, world.account, policy, None, changed).unwrap();
    for warnings in [plan.warnings, world.change(boundary, pattern).unwrap().warnings] {
        assert_eq!(codes(&warnings), ["[literal_wildcard]"]);
        assert!(warnings[0].starts_with(&format!("binding `{key}`: ")), "{warnings:?}");
    }
    assert_eq!(world.change(boundary, scalar).unwrap().warnings, Vec::<String>::new());
}

#[test]
fn an_account_has_2000_boundaries() {
    let mut world = world();
    for n in 1..2_000 {
        let name = n.to_string().parse().unwrap();
        let boundary = Boundary { id: BoundaryId::random(), name, query: HOST.to_owned() };
        world.apply(&[Edit::Put(Object::Boundary(world.account, boundary))]);
    }
    let one_more = || {
        let fields = BoundaryFields { name: "one more".to_owned(), query: HOST.to_owned() };
        boundary::create(&world.state, world.account, BoundaryId::random(), fields)
    };
    let refused = one_more().unwrap_err();
    assert_eq!(refused.code(), "limit_exceeded");
    assert_eq!(refused.to_string(), "the account has 2000 boundaries, the limit is 2000");
    check(world.change(world.boundary, HOST), "put boundary");
    world.take(boundary::delete(&world.state, world.account, world.boundary, None));
    world.boundary("in its place", HOST);
}
