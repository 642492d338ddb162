//! The global level of a store that another build has written.

use std::time::Duration;

use super::*;
use crate::config::resolved::KeepConfig;
use crate::model::account::{Account, Global};
use crate::model::binding::Binding;
use crate::model::catalogue::CatalogueEntry;
use crate::model::id::{AccountId, GroupId, PolicyId};
use crate::model::identity::{Group, GroupOwner};
use crate::model::level::{BindingLevel, Level};
use crate::model::policy::Policy;

const PERMISSION: &str = "hub:catalog:read";

const KEEP: KeepConfig = KeepConfig { log_commits: 1, requests: Duration::ZERO, audit: Duration::ZERO };

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
    open(&StoreConfig { engine: Engine::Embedded, directory: folder.to_owned(), state: None, keep: KEEP }, &clock())
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

/// A default policy that this build does not ship.
fn earlier(name: &str) -> Policy {
    let (id, level) = (PolicyId::from_bytes([7; 16]), Level::Global);
    let statements = "ALLOW hub:catalog:read;".to_owned();
    Policy { id, level, name: name.parse().unwrap(), description: String::new(), tags: Vec::new(), statements }
}

/// A store whose global level `change` made of the shipped one, and an account with a group that is bound to `bound`.
fn store_with_defaults(folder: &Path, bound: Option<PolicyId>, change: impl FnOnce(&mut Global)) {
    store(folder, None, |_| {});
    let store = EmbeddedStore::open(folder).unwrap();
    let mut global = shipped_global();
    change(&mut global);
    let account = AccountId::from_bytes([1; 16]);
    let (id, owner) = (GroupId::from_bytes([2; 16]), GroupOwner::Local);
    let (name, description) = ("Group".parse().unwrap(), String::new());
    let group = Group { id, name, description, owner, federated_attribute_values: Vec::new() };
    let mut edits = vec![Edit::Put(Object::Global(global)), Edit::Put(Object::Group(account, group))];
    edits.extend(bound.map(|policy| {
        let (parameters, boundaries, metadata) = ([].into(), [].into(), [].into());
        let level = BindingLevel::Account;
        Edit::Put(Object::Binding(account, Binding { policy, group: id, level, parameters, boundaries, metadata }))
    }));
    commit(&store, &clock(), edits).unwrap();
}

fn global_of(opened: &OpenedStore) -> Global {
    opened.store.state().global.as_ref().unwrap().value.clone()
}

#[test]
fn a_newer_build_brings_its_default_policies_and_groups() {
    let folder = tempfile::tempdir().unwrap();
    // As a store of the first version has it.
    store_with_defaults(folder.path(), None, |global| {
        global.policies.clear();
        global.groups.clear();
        global.defaults_version = 0;
    });
    assert_eq!(global_of(&open_in(folder.path()).unwrap()), shipped_global());
    assert_eq!(open_in(folder.path()).unwrap().store.state().revision, Revision::new(3), "once");
}

#[test]
fn an_older_build_does_not_take_default_policies_back() {
    let folder = tempfile::tempdir().unwrap();
    store_with_defaults(folder.path(), None, |global| {
        global.policies.push(earlier("Of the future"));
        global.policies.remove(0);
        global.groups.pop();
        global.defaults_version += 1;
    });
    let before = EmbeddedStore::open(folder.path()).unwrap().state().global.clone();
    let opened = open_in(folder.path()).unwrap();
    assert_eq!(opened.store.state().global, before);
    assert_eq!(opened.store.state().revision, Revision::new(2));
}

#[test]
fn a_default_policy_that_a_newer_build_drops_stays_while_it_is_bound() {
    let folder = tempfile::tempdir().unwrap();
    let dropped = earlier("Dropped");
    let older = |global: &mut Global| {
        global.policies.push(dropped.clone());
        global.defaults_version = 0;
    };
    store_with_defaults(folder.path(), Some(dropped.id), older);
    let opened = open_in(folder.path()).unwrap();
    let kept = opened.store.state().global_policies().get(&dropped.id).unwrap().value.clone();
    assert_eq!(kept, Policy { tags: vec!["retired".to_owned()], ..dropped.clone() }, "its text is as it was");
    assert_eq!(global_of(&opened).policies.len(), shipped_global().policies.len() + 1);
    let binding = opened.store.state().accounts.values().next().unwrap().bindings.keys().next().copied().unwrap();
    drop(opened);
    assert_eq!(open_in(folder.path()).unwrap().store.state().revision, Revision::new(3), "and no commit at each start");

    let store = EmbeddedStore::open(folder.path()).unwrap();
    commit(&store, &clock(), vec![Edit::Delete(ObjectKey::Binding(AccountId::from_bytes([1; 16]), binding))]).unwrap();
    drop(store);
    assert_eq!(global_of(&open_in(folder.path()).unwrap()), shipped_global(), "it goes when nothing is bound to it");
}

#[test]
fn a_dropped_policy_that_nothing_binds_goes() {
    let folder = tempfile::tempdir().unwrap();
    store_with_defaults(folder.path(), None, |global| {
        global.policies.push(earlier("Dropped"));
        global.defaults_version = 0;
    });
    assert_eq!(global_of(&open_in(folder.path()).unwrap()), shipped_global());
}

#[test]
fn a_kept_policy_makes_room_for_a_new_one_of_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let dropped = earlier("Read Logs");
    store_with_defaults(folder.path(), Some(dropped.id), |global| {
        global.policies.retain(|policy| policy.name != dropped.name);
        global.policies.push(dropped.clone());
        global.defaults_version = 0;
        global.groups.clear();
    });
    let opened = open_in(folder.path()).unwrap();
    let state = opened.store.state();
    let named = state.global_policy_by_name(&dropped.name).unwrap().value.clone();
    assert_eq!(
        named.statements,
        shipped_global().policies.iter().find(|it| it.name == dropped.name).unwrap().statements
    );
    let kept = &state.global_policies().get(&dropped.id).unwrap().value;
    assert_eq!(kept.name.as_str(), format!("Read Logs (retired {})", dropped.id));
    drop(opened);
    assert_eq!(open_in(folder.path()).unwrap().store.state().revision, Revision::new(3));
}

#[test]
fn a_store_whose_load_did_not_end_is_not_served() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path(), None, |_| {});
    EmbeddedStore::open(folder.path()).unwrap().set_loading(true).unwrap();
    let refused = open_in(folder.path()).err().unwrap();
    assert!(matches!(refused, BootstrapError::Loading { .. }), "{refused}");
    assert!(refused.to_string().contains(&folder.path().display().to_string()), "{refused}");
    EmbeddedStore::open(folder.path()).unwrap().set_loading(false).unwrap();
    open_in(folder.path()).unwrap();
}
