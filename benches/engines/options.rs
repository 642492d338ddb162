//! What was asked for on the command line.
//!
//! `cargo bench` says `--bench`, and everything is measured. Without it, as `cargo test --bench engines` runs it, the bench
//! only shows that it works.

use std::path::PathBuf;
use std::process::exit;

use doorward::workload::Size;

use super::engine::Kind;

const USAGE: &str = "cargo bench --bench engines [-- OPTIONS]

  --sizes S,M,L,XL    sizes to measure; all of them
  --skip-regorus      leave regorus out
  --skip-decisions    leave the costs of a decision out
  --skip-instructions leave instructions out
  --skip-memory       leave memory out
  --skip-changes      leave builds and changes out
  --keep DIR          keep what callgrind wrote, for callgrind_annotate";

/// What to do.
pub(crate) enum Task {
    /// See that everything works.
    Try,
    /// Measure.
    Measure(Options),
    /// Decide under callgrind, for the process that began this one.
    Decide(Kind, Size),
    /// Hold an account as a sidecar does, for the process that began this one.
    Hold(Size),
}

/// What to measure.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub(crate) struct Options {
    pub(crate) sizes: Vec<Size>,
    pub(crate) regorus: bool,
    pub(crate) decisions: bool,
    pub(crate) instructions: bool,
    pub(crate) memory: bool,
    pub(crate) changes: bool,
    pub(crate) keep: Option<PathBuf>,
}

// === impl Task ===

impl Task {
    /// Reads the arguments of the process.
    pub(crate) fn from_arguments() -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["decide", kind, size] => Self::Decide(find_kind(kind), find_size(size)),
            ["hold", size] => Self::Hold(find_size(size)),
            all if all.contains(&"--bench") => Self::Measure(Options::read(all)),
            _ => Self::Try,
        }
    }
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        let sizes = Size::ALL.to_vec();
        let keep = None;
        Self { sizes, regorus: true, decisions: true, instructions: true, memory: true, changes: true, keep }
    }
}

impl Options {
    fn read(arguments: &[&str]) -> Self {
        let mut options = Self::default();
        let mut arguments = arguments.iter().copied();
        while let Some(argument) = arguments.next() {
            match argument {
                "--bench" => {}
                "--help" => {
                    println!("{USAGE}");
                    exit(0)
                }
                "--sizes" => options.sizes = arguments.next().unwrap_or_default().split(',').map(find_size).collect(),
                "--skip-regorus" => options.regorus = false,
                "--skip-decisions" => options.decisions = false,
                "--skip-instructions" => options.instructions = false,
                "--skip-memory" => options.memory = false,
                "--skip-changes" => options.changes = false,
                "--keep" => options.keep = arguments.next().map(PathBuf::from),
                other => refuse(other),
            }
        }
        options
    }
}

fn find_size(name: &str) -> Size {
    Size::ALL.into_iter().find(|size| size.name() == name).unwrap_or_else(|| refuse(name))
}

fn find_kind(name: &str) -> Kind {
    Kind::ALL.into_iter().find(|kind| kind.name() == name).unwrap_or_else(|| refuse(name))
}

fn refuse(argument: &str) -> ! {
    eprintln!("`{argument}` is not known\n\n{USAGE}");
    exit(64)
}
