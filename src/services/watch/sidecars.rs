//! The sidecars of this control plane: who watches, and what each says it has applied (design §5, sentence 7).

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::Status;

use super::request::{Subscription, check_instance};
use crate::clock::Clock;
use crate::model::moment::Moment;
use crate::model::revision::{RevisionToken, StoreId};
use crate::model::scope::Scope;
use crate::proto::doorward as pb;
use crate::proto::object::{from_scope, from_timestamp};
use crate::services::status::invalid_argument;

/// Sidecars that are known at once: those that watch, and those that went away.
const KNOWN: usize = 24_000;
/// Time after which a sidecar that went away without a word is forgotten: it may answer from what it has until then.
const AWAY: Duration = Duration::from_mins(10);
/// Bytes of the reason of a refused update.
const REASON_BYTES: usize = 1_024;
/// Sidecars named in an answer.
const NAMED: usize = 100;
/// After a report, others are waited for so long before all are looked at again.
const GATHER: Duration = Duration::from_millis(10);

/// The sidecars of a control plane. A cheap clone.
#[derive(Debug, Clone)]
pub struct Sidecars(Arc<Registry>);

#[derive(Debug)]
struct Registry {
    store: StoreId,
    clock: Clock,
    /// By instance.
    known: DashMap<String, Known>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Clone)]
struct Known {
    client: String,
    scope: Scope,
    streams: u32,
    applied: Option<RevisionToken>,
    rejected: Option<pb::RejectedUpdate>,
    heard: jiff::Timestamp,
    /// The same, for how long ago that is.
    heard_steady: Moment,
    is_leaving: bool,
}

/// The stream of a sidecar; it counts as connected until this is dropped.
#[derive(Debug)]
pub(super) struct Presence {
    sidecars: Sidecars,
    instance: String,
}

// === impl Sidecars ===

impl Sidecars {
    pub(super) fn new(store: StoreId, clock: Clock) -> Self {
        Self(Arc::new(Registry { store, clock, known: DashMap::new(), changed: watch::Sender::new(()) }))
    }

    /// Notes a new stream; `None` for a watcher that does not report.
    pub(super) fn begin(&self, subscription: &Subscription) -> Result<Option<Presence>, Status> {
        let Subscription { client, instance, scope, .. } = subscription;
        if instance.is_empty() {
            return Ok(None);
        }
        self.forget_old();
        if self.0.known.len() >= KNOWN && !self.0.known.contains_key(instance) {
            let problem =
                format!("{KNOWN} sidecars are known already; those that went away are forgotten in ten minutes");
            return Err(Status::resource_exhausted(problem));
        }
        let (heard, heard_steady) = (self.0.clock.now(), self.0.clock.steady());
        let mut known = self.0.known.entry(instance.clone()).or_insert_with(|| Known {
            client: client.clone(),
            scope: scope.clone(),
            streams: 0,
            applied: None,
            rejected: None,
            heard,
            heard_steady,
            is_leaving: false,
        });
        known.streams += 1;
        known.is_leaving = false;
        (known.client, known.scope) = (client.clone(), scope.clone());
        (known.heard, known.heard_steady) = (heard, heard_steady);
        drop(known);
        self.0.changed.send_replace(());
        Ok(Some(Presence { sidecars: self.clone(), instance: instance.clone() }))
    }

    /// Notes what a sidecar says.
    pub(super) fn report(&self, report: pb::ReportAppliedRequest) -> Result<(), Status> {
        let pb::ReportAppliedRequest { instance, applied, rejected, leaving } = report;
        let wrong = |field: &str, problem: String| {
            invalid_argument(format!("`{field}` {problem}"), [(field.to_owned(), problem)])
        };
        check_instance(&instance, false).map_err(|problem| wrong("instance", problem))?;
        if rejected.as_ref().is_some_and(|it| it.reason.len() > REASON_BYTES) {
            return Err(wrong("rejected.reason", format!("is longer than {REASON_BYTES} bytes")));
        }
        let applied = match applied.as_str() {
            "" => None,
            token => Some(token.parse::<RevisionToken>().map_err(|problem| wrong("applied", problem.to_string()))?),
        };
        let unknown = || Status::not_found("no stream of this `instance` was ever open here; watch first");
        let mut known = self.0.known.get_mut(&instance).ok_or_else(unknown)?;
        if let Some(update) = rejected.as_ref().filter(|update| known.rejected.as_ref() != Some(*update)) {
            let pb::RejectedUpdate { revision, reason } = update;
            tracing::warn!(client = known.client, instance, revision, reason, "a sidecar refused an update");
        }
        (known.applied, known.rejected) = (applied, rejected);
        // It ends: what it still applies until then does not change that, only another stream would.
        known.is_leaving |= leaving;
        (known.heard, known.heard_steady) = (self.0.clock.now(), self.0.clock.steady());
        drop(known);
        self.forget_if_gone(&instance);
        self.0.changed.send_replace(());
        Ok(())
    }

    /// Waits until every sidecar has applied what `token` names, at most so long.
    pub async fn await_applied(&self, token: RevisionToken, limit: Duration) -> pb::AwaitAppliedResponse {
        let until = Instant::now() + limit;
        let mut changed = self.0.changed.subscribe();
        loop {
            changed.borrow_and_update();
            let standing = self.standing(token);
            let next = async {
                let moved = changed.changed().await;
                tokio::time::sleep(GATHER).await;
                moved
            };
            if standing.everywhere || !matches!(tokio::time::timeout_at(until, next).await, Ok(Ok(()))) {
                return self.standing(token);
            }
        }
    }

    /// Every sidecar, by instance.
    #[must_use]
    pub fn list(&self) -> Vec<pb::Sidecar> {
        self.forget_old();
        let mut all: Vec<_> = self.0.known.iter().map(|it| it.value().message(it.key())).collect();
        all.sort_unstable_by(|one, other| one.instance.cmp(&other.instance));
        all
    }

    /// The store whose revisions they apply.
    #[must_use]
    pub fn store(&self) -> StoreId {
        self.0.store
    }

    fn standing(&self, token: RevisionToken) -> pb::AwaitAppliedResponse {
        self.forget_old();
        let sidecars = u32::try_from(self.0.known.len()).unwrap_or(u32::MAX);
        let has =
            |known: &Known| known.applied.is_some_and(|it| it.store == token.store && it.revision >= token.revision);
        let mut behind: Vec<_> =
            self.0.known.iter().filter(|it| !has(it.value())).map(|it| it.value().message(it.key())).collect();
        behind.sort_unstable_by(|one, other| one.instance.cmp(&other.instance));
        let everywhere = behind.is_empty();
        behind.truncate(NAMED);
        pb::AwaitAppliedResponse { everywhere, sidecars, behind }
    }

    fn forget_old(&self) {
        let now = self.0.clock.steady();
        self.0.known.retain(|_, known| known.streams > 0 || now.since(known.heard_steady) < AWAY);
    }

    fn forget_if_gone(&self, instance: &str) {
        self.0.known.remove_if(instance, |_, known| known.is_leaving && known.streams == 0);
    }
}

// === impl Known ===

impl Known {
    fn message(&self, instance: &str) -> pb::Sidecar {
        pb::Sidecar {
            instance: instance.to_owned(),
            client: self.client.clone(),
            connected: self.streams > 0,
            applied: self.applied.map(|token| token.to_string()).unwrap_or_default(),
            report_time: Some(from_timestamp(self.heard)),
            rejected: self.rejected.clone(),
            accounts: from_scope(&self.scope),
        }
    }
}

// === impl Presence ===

impl Drop for Presence {
    fn drop(&mut self) {
        let Self { sidecars, instance } = self;
        if let Some(mut known) = sidecars.0.known.get_mut(instance) {
            known.streams = known.streams.saturating_sub(1);
            (known.heard, known.heard_steady) = (sidecars.0.clock.now(), sidecars.0.clock.steady());
        }
        sidecars.forget_if_gone(instance);
        sidecars.0.changed.send_replace(());
    }
}
