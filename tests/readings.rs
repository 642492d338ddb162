//! The readings of the engine agree with its decisions, on random accounts and requests.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "readings/properties.rs"]
mod properties;
#[path = "readings/rows.rs"]
mod rows;
#[path = "readings/world.rs"]
#[expect(unreachable_pub, reason = "a module of its own, for one binary")]
mod world;
