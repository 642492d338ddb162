use std::io::Write as _;

use clap::Parser;

use super::{ExplainArgs, run};

#[derive(Parser)]
struct Only {
    #[command(flatten)]
    args: ExplainArgs,
}

const STATE: &str = r#"
account: {id: 1c0e1d0a-5d0f-4a57-9d5c-0d5f1f6f3a11, name: Example}
environments: [{id: prod}, {id: test}]
groups: [{id: 11111111-1111-4111-8111-111111111111, name: G}]
users: [{email: ada, groups: [G]}, {email: bob}, {email: cid, state: inactive, groups: [G]}]
policies:
  - id: 22222222-2222-4222-8222-222222222222
    name: P
    level: account
    statements: |
      ALLOW settings:objects:write;
      DENY settings:objects:write WHERE settings:schemaId IN ("a", "b") AND global:week-day = "Monday";
  - {id: 33333333-3333-4333-8333-333333333333, name: L, level: environment, environment: test, statements: 'ALLOW settings:objects:write;'}
bindings:
  - {policy: P, group: G, level: account}
  - {policy: L, group: G, level: environment, environment: test}
"#;

const WRITE: &[&str] = &["--user", "ada", "--permission", "settings:objects:write"];
const LAST_DAYS: &str = r#"
account: {id: 1c0e1d0a-5d0f-4a57-9d5c-0d5f1f6f3a11, name: Example}
environments: [{id: prod}]
groups: [{name: G}]
users: [{email: ada, groups: [G]}]
policies:
  - name: P
    level: account
    statements: 'ALLOW settings:objects:write WHERE global:date-time < "9999-12-31T23:59:59-01:00";'
bindings: [{policy: P, group: G, level: account}]
"#;

struct Ran {
    code: u8,
    out: String,
    err: String,
}

fn explain(state: &str, arguments: &[&str]) -> Ran {
    let mut file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    file.write_all(state.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap();
    let common: &[&str] = if arguments.contains(&"--user") { &WRITE[2..] } else { WRITE };
    let all = ["explain", "--state", path].into_iter().chain(common.iter().chain(arguments).copied());
    let args = Only::try_parse_from(all).unwrap().args;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    // A Monday.
    let code = run(&args, "2026-03-02T12:00:00Z".parse().unwrap(), &mut out, &mut err);
    Ran { code, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
}

#[test]
fn people_read_every_statement_and_its_conditions() {
    let ran = explain(STATE, &["--environment", "prod", "--attr", "settings:schemaId=b"]);
    let expected = r#"DENY (deny_statement): statement 1 of policy `P`, bound to group `G` at level account; revision 2

DENY settings:objects:write: decided
  statement 1 of policy `P`, bound to group `G` at level account
    holds   settings:schemaId IN ("a", "b")  (is "b")
    holds   global:week-day = "Monday"  (is "2026-03-02T12:00:00Z")

ALLOW settings:objects:write: is bound in another environment
  statement 0 of policy `L`, bound to group `G` at level environment test

ALLOW settings:objects:write: holds, but is overruled by a DENY
  statement 0 of policy `P`, bound to group `G` at level account
"#;
    let revision = |text: &str| text.lines().next().unwrap().rsplit(' ').next().unwrap().to_owned();
    let out = ran.out.replacen(&format!("revision {}", revision(&ran.out)), "revision 2", 1);
    assert_eq!((out.as_str(), ran.code, ran.err.as_str()), (expected, 1, ""));
}

#[test]
fn the_exit_code_is_the_decision() {
    let rows: [(&[&str], u8); 5] = [
        (&["--environment", "prod"], 1),
        (&["--environment", "prod", "--attribute", "settings:schemaId=c"], 0),
        (&["--environment", "prod", "--absent", "settings:schemaId"], 0),
        (&["--level", "account", "--time", "2026-03-03T12:00:00Z"], 0),
        (&["--environment", "nowhere"], 2),
    ];
    for (arguments, code) in rows {
        let ran = explain(STATE, arguments);
        assert_eq!((ran.code, ran.err.is_empty()), (code, code != 2), "{arguments:?}: {}{}", ran.out, ran.err);
    }
}

#[test]
fn programs_read_json() {
    let ran = explain(STATE, &["--environment", "prod", "--json"]);
    let answer: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(answer["decision"], "DECISION_DENY");
    assert_eq!(answer["statements"][0]["standing"], "STANDING_DECIDED");
    assert_eq!(answer["statements"][0]["conditions"][0]["said"], "SAID_NOTHING");
}

#[test]
fn people_and_programs_read_what_a_boundary_removed() {
    let state = STATE.replace("name: Example}", "name: Example, strictBoundaries: true}").replace(
        "bindings:\n  - {policy: P, group: G, level: account}\n",
        "boundaries: [{name: B, query: 'storage:bucket-name = \"b\";'}]\n\
         bindings:\n  - {policy: P, group: G, level: account, boundaries: [B]}\n",
    );
    let monday = &["--environment", "prod", "--absent", "settings:schemaId"];
    let ran = explain(&state, monday);
    let last = "\n\nALLOW settings:objects:write: nothing is left of it\n  \
        statement 0 of policy `P`, bound to group `G` at level account\n    \
        boundary `B` adds no condition, and the account has strict boundaries\n";
    assert!(ran.out.ends_with(last), "{}{}", ran.out, ran.err);
    let ran = explain(&state, &[monday, &["--json"][..]].concat());
    let answer: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let removed = answer["statements"].as_array().unwrap().last().unwrap();
    assert_eq!((&removed["standing"], &removed["truth"]), (&"STANDING_REMOVED".into(), &"TRUTH_FALSE".into()));
    assert_eq!(removed["removedBy"][0]["boundary"]["name"], "B");
    assert_eq!(removed["removedBy"][0]["removal"], "REMOVAL_ADDS_NOTHING");
}

/// A condition may name an instant that no timestamp of the wire can.
#[test]
fn an_answer_of_the_last_days_can_be_read() {
    let ran = explain(LAST_DAYS, &["--environment", "prod", "--json"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let answer: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(answer["validUntil"], "9999-12-30T22:00:00.999999999Z");
}

/// Nothing is said that is not so: a user who is not active may have statements.
#[test]
fn where_no_statement_is_told_it_says_why() {
    let rows = [
        ("bob", "no_match", "no statement about the permission is bound to a group of the user"),
        ("cid", "inactive_subject", "the user is not active; statements were not looked at"),
        ("dora", "unknown_subject", "the account has no such user"),
    ];
    for (user, code, why) in rows {
        let ran = explain(STATE, &["--environment", "prod", "--user", user]);
        assert!(ran.out.starts_with(&format!("DENY ({code})")), "{user}: {}", ran.out);
        assert_eq!((ran.out.lines().skip(1).collect::<Vec<_>>(), ran.err.as_str()), (vec![why], ""), "{user}");
    }
}

#[test]
fn what_cannot_be_used_is_told() {
    let unusable = explain("account: 1", &["--environment", "prod"]);
    assert_eq!((unusable.code, unusable.out.as_str()), (2, ""));
    assert!(unusable.err.starts_with("error: "), "{}", unusable.err);
    let rows: [&[&str]; 5] = [
        &["--state", "x"],
        &["--state", "x", "--environment", "prod", "--level", "account"],
        &["--environment", "prod"],
        &["--environment", "prod", "--address", "127.0.0.1:1"],
        &["--environment", "prod", "--address", "127.0.0.1:1", "--state", "x"],
    ];
    for arguments in rows {
        let all = ["explain"].into_iter().chain(WRITE.iter().chain(arguments).copied());
        assert!(Only::try_parse_from(all).is_err(), "{arguments:?}");
    }
}
