//! A warning is never wrong: what it calls useless can be deleted, and no decision changes.
//!
//! Random policies over few permissions, conditions and values, so that warnings are frequent; every request that can tell
//! the values apart. The engine is the judge.

#![expect(clippy::expect_used, reason = "a test that cannot go on says why")]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use doorward::compile::check;
use doorward::lang::diag::{Diagnostic, LineIndex};
use doorward::lang::literal::request_time;
use doorward::model::attribute::{Supplied, Values};
use doorward::model::catalogue::Catalogue;
use doorward::model::decision::{CheckRequest, Decision, RequestParts};
use doorward::model::revision::StoreId;
use doorward::snapshot::build::Snapshot;
use doorward::statefile;
use doorward::statefile::node::Format;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// `shop:tag` has the any-match mark on orders, and not on items.
const CATALOGUE: &str = r#"[
    {"permission": "shop:orders:read", "conditions": [
        {"name": "shop:tag", "operators": OPERATORS, "anyMatch": true}, {"name": "shop:name", "operators": OPERATORS}]},
    {"permission": "shop:items:read", "conditions": [
        {"name": "shop:tag", "operators": OPERATORS}, {"name": "shop:name", "operators": OPERATORS}]}]"#;
const OPERATORS: &str = r#"["=", "!=", "IN", "NOT IN", "startsWith", "NOT startsWith", "MATCH"]"#;
const PERMISSIONS: [&str; 2] = ["shop:orders:read", "shop:items:read"];
const TIMES: [&str; 4] =
    ["2026-03-02T12:00:00Z", "2026-03-02T23:30:00Z", "2026-03-03T00:30:00Z", "2026-03-08T09:00:00Z"];
/// Behind the code of a warning about one of two permissions.
const OF_ONE: &str = " of one";
/// Kept in every policy, as one without statements is refused.
const LAST: &str = "ALLOW iam:users:read;";

fn value() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["\"a\"", "\"ab\"", "\"b\"", "\"\"", "\"${bindParam:p}\"", "\"${global:levelId}\""])
}

fn pattern() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "\"a\"",
        "\"a*\"",
        "\"*b\"",
        "\"*\"",
        "\"ab\"",
        "\"a*b\"",
        "\"${bindParam:p}*\"",
        "\"b\"",
    ])
}

fn list(element: impl Strategy<Value = &'static str>) -> impl Strategy<Value = String> {
    proptest::collection::vec(element, 1..3).prop_map(|values| format!("({})", values.join(", ")))
}

fn on_attribute() -> impl Strategy<Value = String> {
    let scalar = prop::sample::select(vec!["=", "!=", "startsWith", "NOT startsWith"]);
    let right = prop_oneof![
        4 => (scalar, value()).prop_map(|(operator, value)| format!("{operator} {value}")),
        1 => list(value()).prop_map(|list| format!("IN {list}")),
        1 => list(value()).prop_map(|list| format!("NOT IN {list}")),
        1 => list(pattern()).prop_map(|list| format!("MATCH {list}")),
    ];
    (prop::sample::select(vec!["shop:tag", "shop:name"]), right).prop_map(|(name, right)| format!("{name} {right}"))
}

fn computed() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "global:week-day = \"Monday\"",
        "global:week-day != \"Monday\"",
        "global:week-day IN (\"Tuesday\", \"Sunday\")",
        "global:time-of-day < \"12:00Z\"",
        "global:time-of-day > \"12:00Z\"",
        "global:time-of-day > \"11:30Z\"",
        "global:time-of-day > \"01:00+01:00\"",
        "global:date = \"2026-03-02Z\"",
        "global:date > \"2026-03-02Z\"",
        "global:date < \"2026-03-03+01:00\"",
        "global:date-time > \"2026-03-03T00:00:00Z\"",
        "global:environmentId = \"prod\"",
        "global:environmentId = \"other\"",
        "global:environmentId = \"${global:levelId}\"",
    ])
    .prop_map(str::to_owned)
}

/// One statement, with one permission or both.
fn statement() -> impl Strategy<Value = String> {
    let effect = prop_oneof![3 => Just("ALLOW"), 1 => Just("DENY")];
    let condition = prop_oneof![4 => on_attribute(), 1 => computed()];
    let conditions = proptest::collection::vec(condition, 0..4);
    let [orders, items] = PERMISSIONS;
    let permissions = prop::sample::select(vec![vec![orders], vec![items], vec![orders, items], vec![items, orders]]);
    (effect, permissions, conditions).prop_map(|(effect, permissions, conditions)| {
        let (permissions, joined) = (permissions.join(", "), conditions.join(" AND "));
        format!("{effect} {permissions}{}{joined};", if conditions.is_empty() { "" } else { " WHERE " })
    })
}

fn catalogue() -> Catalogue {
    let entries: Vec<doorward::model::catalogue::CatalogueEntry> =
        serde_json::from_str(&CATALOGUE.replace("OPERATORS", OPERATORS)).expect("entries");
    let mut catalogue = Catalogue::shipped().clone();
    for entry in &entries {
        catalogue.extend(entry).expect("an addition");
    }
    catalogue
}

/// The decision on every request.
fn decisions(statements: &[String]) -> Vec<Decision> {
    let state = serde_json::json!({
        "account": {"name": "A"},
        "environments": [{"id": "prod"}],
        "groups": [{"name": "G"}],
        "users": [{"email": "u@example.com", "groups": ["G"]}],
        "policies": [{"name": "P", "level": "account", "statements": format!("{}\n{LAST}", statements.join("\n"))}],
        "bindings": [{"policy": "P", "group": "G", "level": "account", "parameters": {"p": "a*"}}],
        "catalogue": serde_json::from_str::<serde_json::Value>(&CATALOGUE.replace("OPERATORS", OPERATORS)).expect("JSON"),
    });
    let loaded = statefile::load(&state.to_string(), Format::Json, jiff::Timestamp::UNIX_EPOCH).expect("a state");
    let snapshot = Snapshot::build(StoreId::random(), &loaded.state, None).expect("a snapshot");
    let mut decisions = Vec::new();
    for (permission, tag, name, time) in requests() {
        let known = [("shop:tag", &tag), ("shop:name", &name)];
        let supplied = known.iter().filter_map(|(name, known)| Some((*name, Values::Many(known.as_ref()?))));
        let absent = known.iter().filter(|(_, known)| known.as_ref().is_some_and(Vec::is_empty)).map(|(name, _)| *name);
        let supplied = supplied.filter(|(_, values)| values.iter().next().is_some());
        let supplied = Supplied::new(supplied, absent);
        let attributes = supplied.attributes().expect("attributes");
        let parts = RequestParts { user: "u@example.com", environment: "prod", level: "", permission };
        let request = CheckRequest::new(parts, attributes, request_time(time).expect("a time")).expect("a request");
        decisions.push(snapshot.decide(loaded.account, &request).expect("a decision").decision());
    }
    decisions
}

type Request = (&'static str, Option<Vec<String>>, Option<Vec<String>>, &'static str);

/// Nothing said, known absent, one value, two values; of either attribute, at each time.
fn requests() -> Vec<Request> {
    let texts: [Option<&[&str]>; 9] = [
        None,
        Some(&[]),
        Some(&["a"]),
        Some(&["ab"]),
        Some(&["b"]),
        Some(&["a*"]),
        Some(&["prod"]),
        Some(&["a", "ab"]),
        Some(&["a", "b"]),
    ];
    let known = texts.map(|known| known.map(|values| values.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>()));
    let mut requests = Vec::new();
    for permission in PERMISSIONS {
        for tag in &known {
            for name in &known {
                requests.extend(TIMES.map(|time| (permission, tag.clone(), name.clone(), time)));
            }
        }
    }
    requests
}

/// The statements that warnings call useless: each stands on a line of its own.
fn useless(statements: &[String], catalogue: &Catalogue) -> Vec<(Diagnostic, usize)> {
    let text = statements.join("\n");
    let lines = LineIndex::new(&text);
    let found = check::policy(&text, catalogue).diagnostics;
    let found = found.into_iter().filter(|it| it.code != "deny_negative_absent");
    found.map(|it| (lines.position(it.span.start).line - 1, it)).map(|(line, it)| (it, line)).collect()
}

/// The permissions of a statement that a warning names; all of them where it names none.
fn named(warning: &Diagnostic, statement: &str) -> Vec<&'static str> {
    let own = PERMISSIONS.into_iter().filter(|permission| statement.contains(permission));
    let (named, others): (Vec<_>, Vec<_>) = own.partition(|it| warning.message.contains(&format!("`{it}`")));
    if named.is_empty() { others } else { named }
}

/// The statements without these permissions of one of them, which goes where none is left.
fn without(statements: &[String], place: usize, permissions: &[&str]) -> Vec<String> {
    let mut rest = statements.to_vec();
    let statement = rest.remove(place);
    let left = permissions.iter().fold(statement.clone(), |text, permission| {
        text.replace(&format!("{permission}, "), "").replace(&format!(", {permission}"), "")
    });
    if PERMISSIONS.iter().any(|it| left.contains(it) && !permissions.contains(it)) {
        rest.insert(place, left);
    }
    rest
}

#[test]
fn what_is_deleted_is_what_a_warning_names() {
    let both = ["DENY x:y:z;".to_owned(), "ALLOW shop:orders:read, shop:items:read WHERE shop:tag = 'a';".to_owned()];
    let left = |permissions: &[&str]| without(&both, 1, permissions).get(1).cloned().unwrap_or_default();
    assert_eq!(left(&["shop:orders:read"]), "ALLOW shop:items:read WHERE shop:tag = 'a';");
    assert_eq!(left(&["shop:items:read"]), "ALLOW shop:orders:read WHERE shop:tag = 'a';");
    assert_eq!(left(&PERMISSIONS), "");
}

#[test]
fn what_a_warning_calls_useless_can_be_deleted() {
    let catalogue = catalogue();
    let seen: RefCell<BTreeMap<String, usize>> = RefCell::default();
    let config = Config { cases: 3_000, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config.clone(), TestRunner::deterministic().new_rng());
    let outcome = runner.run(&proptest::collection::vec(statement(), 1..4), |statements| {
        let useless = useless(&statements, &catalogue);
        if useless.is_empty() {
            return Ok(());
        }
        let before = decisions(&statements);
        for (warning, place) in useless {
            prop_assert!(!warning.is_error(), "{:?}: {:?}", statements, warning);
            let permissions = named(&warning, &statements[place]);
            let rest = without(&statements, place, &permissions);
            let partial = if rest.len() == statements.len() { OF_ONE } else { "" };
            *seen.borrow_mut().entry(format!("{}{partial}", warning.code)).or_default() += 1;
            prop_assert_eq!(&before, &decisions(&rest), "{:?}: {:?}", statements, warning);
        }
        Ok(())
    });
    outcome.expect("no warning is wrong");
    let seen = seen.into_inner();
    let codes: BTreeSet<_> = seen.keys().map(|key| key.trim_end_matches(OF_ONE)).collect();
    let expected = [
        "allow_always_denied",
        "contradicting_conditions",
        "duplicate_statement",
        "pointless_conditions",
        "unreachable_statement",
    ];
    assert_eq!(codes, expected.into(), "{seen:?}");
    for code in ["allow_always_denied", "contradicting_conditions"] {
        let partial = seen.get(&format!("{code}{OF_ONE}")).copied().unwrap_or_default();
        assert!(partial > 10, "`{code}` of one permission: {seen:?}");
    }
}
