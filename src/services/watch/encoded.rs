//! Events that were encoded before they are sent: the bytes are made once and shared by all watchers that get them.

use std::time::Duration;

use prost::bytes::{Buf, BufMut, Bytes};
use prost::encoding::{DecodeContext, WireType, message, skip_field};
use prost::{DecodeError, Message};

use crate::proto::doorward as pb;
use crate::proto::doorward::watch_response::Event;

/// The number of `WatchResponse.age`.
const AGE: u32 = 4;

/// A `WatchResponse` as bytes. A cheap clone.
#[derive(Debug, Clone, Default)]
pub struct Encoded {
    /// A response with its event and nothing else.
    event: Bytes,
    /// What stands behind it, for one watcher.
    age: Option<prost_types::Duration>,
}

// === impl Encoded ===

impl Encoded {
    /// The bytes of `event`.
    pub(super) fn of(event: Event) -> Self {
        let response = pb::WatchResponse { event: Some(event), age: None };
        Self { event: response.encode_to_vec().into(), age: None }
    }

    /// The same event for a watcher to whom it is so old.
    pub(super) fn aged(self, age: Duration) -> Self {
        // The longest there is, where it is longer: nothing would be no age at all.
        let longest = prost_types::Duration { seconds: i64::MAX, nanos: 0 };
        let told = (!age.is_zero()).then(|| age.try_into().unwrap_or(longest));
        Self { age: told, ..self }
    }

    /// The event again.
    #[cfg(test)]
    pub(super) fn decoded(&self) -> Option<Event> {
        pb::WatchResponse::decode(self.event.clone()).ok()?.event
    }

    /// Where its bytes are.
    #[cfg(test)]
    pub(super) fn start(&self) -> *const u8 {
        self.event.as_ptr()
    }

    /// How many bytes the event has.
    pub(super) const fn len(&self) -> usize {
        self.event.len()
    }
}

impl Message for Encoded {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        buf.put_slice(&self.event);
        if let Some(age) = &self.age {
            message::encode(AGE, age, buf);
        }
    }

    fn encoded_len(&self) -> usize {
        self.event.len() + self.age.as_ref().map_or(0, |age| message::encoded_len(AGE, age))
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
        *self = Self::default();
    }
}
