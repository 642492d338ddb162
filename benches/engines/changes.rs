//! How long a build takes, and a change: from a state and one more commit to the snapshot that readers see.
//!
//! A change is applied to a clone of the state, the next snapshot is built from the one before, and it is published. What
//! is replaced is dropped by another thread, as in a sidecar. Meanwhile a thread decides requests without a pause, each
//! with the snapshot that is current; its times include reading the clock twice.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Instant;

use doorward::model::object::Change;
use doorward::model::revision::Revision;
use doorward::model::state::State;
use doorward::snapshot::build::Snapshot;
use doorward::snapshot::handle::SnapshotHandle;
use doorward::workload::{Random, Request, Size, Workload};

use super::statistics::percentile;
use super::world::{NOW, World, build, store};

/// Changes of each kind.
const CHANGES: usize = 1_000;
/// Decisions before anything changes.
const QUIET: usize = 200_000;
/// The most decisions of which the time is kept.
const KEPT: usize = 4_000_000;
/// Builds from nothing, of which the median is told; one at XL.
const BUILDS: usize = 3;

/// Of a size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Latencies {
    /// Milliseconds of a build from stored texts, by the threads of a sidecar and by one.
    pub(crate) build: f64,
    pub(crate) alone: f64,
    /// Microseconds from a change to its publication.
    pub(crate) policy: Tail,
    pub(crate) user: Tail,
    /// Nanoseconds of a decision while nothing changes, and during changes.
    pub(crate) quiet: Tail,
    pub(crate) busy: Tail,
}

/// The middle and the far end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tail {
    pub(crate) p50: f64,
    /// p99 of changes, p99.9 of decisions.
    pub(crate) far: f64,
}

/// Of each size.
pub(crate) type AllLatencies = BTreeMap<Size, Latencies>;

/// A change of some kind.
type Make = fn(&Workload, &mut Random, Revision) -> Change;

/// What is replaced, on its way to the thread that drops it.
type Replaced = (State, Arc<Snapshot>);

/// The control plane and the sidecar in one: state, snapshot, and where readers look.
struct Writer<'w> {
    workload: &'w Workload,
    state: State,
    snapshot: Arc<Snapshot>,
    handle: SnapshotHandle,
    random: Random,
    replaced: Sender<Replaced>,
}

/// Builds the account of `world`, then changes it.
pub(crate) fn measure(world: &World) -> Latencies {
    eprintln!("{}: builds and changes", world.size.name());
    let build = milliseconds(world, |state| build(state, None));
    let alone = milliseconds(world, |state| Snapshot::build(store(), state, None).expect("the workload compiles"));
    let Changed { policy, user, quiet, busy } = change(world);
    let changes = |times: Vec<f64>| Tail::new(times, 99.0);
    let decisions = |times: Vec<f64>| Tail::new(times, 99.9);
    Latencies {
        build,
        alone,
        policy: changes(policy),
        user: changes(user),
        quiet: decisions(quiet),
        busy: decisions(busy),
    }
}

/// The median of some builds from nothing.
fn milliseconds(world: &World, build: impl Fn(&State) -> Snapshot) -> f64 {
    let builds = if world.size == Size::Xl { 1 } else { BUILDS };
    let time = |_| {
        let begun = Instant::now();
        let snapshot = black_box(build(&world.state));
        let elapsed = begun.elapsed();
        drop(snapshot);
        elapsed.as_secs_f64() * 1e3
    };
    percentile((0..builds).map(time).collect(), 50.0)
}

/// Times of all changes and decisions.
struct Changed {
    policy: Vec<f64>,
    user: Vec<f64>,
    quiet: Vec<f64>,
    busy: Vec<f64>,
}

fn change(world: &World) -> Changed {
    let (replaced, to_drop) = channel();
    let mut writer = Writer::new(world, replaced);
    let handle = writer.handle.clone();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(move || to_drop.into_iter().for_each(drop));
        let quiet = scope.spawn(|| decide(world, &handle, QUIET, &stop)).join().expect("decisions end");
        let reader = scope.spawn(|| decide(world, &handle, KEPT, &stop));
        let policy = writer.changes(Workload::policy_change);
        let user = writer.changes(Workload::user_change);
        stop.store(true, Ordering::Relaxed);
        drop(writer);
        Changed { policy, user, quiet, busy: reader.join().expect("decisions end") }
    })
}

/// Nanoseconds of decisions until it is told to stop, of at most so many.
fn decide(world: &World, handle: &SnapshotHandle, most: usize, stop: &AtomicBool) -> Vec<f64> {
    let mut times = Vec::with_capacity(most);
    let mut requests = world.requests.iter().cycle();
    while let Some(request) = requests.next().filter(|_| times.len() < most && !stop.load(Ordering::Relaxed)) {
        let begun = Instant::now();
        black_box(is_allowed(world, handle, request));
        times.push(begun.elapsed().as_nanos() as f64);
    }
    times
}

fn is_allowed(world: &World, handle: &SnapshotHandle, request: &Request) -> bool {
    let current = handle.current().expect("a snapshot was published");
    let supplied = request.supplied();
    let check = request.check(&supplied, NOW).expect("the request is within the limits");
    let outcome = current.snapshot.decide(world.workload.account(), &check).expect("the names exist");
    outcome.permit().is_some()
}

// === impl Tail ===

impl Tail {
    fn new(times: Vec<f64>, share: f64) -> Self {
        Self { p50: percentile(times.clone(), 50.0), far: percentile(times, share) }
    }
}

// === impl Writer ===

impl<'w> Writer<'w> {
    fn new(world: &'w World, replaced: Sender<Replaced>) -> Self {
        let (state, handle) = (world.state.clone(), SnapshotHandle::default());
        let snapshot = Arc::new(build(&state, None));
        handle.publish(Arc::clone(&snapshot), NOW);
        Self { workload: &world.workload, state, snapshot, handle, random: Random::new(5), replaced }
    }

    /// Microseconds of each change.
    fn changes(&mut self, make: Make) -> Vec<f64> {
        (0..CHANGES).map(|_| self.change(make)).collect()
    }

    fn change(&mut self, make: Make) -> f64 {
        let revision = self.state.revision.next().expect("a next revision");
        let change = make(self.workload, &mut self.random, revision);
        let begun = Instant::now();
        let mut state = self.state.clone();
        state.apply(revision, [&change]).expect("the change fits");
        let snapshot = Arc::new(build(&state, Some(&self.snapshot)));
        self.handle.publish(Arc::clone(&snapshot), NOW);
        let elapsed = begun.elapsed();
        let replaced = (std::mem::replace(&mut self.state, state), std::mem::replace(&mut self.snapshot, snapshot));
        self.replaced.send(replaced).expect("the other thread drops it");
        elapsed.as_secs_f64() * 1e6
    }
}
