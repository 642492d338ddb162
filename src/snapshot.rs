//! The snapshot: the programs of every account at one revision, swapped whole.

pub mod build;
pub mod handle;
