//! Sidecars never drift: whatever is committed, and however streams break, a sidecar ends at what the store has.
//!
//! A store is changed at random while sidecars follow it through a [`Weather`] that refuses, cuts, doubles, loses and alters
//! events. Sidecars and control planes are begun anew, the log is compacted, clocks jump. At no time does a sidecar say of what it
//! has that it was the newest after it was not. After each round it is quiet, and then each sidecar has the digest of its scope of the
//! store, and decides as a build from nothing does, and as the reference does. Everything that is chosen is chosen from a seed, which
//! is printed; the tasks of the runtime take their own turns.
//!
//! `DOORWARD_MUTATIONS=10000 DOORWARD_SEED=7 cargo test --release --test convergence -- --nocapture`

#![expect(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on says why")]

#[path = "incremental/edits.rs"]
mod edits;
#[path = "reference/mod.rs"]
mod reference;
#[path = "incremental/seeded.rs"]
mod seeded;
#[path = "convergence/sidecar.rs"]
mod sidecar;
#[path = "convergence/weather.rs"]
mod weather;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use doorward::model::account::Account;
use doorward::model::id::{AccountId, GroupId};
use doorward::model::identity::{Group, GroupOwner};
use doorward::model::mutation::{Actor, Edit as StoreEdit, Mutation};
use doorward::model::object::{Change, Object, ObjectKey, Record};
use doorward::model::revision::Revision;
use doorward::model::scope::{Environments, Scope};
use doorward::model::state::State;
use doorward::snapshot::build::Snapshot;
use doorward::store::api::{CommitEffect, Retention, Store, StoreError};
use doorward::store::memory;
use edits::{Edit, Pool};
use reference::generate::{Choices, World, question, world};
use reference::moves::moved;
use reference::{Reference, engine};
use seeded::Seeded;
use sidecar::Sidecar;
use tokio::time::Instant;
use weather::{Clocks, Planes, Weather};

/// Commits, where the environment says nothing.
const MUTATIONS: usize = 600;
/// Bytes that a state is made from.
const STATE_BYTES: usize = 768;
/// Questions asked of each sidecar after each round.
const QUESTIONS: usize = 24;
/// How long it may take until it is quiet, by the paused clock of the test.
const PATIENCE: Duration = Duration::from_hours(2);

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn records(state: &State) -> BTreeMap<ObjectKey, Record<Object>> {
    state.records().map(|record| (record.value.key(), record)).collect()
}

/// What makes one state into another, in random order.
fn edits_between(from: &State, to: &State, seeded: &mut Seeded) -> Vec<StoreEdit> {
    let (from, to) = (records(from), records(to));
    let changed = to.values().filter(|record| from.get(&record.value.key()).map(|it| &it.value) != Some(&record.value));
    let put = changed.map(|record| StoreEdit::Put(record.value.clone()));
    let owned = |key: &&ObjectKey| !matches!(key, ObjectKey::Account(_) | ObjectKey::Global);
    let gone = from.keys().filter(|key| !to.contains_key(key)).filter(owned);
    let mut edits: Vec<_> = put.chain(gone.cloned().map(StoreEdit::Delete)).collect();
    for place in (1..edits.len()).rev() {
        edits.swap(place, seeded.below(place + 1));
    }
    edits
}

/// A policy of another level is another one: it goes before it comes.
fn with_moves(state: &State, edits: &[StoreEdit]) -> Vec<StoreEdit> {
    let mut all = Vec::new();
    for edit in edits {
        if let StoreEdit::Put(object) = edit {
            all.extend(moved(state, object).map(StoreEdit::Delete));
        }
        all.push(edit.clone());
    }
    all
}

struct Run {
    store: Arc<dyn Store>,
    clocks: Clocks,
    planes: Planes,
    sidecars: Vec<Sidecar>,
    seeded: Seeded,
    /// Until when each revision was the newest.
    newest_until: BTreeMap<Revision, Instant>,
    seen: Seen,
}

/// What happened: a run in which nothing did would prove nothing.
#[derive(Debug, Default)]
struct Seen {
    commits: usize,
    rounds: usize,
    restarts: usize,
    crashes: usize,
    planes: usize,
    jumps: usize,
    compactions: usize,
    /// Sidecars that were behind, and said how long.
    behind: usize,
    asked: usize,
}

// === impl Run ===

impl Run {
    fn new(seed: u64) -> Self {
        let store: Arc<dyn Store> = Arc::new(memory::open().expect("a store in memory"));
        let clocks = Clocks::default();
        let planes = Planes::new(Arc::clone(&store), clocks.clock());
        let (sidecars, newest_until) = (Vec::new(), BTreeMap::new());
        Self { store, clocks, planes, sidecars, seeded: Seeded::new(seed), newest_until, seen: Seen::default() }
    }

    fn commit(&mut self, edits: &[StoreEdit]) {
        let state = self.store.state();
        let edits = with_moves(&state, edits);
        let subject = edits.first().map_or(ObjectKey::Global, StoreEdit::key);
        let (actor, at) = (Actor::system(), self.clocks.now());
        let mutation = Mutation { actor, at, expected: state.revision, request: None, subject, edits };
        match self.store.commit(mutation) {
            Ok(committed) if committed.effect == CommitEffect::Changed => {
                self.newest_until.insert(state.revision, Instant::now());
                self.seen.commits += 1;
            }
            Ok(_) | Err(StoreError::Rejected { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }

    /// Something happens beside the commits.
    async fn incident(&mut self) {
        let which = self.seeded.below(self.sidecars.len());
        match self.seeded.below(40) {
            0 => {
                self.sidecars[which].restart().await;
                self.seen.restarts += 1;
            }
            1 => {
                self.sidecars[which].crash();
                self.seen.crashes += 1;
            }
            2 => {
                self.planes.restart();
                self.seen.planes += 1;
            }
            4 => {
                let retention = Retention {
                    commits: self.seeded.below(4) as u64,
                    requests: Duration::from_hours(1),
                    audit: Duration::from_hours(1),
                };
                self.store.compact(&retention, self.clocks.now()).expect("a store that can be compacted");
                self.seen.compactions += 1;
            }
            3 => {
                self.clocks.jump(&mut self.seeded);
                self.seen.jumps += 1;
            }
            5..8 => tokio::time::sleep(Duration::from_secs(self.seeded.below(20) as u64)).await,
            _ => tokio::task::yield_now().await,
        }
    }

    /// No sidecar says of what it has that it was the newest after it was not.
    fn claims_are_true(&mut self) {
        for sidecar in &self.sidecars {
            let Some((revision, age)) = sidecar.claim() else { continue };
            let Some(until) = self.newest_until.get(&revision) else { continue };
            let least = until.elapsed();
            assert!(age >= least, "{} at {revision} says {age:?}, it is {least:?}: {:?}", sidecar.name, self.seen);
            self.seen.behind += usize::from(!least.is_zero());
        }
    }

    /// The store becomes `to`, commit by commit, in stormy weather.
    async fn storm(&mut self, to: &World, pool: &Pool, other: AccountId) {
        self.planes.weather(Weather::Stormy);
        let mut left = edits_between(&self.own_state(other), &to.state, &mut self.seeded);
        while !left.is_empty() {
            let count = 1 + self.seeded.below(4);
            let these = left.split_off(left.len().saturating_sub(count));
            self.commit(&these);
            if self.seeded.below(3) == 0 {
                let (number, form) = (self.seeded.below(5), self.seeded.below(9));
                self.commit(&[stranger(other, number, form)]);
            }
            if self.seeded.below(6) == 0 {
                self.edit_in_place(to.account, pool);
            }
            self.incident().await;
            self.claims_are_true();
        }
        // Changes in place have left it elsewhere; the end of a round is a state that compiles.
        let back = edits_between(&self.own_state(other), &to.state, &mut self.seeded);
        self.commit(&back);
    }

    /// The state without the other tenant.
    fn own_state(&self, other: AccountId) -> State {
        let mut state = State::clone(&self.store.state());
        state.accounts.remove(&other);
        state
    }

    fn edit_in_place(&mut self, account: AccountId, pool: &Pool) {
        let kind = Edit::ALL[self.seeded.below(Edit::ALL.len())];
        let change = kind.change(&self.store.state(), account, pool, &mut self.seeded);
        let edit = change.map(|change| match change {
            Change::Put(record) => StoreEdit::Put(record.value),
            Change::Delete(key) => StoreEdit::Delete(key),
        });
        if let Some(edit) = edit {
            self.commit(&[edit]);
        }
    }

    /// After the storm every sidecar is at the head, with the store's digest and decisions.
    async fn quiet(&mut self, ends: &World) {
        self.planes.weather(Weather::Fair);
        let head = self.store.state();
        for place in 0..self.sidecars.len() {
            let sidecar = &self.sidecars[place];
            let reached = tokio::time::timeout(PATIENCE, sidecar.reached(self.store.id(), head.revision)).await;
            reached.unwrap_or_else(|_| {
                panic!("{} stays at {:?}, not {}", sidecar.name, sidecar.published(), head.revision)
            });
            let mut alone = State::default();
            let changes: Vec<_> = sidecar.scope.records(&head).map(Change::Put).collect();
            alone.apply(head.revision, &changes).expect("a scope is whole");
            assert_eq!(sidecar.digest(), sidecar.scope.digest(head.sums()), "{}", sidecar.name);
            assert_eq!(sidecar.digest(), Scope::everything().digest(alone.sums()), "{}", sidecar.name);
            let served = sidecar.snapshot();
            let fresh = Snapshot::build(self.store.id(), &alone, None).expect("the end of a round compiles");
            let reference = Reference::new(&alone, ends.account);
            for _ in 0..QUESTIONS {
                let question = question(&mut Choices::new(&self.seeded.bytes(96)), ends);
                let expected = reference.decide(&question);
                assert_eq!(engine::ask(&fresh, ends.account, &question), expected, "fresh: {question:?}");
                assert_eq!(engine::ask(&served, ends.account, &question), expected, "served: {question:?}");
                self.seen.asked += 1;
            }
        }
        self.seen.rounds += 1;
    }
}

/// Something of another tenant.
fn stranger(account: AccountId, number: usize, form: usize) -> StoreEdit {
    let id = GroupId::from_bytes([number as u8; 16]);
    if form == 0 {
        return StoreEdit::Delete(ObjectKey::Group(account, id));
    }
    let name = format!("Group {number}").parse().expect("a name");
    let (description, owner) = (format!("form {form}"), GroupOwner::Local);
    StoreEdit::Put(Object::Group(
        account,
        Group { id, name, description, owner, federated_attribute_values: Vec::new() },
    ))
}

fn scopes(account: AccountId, other: AccountId) -> Vec<(&'static str, Scope)> {
    let only = |ids: &[&str]| Environments::Only(ids.iter().map(|id| id.parse().expect("an id")).collect());
    vec![
        ("everything", Scope::everything()),
        ("one account", Scope::of([(account, Environments::All)].into())),
        ("two environments", Scope::of([(account, only(&["prod", "stage"])), (other, only(&[]))].into())),
    ]
}

#[tokio::test(start_paused = true)]
async fn sidecars_converge_whatever_happens() {
    let (mutations, seed) = (number("DOORWARD_MUTATIONS", MUTATIONS as u64), number("DOORWARD_SEED", 20_261_127));
    println!("seed {seed}, {mutations} mutations");
    let mut run = Run::new(seed);
    let mut pool = Pool::default();
    let other = AccountId::from_bytes([0x77; 16]);
    let first = world(&mut Choices::new(&run.seeded.bytes(STATE_BYTES)));
    let begun: Vec<_> = first.state.records().map(|record| StoreEdit::Put(record.value)).collect();
    run.commit(&begun);
    let tenant = Account { id: other, name: "Another".parse().expect("a name"), strict_boundaries: false };
    run.commit(&[StoreEdit::Put(Object::Account(tenant))]);
    for (name, scope) in scopes(first.account, other) {
        run.sidecars.push(Sidecar::start(name, scope, run.planes.source(seed), run.clocks.clock()));
    }
    while (run.seen.commits as u64) < mutations {
        let next = world(&mut Choices::new(&run.seeded.bytes(STATE_BYTES)));
        pool.add(&next);
        run.storm(&next, &pool, other).await;
        run.quiet(&next).await;
    }
    let weathered = run.planes.seen();
    println!("{:?} {weathered:?}", run.seen);
    assert!(run.seen.rounds > 5 && run.seen.asked > 300 && run.seen.behind > 20, "{:?}", run.seen);
    assert!(
        run.seen.restarts * run.seen.crashes * run.seen.planes * run.seen.jumps * run.seen.compactions > 0,
        "{:?}",
        run.seen
    );
    assert!(weathered.iter().all(|(_, count)| *count > 0), "{weathered:?}");
    assert_eq!(run.store.state().revision, Revision::new(run.seen.commits as u64));
}
