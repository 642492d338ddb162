//! The store: every object, durable, with the order in which commits happened.
//!
//! [`api::Store`] is the contract; a store is whatever passes its suite. [`embedded`] is the engine that comes with
//! Doorward, a single file; [`memory`] is the same engine without a disk; [`etcd`] is the one for several control planes
//! at once. What a mutation comes to is decided by one
//! pure function that every engine shares. Validation of meaning is not done here: a store refuses only what would
//! leave it inconsistent. A store that can tell all of its rows ([`dump`]) can be verified ([`verify`]) and backed up
//! ([`backup`]), whatever its engine is.

pub mod api;
pub mod backup;
pub mod dump;
pub mod embedded;
pub mod etcd;
pub mod format;
pub mod memory;
mod plan;
#[cfg(test)]
mod tests;
pub mod verify;
