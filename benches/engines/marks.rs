//! The marks, each with what was measured. Nothing here is a figure of its own.

use doorward::workload::Size;

use super::Figures;
use super::cedar::Arrangement;
use super::decisions::cost;
use super::engine::{Form, Kind};
use super::memory::Held;
use super::table::number;

/// Sizes at which the others are compared.
const COMPARED: [Size; 3] = [Size::S, Size::M, Size::L];

/// What is to be reached, and whether it is.
pub(crate) struct Mark {
    pub(crate) text: &'static str,
    /// `None` where it was not measured.
    pub(crate) reached: Option<bool>,
    pub(crate) measured: String,
}

/// Every mark.
pub(crate) fn marks(figures: &Figures) -> Vec<Mark> {
    let most = |text, most: f64, figures: Measured| Mark::of(text, &figures, move |it| it <= most);
    let least = |text, least: f64, figures: Measured| Mark::of(text, &figures, move |it| it >= least);
    vec![
        most("≤ 1,500 instructions a decision at every size", 1_500.0, figures.instructions(Kind::Doorward)),
        most("XL ≤ 1.15 × the instructions of S", 1.15, figures.growth()),
        least("≥ 40 × fewer instructions than Cedar's best", 40.0, figures.times_fewer(&CEDARS, Form::Names)),
        least("the same with requests made before", 40.0, figures.times_fewer(&CEDARS, Form::Prepared)),
        least("≥ 40 × fewer than Cedar linked to groups", 40.0, figures.times_fewer(&[LINKED], Form::Names)),
        least("≥ 100 × fewer instructions than regorus", 100.0, figures.times_fewer(&[Kind::Regorus], Form::Names)),
        least("the same with requests made before", 100.0, figures.times_fewer(&[Kind::Regorus], Form::Prepared)),
        most("no allocation a decision", 0.0, figures.allocations()),
        most("≤ 6 KB a policy, in bytes of the snapshot", 6.0 * 1024.0, figures.heap(|heap| heap.policy)),
        most("≤ 130 B a user, in bytes of the snapshot", 130.0, figures.heap(|heap| heap.user)),
        most("a process at XL ≤ 750 MB", 750.0, figures.resident()),
        most("a build of XL ≤ 3 s, in ms", 3_000.0, figures.at_xl(|it| it.build)),
        most("one policy changed at XL ≤ 1 ms, p99 in µs", 1_000.0, figures.at_xl(|it| it.policy.far)),
        most("one user changed at XL ≤ 100 µs, p99", 100.0, figures.at_xl(|it| it.user.far)),
        most("p99.9 of decisions during changes ≤ 2 × without", 2.0, figures.disturbance()),
    ]
}

/// Cedar in every arrangement.
const CEDARS: [Kind; 3] =
    [Kind::Cedar(Arrangement::Linked), Kind::Cedar(Arrangement::Chosen), Kind::Cedar(Arrangement::ChosenByEnvironment)];

const LINKED: Kind = Kind::Cedar(Arrangement::Linked);

/// A figure of each size that has one.
type Measured = Vec<(Size, f64)>;

// === impl Mark ===

impl Mark {
    fn of(text: &'static str, figures: &[(Size, f64)], fits: impl Fn(f64) -> bool) -> Self {
        let reached = (!figures.is_empty()).then(|| figures.iter().all(|(_, figure)| fits(*figure)));
        let told = figures.iter().map(|(size, figure)| format!("{} {}", size.name(), number(*figure)));
        Self { text, reached, measured: told.collect::<Vec<_>>().join(", ") }
    }
}

// === impl Figures ===

impl Figures {
    fn instructions_of(&self, kind: Kind, form: Form, size: Size) -> Option<f64> {
        cost(&self.costs, kind, form, size)?.instructions
    }

    fn instructions(&self, kind: Kind) -> Measured {
        each(&Size::ALL, |size| self.instructions_of(kind, Form::Names, size))
    }

    fn growth(&self) -> Measured {
        let of = |size| self.instructions_of(Kind::Doorward, Form::Names, size);
        each(&[Size::Xl], |size| Some(of(size)? / of(Size::S)?))
    }

    /// How many times fewer than the best of these, form beside form.
    fn times_fewer(&self, than: &[Kind], form: Form) -> Measured {
        let best = |size| {
            let all = than.iter().filter_map(|kind| self.instructions_of(*kind, form, size));
            all.min_by(f64::total_cmp)
        };
        each(&COMPARED, |size| Some(best(size)? / self.instructions_of(Kind::Doorward, form, size)?))
    }

    fn allocations(&self) -> Measured {
        each(&Size::ALL, |size| Some(cost(&self.costs, Kind::Doorward, Form::Names, size)?.allocations))
    }

    fn heap(&self, part: fn(&super::memory::Heap) -> f64) -> Measured {
        each(&Size::ALL, |size| self.heaps.get(&(Held::Snapshot, size)).map(part))
    }

    fn resident(&self) -> Measured {
        each(&[Size::Xl], |_| self.resident.map(|it| it.after / 1e6))
    }

    fn at_xl(&self, part: fn(&super::changes::Latencies) -> f64) -> Measured {
        each(&[Size::Xl], |size| self.latencies.get(&size).map(part))
    }

    fn disturbance(&self) -> Measured {
        each(&Size::ALL, |size| self.latencies.get(&size).map(|it| it.busy.far / it.quiet.far))
    }
}

fn each(sizes: &[Size], figure: impl Fn(Size) -> Option<f64>) -> Measured {
    sizes.iter().filter_map(|size| figure(*size).map(|it| (*size, it))).collect()
}
