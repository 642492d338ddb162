//! etcd's messages as they are on the wire, and the few shapes of them that the store uses.

/// The generated messages and clients.
#[expect(
    clippy::enum_variant_names,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    unreachable_pub,
    reason = "generated; the documentation is in the proto"
)]
pub(super) mod pb {
    tonic::include_proto!("etcdserverpb");
}

use std::ops::Range;

use pb::compare::{CompareResult, CompareTarget, TargetUnion};
use pb::request_op::Request;
use pb::response_op::Response;
use pb::{Compare, DeleteRangeRequest, PutRequest, RangeRequest, RangeResponse, RequestOp, TxnResponse};

/// A read of one key.
pub(super) fn get(key: String) -> RangeRequest {
    RangeRequest { key: key.into(), ..RangeRequest::default() }
}

/// A read of the first `limit` keys of a range.
pub(super) fn list(range: Range<String>, limit: i64) -> RangeRequest {
    RangeRequest { key: range.start.into(), range_end: range.end.into(), limit, ..RangeRequest::default() }
}

/// A read as a part of a transaction.
pub(super) fn read(request: RangeRequest) -> RequestOp {
    RequestOp { request: Some(Request::RequestRange(request)) }
}

/// A write as a part of a transaction.
pub(super) fn put(key: String, value: Vec<u8>) -> RequestOp {
    RequestOp { request: Some(Request::RequestPut(PutRequest { key: key.into(), value: value.into() })) }
}

/// The deletion of a key as a part of a transaction.
pub(super) fn delete(key: String) -> RequestOp {
    RequestOp {
        request: Some(Request::RequestDeleteRange(DeleteRangeRequest {
            key: key.into(),
            range_end: Vec::new().into(),
        })),
    }
}

/// The deletion of a range as a part of a transaction.
pub(super) fn delete_range(range: Range<String>) -> RequestOp {
    let Range { start, end } = range;
    RequestOp {
        request: Some(Request::RequestDeleteRange(DeleteRangeRequest { key: start.into(), range_end: end.into() })),
    }
}

/// The condition that nobody has written a key since.
pub(super) fn unchanged(key: String, mod_revision: i64) -> Compare {
    let union = TargetUnion::ModRevision(mod_revision);
    compare(CompareTarget::Mod, key..String::new(), union)
}

/// The condition that a key is not there.
pub(super) fn absent(key: String) -> Compare {
    compare(CompareTarget::Create, key..String::new(), TargetUnion::CreateRevision(0))
}

/// The condition that no key of a range is there.
pub(super) fn empty(range: Range<String>) -> Compare {
    compare(CompareTarget::Create, range, TargetUnion::CreateRevision(0))
}

fn compare(target: CompareTarget, range: Range<String>, union: TargetUnion) -> Compare {
    Compare {
        result: CompareResult::Equal.into(),
        target: target.into(),
        key: range.start.into(),
        range_end: range.end.into(),
        target_union: Some(union),
    }
}

// === impl TxnResponse ===

impl TxnResponse {
    /// The revision of etcd that it made, or saw.
    pub(super) fn revision(&self) -> i64 {
        self.header.as_ref().map_or(0, |header| header.revision)
    }

    /// What its reads came to, in order. Anything else than the reads that were asked for is no answer of etcd.
    pub(super) fn reads<const N: usize>(self) -> Option<[RangeResponse; N]> {
        let reads = self.responses.into_iter().filter_map(|op| op.response);
        let reads = reads.map(|Response::ResponseRange(read)| read);
        reads.collect::<Vec<_>>().try_into().ok()
    }
}
