//! What every store promises, and the values it takes and gives.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::model::audit::AuditEvent;
use crate::model::credential::CredentialRecord;
use crate::model::mutation::{Actor, Mutation, RequestIdentity};
use crate::model::object::{Change, ObjectKey};
use crate::model::revision::{Revision, StoreId};
use crate::model::state::{ChangeRejected, State};

use super::dump::Dump;

/// A durable, ordered set of objects.
///
/// A commit is one transaction: all of its changes, its entry in the log, its audit event and its request id become
/// durable together or not at all. A commit is acknowledged by `Ok`; an acknowledged commit survives a kill of the process and a loss
/// of power, and one that is not acknowledged is afterwards absent or whole. A commit is made at the revision it
/// expects or not at all: any other head is a conflict, and nothing is written. A revision is assigned inside the
/// writer's critical section, so that the order of revisions is the order of commits, without a gap. An edit that
/// would leave an object as it is, is dropped, and a mutation of which nothing is left writes no object, adds nothing
/// to the log, assigns no revision and wakes nobody. An object keeps the time of its creation when it is replaced; one
/// that was deleted is created anew. With an account everything it owns is deleted. A policy stays at its level: a put
/// that would move it is refused.
///
/// A mutation may carry a request id. The first one to succeed with an id, changed or not, records the id with the
/// digest of the request. A later one with the same id and digest is answered from that record before the expected
/// revision is looked at, and changes nothing; one with the same id and another digest is refused. A mutation that
/// failed records nothing. A request id is forgotten by compaction alone.
///
/// The audit tells each commit once, as one event: who, when, and of each change what was before and what after. Of a
/// large commit it tells the first changes and counts the others; of a deleted account it tells the account and counts
/// what went with it. A commit that changed nothing has no event. No event is ever changed.
///
/// No reader sees a state before it is durable, and no reader waits for one that is becoming so. A successful commit is
/// visible to the next read of any thread. Published revisions never decrease. The log holds each commit after its
/// start exactly once, in order, none missing, and is never ahead of the published state.
///
/// [`Store::state`] is a whole state at one revision, the one it names. Of an engine with several replicas it is the
/// state of this replica: it may lag behind a commit that another replica acknowledged, never behind one that this
/// replica did. Who must see a revision at least waits until [`Store::watch`] shows it, as long as he can, and then
/// reads. There is one order of revisions, the same for all replicas; a conflict tells the head of the commit that won.
///
/// Compaction takes away the beginning of the log, old request ids and old audit events, and nothing else: it makes no
/// revision, wakes nobody, and leaves every answer that is still kept as it was. The start of the log only moves
/// forward. A reader who asks for commits before the start is told so; it never gets a log with a gap. Compaction is
/// done in bounded transactions, and a writer who is first in line waits for one of them at most. One that is cut off
/// in the middle has taken away a part; the next one goes on.
///
/// If a durable write fails, its fate is unknown. The store then trusts nothing it has in memory: it reads itself anew
/// from what is durable before it does anything else but answer [`Store::state`], and until that succeeds it answers
/// an error. Should the commit turn out to be durable, it is published then.
///
/// A store tells everything it holds while it is used ([`Dump`]): at one revision that is not before any commit it has
/// acknowledged.
///
/// The methods block: asynchronous callers call them from a thread that may.
pub trait Store: Dump + Send + Sync + 'static {
    /// The identity of this store, made once when it was created.
    fn id(&self) -> StoreId;

    /// The state at the head. Neither blocks nor fails: while a commit's fate is unknown, it is the last one published.
    fn state(&self) -> Arc<State>;

    /// Commits the edits of `mutation`, durably and together.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the head is not the revision expected, [`StoreError::RequestIdReused`],
    /// [`StoreError::Rejected`] for an edit that does not fit: in each case nothing is changed.
    /// [`StoreError::FateUnknown`] when the commit may or may not be durable, another when the store cannot be used.
    fn commit(&self, mutation: Mutation) -> Result<Committed, StoreError>;

    /// The answer to a request that was committed before; `None` for a new one. For callers that validate first.
    ///
    /// # Errors
    /// [`StoreError::RequestIdReused`] for another digest under the same id, another when the store cannot be used.
    fn replay(&self, request: &RequestIdentity) -> Result<Option<Committed>, StoreError>;

    /// The first `limit` commits after `after`, in order.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] when some of the commits after `after` are no longer in the log, another when the store
    /// cannot be read.
    fn changes_after(&self, after: Revision, limit: usize) -> Result<Vec<LogEntry>, StoreError>;

    /// How long ago the published state was last known to be the newest of the store: zero for an engine that nobody else
    /// writes to, the time since the last word of the others for one that is shared.
    fn staleness(&self) -> Duration {
        Duration::ZERO
    }

    /// The oldest revision from which [`Store::changes_after`] answers: the log holds every commit after it.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn log_start(&self) -> Result<Revision, StoreError>;

    /// The audit events of the first `limit` commits after `after` that have one, in order. Those that compaction took
    /// away are passed over.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn audit_after(&self, after: Revision, limit: usize) -> Result<Vec<AuditEvent>, StoreError>;

    /// Takes away what `retention` does not keep, as of `now`.
    ///
    /// # Errors
    /// [`StoreError::FateUnknown`] when a part may or may not have been taken away, another when the store cannot be
    /// used. A part may have been taken away in either case.
    fn compact(&self, retention: &Retention, now: jiff::Timestamp) -> Result<Compacted, StoreError>;

    /// The head, notified after it moved and never otherwise. What is notified is visible in [`Store::state`].
    fn watch(&self) -> watch::Receiver<Revision>;

    /// Every credential, by public id. Credentials are not part of the state, nor of the log.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn credentials(&self) -> Result<Vec<CredentialRecord>, StoreError>;

    /// Keeps credentials, durably and together; each takes the place of one with the same public id.
    ///
    /// # Errors
    /// [`StoreError::FateUnknown`] when they may or may not be durable, another when the store cannot be used.
    fn put_credentials(&self, credentials: &[CredentialRecord]) -> Result<(), StoreError>;

    /// Keeps the first credentials of a store, as [`Store::put_credentials`] does; `false`, and nothing is kept, where it
    /// has some. Of several processes that make them at the same time one succeeds.
    ///
    /// # Errors
    /// [`StoreError::FateUnknown`] when they may or may not be durable, another when the store cannot be used.
    fn first_credentials(&self, credentials: &[CredentialRecord]) -> Result<bool, StoreError>;

    /// Whether a load was begun and not ended: the store then holds a part of something, and must not be served.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn is_loading(&self) -> Result<bool, StoreError>;

    /// Marks that a load begins, or that the one that was begun here has ended; durable when it returns. Where several
    /// processes have the store, `false`, and nothing is changed: for a beginning when a load is marked, or somebody has
    /// committed since the published state, for an end when the mark is not that of this process. While a process
    /// loads, it commits under its own mark only: without it a commit is a conflict.
    ///
    /// # Errors
    /// [`StoreError::FateUnknown`] when it may or may not be durable, another when the store cannot be used.
    fn set_loading(&self, loading: bool) -> Result<bool, StoreError>;
}

/// What compaction keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The newest commits that stay in the log.
    pub commits: u64,
    /// How long a request id is remembered.
    pub requests: Duration,
    /// How long an audit event is kept. Events go in order: one that is kept keeps all after it.
    pub audit: Duration,
}

/// What a compaction took away, and where the log starts since.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Entries of the log.
    pub commits: u64,
    /// Request ids.
    pub requests: u64,
    /// Audit events.
    pub audit: u64,
    /// [`Store::log_start`] by now.
    pub log_start: Revision,
}

/// An acknowledged commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The revision it made; for an unchanged one the head, for a replayed one what it was the first time.
    pub revision: Revision,
    /// What it did.
    pub effect: CommitEffect,
    /// The object the answer is about; for a replayed one that of the first time.
    pub subject: ObjectKey,
    /// What was changed now; nothing for an unchanged or replayed one.
    pub changes: Arc<[Change]>,
}

/// What an acknowledged commit did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitEffect {
    /// It made a revision.
    Changed,
    /// Everything was so already.
    Unchanged,
    /// The same request had been committed before.
    Replayed,
}

/// One commit as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogEntry {
    /// The revision it made.
    pub revision: Revision,
    /// When, as the control plane's clock saw it.
    pub at: jiff::Timestamp,
    /// Who.
    pub actor: Actor,
    /// The request, where it had an id.
    pub request: Option<RequestIdentity>,
    /// The object the answer was about.
    pub subject: ObjectKey,
    /// What changed, in order.
    pub changes: Arc<[Change]>,
}

/// The error below a [`StoreError`]: of the operating system or of the engine.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else committed first.
    #[error("the store is at revision {head}, not where the change was validated; validate it again there")]
    Conflict {
        /// Where the store is.
        head: Revision,
    },
    /// A request id with another digest.
    #[error("request id `{id}` was used for another request before; use a new id for a new request")]
    RequestIdReused {
        /// The id.
        id: String,
    },
    /// An edit that does not fit the state.
    #[error("the change does not fit the store at revision {head}; nothing was changed")]
    Rejected {
        /// Where the store is.
        head: Revision,
        /// Why.
        source: ChangeRejected,
    },
    /// The log does not go back so far.
    #[error("the commits up to revision {oldest} are no longer in the log; read the whole state and go on from there")]
    Compacted {
        /// The oldest revision from which changes can be had.
        oldest: Revision,
    },
    /// There is no next revision.
    #[error("the store has used its last revision; export it into a new store")]
    Exhausted,
    /// A value that cannot be written down.
    #[error("{row} cannot be encoded; nothing was changed")]
    Unencodable {
        /// What was to be written.
        row: String,
        /// Why.
        source: Cause,
    },
    /// A write failed when it was to become durable.
    #[error("the write to `{place}` may or may not be durable; see to the cause, read again and retry")]
    FateUnknown {
        /// The store.
        place: String,
        /// Why.
        source: Cause,
    },
    /// A read failed, or a write before anything could become durable.
    #[error("`{place}` cannot be used; check the disk and its free space, or restore the store from a backup")]
    Failed {
        /// The store.
        place: String,
        /// Why.
        source: Cause,
    },
    /// A distributed engine did not do it, and will not have done it later.
    #[error("the store in `{place}` cannot be used now; nothing was changed")]
    Remote {
        /// The store.
        place: String,
        /// Why, and what to do.
        source: Cause,
    },
    /// The folder or the file is not open to this process.
    #[error("`{place}` cannot be opened for writing; check that it is there, its owner and its mode")]
    Access {
        /// The folder or the file.
        place: String,
        /// Why.
        source: std::io::Error,
    },
    /// Another process has it.
    #[error("`{place}` is in use by another process; stop that one, or give this one a data folder of its own")]
    Locked {
        /// The store.
        place: String,
    },
    /// The file holds something else.
    #[error("`{place}` is no store of Doorward: {found}; move it away, or name another data folder")]
    Foreign {
        /// The file.
        place: String,
        /// What it is instead.
        found: String,
    },
    /// The file was written by another version.
    #[error("`{place}` has store format `{found}`, this version reads `{known}`; run the version that wrote it")]
    Format {
        /// The store.
        place: String,
        /// Its format.
        found: String,
        /// Ours.
        known: &'static str,
    },
    /// A part of the file cannot be what was written.
    #[error("`{place}` is damaged at {row}; restore it from a backup")]
    Damaged {
        /// The store.
        place: String,
        /// What cannot be read.
        row: String,
        /// Why.
        source: Cause,
    },
}
