//! The clock, passed to whatever needs the time, so that tests hold its hands.

use std::fmt;
use std::sync::Arc;

use crate::model::moment::Moment;

/// A source of the current time. A cheap clone.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> jiff::Timestamp + Send + Sync>);

// === impl Clock ===

impl Clock {
    /// The clock of the machine.
    #[must_use]
    pub fn system() -> Self {
        Self::from_fn(jiff::Timestamp::now)
    }

    /// A clock that `now` drives.
    pub fn from_fn(now: impl Fn() -> jiff::Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The current time, for records.
    #[must_use]
    pub fn now(&self) -> jiff::Timestamp {
        (self.0)()
    }

    /// The current time, for decisions.
    #[must_use]
    pub fn moment(&self) -> Moment {
        self.now().into()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
