//! Tree to program: parameters are filled in here, in the tree, never in text (D10).

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;

use super::bind::parameters_of_boundary;
use super::fit::{Fit, fit_numbered};
use super::program::{Bound, Clause, Condition, PolicyProgram};
use crate::lang::ast::{self, BoundaryAst, ParameterName, PolicyAst};
use crate::model::catalogue::{Catalogue, ConditionName, PermissionNumber};
use crate::model::policy::Effect;

mod bound;
mod condition;

use condition::Filling;

/// Values for `${bindParam:…}`, by name.
pub type Parameters = BTreeMap<String, String>;

/// Why a policy cannot be bound with these parameters (reference ch. 5, rules R22).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindRejected {
    /// The policy asks for a parameter that is not given.
    #[error("`parameters.{0}` is missing; the policy uses `${{bindParam:{0}}}`")]
    MissingParameter(ParameterName),
    /// A value does not fit its condition once it is filled in.
    #[error("with these parameters the value of `{condition}` {problem}")]
    InvalidValue {
        /// The condition.
        condition: ConditionName,
        /// What is wrong, as the rest of the sentence.
        problem: String,
    },
}

/// The parameters that a policy asks for.
#[must_use]
pub fn parameters_of(policy: &PolicyAst) -> BTreeSet<ParameterName> {
    conditions_of(policy).flat_map(|c| &c.values).flat_map(|value| value.node.parameters().cloned()).collect()
}

/// What narrows the ALLOW statements of a binding; nothing by default.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bounds<'a> {
    /// The boundaries, alternatives of each other; a clause names one by its place here.
    pub boundaries: &'a [BoundaryAst],
    /// Rules R11: leave out a copy to which the boundary added no condition.
    pub strict: bool,
}

/// The program of `policy` with `parameters`, its ALLOW statements narrowed by `bounds` (reference ch. 4.3).
///
/// Where the reference copies a statement for each pick of conditions, a clause here holds the alternatives of each name:
/// AND over names of OR over repeats, which is the OR of all picks in three values too.
///
/// # Errors
/// Every missing parameter and every value that does not fit, at once.
pub fn lower_bound(
    policy: &PolicyAst,
    bounds: &Bounds<'_>,
    parameters: &Parameters,
    catalogue: &Catalogue,
) -> Result<PolicyProgram, Vec<BindRejected>> {
    let mut needed = parameters_of(policy);
    needed.extend(bounds.boundaries.iter().flat_map(parameters_of_boundary));
    let missing = needed.into_iter().filter(|name| !parameters.contains_key(name.as_str()));
    let missing: Vec<_> = missing.map(BindRejected::MissingParameter).collect();
    if !missing.is_empty() {
        return Err(missing);
    }
    let mut filling = Filling { parameters, rejected: Vec::new() };
    let boundaries: Vec<_> =
        bounds.boundaries.iter().map(|boundary| bound::Lowered::new(boundary, catalogue, &mut filling)).collect();
    let mut lowering = Lowering {
        filling,
        catalogue,
        boundaries,
        strict: bounds.strict,
        clauses: Vec::with_capacity(policy.statements.len()),
        about: Vec::with_capacity(policy.statements.len() * 2),
        bounds: Vec::new(),
        known_bounds: Vec::new(),
        retired: BTreeSet::new(),
    };
    for (number, statement) in (0..).zip(&policy.statements) {
        lowering.statement(number, &statement.node);
    }
    let Lowering { filling, clauses, about, bounds, retired, .. } = lowering;
    if !filling.rejected.is_empty() {
        return Err(filling.rejected);
    }
    let (clauses, about, bounds) = (clauses.into(), about.into(), bounds.into());
    Ok(PolicyProgram { clauses, about, bounds, retired: retired.into_iter().collect() })
}

fn conditions_of(policy: &PolicyAst) -> impl Iterator<Item = &ast::Condition> {
    policy.statements.iter().flat_map(|statement| &statement.node.conditions).map(|condition| &condition.node)
}

/// How one permission takes the conditions of a statement, and of each boundary: in their order.
type Manner = (Vec<Fit>, Vec<Vec<Fit>>);

/// A boundary with the manner of its conditions, and what that came to.
type KnownBound = (u16, Box<[Fit]>, Option<NonZero<u32>>);

struct Lowering<'a> {
    filling: Filling<'a>,
    catalogue: &'a Catalogue,
    boundaries: Vec<bound::Lowered<'a>>,
    strict: bool,
    clauses: Vec<Clause>,
    about: Vec<(PermissionNumber, u32)>,
    bounds: Vec<Bound>,
    known_bounds: Vec<KnownBound>,
    retired: BTreeSet<u16>,
}

// === impl Lowering ===

impl Lowering<'_> {
    fn statement(&mut self, number: u16, statement: &ast::Statement) {
        let mut manners: Vec<(Manner, Vec<PermissionNumber>)> = Vec::new();
        for permission in &statement.permissions {
            let Some(permission_number) = self.catalogue.number(permission.node.as_str()) else {
                self.retired.insert(number);
                continue;
            };
            let manner = self.manner(statement, permission_number);
            match manners.iter_mut().find(|(known, _)| *known == manner) {
                Some((_, permissions)) if permissions.contains(&permission_number) => {}
                Some((_, permissions)) => permissions.push(permission_number),
                None => manners.push((manner, vec![permission_number])),
            }
        }
        for ((own, bounds), permissions) in manners {
            self.clauses(number, statement, (&own, &bounds), &permissions);
        }
    }

    fn manner(&self, statement: &ast::Statement, permission: PermissionNumber) -> Manner {
        let own = statement.conditions.iter().map(|it| fit_numbered(self.catalogue, permission, &it.node)).collect();
        let bounds = match statement.effect {
            Effect::Allow => self.boundaries.iter().map(|it| it.fits(self.catalogue, permission)).collect(),
            // Boundaries never touch a DENY (reference ch. 4.2, 2).
            Effect::Deny => Vec::new(),
        };
        (own, bounds)
    }

    /// One clause, or one for each boundary.
    fn clauses(
        &mut self,
        number: u16,
        statement: &ast::Statement,
        (own, bounds): (&[Fit], &[Vec<Fit>]),
        permissions: &[PermissionNumber],
    ) {
        if own.iter().any(|fit| !matches!(fit, Fit::Taken { .. })) {
            self.retired.insert(number);
        }
        let own = statement.conditions.iter().zip(own);
        let own: Vec<Condition> = own
            .map(|(condition, fit)| match fit {
                Fit::Taken { any_match } => self.filling.condition(&condition.node, *any_match),
                Fit::NotTaken | Fit::OperatorRefused => Condition::Retired,
            })
            .collect();
        let clause =
            |bound| Clause { statement: number, effect: statement.effect, bound, conditions: own.clone().into() };
        if statement.effect == Effect::Deny || self.boundaries.is_empty() {
            self.push(clause(None), permissions);
            return;
        }
        if self.boundaries.iter().any(|boundary| boundary.retired) {
            self.retired.insert(number);
        }
        for (place, fits) in (0..).zip(bounds) {
            if let Some(bound) = self.bound(place, fits) {
                self.push(clause(Some(bound)), permissions);
            }
        }
    }

    /// What a boundary adds for permissions that take its conditions so; `None` where nothing is granted under it.
    fn bound(&mut self, boundary: u16, fits: &[Fit]) -> Option<NonZero<u32>> {
        let known = self.known_bounds.iter().find(|known| known.0 == boundary && *known.1 == *fits);
        if let Some((_, _, number)) = known {
            return *number;
        }
        let lowered = self.boundaries.get(usize::from(boundary))?;
        let added = lowered.added(fits).filter(|added| !(added.is_empty() && self.strict));
        let number = added.and_then(|conditions| {
            self.bounds.push(Bound { boundary, conditions: conditions.into() });
            NonZero::new(self.bounds.len() as u32)
        });
        self.known_bounds.push((boundary, fits.into(), number));
        number
    }

    fn push(&mut self, clause: Clause, permissions: &[PermissionNumber]) {
        let number = self.clauses.len() as u32;
        self.about.extend(permissions.iter().map(|permission| (*permission, number)));
        self.clauses.push(clause);
    }
}
