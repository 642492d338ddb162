//! Limits of a binding in a state file, and of the bindings of one group and the boundaries of an account.

use serde_json::{Map, Value, json};

use crate::drivers::Told;
use crate::{ask, check_edge, check_refused, loaded};

const LOGS: &str = "ALLOW storage:logs:read;";

/// A binding of the policy `P` to Ada's group, with these keys beside.
fn bound(statements: &str, boundaries: &[String], keys: &Value) -> Value {
    let mut binding = json!({"policy": "P", "group": "G", "level": "account"});
    binding.as_object_mut().expect("an object").extend(keys.as_object().expect("keys").clone());
    let boundaries = boundaries.iter().zip(0..).map(|(query, n)| json!({"name": format!("b{n}"), "query": query}));
    json!({
        "policies": [{"name": "P", "level": "account", "statements": statements}],
        "boundaries": boundaries.collect::<Vec<_>>(),
        "bindings": [binding],
    })
}

fn with_parameters(parameters: &Map<String, Value>) -> Value {
    bound(LOGS, &[], &json!({ "parameters": parameters }))
}

fn one(name: String, value: String) -> Map<String, Value> {
    [(name, Value::String(value))].into_iter().collect()
}

#[test]
fn a_binding_has_20_boundaries() {
    check_edge(20, "bindings[0].boundaries limit_exceeded", |count| {
        let names: Vec<_> = (0..count).map(|n| format!("b{n}")).collect();
        let queries = vec![r#"storage:host.name = "h";"#.to_owned(); count];
        bound(LOGS, &queries, &json!({ "boundaries": names }))
    });
}

#[test]
fn a_binding_has_64_parameters() {
    let entries = |count: usize| (0..count).map(|n| (format!("p{n}"), Value::from("v"))).collect();
    check_edge(64, "bindings[0].parameters limit_exceeded", |count| with_parameters(&entries(count)));
}

#[test]
fn a_parameter_has_128_bytes_of_name() {
    let expected = "bindings[0].parameters limit_exceeded";
    check_edge(128, expected, |bytes| with_parameters(&one("n".repeat(bytes), String::new())));
    // Bytes, not characters.
    let wide = |bytes: usize| "é".repeat(bytes / 2) + &"n".repeat(bytes % 2);
    check_edge(128, expected, |bytes| with_parameters(&one(wide(bytes), String::new())));
}

/// A name at the limit of the binding is one at the limit of the placeholder that uses it.
#[test]
fn the_longest_name_of_a_parameter_is_the_longest_of_a_placeholder() {
    let name = "p".repeat(128);
    let statements = format!(r#"ALLOW storage:logs:read WHERE storage:host.name = "${{bindParam:{name}}}";"#);
    let loaded = loaded(bound(&statements, &[], &json!({"parameters": one(name, "h".to_owned())})));
    assert_eq!(ask(&loaded, "storage:logs:read", &[("storage:host.name", "h")]).decision.as_deref(), Some("ALLOW"));
}

#[test]
fn a_parameter_has_1024_bytes_of_value() {
    let expected = "bindings[0].parameters.p limit_exceeded";
    check_edge(1_024, expected, |bytes| with_parameters(&one("p".to_owned(), "v".repeat(bytes))));
    let wide = |bytes: usize| "é".repeat(bytes / 2) + &"v".repeat(bytes % 2);
    check_edge(1_024, expected, |bytes| with_parameters(&one("p".to_owned(), wide(bytes))));
}

/// A condition that comes to so many bytes: four times the parameter of 1,000 bytes, and the rest in the text.
fn filled(bytes: usize) -> (String, Value) {
    let value = "${bindParam:p}".repeat(4) + &"x".repeat(bytes - 4_000);
    (format!(r#"storage:host.name = "{value}";"#), json!({"p": "v".repeat(1_000)}))
}

#[test]
fn a_filled_in_value_has_4096_bytes() {
    let expected = "bindings[0].parameters parameter_invalid";
    let policy = |bytes| {
        let (condition, parameters) = filled(bytes);
        bound(&format!("ALLOW storage:logs:read WHERE {condition}"), &[], &json!({ "parameters": parameters }))
    };
    let boundary = |bytes| {
        let (condition, parameters) = filled(bytes);
        bound(LOGS, &[condition], &json!({"parameters": parameters, "boundaries": ["b0"]}))
    };
    let value = "v".repeat(4_000) + &"x".repeat(96);
    for make in [&policy as &dyn Fn(usize) -> Value, &boundary] {
        check_edge(4_096, expected, make);
        // The longest value that a text comes to is the longest that a request can hold.
        let decided = |value: &str| ask(&loaded(make(4_096)), "storage:logs:read", &[("storage:host.name", value)]);
        assert_eq!(decided(&value).decision.as_deref(), Some("ALLOW"));
        assert_eq!(decided(value.trim_start_matches('v')).decision.as_deref(), Some("DENY"));
    }
}

/// So many are built, and each of them counts. The limit is of the group: others have room.
#[test]
fn a_group_has_10000_bindings() {
    let binding = |group: &str, n: usize| {
        let parameters = json!({"host": format!("h{n}")});
        json!({"policy": "P", "group": group, "level": "account", "parameters": parameters})
    };
    let state = |count: usize| {
        let others = [binding("ALL_USERS", 0), binding("H", 0), binding("H", 1)];
        json!({
            "groups": [{"name": "G"}, {"name": "H"}],
            "policies": [{
                "name": "P",
                "level": "account",
                "statements": r#"ALLOW storage:logs:read WHERE storage:host.name = "${bindParam:host}";"#,
            }],
            "bindings": others.into_iter().chain((0..count).map(|n| binding("G", n))).collect::<Vec<_>>(),
        })
    };
    check_refused(state(10_001), "bindings[10003] limit_exceeded", 10_000);
    let loaded = loaded(state(10_000));
    for (host, decision) in [("h0", "ALLOW"), ("h4999", "ALLOW"), ("h9999", "ALLOW"), ("h10000", "DENY")] {
        let told = ask(&loaded, "storage:logs:read", &[("storage:host.name", host)]);
        assert_eq!(told.decision.as_deref(), Some(decision), "{host}");
    }
    let unsaid = ask(&loaded, "storage:logs:read", &[]);
    assert_eq!(
        unsaid,
        Told { decision: Some("DENY".to_owned()), code: Some("no_match".to_owned()), ..Told::default() }
    );
}

#[test]
fn an_account_has_2000_boundaries() {
    check_edge(2_000, "boundaries[2000] limit_exceeded", |count| {
        let boundary = |n: usize| json!({"name": format!("b{n}"), "query": "global:week-day = 'Monday';"});
        json!({"boundaries": (0..count).map(boundary).collect::<Vec<_>>()})
    });
}
