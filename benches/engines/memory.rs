//! Memory: what is live after a build, as the allocator counts it, and what a whole process holds.
//!
//! A policy counts with its bindings, its groups and its share of the boundaries: an account with one user, less an account
//! with one of everything, by the number of policies. A user counts with the groups it is in: the whole account, less the
//! one with a single user, by the number of users. The state stands beside a snapshot, which shares records with it; what
//! is shared is counted with the state.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::process::Command;

use doorward::eval::evaluate;
use doorward::snapshot::build::Snapshot;
use doorward::workload::{Dimensions, Size};

use super::cedar::{Arrangement, Cedar};
use super::floor::Floor;
use super::rego::Rego;
use super::world::{NOW, World, build, store};

/// Decisions of the process that is measured.
const DECISIONS: usize = 10_000;

/// What is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Held {
    Snapshot,
    State,
    Floor,
    Cedar(Arrangement),
    Regorus,
}

/// Live bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heap {
    /// Of an account with one of everything.
    pub(crate) base: f64,
    /// Of each policy.
    pub(crate) policy: f64,
    /// Of each user.
    pub(crate) user: f64,
}

/// Resident bytes of a process that holds an account, after its build and at its peak.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resident {
    pub(crate) after: f64,
    pub(crate) peak: f64,
}

/// What each thing holds at each size.
pub(crate) type Heaps = BTreeMap<(Held, Size), Heap>;

/// Accounts of which the differences are taken.
struct Accounts<'w> {
    one: World,
    few: World,
    whole: &'w World,
}

/// Measures everything that is easily had at the size of `world`.
pub(crate) fn measure(world: &World, regorus: bool, heaps: &mut Heaps) {
    let size = world.size;
    eprintln!("{}: memory", size.name());
    let accounts = Accounts::new(world);
    // By this thread, of which the blocks are counted.
    let alone = |world: &World| Snapshot::build(store(), &world.state, None).expect("the workload compiles");
    heaps.insert((Held::Snapshot, size), accounts.heap(alone));
    heaps.insert((Held::State, size), accounts.heap(|world| world.workload.state().expect("parents come first")));
    heaps.insert((Held::Floor, size), accounts.heap(|world| Floor::new(world.account())));
    if regorus && size < Size::Xl {
        heaps.insert((Held::Regorus, size), accounts.heap(|world| Rego::new(world.account())));
    }
    // All sets of a larger account take minutes and gigabytes.
    if size == Size::S {
        for arrangement in Arrangement::ALL {
            let heap = accounts.heap(|world| Cedar::new(world.account(), None, arrangement));
            heaps.insert((Held::Cedar(arrangement), size), heap);
        }
    }
}

/// A process that streams the account of this size into a state, builds a snapshot of it and answers.
pub(crate) fn process(size: Size) -> Resident {
    eprintln!("{}: a process that holds it", size.name());
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(program).args(["hold", size.name()]).output().expect("the process runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let status = String::from_utf8_lossy(&output.stdout);
    Resident { after: bytes(&status, "VmRSS:"), peak: bytes(&status, "VmHWM:") }
}

/// The process that is measured: prints what the system says about it.
pub(crate) fn hold(size: Size) {
    let world = World::new(size, DECISIONS);
    let snapshot = build(&world.state, None);
    let program = snapshot.account(world.workload.account()).expect("the account of the workload");
    for request in &world.requests {
        let supplied = request.supplied();
        let check = request.check(&supplied, NOW).expect("the request is within the limits");
        black_box(evaluate(program, &check).expect("the names exist").decision());
    }
    print!("{}", std::fs::read_to_string("/proc/self/status").unwrap_or_default());
}

/// The field of a process status that is given in kilobytes.
fn bytes(status: &str, field: &str) -> f64 {
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse::<f64>().ok()).map_or(f64::NAN, |it| it * 1024.0)
}

// === impl Accounts ===

impl<'w> Accounts<'w> {
    fn new(whole: &'w World) -> Self {
        let dimensions = whole.size.dimensions();
        let one = World::of(whole.size, Dimensions { policies: 1, groups: 1, users: 1 }, 0);
        let few = World::of(whole.size, Dimensions { users: 1, ..dimensions }, 0);
        Self { one, few, whole }
    }

    fn heap<T>(&self, build: impl Fn(&World) -> T) -> Heap {
        let Dimensions { policies, users, .. } = self.whole.size.dimensions();
        let [one, few, whole] = [&self.one, &self.few, self.whole].map(|world| live(|| build(world)));
        Heap { base: one, policy: (few - one) / policies as f64, user: (whole - few) / users as f64 }
    }
}

/// Bytes that are live once something is built.
fn live<T>(build: impl FnOnce() -> T) -> f64 {
    let mut held = None;
    let counted = allocation_counter::measure(|| held = Some(build()));
    drop(held);
    counted.bytes_current as f64
}
