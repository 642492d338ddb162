//! What the integration tests start peers with, for the suite too.

#![allow(dead_code, unreachable_pub, reason = "the suite uses a part of it")]

#[path = "../../../tests/support/child.rs"]
pub mod child;
#[path = "../../../tests/support/etcd.rs"]
pub mod etcd;
#[path = "../../../tests/support/lines.rs"]
pub mod lines;
#[path = "../../../tests/support/peers.rs"]
pub mod peers;
