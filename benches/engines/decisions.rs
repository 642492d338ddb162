//! What a decision costs: instructions, time and allocations, one row for each engine and form.
//!
//! Times are medians of interleaved passes over random users, so from L on they are those of memory. All engines decide
//! the same requests, and first it is seen that they decide alike.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use doorward::workload::Size;

use super::engine::{Form, Kind, Lane, Row};
use super::fleet::{Counts, Fleet};
use super::instructions;
use super::options::Options;
use super::statistics::median;
use super::world::World;

/// Rounds in which each lane has its turn.
const PASSES: usize = 31;
/// Requests of a turn, as a share of those of the lane.
const SHARE: usize = 32;

/// Means of one row at one size, but for the time, which is a median.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) instructions: Option<f64>,
    pub(crate) nanoseconds: f64,
    pub(crate) allocations: f64,
}

/// The costs of all rows.
pub(crate) type Costs = BTreeMap<(Row, Size), Cost>;

/// The engines that are measured at a size.
pub(crate) fn kinds(size: Size, regorus: bool) -> Vec<Kind> {
    let measured = |kind: &Kind| match kind {
        Kind::Doorward | Kind::Floor => true,
        Kind::Cedar(_) => size < Size::Xl,
        Kind::Regorus => regorus && size < Size::Xl,
    };
    Kind::ALL.into_iter().filter(measured).collect()
}

/// Measures every engine at the size of `world`; callgrind writes into `folder`.
pub(crate) fn measure(world: &World, options: &Options, folder: &Path, costs: &mut Costs) {
    let kinds = kinds(world.size, options.regorus);
    in_process(&kinds, world, Counts::FULL, costs);
    if !options.instructions || !instructions::is_installed() {
        return;
    }
    for pair in kinds.chunks(2) {
        for (row, mean) in count_together(pair, world.size, folder) {
            costs.entry((row, world.size)).or_default().instructions = Some(mean);
        }
    }
}

/// Instructions of engines at the same time, which others do not change.
fn count_together(kinds: &[Kind], size: Size, folder: &Path) -> Vec<(Row, f64)> {
    let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
    eprintln!("{}: instructions of {}", size.name(), names.join(" and "));
    std::thread::scope(|scope| {
        let counts = kinds.iter().map(|kind| scope.spawn(|| instructions::count(*kind, size, folder)));
        let counts: Vec<_> = counts.collect();
        counts.into_iter().flat_map(|count| count.join().expect("callgrind counts")).collect()
    })
}

/// Times and allocations, after a look whether all engines agree.
pub(crate) fn in_process(kinds: &[Kind], world: &World, counts: Counts, costs: &mut Costs) {
    eprintln!("{}: engines are built and compared", world.size.name());
    let fleet = Fleet::new(kinds, world, counts);
    fleet.agree(world, counts);
    let lanes = fleet.lanes(world, counts);
    eprintln!("{}: times and allocations", world.size.name());
    let times = times(&lanes);
    for (lane, nanoseconds) in lanes.iter().zip(times) {
        let allocations = allocations(lane);
        costs.insert((lane.row, world.size), Cost { instructions: None, nanoseconds, allocations });
    }
}

fn times(lanes: &[Lane<'_>]) -> Vec<f64> {
    let mut samples = vec![Vec::with_capacity(PASSES); lanes.len()];
    allocation_counter::opt_out(|| {
        for _ in 0..PASSES {
            for (lane, samples) in lanes.iter().zip(&mut samples) {
                samples.push(time(lane));
            }
        }
    });
    samples.into_iter().map(median).collect()
}

/// Nanoseconds a decision, in one turn.
fn time(lane: &Lane<'_>) -> f64 {
    let begun = Instant::now();
    let decided = lane.decide_next((lane.requests / SHARE).max(1));
    begun.elapsed().as_nanos() as f64 / decided as f64
}

fn allocations(lane: &Lane<'_>) -> f64 {
    let counted = allocation_counter::measure(|| {
        lane.decide_all();
    });
    counted.count_total as f64 / lane.requests as f64
}

/// The cost of a row, where it was measured.
pub(crate) fn cost(costs: &Costs, kind: Kind, form: Form, size: Size) -> Option<Cost> {
    costs.get(&(Row { kind, form }, size)).copied()
}
