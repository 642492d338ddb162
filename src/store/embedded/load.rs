//! The objects as a state: rows are read by one thread, and made objects of by others.

use redb::{ReadTransaction, ReadableTable as _};

use super::super::format::{decode, row};
use super::tables::{OBJECTS, RowError};
use crate::model::object::{Object, Record};
use crate::model::revision::Revision;
use crate::model::state::{Batch, Loading, State};
use crate::threads::Threads;

/// Bytes of rows that are made objects of at once, about.
const RUN_BYTES: usize = 128 * 1024;

/// Rows that follow each other.
type Run = Vec<(String, Vec<u8>)>;

/// The state at `head`.
pub(super) fn load_state(threads: Threads, transaction: &ReadTransaction, head: Revision) -> Result<State, RowError> {
    let mut state = Loading::default();
    let table = transaction.open_table(OBJECTS)?;
    let rows = table.iter()?.map(|row| row.map(|(key, value)| (key.value().to_owned(), value.value().to_vec())));
    let mut rows = rows.map(|row| row.map_err(RowError::from));
    threads.in_order(
        || next_run(&mut rows),
        |run| objects(&run),
        |batch| state.put(head, batch?).map_err(|error| RowError::damaged("the objects", error)),
    )?;
    let mut state = state.finish();
    state.revision = head;
    Ok(state)
}

/// The next rows, with how many bytes they have.
fn next_run(
    rows: &mut impl Iterator<Item = Result<(String, Vec<u8>), RowError>>,
) -> Result<Option<(Run, usize)>, RowError> {
    let (mut run, mut bytes) = (Run::new(), 0);
    while bytes < RUN_BYTES
        && let Some((key, value)) = rows.next().transpose()?
    {
        bytes += key.len() + value.len();
        run.push((key, value));
    }
    Ok((!run.is_empty()).then_some((run, bytes)))
}

fn objects(run: &Run) -> Result<Batch, RowError> {
    run.iter().map(|(key, value)| object(key, value)).collect::<Result<_, _>>().map(Batch::of)
}

fn object(key: &str, value: &[u8]) -> Result<Record<Object>, RowError> {
    let name = || format!("object `{key}`");
    let record: Record<Object> = decode(value).map_err(|error| RowError::damaged(name(), error))?;
    if row(&record.value.key()) != key {
        return Err(RowError::damaged(name(), "it holds another object"));
    }
    Ok(record)
}
