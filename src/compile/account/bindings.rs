//! Bindings to their programs: each text is parsed once, and equal programs are shared.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::changes::dangling;
use super::{AccountProgram, CompileRejected, GlobalProgram};
use crate::compile::bind::parameters_of_boundary;
use crate::compile::group::{BindingProgram, BoundEnvironment, GroupProgram};
use crate::compile::lower::{BindRejected, Bounds, Parameters, lower_bound, parameters_of};
use crate::compile::program::PolicyProgram;
use crate::compile::workers::{Workers, by_parts};
use crate::lang::ast::{BoundaryAst, ParameterName, PolicyAst};
use crate::lang::{parse_boundary_of, parse_policy_of};
use crate::model::binding::{Binding, BindingKey};
use crate::model::id::{AccountId, BoundaryId, GroupId, PolicyId};
use crate::model::object::ObjectKey;
use crate::model::policy::{Boundary, Policy};
use crate::model::state::{AccountState, Shared};

/// Bindings of the same policy that are asked for a program to share.
const NEIGHBOURS: usize = 8;

/// Bindings and groups that are worth a thread.
const PART: usize = 64;

/// A binding with its program, and the group it is bound to.
pub(super) type Compiled = (GroupId, BindingKey, Arc<BindingProgram>);

/// The programs of those bindings of `groups` that `known` does not hold as they are now, by group, then key.
pub(super) fn compile(
    known: &AccountProgram,
    groups: &[GroupId],
    (before, state): (&AccountState, &AccountState),
    global: &GlobalProgram,
    workers: &dyn Workers,
) -> Result<Vec<Compiled>, CompileRejected> {
    let whole = before.bindings.is_empty();
    let build = Build { known, whole, state, global };
    let wanted = by_parts(workers, groups, PART, |groups| build.wanted_of(groups));
    let wanted = all_of(wanted)?;
    // Those of one policy beside each other, so that its tree need not be kept.
    let mut order: Vec<_> = wanted.iter().map(|wanted| (wanted.binding.policy, wanted.key, wanted)).collect();
    order.sort_unstable_by_key(|(policy, key, _)| (*policy, *key));
    let policies: Vec<_> = order.chunk_by(|(a, ..), (b, ..)| a == b).collect();
    let compiled = by_parts(workers, &policies, PART, |policies| build.policies(policies));
    let mut compiled = all_of(compiled)?;
    compiled.sort_unstable_by_key(|(group, key, _)| (*group, *key));
    Ok(compiled)
}

/// The parts as one, or the first error.
fn all_of<T>(parts: Vec<Result<Vec<T>, CompileRejected>>) -> Result<Vec<T>, CompileRejected> {
    let mut all = Vec::new();
    for part in parts {
        let mut part = part?;
        if all.is_empty() {
            all = part;
        } else {
            all.append(&mut part);
        }
    }
    Ok(all)
}

/// A binding with what it is sorted by.
type Ordered<'w, 'a> = (PolicyId, BindingKey, &'w Wanted<'a>);

struct Build<'a> {
    known: &'a AccountProgram,
    /// Nothing was bound before.
    whole: bool,
    state: &'a AccountState,
    global: &'a GlobalProgram,
}

/// A binding with what it refers to.
struct Wanted<'a> {
    key: BindingKey,
    binding: &'a Binding,
    policy: &'a Shared<Policy>,
    /// By name, then id.
    boundaries: Vec<&'a Shared<Boundary>>,
    environment: Option<BoundEnvironment>,
}

/// What makes two bindings of one policy have the same program: values of the parameters in use, and boundaries.
type Content<'a> = (Vec<Option<&'a str>>, Vec<BoundaryId>);

// === impl Build ===

impl<'a> Build<'a> {
    /// The bindings of these groups that are to be compiled.
    fn wanted_of(&self, groups: &[GroupId]) -> Result<Vec<Wanted<'a>>, CompileRejected> {
        let mut wanted = Vec::new();
        for group in groups {
            let known = self.known.group(*group);
            for (key, binding) in self.state.bindings_of_group(*group) {
                let binding = self.wanted(key, &binding.value)?;
                if !self.is_known(known, &binding) {
                    wanted.push(binding);
                }
            }
        }
        Ok(wanted)
    }

    fn policies(&self, policies: &[&[Ordered<'_, 'a>]]) -> Result<Vec<Compiled>, CompileRejected> {
        let mut compiled = Vec::with_capacity(policies.iter().map(|bindings| bindings.len()).sum());
        for bindings in policies {
            self.policy(bindings, &mut compiled)?;
        }
        Ok(compiled)
    }

    fn wanted(&self, key: BindingKey, binding: &'a Binding) -> Result<Wanted<'a>, CompileRejected> {
        let dangling = |noun: &str, id: &dyn std::fmt::Display| dangling(self.state, key, noun, id);
        let policy = self.state.policies.get(&binding.policy).or_else(|| self.global.policies.get(&binding.policy));
        let policy = policy.ok_or_else(|| dangling("policy", &binding.policy))?;
        if !self.state.groups.contains_key(&binding.group) {
            return Err(dangling("group", &binding.group));
        }
        let mut boundaries = Vec::with_capacity(binding.boundaries.len());
        for id in &binding.boundaries {
            boundaries.push(self.state.boundaries.get(id).ok_or_else(|| dangling("boundary", id))?);
        }
        boundaries.sort_unstable_by_key(|boundary| (&boundary.value.name, boundary.value.id));
        let environment = match binding.level.environment() {
            None => None,
            Some(id) => {
                let number = self.known.environment(id.as_str()).ok_or_else(|| dangling("environment", id))?;
                Some(BoundEnvironment { number, id: id.clone() })
            }
        };
        Ok(Wanted { key, binding, policy, boundaries, environment })
    }

    /// Whether the program that is there was made from the same policy and boundaries.
    fn is_known(&self, group: Option<&GroupProgram>, wanted: &Wanted<'_>) -> bool {
        group.and_then(|group| group.binding(wanted.key)).is_some_and(|known| {
            known.strict == self.strict()
                && known.policy == *wanted.policy
                && known.environment == wanted.environment
                && known.boundaries.iter().eq(wanted.boundaries.iter().copied())
        })
    }

    fn strict(&self) -> bool {
        self.state.account.value.strict_boundaries
    }

    fn policy(&self, bindings: &[Ordered<'_, 'a>], compiled: &mut Vec<Compiled>) -> Result<(), CompileRejected> {
        let Some(policy) = bindings.first().map(|(_, _, wanted)| wanted.policy) else { return Ok(()) };
        let tree = self.parse_policy(&policy.value)?;
        let of_policy: Vec<_> = parameters_of(&tree).into_iter().collect();
        let mut programs: FxHashMap<Content<'a>, Arc<PolicyProgram>> = FxHashMap::default();
        for (_, key, wanted) in bindings {
            let bounds = self.parse_boundaries(wanted)?;
            let of_boundaries: Vec<_> = bounds.iter().flat_map(parameters_of_boundary).collect();
            let used: BTreeSet<&ParameterName> = of_policy.iter().chain(&of_boundaries).collect();
            let content = content(wanted, &used);
            let program = if let Some(program) = programs.get(&content) {
                Arc::clone(program)
            } else {
                let program = self.program(wanted, &tree, &bounds, &used)?;
                programs.insert(content, Arc::clone(&program));
                program
            };
            let binding = BindingProgram {
                key: *key,
                environment: wanted.environment.clone(),
                policy: Arc::clone(wanted.policy),
                boundaries: wanted.boundaries.iter().map(|boundary| Arc::clone(boundary)).collect(),
                strict: self.strict(),
                program,
            };
            compiled.push((wanted.binding.group, *key, Arc::new(binding)));
        }
        Ok(())
    }

    fn program(
        &self,
        wanted: &Wanted<'a>,
        tree: &PolicyAst,
        boundaries: &[BoundaryAst],
        used: &BTreeSet<&ParameterName>,
    ) -> Result<Arc<PolicyProgram>, CompileRejected> {
        if let Some(shared) = self.shared(wanted, used) {
            return Ok(shared);
        }
        let bounds = Bounds { boundaries, strict: self.strict() };
        let program = lower_bound(tree, &bounds, &wanted.binding.parameters, &self.known.catalogue);
        program.map(Arc::new).map_err(|problems| self.rejected(ObjectKey::Binding, wanted.key, join(&problems)))
    }

    /// The program of another binding of the same policy with the same content. A few are asked.
    fn shared(&self, wanted: &Wanted<'a>, used: &BTreeSet<&ParameterName>) -> Option<Arc<PolicyProgram>> {
        if self.whole {
            return None;
        }
        let own = content(wanted, used);
        let neighbours = self.state.bindings_of_policy(wanted.policy.value.id).take(NEIGHBOURS);
        neighbours.filter(|(key, _)| *key != wanted.key).find_map(|(key, binding)| {
            let group = self.known.group(binding.value.group);
            let known = group?.binding(key)?;
            let neighbour = self.wanted(key, &binding.value).ok()?;
            let fits = self.is_known(group, &neighbour) && content(&neighbour, used) == own;
            fits.then(|| Arc::clone(&known.program))
        })
    }

    fn parse_policy(&self, policy: &Policy) -> Result<PolicyAst, CompileRejected> {
        let parsed = parse_policy_of(&policy.statements, &self.known.catalogue);
        match parsed.diagnostics.into_iter().next() {
            None => Ok(parsed.ast),
            Some(first) => Err(self.rejected(ObjectKey::Policy, policy.id, first.message)),
        }
    }

    fn parse_boundaries(&self, wanted: &Wanted<'_>) -> Result<Vec<BoundaryAst>, CompileRejected> {
        let parse = |boundary: &&Shared<Boundary>| {
            let parsed = parse_boundary_of(&boundary.value.query, &self.known.catalogue);
            match parsed.diagnostics.into_iter().next() {
                None => Ok(parsed.ast),
                Some(first) => Err(self.rejected(ObjectKey::Boundary, boundary.value.id, first.message)),
            }
        };
        wanted.boundaries.iter().map(parse).collect()
    }

    fn rejected<I>(&self, key: fn(AccountId, I) -> ObjectKey, id: I, problem: String) -> CompileRejected {
        let account = self.state.account.value.id;
        CompileRejected { account, key: Box::new(key(account, id)), problem }
    }
}

fn content<'a>(wanted: &Wanted<'a>, used: &BTreeSet<&ParameterName>) -> Content<'a> {
    let parameters: &'a Parameters = &wanted.binding.parameters;
    let value = |name: &&ParameterName| parameters.get(name.as_str()).map(String::as_str);
    (used.iter().map(value).collect(), wanted.boundaries.iter().map(|boundary| boundary.value.id).collect())
}

fn join(problems: &[BindRejected]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
