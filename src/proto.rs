//! The wire: generated code, and objects as messages. Only `services`, `sync` and `cli` import it.

#![expect(
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated; the documentation is in the protos"
)]

/// `doorward.v1`: Doorward's own API.
pub mod doorward {
    tonic::include_proto!("doorward.v1");
}

/// `envoy.service.auth.v3`: the part of Envoy's external authorization API that Doorward speaks.
pub mod envoy {
    tonic::include_proto!("envoy.service.auth.v3");
}

/// Every descriptor above, encoded as a `FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// `doorward.v1.WatchService` for a server whose events are encoded already.
pub mod watch_server {
    include!(concat!(env!("OUT_DIR"), "/watch_server/doorward.v1.rs"));
}

pub mod object;
