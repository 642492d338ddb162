//! The state of one account to its program: names become numbers, bindings become an index by group and permission.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::lower::{BindRejected, Lowered, Parameters, lower, parameters_of};
use super::program::{
    AccountProgram, BindingInfo, BoundPolicy, Candidate, GroupInfo, Named, PolicyProgram, Rank, Subject,
};
use crate::lang::ast::{ParameterName, PolicyAst};
use crate::lang::parse_policy;
use crate::model::binding::Binding;
use crate::model::catalogue::{Catalogue, PermissionName};
use crate::model::id::{AccountId, EnvironmentId, GroupId, PolicyId};
use crate::model::object::ObjectKey;
use crate::model::policy::Policy;
use crate::model::state::{AccountState, Shared};

/// An account that cannot be compiled: the whole update is refused, and the last good program stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("account `{account}`, {key}: {problem}")]
pub struct CompileRejected {
    /// The account.
    pub account: AccountId,
    /// The object that does not compile.
    pub key: Box<ObjectKey>,
    /// Why.
    pub problem: String,
}

/// The program of `state`. What `previous` compiled from the same records and the same catalogue is shared.
///
/// # Errors
/// [`CompileRejected`] for a reference that leads nowhere, a text that does not parse, a parameter that is missing or
/// does not fit, a catalogue entry that contradicts another, or a boundary (not supported yet: ignoring one would widen).
pub fn compile(
    state: &AccountState,
    shipped: &Arc<Catalogue>,
    previous: Option<&AccountProgram>,
) -> Result<AccountProgram, CompileRejected> {
    let account = state.account.value.id;
    let catalogue = account_catalogue(state, shipped)?;
    let environments: FxHashMap<EnvironmentId, u32> =
        (0..).zip(state.environments.keys()).map(|(n, id)| (id.clone(), n)).collect();
    let groups: FxHashMap<GroupId, u32> = (0..).zip(state.groups.keys()).map(|(n, id)| (*id, n)).collect();
    let previous = previous.filter(|previous| previous.catalogue == catalogue);
    let mut index = Index {
        account,
        catalogue: &catalogue,
        environments: &environments,
        groups: &groups,
        permissions: (0..).zip(catalogue.permissions()).map(|(n, name)| (name.clone(), n)).collect(),
        policies: bound_policies(state, previous)?,
        bindings: Vec::new(),
        candidates: FxHashMap::default(),
    };
    for binding in ranked_bindings(state) {
        index.bind(binding)?;
    }
    let Index { permissions, policies, bindings, candidates, .. } = index;
    let candidates = candidates.into_iter().map(|(key, list)| (key, ranked(list))).collect();
    let groups_info =
        state.groups.values().map(|it| GroupInfo { id: it.value.id, name: it.value.name.clone() }).collect();
    let subjects = subjects(state, &groups)?;
    let (subjects_by_id, subjects_by_name) = subject_names(state);
    let policies = policies.list;
    Ok(AccountProgram {
        id: account,
        environments,
        permissions,
        subjects,
        subjects_by_id,
        subjects_by_name,
        groups: groups_info,
        policies,
        bindings,
        candidates,
        catalogue,
    })
}

/// The catalogue of an account: the shipped one with the account's additions (rules R28).
///
/// # Errors
/// [`CompileRejected`] for an addition that contradicts what is there.
pub fn account_catalogue(state: &AccountState, shipped: &Arc<Catalogue>) -> Result<Arc<Catalogue>, CompileRejected> {
    if state.catalogue.is_empty() {
        return Ok(Arc::clone(shipped));
    }
    let account = state.account.value.id;
    let mut catalogue = shipped.as_ref().clone();
    for entry in state.catalogue.values() {
        catalogue.extend(&entry.value).map_err(|problem| CompileRejected {
            account,
            key: Box::new(ObjectKey::CatalogueEntry(account, entry.value.permission.clone())),
            problem: problem.to_string(),
        })?;
    }
    Ok(Arc::new(catalogue))
}

/// The policies that some binding names, in the order of their rank, with their numbers.
struct BoundPolicies<'a> {
    list: Vec<BoundPolicy>,
    /// The trees of those that were parsed in this build, by number.
    trees: FxHashMap<u32, PolicyAst>,
    /// Those that are the same as in the previous build, by number.
    same: FxHashMap<u32, &'a BoundPolicy>,
    numbers: FxHashMap<PolicyId, u32>,
    /// The numbers of the names, by number of the policy.
    names: Vec<u32>,
}

// === impl BoundPolicies ===

impl BoundPolicies<'_> {
    fn name_number(&self, policy: u32) -> u32 {
        self.names.get(policy as usize).copied().unwrap_or(policy)
    }

    /// Adds the next policy; they come in the order of their names.
    fn push(&mut self, policy: BoundPolicy) {
        let before = self.list.last().zip(self.names.last());
        let name =
            before.map_or(0, |(last, number)| number + u32::from(last.source.value.name != policy.source.value.name));
        self.names.push(name);
        self.list.push(policy);
    }
}

fn bound_policies<'a>(
    state: &AccountState,
    previous: Option<&'a AccountProgram>,
) -> Result<BoundPolicies<'a>, CompileRejected> {
    let mut bound: Vec<&Shared<Policy>> = Vec::new();
    for binding in state.bindings.values() {
        let policy = state.policies.get(&binding.value.policy);
        bound.push(policy.ok_or_else(|| dangling(state, &binding.value, "policy", &binding.value.policy))?);
    }
    bound.sort_unstable_by_key(|policy| (&policy.value.name, &policy.value.level, policy.value.id));
    bound.dedup_by_key(|policy| policy.value.id);
    let known: FxHashMap<PolicyId, &BoundPolicy> = previous
        .map(|previous| previous.policies.iter().map(|policy| (policy.source.value.id, policy)).collect())
        .unwrap_or_default();
    let mut policies = BoundPolicies {
        list: Vec::new(),
        trees: FxHashMap::default(),
        same: FxHashMap::default(),
        numbers: FxHashMap::default(),
        names: Vec::new(),
    };
    for (number, source) in (0_u32..).zip(bound) {
        policies.numbers.insert(source.value.id, number);
        let same = known.get(&source.value.id).filter(|known| Arc::ptr_eq(&known.source, source));
        let (parameters, retired) = if let Some(known) = same {
            policies.same.insert(number, known);
            (known.parameters.clone(), known.retired.clone())
        } else {
            let tree = parse(state, source)?;
            let parameters = parameters_of(&tree).into_iter().collect();
            policies.trees.insert(number, tree);
            (parameters, Vec::new())
        };
        let policy = BoundPolicy { source: Arc::clone(source), parameters, retired, programs: Vec::new() };
        policies.push(policy);
    }
    Ok(policies)
}

fn parse(state: &AccountState, policy: &Shared<Policy>) -> Result<PolicyAst, CompileRejected> {
    let parsed = parse_policy(&policy.value.statements);
    match parsed.diagnostics.into_iter().next() {
        None => Ok(parsed.ast),
        Some(first) => Err(rejected(state.account.value.id, policy.value.id, first.message)),
    }
}

fn rejected(account: AccountId, policy: PolicyId, problem: String) -> CompileRejected {
    CompileRejected { account, key: Box::new(ObjectKey::Policy(account, policy)), problem }
}

fn dangling(state: &AccountState, binding: &Binding, noun: &str, id: &dyn std::fmt::Display) -> CompileRejected {
    let account = state.account.value.id;
    let problem = format!("there is no {noun} `{id}`");
    CompileRejected { account, key: Box::new(ObjectKey::Binding(account, binding.key())), problem }
}

/// Bindings in the order their reasons are ranked by: account before environment, then group name, then content.
fn ranked_bindings(state: &AccountState) -> Vec<&Binding> {
    let mut bindings: Vec<_> = state.bindings.iter().map(|(key, binding)| (key, &binding.value)).collect();
    let group_name = |binding: &Binding| state.groups.get(&binding.group).map(|group| group.value.name.as_str());
    bindings.sort_by(|(a_key, a), (b_key, b)| (&a.level, group_name(a), a_key).cmp(&(&b.level, group_name(b), b_key)));
    bindings.into_iter().map(|(_, binding)| binding).collect()
}

fn ranked(mut candidates: Vec<Candidate>) -> Box<[Candidate]> {
    candidates.sort_unstable_by_key(|candidate| candidate.rank);
    candidates.into()
}

fn subjects(state: &AccountState, groups: &FxHashMap<GroupId, u32>) -> Result<Vec<Subject>, CompileRejected> {
    let account = state.account.value.id;
    let everybody = state.all_users().map(|group| group.value.id);
    let subject = |user: &Shared<crate::model::identity::User>| {
        let user = &user.value;
        let mut numbers = Vec::with_capacity(user.groups.len() + 1);
        for group in user.groups.iter().chain(everybody.as_ref()) {
            numbers.push(*groups.get(group).ok_or_else(|| CompileRejected {
                account,
                key: Box::new(ObjectKey::User(account, user.id)),
                problem: format!("there is no group `{group}`"),
            })?);
        }
        numbers.sort_unstable();
        numbers.dedup();
        Ok(Subject { id: user.id, state: user.state, groups: numbers.into() })
    };
    state.users.values().map(subject).collect()
}

type SubjectNames = (FxHashMap<crate::model::id::UserId, u32>, FxHashMap<Box<str>, Named>);

fn subject_names(state: &AccountState) -> SubjectNames {
    let mut by_id = FxHashMap::default();
    let mut by_name: FxHashMap<Box<str>, Named> = FxHashMap::default();
    for (number, user) in (0..).zip(state.users.values()) {
        let user = &user.value;
        by_id.insert(user.id, number);
        let service_name =
            user.name.as_ref().filter(|_| user.is_service()).map(super::super::model::text::Name::as_str);
        for name in std::iter::once(user.email.as_str()).chain(service_name) {
            let entry = by_name.entry(name.into()).or_insert(Named::One(number));
            if *entry != Named::One(number) {
                *entry = Named::Several;
            }
        }
    }
    (by_id, by_name)
}

/// The index while it is being filled.
struct Index<'a> {
    account: AccountId,
    catalogue: &'a Catalogue,
    environments: &'a FxHashMap<EnvironmentId, u32>,
    groups: &'a FxHashMap<GroupId, u32>,
    permissions: FxHashMap<PermissionName, u32>,
    policies: BoundPolicies<'a>,
    bindings: Vec<BindingInfo>,
    candidates: FxHashMap<(u32, u32), Vec<Candidate>>,
}

// === impl Index ===

impl Index<'_> {
    fn bind(&mut self, binding: &Binding) -> Result<(), CompileRejected> {
        let reject = |problem: String| CompileRejected {
            account: self.account,
            key: Box::new(ObjectKey::Binding(self.account, binding.key())),
            problem,
        };
        if !binding.boundaries.is_empty() {
            return Err(reject("boundary_not_supported: a binding with a boundary cannot be enforced yet".to_owned()));
        }
        let no_group = || reject(format!("there is no group `{}`", binding.group));
        let group = *self.groups.get(&binding.group).ok_or_else(no_group)?;
        let environment = match binding.level.environment() {
            None => None,
            Some(id) => {
                let number = self.environments.get(id).copied();
                Some(number.ok_or_else(|| reject(format!("there is no environment `{id}`")))?)
            }
        };
        let no_policy = || reject(format!("there is no policy `{}`", binding.policy));
        let policy = *self.policies.numbers.get(&binding.policy).ok_or_else(no_policy)?;
        let number = self.bindings.len() as u32;
        let program = self.program(policy, &binding.parameters)?;
        self.add_candidates(
            group,
            Rank { name: self.policies.name_number(policy), statement: 0, policy, binding: number },
            &program,
        );
        let environment_id = binding.level.environment().cloned();
        self.bindings.push(BindingInfo { key: binding.key(), group, environment, environment_id });
        Ok(())
    }

    /// The program of a policy with these parameters: compiled once for each set of values it uses.
    fn program(&mut self, number: u32, parameters: &Parameters) -> Result<Arc<PolicyProgram>, CompileRejected> {
        let (account, catalogue) = (self.account, self.catalogue);
        let Some(policy) = self.policies.list.get_mut(number as usize) else {
            return Ok(Arc::new(PolicyProgram { clauses: Box::default() }));
        };
        let id = policy.source.value.id;
        if let Some(name) = policy.parameters.iter().find(|name| !parameters.contains_key(name.as_str())) {
            return Err(rejected(account, id, BindRejected::MissingParameter(name.clone()).to_string()));
        }
        let values = used_values(&policy.parameters, parameters);
        let find = |policy: &BoundPolicy| policy.programs.iter().find(|(known, _)| *known == values).cloned();
        if let Some((_, program)) = find(policy) {
            return Ok(program);
        }
        if let Some((values, program)) = self.policies.same.get(&number).copied().and_then(find) {
            policy.programs.push((values, Arc::clone(&program)));
            return Ok(program);
        }
        let tree =
            self.policies.trees.entry(number).or_insert_with(|| parse_policy(&policy.source.value.statements).ast);
        let Lowered { program, retired } =
            lower(tree, parameters, catalogue).map_err(|problems| rejected(account, id, join(&problems)))?;
        let program = Arc::new(program);
        policy.retired = retired.into_iter().collect();
        policy.programs.push((values, Arc::clone(&program)));
        Ok(program)
    }

    fn add_candidates(&mut self, group: u32, rank: Rank, program: &Arc<PolicyProgram>) {
        for (number, clause) in (0..).zip(&program.clauses) {
            for permission in clause.permissions.iter().filter_map(|name| self.permissions.get(name)) {
                let rank = Rank { statement: clause.statement, ..rank };
                let candidate = Candidate { rank, program: Arc::clone(program), clause: number };
                self.candidates.entry((group, *permission)).or_default().push(candidate);
            }
        }
    }
}

/// The values of the parameters a policy uses; none of them is missing.
fn used_values(names: &[ParameterName], parameters: &Parameters) -> Box<[Box<str>]> {
    let value = |name: &ParameterName| parameters.get(name.as_str()).map_or("", String::as_str).into();
    names.iter().map(value).collect()
}

fn join(problems: &[BindRejected]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
