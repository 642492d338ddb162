//! Filled trees read back, and mean what they meant.

use proptest::prelude::*;

use super::*;
use crate::lang::{parse_boundary, parse_policy};

fn parameters(value: &str) -> Parameters {
    Parameters::from([("p".to_owned(), value.to_owned())])
}

/// The condition `storage:host.name …` with `${bindParam:p}` as `value`.
#[track_caller]
fn check(condition: &str, value: &str, expected: &str) {
    let text = format!("ALLOW storage:logs:read WHERE storage:host.name {condition};");
    let filled = policy(&parse_policy(&text).ast, &parameters(value)).to_string();
    assert_eq!(filled, format!("ALLOW storage:logs:read WHERE storage:host.name {expected};"));
    let filled = boundary(&parse_boundary(&format!("storage:host.name {condition};")).ast, &parameters(value));
    assert_eq!(filled.to_string(), format!("storage:host.name {expected};"));
}

#[test]
fn values_are_filled_in_and_quoted() {
    check(r#"= "${bindParam:p}""#, r#"a"b\"#, r#"= "a\"b\\""#);
    check(r#"= "x-${bindParam:p}-y""#, "a", r#"= "x-a-y""#);
    check(r#"= "${bindParam:p}${global:userId}""#, "a", r#"= "a${global:userId}""#);
    check(r#"IN ("${bindParam:p}", "b")"#, "a", r#"IN ("a", "b")"#);
    check(r#"= "${bindParam:p}""#, "", r#"= """#);
    check(r#"= "${bindParam:q}""#, "a", r#"= "${bindParam:q}""#);
}

#[test]
fn r22_a_star_of_a_parameter_is_not_turned_into_a_wildcard() {
    check(r#"MATCH ("x*${bindParam:p}")"#, "a*", r#"MATCH ("x*${bindParam:p}")"#);
    check(r#"MATCH ("x*${bindParam:p}")"#, "a", r#"MATCH ("x*a")"#);
    check(r#"= "${bindParam:p}""#, "a*", r#"= "a*""#);
}

#[test]
fn r21_no_value_is_turned_into_a_placeholder() {
    check(r#"= "${bindParam:p}""#, "${global:userId}", r#"= "${bindParam:p}""#);
    check(r#"= "${bindParam:p}{x}""#, "$", r#"= "${bindParam:p}{x}""#);
    check(r#"= "${bindParam:p}""#, "$", r#"= "$""#);
}

#[test]
fn what_no_text_can_spell_stays_a_placeholder() {
    check(r#"= "${bindParam:p}""#, "a\nb", r#"= "${bindParam:p}""#);
    check(r#"= "${bindParam:p}""#, "a\tb", "= \"a\tb\"");
    let edge = "v".repeat(limits::VALUE_BYTES);
    check(r#"= "${bindParam:p}""#, &edge, &format!("= \"{edge}\""));
    check(r#"= "${bindParam:p}""#, &(edge + "v"), r#"= "${bindParam:p}""#);
}

fn given() -> impl Strategy<Value = String> {
    let character = prop_oneof![any::<char>(), prop::sample::select(vec!['$', '{', '}', '*', '"', '\\', '\n', 'a'])];
    proptest::collection::vec(character, 0..6).prop_map(|characters| characters.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// What is shown is a text of the language, and no other one than the tree.
    #[test]
    fn a_filled_policy_reads_back(value in given(), around in prop::sample::select(vec!["", "$", "{", "*", "$${global:userId}"])) {
        let text = format!(
            r#"ALLOW storage:logs:read WHERE storage:host.name MATCH ("{around}${{bindParam:p}}{around}") AND storage:log.source = "{around}${{bindParam:p}}{around}";"#
        );
        let parsed = parse_policy(&text);
        prop_assume!(parsed.diagnostics.is_empty());
        let filled = policy(&parsed.ast, &parameters(&value));
        let read = parse_policy(&filled.to_string());
        prop_assert_eq!(read.diagnostics, vec![]);
        prop_assert_eq!(read.ast, filled);
    }
}
