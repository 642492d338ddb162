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
/// Before a commit that is timed: a machine that has rested is slower at first, with streams and without.
const PAUSE: Duration = Duration::from_millis(50);
/// After the answer to a commit: its way to ten thousand streams takes several times as long.
const MIDDLE: Duration = Duration::from_millis(15);

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
    /// A commit when those before have come to all streams.
    pub(crate) rested: Pair,
    /// Within the server, without streams and with, on average, where it tells.
    pub(crate) inside: [Option<Duration>; 2],
    /// A commit right after another.
    pub(crate) at_once: Pair,
    /// A commit while another is on its way to the streams.
    pub(crate) amid: Pair,
    /// From the call to the last stream.
    pub(crate) from_call: Times,
    /// From the answer to the last stream; nothing where the last stream was first.
    pub(crate) from_answer: Times,
    /// Bytes of the server for all streams.
    pub(crate) bytes: u64,
}

/// How long commits took their caller: the processor's turn of whoever calls is in it.
#[derive(Debug, Default)]
pub(crate) struct Pair {
    /// To the server without streams.
    pub(crate) without: Times,
    /// To the one with streams.
    pub(crate) with: Times,
}

/// Measures `peer` with its streams each on a connection, or one connection a process. `quiet` is the same without streams.
pub(crate) async fn run<P: Peer>(peer: &P, quiet: &P, plan: Plan, multiplexed: bool) -> anyhow::Result<Round> {
    let mut round = Round { streams: plan.streams, ..Round::default() };
    for _ in 0..WARM {
        quiet.commit().await?;
        peer.commit().await?;
    }
    let before = memory::resident(peer.process())?;
    let begun = Instant::now();
    let receivers = receivers(peer, plan, multiplexed)?;
    wait(&receivers, "open")?;
    round.opened = begun.elapsed();
    // The first commits are sent in buffers that are kept.
    for _ in 0..WARM / 4 {
        let revision = peer.commit().await?;
        wait(&receivers, &revision.to_string())?;
    }
    round.bytes = memory::resident(peer.process())?.saturating_sub(before);
    in_turns(peer, quiet, &receivers, plan.commits, &mut round).await?;
    by_twos(peer, quiet, &receivers, plan.commits, &mut round).await?;
    Ok(round)
}

/// A commit to the server without streams, and one to the other: in turns, so that what the machine does meets both.
async fn in_turns<P: Peer>(
    peer: &P,
    quiet: &P,
    receivers: &[Process],
    commits: usize,
    round: &mut Round,
) -> anyhow::Result<()> {
    let (spent, spent_quiet) = (peer.spent()?, quiet.spent()?);
    for _ in 0..commits {
        settle(quiet).await?;
        timed(quiet, &mut round.rested.without).await?;
        settle(quiet).await?;
        let called = now()?;
        let (revision, took) = timed(peer, &mut round.rested.with).await?;
        let last = wait(receivers, &revision.to_string())?;
        round.from_call.push(last.saturating_sub(called));
        round.from_answer.push(last.saturating_sub(called + took));
    }
    round.inside = [quiet.spent()?.mean_since(spent_quiet), peer.spent()?.mean_since(spent)];
    Ok(())
}

/// Commits by twos, of which the second is timed: in turns, too. It follows at once, or when the first has come to some.
async fn by_twos<P: Peer>(
    peer: &P,
    quiet: &P,
    receivers: &[Process],
    commits: usize,
    round: &mut Round,
) -> anyhow::Result<()> {
    for _ in 0..commits {
        for (after, seconds) in [(Duration::ZERO, &mut round.at_once), (MIDDLE, &mut round.amid)] {
            settle(quiet).await?;
            second(quiet, after, &mut seconds.without).await?;
            settle(quiet).await?;
            let revision = second(peer, after, &mut seconds.with).await?;
            wait(receivers, &revision.to_string())?;
        }
    }
    Ok(())
}

/// Two commits, of which the second is timed; gives its revision.
async fn second(peer: &impl Peer, after: Duration, times: &mut Times) -> anyhow::Result<u64> {
    peer.commit().await?;
    tokio::time::sleep(after).await;
    Ok(timed(peer, times).await?.0)
}

/// A pause with a commit in its middle, for which nobody waits: what was before it is over, and what comes after it finds the same
/// processor, whether a fan-out was before it or not.
async fn settle(quiet: &impl Peer) -> anyhow::Result<()> {
    tokio::time::sleep(PAUSE).await;
    quiet.commit().await?;
    tokio::time::sleep(PAUSE).await;
    Ok(())
}

/// One commit; gives its revision and how long it took.
async fn timed(peer: &impl Peer, times: &mut Times) -> anyhow::Result<(u64, Duration)> {
    let begun = Instant::now();
    let revision = peer.commit().await?;
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
