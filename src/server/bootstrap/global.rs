//! The global level of a store that another build has written, when this one starts.
//!
//! The catalogue and the set of default policies are judged each by itself: the newer one of each is taken.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::account::Global;
use crate::model::catalogue::{Catalogue, CatalogueEntry, ConditionSpec};
use crate::model::id::PolicyId;
use crate::model::policy::Policy;
use crate::model::state::State;

/// The tag of a default policy that is kept only because it is bound.
pub(super) const RETIRED: &str = "retired";

/// The global level that a store with `known` has after a build with `shipped` has started.
pub(super) fn upgraded(known: &Global, shipped: Global, bound: &BTreeSet<PolicyId>) -> Global {
    let language_version = shipped.language_version;
    let catalogue = if loses_entries(&known.catalogue, &shipped.catalogue) {
        tracing::warn!("the store has a larger default catalogue than this build ships; the store's stays");
        known.catalogue.clone()
    } else {
        shipped.catalogue
    };
    if known.defaults_version > shipped.defaults_version {
        tracing::warn!(
            store = known.defaults_version,
            build = shipped.defaults_version,
            "the store has newer default policies than this build ships; the store's stay"
        );
        return Global { language_version, catalogue, ..known.clone() };
    }
    let policies = with_retired(known, shipped.policies, bound);
    Global { language_version, catalogue, policies, ..shipped }
}

/// The default policies that some account binds.
pub(super) fn bound(state: &State) -> BTreeSet<PolicyId> {
    let bound = |id: &PolicyId| {
        let mut accounts = state.accounts.values();
        accounts.any(|owned| !owned.policies.contains_key(id) && owned.bindings_of_policy(*id).next().is_some())
    };
    state.global_policies().keys().copied().filter(bound).collect()
}

/// The shipped policies, and those of the store that were dropped while they are bound: what they grant or deny stays, as
/// it was. They go with the first start that finds them bound no more.
fn with_retired(known: &Global, shipped: Vec<Policy>, bound: &BTreeSet<PolicyId>) -> Vec<Policy> {
    let mut policies: BTreeMap<PolicyId, Policy> = shipped.into_iter().map(|policy| (policy.id, policy)).collect();
    for old in known.policies.iter().filter(|old| bound.contains(&old.id)) {
        match policies.get(&old.id) {
            Some(new) if new.statements == old.statements => {}
            Some(_) => tracing::warn!(policy = %old.name, id = %old.id, "the text of a bound default policy changes"),
            None => {
                tracing::warn!(policy = %old.name, id = %old.id, "a default policy is retired; it stays while it is bound");
                policies.insert(old.id, retired(old, &policies));
            }
        }
    }
    let mut policies: Vec<_> = policies.into_values().collect();
    policies.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    policies
}

/// The policy with its tag; where its name has been given away, with one that says so.
fn retired(old: &Policy, shipped: &BTreeMap<PolicyId, Policy>) -> Policy {
    let mut policy = old.clone();
    if !policy.tags.iter().any(|tag| tag == RETIRED) {
        policy.tags.push(RETIRED.to_owned());
    }
    if shipped.values().any(|other| other.name == policy.name) {
        let renamed = format!("{} ({RETIRED} {})", policy.name, policy.id).parse();
        policy.name = renamed.unwrap_or(policy.name);
    }
    policy
}

/// Whether `next` lacks a permission or a condition that `known` has.
fn loses_entries(known: &[CatalogueEntry], next: &[CatalogueEntry]) -> bool {
    let next = Catalogue::from_entries(next);
    known.iter().any(|entry| {
        let permission = entry.permission.as_str();
        let lost = |spec: &ConditionSpec| next.condition(permission, spec.name.as_str()).is_none();
        !next.knows(permission) || entry.conditions.iter().any(lost)
    })
}
