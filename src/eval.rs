//! The meaning of a request: one pure function from a program and a request to an outcome.
//!
//! No lock, no clock, no I/O: it cannot fail for outside reasons (design §7).

mod condition;
mod edge;
pub mod engine;
pub mod outcome;
mod question;
mod text;

pub use engine::evaluate;
pub use outcome::{Outcome, Permit, Reason};
