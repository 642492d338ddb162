//! A snapshot that several threads have made is the one that a single thread makes, and what one refuses the others refuse.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::num::NonZero;

use doorward::compile::workers::{Alone, Workers};
use doorward::model::object::{Change, Object, Record};
use doorward::model::revision::{Revision, StoreId};
use doorward::model::state::State;
use doorward::snapshot::build::Snapshot;
use doorward::threads::Threads;
use doorward::workload::{Dimensions, Random, Workload};

/// Large enough that every step is cut into parts.
const DIMENSIONS: Dimensions = Dimensions { policies: 600, groups: 300, users: 9_000 };

/// One thread that begins at the end, and leaves every third part undone.
struct Unruly;

impl Workers for Unruly {
    fn count(&self) -> NonZero<usize> {
        NonZero::new(4).unwrap()
    }

    fn each(&self, parts: usize, job: &(dyn Fn(usize) + Sync)) {
        (0..parts).rev().filter(|number| number % 3 != 0).for_each(job);
    }
}

fn store() -> StoreId {
    "00000000000000000000000000000001".parse().unwrap()
}

/// Everything that a snapshot is made of, or why there is none.
fn built(workers: &dyn Workers, state: &State, previous: Option<&Snapshot>) -> String {
    match Snapshot::build_with(workers, store(), state, previous) {
        Ok(snapshot) => format!("{snapshot:?}"),
        Err(rejected) => rejected.to_string(),
    }
}

/// Whoever builds `state`, it comes to the same; what that is.
fn built_alike(state: &State, previous: Option<&Snapshot>) -> String {
    let expected = built(&Alone, state, previous);
    for workers in [&Threads::of(3) as &dyn Workers, &Threads::default(), &Unruly] {
        assert!(built(workers, state, previous) == expected, "{:?}", expected.get(..200));
    }
    expected
}

#[test]
fn whoever_builds_the_snapshot_is_the_same() {
    let workload = Workload::new(DIMENSIONS, 3);
    let mut state = workload.state().unwrap();
    let before = Snapshot::build(store(), &state, None).unwrap();
    let whole = built_alike(&state, None);
    // Every policy another text: all groups are touched, and what is known is looked at.
    let mut random = Random::new(9);
    let changes: Vec<_> = (0..2_000).map(|_| workload.policy_change(&mut random, Revision::new(2))).collect();
    state.apply(Revision::new(2), &changes).unwrap();
    assert_ne!(built_alike(&state, Some(&before)), whole);
}

#[test]
fn of_several_errors_the_same_is_told() {
    let workload = Workload::new(DIMENSIONS, 3);
    let mut state = workload.state().unwrap();
    for (number, policy) in workload.policies().enumerate().skip(50).step_by(90) {
        let account = workload.account();
        let broken = Object::Policy(
            account,
            doorward::model::policy::Policy { statements: format!("ALLOW {number}"), ..policy },
        );
        let at = jiff::Timestamp::UNIX_EPOCH;
        let revision = Revision::new(2);
        state.apply(revision, &[Change::Put(Record { created: at, updated: at, revision, value: broken })]).unwrap();
    }
    assert!(built_alike(&state, None).contains("policy `"));
}
