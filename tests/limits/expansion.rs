//! The limit of what a binding expands to: 10,000 statements, counted before equal ones are merged, without those that R9 and
//! R11 drop.

use serde_json::{Value, json};

use crate::{ask, check_refused, loaded};

const EXPECTED: &str = "bindings[0].boundaries expansion_too_large";
const LIMIT: usize = 10_000;

/// Ten lines on two names that logs know: 25 ways to pick one of each.
fn lines() -> Vec<String> {
    let names = ["storage:host.name", "storage:log.source"];
    (0..10).map(|n| format!("{} = \"v{}\";", names[n % 2], n / 2)).collect()
}

/// The same, with an operator on a name that entities know, and that they do not take.
fn misfits() -> Vec<String> {
    let line = |(n, line): (usize, String)| match n % 2 {
        0 => format!(r#"storage:dt.security_context MATCH ("v{}");"#, n / 2),
        _ => line,
    };
    lines().into_iter().enumerate().map(line).collect()
}

/// A policy bound with twenty boundaries of these lines.
fn bound(statements: &str, lines: &[String], strict: bool) -> Value {
    let names: Vec<_> = (0..20).map(|n| format!("b{n:02}")).collect();
    let query = lines.join("\n");
    json!({
        "account": {"name": "Example", "strictBoundaries": strict},
        "policies": [{"name": "P", "level": "account", "statements": statements}],
        "boundaries": names.iter().map(|name| json!({"name": name, "query": query})).collect::<Vec<_>>(),
        "bindings": [{"policy": "P", "group": "G", "level": "account", "boundaries": names}],
    })
}

/// 20 statements, each under 20 boundaries in 25 ways.
fn edge() -> String {
    "ALLOW storage:logs:read;".repeat(20)
}

/// It is taken, built, and decides as it should.
#[track_caller]
fn check_taken(sections: Value, attributes: &[(&str, &str)]) {
    let loaded = loaded(sections);
    let told = ask(&loaded, "storage:logs:read", attributes);
    assert_eq!((told.decision.as_deref(), told.boundary.as_deref()), (Some("ALLOW"), Some("b00")));
    let told = ask(&loaded, "storage:logs:read", &[attributes[0], ("storage:log.source", "other")]);
    assert_eq!(told.decision.as_deref(), Some("DENY"));
}

const LAST: &[(&str, &str)] = &[("storage:host.name", "v4"), ("storage:log.source", "v4")];

/// All 10,000 are one of 25 statements: were they merged first, neither would be too large.
#[test]
fn a_binding_expands_to_10000_statements_and_equal_ones_count_each() {
    check_taken(bound(&edge(), &lines(), false), LAST);
    for one_more in ["DENY iam:users:read;", "ALLOW iam:users:read;"] {
        check_refused(bound(&(edge() + one_more), &lines(), false), EXPECTED, LIMIT);
    }
}

#[test]
fn r11_what_strict_boundaries_drop_does_not_count() {
    let open = edge() + "ALLOW iam:users:read, iam:groups:read;";
    check_taken(bound(&open, &lines(), true), LAST);
    check_refused(bound(&open, &lines(), false), EXPECTED, LIMIT);
    // A DENY is never dropped.
    check_refused(bound(&(edge() + "DENY iam:users:read;"), &lines(), true), EXPECTED, LIMIT);
}

#[test]
fn r9_what_holds_a_misfit_does_not_count() {
    let entities = edge() + "ALLOW storage:entities:read;";
    let seen = &[("storage:dt.security_context", "v4"), ("storage:log.source", "v4")];
    for strict in [false, true] {
        check_taken(bound(&entities, &misfits(), strict), seen);
        // With an operator that entities take, the same line counts there too.
        let fits: Vec<_> = misfits().iter().map(|line| line.replace(r#"MATCH ("v0")"#, r#"= "v0""#)).collect();
        check_refused(bound(&entities, &fits, strict), EXPECTED, LIMIT);
    }
}
