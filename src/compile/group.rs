//! One group: its bindings and an index of their clauses by permission. What the engine walks.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use super::program::{Bound, Clause, Condition, PolicyProgram};
use crate::model::binding::BindingKey;
use crate::model::catalogue::PermissionNumber;
use crate::model::id::{EnvironmentId, GroupId};
use crate::model::policy::{Boundary, Effect, Policy};
use crate::model::state::Shared;
use crate::model::text::Name;

/// A group with everything that is bound to it.
#[derive(Debug)]
pub struct GroupProgram {
    /// Identity.
    pub id: GroupId,
    /// Name.
    pub name: Name,
    /// By key.
    bindings: Box<[Arc<BindingProgram>]>,
    /// Of each binding [`EVERYWHERE`], or the number of the only environment it counts in.
    environments: Box<[u32]>,
    /// The permissions that some clause is about, sorted.
    permissions: Box<[PermissionNumber]>,
    /// Where the candidates of each permission begin, and at last where those of the last one end.
    bounds: Box<[u32]>,
    candidates: Box<[Candidate]>,
}

/// A binding, ready to be asked and to be named.
#[derive(Debug, PartialEq, Eq)]
pub struct BindingProgram {
    /// Identity.
    pub key: BindingKey,
    /// Where it counts; `None` at account level.
    pub environment: Option<BoundEnvironment>,
    /// What is bound.
    pub policy: Shared<Policy>,
    /// What narrows it, by name, then id: the order in which clauses count them.
    pub boundaries: Box<[Shared<Boundary>]>,
    /// How the boundaries were applied (rules R11).
    pub strict: bool,
    /// The policy with the parameters and boundaries of the binding.
    pub program: Arc<PolicyProgram>,
}

/// An environment, as a binding refers to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundEnvironment {
    /// Its number in the account's program.
    pub number: u32,
    /// Its id.
    pub id: EnvironmentId,
}

/// A clause that may decide about a permission.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    binding: u32,
    clause: u32,
}

/// The environment number of bindings that count in every environment.
const EVERYWHERE: u32 = u32::MAX;

/// A clause and how it reaches a subject.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'p> {
    /// The group.
    pub group: &'p GroupProgram,
    /// The binding.
    pub binding: &'p BindingProgram,
    /// The clause.
    pub clause: &'p Clause,
}

/// The candidates of a group for one permission: DENY before ALLOW, each in the order reasons are named.
#[derive(Debug, Clone)]
pub struct Candidates<'p> {
    group: &'p GroupProgram,
    left: std::slice::Iter<'p, Candidate>,
    environment: Option<u32>,
}

// === impl GroupProgram ===

impl GroupProgram {
    /// A group with these bindings, which are sorted by key.
    #[must_use]
    pub fn new(id: GroupId, name: Name, bindings: Box<[Arc<BindingProgram>]>) -> Self {
        let count = bindings.iter().map(|binding| binding.program.about.len()).sum();
        let mut all: Vec<(PermissionNumber, Candidate)> = Vec::with_capacity(count);
        for (number, binding) in (0..).zip(&bindings) {
            let candidates = binding.program.about.iter().map(|(permission, clause)| (*permission, *clause));
            all.extend(candidates.map(|(permission, clause)| (permission, Candidate { binding: number, clause })));
        }
        let environment = |binding: &Arc<BindingProgram>| {
            binding.environment.as_ref().map_or(EVERYWHERE, |environment| environment.number)
        };
        let environments = bindings.iter().map(environment).collect();
        let (permissions, bounds, candidates) = (Box::default(), Box::default(), Box::default());
        let mut group = Self { id, name, bindings, environments, permissions, bounds, candidates };
        all.sort_unstable_by(|(a_permission, a), (b_permission, b)| {
            a_permission.cmp(b_permission).then_with(|| group.rank(*a, *b))
        });
        group.index(&all);
        group
    }

    fn index(&mut self, sorted: &[(PermissionNumber, Candidate)]) {
        let runs = || sorted.chunk_by(|(a, _), (b, _)| a == b);
        self.permissions = runs().filter_map(|run| run.first()).map(|(permission, _)| *permission).collect();
        let mut end = 0;
        let ends = runs().map(|run| {
            end += run.len() as u32;
            end
        });
        self.bounds = [0].into_iter().chain(ends).collect();
        self.candidates = sorted.iter().map(|(_, candidate)| *candidate).collect();
    }

    /// DENY before ALLOW, then the order reasons are named in.
    fn rank(&self, a: Candidate, b: Candidate) -> Ordering {
        match (self.origin(a), self.origin(b)) {
            (Some(a), Some(b)) => {
                let deny_first = (a.clause.effect == Effect::Allow).cmp(&(b.clause.effect == Effect::Allow));
                deny_first.then_with(|| a.rank(&b))
            }
            // A candidate is made beside the tables it points into.
            _ => Ordering::Equal,
        }
    }

    /// Its bindings, by key.
    #[must_use]
    pub fn bindings(&self) -> &[Arc<BindingProgram>] {
        &self.bindings
    }

    /// The binding of this key.
    #[must_use]
    pub fn binding(&self, key: BindingKey) -> Option<&Arc<BindingProgram>> {
        let place = self.bindings.binary_search_by_key(&key, |binding| binding.key).ok()?;
        self.bindings.get(place)
    }

    /// The permissions that some clause is about, sorted by number.
    #[must_use]
    pub fn permissions(&self) -> &[PermissionNumber] {
        &self.permissions
    }

    /// What may decide about `permission` in an environment; `None` asks about the account itself (rules R16).
    #[must_use]
    #[inline]
    pub fn candidates(&self, permission: PermissionNumber, environment: Option<u32>) -> Candidates<'_> {
        let range = self.range(permission).unwrap_or_default();
        let left = self.candidates.get(range).unwrap_or_default().iter();
        Candidates { group: self, left, environment }
    }

    #[inline]
    fn range(&self, permission: PermissionNumber) -> Option<Range<usize>> {
        let place = self.permissions.binary_search(&permission).ok()?;
        Some(*self.bounds.get(place)? as usize..*self.bounds.get(place + 1)? as usize)
    }

    /// Every clause about `permission`, those of other environments among them.
    pub fn origins(&self, permission: PermissionNumber) -> impl Iterator<Item = Origin<'_>> {
        let candidates = self.candidates.get(self.range(permission).unwrap_or_default()).unwrap_or_default();
        candidates.iter().filter_map(|candidate| self.origin(*candidate))
    }

    fn origin(&self, candidate: Candidate) -> Option<Origin<'_>> {
        let binding = self.bindings.get(candidate.binding as usize)?;
        let clause = binding.program.clauses.get(candidate.clause as usize)?;
        Some(Origin { group: self, binding, clause })
    }
}

// === impl Candidates ===

impl<'p> Iterator for Candidates<'p> {
    type Item = Origin<'p>;

    fn next(&mut self) -> Option<Origin<'p>> {
        let environment = self.environment.unwrap_or(EVERYWHERE);
        // Account bindings count in every environment, environment bindings only in their own (D4).
        let bound = |it: &Candidate| self.group.environments.get(it.binding as usize).copied();
        let counts = |it: &&Candidate| bound(it).is_some_and(|bound| bound == EVERYWHERE || bound == environment);
        let candidate = self.left.find(counts)?;
        self.group.origin(*candidate)
    }
}

// === impl Origin ===

impl<'p> Origin<'p> {
    /// What the boundary of the clause adds.
    #[must_use]
    #[inline]
    pub fn bound(&self) -> Option<&'p Bound> {
        self.binding.program.bound(self.clause)
    }

    /// The boundary that narrows the clause, by its place in the binding.
    #[must_use]
    pub fn boundary(&self) -> Option<u16> {
        self.bound().map(|bound| bound.boundary)
    }

    /// Every condition: those of the statement, then those of the boundary.
    pub fn conditions(&self) -> impl Iterator<Item = &'p Condition> + Clone {
        self.clause.conditions.iter().chain(self.bound().into_iter().flat_map(|bound| &bound.conditions))
    }

    /// The order in which deciding statements are named (rules §8): policy name, statement; then level and id of the policy,
    /// level, group and content of the binding, boundary.
    #[must_use]
    pub fn rank(&self, other: &Self) -> Ordering {
        let (mine, theirs) = (&self.binding.policy.value, &other.binding.policy.value);
        mine.name.cmp(&theirs.name).then_with(|| self.clause.statement.cmp(&other.clause.statement)).then_with(|| {
            let policies = (&mine.level, mine.id).cmp(&(&theirs.level, theirs.id));
            policies.then_with(|| self.rank_of_binding(other)).then_with(|| self.boundary().cmp(&other.boundary()))
        })
    }

    fn rank_of_binding(&self, other: &Self) -> Ordering {
        let (mine, theirs) = (self.binding.environment.as_ref(), other.binding.environment.as_ref());
        let levels = mine.map(|it| &it.id).cmp(&theirs.map(|it| &it.id));
        let groups = || self.group.name.cmp(&other.group.name);
        levels.then_with(groups).then_with(|| self.binding.key.cmp(&other.binding.key))
    }
}
