//! One commit to ten thousand watch streams, beside etcd in the same run:
//! `cargo run --release --example fanout -- [--streams 10000] [--processes 4] [--commits 20]`.
//!
//! The streams are held by processes of their own, first each on its own connection, then all on one connection of each
//! process. Everything shares the machine, the receivers too: what is to be compared is the ratio. How long a commit takes
//! its caller is told of two servers that are alike, one with the streams and one without, that are asked in turns; and of a commit
//! that comes while the one before is on its way to the streams.
//! `cargo build --release` makes the control plane first.

#![expect(clippy::print_stdout, reason = "a program that prints figures")]

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::Context as _;
use clap::Parser;

use crate::peer::{ControlPlane, Etcd};
use crate::round::{Plan, Round};

mod peer;
mod receiver;
mod round;
#[path = "../support/mod.rs"]
mod support;
mod table;

/// Measures how long a commit takes to all watchers.
#[derive(Debug, Parser)]
struct Arguments {
    /// Watch streams
    #[arg(long, default_value_t = 10_000)]
    streams: usize,
    /// Processes that hold them
    #[arg(long, default_value_t = 4)]
    processes: usize,
    /// Commits that are timed
    #[arg(long, default_value_t = 20)]
    commits: usize,
    /// Files that may be open are as many as the system allows
    #[arg(long, hide = true)]
    raised: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Debug, clap::Subcommand)]
enum Role {
    /// Holds streams; started by this program itself
    #[command(hide = true)]
    Receive(receiver::Arguments),
}

fn main() -> anyhow::Result<()> {
    let arguments = &Arguments::parse();
    if let Some(Role::Receive(arguments)) = &arguments.role {
        return receiver::run(arguments);
    }
    if !arguments.raised {
        return raise();
    }
    let plan = Plan {
        streams: arguments.streams.max(1),
        processes: arguments.processes.clamp(1, arguments.streams.max(1)),
        commits: arguments.commits.max(1),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!("{} streams in {} processes, {} commits\n", plan.streams, plan.processes, plan.commits);
    for multiplexed in [false, true] {
        let ours = runtime.block_on(ours(plan, multiplexed)).context("the control plane")?;
        let etcd = runtime.block_on(etcd(plan, multiplexed)).context("etcd")?;
        println!("{}", table::Table { multiplexed, ours, etcd });
    }
    Ok(())
}

/// Begins anew in a shell that has raised the limit of open files, for this process and those that it starts.
fn raise() -> anyhow::Result<()> {
    let own = std::env::current_exe()?;
    let raise = r#"ulimit -n "$(ulimit -H -n)"; exec "$0" --raised "$@""#;
    Err(Command::new("sh").arg("-c").arg(raise).arg(own).args(std::env::args_os().skip(1)).exec()).context("`sh`")
}

async fn ours(plan: Plan, multiplexed: bool) -> anyhow::Result<Round> {
    let folders = [tempfile::tempdir()?, tempfile::tempdir()?];
    let [peer, quiet] = folders.each_ref().map(|folder| ControlPlane::start(folder.path()));
    round::run(&peer.await?, &quiet.await?, plan, multiplexed).await
}

/// `None` where etcd cannot be had.
async fn etcd(plan: Plan, multiplexed: bool) -> anyhow::Result<Option<Round>> {
    let (Some(peer), Some(quiet)) = (Etcd::start().await?, Etcd::start().await?) else { return Ok(None) };
    round::run(&peer, &quiet, plan, multiplexed).await.map(Some)
}
