//! Texts and their findings: one mistake, one finding, at its place.

use super::*;
use crate::lang::diag::LineIndex;

/// The findings of a text as `code@line:column`, with blanks between.
fn listed(text: &str, diagnostics: &[Diagnostic]) -> String {
    let index = LineIndex::new(text);
    let found = diagnostics.iter().map(|diagnostic| {
        let at = index.position(diagnostic.span.start);
        assert!(diagnostic.help.as_deref().is_some_and(|help| help.ends_with(['.', '?'])), "{diagnostic:?}");
        assert!(!diagnostic.message.ends_with('.') && diagnostic.is_error(), "{diagnostic:?}");
        format!("{}@{}:{}", diagnostic.code, at.line, at.column)
    });
    found.collect::<Vec<_>>().join(" ")
}

fn check_policy(rows: &[(&str, &str)]) {
    for (text, expected) in rows {
        assert_eq!(listed(text, &parse_policy(text).diagnostics), *expected, "{text:?}");
    }
}

fn check_boundary(rows: &[(&str, &str)]) {
    for (text, expected) in rows {
        assert_eq!(listed(text, &parse_boundary(text).diagnostics), *expected, "{text:?}");
    }
}

/// Conditions behind `ALLOW a:b:c WHERE `, which is 18 characters long.
fn check_conditions(rows: &[(&str, &str)]) {
    for (conditions, expected) in rows {
        let text = format!("ALLOW a:b:c WHERE {conditions};");
        assert_eq!(listed(&text, &parse_policy(&text).diagnostics), *expected, "{text:?}");
    }
}

#[test]
fn good_policies() {
    check_policy(&[
        ("ALLOW a:b:c", ""),
        ("ALLOW a:b:c;", ""),
        ("ALLOW a:b:c, d:e:f , g:h:i,j:k:l; DENY a-b:c.d:e_f;", ""),
        ("ALLOW settings:schemas:read WHERE null;", ""),
        ("ALLOW a:b:c WHERE x:y IN (\"a\", 'b') AND x:y = \"c\" AND x:z NOT IN(\"d\")", ""),
        ("ALLOW a:b:c WHERE x:y MATCH(\"a*\") AND x:y NOT startsWith \"b\" AND x:t<\"1\"AND x:t > '2';ALLOW a:b:c", ""),
        ("ALLOW allow:deny:where WHERE and:or = \"in\";", ""),
    ]);
}

#[test]
fn r26_keywords_are_in_any_case_and_names_hold_underscores() {
    let text =
        "aLLoW a_b:c_:d WhErE x_y:z_ nOt StArTsWiTh 'a' aNd x:y In ('b') AND x:z not in ('c') and x:m mAtCh ('d');";
    check_policy(&[(text, ""), ("deny a:b:c where NULL", ""), ("DENY a:b:c WHERE Null;", "")]);
    let parsed = parse_policy(text).ast.to_string();
    assert!(parsed.starts_with("ALLOW a_b:c_:d WHERE x_y:z_ NOT startsWith \"a\" AND x:y IN (\"b\")"), "{parsed}");
}

#[test]
fn r26_empty_statements_are_refused() {
    check_policy(&[
        (";ALLOW a:b:c;", "leading_semicolon@1:1"),
        ("ALLOW a:b:c;;", "double_semicolon@1:13"),
        ("ALLOW a:b:c; // x\n ;;\nALLOW a:b:c", "double_semicolon@2:2"),
        (";", "leading_semicolon@1:1"),
        (";;", "leading_semicolon@1:1"),
    ]);
    check_boundary(&[
        (";x:y = 'a'", "leading_semicolon@1:1"),
        ("x:y = 'a';;", "double_semicolon@1:11"),
        ("x:y = 'a'\n;x:z = 'b'", ""),
    ]);
}

#[test]
fn a_text_without_content_is_refused() {
    let texts = ["", " \n\t", "// ALLOW a:b:c;"];
    for text in texts {
        assert_eq!(parse_policy(text).diagnostics[0].code, "empty_policy", "{text}");
        assert_eq!(parse_boundary(text).diagnostics[0].code, "empty_boundary", "{text}");
    }
}

#[test]
fn effects() {
    check_policy(&[
        ("GRANT a:b:c; ALLOW a:b:c;", "expected_effect@1:1"),
        ("\"ALLOW a:b:c;\"", "expected_effect@1:1"),
        ("x:y = 'a'; z:w = 'b'", "expected_effect@1:1 expected_effect@1:12"),
        ("ALLOW DENY a:b:c;", "permission_expected@1:7"),
        ("allow", "permission_expected@1:6"),
        ("a:b:c ALLOW a:b:c", "expected_effect@1:1"),
        ("1. ALLOW a:b:c;\n2. ALLOW d:e:f", "expected_effect@1:1 expected_effect@2:1"),
        ("• ALLOW a:b:c; — a note here", "unexpected_character@1:1 unexpected_character@1:16"),
        ("{\"query\": \"ALLOW a:b:c;\"}", "unexpected_character@1:1"),
    ]);
}

#[test]
fn permissions() {
    check_policy(&[
        ("ALLOW a:*:c;", "wildcard_permission@1:7"),
        ("ALLOW *;", "wildcard_permission@1:7"),
        ("ALLOW *:*:read, a:b:*, c:d:e", "wildcard_permission@1:7 wildcard_permission@1:17"),
        ("ALLOW a:b, a:b:c:d, a, a:b:c;", "permission_parts@1:7 permission_parts@1:12 permission_parts@1:21"),
        ("ALLOW a:b:;", "bad_permission_name@1:7"),
        ("ALLOW -a:b:c;", "bad_permission_name@1:7"),
        ("ALLOW a:<b c>:d WHERE x:y = 'a';", "permission_parts@1:7"),
        ("ALLOW a:b:<role name>, d:e:f WHERE x:y = 'a';", "bad_permission_name@1:7"),
        ("ALLOW a:b:c d:e:f g:h:i;", "missing_comma@1:13 missing_comma@1:19"),
        ("ALLOW a:b:c d:e;", "missing_comma@1:13"),
        ("ALLOW a:b:c, ;", "permission_expected@1:14"),
        ("ALLOW a:b:c,, d:e:f;", "permission_expected@1:13"),
        ("ALLOW ;", "permission_expected@1:7"),
        ("ALLOW WHERE x:y = 'a';", "permission_expected@1:7"),
        ("ALLOW \"a:b:c\";", "permission_expected@1:7"),
        ("ALLOW a:b:c AND d:e:f, g:h:i;", "unexpected_token@1:13"),
        ("ALLOW a:b:c = 'x';", "unexpected_token@1:13"),
        ("ALLOW (a:b:c, d:e:f) WHERE x:y = 'a';", "permission_expected@1:7"),
        ("ALLOW a:b:c x:y = 'a' AND x:z == 'b';", "missing_where@1:13 double_equal@1:31"),
    ]);
}

#[test]
fn missing_semicolons() {
    check_policy(&[
        ("ALLOW a:b:c\nALLOW d:e:f\ndeny g:h:i", "missing_semicolon@2:1 missing_semicolon@3:1"),
        ("ALLOW a:b:c WHERE x:y = 'a'\nALLOW d:e:f;", "missing_semicolon@2:1"),
        ("ALLOW a:b:c WHERE x:y IN ('a'\nALLOW d:e:f;", "unclosed_list@2:1"),
        ("ALLOW a:b:c WHERE x:y =\nALLOW d:e:f;", "value_expected@2:1"),
        ("ALLOW a:b:c WHERE\nALLOW d:e:f;", "condition_expected@2:1"),
        ("ALLOW a:b:c,\nALLOW d:e:f;", "permission_expected@2:1"),
    ]);
}

#[test]
fn where_clauses() {
    check_conditions(&[
        ("true", "where_true@1:19"),
        ("FALSE", "where_true@1:19"),
        ("true AND x:y == 'a'", "where_true@1:19 double_equal@1:32"),
        ("null AND x:y = 'a'", "null_with_condition@1:24"),
        ("", "condition_expected@1:19"),
        ("<condition>", "condition_expected@1:19"),
        ("AND x:y = 'a'", "condition_expected@1:19"),
        ("x:y = 'a' AND", "condition_expected@1:32"),
        ("x:y = 'a' AND AND x:z = 'b'", "condition_expected@1:33"),
        ("x:y = 'a' && x:z = 'b'", "and_symbol@1:29"),
        ("x:y = 'a' OR x:z = 'b' || x:w = 'c'", "or_operator@1:29 or_operator@1:42"),
        ("x:y = 'a' OR 'b' AND x:z == 'c'", "or_operator@1:29 double_equal@1:44"),
        ("x:y = 'a' x:z = 'b'", "missing_and@1:29"),
        ("x:y = 'a', x:z = 'b'", "unexpected_token@1:28"),
        ("x:y = 'a' WHERE x:z = 'b'", "unexpected_token@1:29"),
        ("x:y = \"a\"b\"c\"", "quote_in_value@1:28"),
        ("x:y = 'a' 'b'", "unexpected_token@1:29"),
        ("(x:y = 'a' AND x:z = 'b')", "grouped_conditions@1:19"),
        ("NOT x:y = 'a'", "not_before_condition@1:19"),
        ("NOT (x:y = 'a')", "not_before_condition@1:19 grouped_conditions@1:23"),
    ]);
}

#[test]
fn attributes_and_operators() {
    check_conditions(&[
        ("environmentId = 'a'", "unqualified_condition@1:19"),
        ("k8s.namespace.name IN ('a')", "unqualified_condition@1:19"),
        ("a:b:c = 'a'", "condition_parts@1:19"),
        ("a:* = 'a'", "wildcard_condition@1:19"),
        ("a: = 'a'", "bad_condition_name@1:19"),
        ("'a:b' = 'a'", "condition_expected@1:19"),
        ("IN ('a')", "condition_expected@1:19"),
        ("x:y == 'a'", "double_equal@1:23"),
        (
            "x:y <= 'a' AND x:y >= 'b' AND x:y <> 'c'",
            "or_equal_operator@1:23 or_equal_operator@1:38 unknown_operator@1:53",
        ),
        ("x:y contains 'a'", "contains_operator@1:23"),
        ("x:y endsWith 'a'", "ends_with_operator@1:23"),
        ("x:y STARTS WITH 'a'", "unknown_operator@1:23"),
        ("x:y NOT MATCH ('a')", "not_match@1:23"),
        ("x:y NOT contains 'a'", "unknown_operator@1:23"),
        ("x:y NOT = 'a'", "unknown_operator@1:23"),
        ("x:y like 'a' AND x:z ~ 'b'", "unknown_operator@1:23 unknown_operator@1:40"),
        ("x:y is 'a'", "unknown_operator@1:23"),
        ("x:y 'a'", "operator_expected@1:23"),
        ("x:y", "operator_expected@1:22"),
        ("x:y AND x:z == 'b'", "operator_expected@1:23 double_equal@1:31"),
        ("x:y = 'a' NOT IN ('b')", "two_operators@1:29"),
        ("x:y = 'a' != 'b' AND x:z == 'c'", "two_operators@1:29 double_equal@1:44"),
    ]);
}

#[test]
fn values_and_lists() {
    check_conditions(&[
        ("x:y = 1", "unquoted_value@1:25"),
        ("x:y = true AND x:z = some text", "unquoted_value@1:25 unquoted_value@1:40"),
        ("x:y =", "value_expected@1:24"),
        ("x:y = AND x:z = 'a'", "value_expected@1:25"),
        ("x:y startsWith ('a')", "value_in_parentheses@1:34"),
        ("x:y = ('a', 'b') AND x:z == 'a'", "value_in_parentheses@1:25 double_equal@1:44"),
        ("x:y IN 'a'", "list_expected@1:26"),
        ("x:y IN a, b", "list_expected@1:26"),
        ("x:y MATCH", "list_expected@1:28"),
        ("x:y IN ()", "empty_list@1:27"),
        ("x:y IN ('a' 'b')", "missing_comma@1:31"),
        ("x:y IN ('a',)", "value_expected@1:31"),
        ("x:y IN ('a',,'b')", "value_expected@1:31"),
        ("x:y IN (a, 'b', 3)", "unquoted_value@1:27 unquoted_value@1:35"),
        ("x:y IN (<a>, 'b')", "value_expected@1:27"),
        ("x:y IN ('a'; ALLOW a:b:c", "unclosed_list@1:30"),
        ("x:y IN ('a', 'b' AND x:z = 'c'", "unclosed_list@1:36"),
        ("x:y IN (('a'), 'b')", "value_expected@1:27"),
        ("x:y IN ['a', 'b'] AND x:z == 'c'", "unexpected_character@1:26 double_equal@1:45"),
        ("x:y IN ('a', 'b'] AND x:z == 'c'", "unexpected_character@1:35 double_equal@1:45"),
        ("x:y IN ('a' OR 'b')", "unexpected_token@1:31"),
    ]);
}

#[test]
fn r27_all_errors_come_at_once() {
    check_policy(&[
        (
            "ALLOW a:b:c WHERE x:y == 'a' AND x:z contains 'b' AND x:w = c;",
            "double_equal@1:23 contains_operator@1:38 unquoted_value@1:61",
        ),
        (
            "ALLOW a:*:c\nGRANT d:e:f;\n\nDENY g:h WHERE true;",
            "wildcard_permission@1:7 permission_parts@4:6 where_true@4:16",
        ),
    ]);
    let parsed = parse_policy("ALLOW a:b:c, a:* WHERE x:y == 'a' AND x:z = 'b'; nonsense; DENY d:e:f;");
    assert_eq!(parsed.ast.to_string(), "ALLOW a:b:c WHERE x:z = \"b\";\nDENY d:e:f;");
}

#[test]
fn r12_a_boundary_ends_a_condition_with_a_semicolon_or_a_line_break() {
    check_boundary(&[
        ("x:y = 'a';", ""),
        ("x:y = 'a'\nx:z IN\n(\n'b'\n)\n\n;x:w\n=\n'c'", ""),
        ("x:y = 'a' // note\nx:z = 'b';", ""),
        ("x:y = 'a' x:z = 'b'", "missing_semicolon@1:11"),
        ("x:y = 'a'\rx:z = 'b'", "missing_semicolon@1:11"),
        ("x:y = 'a' AND x:z = 'b'", "and_in_boundary@1:11"),
        ("x:y = 'a'\nand x:z = 'b'", "and_in_boundary@2:1"),
        ("x:y = 'a' OR x:z = 'b'", "or_operator@1:11"),
        ("x:y = 'a' or 'b'\nx:z == 'c'", "or_operator@1:11 double_equal@2:5"),
        ("WHERE x:y = 'a';", "where_in_boundary@1:1"),
        ("ALLOW a:b:c WHERE x:y = 'a';\nx:z == 'b'", "statement_in_boundary@1:1 double_equal@2:5"),
        ("x:y == 'a'\nx:z contains 'b'\nx:w = 'c'", "double_equal@1:5 contains_operator@2:5"),
        ("x:y\nx:z = 'b'", "operator_expected@2:1"),
        ("x:y =\nx:z = 'b'", "value_expected@2:1"),
        ("environmentId = 'a'\nx:z = 'b'", "unqualified_condition@1:1"),
        ("x:y = 'a' NOT IN ('b')\nx:z == 'c'", "two_operators@1:11 double_equal@2:5"),
        (", x:y = 'a'", "condition_expected@1:1"),
        (")", "condition_expected@1:1"),
        ("null", "condition_expected@1:1"),
    ]);
    let parsed = parse_boundary("x:y\n=\n'a'\nx:z = 'b'; x:w = 'c'");
    assert_eq!(parsed.ast.to_string(), "x:y = \"a\";\nx:z = \"b\";\nx:w = \"c\";");
    // In a policy a line break ends nothing.
    check_policy(&[("ALLOW a:b:c WHERE x:y = 'a'\nx:z = 'b'", "missing_and@2:1")]);
}

#[test]
fn nodes_know_their_places() {
    let text = " ALLOW a:b:c WHERE x:y NOT  IN ('a' , \"b\") ;";
    let statement = &parse_policy(text).ast.statements[0];
    let condition = &statement.node.conditions[0];
    let shown = |span: Span| text.get(span.start..span.end).unwrap();
    assert_eq!(shown(statement.span), "ALLOW a:b:c WHERE x:y NOT  IN ('a' , \"b\")");
    assert_eq!(shown(condition.span), "x:y NOT  IN ('a' , \"b\")");
    assert_eq!(shown(condition.node.operator.span), "NOT  IN");
    assert_eq!(shown(condition.node.values[1].span), "\"b\"");
}

/// Checks that `make(limit)` is clean and `make(limit + 1)` has the one finding `code`.
fn check_limit(limit: usize, code: &str, make: impl Fn(usize) -> Vec<Diagnostic>) {
    assert_eq!(make(limit), []);
    let past = make(limit + 1);
    assert_eq!(past.iter().map(|diagnostic| diagnostic.code).collect::<Vec<_>>(), [code]);
    assert!(past[0].message.contains(&limit.to_string()), "{past:?}");
}

fn times(count: usize, part: &str, separator: &str) -> String {
    vec![part; count].join(separator)
}

#[test]
fn limit_of_a_policy_text() {
    let text = |bytes: usize| format!("ALLOW a:b:c;{}", " ".repeat(bytes - 12));
    check_limit(65_536, "text_too_long", |bytes| parse_policy(&text(bytes)).diagnostics);
    // Nothing else is said, and a character is not cut in two.
    let long = format!("{}é", "é".repeat(40_000));
    assert_eq!(listed(&long, &parse_policy(&long).diagnostics), "text_too_long@1:32769");
}

#[test]
fn limit_of_a_boundary_text() {
    let text = |bytes: usize| format!("x:y = 'a';{}", " ".repeat(bytes - 10));
    check_limit(16_384, "text_too_long", |bytes| parse_boundary(&text(bytes)).diagnostics);
}

#[test]
fn limit_of_statements() {
    check_limit(100, "too_many_statements", |count| parse_policy(&times(count, "ALLOW a:b:c", ";")).diagnostics);
}

#[test]
fn limit_of_permissions() {
    let text = |count| format!("ALLOW {};", times(count, "a:b:c", ","));
    check_limit(100, "too_many_permissions", |count| parse_policy(&text(count)).diagnostics);
    let two = format!("{}{}", text(101), text(101));
    assert_eq!(parse_policy(&two).diagnostics.len(), 2);
}

#[test]
fn limit_of_conditions() {
    let policy = |count| format!("ALLOW a:b:c WHERE {};", times(count, "x:y = 'a'", " AND "));
    check_limit(100, "too_many_conditions", |count| parse_policy(&policy(count)).diagnostics);
    check_limit(10, "too_many_conditions", |count| parse_boundary(&times(count, "x:y = 'a'", ";")).diagnostics);
}

#[test]
fn limit_of_a_list() {
    let text = |count| format!("ALLOW a:b:c WHERE x:y IN ({});", times(count, "'a'", ","));
    check_limit(500, "too_many_values", |count| parse_policy(&text(count)).diagnostics);
}

#[test]
fn a_tree_stays_within_the_limits() {
    let statements = parse_policy(&times(101, "ALLOW a:b:c", ";")).ast.statements;
    assert_eq!(statements.len(), 100);
    let conditions = parse_boundary(&times(11, "x:y = 'a'", ";")).ast.conditions;
    assert_eq!(conditions.len(), 10);
    // A list that is cut would mean something else: its condition is left out.
    let list = format!("x:y IN ({}); x:z = 'b'", times(501, "'a'", ","));
    assert_eq!(parse_boundary(&list).ast.to_string(), "x:z = \"b\";");
}

#[test]
fn limit_of_a_name() {
    let permission = |bytes: usize| format!("ALLOW a:b:{};", "c".repeat(bytes - 4));
    assert_eq!(parse_policy(&permission(256)).diagnostics, []);
    assert_eq!(parse_policy(&permission(257)).diagnostics[0].code, "name_too_long");
    let condition = |bytes: usize| format!("x:{} = 'a'", "y".repeat(bytes - 2));
    assert_eq!(parse_boundary(&condition(256)).diagnostics, []);
    assert_eq!(parse_boundary(&condition(257)).diagnostics[0].code, "name_too_long");
}

#[test]
fn limit_of_diagnostics() {
    let found = |count| parse_policy(&times(count, "x;", "")).diagnostics;
    assert_eq!(found(1_000).len(), 1_000);
    let past = found(1_005);
    assert_eq!((past.len(), past[1_000].code), (1_001, "too_many_errors"));
    assert!(past[1_000].message.starts_with("5 more"), "{past:?}");
}
