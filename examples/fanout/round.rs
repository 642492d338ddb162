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
/// Before a commit that is timed: a machine that has rested is slower at first, with streams and without.
const PAUSE: Duration = Duration::from_millis(100);

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
    /// A commit before there were streams, one after another.
    pub(crate) alone: Times,
    /// The same, each after a pause.
    pub(crate) rested: Sample,
    /// A commit with streams, after a pause: what went before is with all of them.
    pub(crate) beside: Sample,
    /// A commit while the one before is on its way to the streams.
    pub(crate) amid: Times,
    /// From the call to the last stream.
    pub(crate) from_call: Times,
    /// From the answer to the last stream; nothing where the last stream was first.
    pub(crate) from_answer: Times,
    /// Bytes of the server for all streams.
    pub(crate) bytes: u64,
}

/// How long a commit took.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    /// To the caller: the processor's turn of whoever calls is in it.
    pub(crate) called: Times,
    /// Within the server, on average, where it tells.
    pub(crate) inside: Option<Duration>,
}

/// Measures `peer` with its streams each on a connection, or one connection a process.
pub(crate) async fn run(peer: &impl Peer, plan: Plan, multiplexed: bool) -> anyhow::Result<Round> {
    let mut round = Round { streams: plan.streams, ..Round::default() };
    let mut numbers = 0..;
    for number in numbers.by_ref().take(WARM) {
        peer.commit(number).await?;
    }
    for number in numbers.by_ref().take(plan.commits * ALONE) {
        timed(peer, number, &mut round.alone).await?;
    }
    let spent = peer.spent()?;
    for number in numbers.by_ref().take(plan.commits) {
        tokio::time::sleep(PAUSE).await;
        timed(peer, number, &mut round.rested.called).await?;
    }
    round.rested.inside = peer.spent()?.mean_since(spent);
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
    with_streams(peer, &receivers, numbers.by_ref().take(plan.commits), &mut round).await?;
    amid(peer, &receivers, numbers.take(plan.commits * 2), &mut round).await?;
    Ok(round)
}

/// Commits of which each begins when the one before has come to all streams.
async fn with_streams(
    peer: &impl Peer,
    receivers: &[Process],
    numbers: impl Iterator<Item = usize>,
    round: &mut Round,
) -> anyhow::Result<()> {
    let spent = peer.spent()?;
    for number in numbers {
        tokio::time::sleep(PAUSE).await;
        let called = now()?;
        let (revision, took) = timed(peer, number, &mut round.beside.called).await?;
        let last = wait(receivers, &revision.to_string())?;
        round.from_call.push(last.saturating_sub(called));
        round.from_answer.push(last.saturating_sub(called + took));
    }
    round.beside.inside = peer.spent()?.mean_since(spent);
    Ok(())
}

/// Commits by twos, the second as soon as the first is answered: that one is timed.
async fn amid(
    peer: &impl Peer,
    receivers: &[Process],
    mut numbers: impl Iterator<Item = usize>,
    round: &mut Round,
) -> anyhow::Result<()> {
    while let Some((first, second)) = numbers.next().zip(numbers.next()) {
        tokio::time::sleep(PAUSE).await;
        peer.commit(first).await?;
        let (revision, _) = timed(peer, second, &mut round.amid).await?;
        wait(receivers, &revision.to_string())?;
    }
    Ok(())
}

/// One commit; gives its revision and how long it took.
async fn timed(peer: &impl Peer, number: usize, times: &mut Times) -> anyhow::Result<(u64, Duration)> {
    let begun = Instant::now();
    let revision = peer.commit(number).await?;
    let took = begun.elapsed();
    times.push(took);
    Ok((revision, took))
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
