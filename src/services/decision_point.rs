//! What both doors share: the current snapshot, the account asked about, the clock and the id of an answer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::clock::Clock;
use crate::compile::account::AccountProgram;
use crate::eval::Outcome;
use crate::model::attribute::InvalidRequest;
use crate::model::decision::{CheckRequest, Unanswerable};
use crate::model::id::AccountId;
use crate::snapshot::handle::{NotReady, Published, SnapshotHandle};
use crate::telemetry::metrics::Metrics;

/// Where decisions are made. A cheap clone.
#[derive(Debug, Clone)]
pub struct DecisionPoint {
    /// The snapshot.
    pub snapshots: SnapshotHandle,
    /// The clock of time conditions and ages.
    pub clock: Clock,
    /// The account of requests that do not name one: configured, or the only one there was when it was first needed. It
    /// does not change then: requests of one tenant must not be judged in another because the first one went.
    account: Arc<OnceLock<AccountId>>,
    /// Where checks are counted.
    pub metrics: Metrics,
    ids: Arc<DecisionIds>,
}

/// A request that got no decision. Never an allow (D13).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undecided {
    /// There is no snapshot yet.
    #[error(transparent)]
    NotReady(#[from] NotReady),
    /// The request cannot be used.
    #[error(transparent)]
    Invalid(#[from] InvalidRequest),
    /// The request names something that does not exist.
    #[error(transparent)]
    Unanswerable(#[from] Unanswerable),
}

/// Ids of answers: random for the process, then counted.
#[derive(Debug)]
struct DecisionIds {
    process: u64,
    next: AtomicU64,
}

// === impl DecisionPoint ===

impl DecisionPoint {
    /// A decision point over `snapshots`; `process` tells the ids of this process from those of others.
    #[must_use]
    pub fn new(
        snapshots: SnapshotHandle,
        clock: Clock,
        account: Option<AccountId>,
        metrics: Metrics,
        process: u64,
    ) -> Self {
        let ids = Arc::new(DecisionIds { process, next: AtomicU64::new(0) });
        let account = Arc::new(account.map_or_else(OnceLock::new, OnceLock::from));
        Self { snapshots, clock, account, metrics, ids }
    }

    /// An id for one answer.
    #[must_use]
    pub fn decision_id(&self) -> String {
        format!("{:016x}{:016x}", self.ids.process, self.ids.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Decides a request in the account it names.
    ///
    /// # Errors
    /// [`Undecided`] where there is no decision.
    pub fn decide<'s>(
        &self,
        published: &'s Published,
        account: &str,
        request: &CheckRequest<'_>,
    ) -> Result<Outcome<'s>, Undecided> {
        let account = self.account_of(published, account)?;
        Ok(published.snapshot.decide(account, request)?)
    }

    /// The program of the account that a request is about.
    ///
    /// # Errors
    /// [`Undecided`] where there is no such account.
    pub fn program<'s>(&self, published: &'s Published, account: &str) -> Result<&'s AccountProgram, Undecided> {
        let account = self.account_of(published, account)?;
        let program = published.snapshot.account(account);
        Ok(program.ok_or_else(|| Unanswerable::UnknownAccount(account.to_string()))?)
    }

    /// The account a request is about: the one it names, else the configured one, else the only one.
    fn account_of(&self, published: &Published, named: &str) -> Result<AccountId, Undecided> {
        if !named.is_empty() {
            let unknown =
                |_| InvalidRequest::new("account", "must be the id of an account, a UUID of version 4 in lower case");
            return Ok(named.parse().map_err(unknown)?);
        }
        let missing = || match published.snapshot.account_count() {
            0 => InvalidRequest::new("account", "cannot be found: there is no account yet"),
            _ => InvalidRequest::new("account", "is missing, and there is more than one account"),
        };
        match (self.account.get(), published.snapshot.sole_account()) {
            (Some(account), _) => Ok(*account),
            (None, Some(sole)) => Ok(*self.account.get_or_init(|| sole)),
            (None, None) => Err(missing().into()),
        }
    }
}

// === impl Undecided ===

impl Undecided {
    /// A stable code: those of rules §8, `unknown_account` and `not_ready`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotReady(_) => "not_ready",
            Self::Invalid(_) => "bad_request",
            Self::Unanswerable(unanswerable) => unanswerable.code(),
        }
    }

    /// The field of the request that is wrong; `None` where it is not the request's fault.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::NotReady(_) => None,
            Self::Invalid(invalid) => Some(&invalid.field),
            Self::Unanswerable(unanswerable) => Some(unanswerable.field()),
        }
    }
}
