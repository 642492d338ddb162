//! Expansions of small policies, told as the text and origin of each statement.

use super::*;
use crate::lang::{parse_boundary, parse_policy};
use crate::model::catalogue::{CatalogueEntry, ConditionSpec};

const HOST: &str = r#"storage:host.name = "myHost";"#;
const CONTEXT: &str = r#"storage:dt.security_context = "mySC";"#;

struct Texts {
    policy: PolicyAst,
    boundaries: Vec<BoundaryAst>,
}

impl Texts {
    fn new(policy: &str, boundaries: &[&str]) -> Self {
        let parsed = parse_policy(policy);
        assert_eq!(parsed.diagnostics, [], "{policy}");
        let boundaries = boundaries.iter().map(|text| {
            let parsed = parse_boundary(text);
            assert_eq!(parsed.diagnostics, [], "{text}");
            parsed.ast
        });
        Self { policy: parsed.ast, boundaries: boundaries.collect() }
    }

    fn with<T>(&self, strict: bool, then: impl FnOnce(Bound<'_>) -> T) -> T {
        let boundaries = self.boundaries.iter().zip(0..);
        let bound = boundaries.map(|(tree, n)| BoundBoundary { id: BoundaryId::from_bytes([n; 16]), name: "b", tree });
        let bound: Vec<_> = bound.collect();
        then(Bound { policy: &self.policy, boundaries: &bound, strict })
    }
}

/// `statement/boundary text` of each, the boundary by its place.
fn expansion(policy: &str, boundaries: &[&str], strict: bool) -> Vec<String> {
    Texts::new(policy, boundaries).with(strict, |bound| {
        let expanded = expand(bound, Catalogue::shipped()).unwrap();
        assert_eq!(count(bound, Catalogue::shipped()), Ok(expanded.len()));
        let place = |id| bound.boundaries.iter().position(|it| it.id == id).unwrap();
        let told = |one: &Expanded<'_>| {
            let boundary = one.boundary.map_or("-".to_owned(), |id| place(id).to_string());
            format!("{}/{boundary} {}", one.statement, one.to_statement())
        };
        expanded.iter().map(told).collect()
    })
}

#[track_caller]
fn check(policy: &str, boundaries: &[&str], expected: &[&str]) {
    assert_eq!(expansion(policy, boundaries, false), expected, "{policy} {boundaries:?}");
}

#[track_caller]
fn check_strict(policy: &str, boundaries: &[&str], expected: &[&str]) {
    assert_eq!(expansion(policy, boundaries, true), expected, "{policy} {boundaries:?}");
}

#[test]
fn without_boundaries_each_permission_stands_by_itself() {
    check(
        "ALLOW storage:logs:read, storage:entities:read; DENY settings:objects:read;",
        &[],
        &["0/- ALLOW storage:logs:read;", "0/- ALLOW storage:entities:read;", "1/- DENY settings:objects:read;"],
    );
}

/// Rules R30: left out, a condition that was lost would no longer narrow what it narrowed.
#[test]
fn r30_a_boundary_with_a_name_that_no_permission_takes_any_more_grants_nothing() {
    let mut entries = Catalogue::default_entries().to_vec();
    for entry in &mut entries {
        entry.conditions.retain(|spec| spec.name.as_str() != "storage:host.name");
    }
    let catalogue = Catalogue::from_entries(&entries);
    let both = format!("{CONTEXT}{HOST}");
    let texts = Texts::new("ALLOW storage:logs:read, settings:objects:read;", &[HOST, CONTEXT, &both]);
    for (strict, expected) in [
        (
            false,
            &[r#"ALLOW storage:logs:read WHERE storage:dt.security_context = "mySC";"#, "ALLOW settings:objects:read;"]
                [..],
        ),
        (true, &[r#"ALLOW storage:logs:read WHERE storage:dt.security_context = "mySC";"#][..]),
    ] {
        let told = texts.with(strict, |bound| {
            let expanded = expand(bound, &catalogue).unwrap();
            assert_eq!(count(bound, &catalogue), Ok(expanded.len()));
            expanded.iter().map(|one| one.to_statement().to_string()).collect::<Vec<_>>()
        });
        assert_eq!(told, expected, "strict: {strict}");
    }
}

/// Reference ch. 4.2.9, trap 1.
#[test]
fn boundaries_are_joined_by_or_and_one_that_does_not_fit_leaves_a_permission_open() {
    check(
        "ALLOW storage:logs:read, storage:entities:read;",
        &[HOST, CONTEXT],
        &[
            r#"0/0 ALLOW storage:logs:read WHERE storage:host.name = "myHost";"#,
            r#"0/1 ALLOW storage:logs:read WHERE storage:dt.security_context = "mySC";"#,
            "0/0 ALLOW storage:entities:read;",
            r#"0/1 ALLOW storage:entities:read WHERE storage:dt.security_context = "mySC";"#,
        ],
    );
}

#[test]
fn r11_strict_drops_the_copy_that_got_no_condition_whatever_the_statement_had() {
    check_strict(
        r#"ALLOW storage:entities:read WHERE storage:entity.type = "x";"#,
        &[HOST, CONTEXT],
        &[
            r#"0/1 ALLOW storage:entities:read WHERE storage:entity.type = "x" AND storage:dt.security_context = "mySC";"#,
        ],
    );
    check_strict("ALLOW storage:entities:read;", &[HOST], &[]);
}

#[test]
fn r11_a_global_condition_counts_as_one() {
    let monday = r#"global:week-day = "Monday";"#;
    let expected = &[r#"0/0 ALLOW iam:users:read WHERE global:week-day = "Monday";"#];
    check_strict("ALLOW iam:users:read;", &[monday], expected);
    check("ALLOW iam:users:read;", &[monday], expected);
}

/// Reference ch. 4.2.5–7.
#[test]
fn names_are_joined_by_and_repeats_by_or_beside_what_the_statement_has() {
    let boundary =
        r#"storage:host.name = "a"; storage:log.source = "x"; storage:host.name = "b"; storage:log.source = "y";"#;
    let copy = |host: &str, source: &str| {
        format!(
            r#"0/0 ALLOW storage:logs:read WHERE storage:host.name = "h" AND storage:host.name = "{host}" AND storage:log.source = "{source}";"#
        )
    };
    let expected = [copy("a", "x"), copy("a", "y"), copy("b", "x"), copy("b", "y")];
    let policy = r#"ALLOW storage:logs:read WHERE storage:host.name = "h";"#;
    check(policy, &[boundary], &expected.each_ref().map(String::as_str));
}

#[test]
fn a_deny_is_left_as_it_is() {
    for strict in [false, true] {
        let policy = r#"DENY storage:logs:read, iam:users:read WHERE global:week-day = "Monday";"#;
        let expected = [
            r#"0/- DENY storage:logs:read WHERE global:week-day = "Monday";"#,
            r#"0/- DENY iam:users:read WHERE global:week-day = "Monday";"#,
        ];
        assert_eq!(expansion(policy, &[HOST, CONTEXT], strict), expected);
    }
}

#[test]
fn r9_a_pick_with_an_operator_that_does_not_fit_grants_nothing_and_the_others_stand() {
    let match_only = r#"storage:dt.security_context MATCH ("a*");"#;
    let both = r#"storage:dt.security_context MATCH ("a*"); storage:dt.security_context = "b";"#;
    let policy = "ALLOW storage:entities:read;";
    for strict in [false, true] {
        assert_eq!(expansion(policy, &[match_only], strict), Vec::<String>::new(), "it is no copy without a condition");
        let expected = [r#"0/0 ALLOW storage:entities:read WHERE storage:dt.security_context = "b";"#];
        assert_eq!(expansion(policy, &[both], strict), expected);
    }
}

#[test]
fn r30_a_permission_that_is_not_known_is_left_out() {
    check(
        "ALLOW no:such:permission, storage:logs:read;",
        &[HOST],
        &[r#"0/0 ALLOW storage:logs:read WHERE storage:host.name = "myHost";"#],
    );
    check("DENY no:such:permission;", &[HOST], &[]);
    check("DENY no:such:permission;", &[], &[]);
}

/// A name so short that the most permissions of the most statements fit into a text.
fn permission(n: usize) -> String {
    format!("{}:{}:r", n / 10, n % 10)
}

/// A catalogue with 100 permissions, each with four conditions.
fn catalogue() -> Catalogue {
    let condition = |n| ConditionSpec {
        name: format!("s:c{n}").parse().unwrap(),
        operators: crate::model::catalogue::Operator::ALL.into_iter().collect(),
        any_match: false,
    };
    let entry =
        |n| CatalogueEntry { permission: permission(n).parse().unwrap(), conditions: (0..4).map(condition).collect() };
    Catalogue::from_entries(&(0..100).map(entry).collect::<Vec<_>>())
}

fn statements(effect: &str, permissions: usize, statements: usize) -> String {
    let names: Vec<_> = (0..permissions).map(permission).collect();
    format!("{effect} {};", names.join(",")).repeat(statements)
}

/// Three names on 4, 3 and 3 lines: the most picks that ten lines have.
fn widest() -> String {
    (0..10).map(|n| format!("s:c{} = \"{n}\";", n % 3)).collect::<Vec<_>>().concat()
}

#[test]
fn the_limit_at_the_edge_and_one_past_it() {
    let catalogue = catalogue();
    let counted = |denied: usize| {
        // 49 × 100 permissions with two boundaries, and as many DENY permissions as the limit leaves or one more.
        let policy = statements("ALLOW", 100, 49) + &statements("DENY", 100, 1) + &statements("DENY", denied, 1);
        let texts = Texts::new(&policy, &["s:c0 = \"x\";", "s:c1 = \"x\";"]);
        texts.with(false, |bound| expand(bound, &catalogue).map(|expanded| expanded.len()))
    };
    assert_eq!(counted(100), Ok(limits::EXPANDED_STATEMENTS));
    let past = statements("ALLOW", 100, 50) + "DENY 0:0:r;";
    let past = Texts::new(&past, &["s:c0 = \"x\";", "s:c1 = \"x\";"]);
    let too_large = ExpansionTooLarge { count: limits::EXPANDED_STATEMENTS + 1 };
    past.with(false, |bound| assert_eq!(expand(bound, &catalogue).unwrap_err(), too_large));
}

/// The limits of the texts are enough where there is no boundary.
#[test]
fn the_largest_policy_can_be_bound_without_boundaries() {
    let texts = Texts::new(&statements("ALLOW", 100, 100), &[]);
    texts.with(true, |bound| assert_eq!(count(bound, &catalogue()), Ok(limits::EXPANDED_STATEMENTS)));
}

/// 7,200,000 statements would be some gigabytes.
#[test]
fn what_is_too_large_is_counted_and_not_built() {
    let catalogue = catalogue();
    let boundary = widest();
    let texts = Texts::new(&statements("ALLOW", 100, 100), &vec![boundary.as_str(); 20]);
    let too_large = ExpansionTooLarge { count: 100 * 100 * 20 * 36 };
    texts.with(false, |bound| assert_eq!(expand(bound, &catalogue).unwrap_err(), too_large));
}

#[test]
fn equal_statements_count_each_and_dropped_ones_do_not() {
    let equal = "storage:host.name = \"a\";".repeat(3);
    let expected = r#"0/0 ALLOW storage:logs:read WHERE storage:host.name = "a";"#;
    check("ALLOW storage:logs:read;", &[&equal], &[expected; 3]);
}
