//! Envoy's requests to questions. Pure: nothing here knows a wire format.

pub mod envoy;
