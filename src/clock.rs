//! The clock, passed to whatever needs the time, so that tests hold its hands.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::model::moment::Moment;

/// A source of the current time. A cheap clone.
#[derive(Clone)]
pub struct Clock {
    wall: Hands,
    steady: Hands,
}

/// How far a time that was kept may be ahead of the clock that reads it.
const TOLERANCE: Duration = Duration::from_secs(5);
/// The age of what nobody knows the age of: a year.
pub const LONG: Duration = Duration::from_hours(365 * 24);

/// What the hands show.
type Hands = Arc<dyn Fn() -> Timestamp + Send + Sync>;

// === impl Clock ===

impl Clock {
    /// The clock of the machine. Its steady time begins with the wall clock's and then follows the machine's monotonic one.
    #[must_use]
    pub fn system() -> Self {
        let (start, begun) = (Timestamp::now(), Instant::now());
        Self::from_hands(Timestamp::now, move || {
            let elapsed = SignedDuration::try_from(begun.elapsed()).unwrap_or(SignedDuration::MAX);
            start.checked_add(elapsed).unwrap_or(Timestamp::MAX)
        })
    }

    /// A clock that `now` drives, its steady time too.
    pub fn from_fn(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        let wall: Hands = Arc::new(now);
        Self { steady: Arc::clone(&wall), wall }
    }

    /// A clock of which somebody may set `wall`, while `steady` only goes on.
    pub fn from_hands(
        wall: impl Fn() -> Timestamp + Send + Sync + 'static,
        steady: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        Self { wall: Arc::new(wall), steady: Arc::new(steady) }
    }

    /// The same clock for who measures how long something is ago: the steady time is the only one it has.
    #[must_use]
    pub fn for_ages(&self) -> Self {
        Self { wall: Arc::clone(&self.steady), steady: Arc::clone(&self.steady) }
    }

    /// The current time, for records.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.wall)()
    }

    /// What the wall clock showed at a steady time, as far as it was right all the time.
    #[must_use]
    pub fn wall_at(&self, steady: Moment) -> Moment {
        self.moment().before(self.steady().since(steady))
    }

    /// The steady time at which the wall clock showed this. Where that is in the future the wall clock is wrong, or was, and
    /// nobody knows how long ago it is: long.
    #[must_use]
    pub fn steady_at(&self, wall: Moment) -> Moment {
        let now = self.moment();
        let age = if wall.since(now) > TOLERANCE { LONG } else { now.since(wall) };
        self.steady().before(age)
    }

    /// The current time, for decisions.
    #[must_use]
    pub fn moment(&self) -> Moment {
        self.now().into()
    }

    /// A time that never goes back and that nobody sets, for ages. It is only compared with others of the same process: it
    /// is the wall clock's as long as that is not set.
    #[must_use]
    pub fn steady(&self) -> Moment {
        (self.steady)().into()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_is_kept_is_as_old_after_the_process_as_before_it() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let before = Clock::from_hands(move || at(1_000), move || at(700));
        let kept = before.wall_at(at(690).into());
        assert_eq!(kept, at(990).into());
        let after = Clock::from_hands(move || at(1_060), move || at(50));
        assert_eq!(after.steady_at(kept), at(-20).into());
        assert_eq!(after.steady_at(at(1_061).into()), at(50).into(), "two clocks are never quite the same");
        assert!(after.steady_at(at(2_000).into()) < at(-1_000_000).into(), "what seems to come from the future is old");
    }

    #[test]
    fn the_steady_time_begins_with_the_wall_clock_and_goes_on() {
        let before = Timestamp::now();
        let clock = Clock::system();
        let (first, second) = (clock.steady(), clock.steady());
        assert!(Moment::from(before) <= first && first <= second);
    }

    #[test]
    fn a_clock_for_ages_knows_nothing_of_the_wall_clock() {
        let clock = Clock::from_hands(|| Timestamp::MIN, || Timestamp::UNIX_EPOCH);
        assert_eq!((clock.now(), clock.steady()), (Timestamp::MIN, Timestamp::UNIX_EPOCH.into()));
        assert_eq!(clock.for_ages().now(), Timestamp::UNIX_EPOCH);
    }
}
