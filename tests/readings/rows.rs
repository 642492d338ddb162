//! What single states come to: limits, choices of boundaries, roles.

use std::collections::BTreeMap;

use doorward::compile::expand::Removal;
use doorward::eval::effective::{EffectivePermission, Entity};
use doorward::eval::explain::Standing;
use doorward::eval::list::Selection;
use doorward::eval::removed::RemovedStatement;
use doorward::eval::residual::Residual;
use doorward::eval::{effective, explain, filter, resolve};
use doorward::model::decision::Target;

use crate::world::{Ask, Bound, Forget, LOGVIEWER, MANAGER, READ, ROLES, USERS, VIEWER, WRITE, World, build};

fn bound(statements: &[String], boundaries: &[&str]) -> Bound {
    let boundaries = boundaries.iter().map(ToString::to_string).collect();
    Bound { statements: statements.to_vec(), group: 0, environment: "", boundaries }
}

fn one(statement: &str, boundaries: &[&str]) -> World {
    build(&[bound(&[statement.to_owned()], boundaries)], false, Forget::Nothing)
}

fn ask(permission: &str, attributes: &[(&str, &str)]) -> Ask {
    let attribute = |(name, value): &(&str, &str)| ((*name).to_owned(), vec![(*value).to_owned()]);
    Ask {
        user: USERS[0].to_owned(),
        environment: "prod".to_owned(),
        permission: permission.to_owned(),
        attributes: attributes.iter().map(attribute).collect::<BTreeMap<_, _>>(),
        time: "2026-03-02T12:00:00Z".to_owned(),
    }
}

fn effects(world: &World) -> EffectivePermission<'_> {
    let selection = Selection { size: 1, ..Selection::default() };
    let target = Target::Environment("prod");
    effective(world.program(), Entity::User(USERS[0]), target, &selection).unwrap().permissions.remove(0)
}

fn conditions(permission: &EffectivePermission<'_>) -> Vec<String> {
    let words = |it: &doorward::compile::describe::Description| it.to_string();
    permission.effects.iter().map(|it| it.conditions.iter().map(words).collect::<Vec<_>>().join(" AND ")).collect()
}

/// Reference ch. 4.3: AND between names, OR between repeats and between boundaries; equal sets are one.
#[test]
fn a_listing_has_an_effect_for_each_choice_of_a_boundary() {
    let statement = format!("ALLOW {READ} WHERE shop:tags = \"a\";");
    let first = "shop:region = \"b\";\nshop:region = \"c\";\nshop:region = \"b\";\nglobal:environmentId = \"prod\"";
    let second = "shop:region = \"b\"; global:environmentId = \"prod\"; shop:tags = \"a\"";
    let world = one(&statement, &[first, second]);
    let listed = effects(&world);
    let common = "global:environmentId = \"prod\" AND shop:region = ";
    assert_eq!(
        conditions(&listed),
        [format!("{common}\"b\" AND shop:tags = \"a\""), format!("{common}\"c\" AND shop:tags = \"a\""),]
    );
    let of_boundary = |it: &doorward::eval::outcome::StatementReason<'_>| it.boundary().unwrap().name.to_string();
    let sources: Vec<Vec<_>> = listed.effects.iter().map(|it| it.sources.iter().map(of_boundary).collect()).collect();
    assert_eq!(sources, [vec!["B0-0", "B0-1"], vec!["B0-0"]]);
}

#[test]
fn an_explanation_tells_the_alternatives_of_a_boundary() {
    let world = one(&format!("ALLOW {READ};"), &["shop:region = \"b\";\nshop:region = \"c\""]);
    let ask = ask(READ, &[("shop:region", "c")]);
    let explained = explain(world.program(), &ask.request(&ask.supplied())).unwrap();
    let statement = &explained.statements[0];
    assert_eq!((statement.standing, statement.conditions.len()), (Standing::Decided, 1));
    assert_eq!(statement.conditions[0].alternatives.len(), 2);
    assert_eq!(statement.source.boundary().unwrap().name.as_str(), "B0-0");
}

/// Statements, what is told, what viewer comes to.
type Row<'a> = (&'a [String], &'a [(&'a str, &'a str)], &'a str);

/// Rules R14.
#[test]
fn an_open_deny_of_viewer_leaves_nothing_above_conditional() {
    let zone = "environment:management-zone";
    let rows: [Row<'_>; 6] = [
        (&[format!("ALLOW {MANAGER};")], &[], "true"),
        (&[format!("ALLOW {MANAGER};"), format!("DENY {VIEWER} WHERE {zone} = \"a\";")], &[], "condition"),
        (&[format!("ALLOW {MANAGER};"), format!("DENY {VIEWER} WHERE {zone} = \"a\";")], &[(zone, "a")], "false"),
        (&[format!("ALLOW {MANAGER};"), format!("DENY {VIEWER} WHERE {zone} = \"a\";")], &[(zone, "b")], "true"),
        (&[format!("DENY {VIEWER} WHERE {zone} = \"a\";")], &[], "false"),
        (&[format!("ALLOW {MANAGER};"), format!("DENY {MANAGER};")], &[], "false"),
    ];
    for (statements, attributes, granted) in rows {
        let world = build(&[bound(statements, &[])], false, Forget::Nothing);
        let ask = ask(VIEWER, attributes);
        let resolved = resolve(world.program(), &ask.request(&ask.supplied())).unwrap();
        assert_eq!(resolved.resolution.name(), granted, "{statements:?} {attributes:?}");
    }
}

#[test]
fn what_is_told_of_many_statements_has_a_limit() {
    let policy = |number: usize| {
        let statement = |it: usize| format!("ALLOW {READ} WHERE shop:region = \"{number}-{it}\";");
        bound(&(0..100).map(statement).collect::<Vec<_>>(), &[])
    };
    for (policies, truncated) in [(10, false), (11, true)] {
        let world = build(&(0..policies).map(policy).collect::<Vec<_>>(), false, Forget::Nothing);
        // The last statement in the order of reasons decides.
        let ask = ask(READ, &[("shop:region", &format!("{}-99", if truncated { 9 } else { policies - 1 }))]);
        let explained = explain(world.program(), &ask.request(&ask.supplied())).unwrap();
        assert_eq!((explained.statements.len(), explained.truncated), (1_000, truncated));
        assert_eq!(explained.statements[0].standing, Standing::Decided);
        let listed = effects(&world);
        assert_eq!((listed.effects.len(), listed.truncated), (1_000, truncated));
    }
}

#[test]
fn what_is_told_of_long_conditions_has_a_limit() {
    let policy = |number: usize| {
        let filler = "x".repeat(1_000);
        let value = |it: usize| format!("\"{number}-{it}-{filler}\"");
        let statement = |it: usize| format!("ALLOW {READ} WHERE shop:region IN ({}, {});", value(it), value(it + 30));
        bound(&(0..30).map(statement).collect::<Vec<_>>(), &[])
    };
    for (policies, truncated) in [(17, false), (18, true)] {
        let world = build(&(0..policies).map(policy).collect::<Vec<_>>(), false, Forget::Nothing);
        let ask = ask(READ, &[]);
        let explained = explain(world.program(), &ask.request(&ask.supplied())).unwrap();
        // Every statement is told, the last ones without their conditions.
        assert_eq!((explained.statements.len(), explained.truncated), (policies * 30, truncated));
        assert_eq!(explained.statements.last().unwrap().conditions.is_empty(), truncated);
        let listed = effects(&world);
        assert_eq!((listed.effects.len() == policies * 30, listed.truncated), (!truncated, truncated));
    }
}

/// Statements, and what viewer's explanation tells.
type Roles<'a> = (&'a [&'a str], &'a [(&'a str, Standing)]);

/// One clause holds every role of a statement, and only one row of it decided.
#[test]
fn an_explanation_names_one_row_of_a_statement_about_several_roles() {
    let (decided, counted, overruled) = (Standing::Decided, Standing::Counted, Standing::Overruled);
    let both = "ALLOW environment:roles:viewer, environment:roles:manage-settings;";
    let rows: [Roles<'_>; 5] = [
        (&[&format!("ALLOW {ROLES};")], &[(LOGVIEWER, decided), (MANAGER, counted)]),
        (
            &[&format!("ALLOW {ROLES};"), &format!("DENY {LOGVIEWER};")],
            &[(LOGVIEWER, counted), (LOGVIEWER, overruled), (MANAGER, decided)],
        ),
        (
            &[&format!("ALLOW {ROLES};"), &format!("DENY {MANAGER};")],
            &[(LOGVIEWER, decided), (MANAGER, counted), (MANAGER, overruled)],
        ),
        (&[both], &[(MANAGER, counted), (VIEWER, decided)]),
        (
            &[both, "DENY environment:roles:viewer, environment:roles:manage-settings;"],
            &[(MANAGER, counted), (MANAGER, overruled), (VIEWER, decided), (VIEWER, overruled)],
        ),
    ];
    for (statements, expected) in rows {
        let statements: Vec<_> = statements.iter().map(ToString::to_string).collect();
        let world = build(&[bound(&statements, &[])], false, Forget::Nothing);
        let ask = ask(VIEWER, &[]);
        let explained = explain(world.program(), &ask.request(&ask.supplied())).unwrap();
        assert_eq!(explained.statements[0].standing, decided, "{statements:?}");
        let mut told: Vec<_> = explained.statements.iter().map(|it| (it.permission.as_str(), it.standing)).collect();
        told.sort_by_key(|(permission, standing)| (*permission, standing.name()));
        assert_eq!(told, expected, "{statements:?}");
    }
}

/// Policies whose statements are together more than a residual may be.
fn long(statement: &str) -> Vec<Bound> {
    let policy = |number: usize| {
        let of = |it: usize| format!("{statement} \"{number}-{it}-{}\";", "x".repeat(1_000));
        bound(&(0..50).map(of).collect::<Vec<_>>(), &[])
    };
    (0..25).map(policy).collect()
}

/// What is constant has no size, whatever was looked at before it was known.
#[test]
fn a_constant_filter_is_never_too_large() {
    let zone = "environment:management-zone startsWith";
    let with = |mut bounds: Vec<Bound>, statement: &str| {
        // `P9` is the last policy by name.
        bounds[9] = bound(&[statement.to_owned()], &[]);
        bounds
    };
    let (allows, denies) = (format!("ALLOW {READ} WHERE shop:region ="), format!("DENY {READ} WHERE shop:region ="));
    let roles = |effect: &str, of: &str| long(&format!("{effect} {of} WHERE {zone}"));
    let both = [long(&allows), long(&denies)].concat();
    let rows: [(&str, Vec<Bound>, &str, Option<Residual>); 10] = [
        ("ALLOWs", long(&allows), READ, None),
        ("an ALLOW last", with(long(&allows), &format!("ALLOW {READ};")), READ, Some(Residual::Always)),
        ("DENYs alone", long(&denies), READ, Some(Residual::Never)),
        ("a DENY last", with(long(&allows), &format!("DENY {READ};")), READ, Some(Residual::Never)),
        ("a DENY among many", with(long(&denies), &format!("DENY {READ}; ALLOW {READ};")), READ, Some(Residual::Never)),
        ("both", both, READ, None),
        ("roles", roles("ALLOW", MANAGER), VIEWER, None),
        (
            "viewer beside roles",
            with(roles("ALLOW", MANAGER), &format!("ALLOW {VIEWER};")),
            VIEWER,
            Some(Residual::Always),
        ),
        (
            "a role beside roles",
            with(roles("ALLOW", LOGVIEWER), &format!("ALLOW {MANAGER};")),
            VIEWER,
            Some(Residual::Always),
        ),
        ("denied viewer", with(roles("ALLOW", MANAGER), &format!("DENY {VIEWER};")), VIEWER, Some(Residual::Never)),
    ];
    for (name, bounds, permission, expected) in rows {
        let world = build(&bounds, false, Forget::Nothing);
        let ask = ask(permission, &[]);
        let found = filter(world.program(), &ask.request(&ask.supplied())).ok().map(|filtered| filtered.residual);
        assert_eq!(found, expected, "{name}");
    }
}

/// What is left out of the tree costs nothing: the DENYs of a role that nothing allows.
#[test]
fn a_filter_is_as_large_as_what_is_left() {
    let zone = "environment:management-zone startsWith";
    let mut bounds = long(&format!("DENY {MANAGER} WHERE {zone}"));
    bounds.push(bound(&[format!("ALLOW {LOGVIEWER} WHERE {zone} \"a\";")], &[]));
    let world = build(&bounds, false, Forget::Nothing);
    let ask = ask(VIEWER, &[]);
    let filtered = filter(world.program(), &ask.request(&ask.supplied())).unwrap();
    assert!(matches!(filtered.residual, Residual::Test(_)), "{:?}", filtered.residual);
}

/// Statements, boundaries, whether the account is strict, what the catalogue lost, what is asked, and of what nothing is
/// left: permission, statement, and each boundary's reason.
type Removed<'a> = (&'a str, &'a [&'a str], bool, Forget, &'a str, &'a [(&'a str, u16, &'a [Removal])]);

/// Design §8: every statement is told, those without a clause too.
#[test]
fn an_explanation_tells_what_a_boundary_removed() {
    const NOTHING: Removal = Removal::AddsNothing;
    const NOT_TAKEN: Removal = Removal::NotTaken;
    let (zone, region, old) = ("environment:management-zone = \"a\"", "shop:region = \"a\"", "shop:old = \"a\"");
    let misfit = "environment:management-zone NOT IN (\"a\")";
    let (one, roles) = ("ALLOW shop:orders:read;", "ALLOW environment:roles:manage-settings;");
    let two = "ALLOW shop:orders:write; DENY shop:orders:read; ALLOW shop:orders:write, shop:orders:read;";
    let rows: [Removed<'_>; 13] = [
        (one, &[], true, Forget::Nothing, READ, &[]),
        (one, &[zone], true, Forget::Nothing, READ, &[(READ, 0, &[NOTHING])]),
        (one, &[zone], false, Forget::Nothing, READ, &[]),
        (one, &[zone, region], true, Forget::Nothing, READ, &[]),
        (one, &[zone], true, Forget::Nothing, WRITE, &[]),
        (two, &[zone, zone], true, Forget::Nothing, READ, &[(READ, 2, &[NOTHING, NOTHING])]),
        (two, &[zone], true, Forget::Nothing, WRITE, &[(WRITE, 0, &[NOTHING]), (WRITE, 2, &[NOTHING])]),
        (roles, &[misfit], false, Forget::Nothing, MANAGER, &[(MANAGER, 0, &[NOT_TAKEN])]),
        (roles, &[misfit, region], true, Forget::Nothing, VIEWER, &[(MANAGER, 0, &[NOT_TAKEN, NOTHING])]),
        (roles, &[misfit, region], false, Forget::Nothing, VIEWER, &[]),
        (one, &[old], false, Forget::Nothing, READ, &[]),
        (one, &[old], true, Forget::ButForWrite, READ, &[(READ, 0, &[NOTHING])]),
        (one, &[old], false, Forget::Everywhere, READ, &[(READ, 0, &[NOT_TAKEN])]),
    ];
    for (statements, boundaries, strict, forget, permission, expected) in rows {
        let world = build(&[bound(&[statements.to_owned()], boundaries)], strict, forget);
        let ask = ask(permission, &[]);
        let explained = explain(world.program(), &ask.request(&ask.supplied())).unwrap();
        let why = |it: &RemovedStatement<'_>| it.by.iter().map(|by| by.why).collect::<Vec<_>>();
        let told: Vec<_> = explained.removed.iter().map(|it| (it.permission.as_str(), it.statement, why(it))).collect();
        let expected: Vec<_> =
            expected.iter().map(|(permission, number, why)| (*permission, *number, why.to_vec())).collect();
        assert_eq!(told, expected, "{statements} {boundaries:?} {strict} {forget:?}");
        for it in &explained.removed {
            let names: Vec<_> = it.by.iter().map(|by| by.boundary.name.as_str()).collect();
            assert_eq!(names, ["B0-0", "B0-1"][..names.len()]);
            assert_eq!((it.policy().name.as_str(), it.group_name().as_str(), it.environment()), ("P0", "One", None));
        }
    }
}

#[test]
fn what_is_told_of_removed_statements_has_a_limit() {
    let policy = |_| bound(&vec![format!("ALLOW {READ};"); 100], &["environment:management-zone = \"a\""]);
    for (policies, truncated) in [(10, false), (11, true)] {
        let world = build(&(0..policies).map(policy).collect::<Vec<_>>(), true, Forget::Nothing);
        let ask = ask(READ, &[]);
        let explained = explain(world.program(), &ask.request(&ask.supplied())).unwrap();
        let told = (explained.statements.len(), explained.removed.len(), explained.truncated);
        assert_eq!(told, (0, 1_000, truncated));
    }
}
