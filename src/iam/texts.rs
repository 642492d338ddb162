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
use crate::model::id::{BoundaryId, GroupId, PolicyId};
use crate::model::limits;
use crate::model::policy::Policy;
use crate::model::state::{AccountState, Shared, State};

/// Bindings whose problem with a changed text is told, the others being counted; and warnings about bindings.
const TOLD: usize = 20;

/// What was found out about the texts of one account. It holds as long as they, the catalogue and the account's strictness
/// stay as they are, and no binding is taken away.
#[derive(Debug, Default)]
pub struct Texts {
    policies: HashMap<PolicyId, Arc<PolicyAst>>,
    boundaries: HashMap<BoundaryId, Arc<BoundaryAst>>,
    joints: HashMap<(PolicyId, BTreeSet<BoundaryId>), Joint>,
    counts: HashMap<GroupId, Counted>,
}

/// The bindings of a group, as they were counted last.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    /// Of the group; no more are counted than it may have.
    own: usize,
    /// Of the whole account at that time.
    all: usize,
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
    /// Parameters that nothing uses.
    pub(super) surplus: Vec<BindWarning>,
    /// What its author should know about the values of the others.
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

    /// How many bindings a group has at most; as many as it has, where that is the limit.
    ///
    /// They are counted again only where those that came since could all be its own, so that many bindings can be made one
    /// after the other.
    pub(super) fn bindings_of_group(&mut self, owned: &AccountState, group: GroupId) -> usize {
        let all = owned.bindings.len();
        let counted = self.counts.entry(group).or_default();
        let most = counted.own + all.saturating_sub(counted.all);
        if most < limits::GROUP_BINDINGS || counted.own == limits::GROUP_BINDINGS {
            return most;
        }
        let own = owned.bindings_of_group(group).take(limits::GROUP_BINDINGS).count();
        *counted = Counted { own, all };
        own
    }

    /// What should be known of each binding that has boundaries, its warnings of `code`.
    pub(super) fn told_of_boundaries(
        mut self,
        state: &State,
        owned: &AccountState,
        catalogue: &Catalogue,
        code: &str,
    ) -> Vec<String> {
        let mut told = Told::default();
        let narrowed = owned.bindings.values().filter(|binding| !binding.value.boundaries.is_empty());
        for binding in narrowed.map(|binding| &binding.value) {
            let Some(policy) = state.policy(owned, binding.policy).map(|policy| &policy.value) else { continue };
            let joint = self.joint(owned, catalogue, policy, &binding.boundaries);
            let warnings = joint.into_iter().flat_map(|joint| joint.warnings.iter());
            warnings.filter(|warning| warning.code == code).for_each(|warning| told.of_policy(policy, warning));
            if told.is_full() {
                break;
            }
        }
        told.finish()
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
        let joint = self.joint(owned, catalogue, policy, boundaries);
        joint.map(|joint| joint.judge(parameters)).unwrap_or_default()
    }

    /// A policy with these boundaries, looked at once.
    fn joint(
        &mut self,
        owned: &AccountState,
        catalogue: &Catalogue,
        policy: &Policy,
        boundaries: &BTreeSet<BoundaryId>,
    ) -> Option<&mut Joint> {
        let key = (policy.id, boundaries.clone());
        if !self.joints.contains_key(&key) {
            let joint = self.join(owned, catalogue, policy, boundaries);
            self.joints.insert(key.clone(), joint);
        }
        self.joints.get_mut(&key)
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
            surplus: requirements.surplus(parameters),
            of_values: requirements.of_values(parameters),
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
        let mut told = Told::default();
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
            verdict.of_texts.iter().for_each(|warning| told.of_policy(policy, warning));
            verdict.of_values.iter().for_each(|warning| told.of_binding(&key, warning));
        }
        if refused > TOLD {
            found.add(self.field, "binding_invalid", format!("{} more bindings would not be valid", refused - TOLD));
        }
        told.finish()
    }
}

/// Warnings about several bindings, each told once, and no more than there is use for.
#[derive(Default)]
struct Told {
    warnings: Vec<String>,
    left_out: bool,
}

// === impl Told ===

impl Told {
    fn of_policy(&mut self, policy: &Policy, warning: &BindWarning) {
        self.add(format!("policy `{}`: {warning}", policy.name));
    }

    fn of_binding(&mut self, binding: &BindingKey, warning: &BindWarning) {
        self.add(format!("binding `{binding}`: {warning}"));
    }

    fn add(&mut self, warning: String) {
        if self.warnings.contains(&warning) {
            return;
        }
        if self.warnings.len() < TOLD {
            self.warnings.push(warning);
        } else {
            self.left_out = true;
        }
    }

    /// Whether nothing that comes now would be told.
    const fn is_full(&self) -> bool {
        self.left_out
    }

    fn finish(mut self) -> Vec<String> {
        if self.left_out {
            self.warnings
                .push("there are more warnings about bindings than are told here [warnings_left_out]".to_owned());
        }
        self.warnings
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
