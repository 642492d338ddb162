//! Bindings to their programs: each text is parsed once, and equal programs are shared.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::changes::dangling;
use super::{AccountProgram, CompileRejected, GlobalProgram};
use crate::compile::bind::parameters_of_boundary;
use crate::compile::group::{BindingProgram, BoundEnvironment};
use crate::compile::lower::{BindRejected, Bounds, Parameters, lower_bound, parameters_of};
use crate::compile::program::PolicyProgram;
use crate::lang::ast::{BoundaryAst, ParameterName, PolicyAst};
use crate::lang::{parse_boundary, parse_policy};
use crate::model::binding::{Binding, BindingKey};
use crate::model::id::{AccountId, BoundaryId, GroupId};
use crate::model::object::ObjectKey;
use crate::model::policy::{Boundary, Policy};
use crate::model::state::{AccountState, Shared};

/// Bindings of the same policy that are asked for a program to share.
const NEIGHBOURS: usize = 8;

/// Programs by the key of their binding.
pub(super) type Compiled = FxHashMap<BindingKey, Arc<BindingProgram>>;

/// The programs of those bindings of `groups` that `known` does not hold as they are now.
pub(super) fn compile(
    known: &AccountProgram,
    groups: &BTreeSet<GroupId>,
    state: &AccountState,
    global: &GlobalProgram,
) -> Result<Compiled, CompileRejected> {
    let build = Build { known, state, global };
    let mut wanted: Vec<Wanted<'_>> = Vec::new();
    for group in groups {
        for (key, binding) in state.bindings_of_group(*group) {
            let wanted_binding = build.wanted(key, &binding.value)?;
            if !build.is_known(&wanted_binding) {
                wanted.push(wanted_binding);
            }
        }
    }
    // Those of one policy beside each other, so that its tree need not be kept.
    wanted.sort_unstable_by_key(|wanted| (wanted.policy.value.id, wanted.key));
    let mut compiled = Compiled::default();
    for of_policy in wanted.chunk_by(|a, b| a.policy.value.id == b.policy.value.id) {
        build.policy(of_policy, &mut compiled)?;
    }
    Ok(compiled)
}

struct Build<'a> {
    known: &'a AccountProgram,
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
    fn is_known(&self, wanted: &Wanted<'_>) -> bool {
        let known = self.known.group(wanted.binding.group).and_then(|group| group.binding(wanted.key));
        known.is_some_and(|known| {
            known.strict == self.strict()
                && known.policy == *wanted.policy
                && known.environment == wanted.environment
                && known.boundaries.iter().eq(wanted.boundaries.iter().copied())
        })
    }

    fn strict(&self) -> bool {
        self.state.account.value.strict_boundaries
    }

    fn policy(&self, wanted: &[Wanted<'a>], compiled: &mut Compiled) -> Result<(), CompileRejected> {
        let Some(policy) = wanted.first().map(|wanted| wanted.policy) else { return Ok(()) };
        let tree = self.parse_policy(&policy.value)?;
        let of_policy: Vec<_> = parameters_of(&tree).into_iter().collect();
        let mut programs: FxHashMap<Content<'a>, Arc<PolicyProgram>> = FxHashMap::default();
        for wanted in wanted {
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
                key: wanted.key,
                environment: wanted.environment.clone(),
                policy: Arc::clone(wanted.policy),
                boundaries: wanted.boundaries.iter().map(|boundary| Arc::clone(boundary)).collect(),
                strict: self.strict(),
                program,
            };
            compiled.insert(wanted.key, Arc::new(binding));
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
        let own = content(wanted, used);
        let neighbours = self.state.bindings_of_policy(wanted.policy.value.id).take(NEIGHBOURS);
        neighbours.filter(|(key, _)| *key != wanted.key).find_map(|(key, binding)| {
            let neighbour = self.wanted(key, &binding.value).ok()?;
            let fits = self.is_known(&neighbour) && content(&neighbour, used) == own;
            let known = self.known.group(binding.value.group).filter(|_| fits)?;
            known.binding(key).map(|known| Arc::clone(&known.program))
        })
    }

    fn parse_policy(&self, policy: &Policy) -> Result<PolicyAst, CompileRejected> {
        let parsed = parse_policy(&policy.statements);
        match parsed.diagnostics.into_iter().next() {
            None => Ok(parsed.ast),
            Some(first) => Err(self.rejected(ObjectKey::Policy, policy.id, first.message)),
        }
    }

    fn parse_boundaries(&self, wanted: &Wanted<'_>) -> Result<Vec<BoundaryAst>, CompileRejected> {
        let parse = |boundary: &&Shared<Boundary>| {
            let parsed = parse_boundary(&boundary.value.query);
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
