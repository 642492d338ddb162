//! Cases from a stream of bytes: a state that is valid, and questions near what its texts mention.
//!
//! Every choice takes the next byte, and 0 once there are none; 0 is the simplest choice. So any input makes a case, and
//! an input with bytes deleted or zeroed makes a simpler one: property tests and fuzzers share the generator and need
//! no shrinker of their own.

mod choices;
mod questions;
mod state;
mod texts;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use doorward::model::id::AccountId;
use doorward::model::state::State;
use jiff::Timestamp;

pub use choices::Choices;
pub use questions::question;
pub use state::world;

/// A state, and what questions about it can be near to.
#[derive(Debug, Clone)]
pub struct World {
    /// The state, with what its catalogue has lost taken away.
    pub state: State,
    /// The same before that: what a state file can say.
    pub accepted: State,
    /// What was taken away, in the words of [`super::forget`].
    pub forgotten: Vec<String>,
    /// The only account.
    pub account: AccountId,
    /// Names and ids of users.
    pub users: Vec<String>,
    /// What the texts mention.
    pub mentioned: Mentioned,
}

/// What the texts of a state mention.
#[derive(Debug, Clone, Default)]
pub struct Mentioned {
    /// Permissions of bound statements, as often as they stand there.
    pub permissions: Vec<String>,
    /// Values of attributes, by condition.
    pub values: BTreeMap<String, Vec<String>>,
    /// Instants at which a time condition can change.
    pub edges: BTreeSet<Timestamp>,
}
