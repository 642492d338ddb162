//! What the integration tests share: real peers, processes, a small HTTP client and server.
//!
//! A test binary says `mod support;` and uses its own part of it.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "test code: what goes wrong here fails the test, with its reason"
)]

pub mod child;
pub mod cutter;
pub mod envoy;
pub mod etcd;
pub mod http;
pub mod installation;
pub mod lines;
pub mod peers;
pub mod process;
pub mod rpc;
