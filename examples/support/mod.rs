//! What the programs that measure share: a `doorward` process, its memory, times in a table, and the peers of the tests.

#![allow(dead_code, unreachable_pub, reason = "each program uses its own part")]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "the parts of the tests: what goes wrong there ends the program, with its reason"
)]

#[path = "../../tests/support/child.rs"]
pub mod child;
#[path = "../../tests/support/etcd.rs"]
pub mod etcd;
pub mod figures;
#[path = "../../tests/support/lines.rs"]
pub mod lines;
pub mod memory;
#[path = "../../tests/support/peers.rs"]
pub mod peers;
pub mod server;
