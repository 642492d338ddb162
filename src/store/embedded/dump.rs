//! The tables of the file as rows, and rows as a new file.

use std::path::Path;

use redb::{Database, ReadTransaction, ReadableTable, ReadableTableMetadata as _, TableDefinition};
use serde::de::DeserializeOwned;

use crate::model::credential::CredentialRecord;
use crate::model::object::{Object, Record};
use crate::model::revision::StoreId;

use super::super::api::{LogEntry, StoreError};
use super::super::dump::{AnsweredRequest, Dump, DumpError, Head, Row, Sink};
use super::super::format::row;
use super::file::{Draft, StoreFile, drafts};
use super::tables::{self, RowError, meta};
use super::{EmbeddedStore, FILE_NAME};

/// Rows that are written in one transaction.
const BATCH: usize = 5_000;

impl Dump for EmbeddedStore {
    fn dump(&self, sink: &mut dyn Sink) -> Result<(), DumpError> {
        let transaction = self.begin_read()?;
        let place = self.medium.place();
        let rows = Rows { transaction, place };
        if tables::is_loading(&rows.transaction).map_err(|error| rows.at(error))? {
            return Err(DumpError::Loading { place: place.to_owned() });
        }
        sink.head(&rows.head().map_err(|error| rows.at(error))?)?;
        rows.objects(sink)?;
        rows.numbered(tables::LOG, "log", sink, |entry: LogEntry| (entry.revision.get(), Row::Commit(entry)))?;
        rows.numbered(tables::AUDIT, "audit", sink, |event: crate::model::audit::AuditEvent| {
            (event.revision.get(), Row::Event(event))
        })?;
        rows.requests(sink)?;
        rows.credentials(sink)
    }
}

/// The rows of one transaction, which sees one revision.
struct Rows<'a> {
    transaction: ReadTransaction,
    place: &'a str,
}

// === impl Rows ===

impl Rows<'_> {
    fn at(&self, error: RowError) -> StoreError {
        error.at(self.place)
    }

    fn damaged(&self, row: impl Into<String>, problem: &'static str) -> DumpError {
        self.at(RowError::Damaged(row.into(), problem.into())).into()
    }

    fn engine(&self, error: impl Into<RowError>) -> DumpError {
        self.at(error.into()).into()
    }

    fn head(&self) -> Result<Head, RowError> {
        let transaction = &self.transaction;
        let (log_start, audit_start) = (tables::log_start(transaction)?, tables::audit_start(transaction)?);
        let (store, revision) = tables::identity(transaction)?;
        Ok(Head { store, revision, log_start, audit_start })
    }

    /// Calls `each` with every row of a table, which must have as many as it says.
    fn each<K: redb::Key + 'static, V: redb::Value + 'static>(
        &self,
        definition: TableDefinition<'static, K, V>,
        name: &str,
        mut each: impl FnMut(K::SelfType<'_>, V::SelfType<'_>) -> Result<(), DumpError>,
    ) -> Result<(), DumpError> {
        let table = self.transaction.open_table(definition).map_err(|error| self.engine(error))?;
        let (mut found, said) = (0, table.len().map_err(|error| self.engine(error))?);
        for row in table.iter().map_err(|error| self.engine(error))? {
            let (key, value) = row.map_err(|error| self.engine(error))?;
            each(key.value(), value.value())?;
            found += 1;
        }
        if found == said { Ok(()) } else { Err(self.damaged(format!("table `{name}`"), "rows are missing")) }
    }

    fn decoded<T: DeserializeOwned>(&self, name: impl FnOnce() -> String, bytes: &[u8]) -> Result<T, DumpError> {
        tables::decoded(name, bytes).map_err(|error| self.at(error).into())
    }

    fn objects(&self, sink: &mut dyn Sink) -> Result<(), DumpError> {
        self.each(tables::OBJECTS, "objects", |key, value| {
            let record: Record<Object> = self.decoded(|| format!("object `{key}`"), value)?;
            if row(&record.value.key()) != key {
                return Err(self.damaged(format!("object `{key}`"), "it holds another object"));
            }
            sink.row(Row::Object(record))
        })
    }

    fn numbered<T: DeserializeOwned>(
        &self,
        definition: TableDefinition<'static, u64, &'static [u8]>,
        name: &str,
        sink: &mut dyn Sink,
        form: fn(T) -> (u64, Row),
    ) -> Result<(), DumpError> {
        self.each(definition, name, |revision, value| {
            let named = || format!("revision {revision} of the {name}");
            let (held, row) = form(self.decoded(named, value)?);
            if held != revision {
                return Err(self.damaged(named(), "it holds another revision"));
            }
            sink.row(row)
        })
    }

    /// The requests, each of which is found by its time, too.
    fn requests(&self, sink: &mut dyn Sink) -> Result<(), DumpError> {
        let times = self.transaction.open_table(tables::REQUEST_TIMES).map_err(|error| self.engine(error))?;
        let mut found = 0;
        self.each(tables::REQUESTS, "requests", |id, value| {
            let named = || format!("request `{id}`");
            let answer: AnsweredRequest = self.decoded(named, value)?;
            let time = times.get((answer.at.as_microsecond(), id)).map_err(|error| self.engine(error))?;
            if time.is_none() {
                return Err(self.damaged(named(), "it is not found by its time"));
            }
            found += 1;
            sink.row(Row::Request(id.to_owned(), answer))
        })?;
        let said = times.len().map_err(|error| self.engine(error))?;
        if found == said { Ok(()) } else { Err(self.damaged("table `request_times`", "it holds other requests")) }
    }

    fn credentials(&self, sink: &mut dyn Sink) -> Result<(), DumpError> {
        self.each(tables::CREDENTIALS, "credentials", |id, value| {
            let credential: CredentialRecord = self.decoded(|| format!("credential `{id}`"), value)?;
            if credential.public_id != id {
                return Err(self.damaged(format!("credential `{id}`"), "it holds another credential"));
            }
            sink.row(Row::Credential(credential))
        })
    }
}

/// Makes a store in `folder`, which is missing or empty, of everything that `source` tells, under a new identity.
/// Nothing is there before all of it is.
///
/// # Errors
/// [`DumpError::Taken`] for a folder that holds something, another when something cannot be read or written.
pub fn restore(source: &dyn Dump, folder: &Path) -> Result<StoreId, DumpError> {
    let taken = |found| DumpError::Taken { place: folder.display().to_string(), found };
    let left = match drafts(folder) {
        Ok(Some(left)) => left,
        Ok(None) => return Err(taken("is not empty; name a folder that is empty or not there")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(source) => return Err(DumpError::File { place: folder.display().to_string(), done: "read", source }),
    };
    let id = StoreId::random();
    let draft = StoreFile::draft(folder, id)?;
    let place = folder.join(FILE_NAME).display().to_string();
    let mut filler = Filler { draft, place, waiting: Vec::new() };
    source.dump(&mut filler)?;
    filler.flush()?;
    if !filler.draft.keep()? {
        return Err(taken("got a store meanwhile; name another folder"));
    }
    for draft in left {
        // Left by a restoration that was killed, or of one that comes too late now.
        let _ = std::fs::remove_file(draft);
    }
    Ok(id)
}

/// Writes rows into a draft, a batch a transaction.
struct Filler {
    draft: Draft,
    place: String,
    waiting: Vec<Row>,
}

// === impl Filler ===

impl Filler {
    fn flush(&mut self) -> Result<(), DumpError> {
        let rows = std::mem::take(&mut self.waiting);
        Ok(write_rows(self.draft.database(), &rows).map_err(|error| error.at(&self.place))?)
    }
}

impl Sink for Filler {
    fn head(&mut self, head: &Head) -> Result<(), DumpError> {
        Ok(write_head(self.draft.database(), head).map_err(|error| error.at(&self.place))?)
    }

    fn row(&mut self, row: Row) -> Result<(), DumpError> {
        self.waiting.push(row);
        if self.waiting.len() < BATCH { Ok(()) } else { self.flush() }
    }
}

fn write_head(database: &Database, head: &Head) -> Result<(), RowError> {
    let transaction = database.begin_write()?;
    for (name, revision) in
        [(meta::HEAD, head.revision), (meta::LOG_START, head.log_start), (meta::AUDIT_START, head.audit_start)]
    {
        tables::advance(&transaction, name, revision)?;
    }
    Ok(transaction.commit()?)
}

fn write_rows(database: &Database, rows: &[Row]) -> Result<(), RowError> {
    let transaction = database.begin_write()?;
    for row in rows {
        tables::write_row(&transaction, row)?;
    }
    Ok(transaction.commit()?)
}
