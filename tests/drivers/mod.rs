//! Ways to ask the questions of the vectors: each evaluator, and each wire in front of the engine.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

mod ext_authz;
mod grpc;
mod library;
mod reference;
mod server;

use doorward::model::id::AccountId;
use doorward::model::state::State;

use crate::reference::{Answer, Question};

/// An answer in the words of rules §8. What a wire does not tell is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    pub decision: Option<String>,
    pub code: Option<String>,
    pub policy: Option<String>,
    pub statement: Option<u16>,
    pub group: Option<String>,
    /// The level of the binding: `account`, or an environment.
    pub level: Option<String>,
    /// The name of the boundary whose copy of the statement decided.
    pub boundary: Option<String>,
    /// Until when a decision may be kept (D12): RFC 3339; `None` where time plays no part, too.
    pub valid_until: Option<String>,
    pub error: Option<String>,
    pub field: Option<String>,
}

/// A way to ask about one state.
pub trait Driver {
    /// Asks.
    fn answer(&self, question: &Question) -> Told;

    /// The three-valued answer; `None` where this way offers none.
    fn resolve(&self, _: &Question) -> Option<&'static str> {
        None
    }
}

/// Makes a driver for a state; or says why none takes it.
pub type Start = fn(AccountId, &State) -> Result<Box<dyn Driver>, String>;

/// A driver and what it cannot do.
pub struct Way {
    /// For messages.
    pub name: &'static str,
    /// Makes it.
    pub start: Start,
    /// Whether it gives three-valued answers.
    pub resolves: bool,
    /// Whether it tells until when a decision may be kept.
    pub tells_edges: bool,
    /// Why a question cannot be asked this way; `None` where it can.
    pub cannot_ask: fn(&Question) -> Option<&'static str>,
}

/// Every driver. A new wire is a new line.
pub const WAYS: [Way; 4] = [
    Way { name: "reference", start: reference::start, resolves: true, tells_edges: false, cannot_ask: |_| None },
    Way { name: "library", start: library::start, resolves: true, tells_edges: true, cannot_ask: |_| None },
    Way { name: "gRPC", start: grpc::start, resolves: true, tells_edges: true, cannot_ask: |_| None },
    Way {
        name: "ext_authz",
        start: ext_authz::start,
        resolves: false,
        tells_edges: true,
        cannot_ask: ext_authz::cannot_ask,
    },
];

impl From<Answer> for Told {
    fn from(answer: Answer) -> Self {
        let decided = match answer {
            Answer::Refused(refused) => {
                return Self { error: Some(refused.code), field: Some(refused.field), ..Self::default() };
            }
            Answer::Decided(decided) => decided,
        };
        let told = Self {
            decision: Some(decided.decision.name().to_owned()),
            code: Some(decided.code.name().to_owned()),
            ..Self::default()
        };
        let Some(named) = decided.named else { return told };
        Self {
            policy: Some(named.policy_name),
            statement: Some(named.statement),
            group: Some(named.group_name),
            level: Some(named.environment.map_or("account".to_owned(), |id| id.to_string())),
            boundary: named.boundary.map(|(_, name)| name),
            ..told
        }
    }
}
