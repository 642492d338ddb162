//! Times and bytes for people.

use std::time::Duration;

/// Times of the same thing.
#[derive(Debug, Default, Clone)]
pub struct Times(Vec<Duration>);

// === impl Times ===

impl Times {
    pub fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub fn median(&self) -> Duration {
        self.percentile(50)
    }

    pub fn most(&self) -> Duration {
        self.percentile(100)
    }

    /// The least time that so many of a hundred do not exceed; nothing where there are no times.
    pub fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        sorted.get(place).copied().unwrap_or_default()
    }
}

/// Milliseconds.
pub fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

/// Seconds.
pub fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// Mebibytes.
pub fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

/// How many times as long.
pub fn ratio(of: Duration, to: Duration) -> f64 {
    of.as_secs_f64() / to.as_secs_f64().max(f64::EPSILON)
}
