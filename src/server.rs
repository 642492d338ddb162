//! The roots: what a process consists of in each role, how it starts, and how it ends.

pub mod bootstrap;
pub mod compaction;
pub mod control_plane;
pub mod http;
pub mod listener;
pub mod run;
pub mod shutdown;
pub mod sidecar;

pub use run::{Addresses, ServerError, run};
