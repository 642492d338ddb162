//! The texts that bindings join: each policy with each set of boundaries is looked at once, however many bindings do it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::check::Violations;
use crate::compile::bind::{BindWarning, Misfit, Requirements, boundary_warnings};
use crate::compile::expand::{Bound, BoundBoundary, ExpansionTooLarge, count};
use crate::lang::ast::{BoundaryAst, ParameterName, PolicyAst};
use crate::lang::{parse_boundary, parse_policy};
use crate::model::binding::{Binding, BindingKey};
use crate::model::catalogue::Catalogue;
use crate::model::id::{BoundaryId, PolicyId};
use crate::model::policy::Policy;
use crate::model::state::{AccountState, Shared, State};

/// Bindings whose problem with a changed text is told, the others being counted; and warnings about it.
const TOLD: usize = 20;

/// What was found out about the texts of one account. It holds as long as they, the catalogue and the account's strictness
/// stay as they are.
#[derive(Debug, Default)]
pub struct Texts {
    policies: HashMap<PolicyId, Arc<PolicyAst>>,
    boundaries: HashMap<BoundaryId, Arc<BoundaryAst>>,
    joints: HashMap<(PolicyId, BTreeSet<BoundaryId>), Joint>,
}

/// A policy with a set of boundaries.
#[derive(Debug)]
struct Joint {
    requirements: Requirements,
    too_large: Option<ExpansionTooLarge>,
    warnings: Arc<[BindWarning]>,
    /// By the values of the parameters that are asked for.
    misfits: HashMap<Vec<Option<String>>, Arc<[Misfit]>>,
}

/// What is to be said about one binding.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// Why it is refused, as far as its parameters are the reason.
    pub(super) misfits: Arc<[Misfit]>,
    /// Why it is refused, as far as its size is.
    pub(super) too_large: Option<ExpansionTooLarge>,
    /// What its author should know about its parameters.
    pub(super) of_values: Vec<BindWarning>,
    /// What its author should know about its boundaries.
    pub(super) of_texts: Arc<[BindWarning]>,
}

// === impl Texts ===

impl Texts {
    /// Takes `tree` for the text of a policy, whatever the state has.
    pub(super) fn assume_policy(&mut self, id: PolicyId, tree: PolicyAst) {
        self.policies.insert(id, Arc::new(tree));
    }

    /// Takes `tree` for the text of a boundary, whatever the state has.
    pub(super) fn assume_boundary(&mut self, id: BoundaryId, tree: BoundaryAst) {
        self.boundaries.insert(id, Arc::new(tree));
    }

    /// The tree of a policy.
    pub(super) fn policy(&mut self, policy: &Policy) -> Arc<PolicyAst> {
        let tree = || Arc::new(parse_policy(&policy.statements).ast);
        Arc::clone(self.policies.entry(policy.id).or_insert_with(tree))
    }

    /// The trees of those boundaries that are there.
    pub(super) fn boundaries<'a>(
        &mut self,
        owned: &'a AccountState,
        ids: &BTreeSet<BoundaryId>,
    ) -> Vec<(BoundaryId, &'a str, Arc<BoundaryAst>)> {
        let records = ids.iter().filter_map(|id| owned.boundaries.get(id)).map(|record| &record.value);
        let trees = records.map(|boundary| {
            let tree = || Arc::new(parse_boundary(&boundary.query).ast);
            let tree = self.boundaries.entry(boundary.id).or_insert_with(tree);
            (boundary.id, boundary.name.as_str(), Arc::clone(tree))
        });
        trees.collect()
    }

    /// Whether `policy` can be bound with these boundaries and parameters.
    pub(super) fn judge(
        &mut self,
        owned: &AccountState,
        catalogue: &Catalogue,
        policy: &Policy,
        boundaries: &BTreeSet<BoundaryId>,
        parameters: &BTreeMap<String, String>,
    ) -> Verdict {
        let key = (policy.id, boundaries.clone());
        if !self.joints.contains_key(&key) {
            let joint = self.join(owned, catalogue, policy, boundaries);
            self.joints.insert(key.clone(), joint);
        }
        match self.joints.get_mut(&key) {
            Some(joint) => joint.judge(parameters),
            None => Verdict::default(),
        }
    }

    fn join(
        &mut self,
        owned: &AccountState,
        catalogue: &Catalogue,
        policy: &Policy,
        boundaries: &BTreeSet<BoundaryId>,
    ) -> Joint {
        let policy = self.policy(policy);
        let trees = self.boundaries(owned, boundaries);
        let boundaries = bound_boundaries(&trees);
        let strict = owned.account.value.strict_boundaries;
        let bound = Bound { policy: &policy, boundaries: &boundaries, strict };
        Joint {
            requirements: Requirements::of(bound),
            too_large: count(bound, catalogue).err(),
            warnings: boundary_warnings(bound, catalogue).into(),
            misfits: HashMap::new(),
        }
    }
}

/// The boundaries in the form that the expansion takes.
pub(super) fn bound_boundaries<'a>(trees: &'a [(BoundaryId, &'a str, Arc<BoundaryAst>)]) -> Vec<BoundBoundary<'a>> {
    trees.iter().map(|(id, name, tree)| BoundBoundary { id: *id, name, tree }).collect()
}

// === impl Joint ===

impl Joint {
    fn judge(&mut self, parameters: &BTreeMap<String, String>) -> Verdict {
        let Self { requirements, too_large, warnings, misfits } = self;
        let values = requirements.needed.keys().map(|name| parameters.get(name.as_str()).cloned()).collect();
        let misfits = misfits.entry(values).or_insert_with(|| requirements.misfits(parameters).into());
        Verdict {
            misfits: Arc::clone(misfits),
            too_large: *too_large,
            of_values: requirements.warnings(parameters),
            of_texts: Arc::clone(warnings),
        }
    }
}

/// A changed text, held against the bindings that have it.
pub(super) struct Change<'a> {
    /// The field that holds the text.
    pub(super) field: &'static str,
    /// The state, for the default policies.
    pub(super) state: &'a State,
    /// The account.
    pub(super) owned: &'a AccountState,
    /// Its catalogue.
    pub(super) catalogue: &'a Catalogue,
    /// The texts, the changed one assumed.
    pub(super) texts: Texts,
}

// === impl Change ===

impl Change<'_> {
    /// Refuses a text with which one of `bindings` could not be made; gives what their authors should know.
    pub(super) fn check<'b>(
        mut self,
        bindings: impl Iterator<Item = (BindingKey, &'b Shared<Binding>)>,
        found: &mut Violations,
    ) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut refused = 0;
        for (key, binding) in bindings {
            let binding = &binding.value;
            let Some(policy) = self.state.policy(self.owned, binding.policy) else { continue };
            let (policy, boundaries, parameters) = (&policy.value, &binding.boundaries, &binding.parameters);
            let verdict = self.texts.judge(self.owned, self.catalogue, policy, boundaries, parameters);
            let problems = verdict.problems();
            refused += usize::from(!problems.is_empty());
            if refused <= TOLD {
                for (code, problem) in problems {
                    found.add(self.field, code, format!("binding `{key}` would not be valid: {problem}"));
                }
            }
            for warning in verdict.of_texts.iter().map(|warning| format!("policy `{}`: {warning}", policy.name)) {
                if warnings.len() < TOLD && !warnings.contains(&warning) {
                    warnings.push(warning);
                }
            }
        }
        if refused > TOLD {
            found.add(self.field, "binding_invalid", format!("{} more bindings would not be valid", refused - TOLD));
        }
        warnings
    }
}

// === impl Verdict ===

impl Verdict {
    fn problems(&self) -> Vec<(&'static str, String)> {
        let misfits = self.misfits.iter().map(|misfit| ("binding_invalid", misfit.to_string()));
        let too_large = self.too_large.map(|problem| ("expansion_too_large", problem.to_string()));
        misfits.chain(too_large).collect()
    }
}

/// Names as a message lists them.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a ParameterName>) -> String {
    let quoted: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    if quoted.is_empty() { "none".to_owned() } else { quoted.join(", ") }
}
