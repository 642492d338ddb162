//! Tables of an older version, brought to this one.

use redb::{Database, ReadableDatabase, ReadableTable};

use super::super::plan::AnsweredRequest;
use super::tables::{self, FORMAT, RowError, meta};

/// The version before the audit and compaction.
pub(super) const FORMAT_1: &str = "1";

/// Brings older tables to this version, in one durable transaction: whatever ends it in the middle leaves them as they
/// were. The audit begins there; the log is whole, as nothing took anything away.
pub(super) fn upgrade(database: &Database) -> Result<(), RowError> {
    if tables::format(&database.begin_read()?)? != FORMAT_1 {
        return Ok(());
    }
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(tables::META)?;
        let head = table.get(meta::HEAD)?.map(|head| head.value().to_owned()).unwrap_or_default();
        table.insert(meta::FORMAT, FORMAT)?;
        table.insert(meta::LOG_START, "0")?;
        table.insert(meta::AUDIT_START, head.as_str())?;
        transaction.open_table(tables::AUDIT)?;
        let mut times = transaction.open_table(tables::REQUEST_TIMES)?;
        for request in transaction.open_table(tables::REQUESTS)?.iter()? {
            let (id, value) = request?;
            let answer: AnsweredRequest = tables::decoded(|| format!("request `{}`", id.value()), value.value())?;
            times.insert((answer.at.as_microsecond(), id.value()), ())?;
        }
    }
    transaction.commit()?;
    tracing::info!(from = FORMAT_1, to = FORMAT, "store upgraded");
    Ok(())
}
