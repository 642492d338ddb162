//! Every reference of every object leads somewhere.

use crate::model::account::Global;
use crate::model::binding::Binding;
use crate::model::id::EnvironmentId;
use crate::model::object::Object;
use crate::model::state::{AccountState, State};

use super::Fault;

/// Counts the references of all objects; each of them resolves.
pub(super) fn check(state: &State) -> Result<u64, Fault> {
    let mut count = 0;
    for record in state.records() {
        let object = &record.value;
        let owner = object.key().account().and_then(|account| state.account(account));
        let found = match (object, owner) {
            (Object::Global(global), _) => of_global(state, global),
            (object, Some(owner)) => of_owned(state, owner, object),
            (_, None) => Vec::new(),
        };
        count += found.len() as u64;
        if let Some(Some(missing)) = found.into_iter().find(Option::is_some) {
            return Err(Fault::new(object.key(), format!("{missing}, which is not there")));
        }
    }
    Ok(count)
}

/// For each reference `None`, or what it misses.
type References = Vec<Option<String>>;

fn missing(is_there: bool, what: impl FnOnce() -> String) -> Option<String> {
    (!is_there).then(what)
}

fn of_global(state: &State, global: &Global) -> References {
    let named = global.groups.iter().flat_map(|group| &group.policies);
    let one = |id| missing(state.global_policies().contains_key(id), || format!("it names policy `{id}`"));
    named.map(one).collect()
}

fn of_owned(state: &State, owner: &AccountState, object: &Object) -> References {
    match object {
        Object::User(_, user) => {
            let one = |id| missing(owner.groups.contains_key(id), || format!("it is in group `{id}`"));
            user.groups.iter().map(one).collect()
        }
        Object::Policy(_, policy) => policy.level.environment().map(|id| of_level(owner, id)).into_iter().collect(),
        Object::Binding(_, binding) => of_binding(state, owner, binding),
        _ => Vec::new(),
    }
}

fn of_level(owner: &AccountState, id: &EnvironmentId) -> Option<String> {
    missing(owner.environments.contains_key(id), || format!("it is at environment `{id}`"))
}

fn of_binding(state: &State, owner: &AccountState, binding: &Binding) -> References {
    let (policy, group) = (binding.policy, binding.group);
    let mut found = vec![
        missing(state.policy(owner, policy).is_some(), || format!("it binds policy `{policy}`")),
        missing(owner.groups.contains_key(&group), || format!("it binds group `{group}`")),
    ];
    found.extend(binding.level.environment().map(|id| of_level(owner, id)));
    let one = |id| missing(owner.boundaries.contains_key(id), || format!("it is within boundary `{id}`"));
    found.extend(binding.boundaries.iter().map(one));
    found
}
