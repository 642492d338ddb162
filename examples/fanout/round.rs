//! One server, its streams and its commits.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};

use crate::peer::Peer;
use crate::receiver::now;
use crate::support::child::Process;
use crate::support::figures::Times;
use crate::support::memory;

/// The bound of what takes a server some seconds at ten thousand streams.
const PATIENCE: Duration = Duration::from_mins(3);
/// Commits before anything is timed.
const WARM: usize = 20;
/// Commits without streams for each with them: they are quick.
const ALONE: usize = 5;

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) streams: usize,
    pub(crate) processes: usize,
    pub(crate) commits: usize,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Round {
    pub(crate) streams: usize,
    /// Until all streams were open.
    pub(crate) opened: Duration,
    /// A commit before there were streams, and after they were gone.
    pub(crate) alone: Times,
    /// A commit with them.
    pub(crate) beside: Times,
    /// From the call to the last stream.
    pub(crate) from_call: Times,
    /// From the answer to the last stream; nothing where the last stream was first.
    pub(crate) from_answer: Times,
    /// Bytes of the server for all streams.
    pub(crate) bytes: u64,
}

/// Measures `peer` with its streams each on a connection, or one connection a process.
pub(crate) async fn run(peer: &impl Peer, plan: Plan, multiplexed: bool) -> anyhow::Result<Round> {
    let mut round = Round { streams: plan.streams, ..Round::default() };
    let mut numbers = 0..;
    commit(peer, &mut numbers, WARM, &mut Times::default()).await?;
    commit(peer, &mut numbers, plan.commits * ALONE, &mut round.alone).await?;
    let before = memory::resident(peer.process())?;
    let begun = Instant::now();
    let receivers = receivers(peer, plan, multiplexed)?;
    wait(&receivers, "open")?;
    round.opened = begun.elapsed();
    // The first commits are sent in buffers that are kept.
    for number in numbers.by_ref().take(WARM / 4) {
        let revision = peer.commit(number).await?;
        wait(&receivers, &revision.to_string())?;
    }
    round.bytes = memory::resident(peer.process())?.saturating_sub(before);
    for number in numbers.by_ref().take(plan.commits) {
        let (called, begun) = (now()?, Instant::now());
        let revision = peer.commit(number).await?;
        let took = begun.elapsed();
        let last = wait(&receivers, &revision.to_string())?;
        round.beside.push(took);
        round.from_call.push(last.saturating_sub(called));
        round.from_answer.push(last.saturating_sub(called + took));
    }
    Ok(round)
}

async fn commit(
    peer: &impl Peer,
    numbers: &mut impl Iterator<Item = usize>,
    count: usize,
    times: &mut Times,
) -> anyhow::Result<()> {
    for number in numbers.take(count) {
        let begun = Instant::now();
        peer.commit(number).await?;
        times.push(begun.elapsed());
    }
    Ok(())
}

/// Starts this program again as processes that share the streams out.
fn receivers(peer: &impl Peer, plan: Plan, multiplexed: bool) -> anyhow::Result<Vec<Process>> {
    let own = std::env::current_exe()?;
    let receiver = |process: usize| {
        let streams = (process..plan.streams).step_by(plan.processes).count();
        let connections = if multiplexed { 1 } else { streams };
        let counts = [format!("--streams={streams}"), format!("--connections={connections}")];
        let mut command = Command::new(&own);
        Process::spawn("receiver", command.arg("receive").args(peer.arguments()).args(counts))
    };
    Ok((0..plan.processes).map(receiver).collect())
}

/// Waits until all streams have come to a mark; gives when the last one did.
fn wait(receivers: &[Process], mark: &str) -> anyhow::Result<Duration> {
    let mut last = Duration::ZERO;
    for receiver in receivers {
        let found = receiver.stdout().wait(PATIENCE, |lines| {
            let told = lines.iter().rev().find_map(|line| line.strip_prefix(mark)?.strip_prefix(' '));
            told.map(str::to_owned)
        });
        let time = found.map_err(|problem| anyhow!("not all streams came to {mark} ({problem:?}): {receiver}"))?;
        last = last.max(Duration::from_micros(time.parse().context("a time")?));
    }
    Ok(last)
}
