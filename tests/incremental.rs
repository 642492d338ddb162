//! A snapshot made from the one before it is the snapshot made from nothing, whatever changed in between.
//!
//! Two random states of one account are made into each other change by change, in random order. On the way references
//! lead nowhere, names are borne twice and texts are missing: such a state must be refused by both builds, and the next
//! one is built upon the last that was good. In between, what is there is changed in place: texts, the strictness of the
//! account, its catalogue and the global level.

#![expect(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on says why")]

#[path = "incremental/edits.rs"]
mod edits;
#[path = "reference/mod.rs"]
mod reference;
#[path = "incremental/seeded.rs"]
mod seeded;

use std::collections::BTreeMap;

use doorward::model::id::AccountId;
use doorward::model::object::{Change, Object, ObjectKey, Record};
use doorward::model::revision::{Revision, StoreId};
use doorward::model::state::State;
use doorward::snapshot::build::Snapshot;
use edits::{Edit, Pool};
use reference::engine;
use reference::generate::{Choices, World, question, world};
use reference::moves::with_moves;
use reference::{Answer, Question};
use seeded::Seeded;

/// Pairs of states.
const PAIRS: u64 = 500;
/// Bytes that a state is made from.
const STATE_BYTES: usize = 1_024;
/// Changes in place before a state is made into the other.
const EDITS: usize = 12;
/// Questions asked after each change.
const QUESTIONS: usize = 12;

fn records(state: &State) -> BTreeMap<ObjectKey, Record<Object>> {
    state.records().map(|record| (record.value.key(), record)).collect()
}

/// What makes `from` into `to`, in random order: an object that comes may come before what it refers to.
fn changes(from: &State, to: &State, seeded: &mut Seeded) -> Vec<Change> {
    let (from, to) = (records(from), records(to));
    let put = to.values().filter(|record| from.get(&record.value.key()) != Some(record)).cloned().map(Change::Put);
    let delete = from.keys().filter(|key| !to.contains_key(key)).cloned().map(Change::Delete);
    let mut changes: Vec<_> = put.chain(delete).collect();
    for place in (1..changes.len()).rev() {
        changes.swap(place, seeded.below(place + 1));
    }
    changes
}

/// How often something happened: a walk on which nothing did would prove nothing.
#[derive(Debug, Default)]
struct Seen {
    built: usize,
    refused: usize,
    asked: usize,
    /// Changes in place of which a snapshot was made.
    edits: BTreeMap<Edit, usize>,
}

struct Walk<'w> {
    account: AccountId,
    ends: (&'w World, &'w World),
    store: StoreId,
    state: State,
    good: Snapshot,
    seen: Seen,
}

// === impl Walk ===

impl Walk<'_> {
    /// Whether both builds took the state.
    fn step(&mut self, changes: &[Change], seeded: &mut Seeded) -> bool {
        let revision = self.state.revision.next().expect("a revision");
        let moved = with_moves(&self.state, changes);
        self.state.apply(revision, &moved).expect("the changes fit");
        let whole = Snapshot::build(self.store, &self.state, None);
        let next = Snapshot::build(self.store, &self.state, Some(&self.good));
        match (whole, next) {
            (Ok(whole), Ok(next)) => {
                self.seen.built += 1;
                assert!(whole.retired().eq(next.retired()), "retired statements after {changes:?}");
                for question in self.questions(seeded) {
                    let (expected, found) = (self.ask(&whole, &question), self.ask(&next, &question));
                    assert_eq!(found, expected, "{question:?} after {changes:?}");
                    let resolve = |snapshot: &Snapshot| engine::resolve(snapshot, self.account, &question);
                    assert_eq!(resolve(&next), resolve(&whole), "resolved {question:?} after {changes:?}");
                    self.seen.asked += 1;
                }
                self.good = next;
                true
            }
            (Err(_), Err(_)) => {
                self.seen.refused += 1;
                false
            }
            (whole, next) => panic!("{:?} from nothing, {:?} from before, after {changes:?}", whole.err(), next.err()),
        }
    }

    /// Changes something that is there.
    fn edit(&mut self, pool: &Pool, seeded: &mut Seeded) {
        let kind = Edit::ALL[seeded.below(Edit::ALL.len())];
        if let Some(change) = kind.change(&self.state, self.account, pool, seeded)
            && self.step(&[change], seeded)
        {
            *self.seen.edits.entry(kind).or_default() += 1;
        }
    }

    fn ask(&self, snapshot: &Snapshot, question: &Question) -> Answer {
        engine::ask(snapshot, self.account, question)
    }

    fn questions(&self, seeded: &mut Seeded) -> Vec<Question> {
        let one = |_| {
            let end = if seeded.below(2) == 0 { self.ends.0 } else { self.ends.1 };
            question(&mut Choices::new(&seeded.bytes(96)), end)
        };
        (0..QUESTIONS).map(one).collect()
    }
}

#[test]
fn an_incremental_build_is_a_whole_build() {
    let mut seeded = Seeded::new(11);
    let (mut all, mut pool) = (Seen::default(), Pool::default());
    for _ in 0..PAIRS {
        let first = world(&mut Choices::new(&seeded.bytes(STATE_BYTES)));
        let second = world(&mut Choices::new(&seeded.bytes(STATE_BYTES)));
        pool.add(&first);
        pool.add(&second);
        let store = StoreId::random();
        let good = Snapshot::build(store, &first.state, None).expect("the first state compiles");
        let changes = changes(&first.state, &second.state, &mut seeded);
        let (account, state) = (first.account, first.state.clone());
        let mut walk = Walk { account, ends: (&first, &second), store, state, good, seen: Seen::default() };
        // The first state compiles, so that what is changed in it is built.
        for _ in 0..EDITS {
            walk.edit(&pool, &mut seeded);
        }
        let mut left = changes.as_slice();
        while !left.is_empty() {
            // Mostly one change a commit, sometimes several.
            let count = if seeded.below(4) == 0 { 1 + seeded.below(5) } else { 1 };
            let (these, later) = left.split_at(count.min(left.len()));
            walk.step(these, &mut seeded);
            left = later;
            if seeded.below(4) == 0 {
                walk.edit(&pool, &mut seeded);
            }
        }
        all.built += walk.seen.built;
        all.refused += walk.seen.refused;
        all.asked += walk.seen.asked;
        for (kind, count) in walk.seen.edits {
            *all.edits.entry(kind).or_default() += count;
        }
    }
    println!("{all:?}");
    assert!(all.built > 1_000 && all.refused > 1_000 && all.asked > 10_000, "{all:?}");
    for kind in Edit::ALL {
        let count = all.edits.get(&kind).copied().unwrap_or_default();
        assert!(count > kind.least(), "too few of {kind:?}: {all:?}");
    }
}

/// The records of an account are the same again after a reset, and nothing of them is shared: still nothing is touched.
#[test]
fn a_state_that_was_sent_again_is_built_upon_the_same() {
    let mut seeded = Seeded::new(12);
    let world = world(&mut Choices::new(&seeded.bytes(STATE_BYTES)));
    let store = StoreId::random();
    let before = Snapshot::build(store, &world.state, None).expect("the state compiles");
    let mut again = State::default();
    let puts: Vec<_> = world.state.records().map(Change::Put).collect();
    again.apply(Revision::new(9), &puts).expect("the records of a state make a state");
    let after = Snapshot::build(store, &again, Some(&before)).expect("the state compiles");
    for _ in 0..200 {
        let question = question(&mut Choices::new(&seeded.bytes(96)), &world);
        let (expected, found) =
            (engine::ask(&before, world.account, &question), engine::ask(&after, world.account, &question));
        assert_eq!(found, expected, "{question:?}");
    }
}
