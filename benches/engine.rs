//! Parse, compile, evaluate and swap, on accounts of 100, 1,000 and 10,000 policies. Figures are printed, not judged.

#![expect(clippy::expect_used, reason = "a bench ends where its data does not fit")]

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use doorward::lang::parse_policy;
use doorward::model::moment::Moment;
use doorward::model::revision::{Revision, StoreId};
use doorward::model::state::State;
use doorward::snapshot::build::Snapshot;
use doorward::snapshot::handle::SnapshotHandle;
use doorward::workload::{Dimensions, Random, Request, Workload};

const SIZES: [usize; 3] = [100, 1_000, 10_000];
const NOW: Moment = Moment::from_nanoseconds(1_800_000_000_000_000_000);
/// Requests that are asked in turn.
const REQUESTS: usize = 1_000;

/// An account with as many groups as policies and ten times as many users.
struct World {
    workload: Workload,
    store: StoreId,
    state: State,
    requests: Vec<Request>,
}

// === impl World ===

impl World {
    fn new(policies: usize) -> Self {
        let workload = Workload::new(Dimensions { policies, groups: policies, users: policies * 10 }, 1);
        let state = workload.state().expect("parents come before what they own");
        let requests = workload.requests(1).take(REQUESTS).collect();
        Self { workload, store: StoreId::random(), state, requests }
    }

    fn build(&self, previous: Option<&Snapshot>) -> Snapshot {
        Snapshot::build(self.store, &self.state, previous).expect("the workload compiles")
    }

    fn decide(&self, snapshot: &Snapshot, random: &mut Random) -> bool {
        let request = self.requests.get(random.below(self.requests.len())).expect("there are requests");
        let supplied = request.supplied();
        let check = request.check(&supplied, NOW).expect("the request is within the limits");
        let outcome = snapshot.decide(self.workload.account(), &check).expect("the names exist");
        black_box(outcome.permit().is_some())
    }
}

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    let texts: Vec<_> = World::new(100).workload.policies().map(|policy| policy.statements).collect();
    group.throughput(Throughput::Bytes(texts.iter().map(|text| text.len() as u64).sum()));
    group.bench_function("100 policies", |bencher| {
        bencher.iter(|| texts.iter().map(|text| parse_policy(black_box(text)).ast.statements.len()).sum::<usize>());
    });
    group.finish();
}

fn compile(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compile");
    group.sample_size(10);
    for size in SIZES {
        let mut world = World::new(size);
        group.bench_function(BenchmarkId::new("whole account", size), |bencher| {
            bencher.iter(|| world.build(None));
        });
        let before = world.build(None);
        let change = world.workload.policy_change(&mut Random::new(7), Revision::new(2));
        world.state.apply(Revision::new(2), [&change]).expect("the change fits");
        group.bench_function(BenchmarkId::new("after one change", size), |bencher| {
            bencher.iter(|| world.build(Some(&before)));
        });
    }
    group.finish();
}

fn evaluate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("evaluate");
    for size in SIZES {
        let world = World::new(size);
        let snapshot = world.build(None);
        let mut random = Random::new(1);
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| world.decide(&snapshot, &mut random));
        });
    }
    group.finish();
}

/// Decisions on one thread while another builds and publishes without a pause.
fn swap(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("evaluate during swaps");
    for size in [100, 1_000] {
        let world = World::new(size);
        let handle = SnapshotHandle::default();
        handle.publish(Arc::new(world.build(None)), NOW);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    handle.publish(Arc::new(world.build(None)), NOW);
                }
            });
            let mut random = Random::new(1);
            let current = || handle.current().expect("a snapshot was published");
            group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
                bencher.iter_batched(current, |it| world.decide(&it.snapshot, &mut random), BatchSize::SmallInput);
            });
            stop.store(true, Ordering::Relaxed);
        });
    }
    group.finish();
}

criterion_group!(benches, parse, compile, evaluate, swap);
criterion_main!(benches);
