//! Loads among which somebody else commits.

use super::*;
use crate::store::embedded::EmbeddedStore;

fn edit() -> Edit {
    Edit::Put(Object::Global(shipped_global()))
}

/// Loads where somebody else commits before edit number `when` is read; gives what came of it, and whether it is marked.
fn disturbed(when: usize) -> (anyhow::Error, bool) {
    let folder = tempfile::tempdir().unwrap();
    let (store, clock) = (EmbeddedStore::open(folder.path()).unwrap(), Clock::system());
    let edits = (0..BATCH * 2).map(|number| {
        if number == when {
            let (actor, at, expected) = (Actor::system(), clock.now(), store.state().revision);
            let id = "5f0c6d0e-8a1b-4c3d-9e2f-7a6b5c4d3e2f".parse().unwrap();
            let name = "Other".parse().unwrap();
            let other = Object::Account(crate::model::account::Account { id, name, strict_boundaries: false });
            let edits = vec![edit(), Edit::Put(other)];
            store.commit(Mutation { actor, at, expected, request: None, subject: ObjectKey::Global, edits }).unwrap();
        }
        edit()
    });
    let refused = load(&store, "it", &clock, edits).unwrap_err();
    let after = store.state().revision;
    assert_eq!(store.log_start().unwrap().next(), Some(after), "the commit of the other one stays in the log");
    (refused, store.is_loading().unwrap())
}

#[test]
fn a_load_gives_way_to_whoever_commits_meanwhile() {
    let (refused, is_marked) = disturbed(0);
    assert!(refused.to_string().contains("`it` was changed by somebody else"), "{refused}");
    assert!(!is_marked, "nothing of the load is there");
    let (refused, is_marked) = disturbed(BATCH);
    assert!(refused.to_string().contains("`it` was changed by somebody else"), "{refused}");
    assert!(is_marked, "it holds a part of the load");
}
