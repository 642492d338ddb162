//! The tables of the file: what is in each row, and the reads and writes of one transaction.

use redb::{
    CommitError, Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, Table, TableDefinition,
    TableError, TransactionError, WriteTransaction,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::audit::AuditEvent;
use crate::model::credential::CredentialRecord;
use crate::model::object::{Change, Object, ObjectKey, Record};
use crate::model::revision::{Revision, StoreId};
use crate::model::state::State;
use crate::threads::Threads;

use super::super::api::{Cause, LogEntry, StoreError};
use super::super::dump::Row;
use super::super::format::{decode, encode, row, rows_of};
use super::super::plan::{AnsweredRequest, Step};
use super::load::load_state;
use super::upgrade::FORMAT_1;

/// The version of the tables. Older ones are upgraded when they are opened, newer ones refused.
pub(super) const FORMAT: &str = "2";

pub(super) const META: TableDefinition<'_, &str, &str> = TableDefinition::new("meta");
pub(super) const OBJECTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("objects");
pub(super) const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
pub(super) const AUDIT: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("audit");
pub(super) const REQUESTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("requests");
/// The requests by when they were answered, in microseconds: what compaction looks through.
pub(super) const REQUEST_TIMES: TableDefinition<'_, (i64, &str), ()> = TableDefinition::new("request_times");
pub(super) const CREDENTIALS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("credentials");

/// The rows of [`META`].
pub(super) mod meta {
    pub(in super::super) const FORMAT: &str = "format";
    pub(in super::super) const STORE: &str = "store";
    pub(in super::super) const HEAD: &str = "head";
    /// The log holds every commit after this revision.
    pub(in super::super) const LOG_START: &str = "log_start";
    /// The audit holds every commit after this revision.
    pub(in super::super) const AUDIT_START: &str = "audit_start";
    /// There while a load has begun and not ended.
    pub(in super::super) const LOADING: &str = "loading";
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
    /// The log begins after what was asked for.
    Compacted(Revision),
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
            Self::Compacted(oldest) => StoreError::Compacted { oldest },
            Self::Damaged(row, source) => StoreError::Damaged { place, row, source },
            Self::Unencodable(row, source) => StoreError::Unencodable { row, source },
        }
    }

    pub(super) fn damaged(row: impl Into<String>, cause: impl Into<Cause>) -> Self {
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
        for start in [meta::HEAD, meta::LOG_START, meta::AUDIT_START] {
            meta.insert(start, "0")?;
        }
        transaction.open_table(OBJECTS)?;
        transaction.open_table(LOG)?;
        transaction.open_table(AUDIT)?;
        transaction.open_table(REQUESTS)?;
        transaction.open_table(REQUEST_TIMES)?;
        transaction.open_table(CREDENTIALS)?;
    }
    Ok(transaction.commit()?)
}

/// Refuses tables that are not ours, or of a version that cannot be upgraded.
pub(super) fn check_format(transaction: &ReadTransaction) -> Result<(), RowError> {
    match format(transaction)?.as_str() {
        FORMAT | FORMAT_1 => Ok(()),
        other => Err(RowError::Format(other.to_owned())),
    }
}

/// The version that the tables name.
pub(super) fn format(transaction: &ReadTransaction) -> Result<String, RowError> {
    let meta = match transaction.open_table(META) {
        Err(TableError::Storage(error)) => return Err(error.into()),
        Err(_) => return Err(RowError::Foreign("its tables are not those of a store")),
        Ok(meta) => meta,
    };
    match meta.get(meta::FORMAT)? {
        Some(found) => Ok(found.value().to_owned()),
        None => Err(RowError::Foreign("it names no format")),
    }
}

/// Reads the identity and every object.
pub(super) fn load(database: &Database) -> Result<Loaded, RowError> {
    let transaction = database.begin_read()?;
    check_format(&transaction)?;
    let (id, head) = identity(&transaction)?;
    check_end(&transaction, LOG, "the log", log_start(&transaction)?, head)?;
    check_end(&transaction, AUDIT, "the audit", audit_start(&transaction)?, head)?;
    Ok(Loaded { id, state: load_state(Threads::default(), &transaction, head)? })
}

/// The identity and the head.
pub(super) fn identity(transaction: &ReadTransaction) -> Result<(StoreId, Revision), RowError> {
    let meta = transaction.open_table(META)?;
    Ok((meta_row(&meta, meta::STORE)?, Revision::new(meta_row(&meta, meta::HEAD)?)))
}

fn meta_row<T>(meta: &ReadOnlyTable<&'static str, &'static str>, name: &str) -> Result<T, RowError>
where
    T: std::str::FromStr<Err: Into<Cause>>,
{
    let row = || format!("row `{name}` of `meta`");
    let value = meta.get(name)?.ok_or_else(|| RowError::damaged(row(), "it is missing"))?;
    value.value().parse().map_err(|error| RowError::damaged(row(), error))
}

/// The log and the audit end at the head, unless everything was taken away: each commit writes all of them.
fn check_end(
    transaction: &ReadTransaction,
    table: TableDefinition<'static, u64, &'static [u8]>,
    name: &str,
    start: Revision,
    head: Revision,
) -> Result<(), RowError> {
    let last = transaction.open_table(table)?.last()?.map_or(start.get(), |(revision, _)| revision.value());
    if last == head.get() {
        return Ok(());
    }
    Err(RowError::damaged(format!("the end of {name}"), format!("it ends at revision {last}, the head is {head}")))
}

/// The revision after which the log begins.
pub(super) fn log_start(transaction: &ReadTransaction) -> Result<Revision, RowError> {
    meta_row(&transaction.open_table(META)?, meta::LOG_START).map(Revision::new)
}

/// The revision after which the audit begins.
pub(super) fn audit_start(transaction: &ReadTransaction) -> Result<Revision, RowError> {
    meta_row(&transaction.open_table(META)?, meta::AUDIT_START).map(Revision::new)
}

/// Moves the revision in a row of [`META`] forward to `to`, never back.
pub(super) fn advance(transaction: &WriteTransaction, name: &str, to: Revision) -> Result<(), RowError> {
    let mut table = transaction.open_table(META)?;
    let known = table.get(name)?.and_then(|known| known.value().parse().ok());
    if known.is_none_or(|known: u64| known < to.get()) {
        table.insert(name, to.to_string().as_str())?;
    }
    Ok(())
}

/// Whether a load has begun and not ended.
pub(super) fn is_loading(transaction: &ReadTransaction) -> Result<bool, RowError> {
    Ok(transaction.open_table(META)?.get(meta::LOADING)?.is_some())
}

/// Marks the beginning or the end of a load.
pub(super) fn set_loading(transaction: &WriteTransaction, loading: bool) -> Result<(), RowError> {
    let mut table = transaction.open_table(META)?;
    if loading {
        table.insert(meta::LOADING, "1")?;
    } else {
        table.remove(meta::LOADING)?;
    }
    Ok(())
}

/// Writes one commit: the objects, the log, the audit, the head.
pub(super) fn write_step(transaction: &WriteTransaction, step: &Step) -> Result<(), RowError> {
    let mut objects = transaction.open_table(OBJECTS)?;
    for change in step.entry.changes.iter() {
        match change {
            Change::Put(record) => write_object(&mut objects, record)?,
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
    write_entry(transaction, &step.entry)?;
    write_event(transaction, &step.audit)?;
    transaction.open_table(META)?.insert(meta::HEAD, step.revision().to_string().as_str())?;
    Ok(())
}

fn write_object(objects: &mut Table<'_, &'static str, &'static [u8]>, record: &Record<Object>) -> Result<(), RowError> {
    let key = row(&record.value.key());
    objects.insert(key.as_str(), encoded(&key, record)?.as_slice())?;
    Ok(())
}

fn write_entry(transaction: &WriteTransaction, entry: &LogEntry) -> Result<(), RowError> {
    let value = encoded("the entry of the log", entry)?;
    transaction.open_table(LOG)?.insert(entry.revision.get(), value.as_slice())?;
    Ok(())
}

fn write_event(transaction: &WriteTransaction, event: &AuditEvent) -> Result<(), RowError> {
    let value = encoded("the event of the audit", event)?;
    transaction.open_table(AUDIT)?.insert(event.revision.get(), value.as_slice())?;
    Ok(())
}

/// Writes a row of another store, as it is.
pub(super) fn write_row(transaction: &WriteTransaction, row: &Row) -> Result<(), RowError> {
    match row {
        Row::Object(record) => write_object(&mut transaction.open_table(OBJECTS)?, record),
        Row::Commit(entry) => write_entry(transaction, entry),
        Row::Event(event) => write_event(transaction, event),
        Row::Request(id, answer) => write_request(transaction, id, answer),
        Row::Credential(credential) => write_credentials(transaction, std::slice::from_ref(credential)),
    }
}

/// Records the answer to a request.
pub(super) fn write_request(
    transaction: &WriteTransaction,
    id: &str,
    answer: &AnsweredRequest,
) -> Result<(), RowError> {
    let value = encoded("the request id", answer)?;
    transaction.open_table(REQUESTS)?.insert(id, value.as_slice())?;
    transaction.open_table(REQUEST_TIMES)?.insert((answer.at.as_microsecond(), id), ())?;
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
    let start = log_start(transaction)?;
    if after < start {
        return Err(RowError::Compacted(start));
    }
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

/// The name of an audit event, for messages.
pub(super) fn event_name(revision: u64) -> String {
    format!("revision {revision} of the audit")
}

/// The audit events after `after` up to `head`, at most `limit`.
pub(super) fn read_audit(
    transaction: &ReadTransaction,
    after: Revision,
    head: Revision,
    limit: usize,
) -> Result<Vec<AuditEvent>, RowError> {
    let mut events = Vec::new();
    let from = after.get().saturating_add(1);
    if from > head.get() {
        return Ok(events);
    }
    for found in transaction.open_table(AUDIT)?.range(from..=head.get())?.take(limit) {
        let (revision, value) = found?;
        let event: AuditEvent = decoded(|| event_name(revision.value()), value.value())?;
        if event.revision.get() != revision.value() {
            return Err(RowError::damaged(event_name(revision.value()), "it holds another event"));
        }
        events.push(event);
    }
    Ok(events)
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

pub(super) fn decoded<T: DeserializeOwned>(row: impl FnOnce() -> String, bytes: &[u8]) -> Result<T, RowError> {
    decode(bytes).map_err(|error| RowError::Damaged(row(), error.into()))
}
