//! The meaning of a request: one pure function from a program and a request to an outcome.
//!
//! No lock, no clock, no I/O: it cannot fail for outside reasons (design §7).

//!
//! Everything here reads the same programs by the same conditions: [`engine`] decides, the others list, explain or leave
//! open what it decides.

mod condition;
mod edge;
pub mod effective;
pub mod engine;
pub mod explain;
pub mod filter;
pub mod list;
pub mod outcome;
mod question;
pub mod removed;
pub mod residual;
pub mod resolve;
mod text;
pub mod who_can;

pub use condition::Truth;
pub use effective::effective;
pub use engine::{Prepared, evaluate};
pub use explain::explain;
pub use filter::filter;
pub use list::list_permissions;
pub use outcome::{Outcome, Permit, Reason};
pub use resolve::resolve;
pub use who_can::who_can;
