//! Doorward's engine beside a hand-written floor, Cedar and regorus, on one workload in one run.
//!
//! What is measured, and how, is said at the head of each module: [`decisions`], [`instructions`], [`memory`], [`changes`];
//! how the others are arranged in [`floor`], [`cedar`] and [`rego`]. Everything starts from the objects and requests of
//! `doorward::workload`. Figures are printed, and marks held against them; only a disagreement between engines or an
//! allocation of Doorward ends the bench.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench prints what it measures, and ends where its data does not fit"
)]

mod cedar;
mod changes;
mod clauses;
mod decisions;
mod doorward;
mod engine;
mod fleet;
mod floor;
mod instructions;
mod marks;
mod memory;
mod options;
mod rego;
mod statistics;
mod table;
mod world;

use std::path::Path;

use ::doorward::workload::Size;

use crate::changes::AllLatencies;
use crate::decisions::{Costs, kinds};
use crate::engine::Kind;
use crate::fleet::Counts;
use crate::memory::{Heaps, Resident};
use crate::options::{Options, Task};
use crate::world::World;

/// Everything that was measured.
#[derive(Default)]
struct Figures {
    costs: Costs,
    heaps: Heaps,
    /// Of a process at XL.
    resident: Option<Resident>,
    latencies: AllLatencies,
}

fn main() {
    match Task::from_arguments() {
        Task::Try => try_everything(),
        Task::Measure(options) => measure(&options),
        Task::Decide(kind, size) => instructions::decide(kind, size),
        Task::Hold(size) => memory::hold(size),
    }
}

/// All engines decide a few requests about the smallest account, and alike.
fn try_everything() {
    let world = World::new(Size::S, Counts::QUICK.fast);
    let mut figures = Figures::default();
    decisions::in_process(&kinds(Size::S, true), &world, Counts::QUICK, &mut figures.costs);
    refuse_allocations(&figures);
    println!("{} requests decided alike by all engines, without an allocation of Doorward", Counts::QUICK.fast);
}

fn measure(options: &Options) {
    let scratch = tempfile::tempdir().expect("a folder for what callgrind writes");
    let folder = options.keep.as_deref().unwrap_or(scratch.path());
    std::fs::create_dir_all(folder).expect("a folder for what callgrind writes");
    let mut figures = Figures::default();
    for size in &options.sizes {
        figures.measure(*size, options, folder);
    }
    refuse_allocations(&figures);
    if options.instructions && !instructions::is_installed() {
        println!("instructions: n/a (valgrind is not installed)");
    }
    print!("{}", table::tables(&figures, &options.sizes, &marks::marks(&figures)));
}

fn refuse_allocations(figures: &Figures) {
    let of_doorward = figures.costs.iter().filter(|((row, _), _)| row.kind == Kind::Doorward);
    for ((row, size), cost) in of_doorward {
        assert!(cost.allocations == 0.0, "{row} at {} allocates {} times a decision", size.name(), cost.allocations);
    }
}

// === impl Figures ===

impl Figures {
    fn measure(&mut self, size: Size, options: &Options, folder: &Path) {
        eprintln!("{}: the account is made", size.name());
        let world = World::new(size, Counts::FULL.fast);
        if options.decisions {
            decisions::measure(&world, options, folder, &mut self.costs);
        }
        if options.changes {
            self.latencies.insert(size, changes::measure(&world));
        }
        if options.memory {
            memory::measure(&world, options.regorus, &mut self.heaps);
            // The process has the machine's memory for itself.
            drop(world);
            self.resident = (size == Size::Xl).then(|| memory::process(size)).or(self.resident);
        }
    }
}
