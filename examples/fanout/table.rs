//! The figures of a server beside those of another.

use std::fmt;
use std::time::Duration;

use crate::round::{Pair, Round};
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

    fn pair(&self, f: &mut fmt::Formatter<'_>, name: &str, pair: impl Fn(&Round) -> &Pair) -> fmt::Result {
        self.times(f, &format!("{name}, no streams, median"), |round| pair(round).without.median())?;
        self.times(f, &format!("{name}, streams, median"), |round| pair(round).with.median())?;
        self.row(f, "  streams / no streams", |round| {
            let Pair { without, with } = pair(round);
            format!("{:.2}", ratio(with.median(), without.median()))
        })?;
        self.times(f, "  no streams, 90 of 100", |round| pair(round).without.percentile(90))?;
        self.times(f, "  streams, 90 of 100", |round| pair(round).with.percentile(90))
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
        self.pair(f, "commit", |round| &round.rested)?;
        self.row(f, "  within the server, no streams, mean", |round| round.inside[0].map(ms).unwrap_or_default())?;
        self.row(f, "  within the server, streams, mean", |round| round.inside[1].map(ms).unwrap_or_default())?;
        self.pair(f, "commit right after a commit", |round| &round.at_once)?;
        self.pair(f, "commit amid a fan-out", |round| &round.amid)?;
        self.row(f, "memory a stream", |round| {
            let bytes = round.bytes / round.streams as u64;
            format!("{}.{} KiB", bytes >> 10, ((bytes & 1_023) * 10) >> 10)
        })
    }
}
