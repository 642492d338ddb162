//! The global level of a store that another build has written.

use super::*;
use crate::model::account::Account;
use crate::model::catalogue::CatalogueEntry;
use crate::model::id::AccountId;

const PERMISSION: &str = "hub:catalog:read";

fn clock() -> Clock {
    Clock::from_fn(|| jiff::Timestamp::UNIX_EPOCH)
}

/// A store whose catalogue `change` made of the shipped one, with an account that added `condition` to a permission.
fn store(folder: &Path, condition: Option<&str>, change: impl FnOnce(&mut Vec<CatalogueEntry>)) {
    let store = EmbeddedStore::open(folder).unwrap();
    let mut global = shipped_global();
    change(&mut global.catalogue);
    let account = AccountId::from_bytes([1; 16]);
    let name = "Example".parse().unwrap();
    let mut edits = vec![
        Edit::Put(Object::Global(global)),
        Edit::Put(Object::Account(Account { id: account, name, strict_boundaries: false })),
    ];
    edits.extend(condition.map(|json| Edit::Put(Object::CatalogueEntry(account, serde_json::from_str(json).unwrap()))));
    commit(&store, &clock(), edits).unwrap();
}

fn open_in(folder: &Path) -> Result<OpenedStore, BootstrapError> {
    open(&StoreConfig { directory: folder.to_owned(), state: None }, &clock())
}

fn known(opened: &OpenedStore) -> Vec<CatalogueEntry> {
    opened.store.state().global.as_ref().unwrap().value.catalogue.clone()
}

#[test]
fn a_newer_build_brings_its_catalogue() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path(), None, |catalogue| catalogue.retain(|entry| entry.permission.as_str() != PERMISSION));
    let opened = open_in(folder.path()).unwrap();
    assert_eq!(known(&opened), shipped_global().catalogue);
    assert_eq!(opened.store.state().revision, Revision::new(2));
    drop(opened);
    // The second start of the same build changes nothing.
    assert_eq!(open_in(folder.path()).unwrap().store.state().revision, Revision::new(2));
}

#[test]
fn an_older_build_does_not_take_a_catalogue_back() {
    let folder = tempfile::tempdir().unwrap();
    let newer: CatalogueEntry = serde_json::from_str(r#"{"permission":"new:in:future","conditions":[]}"#).unwrap();
    store(folder.path(), None, |catalogue| catalogue.push(newer.clone()));
    let opened = open_in(folder.path()).unwrap();
    assert!(known(&opened).contains(&newer));
    assert_eq!(opened.store.state().revision, Revision::new(1));
}

#[test]
fn a_catalogue_that_an_account_does_not_fit_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // What an account added to a permission, a newer build ships with other operators.
    let added =
        r#"{"permission":"settings:objects:read","conditions":[{"name":"settings:scope","operators":["MATCH"]}]}"#;
    store(folder.path(), Some(added), |catalogue| {
        for entry in catalogue.iter_mut().filter(|entry| entry.permission.as_str() == "settings:objects:read") {
            entry.conditions.retain(|spec| spec.name.as_str() != "settings:scope");
        }
    });
    let refused = open_in(folder.path()).err().unwrap().to_string();
    assert!(refused.contains("settings:scope") && refused.contains("01010101-"), "{refused}");
    let store = EmbeddedStore::open(folder.path()).unwrap();
    assert_eq!(store.state().revision, Revision::new(1));
}
