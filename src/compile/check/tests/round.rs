//! Rules R27: what is wrong with the syntax and what the catalogue does not know come in one round.

use proptest::prelude::*;

use super::*;
use crate::lang::{parse_boundary, parse_policy};

/// Statements on `settings:objects:read` with these conditions; codes only.
fn check_settings(rows: &[(&str, &str)]) {
    for (condition, expected) in rows {
        let text = format!("ALLOW settings:objects:read WHERE {condition};");
        let found = policy(&text, Catalogue::shipped()).diagnostics;
        assert_eq!(found.iter().map(|found| found.code).collect::<Vec<_>>().join(" "), *expected, "{text}");
    }
}

#[test]
fn r27_the_name_of_a_broken_condition_is_checked() {
    check_settings(&[
        ("no:cond = 1", "unknown_condition unquoted_value"),
        ("no:cond", "unknown_condition operator_expected"),
        ("no:cond =", "unknown_condition value_expected"),
        ("global:no = 1", "unknown_global_condition unquoted_value"),
        ("settings:schemaId = 1", "unquoted_value"),
    ]);
    check_policy(&[(
        "ALLOW storage:logs:read, storage:buckets:read WHERE storage:host.name = a;",
        "condition_not_supported@1:53 unquoted_value@1:73",
    )]);
}

#[test]
fn r27_an_unknown_operator_hides_neither_the_name_nor_the_values() {
    check_settings(&[
        ("no:cond contains \"x\"", "unknown_condition contains_operator"),
        // What the operator should have been is not known, so neither is whether it fits.
        ("settings:schemaId contains \"x\"", "contains_operator"),
        ("global:week-day == \"Foo\"", "double_equal invalid_week_day"),
        ("global:week-day STARTS WITH \"Foo\"", "unknown_operator invalid_week_day"),
        ("global:week-day \"Foo\"", "operator_expected invalid_week_day"),
        ("settings:schemaId < = \"x\"", "value_expected"),
        ("settings:schemaId NOT MATCH (\"x\")", "not_match"),
    ]);
}

#[test]
fn r27_the_operator_of_a_broken_condition_is_checked() {
    check_settings(&[
        ("settings:schemaId < 5", "operator_not_supported unquoted_value"),
        ("settings:schemaId > (\"a\", \"b\")", "operator_not_supported value_in_parentheses"),
        ("global:week-day NOT IN (Monday)", "operator_not_supported unquoted_value"),
        ("no:cond < 5", "unknown_condition unquoted_value"),
    ]);
}

#[test]
fn r27_the_good_values_of_a_broken_list_are_checked() {
    check_settings(&[
        ("global:week-day IN (\"Foo\", 5)", "invalid_week_day unquoted_value"),
        ("global:week-day IN (5, \"Foo\", \"Monday\", \"Bar\")", "unquoted_value invalid_week_day invalid_week_day"),
        ("global:week-day IN [\"Foo\", \"Monday\"]", "unexpected_character invalid_week_day"),
        ("global:week-day = (\"Foo\", \"Monday\")", "value_in_parentheses invalid_week_day"),
        // The list ends the condition: what follows is not compared with the day.
        ("global:week-day IN (\"Monday\", 5) != \"Foo\"", "unquoted_value"),
        ("global:week-day IN (\"Monday\", 5) settings:schemaId = \"Foo\"", "unquoted_value"),
        ("global:week-day == \"Monday\" settings:schemaId = \"Foo\"", "double_equal"),
        // A value that a quote tears apart is not known.
        ("global:week-day IN (\"Mon\"day\"\", 5)", "missing_comma unquoted_value"),
        ("settings:schemaId IN (\"${global:userGroup}\", 5)", "unquoted_value"),
        ("settings:schemaId IN (\"a${global:userGroup}\", 5)", "user_group_placement unquoted_value"),
    ]);
}

#[test]
fn r27_a_list_without_parentheses_is_checked() {
    check_settings(&[
        ("settings:schemaId MATCH \"x\"", "operator_not_supported list_expected"),
        ("global:week-day IN \"Foo\"", "list_expected invalid_week_day"),
        ("global:week-day IN \"Monday\", \"Foo\"", "list_expected invalid_week_day"),
    ]);
}

#[test]
fn r27_a_broken_condition_of_a_boundary_is_checked() {
    check_boundary(&[
        ("no:x = 5; no:y = \"a\"", "unknown_condition@1:1 unquoted_value@1:8 unknown_condition@1:11"),
        ("no:x\nno:y == \"a\"", "unknown_condition@1:1 operator_expected@2:1 unknown_condition@2:1 double_equal@2:6"),
        ("settings:schemaId > 5", "operator_not_supported@1:19 unquoted_value@1:21"),
        ("global:week-day IN (\"Foo\", 5)", "invalid_week_day@1:21 unquoted_value@1:28"),
    ]);
}

#[test]
fn r27_a_fragment_belongs_to_its_statement() {
    check_policy(&[
        // A statement that knows none of its permissions, or has none, says nothing about its conditions.
        ("ALLOW no:x:z WHERE no:cond = 1;", "unknown_permission@1:7 unquoted_value@1:30"),
        ("ALLOW a:* WHERE no:cond = 1;", "wildcard_permission@1:7 unquoted_value@1:27"),
        ("GRANT a:b:c WHERE no:cond = 1;", "expected_effect@1:1"),
        (
            "ALLOW a:* WHERE settings:schemaId = 1; ALLOW settings:objects:read WHERE settings:schemaId = 1; \
             ALLOW storage:logs:read WHERE settings:schemaId = 1",
            "wildcard_permission@1:7 unquoted_value@1:37 unquoted_value@1:94 unknown_condition@1:127 \
             unquoted_value@1:147",
        ),
    ]);
}

#[test]
fn r27_half_a_name_is_not_checked() {
    check_settings(&[
        ("settings:schema\u{2010}Id = \"x\"", "unexpected_character"),
        ("schemaId = 5", "unqualified_condition"),
        ("settings:*Id < 5", "wildcard_condition"),
    ]);
}

#[test]
fn r27_a_fragment_is_no_part_of_the_tree() {
    let checked = policy("ALLOW settings:objects:read WHERE settings:schemaId IN (\"a\", 5);", Catalogue::shipped());
    assert_eq!(checked.ast.to_string(), "ALLOW settings:objects:read;");
    assert!(!checked.is_ok());
    assert_eq!(boundary("global:week-day == \"Monday\"", Catalogue::shipped()).ast.conditions, []);
}

#[test]
fn r27_many_broken_conditions_do_not_take_long() {
    let conditions = vec!["x:y"; 8_000].join(" AND ");
    let text = format!("ALLOW {} WHERE {conditions};", vec!["storage:logs:read"; 100].join(","));
    let started = std::time::Instant::now();
    let found = policy(text.get(..65_536).unwrap_or(&text), Catalogue::shipped()).diagnostics;
    assert_eq!(found.len(), crate::model::limits::DIAGNOSTICS + 1);
    let found = boundary(&"x:y;".repeat(4_000), Catalogue::shipped()).diagnostics;
    assert_eq!(found.len(), crate::model::limits::DIAGNOSTICS + 1);
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

/// What texts are made of, good and bad.
const SNIPPETS: [&str; 38] = [
    "ALLOW settings:objects:read WHERE ",
    "ALLOW no:x:z WHERE ",
    "DENY storage:logs:read, ",
    " AND ",
    " OR ",
    " NOT ",
    " IN ",
    " startsWith ",
    " MATCH ",
    " contains ",
    "global:week-day",
    "settings:schemaId",
    "no:x",
    "a:b:c",
    "a",
    "*",
    ",",
    ";",
    "(",
    ")",
    "[",
    "]",
    "\"Monday\"",
    "\"Foo\"",
    "'v'",
    "\"${global:userGroup}\"",
    "\"",
    "\n",
    " ",
    "//",
    "=",
    "!=",
    "<",
    "==",
    "5",
    "“",
    "\u{a0}",
    "é",
];

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&SNIPPETS[..]), 0..24).prop_map(|parts| parts.concat())
}

/// Whether `found` holds all of `parsed`; both by place.
fn holds(found: &[Diagnostic], parsed: &[Diagnostic]) -> bool {
    let mut found = found.iter();
    parsed.iter().all(|diagnostic| found.any(|other| other == diagnostic))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Validation takes nothing back of what the parser says, leaves its tree alone, and says nothing twice.
    #[test]
    fn r27_validation_adds_to_what_the_parser_reports(text in text()) {
        let (parsed, checked) = (parse_policy(&text), policy(&text, Catalogue::shipped()));
        prop_assert!(holds(&checked.diagnostics, &parsed.diagnostics), "{:?}", checked.diagnostics);
        prop_assert_eq!(&checked.ast, &parsed.ast);
        prop_assert!(once(&checked.diagnostics), "{:?}", checked.diagnostics);
        let (parsed, checked) = (parse_boundary(&text), boundary(&text, Catalogue::shipped()));
        prop_assert!(holds(&checked.diagnostics, &parsed.diagnostics), "{:?}", checked.diagnostics);
        prop_assert_eq!(&checked.ast, &parsed.ast);
        prop_assert!(once(&checked.diagnostics), "{:?}", checked.diagnostics);
    }
}

/// Whether no code stands twice at one place.
fn once(found: &[Diagnostic]) -> bool {
    let places: std::collections::BTreeSet<_> = found.iter().map(|found| (found.span.start, found.code)).collect();
    places.len() == found.len()
}
