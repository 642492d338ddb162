//! A replica that is cut off says so.

use std::thread;

use super::*;
use crate::store::api::Store as _;
use crate::store::etcd::{EtcdConfig, EtcdStore};
use crate::store::tests::support::etcd::{Cluster, Options};

/// Longer than anything here takes on a loaded machine.
const PATIENCE: Duration = Duration::from_mins(1);

fn until(store: &EtcdStore, what: &str, is_so: impl Fn(Duration) -> bool) {
    let begun = std::time::Instant::now();
    while !is_so(store.staleness()) {
        assert!(begun.elapsed() < PATIENCE, "not {what}: {:?}", store.staleness());
        thread::yield_now();
    }
}

#[test]
fn a_head_that_is_not_reached_until_the_next_question_was_missed() {
    let mut attendance = Attendance::default();
    let mut check = |known: u64, head: u64, now: u64, expected: Standing| {
        let found = attendance.standing(Revision::new(known), Revision::new(head), Revision::new(now));
        assert_eq!(found, expected, "{known} {head} {now}");
    };
    check(5, 5, 5, Standing::Newest);
    check(5, 6, 5, Standing::Behind);
    check(5, 7, 6, Standing::Behind);
    check(6, 8, 6, Standing::Missed);
    // The next one is missed after two questions again.
    check(6, 8, 6, Standing::Behind);
    check(6, 8, 7, Standing::Missed);
    check(7, 8, 7, Standing::Behind);
    check(7, 8, 8, Standing::Newest);
    check(8, 9, 8, Standing::Behind);
    check(8, 7, 8, Standing::Lost);
    check(8, 9, 8, Standing::Behind);
}

#[test]
fn an_outage_is_told_when_it_begins_and_when_it_ends() {
    let mut attendance = Attendance::default();
    assert!(!attendance.is_answered());
    assert_eq!([(); 3].map(|()| attendance.is_unanswered()), [true, false, false]);
    assert_eq!([(); 3].map(|()| attendance.is_answered()), [true, false, false]);
    assert!(attendance.is_unanswered());
}

#[test]
fn a_replica_that_is_cut_off_grows_stale_and_is_young_again_when_it_is_back() {
    let Some(mut cluster) = Cluster::start(Options::SINGLE) else { return };
    let store = EtcdStore::open(&EtcdConfig::new(cluster.endpoints(), "/d")).unwrap();
    let revision = store.state().revision;
    cluster.kill(0);
    until(&store, "stale", |age| age > EVERY * 3);
    assert_eq!(store.state().revision, revision, "it is served on");
    cluster.revive(0);
    until(&store, "young", |age| age < EVERY);
}
