//! The sentences of the contract about compaction, each on every engine.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::super::api::{CommitEffect, Compacted, Retention, Store, StoreError};
use super::{Place, account, at, commit, contents, furnished, mutation, puts, request};
use crate::model::mutation::Mutation;
use crate::model::revision::Revision;

super::on_every_engine! {
    a_new_log_starts_at_nothing,
    compaction_that_keeps_everything_takes_nothing,
    compaction_keeps_the_newest_commits,
    a_reader_before_the_start_of_the_log_is_told_so,
    the_start_of_the_log_only_moves_forward,
    compaction_changes_no_state_and_wakes_nobody,
    a_log_that_was_emptied_goes_on,
    a_remembered_request_is_answered_without_its_log_entry,
    a_forgotten_request_is_a_new_one,
    a_request_that_changed_nothing_is_forgotten_too,
    old_audit_events_are_taken_away_up_to_the_first_that_is_kept,
    compaction_of_more_than_one_transaction_goes_on_to_the_end,
    commits_go_on_beside_compaction,
    a_load_is_marked_until_it_ends,
}

const FOREVER: Duration = Duration::from_secs(1_000_000_000);
const EVERYTHING: Retention = Retention { commits: u64::MAX, requests: FOREVER, audit: FOREVER };

/// A furnished store at revision `head`; commit `n` was made at second `n` and has the request id `n`.
fn at_head(place: &dyn Place, head: u64) -> Box<dyn Store> {
    let store = furnished(place);
    for number in 1..head {
        let name = format!("n{number}");
        let made = mutation(Revision::new(number), puts([account(1, &name)]));
        store.commit(Mutation { request: Some(request(&number.to_string(), 1)), ..made }).unwrap();
    }
    store
}

fn compact(store: &dyn Store, retention: Retention, now: i64) -> Compacted {
    store.compact(&retention, at(now)).unwrap()
}

fn log(store: &dyn Store, after: u64) -> Vec<u64> {
    store.changes_after(Revision::new(after), 100).unwrap().iter().map(|entry| entry.revision.get()).collect()
}

fn audit(store: &dyn Store) -> Vec<u64> {
    store.audit_after(Revision::ZERO, 100).unwrap().iter().map(|event| event.revision.get()).collect()
}

fn a_new_log_starts_at_nothing(place: &dyn Place) {
    assert_eq!(place.open().log_start().unwrap(), Revision::ZERO);
}

fn compaction_that_keeps_everything_takes_nothing(place: &dyn Place) {
    let store = at_head(place, 5);
    for retention in [EVERYTHING, Retention { commits: 5, ..EVERYTHING }] {
        assert_eq!(compact(&*store, retention, 1_000), Compacted::default());
    }
    assert_eq!((log(&*store, 0).len(), audit(&*store).len()), (5, 5));
}

fn compaction_keeps_the_newest_commits(place: &dyn Place) {
    let mut store = at_head(place, 6);
    let kept = store.changes_after(Revision::new(4), 10).unwrap();
    let done = compact(&*store, Retention { commits: 2, ..EVERYTHING }, 1_000);
    assert_eq!(done, Compacted { commits: 4, log_start: Revision::new(4), ..Compacted::default() });
    for _ in 0..2 {
        assert_eq!(store.log_start().unwrap(), Revision::new(4));
        assert_eq!(store.changes_after(Revision::new(4), 10).unwrap(), kept);
        assert_eq!(audit(&*store).len(), 6, "the audit is kept for a time of its own");
        drop(store);
        store = place.open();
    }
}

fn a_reader_before_the_start_of_the_log_is_told_so(place: &dyn Place) {
    let store = at_head(place, 6);
    compact(&*store, Retention { commits: 2, ..EVERYTHING }, 1_000);
    for after in 0..4 {
        for limit in [0, 1, 100] {
            let refused = store.changes_after(Revision::new(after), limit);
            assert!(
                matches!(refused, Err(StoreError::Compacted { oldest }) if oldest == Revision::new(4)),
                "{after} {limit}: {refused:?}"
            );
        }
    }
    assert_eq!((log(&*store, 4), log(&*store, 5)), (vec![5, 6], vec![6]));
}

fn the_start_of_the_log_only_moves_forward(place: &dyn Place) {
    let store = at_head(place, 6);
    compact(&*store, Retention { commits: 1, ..EVERYTHING }, 1_000);
    let done = compact(&*store, Retention { commits: 4, ..EVERYTHING }, 1_000);
    assert_eq!(done, Compacted { log_start: Revision::new(5), ..Compacted::default() });
    assert_eq!(log(&*store, 5), [6]);
}

fn compaction_changes_no_state_and_wakes_nobody(place: &dyn Place) {
    let store = at_head(place, 6);
    let (before, mut head) = (contents(&store.state()), store.watch());
    head.mark_unchanged();
    compact(&*store, Retention { commits: 0, requests: Duration::ZERO, audit: Duration::ZERO }, 1_000);
    assert!(!head.has_changed().unwrap());
    assert_eq!(contents(&store.state()), before);
    drop(store);
    assert_eq!(contents(&place.open().state()), before);
}

fn a_log_that_was_emptied_goes_on(place: &dyn Place) {
    let store = at_head(place, 3);
    compact(&*store, Retention { commits: 0, requests: Duration::ZERO, audit: Duration::ZERO }, 1_000);
    assert_eq!((log(&*store, 3), audit(&*store)), (vec![], vec![]));
    drop(store);
    let store = place.open();
    assert_eq!((store.state().revision, store.log_start().unwrap()), (Revision::new(3), Revision::new(3)));
    commit(&*store, puts([account(3, "three")])).unwrap();
    assert_eq!((log(&*store, 3), audit(&*store)), (vec![4], vec![4]));
}

fn a_remembered_request_is_answered_without_its_log_entry(place: &dyn Place) {
    let mut store = at_head(place, 6);
    let first = store.replay(&request("2", 1)).unwrap().unwrap();
    compact(&*store, Retention { commits: 0, ..EVERYTHING }, 1_000);
    for _ in 0..2 {
        assert_eq!(store.replay(&request("2", 1)).unwrap().unwrap(), first);
        let again = mutation(Revision::new(6), puts([account(1, "other")]));
        let again = store.commit(Mutation { request: Some(request("2", 1)), ..again }).unwrap();
        assert_eq!((again.revision, again.effect), (Revision::new(3), CommitEffect::Replayed));
        assert!(matches!(store.replay(&request("2", 2)), Err(StoreError::RequestIdReused { .. })));
        drop(store);
        store = place.open();
    }
}

fn a_forgotten_request_is_a_new_one(place: &dyn Place) {
    let store = at_head(place, 6);
    // Requests `1` to `5` were answered at their second: two are older than three seconds at second six.
    let done = compact(&*store, Retention { requests: Duration::from_secs(3), ..EVERYTHING }, 6);
    assert_eq!(done.requests, 2);
    let known = |id: &str| store.replay(&request(id, 1)).unwrap().is_some();
    assert_eq!(["1", "2", "3", "4", "5"].map(known), [false, false, true, true, true]);
    let anew = mutation(Revision::new(6), puts([account(1, "anew")]));
    let anew = store.commit(Mutation { request: Some(request("1", 9)), ..anew }).unwrap();
    assert_eq!((anew.revision, anew.effect), (Revision::new(7), CommitEffect::Changed));
    assert_eq!(compact(&*store, Retention { requests: Duration::from_secs(3), ..EVERYTHING }, 6).requests, 0);
    assert!(store.replay(&request("1", 9)).unwrap().is_some());
}

fn a_request_that_changed_nothing_is_forgotten_too(place: &dyn Place) {
    let store = furnished(place);
    let same = mutation(Revision::new(1), puts([account(1, "one")]));
    store.commit(Mutation { request: Some(request("r", 1)), ..same }).unwrap();
    assert_eq!(compact(&*store, Retention { requests: Duration::ZERO, ..EVERYTHING }, 100).requests, 1);
    assert_eq!(store.replay(&request("r", 1)).unwrap(), None);
}

fn old_audit_events_are_taken_away_up_to_the_first_that_is_kept(place: &dyn Place) {
    let store = furnished(place);
    for (number, second) in [(2, 10), (3, 50), (4, 20), (5, 60)] {
        let made = mutation(store.state().revision, puts([account(1, &format!("n{number}"))]));
        store.commit(Mutation { at: at(second), ..made }).unwrap();
    }
    let done = compact(&*store, Retention { audit: Duration::from_mins(1), ..EVERYTHING }, 100);
    assert_eq!((done.audit, audit(&*store)), (2, vec![3, 4, 5]));
    assert_eq!(log(&*store, 0).len(), 5, "the log is kept for a count of its own");
    drop(store);
    assert_eq!(audit(&*place.open()), [3, 4, 5]);
}

fn compaction_of_more_than_one_transaction_goes_on_to_the_end(place: &dyn Place) {
    let store = furnished(place);
    for number in 0..1_100_u32 {
        let same = mutation(Revision::new(1), puts([account(1, "one")]));
        store.commit(Mutation { request: Some(request(&number.to_string(), 1)), ..same }).unwrap();
    }
    assert_eq!(compact(&*store, Retention { requests: Duration::ZERO, ..EVERYTHING }, 100).requests, 1_100);
    assert_eq!(store.replay(&request("1099", 1)).unwrap(), None);
}

fn commits_go_on_beside_compaction(place: &dyn Place) {
    const COMMITS: u64 = 60;
    let store: Arc<dyn Store> = Arc::from(furnished(place));
    let writer = {
        let store = Arc::clone(&store);
        thread::spawn(move || {
            for number in 0..COMMITS {
                commit(&*store, puts([account(1, &format!("n{number}"))])).unwrap();
            }
        })
    };
    while !writer.is_finished() {
        compact(&*store, Retention { commits: 3, requests: Duration::ZERO, audit: Duration::ZERO }, 0);
        let start = store.log_start().unwrap().get();
        // The log may be compacted no further: this is the only one who does.
        let found = log(&*store, start);
        assert!(found.iter().copied().eq((start + 1..).take(found.len())), "{start}: {found:?}");
    }
    writer.join().unwrap();
    compact(&*store, Retention { commits: 3, ..EVERYTHING }, 0);
    assert_eq!(log(&*store, COMMITS - 2), [COMMITS - 1, COMMITS, COMMITS + 1]);
}

fn a_load_is_marked_until_it_ends(place: &dyn Place) {
    let mut store = furnished(place);
    assert!(!store.is_loading().unwrap());
    for _ in 0..2 {
        for loading in [true, false] {
            assert!(store.set_loading(loading).unwrap());
            assert_eq!(store.is_loading().unwrap(), loading);
        }
    }
    for loading in [false, true] {
        if loading {
            assert!(store.set_loading(loading).unwrap());
        }
        drop(store);
        store = place.open();
        assert_eq!(store.is_loading().unwrap(), loading);
    }
    assert_eq!(store.state().revision, Revision::new(1));
}
