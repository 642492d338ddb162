//! The keys of a range as they were at one revision of etcd, page by page.

use std::ops::Range;

use tonic::Code;

use super::client::{CallFailed, Client};
use super::error::EtcdError;
use super::wire::list;
use super::wire::pb::{KeyValue, RangeRequest};

/// A range that is read.
#[derive(Debug)]
pub(super) struct Pages {
    /// What was not read yet; `None` at the end.
    rest: Option<Range<String>>,
    /// The revision of etcd.
    at: i64,
    /// Keys of a page at most.
    limit: i64,
    keys_only: bool,
}

// === impl Pages ===

impl Pages {
    /// The keys and values of `range` at the revision `at` of etcd, `limit` at a time.
    pub(super) const fn of(range: Range<String>, at: i64, limit: i64) -> Self {
        Self { rest: Some(range), at, limit, keys_only: false }
    }

    /// The same without the values.
    pub(super) fn without_values(self) -> Self {
        Self { keys_only: true, ..self }
    }

    /// The next page; `None` after the last one.
    pub(super) async fn next(&mut self, client: &Client) -> Result<Option<Vec<KeyValue>>, CallFailed> {
        let Some(rest) = self.rest.clone() else { return Ok(None) };
        loop {
            let first = list(rest.clone(), self.limit);
            let request = RangeRequest { revision: self.at, keys_only: self.keys_only, ..first };
            match client.range(request).await {
                // The answer is larger than may come: these values are large.
                Err(CallFailed { error: EtcdError::Refused { code: Code::OutOfRange, .. }, .. }) if self.limit > 1 => {
                    self.limit = (self.limit / 8).max(1);
                }
                Err(failed) => return Err(failed),
                Ok(page) => {
                    let last = page.kvs.last().filter(|_| page.more);
                    self.rest = last.map(|last| format!("{}\0", String::from_utf8_lossy(&last.key))..rest.end);
                    return Ok(Some(page.kvs));
                }
            }
        }
    }
}
