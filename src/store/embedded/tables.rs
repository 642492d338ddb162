//! The tables of the file: what is in each row, and the reads and writes of one transaction.

use redb::{
    CommitError, Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition,
    TableError, TransactionError, WriteTransaction,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::credential::CredentialRecord;
use crate::model::object::{Change, Object, ObjectKey, Record};
use crate::model::revision::{Revision, StoreId};
use crate::model::state::State;

use super::super::api::{Cause, LogEntry, StoreError};
use super::super::format::{decode, encode, row, rows_of};
use super::super::plan::{AnsweredRequest, Step};

/// The version of the tables. What reads one refuses every other.
const FORMAT: &str = "1";

const META: TableDefinition<'_, &str, &str> = TableDefinition::new("meta");
const OBJECTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("objects");
const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
const REQUESTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("requests");
const CREDENTIALS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("credentials");

/// The rows of [`META`].
mod meta {
    pub(super) const FORMAT: &str = "format";
    pub(super) const STORE: &str = "store";
    pub(super) const HEAD: &str = "head";
}

/// A [`StoreError`] that does not know the place yet.
#[derive(Debug)]
pub(super) enum RowError {
    /// The engine failed.
    Engine(Cause),
    /// These are not our tables.
    Foreign(&'static str),
    /// These are the tables of another version.
    Format(String),
    /// A row does not hold what it must.
    Damaged(String, Cause),
    /// A value cannot be written.
    Unencodable(String, Cause),
}

/// What a store is made of when it is opened.
#[derive(Debug)]
pub(super) struct Loaded {
    /// Its identity.
    pub(super) id: StoreId,
    /// The state at its head.
    pub(super) state: State,
}

// === impl RowError ===

impl RowError {
    /// The error, of the store at `place`.
    pub(super) fn at(self, place: &str) -> StoreError {
        let place = place.to_owned();
        match self {
            Self::Engine(source) => StoreError::Failed { place, source },
            Self::Foreign(found) => StoreError::Foreign { place, found: found.to_owned() },
            Self::Format(found) => StoreError::Format { place, found, known: FORMAT },
            Self::Damaged(row, source) => StoreError::Damaged { place, row, source },
            Self::Unencodable(row, source) => StoreError::Unencodable { row, source },
        }
    }

    fn damaged(row: impl Into<String>, cause: impl Into<Cause>) -> Self {
        Self::Damaged(row.into(), cause.into())
    }
}

macro_rules! engine_errors {
    ($($error:ty),+) => {$(
        impl From<$error> for RowError {
            fn from(error: $error) -> Self {
                Self::Engine(error.into())
            }
        }
    )+};
}

engine_errors!(redb::StorageError, TableError, TransactionError, CommitError);

/// Makes an empty store of a new database.
pub(super) fn initialise(database: &Database, id: StoreId) -> Result<(), RowError> {
    let transaction = database.begin_write()?;
    {
        let mut meta = transaction.open_table(META)?;
        meta.insert(meta::FORMAT, FORMAT)?;
        meta.insert(meta::STORE, id.to_string().as_str())?;
        meta.insert(meta::HEAD, "0")?;
        transaction.open_table(OBJECTS)?;
        transaction.open_table(LOG)?;
        transaction.open_table(REQUESTS)?;
        transaction.open_table(CREDENTIALS)?;
    }
    Ok(transaction.commit()?)
}

/// Refuses tables that are not ours, or of another version.
pub(super) fn check_format(transaction: &ReadTransaction) -> Result<(), RowError> {
    let meta = match transaction.open_table(META) {
        Err(TableError::Storage(error)) => return Err(error.into()),
        Err(_) => return Err(RowError::Foreign("its tables are not those of a store")),
        Ok(meta) => meta,
    };
    match meta.get(meta::FORMAT)? {
        Some(found) if found.value() == FORMAT => Ok(()),
        Some(found) => Err(RowError::Format(found.value().to_owned())),
        None => Err(RowError::Foreign("it names no format")),
    }
}

/// Reads the identity and every object.
pub(super) fn load(database: &Database) -> Result<Loaded, RowError> {
    let transaction = database.begin_read()?;
    check_format(&transaction)?;
    let meta = transaction.open_table(META)?;
    let id = meta_row(&meta, meta::STORE)?;
    let head = Revision::new(meta_row(&meta, meta::HEAD)?);
    check_log(&transaction, head)?;
    Ok(Loaded { id, state: load_state(&transaction, head)? })
}

fn meta_row<T>(meta: &ReadOnlyTable<&'static str, &'static str>, name: &str) -> Result<T, RowError>
where
    T: std::str::FromStr<Err: Into<Cause>>,
{
    let row = || format!("row `{name}` of `meta`");
    let value = meta.get(name)?.ok_or_else(|| RowError::damaged(row(), "it is missing"))?;
    value.value().parse().map_err(|error| RowError::damaged(row(), error))
}

/// The log ends at the head: each commit writes both.
fn check_log(transaction: &ReadTransaction, head: Revision) -> Result<(), RowError> {
    let last = transaction.open_table(LOG)?.last()?.map_or(0, |(revision, _)| revision.value());
    if last == head.get() {
        return Ok(());
    }
    Err(RowError::damaged("the end of the log", format!("it ends at revision {last}, the head is {head}")))
}

fn load_state(transaction: &ReadTransaction, head: Revision) -> Result<State, RowError> {
    let mut state = State::default();
    for object in transaction.open_table(OBJECTS)?.iter()? {
        let (key, value) = object?;
        let name = || format!("object `{}`", key.value());
        let record: Record<Object> = decode(value.value()).map_err(|error| RowError::damaged(name(), error))?;
        if row(&record.value.key()) != key.value() {
            return Err(RowError::damaged(name(), "it holds another object"));
        }
        let applied = state.apply(head, [&Change::Put(record)]);
        applied.map_err(|error| RowError::damaged(name(), error))?;
    }
    state.revision = head;
    Ok(state)
}

/// Writes one commit: the objects, the log, the head.
pub(super) fn write_step(transaction: &WriteTransaction, step: &Step) -> Result<(), RowError> {
    let mut objects = transaction.open_table(OBJECTS)?;
    for change in step.entry.changes.iter() {
        match change {
            Change::Put(record) => {
                let key = row(&record.value.key());
                objects.insert(key.as_str(), encoded(&key, record)?.as_slice())?;
            }
            // What an account owns goes with it.
            Change::Delete(ObjectKey::Account(account)) => {
                let rows = rows_of(*account);
                objects.retain_in(rows.start.as_str()..rows.end.as_str(), |_, _| false)?;
            }
            Change::Delete(key) => {
                objects.remove(row(key).as_str())?;
            }
        }
    }
    let revision = step.revision();
    let entry = encoded("the entry of the log", &step.entry)?;
    transaction.open_table(LOG)?.insert(revision.get(), entry.as_slice())?;
    transaction.open_table(META)?.insert(meta::HEAD, revision.to_string().as_str())?;
    Ok(())
}

/// Records the answer to a request.
pub(super) fn write_request(
    transaction: &WriteTransaction,
    id: &str,
    answer: &AnsweredRequest,
) -> Result<(), RowError> {
    let value = encoded("the request id", answer)?;
    transaction.open_table(REQUESTS)?.insert(id, value.as_slice())?;
    Ok(())
}

/// The recorded answer to a request.
pub(super) fn read_request(transaction: &ReadTransaction, id: &str) -> Result<Option<AnsweredRequest>, RowError> {
    let Some(value) = transaction.open_table(REQUESTS)?.get(id)? else { return Ok(None) };
    decoded(|| format!("request `{id}`"), value.value()).map(Some)
}

/// The commits after `after` up to `head`, at most `limit`.
pub(super) fn read_log(
    transaction: &ReadTransaction,
    after: Revision,
    head: Revision,
    limit: usize,
) -> Result<Vec<LogEntry>, RowError> {
    let mut entries = Vec::new();
    let mut expected = after;
    for found in transaction.open_table(LOG)?.range(after.get().saturating_add(1)..=head.get())?.take(limit) {
        let (revision, value) = found?;
        let name = || format!("revision {} of the log", revision.value());
        let entry: LogEntry = decoded(name, value.value())?;
        // A gap would be lost without a trace at every reader.
        expected = expected.next().unwrap_or(expected);
        if entry.revision != expected || revision.value() != expected.get() {
            return Err(RowError::damaged(name(), format!("revision {expected} was expected there")));
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// Keeps credentials, each under its public id.
pub(super) fn write_credentials(
    transaction: &WriteTransaction,
    credentials: &[CredentialRecord],
) -> Result<(), RowError> {
    let mut table = transaction.open_table(CREDENTIALS)?;
    for credential in credentials {
        let value = encoded("the credential", credential)?;
        table.insert(credential.public_id.as_str(), value.as_slice())?;
    }
    Ok(())
}

/// Every credential.
pub(super) fn read_credentials(transaction: &ReadTransaction) -> Result<Vec<CredentialRecord>, RowError> {
    let table = transaction.open_table(CREDENTIALS)?;
    let mut credentials = Vec::new();
    for credential in table.iter()? {
        let (id, value) = credential?;
        credentials.push(decoded(|| format!("credential `{}`", id.value()), value.value())?);
    }
    Ok(credentials)
}

fn encoded<T: Serialize>(row: &str, value: &T) -> Result<Vec<u8>, RowError> {
    encode(value).map_err(|error| RowError::Unencodable(row.to_owned(), error.into()))
}

fn decoded<T: DeserializeOwned>(row: impl FnOnce() -> String, bytes: &[u8]) -> Result<T, RowError> {
    decode(bytes).map_err(|error| RowError::Damaged(row(), error.into()))
}
