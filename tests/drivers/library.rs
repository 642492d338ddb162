//! The engine, called in this process.

use doorward::model::id::AccountId;
use doorward::model::revision::StoreId;
use doorward::model::state::State;
use doorward::snapshot::build::Snapshot;

use super::{Driver, Told};
use crate::reference::{Question, Resolved, engine};

struct Library {
    account: AccountId,
    snapshot: Snapshot,
}

/// The engine over `state`.
pub(super) fn start(account: AccountId, state: &State) -> Result<Box<dyn Driver>, String> {
    let snapshot = Snapshot::build(StoreId::random(), state, None).map_err(|rejected| rejected.to_string())?;
    Ok(Box::new(Library { account, snapshot }))
}

impl Driver for Library {
    fn answer(&self, question: &Question) -> Told {
        let (answer, valid_until) = engine::ask_until(&self.snapshot, self.account, question);
        Told { valid_until: valid_until.map(|at| at.to_string()), ..answer.into() }
    }

    fn resolve(&self, question: &Question) -> Option<&'static str> {
        engine::resolve(&self.snapshot, self.account, question).ok().map(Resolved::name)
    }
}
