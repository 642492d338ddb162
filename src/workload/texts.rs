//! Texts of policies and boundaries.

use std::fmt;

use super::vocabulary::{Permission, RESOURCES, Test};
use super::{Noun, Random, Workload};
use crate::model::policy::Effect;

/// The most statements of a policy.
const STATEMENTS: usize = 20;
/// Of a hundred statements, those with conditions.
const CONDITIONAL: usize = 30;
/// Of a hundred statements, those that deny.
const DENYING: usize = 3;
/// The most conditions of a statement that has some, and of a boundary.
const CONDITIONS: usize = 3;

/// A statement before it is written.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    pub(super) effect: Effect,
    pub(super) permissions: Vec<Permission>,
    pub(super) conditions: Vec<Test>,
}

// === impl Workload ===

impl Workload {
    /// The statements of a policy, each about another resource; each version has others.
    pub(super) fn statements(&self, policy: usize, version: u64) -> Vec<Statement> {
        let mut random = self.random(Noun::Text, policy);
        let mut random = Random::of(random.number(), Noun::Text as u64, version);
        let count = 1 + random.below(STATEMENTS);
        let resources = random.distinct(count, RESOURCES);
        resources.into_iter().map(|resource| Statement::about(resource, &mut random)).collect()
    }

    /// The conditions of a boundary.
    pub(super) fn conditions(&self, boundary: usize) -> Vec<Test> {
        let mut random = self.random(Noun::Boundary, boundary);
        let count = 1 + random.below(CONDITIONS);
        (0..count).map(|_| Test::shared(&mut random)).collect()
    }
}

// === impl Statement ===

impl Statement {
    /// Mostly about one permission, at times about two or three of the resource.
    fn about(resource: usize, random: &mut Random) -> Self {
        let effect = if random.percent(DENYING) { Effect::Deny } else { Effect::Allow };
        let count = match random.below(10) {
            0..=6 => 1,
            7 | 8 => 2,
            _ => 3,
        };
        let permissions = Permission::of_resource(resource, random, count);
        let count = if random.percent(CONDITIONAL) { 1 + random.below(CONDITIONS) } else { 0 };
        let conditions = permissions.first().map(|first| Test::own(random, effect, *first, count)).unwrap_or_default();
        Self { effect, permissions, conditions }
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.effect, joined(&self.permissions, ", "))?;
        if !self.conditions.is_empty() {
            write!(f, " WHERE {}", joined(&self.conditions, " AND "))?;
        }
        f.write_str(";")
    }
}

/// These with `between` between them.
pub(super) fn joined(parts: &[impl fmt::Display], between: &str) -> String {
    parts.iter().map(ToString::to_string).collect::<Vec<_>>().join(between)
}
