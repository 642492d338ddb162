//! The policy language: text to tree and back, and the diagnostics of both.
//!
//! Grammar: reference ch. 1.9 (policies) and ch. 4.1 (boundaries), as rules §5 decides what they leave open.
//! Which permissions and conditions exist is not known here; that is asked of the catalogue in [`crate::compile`].

pub mod ast;
pub mod diag;
mod lexer;
pub mod literal;
pub(crate) mod parser;
mod print;
pub mod span;

pub use parser::{Fragment, Parsed, parse_boundary, parse_policy};
pub(crate) use parser::{parse_boundary_of, parse_policy_of};

/// The version of the language this build reads. It travels with the state (design §5, 9).
pub const LANGUAGE_VERSION: u32 = 1;
