//! Log entries and audit events in etcd: in one key, or in parts where they are too large for one.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::super::format::{InvalidValue, decode, encode};

/// Bytes of a value that is written in one piece. A page of a hundred of them is small enough for one answer.
pub(super) const INLINE_BYTES: usize = 64 * 1024;
/// Bytes of a part: a request with one is well below the 1.5 MiB that etcd takes.
const PART_BYTES: usize = 512 * 1024;

/// The value of the key of a log entry or an audit event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document<T> {
    /// The try that wrote it: by it one whose fate was unknown is known again.
    pub(super) commit: Uuid,
    /// When.
    pub(super) at: jiff::Timestamp,
    /// The value itself, unless it is in parts.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub(super) value: Option<T>,
    /// How many parts there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) parts: usize,
}

/// What is written for a value.
#[derive(Debug)]
pub(super) struct Written {
    /// The value of its key.
    pub(super) document: Vec<u8>,
    /// Its parts, to be written before.
    pub(super) parts: Vec<Vec<u8>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

// === impl Written ===

impl Written {
    /// What is written for `value` by the try `commit`.
    pub(super) fn of<T: Serialize>(commit: Uuid, at: jiff::Timestamp, value: &T) -> Result<Self, InvalidValue> {
        let document = encode(&Document { commit, at, value: Some(value), parts: 0 })?;
        if document.len() <= INLINE_BYTES {
            return Ok(Self { document, parts: Vec::new() });
        }
        drop(document);
        let parts: Vec<_> = encode(value)?.chunks(PART_BYTES).map(<[u8]>::to_vec).collect();
        let document = encode(&Document::<T> { commit, at, value: None, parts: parts.len() })?;
        Ok(Self { document, parts })
    }
}

/// The value whose parts these are.
pub(super) fn joined<T: DeserializeOwned>(parts: &[&[u8]]) -> Result<T, InvalidValue> {
    decode(&parts.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_the_same_in_one_piece_and_in_parts() {
        let check = |length: usize, expected_parts: usize| {
            let value = "é".repeat(length / 2);
            let (commit, at) = (Uuid::from_bytes([1; 16]), jiff::Timestamp::UNIX_EPOCH);
            let Written { document, parts } = Written::of(commit, at, &value).unwrap();
            let read: Document<String> = decode(&document).unwrap();
            assert_eq!((read.commit, read.at, read.parts, parts.len()), (commit, at, expected_parts, expected_parts));
            assert!(document.len() <= INLINE_BYTES && parts.iter().all(|part| part.len() <= PART_BYTES));
            let again = match read.value {
                Some(value) => value,
                None => joined(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap(),
            };
            assert_eq!(again, value);
        };
        check(0, 0);
        check(INLINE_BYTES - 200, 0);
        check(INLINE_BYTES, 1);
        check(PART_BYTES, 2);
        check(5 * PART_BYTES - 10, 5);
    }
}
