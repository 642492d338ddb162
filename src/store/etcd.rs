//! The engine for several control planes at once: the store is in etcd, and each of them is a replica of it.
//!
//! A replica holds the whole state in memory and follows the log. A writer decides on the state of its replica and
//! writes one transaction that etcd does only if nobody else has moved the head; so the order of revisions is the order
//! of etcd. Which keys there are stands in `layout`, how a commit of any size is one for its readers in `write`.

mod attend;
mod batch;
mod client;
mod compaction;
mod config;
mod document;
mod dump;
mod error;
mod follow;
mod layout;
mod load;
mod loading;
mod log;
mod overlay;
mod pages;
mod replica;
mod restore;
mod tail;
#[cfg(test)]
mod tests;
mod wire;
mod write;

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use crate::model::audit::AuditEvent;
use crate::model::credential::CredentialRecord;
use crate::model::mutation::{Mutation, RequestIdentity};
use crate::model::revision::{Revision, StoreId};
use crate::model::state::State;

use super::api::{CommitEffect, Committed, Compacted, LogEntry, Retention, Store, StoreError};
use super::plan::{AnsweredRequest, Step, plan};

pub use self::config::{EtcdConfig, EtcdIdentity, EtcdUser};
pub use self::dump::EtcdReader;
pub use self::error::EtcdError;
pub use self::restore::restore;

use self::client::{CallFailed, Client};
use self::layout::Keys;
use self::replica::{Replica, Stand, encoded};
use self::wire::pb::{Compare, TxnRequest, TxnResponse};
use self::wire::{empty, get, list, put};
use self::write::{Draft, Fate};

/// Threads of the client: one that reads its sockets while another applies a large commit.
const THREADS: usize = 2;

/// A replica of a store in etcd.
///
/// Its methods must not be called from within an asynchronous task; `spawn_blocking` is the place for them.
pub struct EtcdStore {
    replica: Arc<Replica>,
    /// Held from the decision about a mutation until its state is published.
    writer: Mutex<Writer>,
    /// `None` only while the store is dropped.
    runtime: Option<Runtime>,
}

/// What the writers of this process know of what they wrote.
#[derive(Debug, Default)]
struct Writer {
    /// The fate of a write is unknown: before the next one the replica catches up.
    doubt: bool,
}

/// The threads of a client.
fn runtime(place: &str) -> Result<Runtime, StoreError> {
    let runtime = Builder::new_multi_thread().worker_threads(THREADS).thread_name("etcd").enable_all().build();
    let remote = |source: EtcdError| StoreError::Remote { place: place.to_owned(), source: source.into() };
    runtime.map_err(|source| remote(EtcdError::System(source)))
}

/// What speaks with etcd: threads, a client, the keys below the prefix, and the place for messages.
fn connect(config: &EtcdConfig) -> Result<(Runtime, Client, Keys, String), StoreError> {
    let place = config.place();
    let runtime = runtime(&place)?;
    let client = Client::new(config);
    let client = client.map_err(|source| StoreError::Remote { place: place.clone(), source: source.into() })?;
    Ok((runtime, client, Keys::new(&config.prefix), place))
}

// === impl EtcdStore ===

impl EtcdStore {
    /// Opens the store below the prefix of `config`; an empty one is made where there is none.
    ///
    /// # Errors
    /// [`StoreError::Remote`] where etcd cannot be reached or does not let this user in, [`StoreError::Foreign`],
    /// [`StoreError::Format`] or [`StoreError::Damaged`] for keys that are none of ours, of another version, or broken.
    pub fn open(config: &EtcdConfig) -> Result<Self, StoreError> {
        let (runtime, client, keys, place) = connect(config)?;
        let identity = runtime.handle().block_on(load::identity(&client, &keys, &place))?;
        let replica = Arc::new(Replica::new(client, keys, place, identity));
        runtime.handle().block_on(replica.load())?;
        tracing::info!(place = replica.place, store = %identity.store, revision = %replica.revision(), "store opened");
        runtime.spawn(follow::follow(Arc::clone(&replica)));
        runtime.spawn(attend::attend(Arc::clone(&replica)));
        Ok(Self { replica, writer: Mutex::default(), runtime: Some(runtime) })
    }

    /// Does `work` on this thread, which waits for it.
    fn wait<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        match &self.runtime {
            Some(runtime) => runtime.handle().block_on(work),
            None => Err(self.closed()),
        }
    }

    fn closed(&self) -> StoreError {
        StoreError::Remote { place: self.replica.place.clone(), source: "the store is closed".into() }
    }

    /// Waits for the turn to write, with a replica that knows what became of the write before.
    fn turn(&self) -> Result<MutexGuard<'_, Writer>, StoreError> {
        let mut writer = self.writer.lock().unwrap_or_else(|poisoned| {
            // A writer ended in the middle: nobody knows how far it came.
            self.writer.clear_poison();
            let mut writer = poisoned.into_inner();
            writer.doubt = true;
            writer
        });
        if writer.doubt {
            self.wait(self.replica.catch_up())?;
            writer.doubt = false;
        }
        Ok(writer)
    }

    /// Does the writing of a turn. After an unknown fate nothing is taken for known.
    fn write<T>(
        &self,
        mut turn: MutexGuard<'_, Writer>,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let written = self.wait(work);
        turn.doubt = matches!(written, Err(StoreError::FateUnknown { .. }));
        written
    }

    async fn recorded(&self, request: &RequestIdentity) -> Result<Option<Committed>, StoreError> {
        let replica = &self.replica;
        let read = replica.client.range(get(replica.keys.request(&request.id))).await;
        let read = read.map_err(|failed| replica.unusable(failed))?;
        let Some(kv) = read.kvs.first() else { return Ok(None) };
        let answered: AnsweredRequest = replica.decoded(&format!("request `{}`", request.id), &kv.value)?;
        let committed = answered.answer(request)?;
        if committed.revision > replica.revision() {
            // An answer must not be ahead of the state that is published.
            replica.catch_up().await?;
        }
        Ok(Some(committed))
    }

    async fn commit_at_head(&self, mutation: Mutation) -> Result<Committed, StoreError> {
        if let Some(request) = &mutation.request
            && let Some(committed) = self.recorded(request).await?
        {
            return Ok(committed);
        }
        let stand = self.replica.stand();
        match plan(&stand.state, &mutation)? {
            Some(step) => self.commit_step(&stand, &mutation, step).await,
            None => self.commit_nothing(&stand, mutation).await,
        }
    }

    async fn commit_step(&self, stand: &Stand, mutation: &Mutation, step: Step) -> Result<Committed, StoreError> {
        let answered = AnsweredRequest::of(mutation, step.revision());
        let draft = Draft { commit: Uuid::new_v4(), entry: &step.entry, audit: &step.audit, answered };
        let begun = Instant::now();
        match self.replica.write(&draft, stand.head_mod).await? {
            Fate::Done { head_mod, pending } => {
                // What it stands upon was the newest when it was begun, and it is since then.
                self.replica.confirm(begun);
                Ok(self.publish(step, head_mod, pending).await)
            }
            Fate::Beaten(head) => self.beaten(mutation, head).await,
            Fate::Forgotten => Err(self.forgotten()),
        }
    }

    async fn publish(&self, step: Step, head_mod: i64, pending: bool) -> Committed {
        let Step { state, entry, .. } = step;
        let LogEntry { revision, subject, changes, .. } = entry.clone();
        self.replica.publish_own(state, entry, head_mod);
        if pending && let Err(error) = self.replica.settle().await {
            // The commit is made all the same: whoever commits next writes what is left of its objects.
            let error = &error as &dyn std::error::Error;
            tracing::warn!(place = self.replica.place, %revision, error, "the objects of a commit are not all written");
        }
        Committed { revision, effect: CommitEffect::Changed, subject, changes }
    }

    async fn commit_nothing(&self, stand: &Stand, mutation: Mutation) -> Result<Committed, StoreError> {
        let revision = stand.state.revision;
        let answered = AnsweredRequest::of(&mutation, revision);
        if !self.replica.record(answered.as_ref(), stand.head_mod).await? {
            return self.beaten(&mutation, None).await;
        }
        let changes = Arc::default();
        Ok(Committed { revision, effect: CommitEffect::Unchanged, subject: mutation.subject, changes })
    }

    /// Somebody was faster: with the same request, which is answered then, or with another commit.
    async fn beaten(&self, mutation: &Mutation, head: Option<Revision>) -> Result<Committed, StoreError> {
        if head.is_none_or(|head| self.replica.revision() < head) {
            self.replica.catch_up().await?;
        }
        if let Some(request) = &mutation.request
            && let Some(committed) = self.recorded(request).await?
        {
            return Ok(committed);
        }
        Err(StoreError::Conflict { head: self.replica.revision() })
    }

    fn forgotten(&self) -> StoreError {
        let source = "the answer was lost, and the log was compacted past the commit since".into();
        StoreError::FateUnknown { place: self.replica.place.clone(), source }
    }

    async fn txn(&self, request: TxnRequest) -> Result<TxnResponse, StoreError> {
        self.replica.client.txn(request).await.map_err(|failed| self.replica.unwritten(failed))
    }

    async fn read_credentials(&self) -> Result<Vec<CredentialRecord>, StoreError> {
        let replica = &self.replica;
        let read = replica.client.range(list(replica.keys.credentials(), 0)).await;
        let read = read.map_err(|failed: CallFailed| replica.unusable(failed))?;
        let one = |kv: &wire::pb::KeyValue| replica.decoded(&String::from_utf8_lossy(&kv.key), &kv.value);
        read.kvs.iter().map(one).collect()
    }

    async fn write_credentials(
        &self,
        compare: Vec<Compare>,
        credentials: &[CredentialRecord],
    ) -> Result<bool, StoreError> {
        if credentials.is_empty() {
            return Ok(true);
        }
        let mut request = TxnRequest { compare, ..TxnRequest::default() };
        request.compare.push(self.replica.same_store());
        for credential in credentials {
            let key = self.replica.keys.credential(&credential.public_id);
            request.success.push(put(key, encoded("the credential", credential)?));
        }
        let succeeded = self.txn(request).await?.succeeded;
        if !succeeded {
            self.replica.check_store().await?;
        }
        Ok(succeeded)
    }
}

impl Store for EtcdStore {
    fn id(&self) -> StoreId {
        self.replica.identity.store
    }

    fn state(&self) -> Arc<State> {
        self.replica.state()
    }

    fn staleness(&self) -> Duration {
        self.replica.staleness()
    }

    fn commit(&self, mutation: Mutation) -> Result<Committed, StoreError> {
        let turn = self.turn()?;
        self.write(turn, self.commit_at_head(mutation))
    }

    fn replay(&self, request: &RequestIdentity) -> Result<Option<Committed>, StoreError> {
        self.wait(self.recorded(request))
    }

    fn changes_after(&self, after: Revision, limit: usize) -> Result<Vec<LogEntry>, StoreError> {
        self.wait(self.replica.changes(after, limit))
    }

    fn log_start(&self) -> Result<Revision, StoreError> {
        self.wait(self.replica.log_start())
    }

    fn audit_after(&self, after: Revision, limit: usize) -> Result<Vec<AuditEvent>, StoreError> {
        self.wait(self.replica.audit(after, limit))
    }

    fn compact(&self, retention: &Retention, now: jiff::Timestamp) -> Result<Compacted, StoreError> {
        // Without the turn: etcd puts its transactions between those of the writers.
        self.wait(self.replica.compact(retention, now))
    }

    fn watch(&self) -> watch::Receiver<Revision> {
        self.replica.watch()
    }

    fn credentials(&self) -> Result<Vec<CredentialRecord>, StoreError> {
        self.wait(self.read_credentials())
    }

    fn put_credentials(&self, credentials: &[CredentialRecord]) -> Result<(), StoreError> {
        self.wait(self.write_credentials(Vec::new(), credentials)).map(drop)
    }

    fn first_credentials(&self, credentials: &[CredentialRecord]) -> Result<bool, StoreError> {
        self.wait(async {
            let none = vec![empty(self.replica.keys.credentials())];
            if self.write_credentials(none, credentials).await? {
                return Ok(true);
            }
            // They may be these ones, if the answer to the first try was lost.
            let known = self.read_credentials().await?;
            Ok(credentials.iter().all(|credential| known.contains(credential)))
        })
    }

    fn is_loading(&self) -> Result<bool, StoreError> {
        self.wait(async {
            let read = self.replica.client.range(get(self.replica.keys.loading())).await;
            Ok(!read.map_err(|failed| self.replica.unusable(failed))?.kvs.is_empty())
        })
    }

    fn set_loading(&self, loading: bool) -> Result<bool, StoreError> {
        if loading {
            return self.wait(self.replica.begin_load());
        }
        self.wait(self.replica.end_load())
    }
}

impl Drop for EtcdStore {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // It may be dropped where nobody may wait; what is under way there is none of a writer's.
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for EtcdStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdStore")
            .field("id", &self.replica.identity.store)
            .field("place", &self.replica.place)
            .finish_non_exhaustive()
    }
}
