//! What differs between two states of an account. Parts that they share are not looked at.

use std::collections::BTreeSet;

use imbl::OrdMap;
use imbl::ordmap::DiffItem;

use super::CompileRejected;
use crate::model::binding::BindingKey;
use crate::model::id::{BoundaryId, EnvironmentId, GroupId, PolicyId};
use crate::model::object::ObjectKey;
use crate::model::state::{AccountState, UserChange};

/// What came, changed or went.
pub(super) struct Changes<'a> {
    pub(super) environments: Vec<&'a EnvironmentId>,
    pub(super) groups: Vec<GroupId>,
    /// `None` where every user is new.
    pub(super) users: Option<Vec<UserChange<'a>>>,
    policies: Vec<&'a PolicyId>,
    boundaries: Vec<&'a BoundaryId>,
    /// The groups that bindings came to or went from.
    bound: Vec<GroupId>,
    /// How boundaries apply is another.
    strict: bool,
}

// === impl Changes ===

impl<'a> Changes<'a> {
    pub(super) fn between(before: &'a AccountState, after: &'a AccountState) -> Self {
        let users = (!before.users.is_empty()).then(|| after.users.changes_since(&before.users).collect());
        let bound = before.bindings.diff(&after.bindings).map(|item| match item {
            // The key of a binding is its content, so that one that is updated stays with its group.
            DiffItem::Add(_, it) | DiffItem::Remove(_, it) | DiffItem::Update { new: (_, it), .. } => it.value.group,
        });
        Self {
            environments: keys(&before.environments, &after.environments),
            groups: keys(&before.groups, &after.groups).into_iter().copied().collect(),
            users,
            policies: keys(&before.policies, &after.policies),
            boundaries: keys(&before.boundaries, &after.boundaries),
            bound: bound.collect(),
            strict: before.account.value.strict_boundaries != after.account.value.strict_boundaries,
        }
    }

    /// The groups whose programs are made anew.
    pub(super) fn touched_groups(&self, after: &AccountState) -> BTreeSet<GroupId> {
        let mut touched: BTreeSet<GroupId> = self.groups.iter().copied().collect();
        touched.extend(&self.bound);
        // Those of a whole build: who else is bound to something is among `bound`.
        if after.groups.keys().all(|id| touched.contains(id)) {
            return touched;
        }
        for policy in &self.policies {
            touched.extend(after.bindings_of_policy(**policy).map(|(_, binding)| binding.value.group));
        }
        for boundary in &self.boundaries {
            touched.extend(after.bindings_of_boundary(**boundary).map(|(_, binding)| binding.value.group));
        }
        if self.strict {
            let narrowed = after.bindings.values().filter(|binding| !binding.value.boundaries.is_empty());
            touched.extend(narrowed.map(|binding| binding.value.group));
        }
        touched
    }
}

fn keys<'a, K: Ord, V: PartialEq>(before: &'a OrdMap<K, V>, after: &'a OrdMap<K, V>) -> Vec<&'a K> {
    let keys = before.diff(after).map(|item| match item {
        DiffItem::Add(key, _) | DiffItem::Remove(key, _) | DiffItem::Update { new: (key, _), .. } => key,
    });
    keys.collect()
}

/// A binding that refers to what is not there.
pub(super) fn dangling(
    state: &AccountState,
    binding: BindingKey,
    noun: &str,
    id: &dyn std::fmt::Display,
) -> CompileRejected {
    let account = state.account.value.id;
    let problem = format!("there is no {noun} `{id}`");
    CompileRejected { account, key: Box::new(ObjectKey::Binding(account, binding)), problem }
}
