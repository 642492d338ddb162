//! What is said about bindings of small texts.

use super::*;
use crate::compile::expand::BoundBoundary;
use crate::compile::lower::{Bounds, lower_bound};
use crate::lang::{parse_boundary, parse_policy};
use crate::model::id::BoundaryId;

fn with<T>(policy: &str, boundaries: &[&str], strict: bool, then: impl FnOnce(Bound<'_>) -> T) -> T {
    let policy = parse_policy(policy).ast;
    let trees: Vec<_> = boundaries.iter().map(|text| parse_boundary(text).ast).collect();
    let names: Vec<_> = (0..trees.len()).map(|n| format!("b{n}")).collect();
    let bound = trees.iter().zip(&names).zip(0..);
    let bound = bound.map(|((tree, name), n)| BoundBoundary { id: BoundaryId::from_bytes([n; 16]), name, tree });
    let bound: Vec<_> = bound.collect();
    then(Bound { policy: &policy, boundaries: &bound, strict })
}

fn parameters(entries: &[(&str, &str)]) -> Parameters {
    entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[track_caller]
fn check_boundaries(policy: &str, boundaries: &[&str], strict: bool, expected: &[&str]) {
    let told = with(policy, boundaries, strict, |bound| boundary_warnings(bound, Catalogue::shipped()));
    let told: Vec<_> = told.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for (told, words) in told.iter().zip(expected) {
        for word in words.split(' ') {
            assert!(told.contains(word), "`{word}` is not in {told}");
        }
    }
}

const HOST: &str = r#"storage:host.name = "h";"#;

#[test]
fn a_boundary_that_leaves_a_permission_open_is_told_with_the_permission() {
    let policy = "ALLOW storage:logs:read, storage:entities:read; DENY iam:users:read; ALLOW storage:entities:read;";
    check_boundaries(policy, &[HOST], false, &["[boundary_leaves_unrestricted] `b0` `storage:entities:read`;"]);
    check_boundaries("ALLOW storage:logs:read;", &[HOST], false, &[]);
    check_boundaries("DENY storage:entities:read;", &[HOST], false, &[]);
    check_boundaries("ALLOW no:such:permission;", &[HOST], false, &[]);
    let context = r#"storage:dt.security_context = "c";"#;
    check_boundaries(
        policy,
        &[context, HOST],
        false,
        &["[boundary_leaves_unrestricted] `b1` `storage:entities:read`;"],
    );
}

#[test]
fn r11_a_strict_account_is_told_what_is_dropped_instead() {
    check_boundaries(
        "ALLOW storage:entities:read;",
        &[HOST],
        true,
        &["[boundary_copy_dropped] `b0` `storage:entities:read`;"],
    );
}

#[test]
fn r9_an_operator_that_does_not_fit_is_told_with_its_permissions() {
    let boundary = r#"storage:dt.security_context MATCH ("a*"); storage:dt.security_context = "b";"#;
    let words = "[boundary_operator_misfit] `b0` `MATCH` `storage:dt.security_context` `storage:entities:read`;";
    check_boundaries("ALLOW storage:entities:read, storage:logs:read;", &[boundary], false, &[words]);
    check_boundaries("DENY storage:entities:read;", &[boundary], false, &[]);
}

#[test]
fn a_range_over_two_lines_is_told() {
    let boundary = r#"global:time-of-day > "09:00Z"; global:time-of-day < "17:00Z";"#;
    check_boundaries(
        "ALLOW storage:logs:read;",
        &[boundary],
        false,
        &["[boundary_range_split] `b0` `global:time-of-day`"],
    );
}

#[test]
fn parameters_are_used_by_the_policy_or_by_a_boundary() {
    let policy = r#"ALLOW storage:logs:read WHERE storage:host.name = "${bindParam:p}";"#;
    let boundary = r#"storage:log.source = "${bindParam:b}"; storage:host.name = "${bindParam:p}";"#;
    let given = parameters(&[("p", "x"), ("b", "y"), ("c", "z")]);
    let (missing, none, surplus) = with(policy, &[boundary], false, |bound| {
        let requirements = Requirements::of(bound);
        let missing = requirements.misfits(&Parameters::new());
        (missing, requirements.misfits(&given), requirements.surplus(&given))
    });
    let missing: Vec<_> = missing.iter().map(ToString::to_string).collect();
    let expected = ["is missing; boundary `b0` uses `${bindParam:b}`", "is missing; the policy uses `${bindParam:p}`"];
    assert_eq!(missing, expected);
    assert_eq!(none, []);
    assert_eq!(surplus.iter().map(|it| it.code).collect::<Vec<_>>(), ["surplus_parameter"]);
    assert!(surplus[0].message.contains("`c`"));
}

#[test]
fn r22_filled_values_of_boundaries_are_validated() {
    let boundary = r#"global:date < "${bindParam:d}"; global:week-day IN ("Monday", "${bindParam:d}");"#;
    let misfits = |value| {
        let given = parameters(&[("d", value)]);
        with("ALLOW storage:logs:read;", &[boundary], false, |bound| Requirements::of(bound).misfits(&given))
    };
    assert_eq!(misfits("soon").len(), 2);
    assert_eq!(misfits("2026-05-03Z").len(), 1, "it is a date and no day of the week");
    assert!(misfits("soon")[0].to_string().contains("`global:date` in boundary `b0`"), "{:?}", misfits("soon"));
}

#[test]
fn the_length_of_a_filled_value_at_the_edge_and_one_past_it() {
    let policy = format!(
        r#"ALLOW storage:logs:read WHERE storage:host.name = "{}x${{global:userId}}";"#,
        "${bindParam:p}".repeat(5)
    );
    let misfits = |length: usize| {
        let given = parameters(&[("p", &"v".repeat(length))]);
        with(&policy, &[], false, |bound| Requirements::of(bound).misfits(&given)).len()
    };
    assert_eq!((misfits(819), misfits(820)), (0, 1));
}

#[test]
fn r22_a_star_in_a_pattern_is_told_once_and_elsewhere_not() {
    let boundary =
        r#"storage:host.name MATCH ("${bindParam:p}*", "${bindParam:p}"); storage:log.source = "${bindParam:q}";"#;
    let given = parameters(&[("p", "a*"), ("q", "a*")]);
    let told = with("ALLOW storage:logs:read;", &[boundary], false, |bound| Requirements::of(bound).of_values(&given));
    assert_eq!(told.iter().map(|it| it.code).collect::<Vec<_>>(), ["literal_wildcard"]);
    assert!(told[0].message.contains("`p`"));
}

/// What is accepted here must compile: a snapshot that cannot be built is refused whole.
#[test]
fn what_has_no_misfit_can_be_lowered() {
    let policy =
        r#"ALLOW storage:logs:read WHERE global:date < "${bindParam:p}" AND storage:host.name = "${bindParam:q}";"#;
    for (p, q) in [("2026-05-03Z", "x"), ("soon", "x"), ("2026-05-03", ""), ("", "*")] {
        for given in [parameters(&[("p", p), ("q", q)]), parameters(&[("p", p)])] {
            let fits = with(policy, &[], false, |bound| Requirements::of(bound).misfits(&given).is_empty());
            let lowers =
                lower_bound(&parse_policy(policy).ast, &Bounds::default(), &given, Catalogue::shipped()).is_ok();
            assert_eq!(fits, lowers, "{given:?}");
        }
    }
}
