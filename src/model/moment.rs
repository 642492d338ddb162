//! An instant as conditions compare it: exact, without a calendar's range limits.

use std::fmt;
use std::time::Duration;

/// Nanoseconds of a second.
pub const SECOND: i128 = 1_000_000_000;
/// Nanoseconds of a day.
pub const DAY: i128 = 86_400 * SECOND;

/// An instant, in nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(i128);

/// An offset from UTC in seconds, east positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Offset(i32);

// === impl Moment ===

impl Moment {
    /// The latest instant that every spelling of an answer can tell, 9999-12-30T22:00:00.999999999Z: the calendar that writes
    /// RFC 3339 here ends a little before the format and the timestamps of the wire do.
    pub const LATEST_TOLD: Self = Self(253_402_207_200 * SECOND + 999_999_999);

    /// The instant this many nanoseconds after the epoch.
    #[must_use]
    pub const fn from_nanoseconds(nanoseconds: i128) -> Self {
        Self(nanoseconds)
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub const fn nanoseconds(self) -> i128 {
        self.0
    }

    /// Seconds since the epoch, for people and gauges.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a gauge needs no nanoseconds")]
    pub const fn unix_seconds(self) -> f64 {
        self.0 as f64 / SECOND as f64
    }

    /// The number of the local day in `offset`, day 0 being 1970-01-01.
    #[must_use]
    pub const fn day(self, offset: Offset) -> i64 {
        // A day number of an instant that a text can spell fits in an i64 with room to spare.
        (self.local(offset).div_euclid(DAY)) as i64
    }

    /// The first instant of a local day in `offset`.
    #[must_use]
    pub const fn start_of_day(day: i64, offset: Offset) -> Self {
        Self(day as i128 * DAY - offset.0 as i128 * SECOND)
    }

    /// The next instant there is.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The instant this many nanoseconds later.
    #[must_use]
    pub const fn after(self, nanoseconds: i64) -> Self {
        Self(self.0.saturating_add(nanoseconds as i128))
    }

    /// The instant this long before; the first there is where that is none.
    #[must_use]
    pub fn before(self, time: Duration) -> Self {
        Self(self.0.saturating_sub(i128::try_from(time.as_nanos()).unwrap_or(i128::MAX)))
    }

    /// Nanoseconds since local midnight in `offset`.
    #[must_use]
    pub const fn time_of_day(self, offset: Offset) -> i64 {
        self.local(offset).rem_euclid(DAY) as i64
    }

    /// The day of the week in UTC, Monday being 0 (rules R18).
    #[must_use]
    pub const fn week_day(self) -> u8 {
        // 1970-01-01 was a Thursday.
        (self.day(Offset::UTC) + 3).rem_euclid(7) as u8
    }

    /// How long before this another instant was; zero for one that is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let nanoseconds = self.0.saturating_sub(earlier.0).max(0);
        u64::try_from(nanoseconds).map_or(Duration::MAX, Duration::from_nanos)
    }

    const fn local(self, offset: Offset) -> i128 {
        self.0 + offset.0 as i128 * SECOND
    }
}

impl From<jiff::Timestamp> for Moment {
    fn from(at: jiff::Timestamp) -> Self {
        Self(at.as_nanosecond())
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(self.0) {
            Ok(at) => at.fmt(f),
            Err(_) => write!(f, "{} ns", self.0),
        }
    }
}

// === impl Offset ===

impl Offset {
    /// `Z`.
    pub const UTC: Self = Self(0);

    /// An offset of this many seconds east of UTC.
    #[must_use]
    pub const fn from_seconds(seconds: i32) -> Self {
        Self(seconds)
    }

    /// Seconds east of UTC.
    #[must_use]
    pub const fn seconds(self) -> i32 {
        self.0
    }
}
