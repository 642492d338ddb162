//! What both doors share: the current snapshot, the account asked about, the clock and the id of an answer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tonic::metadata::MetadataMap;

use super::freshness::demand::{Demand, NotFresh, deadline};
use super::freshness::{Freshness, StaleSnapshot, TooManyWaiting};
use crate::clock::Clock;
use crate::compile::account::AccountProgram;
use crate::eval::Outcome;
use crate::model::attribute::InvalidRequest;
use crate::model::decision::{CheckRequest, Unanswerable};
use crate::model::freshness::FreshnessPolicy;
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
    /// What calls may demand of the snapshot, and what it is good for.
    pub freshness: Freshness,
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
    /// There is none that is as fresh as the call demands.
    #[error(transparent)]
    NotFresh(#[from] NotFresh),
    /// There is none that is young enough for an answer.
    #[error(transparent)]
    Stale(#[from] StaleSnapshot),
    /// The call would have to wait, and too many do.
    #[error(transparent)]
    TooManyWaiting(#[from] TooManyWaiting),
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
    /// A decision point over `snapshots` with the usual freshness; `process` tells the ids of this process from those of
    /// others.
    #[must_use]
    pub fn new(
        snapshots: SnapshotHandle,
        clock: Clock,
        account: Option<AccountId>,
        metrics: Metrics,
        process: u64,
    ) -> Self {
        Self::of(Freshness::new(snapshots, clock, metrics, FreshnessPolicy::default()), account, process)
    }

    /// A decision point over the snapshots of `freshness`.
    #[must_use]
    pub fn of(freshness: Freshness, account: Option<AccountId>, process: u64) -> Self {
        let ids = Arc::new(DecisionIds { process, next: AtomicU64::new(0) });
        let account = Arc::new(account.map_or_else(OnceLock::new, OnceLock::from));
        let (snapshots, clock) = (freshness.snapshots().clone(), freshness.clock().clone());
        let metrics = freshness.metrics().clone();
        Self { snapshots, clock, freshness, account, metrics, ids }
    }

    /// The snapshot that a call is answered from: the current one, or, where the call demands more, one that meets that.
    /// A call without demands costs a look at its fields: nothing waits, and what a wait needs is made for those that do.
    ///
    /// # Errors
    /// [`Undecided`] where there is none.
    pub async fn snapshot(
        &self,
        metadata: &MetadataMap,
        at_least_revision: &str,
        max_age: Option<prost_types::Duration>,
    ) -> Result<Arc<Published>, Undecided> {
        match Demand::read(at_least_revision, max_age, || self.clock.steady())? {
            None => Ok(self.snapshots.current()?),
            Some(demand) => Box::pin(self.freshness.snapshot(&demand, deadline(metadata))).await,
        }
    }

    /// The same for what is no decision: a stale snapshot that may only deny answers nothing else.
    ///
    /// # Errors
    /// [`Undecided`] where there is none.
    pub async fn usable_snapshot(
        &self,
        metadata: &MetadataMap,
        at_least_revision: &str,
        max_age: Option<prost_types::Duration>,
    ) -> Result<Arc<Published>, Undecided> {
        let published = self.snapshot(metadata, at_least_revision, max_age).await?;
        self.freshness.usable(&published)?;
        Ok(published)
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
    /// A stable code: those of rules §8, `unknown_account`, and those of a snapshot that is not there, not fresh enough or
    /// stale.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotReady(_) => "not_ready",
            Self::NotFresh(_) => "not_fresh",
            Self::Stale(_) => "stale_snapshot",
            Self::TooManyWaiting(_) => "too_many_waiting",
            Self::Invalid(_) => "bad_request",
            Self::Unanswerable(unanswerable) => unanswerable.code(),
        }
    }

    /// The field of the request that is wrong; `None` where it is not the request's fault.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::NotReady(_) | Self::NotFresh(_) | Self::Stale(_) | Self::TooManyWaiting(_) => None,
            Self::Invalid(invalid) => Some(&invalid.field),
            Self::Unanswerable(unanswerable) => Some(unanswerable.field()),
        }
    }
}
