//! Statements that boundaries left nothing of. They have no clause, so that a check never meets them: to tell them, the texts
//! of the bindings are read again.

use std::cmp::Ordering;

use crate::compile::account::AccountProgram;
use crate::compile::expand::{Removal, hold};
use crate::compile::group::{BindingProgram, GroupProgram};
use crate::compile::subjects::Subject;
use crate::lang::{parse_boundary, parse_policy};
use crate::model::binding::BindingKey;
use crate::model::catalogue::{Catalogue, PermissionName};
use crate::model::id::{EnvironmentId, GroupId};
use crate::model::limits;
use crate::model::policy::{Boundary, Effect, Policy};
use crate::model::text::Name;

/// An ALLOW of which no boundary of its binding left anything.
#[derive(Debug, Clone)]
pub struct RemovedStatement<'p> {
    /// The permission asked for, or the role that would imply it (rules R14).
    pub permission: &'p PermissionName,
    /// The statement's number in its policy, from 0.
    pub statement: u16,
    /// The boundaries of the binding, by name.
    pub by: Vec<RemovedBy<'p>>,
    group: &'p GroupProgram,
    binding: &'p BindingProgram,
}

/// A boundary that left nothing of a statement.
#[derive(Debug, Clone, Copy)]
pub struct RemovedBy<'p> {
    /// Which.
    pub boundary: &'p Boundary,
    /// Why.
    pub why: Removal,
}

/// The statements about `permission` that are bound to a group of the subject and of which nothing is left, in the order
/// reasons are named; of more than [`limits::EXPLAINED_STATEMENTS`] some one more than those.
pub(super) fn removed<'p>(
    program: &'p AccountProgram,
    subject: &Subject<'p>,
    permission: &'p PermissionName,
) -> Vec<RemovedStatement<'p>> {
    let mut removed = Vec::new();
    'groups: for group in program.groups_of(subject) {
        for binding in group.bindings() {
            // More are not told, and each of them costs a text that is parsed anew.
            if removed.len() > limits::EXPLAINED_STATEMENTS {
                break 'groups;
            }
            let by = removals(binding, permission, &program.catalogue);
            let Some(by) = by.filter(|by| !by.is_empty()) else { continue };
            let numbers = allowing(&binding.policy.value, permission).into_iter();
            removed.extend(numbers.map(|statement| {
                let by = by.clone();
                RemovedStatement { permission, statement, by, group, binding }
            }));
        }
    }
    removed.sort_by(RemovedStatement::rank);
    removed
}

/// Why each boundary leaves nothing; `None` where one of them leaves something.
fn removals<'p>(
    binding: &'p BindingProgram,
    permission: &PermissionName,
    catalogue: &Catalogue,
) -> Option<Vec<RemovedBy<'p>>> {
    // A permission has one spelling, so a policy that is about it has it in its text.
    if binding.boundaries.is_empty() || !binding.policy.value.statements.contains(permission.as_str()) {
        return None;
    }
    let removal = |boundary: &'p Boundary| {
        let tree = parse_boundary(&boundary.query).ast;
        let why = hold(&tree, permission, catalogue).removal(binding.strict)?;
        Some(RemovedBy { boundary, why })
    };
    binding.boundaries.iter().map(|boundary| removal(&boundary.value)).collect()
}

/// The ALLOW statements that are about `permission`. A DENY is not narrowed (D7).
fn allowing(policy: &Policy, permission: &PermissionName) -> Vec<u16> {
    let tree = parse_policy(&policy.statements).ast;
    let statements = (0..).zip(&tree.statements).filter(|(_, statement)| {
        let about = statement.node.permissions.iter().any(|named| named.node == *permission);
        statement.node.effect == Effect::Allow && about
    });
    statements.map(|(number, _)| number).collect()
}

// === impl RemovedStatement ===

impl<'p> RemovedStatement<'p> {
    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &'p Policy {
        &self.binding.policy.value
    }

    /// The id of the group that the policy is bound to.
    #[must_use]
    pub const fn group_id(&self) -> GroupId {
        self.group.id
    }

    /// The name of that group.
    #[must_use]
    pub const fn group_name(&self) -> &'p Name {
        &self.group.name
    }

    /// The binding.
    #[must_use]
    pub const fn binding(&self) -> BindingKey {
        self.binding.key
    }

    /// The environment it is bound in; `None` at account level.
    #[must_use]
    pub fn environment(&self) -> Option<&'p EnvironmentId> {
        self.binding.environment.as_ref().map(|environment| &environment.id)
    }

    fn rank(&self, other: &Self) -> Ordering {
        fn of<'s>(it: &'s RemovedStatement<'_>) -> impl Ord + use<'s> {
            let policy = it.policy();
            (&policy.name, it.statement, &policy.level, policy.id, it.environment(), it.group_name(), it.binding())
        }
        of(self).cmp(&of(other))
    }
}
