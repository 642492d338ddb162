//! Changes that a store takes: a policy of another level is another policy, so the one that is there goes before it comes.

use doorward::model::object::{Change, Object};
use doorward::model::state::State;

/// The changes of one commit upon `state`, with what has to go before something comes.
pub fn with_moves(state: &State, changes: &[Change]) -> Vec<Change> {
    let mut all = Vec::with_capacity(changes.len());
    for change in changes {
        if let Change::Put(record) = change
            && let Object::Policy(account, policy) = &record.value
        {
            let known = state.account(*account).and_then(|account| account.policies.get(&policy.id));
            if known.is_some_and(|known| known.value.level != policy.level) {
                all.push(Change::Delete(record.value.key()));
            }
        }
        all.push(change.clone());
    }
    all
}
