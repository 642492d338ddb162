//! Limits of a request, asked in every way. They hold for attributes that the permission does not know too (R5).

use crate::drivers::{Driver, Told, WAYS};
use crate::reference::Question;
use crate::{loaded, question};
use serde_json::{Value, json};

const READ: &str = "storage:logs:read";
/// An attribute that the permission takes, one that only another takes, and one that none does.
const NAMES: [&str; 3] = ["storage:host.name", "storage:entity.type", "no:such"];

fn state() -> Value {
    json!({
        "policies": [{
            "name": "P",
            "level": "account",
            "statements": r#"ALLOW storage:logs:read; DENY storage:logs:read WHERE storage:host.name = "no";"#,
        }],
        "bindings": [{"policy": "P", "group": "G", "level": "account"}],
    })
}

fn drivers() -> Vec<(&'static str, Box<dyn Driver>)> {
    let loaded = loaded(state());
    let start = |way: &crate::drivers::Way| (way.name, (way.start)(loaded.account, &loaded.state).expect(way.name));
    WAYS.iter().map(start).collect()
}

/// Each question in each way: what is decided, or the field that is wrong.
fn check(rows: &[(Question, Result<&str, &str>)]) {
    for (name, driver) in drivers() {
        for (asked, expected) in rows {
            let Told { decision, error, field, .. } = driver.answer(asked);
            let found = (decision.as_deref(), error.as_deref(), field.as_deref());
            let expected = match *expected {
                Ok(decision) => (Some(decision), None, None),
                Err(field) => (None, Some("bad_request"), Some(field)),
            };
            let size = (asked.attributes.len(), asked.absent.len());
            assert_eq!(found, expected, "{name}, {size:?}: {:?}", asked.attributes.keys().next());
        }
    }
}

fn valued(name: &str, values: Vec<String>) -> Question {
    Question { attributes: [(name.to_owned(), values)].into(), ..question(READ, &[]) }
}

/// So many attributes, none of which the permission knows but, where it is `known`, the last.
fn attributes(count: usize, known: bool) -> Question {
    let last = usize::from(known);
    let names = (0..count - last).map(|n| format!("x:{n}")).chain(known.then(|| NAMES[0].to_owned()));
    Question { attributes: names.map(|name| (name, vec!["v".to_owned()])).collect(), ..question(READ, &[]) }
}

#[test]
fn a_request_has_256_attributes() {
    // Where a name is unsaid that a DENY asks for, nobody knows.
    check(&[
        (attributes(256, false), Ok("DENY")),
        (attributes(256, true), Ok("ALLOW")),
        (attributes(257, false), Err("attributes")),
        (attributes(257, true), Err("attributes")),
    ]);
}

#[test]
fn absent_names_are_no_attributes() {
    let absent = |count: usize| -> Vec<_> { (0..count).map(|n| format!("y:{n}")).collect() };
    check(&[
        (Question { absent: absent(1_000), ..attributes(256, true) }, Ok("ALLOW")),
        (Question { absent: absent(1), ..attributes(257, true) }, Err("attributes")),
        (Question { absent: vec![NAMES[0].to_owned()], ..attributes(256, false) }, Ok("ALLOW")),
    ]);
}

#[test]
fn a_request_has_10000_absent_names() {
    let absent = |count: usize| {
        let names = (1..count).map(|n| format!("y:{n}")).chain([NAMES[0].to_owned()]);
        Question { absent: names.collect(), ..question(READ, &[]) }
    };
    check(&[(absent(10_000), Ok("ALLOW")), (absent(10_001), Err("absent"))]);
}

#[test]
fn an_attribute_has_500_values() {
    for name in NAMES {
        let many = |count: usize| valued(name, vec!["v".to_owned(); count]);
        let field = format!("attributes.{name}");
        // Several values on a scalar operator of a DENY are UNKNOWN (R3), and so is what is not said.
        check(&[(many(500), Ok("DENY")), (many(501), Err(&field))]);
        let absent = |count: usize| Question { absent: vec![NAMES[0].to_owned()], ..many(count) };
        if name != NAMES[0] {
            check(&[(absent(500), Ok("ALLOW")), (absent(501), Err(&field))]);
        }
    }
}

#[test]
fn a_value_has_4096_bytes() {
    for name in NAMES {
        let field = format!("attributes.{name}");
        let absent = if name == NAMES[0] { Vec::new() } else { vec![NAMES[0].to_owned()] };
        let long = |value: String| Question { absent: absent.clone(), ..valued(name, vec![value]) };
        check(&[
            (long("v".repeat(4_096)), Ok("ALLOW")),
            (long("v".repeat(4_097)), Err(&field)),
            (long("é".repeat(2_048)), Ok("ALLOW")),
            (long("é".repeat(2_048) + "v"), Err(&field)),
        ]);
        // Each of several is looked at.
        let last = |bytes: usize| valued(name, vec!["v".to_owned(), "w".repeat(bytes)]);
        check(&[(last(4_097), Err(&field))]);
    }
}
