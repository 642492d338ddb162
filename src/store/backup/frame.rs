//! What the frames of a backup say, one after the other.

use serde::de::DeserializeOwned;

use super::super::dump::{Head, Row};
use super::super::format::decode;
use super::super::verify::Counts;
use super::kind;

/// Reads frames in the order in which they must come: a head, rows by their kind, the end.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// The kind of the frame before; `None` before the first.
    last: Option<u8>,
    counts: Counts,
}

/// What a frame holds.
pub(super) enum Frame {
    Head(Head),
    Row(Row),
    /// It was the last one, and counts the rows that came.
    End,
}

// === impl Order ===

impl Order {
    /// Reads the next frame; an error says what is wrong with it.
    pub(super) fn read(&mut self, kind: u8, value: &[u8]) -> Result<Frame, String> {
        let in_order = self.last.map_or(kind == kind::HEAD, |last| kind != kind::HEAD && kind >= last);
        if !in_order {
            return Err(wrong(kind));
        }
        self.last = Some(kind);
        let row = match kind {
            kind::HEAD => return self::value(value).map(Frame::Head),
            kind::OBJECT => Row::Object(self::value(value)?),
            kind::COMMIT => Row::Commit(self::value(value)?),
            kind::EVENT => Row::Event(self::value(value)?),
            kind::REQUEST => {
                let (id, answer) = self::value(value)?;
                Row::Request(id, answer)
            }
            kind::CREDENTIAL => Row::Credential(self::value(value)?),
            kind::END => return self.end(value),
            other => return Err(wrong(other)),
        };
        self.counts.add(&row);
        Ok(Frame::Row(row))
    }

    fn end(&self, value: &[u8]) -> Result<Frame, String> {
        if self::value::<Counts>(value)? == self.counts {
            return Ok(Frame::End);
        }
        Err("it holds another number of rows than it says".to_owned())
    }
}

fn value<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    decode(bytes).map_err(|problem| problem.to_string())
}

fn wrong(kind: u8) -> String {
    format!("a frame of kind {kind} is in the wrong place")
}
