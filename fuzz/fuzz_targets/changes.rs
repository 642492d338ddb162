//! A snapshot made from the one before it against one made from nothing, as in `tests/incremental.rs`: any bytes make a
//! state, a second one that is like it, and an order in which one becomes the other.

#![no_main]

#[path = "../../tests/reference/mod.rs"]
mod reference;

use std::collections::BTreeMap;

use doorward::model::object::{Change, Object, ObjectKey, Record};
use doorward::model::revision::StoreId;
use doorward::model::state::State;
use doorward::snapshot::build::Snapshot;
use libfuzzer_sys::fuzz_target;

use crate::reference::engine;
use crate::reference::generate::{Choices, World, question, world};
use crate::reference::moves::with_moves;

/// Questions asked after each change.
const QUESTIONS: usize = 4;
/// Bytes in which the states differ, at most.
const EDITS: usize = 8;
/// Bytes that few states need more of.
const STATE_BYTES: usize = 512;
/// The most changes in one commit.
const CHANGES: usize = 8;

fuzz_target!(|bytes: &[u8]| {
    let mut choices = Choices::new(bytes);
    let first = world(&mut choices);
    let second = world(&mut Choices::new(&edited(bytes, &mut choices)));
    let worlds = [first, second];
    let changes = changes(&worlds, &mut choices);
    let mut walk = Walk::new(&worlds);
    let mut left = changes.as_slice();
    while !left.is_empty() {
        let (these, later) = left.split_at((1 + choices.below(CHANGES)).min(left.len()));
        walk.step(these, &mut choices);
        left = later;
    }
});

/// The same bytes but for a few: most objects keep their ids, and some of them change.
fn edited(bytes: &[u8], choices: &mut Choices<'_>) -> Vec<u8> {
    let mut edited = bytes.to_vec();
    for _ in 0..=choices.below(EDITS) {
        let place = choices.below(256) + 256 * choices.below(STATE_BYTES / 256);
        let value = choices.below(256).to_le_bytes()[0];
        if let Some(byte) = edited.get_mut(place) {
            *byte = value;
        }
    }
    edited
}

fn records(state: &State) -> BTreeMap<ObjectKey, Record<Object>> {
    state.records().map(|record| (record.value.key(), record)).collect()
}

/// What makes the first state into the second, in any order: on the way references lead nowhere.
fn changes(worlds: &[World; 2], choices: &mut Choices<'_>) -> Vec<Change> {
    let [from, to] = worlds.each_ref().map(|world| records(&world.state));
    let put = to.values().filter(|record| from.get(&record.value.key()) != Some(record)).cloned().map(Change::Put);
    let delete = from.keys().filter(|key| !to.contains_key(key)).cloned().map(Change::Delete);
    let mut changes: Vec<_> = put.chain(delete).collect();
    for place in (1..changes.len()).rev() {
        changes.swap(place, place - choices.below(place + 1));
    }
    changes
}

struct Walk<'w> {
    worlds: &'w [World; 2],
    store: StoreId,
    state: State,
    /// The last that could be built.
    good: Snapshot,
}

// === impl Walk ===

impl<'w> Walk<'w> {
    fn new(worlds: &'w [World; 2]) -> Self {
        let store = "00000000000000000000000000000001".parse().expect("the id of a store");
        let state = worlds[0].state.clone();
        let good = Snapshot::build(store, &state, None).expect("a snapshot of a good state");
        Self { worlds, store, state, good }
    }

    fn step(&mut self, changes: &[Change], choices: &mut Choices<'_>) {
        let revision = self.state.revision.next().expect("a revision");
        let moved = with_moves(&self.state, changes);
        self.state.apply(revision, &moved).expect("the changes fit");
        let whole = Snapshot::build(self.store, &self.state, None);
        let next = Snapshot::build(self.store, &self.state, Some(&self.good));
        match (whole, next) {
            (Ok(whole), Ok(next)) => {
                assert!(whole.retired().eq(next.retired()), "retired statements after {changes:?}");
                (0..QUESTIONS).for_each(|_| self.ask([&whole, &next], choices));
                self.good = next;
            }
            (Err(_), Err(_)) => {}
            (whole, next) => panic!("{:?} from nothing, {:?} from before, after {changes:?}", whole.err(), next.err()),
        }
    }

    fn ask(&self, snapshots: [&Snapshot; 2], choices: &mut Choices<'_>) {
        let world = choices.pick(self.worlds);
        let question = question(choices, world);
        let [whole, next] = snapshots.map(|snapshot| engine::ask_until(snapshot, world.account, &question));
        assert_eq!(next, whole, "{question:?}");
    }
}
