//! The nouns of Doorward and the values a decision is made of.
//!
//! Nothing here does I/O, reads a clock or knows a wire format. Every other floor imports this one; it imports none.

pub mod account;
pub mod attribute;
pub mod audit;
pub mod binding;
pub mod catalogue;
pub mod credential;
pub mod decision;
pub mod defaults;
pub mod digest;
pub mod freshness;
pub mod id;
pub mod identity;
pub mod level;
pub mod limits;
pub mod moment;
pub mod mutation;
pub mod object;
pub mod policy;
pub mod revision;
pub mod scope;
pub mod state;
pub mod text;
