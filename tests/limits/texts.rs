//! Limits of the texts of policies and boundaries, as the library checks them and a state file takes them.

use doorward::compile::check;
use doorward::lang::diag::Diagnostic;
use doorward::model::catalogue::Catalogue;
use serde_json::{Value, json};

use crate::{check_edge, times};

fn policy(statements: &str) -> Value {
    json!({"policies": [{"name": "P", "level": "account", "statements": statements}]})
}

fn boundary(query: &str) -> Value {
    json!({"boundaries": [{"name": "B", "query": query}]})
}

/// The errors are `expected`, and each names the limit.
#[track_caller]
fn check_errors(diagnostics: &[Diagnostic], expected: &[&str], limit: usize) {
    let errors: Vec<_> = diagnostics.iter().filter(|it| it.is_error()).collect();
    assert_eq!(errors.iter().map(|it| it.code).collect::<Vec<_>>(), expected);
    assert!(errors.iter().all(|it| it.message.contains(&limit.to_string())), "does not name {limit}: {errors:?}");
}

/// A policy of `make(limit)` is right, and of `make(limit + 1)` wrong by `code` alone.
#[track_caller]
fn check_policy(limit: usize, code: &str, make: impl Fn(usize) -> String) {
    let found = |count| check::policy(&make(count), Catalogue::shipped()).diagnostics;
    check_errors(&found(limit), &[], limit);
    check_errors(&found(limit + 1), &[code], limit);
    check_edge(limit, &format!("policies[0].statements {code}"), |count| policy(&make(count)));
}

/// The same of a boundary.
#[track_caller]
fn check_boundary(limit: usize, code: &str, make: impl Fn(usize) -> String) {
    let found = |count| check::boundary(&make(count), Catalogue::shipped()).diagnostics;
    check_errors(&found(limit), &[], limit);
    check_errors(&found(limit + 1), &[code], limit);
    check_edge(limit, &format!("boundaries[0].query {code}"), |count| boundary(&make(count)));
}

/// `text`, made so long by a comment of two-byte characters.
fn padded(text: &str, bytes: usize) -> String {
    let left = bytes - text.len() - "//".len();
    format!("{text}//{}{}", "x".repeat(left % 2), "é".repeat(left / 2))
}

#[test]
fn a_policy_has_64_kib_of_text() {
    check_policy(65_536, "text_too_long", |bytes| padded("ALLOW iam:users:read;", bytes));
}

#[test]
fn a_boundary_has_16_kib_of_text() {
    check_boundary(16_384, "text_too_long", |bytes| padded(r#"storage:host.name = "h";"#, bytes));
}

#[test]
fn a_policy_has_100_statements() {
    check_policy(100, "too_many_statements", |count| times(count, "ALLOW iam:users:read;", "\n"));
}

#[test]
fn a_statement_has_100_permissions() {
    check_policy(100, "too_many_permissions", |count| format!("DENY {};", times(count, "iam:users:read", ", ")));
}

#[test]
fn a_statement_has_100_conditions() {
    let conditions = |count| times(count, r#"storage:host.name = "h""#, " AND ");
    check_policy(100, "too_many_conditions", |count| format!("ALLOW storage:logs:read WHERE {};", conditions(count)));
}

#[test]
fn a_boundary_has_10_conditions() {
    check_boundary(10, "too_many_conditions", |count| times(count, r#"storage:host.name = "h";"#, "\n"));
}

#[test]
fn a_list_has_500_values() {
    for operator in ["IN", "NOT IN", "MATCH"] {
        let condition = |count| format!("storage:bucket-name {operator} ({})", times(count, r#""b""#, ", "));
        check_policy(500, "too_many_values", |count| format!("ALLOW storage:logs:read WHERE {};", condition(count)));
        check_boundary(500, "too_many_values", |count| condition(count) + ";");
    }
}

/// Counted after unescaping, placeholders not counted.
#[test]
fn a_value_has_1024_bytes() {
    let plain = |bytes| "v".repeat(bytes);
    let escaped = |bytes| r#"\""#.repeat(bytes);
    let wide = |bytes| "é".repeat(bytes / 2) + &"x".repeat(bytes % 2);
    let between = |bytes| format!("${{bindParam:p}}{}${{global:userId}}", "v".repeat(bytes));
    for make in [&plain as &dyn Fn(usize) -> String, &escaped, &wide, &between] {
        for operator in ["= ", "IN ("] {
            let end = if operator == "= " { "" } else { ")" };
            let condition = |bytes| format!(r#"storage:host.name {operator}"{}"{end};"#, make(bytes));
            check_policy(1_024, "value_too_long", |bytes| {
                format!("ALLOW storage:logs:read WHERE {}", condition(bytes))
            });
            check_boundary(1_024, "value_too_long", condition);
        }
    }
}

#[test]
fn a_placeholder_has_128_bytes_of_name() {
    let condition = |bytes| format!(r#"storage:host.name = "x${{bindParam:{}}}";"#, "p".repeat(bytes));
    let code = "placeholder_name_too_long";
    check_policy(128, code, |bytes| format!("ALLOW storage:logs:read WHERE {}", condition(bytes)));
    check_boundary(128, code, condition);
}
