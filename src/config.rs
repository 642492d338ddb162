//! Configuration in two types: what was typed ([`raw`]) and what it means ([`resolved`]).

pub mod raw;
pub mod resolved;

#[cfg(test)]
mod tests;
