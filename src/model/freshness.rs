//! How old an answer may be, as the operator of a sidecar says it.

use std::time::Duration;

/// What becomes of the answers of a snapshot that has not been known to be the newest for too long (design §7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaleMode {
    /// They go on; only the operator is told.
    Serve,
    /// Every decision is a denial.
    Deny,
    /// There are none.
    Unavailable,
}

/// How long calls wait, and how old a snapshot may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreshnessPolicy {
    /// The longest that a call waits for the freshness that it demands.
    pub max_wait: Duration,
    /// What becomes of answers past `max_staleness`.
    pub stale_mode: StaleMode,
    /// The time since a snapshot was last known to be the newest past which it is stale.
    pub max_staleness: Duration,
}

// === impl StaleMode ===

impl StaleMode {
    /// Every mode with its name.
    pub const NAMES: [(&'static str, Self); 3] =
        [("serve", Self::Serve), ("deny", Self::Deny), ("unavailable", Self::Unavailable)];

    /// The name of the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Deny => "deny",
            Self::Unavailable => "unavailable",
        }
    }
}

// === impl FreshnessPolicy ===

impl Default for FreshnessPolicy {
    fn default() -> Self {
        Self { max_wait: Duration::from_secs(1), stale_mode: StaleMode::Serve, max_staleness: Duration::from_mins(1) }
    }
}
