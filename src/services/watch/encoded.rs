//! Events that were encoded before they are sent: the bytes are made once and shared by all watchers that get them.

use prost::bytes::{Buf, BufMut, Bytes};
use prost::encoding::{DecodeContext, WireType, skip_field};
use prost::{DecodeError, Message};

use crate::proto::doorward as pb;
use crate::proto::doorward::watch_response::Event;

/// A `WatchResponse` as bytes. A cheap clone.
#[derive(Debug, Clone, Default)]
pub struct Encoded(Bytes);

// === impl Encoded ===

impl Encoded {
    /// The bytes of `event`.
    pub(super) fn of(event: Event) -> Self {
        Self(pb::WatchResponse { event: Some(event) }.encode_to_vec().into())
    }

    /// The event again.
    #[cfg(test)]
    pub(super) fn decoded(&self) -> Option<Event> {
        pb::WatchResponse::decode(self.0.clone()).ok()?.event
    }

    /// Where its bytes are.
    #[cfg(test)]
    pub(super) fn start(&self) -> *const u8 {
        self.0.as_ptr()
    }

    /// How many bytes it has.
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }
}

impl Message for Encoded {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        buf.put_slice(&self.0);
    }

    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    /// A server never reads its own events.
    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        skip_field(wire_type, tag, buf, context)
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}
