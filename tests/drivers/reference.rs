//! The reference.

use doorward::model::id::AccountId;
use doorward::model::state::State;

use super::{Driver, Told};
use crate::reference::{Question, Reference, Resolved};

/// The reference over `state`.
#[expect(clippy::unnecessary_wraps, reason = "the other drivers can fail to start")]
pub(super) fn start(account: AccountId, state: &State) -> Result<Box<dyn Driver>, String> {
    Ok(Box::new(Reference::new(state, account)))
}

impl Driver for Reference {
    fn answer(&self, question: &Question) -> Told {
        self.decide(question).into()
    }

    fn resolve(&self, question: &Question) -> Option<&'static str> {
        Self::resolve(self, question).ok().map(Resolved::name)
    }
}
