//! The default catalogue: the published reference with the additions and the mark of the rules, and nothing else.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test ends where its data cannot be read, and says a skip aloud"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use doorward::model::catalogue::{Catalogue, CatalogueEntry, Operator};
use serde_json::Value;

/// Rules R29: permissions that other sources name.
const ADDITIONS: [&str; 13] = [
    "platform-management:effective-permissions:resolve",
    "platform-management:environments:read",
    "iam:users:read",
    "iam:groups:read",
    "platform-token:tokens:manage",
    "extensions:discovery.pmi:read",
    "app-engine:edge-connects:connect",
    "environment-api:api-tokens:write",
    "environment-api:entities:read",
    "environment-api:entities:write",
    "environment-api:metrics:read",
    "environment-api:security-problems:read",
    "environment-api:slo:read",
];

type Conditions = BTreeMap<String, BTreeSet<String>>;

#[test]
fn the_default_catalogue_is_readable() {
    let entries = Catalogue::default_entries();
    let names: BTreeSet<_> = entries.iter().map(|entry| entry.permission.as_str()).collect();
    assert_eq!((names.len(), entries.len()), (173, 173), "each permission stands once");
    assert_eq!(Catalogue::shipped().permissions().count(), 173);
}

#[test]
fn r6_one_pair_has_the_any_match_mark() {
    let marked = |entry: &CatalogueEntry| {
        let marked = entry.conditions.iter().filter(|spec| spec.any_match);
        marked.map(|spec| (entry.permission.to_string(), spec.name.to_string())).collect::<Vec<_>>()
    };
    let marked: Vec<_> = Catalogue::default_entries().iter().flat_map(marked).collect();
    assert_eq!(marked, [("storage:entities:read".to_owned(), "storage:dt.security_context".to_owned())]);
}

#[test]
fn r29_the_default_catalogue_is_the_reference_and_its_additions() {
    let Some(reference) = reference() else { return };
    let shipped: BTreeMap<String, Conditions> = Catalogue::default_entries().iter().map(shipped).collect();
    let mut expected: BTreeMap<String, Conditions> = reference.as_array().unwrap().iter().map(published).collect();
    for addition in ADDITIONS {
        assert!(expected.insert(addition.to_owned(), Conditions::new()).is_none(), "{addition} is published already");
    }
    assert_eq!(shipped, expected);
}

fn shipped(entry: &CatalogueEntry) -> (String, Conditions) {
    let operators = |spec: &doorward::model::catalogue::ConditionSpec| {
        spec.operators.iter().map(Operator::token).map(str::to_owned).collect()
    };
    let conditions = entry.conditions.iter().map(|spec| (spec.name.to_string(), operators(spec)));
    (entry.permission.to_string(), conditions.collect())
}

fn published(entry: &Value) -> (String, Conditions) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let operators = |condition: &Value| condition["operators"].as_array().unwrap().iter().map(text).collect();
    let conditions = entry["conditions"].as_array().unwrap().iter();
    (text(&entry["permission"]), conditions.map(|condition| (text(&condition["name"]), operators(condition))).collect())
}

/// The published catalogue, which the project does not hold a copy of.
fn reference() -> Option<Value> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/reference");
    let folder = std::env::var_os("DOORWARD_REFERENCE").map_or_else(beside, PathBuf::from);
    let path = folder.join("dynatrace-permissions.json");
    let Ok(text) = fs::read_to_string(&path) else {
        println!("skipped: there is no reference catalogue at {}", path.display());
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "CI skips nothing");
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}
