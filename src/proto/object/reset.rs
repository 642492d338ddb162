//! A whole state as messages: what Watch sends and what a sidecar keeps on disk.

use prost::Message as _;

use super::{from_record, pb};
use crate::model::digest::Digest;
use crate::model::object::{Object, Record};
use crate::model::revision::RevisionToken;

/// What is the same in each chunk of a reset.
#[derive(Debug, Clone)]
pub struct Cover {
    /// The store and the revision.
    pub token: RevisionToken,
    /// The digest of all records.
    pub digest: Digest,
    /// Its signature; empty where there is none.
    pub signature: Vec<u8>,
}

/// The chunks of a reset; see [`chunks`].
struct Chunks<I> {
    cover: Cover,
    /// Bytes of objects in a chunk, about.
    size: usize,
    records: I,
    /// The object that did not fit into the chunk before.
    next: Option<pb::Object>,
    is_first: bool,
    is_over: bool,
}

/// The records as the chunks of a reset, made one by one: at least one, the last one marked. In a chunk are objects of about
/// `size` bytes, or a single one that is larger.
pub fn chunks(
    records: impl Iterator<Item = Record<Object>>,
    cover: Cover,
    size: usize,
) -> impl Iterator<Item = pb::Reset> {
    Chunks { cover, size, records, next: None, is_first: true, is_over: false }
}

// === impl Chunks ===

impl<I: Iterator<Item = Record<Object>>> Iterator for Chunks<I> {
    type Item = pb::Reset;

    fn next(&mut self) -> Option<pb::Reset> {
        if self.is_over {
            return None;
        }
        let objects = self.objects();
        self.is_over = self.next.is_none();
        let Cover { token, digest, signature } = &self.cover;
        Some(pb::Reset {
            store_id: token.store.to_string(),
            revision: token.revision.get(),
            first: std::mem::replace(&mut self.is_first, false),
            last: self.is_over,
            objects,
            digest: digest.as_bytes().to_vec(),
            signature: signature.clone(),
        })
    }
}

impl<I: Iterator<Item = Record<Object>>> Chunks<I> {
    /// As many objects as fit, and one at least; the one behind them is kept.
    fn objects(&mut self) -> Vec<pb::Object> {
        let mut objects: Vec<_> = self.next.take().into_iter().collect();
        let mut bytes: usize = objects.iter().map(pb::Object::encoded_len).sum();
        for record in self.records.by_ref() {
            let object = from_record(&record);
            let size = object.encoded_len();
            if !objects.is_empty() && bytes + size > self.size {
                self.next = Some(object);
                break;
            }
            objects.push(object);
            bytes += size;
        }
        objects
    }
}
