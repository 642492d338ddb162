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
