//! Doorward: an authorization sidecar with a whole IAM behind it.

pub mod model;

pub mod lang;

pub mod compile;

pub mod eval;

pub mod snapshot;

pub mod store;

pub mod iam;

pub mod statefile;

pub mod cli;
