//! Right of way: a call that somebody waits for goes before the telling of thousands, for a moment.
//!
//! Whoever commits a change and ten thousand watchers who are told of it want the same processors at the same time. The watchers can
//! wait some milliseconds, of the hundred that it takes to tell all of them; the one who committed should not notice them.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{self, Instant};

/// Between the end of a call and the next work for many: in it the answer leaves the process, and a caller on the same machine
/// reads it. What it is for takes 0.2 ms; no timer is finer than this.
const LEAVING: Duration = Duration::from_millis(1);

/// The calls that have the right of way. A cheap clone of the same.
#[derive(Debug, Clone, Default)]
pub struct RightOfWay(watch::Sender<Traffic>);

#[derive(Debug, Clone, Copy, Default)]
struct Traffic {
    under_way: usize,
    /// When the last call ended.
    ended: Option<Instant>,
}

/// A call that has the right of way, until it is dropped.
#[derive(Debug)]
pub struct Passage(RightOfWay);

// === impl RightOfWay ===

impl RightOfWay {
    /// A call begins.
    #[must_use]
    pub fn take(&self) -> Passage {
        self.0.send_modify(|traffic| traffic.under_way += 1);
        Passage(self.clone())
    }

    /// Waits until no call is under way and the answer of the last one has left, but not longer than `patience`. Gives what is
    /// left of that.
    pub async fn give(&self, patience: Duration) -> Duration {
        if patience.is_zero() || self.0.borrow().is_over() {
            return patience;
        }
        let begun = Instant::now();
        // Out of patience is an end like another.
        let _ = time::timeout(patience, self.passed()).await;
        patience.saturating_sub(begun.elapsed())
    }

    /// Waits for as long as it takes.
    async fn passed(&self) {
        let mut traffic = self.0.subscribe();
        loop {
            let Ok(quiet) = traffic.wait_for(|traffic| traffic.under_way == 0).await.map(|it| *it) else { return };
            if quiet.is_over() {
                return;
            }
            if let Some(ended) = quiet.ended {
                time::sleep_until(ended + LEAVING).await;
            }
        }
    }
}

// === impl Traffic ===

impl Traffic {
    fn is_over(&self) -> bool {
        self.under_way == 0 && self.ended.is_none_or(|ended| ended.elapsed() >= LEAVING)
    }
}

// === impl Passage ===

impl Drop for Passage {
    fn drop(&mut self) {
        self.0.0.send_modify(|traffic| {
            traffic.under_way -= 1;
            traffic.ended = Some(Instant::now());
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(10);

    /// How long somebody with so much patience waits behind calls that end after so many milliseconds, and what is left of it.
    async fn check(patience: Duration, calls: &[u64]) -> (Duration, Duration) {
        let way = RightOfWay::default();
        for call in calls {
            let (passage, call) = (way.take(), Duration::from_millis(*call));
            tokio::spawn(async move {
                time::sleep(call).await;
                drop(passage);
            });
        }
        let begun = Instant::now();
        let left = way.give(patience).await;
        (begun.elapsed(), left)
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_and_its_answer_go_first_and_nobody_waits_longer_than_it_has_patience() {
        let ms = Duration::from_millis;
        assert_eq!(check(PATIENCE, &[]).await, (ms(0), ms(10)));
        assert_eq!(check(PATIENCE, &[3]).await, (ms(4), ms(6)));
        assert_eq!(check(PATIENCE, &[3, 5, 1]).await, (ms(6), ms(4)));
        assert_eq!(check(PATIENCE, &[1_000]).await, (ms(10), ms(0)));
        assert_eq!(check(ms(0), &[3]).await, (ms(0), ms(0)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_begins_while_an_answer_leaves_goes_first_too() {
        let way = RightOfWay::default();
        drop(way.take());
        let next = way.take();
        let waiting = {
            let way = way.clone();
            tokio::spawn(async move { way.give(PATIENCE).await })
        };
        time::sleep(LEAVING * 3).await;
        assert!(!waiting.is_finished());
        drop(next);
        assert_eq!(waiting.await.unwrap() + LEAVING * 4, PATIENCE);
        time::sleep(LEAVING).await;
        assert_eq!(way.give(PATIENCE).await, PATIENCE, "and when all is over nobody waits");
    }
}
