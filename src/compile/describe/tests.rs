use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::compile::lower::{Bounds, Parameters, lower_bound};
use crate::lang::parse_policy;
use crate::model::catalogue::Catalogue;

/// The conditions of a statement about a permission that takes every operator of a text.
fn compile(conditions: &str, parameters: &[(&str, &str)]) -> Vec<Condition> {
    let text = format!("ALLOW storage:logs:read WHERE {conditions};");
    let parsed = parse_policy(&text);
    assert!(parsed.diagnostics.is_empty(), "{text}: {:?}", parsed.diagnostics);
    let parameters: Parameters = parameters.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    let program = lower_bound(&parsed.ast, &Bounds::default(), &parameters, Catalogue::shipped()).unwrap();
    program.clauses.into_iter().flat_map(|clause| clause.conditions).collect()
}

fn words(conditions: &str, parameters: &[(&str, &str)]) -> String {
    let compiled = compile(conditions, parameters);
    let described = compiled.iter().flat_map(describe).map(|it| it.to_string());
    described.collect::<Vec<_>>().join(" AND ")
}

#[test]
fn every_kind_of_condition_has_its_words() {
    let rows = [
        (r#"storage:bucket-name = "a\"b\\""#, r#"storage:bucket-name = "a\"b\\""#),
        (r#"storage:bucket-name != "a""#, r#"storage:bucket-name != "a""#),
        (r#"storage:bucket-name IN ("b", "a", "a")"#, r#"storage:bucket-name IN ("a", "b")"#),
        (
            r#"storage:bucket-name NOT IN ("${global:userGroup}", "x${global:userId}", "b")"#,
            r#"storage:bucket-name NOT IN ("b", "x${global:userId}", "${global:userGroup}")"#,
        ),
        (
            r#"storage:bucket-name startsWith "${global:levelId}-""#,
            r#"storage:bucket-name startsWith "${global:levelId}-""#,
        ),
        (r#"storage:bucket-name NOT startsWith "a*""#, r#"storage:bucket-name NOT startsWith "a*""#),
        (r#"storage:bucket-name MATCH ("*a**b", "c", "")"#, r#"storage:bucket-name MATCH ("*a**b", "c", "")"#),
        (r#"global:date > "2024-02-29+01:30""#, r#"global:date > "2024-02-29+01:30""#),
        (r#"global:date = "0001-01-01-14:59""#, r#"global:date = "0001-01-01-14:59""#),
        (
            r#"global:date-time < "2022-05-03T05:00:00.5+01:00""#,
            r#"global:date-time < "2022-05-03T04:00:00.500000000Z""#,
        ),
        (r#"global:date-time > "0001-01-01T00:00:00+14:59""#, r#"global:date-time > "0001-01-01T00:00:00+14:59""#),
        (r#"global:date-time > "9999-12-31T23:59:59-14:59""#, r#"global:date-time > "9999-12-31T23:59:59-14:59""#),
        (r#"global:time-of-day < "09:00-00:00""#, r#"global:time-of-day < "09:00Z""#),
        (r#"global:time-of-day > "23:59:59-05:00""#, r#"global:time-of-day > "23:59:59-05:00""#),
        (r#"global:week-day = "Sunday""#, r#"global:week-day = "Sunday""#),
        (r#"global:week-day != "Monday""#, r#"global:week-day != "Monday""#),
        (r#"global:week-day IN ("Tuesday", "Monday")"#, r#"global:week-day IN ("Monday", "Tuesday")"#),
        (r#"global:environmentId = "${global:levelId}""#, r#"global:environmentId = "${global:levelId}""#),
        (r#"global:userGroup IN ("x", "${global:userId}")"#, r#"global:userGroup IN ("x", "${global:userId}")"#),
    ];
    for (text, expected) in rows {
        assert_eq!(words(text, &[]), expected, "{text}");
        assert_eq!(compile(expected, &[]), compile(text, &[]), "{expected}");
    }
}

/// Rules R22.
#[test]
fn text_of_a_parameter_never_looks_like_a_wildcard_or_a_placeholder() {
    let parameters = [("star", "a*"), ("dollar", "${global:userId}")];
    let rows = [
        (r#"storage:bucket-name MATCH ("*${bindParam:star}-*")"#, r#"storage:bucket-name MATCH ("*a${literal:*}-*")"#),
        (r#"storage:bucket-name = "${bindParam:star}""#, r#"storage:bucket-name = "a*""#),
        (r#"storage:bucket-name = "${bindParam:dollar}""#, r#"storage:bucket-name = "${literal:$}{global:userId}""#),
        (r#"storage:bucket-name MATCH ("$${global:userId}")"#, r#"storage:bucket-name MATCH ("$${global:userId}")"#),
    ];
    for (text, expected) in rows {
        assert_eq!(words(text, &parameters), expected, "{text}");
    }
    // Nobody can paste it back as something wider.
    let pasted = r#"ALLOW storage:logs:read WHERE storage:bucket-name MATCH ("a${literal:*}");"#;
    let codes: Vec<_> = parse_policy(pasted).diagnostics.iter().map(|it| it.code).collect();
    assert_eq!(codes, ["unknown_placeholder"]);
}

#[test]
fn alternatives_become_one_set_for_each_choice() {
    let one = |text: &str| compile(text, &[]).remove(0);
    let a = one(r#"storage:bucket-name = "a""#);
    let either = |text: &str| Condition::AnyOf([one(&text.replace('?', "1")), one(&text.replace('?', "2"))].into());
    let conditions = [a, either(r#"storage:bucket-name = "?""#), either(r#"global:environmentId = "?""#)];
    let sets: Vec<String> = picks(conditions.iter())
        .iter()
        .map(|set| set.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        .collect();
    let set = |bucket, environment| {
        let (bucket, environment) = (format!("= \"{bucket}\""), format!("= \"{environment}\""));
        format!("storage:bucket-name = \"a\" storage:bucket-name {bucket} global:environmentId {environment}")
    };
    assert_eq!(sets, [set(1, 1), set(1, 2), set(2, 1), set(2, 2)]);
    assert_eq!(picks([].iter()), [Vec::new()]);
    assert_eq!(describe(&Condition::Retired), [Description::Retired]);
}

fn operand() -> impl Strategy<Value = String> {
    let piece = select(vec!["a", "*", "é", "\\\\", "\\\"", "$", "{", "${global:userId}", "${global:levelId}", "x y"]);
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat()).prop_filter("no placeholder", |text| {
        let placeholders = text.replace("${global:userId}", "").replace("${global:levelId}", "");
        !placeholders.contains("${") && !text.contains("${{") && !text.contains("$${")
    })
}

fn condition() -> impl Strategy<Value = String> {
    let single = (select(vec!["=", "!=", "startsWith", "NOT startsWith"]), operand());
    let single = single.prop_map(|(operator, value)| format!("storage:bucket-name {operator} \"{value}\""));
    let value = prop_oneof![4 => operand(), 1 => Just("${global:userGroup}".to_owned())];
    let list = (select(vec!["IN", "NOT IN", "MATCH"]), prop::collection::vec(value, 1..5));
    let list =
        list.prop_map(|(operator, values)| format!("storage:bucket-name {operator} (\"{}\")", values.join("\", \"")));
    let seconds = (0..86_400_u32, -14 * 60 - 59..=14 * 60 + 59_i32, select(vec!["<", ">"]));
    let time = seconds.prop_map(|(time, zone, order)| {
        let (sign, zone) = (if zone < 0 { '-' } else { '+' }, zone.abs());
        let (hour, minute, second) = (time / 3_600, time / 60 % 60, time % 60);
        format!(
            "global:time-of-day {order} \"{hour:02}:{minute:02}:{second:02}{sign}{:02}:{:02}\"",
            zone / 60,
            zone % 60
        )
    });
    let instant = (1..=9_999_u32, 1..=12_u32, 1..=28_u32, 0..1_000_000_000_u32, select(vec!["<", ">"]));
    let instant = instant.prop_map(|(year, month, day, fraction, order)| {
        format!("global:date-time {order} \"{year:04}-{month:02}-{day:02}T23:59:58.{fraction:09}-09:30\"")
    });
    prop_oneof![3 => single, 3 => list, 1 => time, 1 => instant]
}

proptest! {
    #[test]
    fn words_compile_to_the_condition_they_were_made_of(conditions in prop::collection::vec(condition(), 1..4)) {
        let text = conditions.join(" AND ");
        let again = words(&text, &[]);
        prop_assert_eq!(compile(&again, &[]), compile(&text, &[]), "{}", again);
    }
}
