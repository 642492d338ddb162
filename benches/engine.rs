//! Parse, compile, evaluate and swap, on accounts of 100, 1,000 and 10,000 policies. Figures are printed, not judged.

#![expect(clippy::expect_used, reason = "a bench ends where its data does not fit")]

#[path = "support/workload.rs"]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench ends where its data does not fit")]
mod workload;

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use doorward::lang::parse_policy;
use doorward::model::attribute::{Attributes, Values};
use doorward::model::decision::{CheckRequest, RequestParts};
use doorward::model::moment::Moment;
use doorward::model::revision::Revision;
use doorward::snapshot::build::Snapshot;
use doorward::snapshot::handle::SnapshotHandle;
use workload::{ENVIRONMENTS, Random, Workload};

const SIZES: [usize; 3] = [100, 1_000, 10_000];
const NOW: Moment = Moment::from_nanoseconds(1_800_000_000_000_000_000);

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    let texts = Workload::new(100).texts;
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
        let mut workload = Workload::new(size);
        group.bench_function(BenchmarkId::new("whole account", size), |bencher| {
            bencher.iter(|| Snapshot::build(workload.store, &workload.state, None).is_ok());
        });
        let before = build(&workload, None);
        let change = workload.edit(&mut Random::new(7));
        workload.state.apply(Revision::new(2), [&change]).expect("the change fits");
        group.bench_function(BenchmarkId::new("after one change", size), |bencher| {
            bencher.iter(|| Snapshot::build(workload.store, &workload.state, Some(&before)).is_ok());
        });
    }
    group.finish();
}

fn evaluate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("evaluate");
    for size in SIZES {
        let workload = Workload::new(size);
        let snapshot = build(&workload, None);
        let mut random = Random::new(1);
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| decide(&workload, &snapshot, &mut random));
        });
    }
    group.finish();
}

/// Decisions on one thread while another builds and publishes without a pause.
fn swap(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("evaluate during swaps");
    for size in [100, 1_000] {
        let workload = Workload::new(size);
        let handle = SnapshotHandle::default();
        handle.publish(Arc::new(build(&workload, None)), NOW);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    handle.publish(Arc::new(build(&workload, None)), NOW);
                }
            });
            let mut random = Random::new(1);
            let current = || handle.current().expect("a snapshot was published");
            group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
                bencher.iter_batched(current, |it| decide(&workload, &it.snapshot, &mut random), BatchSize::SmallInput);
            });
            stop.store(true, Ordering::Relaxed);
        });
    }
    group.finish();
}

fn build(workload: &Workload, previous: Option<&Snapshot>) -> Snapshot {
    Snapshot::build(workload.store, &workload.state, previous).expect("the workload compiles")
}

fn decide(workload: &Workload, snapshot: &Snapshot, random: &mut Random) -> bool {
    let pick = |list: &[String], random: &mut Random| list.get(random.below(list.len())).cloned().unwrap_or_default();
    let (user, permission) = (pick(&workload.users, random), pick(&workload.permissions, random));
    let environment = ENVIRONMENTS.get(random.below(2)).copied().unwrap_or_default();
    let attributes = [("settings:schemaId", Values::One("value-1")), ("shared:app-id", Values::One("value-2"))];
    let attributes = Attributes::new(&attributes, &[]).expect("the attributes are within the limits");
    let parts = RequestParts { user: &user, environment, level: "", permission: &permission };
    let request = CheckRequest::new(parts, attributes, NOW).expect("the request is within the limits");
    let outcome = snapshot.decide(workload.account, &request).expect("the names exist");
    black_box(outcome.permit().is_some())
}

criterion_group!(benches, parse, compile, evaluate, swap);
criterion_main!(benches);
