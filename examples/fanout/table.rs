//! The figures of a server beside those of another.

use std::fmt;
use std::time::Duration;

use crate::round::{Round, Sample};
use crate::support::figures::{ms, ratio, seconds};

/// Ours beside etcd's.
pub(crate) struct Table {
    pub(crate) multiplexed: bool,
    pub(crate) ours: Round,
    /// `None` where etcd cannot be had.
    pub(crate) etcd: Option<Round>,
}

impl Table {
    fn row(&self, f: &mut fmt::Formatter<'_>, name: &str, show: impl Fn(&Round) -> String) -> fmt::Result {
        let etcd = self.etcd.as_ref().map(&show).unwrap_or_default();
        writeln!(f, "{name:<42}{:>12}{etcd:>12}", show(&self.ours))
    }

    fn times(&self, f: &mut fmt::Formatter<'_>, name: &str, time: impl Fn(&Round) -> Duration) -> fmt::Result {
        let etcd = self.etcd.as_ref().map(&time);
        let ratio = etcd.map(|etcd| format!("{:.2}", ratio(time(&self.ours), etcd))).unwrap_or_default();
        writeln!(f, "{name:<42}{:>12}{:>12}{ratio:>8}", ms(time(&self.ours)), etcd.map(ms).unwrap_or_default())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = if self.multiplexed { "one connection a process" } else { "each stream on its own connection" };
        writeln!(f, "{head:<42}{:>12}{:>12}{:>8}", "doorward", "etcd", "ratio")?;
        self.row(f, "all streams open", |round| seconds(round.opened))?;
        self.times(f, "call to last stream, median", |round| round.from_call.median())?;
        self.times(f, "call to last stream, most", |round| round.from_call.most())?;
        self.times(f, "answer to last stream, median", |round| round.from_answer.median())?;
        self.times(f, "answer to last stream, most", |round| round.from_answer.most())?;
        self.times(f, "commits one after another, no streams", |round| round.alone.median())?;
        self.times(f, "commit after a pause, no streams", |round| round.rested.called.median())?;
        self.times(f, "commit after a pause, streams", |round| round.beside.called.median())?;
        self.row(f, "  streams / no streams", |round| times_as_long(&round.beside, &round.rested))?;
        self.times(f, "commit after a pause, streams, most", |round| round.beside.called.most())?;
        self.row(f, "within the server, no streams, mean", |round| round.rested.inside.map(ms).unwrap_or_default())?;
        self.row(f, "within the server, streams, mean", |round| round.beside.inside.map(ms).unwrap_or_default())?;
        self.times(f, "commit amid a fan-out, median", |round| round.amid.median())?;
        self.times(f, "commit amid a fan-out, most", |round| round.amid.most())?;
        self.row(f, "memory a stream", |round| {
            let bytes = round.bytes / round.streams as u64;
            format!("{}.{} KiB", bytes >> 10, ((bytes & 1_023) * 10) >> 10)
        })
    }
}

fn times_as_long(one: &Sample, other: &Sample) -> String {
    format!("{:.2}", ratio(one.called.median(), other.called.median()))
}
