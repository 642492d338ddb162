#![doc = include_str!("../README.md")]

pub mod model;

pub mod lang;

pub mod compile;

pub mod eval;

pub mod snapshot;

pub mod workload;

pub mod identity;

pub mod edge;

pub mod store;

pub mod iam;

pub mod statefile;

pub mod clock;

pub mod durable;

pub mod threads;

pub mod signature;

pub mod telemetry;

pub mod config;

pub mod proto;

pub mod services;

pub mod sync;

pub mod server;

pub mod cli;
