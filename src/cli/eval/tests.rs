//! The contract of `eval` (rules §8), line by line.

use std::io::{Cursor, Write};

use super::{EvalArgs, run};

const STATE: &str = r#"
account: {id: 1c0e1d0a-5d0f-4a57-9d5c-0d5f1f6f3a11, name: Example}
environments: [{id: prod}]
groups: [{id: 11111111-1111-4111-8111-111111111111, name: G}]
users: [{email: ada, groups: [G]}, {email: off, state: inactive}]
serviceUsers: [{name: twin, email: t1}, {name: twin, email: t2}]
policies:
  - {id: 22222222-2222-4222-8222-222222222222, name: P, level: account, statements: "ALLOW automation:workflows:read;"}
  - {id: 33333333-3333-4333-8333-333333333333, name: L, level: environment, environment: prod, statements: 'ALLOW settings:objects:read WHERE settings:schemaId = "a";'}
  - {id: 44444444-4444-4444-8444-444444444444, name: T, level: account, statements: 'ALLOW iam:users:read WHERE global:date = "2026-03-02Z";'}
bindings:
  - {policy: P, group: G, level: account}
  - {policy: L, group: G, level: environment, environment: prod}
  - {policy: T, group: G, level: account}
"#;

struct Ran {
    code: u8,
    out: String,
    err: String,
}

fn eval(state: &str, requests: &[u8]) -> Ran {
    eval_within(super::LINE_BYTES, state, requests)
}

fn eval_within(line_bytes: u64, state: &str, requests: &[u8]) -> Ran {
    let mut file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    file.write_all(state.as_bytes()).unwrap();
    let args = EvalArgs { state: file.path().to_owned(), requests: "-".into() };
    let now = || "2026-03-02T12:00:00Z".parse().unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = super::run_within(line_bytes, &args, &now, &mut Cursor::new(requests), &mut out, &mut err);
    Ran { code, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
}

#[track_caller]
fn check(request: &str, expected: &str) {
    let ran = eval(STATE, request.as_bytes());
    assert_eq!(ran.out.trim_end(), expected, "{}", ran.err);
    assert_eq!(ran.code, u8::from(expected.contains("\"error\"")));
}

/// The code and field of the error that a line gets.
#[track_caller]
fn check_error(request: &str, id: &str, code: &str, field: &str) {
    let ran = eval(STATE, request.as_bytes());
    let begin = format!(r#"{{"id":{id},"error":{{"code":"{code}","field":"{field}","message":"#);
    assert!(ran.out.starts_with(&begin), "{request}\n{}", ran.out);
    assert_eq!(ran.code, 1);
}

#[track_caller]
fn check_bad(rest: &str, field: &str) {
    check_error(&format!(r#"{{"id":1,{rest}}}"#), "1", "bad_request", field);
}

const ALLOWED: &str = r#""user":"ada","environment":"prod","permission":"automation:workflows:read""#;

#[test]
fn an_allow_names_policy_statement_binding_and_revision() {
    check(
        &format!(r#"{{"id":"a",{ALLOWED}}}"#),
        r#"{"id":"a","decision":"ALLOW","reason":{"code":"allow_statement","policy":{"id":"22222222-2222-4222-8222-222222222222","name":"P","level":"account"},"statement":0,"binding":{"group":{"id":"11111111-1111-4111-8111-111111111111","name":"G"},"level":"account"}},"revision":1}"#,
    );
}

#[test]
fn an_environment_binding_names_its_environment() {
    check(
        r#"{"id":7,"user":"ada","environment":"prod","permission":"settings:objects:read","attributes":{"settings:schemaId":["a"]}}"#,
        r#"{"id":7,"decision":"ALLOW","reason":{"code":"allow_statement","policy":{"id":"33333333-3333-4333-8333-333333333333","name":"L","level":"environment"},"statement":0,"binding":{"group":{"id":"11111111-1111-4111-8111-111111111111","name":"G"},"level":"environment","environment":"prod"}},"revision":1}"#,
    );
}

#[test]
fn a_denial_without_a_statement_names_only_its_code() {
    let denied = |user: &str, code: &str| {
        check(
            &format!(r#"{{"id":1,"user":"{user}","level":"account","permission":"iam:groups:read"}}"#),
            &format!(r#"{{"id":1,"decision":"DENY","reason":{{"code":"{code}"}},"revision":1}}"#),
        );
    };
    denied("ada", "no_match");
    denied("off", "inactive_subject");
    denied("eve", "unknown_subject");
}

#[test]
fn the_id_is_echoed_as_given() {
    for id in ["\"\"", "\"é\\n\"", "0", "-0", "1e3", "1.50", "12345678901234567890123"] {
        let ran = eval(STATE, format!(r#"{{"id":{id},{ALLOWED}}}"#).as_bytes());
        assert!(ran.out.starts_with(&format!(r#"{{"id":{id},"decision":"ALLOW""#)), "{id}: {}", ran.out);
    }
}

#[test]
fn an_id_is_required_and_is_a_string_or_a_number() {
    check_error(&format!("{{{ALLOWED}}}"), "null", "bad_request", "id");
    for id in ["null", "true", "[]", "{}"] {
        check_error(&format!(r#"{{"id":{id},{ALLOWED}}}"#), "null", "bad_request", "id");
    }
}

#[test]
fn a_line_that_is_no_object_is_a_bad_request_without_field() {
    for line in ["x", "[1]", "\"a\"", "{\"id\":1", "{\"id\":1}}"] {
        check_error(line, "null", "bad_request", "");
    }
    let ran = eval(STATE, b"\xff\n");
    assert!(ran.out.starts_with(r#"{"id":null,"error":{"code":"bad_request","field":"","#), "{}", ran.out);
}

#[test]
fn unknown_and_duplicate_keys_are_bad_requests() {
    check_bad(&format!(r#"{ALLOWED},"subject":"x""#), "subject");
    check_bad(&format!(r#"{ALLOWED},"user":"ada""#), "user");
    check_bad(&format!(r#"{ALLOWED},"attributes":{{"a":[],"a":[]}}"#), "attributes.a");
}

#[test]
fn wrong_types_are_bad_requests() {
    for (rest, field) in [
        (r#""user":1,"environment":"prod","permission":"a:b:c""#, "user"),
        (r#""user":"ada","environment":null,"permission":"a:b:c""#, "environment"),
        (r#""user":"ada","environment":"prod","permission":[]"#, "permission"),
        (r#""user":"ada","environment":"prod","permission":"a:b:c","attributes":[]"#, "attributes"),
        (r#""user":"ada","environment":"prod","permission":"a:b:c","attributes":{"n":"v"}"#, "attributes.n"),
        (r#""user":"ada","environment":"prod","permission":"a:b:c","attributes":{"n":[1]}"#, "attributes.n"),
        (r#""user":"ada","environment":"prod","permission":"a:b:c","absent":"n""#, "absent"),
        (r#""user":"ada","environment":"prod","permission":"a:b:c","time":5"#, "time"),
        (r#""user":"ada","environment":"prod","permission":"a:b:c","time":"2026-03-02T12:00:00""#, "time"),
    ] {
        check_bad(rest, field);
    }
}

#[test]
fn a_request_asks_for_an_environment_or_the_account() {
    let rest = r#""user":"ada","permission":"iam:users:read""#;
    check_bad(rest, "environment");
    check_bad(&format!(r#"{rest},"environment":"prod","level":"account""#), "level");
    check_bad(&format!(r#"{rest},"level":"environment""#), "level");
    check_bad(&format!(r#"{rest},"environment":"""#), "environment");
}

#[test]
fn what_does_not_exist_is_an_error_of_its_own() {
    let line = |user: &str, environment: &str, permission: &str| {
        format!(r#"{{"id":1,"user":"{user}","environment":"{environment}","permission":"{permission}"}}"#)
    };
    check_error(&line("ada", "prod", "a:b:c"), "1", "unknown_permission", "permission");
    check_error(&line("ada", "test", "iam:users:read"), "1", "unknown_environment", "environment");
    check_error(&line("twin", "prod", "iam:users:read"), "1", "bad_request", "user");
}

#[test]
fn names_both_told_and_absent_and_global_ones_are_bad_requests() {
    check_bad(&format!(r#"{ALLOWED},"attributes":{{"n":["v"]}},"absent":["n"]"#), "absent.n");
    check_bad(&format!(r#"{ALLOWED},"attributes":{{"global:x":["v"]}}"#), "attributes.global:x");
}

#[test]
fn no_message_repeats_a_value_of_an_attribute() {
    let secret = "s3cret".repeat(700);
    for rest in [
        format!(r#"{ALLOWED},"attributes":{{"n":["{secret}"]}}"#),
        format!(r#"{ALLOWED},"attributes":{{"n":["{secret}",1]}}"#),
        format!(r#"{ALLOWED},"attributes":{{"n":["{secret}"]"#),
        format!(r#"{ALLOWED},"attributes":{{"n":"{secret}"}}"#),
    ] {
        let ran = eval(STATE, format!(r#"{{"id":1,{rest}}}"#).as_bytes());
        assert!(ran.out.contains("bad_request") && !ran.out.contains("s3cret"), "{}", ran.out);
    }
}

#[test]
fn limits_of_a_request_at_the_edge_and_one_past_it() {
    let allowed = |rest: &str| {
        let ran = eval(STATE, format!(r#"{{"id":1,{ALLOWED},{rest}}}"#).as_bytes());
        assert_eq!(ran.code, 0, "{}", ran.out);
    };
    let attributes = |count: usize| {
        let names: Vec<_> = (0..count).map(|n| format!(r#""n{n}":["v"]"#)).collect();
        format!(r#""attributes":{{{}}}"#, names.join(","))
    };
    allowed(&attributes(256));
    check_bad(&format!("{ALLOWED},{}", attributes(257)), "attributes");
    let values = |count: usize| format!(r#""attributes":{{"n":[{}]}}"#, vec![r#""v""#; count].join(","));
    allowed(&values(500));
    check_bad(&format!("{ALLOWED},{}", values(501)), "attributes.n");
    let long = |length: usize| format!(r#""attributes":{{"n":["{}"]}}"#, "v".repeat(length));
    allowed(&long(4_096));
    check_bad(&format!("{ALLOWED},{}", long(4_097)), "attributes.n");
}

#[test]
fn a_line_at_the_limit_and_one_past_it() {
    let line = format!(r#"{{"id":1,{ALLOWED}}}"#);
    let padded = |length: usize| line.clone() + &" ".repeat(length - line.len()) + "\n" + &line + "\n";
    let ran = eval_within(10_000, STATE, padded(10_000).as_bytes());
    assert_eq!((ran.code, ran.out.lines().count()), (0, 2));
    let ran = eval_within(10_000, STATE, padded(10_001).as_bytes());
    assert_eq!((ran.code, ran.out.lines().count()), (1, 2));
    assert!(ran.out.starts_with(r#"{"id":null,"error":{"code":"bad_request","field":"","#));
}

#[test]
fn blank_lines_are_skipped_and_order_is_kept() {
    let requests = format!("\n{{\"id\":1,{ALLOWED}}}\n  \r\n{{\"id\":2}}\r\n{{\"id\":3,{ALLOWED}}}");
    let ran = eval(STATE, requests.as_bytes());
    let ids: Vec<_> = ran.out.lines().map(|line| line.get(..7).unwrap()).collect();
    assert_eq!((ran.code, ids), (1, vec![r#"{"id":1"#, r#"{"id":2"#, r#"{"id":3"#]));
}

#[test]
fn the_time_is_that_of_the_request_or_now() {
    let decision = |time: &str| {
        let line = format!(r#"{{"id":1,"user":"ada","level":"account","permission":"iam:users:read"{time}}}"#);
        eval(STATE, line.as_bytes()).out.contains("ALLOW")
    };
    assert!(decision(""));
    assert!(decision(r#","time":"2026-03-02T23:59:59Z""#));
    assert!(!decision(r#","time":"2026-03-03T00:00:00Z""#));
}

#[test]
fn an_unusable_state_gives_2_with_every_problem_and_nothing_on_standard_output() {
    let state = "account: {name: A}\ngroups: [{colour: red, name: G}]\nusers: [{email: a, groups: [X]}]\n";
    let ran = eval(state, format!(r#"{{"id":1,{ALLOWED}}}"#).as_bytes());
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(
        ran.err.contains("2:11: `groups[0].colour`") && ran.err.contains("3:29: `users[0].groups[0]`"),
        "{}",
        ran.err
    );
}

#[test]
fn a_file_that_cannot_be_read_gives_2() {
    let mut out = Vec::new();
    let missing = EvalArgs { state: "/nowhere/state.yaml".into(), requests: "-".into() };
    let now = || jiff::Timestamp::UNIX_EPOCH;
    let mut err = Vec::new();
    assert_eq!(run(&missing, &now, &mut Cursor::new(b""), &mut out, &mut err), 2);
    let mut file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    file.write_all(STATE.as_bytes()).unwrap();
    for requests in ["/nowhere/requests.jsonl", "/"] {
        let args = EvalArgs { state: file.path().to_owned(), requests: requests.into() };
        assert_eq!(run(&args, &now, &mut Cursor::new(b""), &mut out, &mut err), 2);
    }
    assert!(out.is_empty() && !err.is_empty());
}

#[test]
fn an_answer_through_a_default_policy_names_its_level() {
    let state = format!("{STATE}  - {{policy: Hub Catalog Read, group: G, level: account}}\n");
    let request = br#"{"id":1,"user":"ada","environment":"prod","permission":"hub:catalog:read"}"#;
    let ran = eval(&state, request);
    let policy = r#""name":"Hub Catalog Read","level":"global"},"statement":0,"binding":{"group":{"#;
    assert!(ran.out.starts_with(r#"{"id":1,"decision":"ALLOW""#) && ran.out.contains(policy), "{}{}", ran.out, ran.err);
    assert_eq!(ran.code, 0);
}
