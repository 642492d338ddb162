//! Changes that a store takes: a policy of another level is another policy, so the one that is there goes before it comes.

use doorward::model::object::{Change, Object, ObjectKey};
use doorward::model::state::State;

/// What has to go before `object` can come: the policy of its id at another level.
pub fn moved(state: &State, object: &Object) -> Option<ObjectKey> {
    let Object::Policy(account, policy) = object else { return None };
    let known = state.account(*account)?.policies.get(&policy.id)?;
    (known.value.level != policy.level).then(|| object.key())
}

/// The changes of one commit upon `state`, with what has to go before something comes.
pub fn with_moves(state: &State, changes: &[Change]) -> Vec<Change> {
    let mut all = Vec::with_capacity(changes.len());
    for change in changes {
        if let Change::Put(record) = change {
            all.extend(moved(state, &record.value).map(Change::Delete));
        }
        all.push(change.clone());
    }
    all
}
