//! A control plane is killed again and again in the middle of writes: `cargo run --example crash -- [ROUNDS] [SEED]`.
//!
//! After each kill the store is verified, what the killed process acknowledged is looked for, and a sidecar that follows over
//! all of them has to come to what the store has.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints figures")]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

mod processes;
mod rounds;

fn main() -> ExitCode {
    match program() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("error: {problem:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the rounds; gives whether nothing was lost or torn.
fn program() -> anyhow::Result<bool> {
    let mut arguments = std::env::args().skip(1);
    let rounds = arguments.next().map_or(Ok(200), |text| text.parse()).context("ROUNDS is no number")?;
    let now = jiff::Timestamp::now().as_microsecond().cast_unsigned();
    let seed = arguments.next().map_or(Ok(now), |text| text.parse()).context("SEED is no number")?;
    println!("{rounds} rounds, seed {seed}");
    let done = rounds::run(&binary()?, rounds, seed)?;
    println!("{done}");
    Ok(done.lost == 0 && done.torn == 0)
}

/// The binary of the same build: examples lie in a folder beside it.
fn binary() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("where this program is")?;
    let folder = own.parent().and_then(|examples| examples.parent()).context("this program lies in no build folder")?;
    let binary = folder.join("doorward");
    anyhow::ensure!(binary.exists(), "`{}` is not there; `cargo build` makes it", binary.display());
    Ok(binary)
}
