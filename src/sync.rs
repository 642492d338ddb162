//! A sidecar's side of Watch: a stream with limits, the state it adds up to, and the snapshot of that.

pub mod apply;
pub mod disk;
pub mod follow;
pub mod keep;
pub mod publish;
pub mod report;
pub mod source;
#[cfg(test)]
mod testing;
