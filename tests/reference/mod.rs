//! The reference: what the rules say in the plainest way, to hold the engine against, and a generator of cases.
//!
//! It is slow and goes straight over the trees of the stored texts. Of the library it takes the nouns, the catalogue
//! and the parser, and nothing of what compiles or evaluates; only [`engine`] asks the engine. It belongs to tests,
//! fuzz targets and benches, each of which includes it by its path.

#![allow(dead_code, unreachable_pub, unused_imports, reason = "each binary uses its own part")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "test code: what goes wrong here fails the test, with its reason"
)]

pub mod engine;
mod evaluate;
mod expand;
pub mod forget;
pub mod generate;
pub mod moves;
mod question;
mod statefile;
mod text;
mod time;
mod truth;
pub mod vector;

pub use evaluate::Reference;
pub use expand::printed;
pub use question::{Answer, Decided, Named, Question, Refused, Resolved};
pub use statefile::state_file;
