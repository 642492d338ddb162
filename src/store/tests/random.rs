//! Random loads: what is on the disk is what is in memory.

use proptest::prelude::*;

use super::super::api::{CommitEffect, Store};
use super::super::memory::Memory;
use super::etcd::Prefix;
use super::{Folder, Place, account, commit, contents, global, owned};
use crate::model::mutation::Edit;
use crate::model::object::Object;
use crate::model::revision::Revision;
use crate::model::state::State;

/// Few ids and few names, so that they meet often.
fn any_object() -> impl Strategy<Value = Object> {
    prop_oneof![
        1 => Just(global()),
        3 => (1..3_u8, 0..2_u8).prop_map(|(number, form)| account(number, &format!("n{form}"))),
        12 => (0..super::OWNED, 1..3_u8, 1..4_u8, 0..4_u8).prop_map(|(noun, owner, n, form)| owned(noun, owner, n, form)),
    ]
}

fn any_edit() -> impl Strategy<Value = Edit> {
    (any_object(), 0..4_u8).prop_map(|(object, choice)| match choice {
        0 => Edit::Delete(object.key()),
        _ => Edit::Put(object),
    })
}

fn any_load() -> impl Strategy<Value = Vec<Vec<Edit>>> {
    proptest::collection::vec(proptest::collection::vec(any_edit(), 1..8), 1..16)
}

/// The state that the log alone leads to.
fn replayed(store: &dyn Store) -> State {
    let mut state = State::default();
    for entry in store.changes_after(Revision::ZERO, usize::MAX).unwrap() {
        state.apply(entry.revision, entry.changes.iter()).unwrap();
    }
    state
}

fn check(place: &dyn Place, load: Vec<Vec<Edit>>) {
    let store = place.open();
    for edits in load {
        let before = contents(&store.state());
        let changed = commit(&*store, edits).is_ok_and(|committed| committed.effect == CommitEffect::Changed);
        assert_eq!(store.state().revision.get(), before.0.get() + u64::from(changed));
        assert!(changed || contents(&store.state()) == before);
    }
    let live = contents(&store.state());
    assert_eq!(contents(&replayed(&*store)), live);
    drop(store);
    assert_eq!(contents(&place.open().state()), live);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_reopened_store_in_memory_equals_the_live_one(load in any_load()) {
        check(&Memory::new().unwrap(), load);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_reopened_file_equals_the_live_store(load in any_load()) {
        check(&Folder::new(), load);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_reopened_store_in_etcd_equals_the_live_one(load in any_load()) {
        if let Some(place) = Prefix::new() {
            check(&place, load);
        }
    }
}
