//! Instructions a decision, counted by callgrind.
//!
//! An engine decides in a process of its own under `valgrind --tool=callgrind`. It builds without being counted, says that
//! it is ready and waits; then counting is switched on, it decides every request of a lane once, and what was counted is
//! written down. Included is everything from the request to the decision and its reason, and the loop around it; nothing
//! is subtracted. Allocations are made by the system's allocator; the one that counts them stands aside but for the test
//! whether it counts.

use std::fs::read_to_string;
use std::io::{BufRead as _, BufReader, Write as _, stdin};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use doorward::workload::Size;

use super::engine::{Kind, Row};
use super::fleet::{Counts, Fleet};
use super::world::World;

/// A process that decides under callgrind.
struct Counted {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Where callgrind writes, without the number that it adds.
    out: PathBuf,
}

/// Whether callgrind is there.
pub(crate) fn is_installed() -> bool {
    let runs = |program: &str| Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok();
    runs("valgrind") && runs("callgrind_control")
}

/// The mean of each lane of an engine; callgrind writes into `folder`.
pub(crate) fn count(kind: Kind, size: Size, folder: &Path) -> Vec<(Row, f64)> {
    let mut counted = Counted::start(kind, size, folder);
    let mut means = Vec::new();
    while let Some(row) = counted.answer() {
        let (form, requests) = row.split_once(' ').expect("a form and how many requests");
        let form = kind.forms().into_iter().find(|it| it.name() == form).expect("a form");
        let requests: f64 = requests.parse().expect("a number of requests");
        let total = counted.count_lane(means.len() + 1);
        means.push((Row { kind, form }, total / requests));
    }
    assert!(counted.child.wait().expect("the process ends").success(), "{} fails under callgrind", kind.name());
    means
}

/// The other side: decides each lane when it is told to.
pub(crate) fn decide(kind: Kind, size: Size) {
    let counts = Counts::FULL;
    let world = World::new(size, counts.of(kind));
    let fleet = Fleet::new(&[kind], &world, counts);
    allocation_counter::opt_out(|| {
        for lane in fleet.lanes(&world, counts) {
            println!("{} {}", lane.row.form.name(), lane.requests);
            wait();
            lane.decide_all();
            println!("done");
            wait();
        }
    });
}

/// Waits for an order.
fn wait() {
    let mut line = String::new();
    stdin().lock().read_line(&mut line).expect("the process that began this one waits");
}

// === impl Counted ===

impl Counted {
    fn start(kind: Kind, size: Size, folder: &Path) -> Self {
        let out = folder.join(format!("{}-{}", kind.name(), size.name()));
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new("valgrind")
            .args(["--tool=callgrind", "--instr-atstart=no", "-q"])
            .arg(format!("--callgrind-out-file={}", out.display()))
            .arg(program)
            .args(["decide", kind.name(), size.name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("valgrind starts");
        let orders = child.stdin.take().expect("is piped");
        let answers = BufReader::new(child.stdout.take().expect("is piped"));
        Self { child, orders, answers, out }
    }

    /// The next line; none at the end.
    fn answer(&mut self) -> Option<String> {
        let mut line = String::new();
        let length = self.answers.read_line(&mut line).expect("the process answers");
        (length > 0).then(|| line.trim().to_owned())
    }

    fn order(&mut self) {
        writeln!(self.orders, "go").expect("the process waits");
    }

    /// Instructions of the lane that waits; `number` is that of what callgrind writes.
    fn count_lane(&mut self, number: usize) -> f64 {
        // Counting stays on: what is counted after it was off has once been below zero.
        self.control(if number == 1 { &["-i", "on"] } else { &["-z"] });
        self.order();
        assert_eq!(self.answer().as_deref(), Some("done"));
        self.control(&["-d"]);
        self.order();
        let written = format!("{}.{number}", self.out.display());
        total(&read_to_string(written).expect("callgrind has written"))
    }

    fn control(&self, order: &[&str]) {
        let process = self.child.id().to_string();
        let done = Command::new("callgrind_control")
            .args(order)
            .arg(process)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(done.expect("callgrind_control runs").success(), "callgrind does not obey {order:?}");
    }
}

/// All instructions of what callgrind wrote.
fn total(written: &str) -> f64 {
    let line = written.lines().find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
    line.and_then(|number| number.trim().parse().ok()).expect("callgrind writes a total")
}
