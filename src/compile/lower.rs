//! Tree to program: parameters are filled in here, in the tree, never in text (D10).

use std::collections::{BTreeMap, BTreeSet};

use super::bind::parameters_of_boundary;
use super::fit::{Fit, fit};
use super::program::{Clause, Condition, PolicyProgram};
use crate::lang::ast::{self, BoundaryAst, ParameterName, PolicyAst};
use crate::model::catalogue::{Catalogue, ConditionName, PermissionName, PermissionNumber};
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
        clauses: Vec::new(),
        retired: BTreeSet::new(),
    };
    for (number, statement) in (0..).zip(&policy.statements) {
        lowering.statement(number, &statement.node);
    }
    let Lowering { filling, clauses, retired, .. } = lowering;
    if !filling.rejected.is_empty() {
        return Err(filling.rejected);
    }
    Ok(PolicyProgram { clauses: clauses.into(), retired: retired.into_iter().collect() })
}

fn conditions_of(policy: &PolicyAst) -> impl Iterator<Item = &ast::Condition> {
    policy.statements.iter().flat_map(|statement| &statement.node.conditions).map(|condition| &condition.node)
}

/// How one permission takes the conditions of a statement, and of each boundary: in their order.
type Manner = (Vec<Fit>, Vec<Vec<Fit>>);

struct Lowering<'a> {
    filling: Filling<'a>,
    catalogue: &'a Catalogue,
    boundaries: Vec<bound::Lowered<'a>>,
    strict: bool,
    clauses: Vec<Clause>,
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
            let manner = self.manner(statement, &permission.node);
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

    fn manner(&self, statement: &ast::Statement, permission: &PermissionName) -> Manner {
        let own = statement.conditions.iter().map(|it| fit(self.catalogue, permission, &it.node)).collect();
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
        let clause = |boundary: Option<u16>, added: Vec<Condition>| Clause {
            statement: number,
            effect: statement.effect,
            boundary,
            permissions: permissions.into(),
            conditions: own.iter().cloned().chain(added).collect(),
        };
        if statement.effect == Effect::Deny || self.boundaries.is_empty() {
            self.clauses.push(clause(None, Vec::new()));
            return;
        }
        if self.boundaries.iter().any(|boundary| boundary.retired) {
            self.retired.insert(number);
        }
        for ((place, boundary), fits) in (0..).zip(&self.boundaries).zip(bounds) {
            match boundary.added(fits) {
                Some(added) if added.is_empty() && self.strict => {}
                Some(added) => self.clauses.push(clause(Some(place), added)),
                None => {}
            }
        }
    }
}
