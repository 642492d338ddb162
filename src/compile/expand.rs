//! What a binding amounts to: its statements, one permission each, narrowed by its boundaries (reference ch. 4.3).
//!
//! DENY is left as it is. An ALLOW is copied for each boundary, and for each way of picking one condition of every name
//! that the boundary repeats: OR between boundaries and between repeated names, AND between names. Each copy grants.

use std::collections::{BTreeMap, HashMap};

use super::fit::{Fit, fit};
use crate::lang::ast::{BoundaryAst, Condition, PolicyAst, Statement};
use crate::lang::span::Spanned;
use crate::model::catalogue::{Catalogue, PermissionName};
use crate::model::id::BoundaryId;
use crate::model::limits;
use crate::model::policy::Effect;

/// A boundary of a binding.
#[derive(Debug, Clone, Copy)]
pub struct BoundBoundary<'a> {
    /// Which.
    pub id: BoundaryId,
    /// What it is called.
    pub name: &'a str,
    /// Its conditions.
    pub tree: &'a BoundaryAst,
}

/// The texts that a binding joins.
#[derive(Debug, Clone, Copy)]
pub struct Bound<'a> {
    /// The policy.
    pub policy: &'a PolicyAst,
    /// The boundaries, none twice.
    pub boundaries: &'a [BoundBoundary<'a>],
    /// Whether the account drops a copy to which its boundary added no condition (rules R11).
    pub strict: bool,
}

/// One statement with one permission, as it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expanded<'a> {
    /// The number of the statement in its policy, from 0.
    pub statement: u16,
    /// The boundary that narrows it; none narrows a DENY, or anything of a binding without boundaries.
    pub boundary: Option<BoundaryId>,
    /// ALLOW or DENY.
    pub effect: Effect,
    /// The permission.
    pub permission: &'a Spanned<PermissionName>,
    /// The conditions of the statement.
    pub own: &'a [Spanned<Condition>],
    /// The conditions of the boundary, joined by AND to its own.
    pub added: Vec<&'a Spanned<Condition>>,
}

/// More statements than [`limits::EXPANDED_STATEMENTS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the binding expands to {count} statements, the limit is {limit}", limit = limits::EXPANDED_STATEMENTS)]
pub struct ExpansionTooLarge {
    /// How many there would be.
    pub count: usize,
}

/// How a boundary takes hold of one permission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold<'a> {
    /// For each name that the permission knows or nobody does, the conditions of that name with an operator it takes: one of
    /// them is picked.
    pub choices: Vec<Vec<&'a Spanned<Condition>>>,
    /// The conditions whose name fits and whose operator does not, and those whose name no permission knows any more: what
    /// holds one of them grants nothing (rules R9, R30).
    pub misfits: Vec<&'a Spanned<Condition>>,
}

/// Why a boundary leaves nothing of an ALLOW.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Removal {
    /// It adds no condition, and the account is strict about that (rules R11).
    AddsNothing,
    /// Of some name it has only conditions that the permission does not take with their operator (rules R9), or that no
    /// permission knows any more (rules R30).
    NotTaken,
}

/// The statements of a binding, in the order of statements, permissions, boundaries and picks; equal ones each by itself.
/// A permission that the catalogue does not know grants nothing and is left out (rules R30), as is what R9 and R11 drop.
///
/// # Errors
/// [`ExpansionTooLarge`], found by counting: nothing is built then.
pub fn expand<'a>(bound: Bound<'a>, catalogue: &Catalogue) -> Result<Vec<Expanded<'a>>, ExpansionTooLarge> {
    let count = count(bound, catalogue)?;
    let mut holds = Holds::new(bound, catalogue);
    let mut expanded = Vec::with_capacity(count);
    for (number, statement) in (0..).zip(&bound.policy.statements) {
        let statement = &statement.node;
        for permission in &statement.permissions {
            let one = Expanded {
                statement: number,
                boundary: None,
                effect: statement.effect,
                permission,
                own: &statement.conditions,
                added: Vec::new(),
            };
            holds.expand(&one, &mut expanded);
        }
    }
    Ok(expanded)
}

/// How many statements [`expand`] gives.
///
/// # Errors
/// [`ExpansionTooLarge`]
pub fn count(bound: Bound<'_>, catalogue: &Catalogue) -> Result<usize, ExpansionTooLarge> {
    let mut holds = Holds::new(bound, catalogue);
    let permissions = bound.policy.statements.iter().flat_map(|statement| {
        let effect = statement.node.effect;
        statement.node.permissions.iter().map(move |permission| (effect, &permission.node))
    });
    // No sum of texts within their limits comes near the end of an integer.
    let count = permissions.map(|(effect, permission)| holds.copies(effect, permission)).sum();
    if count > limits::EXPANDED_STATEMENTS { Err(ExpansionTooLarge { count }) } else { Ok(count) }
}

/// How `boundary` takes hold of `permission`.
#[must_use]
pub fn hold<'a>(boundary: &'a BoundaryAst, permission: &PermissionName, catalogue: &Catalogue) -> Hold<'a> {
    let mut choices: Vec<Vec<&Spanned<Condition>>> = Vec::new();
    let mut misfits = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for condition in &boundary.conditions {
        let name = condition.node.attribute.node.as_str();
        let how = fit(catalogue, permission, &condition.node);
        // A name that no permission knows any more is a misfit everywhere: to leave its line out would widen (rules R30).
        if how == Fit::NotTaken && catalogue.knows_condition(name) {
            continue;
        }
        let place = *places.entry(name).or_insert(choices.len());
        if place == choices.len() {
            choices.push(Vec::new());
        }
        match choices.get_mut(place) {
            Some(group) if matches!(how, Fit::Taken { .. }) => group.push(condition),
            // The name fits all the same: where every line of it is a misfit, no pick is left.
            _ => misfits.push(condition),
        }
    }
    Hold { choices, misfits }
}

/// The holds of every boundary on the permissions seen so far.
struct Holds<'a, 'c> {
    bound: Bound<'a>,
    catalogue: &'c Catalogue,
    known: HashMap<PermissionName, Vec<(BoundaryId, Hold<'a>)>>,
}

// === impl Expanded ===

impl Expanded<'_> {
    /// The statement as a tree, which prints as text.
    #[must_use]
    pub fn to_statement(&self) -> Statement {
        let added = self.added.iter().map(|&condition| condition.clone());
        Statement {
            effect: self.effect,
            permissions: vec![self.permission.clone()],
            conditions: self.own.iter().cloned().chain(added).collect(),
        }
    }
}

// === impl Hold ===

impl<'a> Hold<'a> {
    /// Whether the boundary adds no condition: the copy stays as wide as the statement is (reference ch. 4.2.10).
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.choices.is_empty()
    }

    /// How many copies the boundary makes of an ALLOW.
    #[must_use]
    pub fn copies(&self, strict: bool) -> usize {
        if self.is_empty() { usize::from(!strict) } else { self.choices.iter().map(Vec::len).product() }
    }

    /// Why the boundary leaves nothing of an ALLOW, where it does.
    #[must_use]
    pub fn removal(&self, strict: bool) -> Option<Removal> {
        let why = if self.is_empty() { Removal::AddsNothing } else { Removal::NotTaken };
        (self.copies(strict) == 0).then_some(why)
    }

    /// One condition of each name, in every way.
    pub fn picks(&self) -> impl Iterator<Item = Vec<&'a Spanned<Condition>>> + '_ {
        let count = self.choices.iter().map(Vec::len).product();
        (0..count).map(|number| {
            let mut rest: usize = number;
            // The number of a pick has the number of each choice as a digit, the last name's being the lowest.
            let mut pick: Vec<_> = self.choices.iter().rev().filter_map(|group| digit(group, &mut rest)).collect();
            pick.reverse();
            pick
        })
    }
}

fn digit<'a>(group: &[&'a Spanned<Condition>], rest: &mut usize) -> Option<&'a Spanned<Condition>> {
    let chosen = rest.checked_rem(group.len())?;
    *rest = rest.checked_div(group.len())?;
    group.get(chosen).copied()
}

// === impl Holds ===

impl<'a, 'c> Holds<'a, 'c> {
    fn new(bound: Bound<'a>, catalogue: &'c Catalogue) -> Self {
        Self { bound, catalogue, known: HashMap::new() }
    }

    fn of(&mut self, permission: &PermissionName) -> &[(BoundaryId, Hold<'a>)] {
        let Self { bound, catalogue, known } = self;
        if !known.contains_key(permission) {
            let holds = bound.boundaries.iter().map(|it| (it.id, hold(it.tree, permission, catalogue)));
            known.insert(permission.clone(), holds.collect());
        }
        known.get(permission).map(Vec::as_slice).unwrap_or_default()
    }

    fn copies(&mut self, effect: Effect, permission: &PermissionName) -> usize {
        let Bound { boundaries, strict, .. } = self.bound;
        if !self.catalogue.knows(permission.as_str()) {
            return 0;
        }
        if effect == Effect::Deny || boundaries.is_empty() {
            return 1;
        }
        self.of(permission).iter().map(|(_, hold)| hold.copies(strict)).sum()
    }

    /// Adds the copies of one statement with one permission.
    fn expand(&mut self, one: &Expanded<'a>, expanded: &mut Vec<Expanded<'a>>) {
        let Bound { boundaries, strict, .. } = self.bound;
        if !self.catalogue.knows(one.permission.node.as_str()) {
            return;
        }
        if one.effect == Effect::Deny || boundaries.is_empty() {
            expanded.push(one.clone());
            return;
        }
        for (id, hold) in self.of(&one.permission.node) {
            if strict && hold.is_empty() {
                continue;
            }
            expanded.extend(hold.picks().map(|added| Expanded { boundary: Some(*id), added, ..one.clone() }));
        }
    }
}

#[cfg(test)]
mod tests;
