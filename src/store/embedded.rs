//! The engine that comes with Doorward: one file, one process, readers that never wait.
//!
//! Writers take turns. A writer decides on the state it alone can move, writes one transaction, waits until that is
//! durable, and only then publishes the new state. Readers take the published state, whole, without a lock.

mod compaction;
mod dump;
mod file;
mod load;
mod tables;
mod upgrade;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use arc_swap::ArcSwap;
use redb::{Database, Durability, ReadTransaction, ReadableDatabase, WriteTransaction};
use tokio::sync::watch;

use crate::model::audit::AuditEvent;
use crate::model::credential::CredentialRecord;
use crate::model::mutation::{Mutation, RequestIdentity};
use crate::model::revision::{Revision, StoreId};
use crate::model::state::State;

use self::compaction::Cutoff;
pub use self::dump::restore;
pub use self::file::FILE_NAME;
use self::file::StoreFile;
use self::tables::{Loaded, RowError};
use super::api::{CommitEffect, Committed, Compacted, LogEntry, Retention, Store, StoreError};
use super::plan::{AnsweredRequest, Step, plan};

/// A store in one place: a file, or memory.
pub struct EmbeddedStore {
    id: StoreId,
    medium: Box<dyn Medium>,
    /// Held by the one who is first in line for `writer`: nobody has two turns while another waits.
    next: Mutex<()>,
    /// Held from the decision about a mutation until its state is published.
    writer: Mutex<()>,
    /// `None` when the fate of a write is unknown: nothing of it is used before it was opened anew.
    // INVARIANT: made `Some` again only by a holder of `writer`; locked to begin a transaction, never during one.
    database: RwLock<Option<Database>>,
    // INVARIANT: within the life of the store, its revision never decreases, and what it holds is durable.
    published: ArcSwap<State>,
    head: watch::Sender<Revision>,
}

/// Where a database lies, and how it is opened, as often as needed.
pub(super) trait Medium: Send + Sync + 'static {
    /// The name of the place, for messages.
    fn place(&self) -> &str;

    /// Opens the database, which nothing else has open.
    fn open(&self) -> Result<Database, StoreError>;
}

/// Proof that its holder is the only writer.
struct Turn<'a>(#[expect(dead_code, reason = "held, never read")] MutexGuard<'a, ()>);

// === impl EmbeddedStore ===

impl EmbeddedStore {
    /// Opens the store in `folder`; the folder and an empty store are made where they are missing.
    ///
    /// # Errors
    /// [`StoreError::Access`] for a folder or file that is closed to this process, [`StoreError::Locked`],
    /// [`StoreError::Foreign`], [`StoreError::Format`] or [`StoreError::Damaged`] for a file that another process has
    /// open, that is none of ours, that is of another version, or that is broken. None of these changes the file.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::over(StoreFile::in_folder(folder)?)
    }

    /// Opens the store in `folder`, which must be there.
    ///
    /// # Errors
    /// As [`Self::open`], and [`StoreError::Access`] where there is none.
    pub fn open_existing(folder: &Path) -> Result<Self, StoreError> {
        Self::over(StoreFile::existing(folder)?)
    }

    /// Opens the store on `medium`.
    pub(super) fn over(medium: impl Medium) -> Result<Self, StoreError> {
        let database = medium.open()?;
        upgrade::upgrade(&database).map_err(|error| error.at(medium.place()))?;
        let Loaded { id, state } = tables::load(&database).map_err(|error| error.at(medium.place()))?;
        tracing::info!(place = medium.place(), store = %id, revision = %state.revision, "store opened");
        Ok(Self {
            id,
            medium: Box::new(medium),
            next: Mutex::new(()),
            writer: Mutex::new(()),
            database: RwLock::new(Some(database)),
            head: watch::Sender::new(state.revision),
            published: ArcSwap::from_pointee(state),
        })
    }

    /// Waits for the turn to write, with a database whose contents are known.
    fn turn(&self) -> Result<Turn<'_>, StoreError> {
        let next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let guard = self.writer.lock().unwrap_or_else(|poisoned| {
            // A writer ended in the middle: nobody knows how far it came.
            self.distrust();
            self.writer.clear_poison();
            poisoned.into_inner()
        });
        drop(next);
        let turn = Turn(guard);
        self.restore(&turn)?;
        Ok(turn)
    }

    /// Opens and reads the database anew, if its contents are unknown, and publishes what became durable.
    fn restore(&self, _turn: &Turn<'_>) -> Result<(), StoreError> {
        let mut slot = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if slot.is_some() {
            return Ok(());
        }
        let database = self.medium.open()?;
        let loaded = tables::load(&database).map_err(|error| self.at(error))?;
        self.check_successor(&loaded)?;
        tracing::warn!(revision = %loaded.state.revision, "store reloaded after a failed write");
        *slot = Some(database);
        drop(slot);
        self.publish(loaded.state);
        Ok(())
    }

    /// What was acknowledged must still be there: a store that has lost it is not the one that was opened.
    fn check_successor(&self, loaded: &Loaded) -> Result<(), StoreError> {
        let (found, published) = (loaded.state.revision, self.published.load().revision);
        if loaded.id == self.id && found >= published {
            return Ok(());
        }
        let problem =
            format!("store {} at revision {found} was found instead of {published} of {}", loaded.id, self.id);
        Err(StoreError::Damaged {
            place: self.medium.place().to_owned(),
            row: "its head".into(),
            source: problem.into(),
        })
    }

    /// From here on nothing of the database is used before it was opened anew.
    fn distrust(&self) {
        self.database.write().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Begins a transaction by `begin`; `None` while the contents are unknown.
    fn begin<T, E: Into<RowError>>(&self, begin: fn(&Database) -> Result<T, E>) -> Result<Option<T>, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let transaction = database.as_ref().map(begin).transpose();
        transaction.map_err(|error| self.at(error.into()))
    }

    fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        if let Some(transaction) = self.begin(Database::begin_read)? {
            return Ok(transaction);
        }
        drop(self.turn()?);
        self.begin(Database::begin_read)?.ok_or_else(|| self.unknown())
    }

    /// One durable transaction of `rows`. After a failure the database is not to be trusted.
    fn write(
        &self,
        _turn: &Turn<'_>,
        rows: impl FnOnce(&WriteTransaction) -> Result<(), RowError>,
    ) -> Result<(), StoreError> {
        let written = self.write_rows(rows);
        if written.is_err() {
            self.distrust();
        }
        written
    }

    fn write_rows(&self, rows: impl FnOnce(&WriteTransaction) -> Result<(), RowError>) -> Result<(), StoreError> {
        let mut transaction = self.begin(Database::begin_write)?.ok_or_else(|| self.unknown())?;
        let durable = transaction.set_durability(Durability::Immediate);
        durable.map_err(|error| self.at(RowError::Engine(error.into())))?;
        rows(&transaction).map_err(|error| self.at(error))?;
        let place = self.medium.place();
        let fate = transaction.commit();
        fate.map_err(|error| StoreError::FateUnknown { place: place.to_owned(), source: error.into() })
    }

    /// Shows a durable state to readers, then tells those who wait for it.
    fn publish(&self, state: State) {
        let revision = state.revision;
        self.published.store(Arc::new(state));
        self.head.send_if_modified(|head| std::mem::replace(head, revision) != revision);
    }

    fn recorded(&self, _turn: &Turn<'_>, request: &RequestIdentity) -> Result<Option<Committed>, StoreError> {
        let transaction = self.begin(Database::begin_read)?.ok_or_else(|| self.unknown())?;
        let found = tables::read_request(&transaction, &request.id).map_err(|error| self.at(error))?;
        found.map(|answered| answered.answer(request)).transpose()
    }

    fn commit_step(&self, turn: &Turn<'_>, mutation: &Mutation, step: Step) -> Result<Committed, StoreError> {
        let answered = AnsweredRequest::of(mutation, step.revision());
        self.write(turn, |transaction| {
            tables::write_step(transaction, &step)?;
            answered.map_or(Ok(()), |(id, answer)| tables::write_request(transaction, id, &answer))
        })?;
        let Step { state, entry, .. } = step;
        self.publish(state);
        let LogEntry { revision, subject, changes, .. } = entry;
        Ok(Committed { revision, effect: CommitEffect::Changed, subject, changes })
    }

    fn commit_nothing(&self, turn: &Turn<'_>, mutation: Mutation) -> Result<Committed, StoreError> {
        let revision = self.published.load().revision;
        if let Some((id, answer)) = AnsweredRequest::of(&mutation, revision) {
            self.write(turn, |transaction| tables::write_request(transaction, id, &answer))?;
        }
        let changes = Arc::default();
        Ok(Committed { revision, effect: CommitEffect::Unchanged, subject: mutation.subject, changes })
    }

    fn at(&self, error: RowError) -> StoreError {
        error.at(self.medium.place())
    }

    fn unknown(&self) -> StoreError {
        let source = "an earlier write failed and the store has not been read anew".into();
        StoreError::Failed { place: self.medium.place().to_owned(), source }
    }
}

impl Store for EmbeddedStore {
    fn id(&self) -> StoreId {
        self.id
    }

    fn state(&self) -> Arc<State> {
        self.published.load_full()
    }

    fn commit(&self, mutation: Mutation) -> Result<Committed, StoreError> {
        let turn = self.turn()?;
        if let Some(request) = &mutation.request
            && let Some(committed) = self.recorded(&turn, request)?
        {
            return Ok(committed);
        }
        match plan(&self.published.load(), &mutation)? {
            Some(step) => self.commit_step(&turn, &mutation, step),
            None => self.commit_nothing(&turn, mutation),
        }
    }

    fn replay(&self, request: &RequestIdentity) -> Result<Option<Committed>, StoreError> {
        // With the turn: an answer must not be ahead of the state that is published.
        self.recorded(&self.turn()?, request)
    }

    fn changes_after(&self, after: Revision, limit: usize) -> Result<Vec<LogEntry>, StoreError> {
        let transaction = self.begin_read()?;
        let head = self.published.load().revision;
        if after >= head {
            return Ok(Vec::new());
        }
        tables::read_log(&transaction, after, head, limit).map_err(|error| self.at(error))
    }

    fn log_start(&self) -> Result<Revision, StoreError> {
        tables::log_start(&self.begin_read()?).map_err(|error| self.at(error))
    }

    fn audit_after(&self, after: Revision, limit: usize) -> Result<Vec<AuditEvent>, StoreError> {
        let transaction = self.begin_read()?;
        let head = self.published.load().revision;
        tables::read_audit(&transaction, after, head, limit).map_err(|error| self.at(error))
    }

    fn compact(&self, retention: &Retention, now: jiff::Timestamp) -> Result<Compacted, StoreError> {
        let cutoff = Cutoff::of(retention, self.published.load().revision, now);
        let mut done = Compacted::default();
        loop {
            let batch = cutoff.next_batch(&self.begin_read()?).map_err(|error| self.at(error))?;
            let Some(batch) = batch else { break };
            self.write(&self.turn()?, |transaction| batch.write(transaction))?;
            let counts = batch.counts();
            done.commits += counts.commits;
            done.requests += counts.requests;
            done.audit += counts.audit;
        }
        done.log_start = self.log_start()?;
        Ok(done)
    }

    fn watch(&self) -> watch::Receiver<Revision> {
        self.head.subscribe()
    }

    fn credentials(&self) -> Result<Vec<CredentialRecord>, StoreError> {
        tables::read_credentials(&self.begin_read()?).map_err(|error| self.at(error))
    }

    fn put_credentials(&self, credentials: &[CredentialRecord]) -> Result<(), StoreError> {
        let turn = self.turn()?;
        self.write(&turn, |transaction| tables::write_credentials(transaction, credentials))
    }

    fn first_credentials(&self, credentials: &[CredentialRecord]) -> Result<bool, StoreError> {
        let turn = self.turn()?;
        if !self.credentials()?.is_empty() {
            return Ok(false);
        }
        self.write(&turn, |transaction| tables::write_credentials(transaction, credentials)).map(|()| true)
    }

    fn is_loading(&self) -> Result<bool, StoreError> {
        tables::is_loading(&self.begin_read()?).map_err(|error| self.at(error))
    }

    fn set_loading(&self, loading: bool) -> Result<bool, StoreError> {
        self.write(&self.turn()?, |transaction| tables::set_loading(transaction, loading))?;
        // Nobody else has the file.
        Ok(true)
    }
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStore")
            .field("id", &self.id)
            .field("place", &self.medium.place())
            .finish_non_exhaustive()
    }
}

/// Makes an empty store on `medium`, which holds nothing.
pub(super) fn new_database(medium: &impl Medium, id: StoreId) -> Result<(), StoreError> {
    let database = medium.open()?;
    tables::initialise(&database, id).map_err(|error| error.at(medium.place()))
}
