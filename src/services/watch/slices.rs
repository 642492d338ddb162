//! Who is woken when: the watchers, a slice at a time.
//!
//! A commit is news for every watcher. Woken all at once, ten thousand tasks stand in the runtime's queue before whatever comes
//! next: the answer to whoever committed, a ping, another administrator's call. So a slice is woken, then others have their
//! turn, then the next slice is woken. Calls of administrators have the right of way: while one is under way no slice is woken.

use std::iter;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task;

use crate::services::right_of_way::RightOfWay;

/// Watchers that are woken at once. A thread of the runtime keeps 256 tasks in a queue of its own, and looks at what came from
/// outside after some 60 of them: with more, an answer waits; with fewer, threads sleep between the slices.
pub(super) const SLICE: usize = 64;

/// How long a turn of all slices is held up by calls, at most: whoever calls without a pause delays the watchers by a part of what it
/// takes to tell them.
const PATIENCE: Duration = Duration::from_millis(10);

/// The slices of all watchers.
pub(super) struct Slices {
    first: watch::Sender<()>,
    others: Box<[watch::Sender<()>]>,
}

/// What a turn of all slices had so far.
#[derive(Debug, Default)]
struct Turn {
    slices: usize,
    /// Whether the watchers are in more than one slice.
    is_many: bool,
    /// How long calls may hold it up yet.
    patience: Duration,
}

// === impl Slices ===

impl Slices {
    /// Slices for so many watchers.
    pub(super) fn new(watchers: usize) -> Self {
        let others = 1..watchers.div_ceil(SLICE);
        Self { first: watch::Sender::new(()), others: others.map(|_| watch::Sender::new(())).collect() }
    }

    /// A place in the first slice that has one, so that a few watchers are one slice.
    ///
    /// Whoever marks itself as told, and looks for news after that, is woken for what it did not find.
    pub(super) fn join(&self) -> watch::Receiver<()> {
        // Those who come at once may find the same last place: then there is one more in a slice.
        let free = self.all().find(|slice| slice.receiver_count() < SLICE);
        let least = || self.all().min_by_key(|slice| slice.receiver_count());
        free.or_else(least).unwrap_or(&self.first).subscribe()
    }

    /// Wakes everybody whenever `head` moves, for as long as somebody may move it. Where it moves while they are woken, it goes on
    /// round and does not begin anew, so that nobody is always the last. Where there is more than one slice, each gives way to calls.
    pub(super) async fn wake<T>(&self, mut head: watch::Receiver<T>, right_of_way: &RightOfWay) {
        let mut round = self.all().cycle();
        while head.changed().await.is_ok() {
            let mut left = self.count();
            let mut turn = Turn::default();
            while left > 0 {
                left -= 1;
                let Some(slice) = round.next() else { return };
                // A slice without watchers takes nobody's time.
                if slice.receiver_count() == 0 {
                    turn.slices += 1;
                    continue;
                }
                turn.give_way(self, right_of_way).await;
                slice.send_replace(());
                task::yield_now().await;
                if head.has_changed().unwrap_or(false) {
                    head.mark_unchanged();
                    left = self.count();
                }
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = &watch::Sender<()>> + Clone {
        iter::once(&self.first).chain(&self.others)
    }

    fn count(&self) -> usize {
        1 + self.others.len()
    }
}

// === impl Turn ===

impl Turn {
    /// Lets calls go before the next slice.
    async fn give_way(&mut self, slices: &Slices, right_of_way: &RightOfWay) {
        if self.slices.is_multiple_of(slices.count()) {
            self.is_many = slices.all().filter(|slice| slice.receiver_count() > 0).nth(1).is_some();
            self.patience = PATIENCE;
        }
        self.slices += 1;
        if self.is_many {
            self.patience = right_of_way.give(self.patience).await;
        }
    }
}

#[cfg(test)]
mod tests;
