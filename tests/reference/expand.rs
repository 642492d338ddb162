//! Bindings to effective statements: the expansion of reference ch. 4.3, word for word, with parameters in the tree.

use std::collections::BTreeSet;

use doorward::lang::ast::{BoundaryAst, Condition, GlobalAttribute, Piece, Value};
use doorward::lang::{parse_boundary, parse_policy};
use doorward::model::binding::{Binding, BindingKey};
use doorward::model::catalogue::{Catalogue, GlobalCondition, Operator, PermissionName};
use doorward::model::id::{BoundaryId, GroupId};
use doorward::model::level::BindingLevel;
use doorward::model::object::Record;
use doorward::model::policy::{Effect, Policy};
use doorward::model::state::{AccountState, State};

use super::question::Named;

/// One statement for one permission, as it counts for one group.
#[derive(Debug, Clone)]
pub(super) struct Effective {
    pub(super) effect: Effect,
    pub(super) permission: PermissionName,
    pub(super) conditions: Vec<Filled>,
    pub(super) level: BindingLevel,
    pub(super) named: Named,
    binding: BindingKey,
}

/// A condition with its parameters filled in.
#[derive(Debug, Clone)]
pub(super) struct Filled {
    pub(super) name: String,
    pub(super) operator: Operator,
    pub(super) values: Vec<Vec<Part>>,
    /// How the permission takes it: the any-match mark, or `None` where it no longer does (rules R30).
    pub(super) taken: Option<bool>,
    written: Condition,
}

/// A part of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// As the author of the text wrote it: a `*` is a wildcard in MATCH.
    Written(String),
    /// A parameter's value: data, a `*` in it is itself (rules R22).
    Data(String),
    /// Known at evaluation.
    Global(GlobalAttribute),
}

/// The effective statements of every binding, in the order in which reasons are named (rules §8).
pub(super) fn expand_all(state: &State, account: &AccountState, catalogue: &Catalogue) -> Vec<Effective> {
    let expansion = Expansion { state, account, catalogue };
    let mut all: Vec<_> = account.bindings.values().flat_map(|binding| expansion.expand(&binding.value)).collect();
    all.sort_by(|a, b| order(a).cmp(&order(b)));
    all
}

/// Policy name and statement; then the policy's level and id; then the binding: account before environment, group name,
/// content; then the boundary by name and id.
fn order(it: &Effective) -> impl Ord + '_ {
    let Named { policy, policy_name, policy_level, statement, group_name, boundary, .. } = &it.named;
    let boundary = boundary.as_ref().map(|(id, name)| (name, id));
    (policy_name, statement, policy_level, policy, &it.level, group_name, it.binding, boundary)
}

/// The effective statements of an account as text, each once, sorted; placeholders of parameters as they are written.
pub fn printed(state: &State, account: &AccountState, catalogue: &Catalogue) -> BTreeSet<String> {
    expand_all(state, account, catalogue).iter().map(Effective::to_text).collect()
}

struct Expansion<'a> {
    state: &'a State,
    account: &'a AccountState,
    catalogue: &'a Catalogue,
}

/// A boundary of a binding.
struct Bound {
    id: BoundaryId,
    name: String,
    tree: BoundaryAst,
}

// === impl Expansion ===

impl Expansion<'_> {
    fn expand(&self, binding: &Binding) -> Vec<Effective> {
        let policy = self.policy(binding);
        let boundaries: Vec<_> = binding.boundaries.iter().map(|id| self.boundary(*id)).collect();
        let mut out = Vec::new();
        for (number, statement) in (0..).zip(parse_policy(&policy.statements).ast.statements) {
            for permission in &statement.node.permissions {
                let permission = &permission.node;
                if !self.catalogue.knows(permission.as_str()) {
                    continue;
                }
                let own: Vec<_> = statement.node.conditions.iter().map(|condition| &condition.node).collect();
                let effective = |boundary: Option<&Bound>, conditions: &[&Condition]| Effective {
                    effect: statement.node.effect,
                    permission: permission.clone(),
                    conditions: conditions.iter().map(|it| self.fill(permission, it, binding)).collect(),
                    level: binding.level.clone(),
                    named: self.named(policy, number, binding, boundary),
                    binding: binding.key(),
                };
                if statement.node.effect == Effect::Deny || boundaries.is_empty() {
                    out.push(effective(None, &own));
                    continue;
                }
                for boundary in &boundaries {
                    for pick in self.picks(&boundary.tree, permission) {
                        out.push(effective(Some(boundary), &[own.as_slice(), pick.as_slice()].concat()));
                    }
                }
            }
        }
        out
    }

    /// What a boundary adds to a statement for `permission`: one list of conditions for each copy of the statement.
    fn picks<'b>(&self, boundary: &'b BoundaryAst, permission: &PermissionName) -> Vec<Vec<&'b Condition>> {
        let conditions = || boundary.conditions.iter().map(|condition| &condition.node);
        if conditions().any(|condition| !self.is_known(condition)) {
            // Left out, it would narrow nothing that it narrowed before (rules R30).
            return Vec::new();
        }
        let usable: Vec<_> = conditions().filter(|condition| self.fits_by_name(permission, condition)).collect();
        if usable.is_empty() && self.account.account.value.strict_boundaries {
            return Vec::new();
        }
        // OR inside a name, AND between names, in the order of their first mention.
        let mut by_name: Vec<(&str, Vec<&Condition>)> = Vec::new();
        for condition in usable {
            let name = condition.attribute.node.as_str();
            match by_name.iter_mut().find(|(known, _)| *known == name) {
                Some((_, lines)) => lines.push(condition),
                None => by_name.push((name, vec![condition])),
            }
        }
        let mut picks = vec![Vec::new()];
        for (_, lines) in &by_name {
            picks = picks.iter().flat_map(|pick| lines.iter().map(|it| [pick.as_slice(), &[*it]].concat())).collect();
        }
        // Rules R9: the name fits and the operator does not.
        picks.retain(|pick| pick.iter().all(|condition| self.taken(permission, condition).is_some()));
        picks
    }

    /// Whether any permission still takes a condition of this name.
    fn is_known(&self, condition: &Condition) -> bool {
        let name = condition.attribute.node.as_str();
        let global = GlobalCondition::from_name(name).is_some();
        global || self.catalogue.permissions().any(|it| self.catalogue.condition(it.as_str(), name).is_some())
    }

    fn fits_by_name(&self, permission: &PermissionName, condition: &Condition) -> bool {
        let name = condition.attribute.node.as_str();
        name.starts_with("global:") || self.catalogue.condition(permission.as_str(), name).is_some()
    }

    /// The any-match mark, where the permission takes the condition with its operator.
    fn taken(&self, permission: &PermissionName, condition: &Condition) -> Option<bool> {
        let (name, operator) = (condition.attribute.node.as_str(), condition.operator.node);
        if let Some(global) = GlobalCondition::from_name(name) {
            // Rules R15: any of the caller's groups.
            return global.operators().contains(operator).then_some(global == GlobalCondition::UserGroup);
        }
        let spec = self.catalogue.condition(permission.as_str(), name)?;
        spec.operators.contains(operator).then_some(spec.any_match)
    }

    fn fill(&self, permission: &PermissionName, condition: &Condition, binding: &Binding) -> Filled {
        Filled {
            name: condition.attribute.node.as_str().to_owned(),
            operator: condition.operator.node,
            values: condition.values.iter().map(|value| fill_value(&value.node, binding)).collect(),
            taken: self.taken(permission, condition),
            written: condition.clone(),
        }
    }

    fn policy(&self, binding: &Binding) -> &Policy {
        let own = self.account.policies.get(&binding.policy);
        let policy = own.or_else(|| self.state.global_policies().get(&binding.policy));
        let Record { value, .. } = policy.expect("a binding's policy is there").as_ref();
        value
    }

    fn boundary(&self, id: BoundaryId) -> Bound {
        let boundary = self.account.boundaries.get(&id).expect("a binding's boundary is there");
        let (name, tree) = (boundary.value.name.to_string(), parse_boundary(&boundary.value.query).ast);
        Bound { id, name, tree }
    }

    fn named(&self, policy: &Policy, statement: u16, binding: &Binding, boundary: Option<&Bound>) -> Named {
        Named {
            policy: policy.id,
            policy_name: policy.name.to_string(),
            policy_level: policy.level.clone(),
            statement,
            group: binding.group,
            group_name: self.group_name(binding.group),
            environment: binding.level.environment().cloned(),
            boundary: boundary.map(|boundary| (boundary.id, boundary.name.clone())),
        }
    }

    fn group_name(&self, id: GroupId) -> String {
        self.account.groups.get(&id).expect("a binding's group is there").value.name.to_string()
    }
}

/// A parameter is put into the tree; nothing in it is read again (D10).
fn fill_value(value: &Value, binding: &Binding) -> Vec<Part> {
    let part = |piece: &Piece| match piece {
        Piece::Text(text) => Part::Written(text.clone()),
        Piece::Global(attribute) => Part::Global(*attribute),
        Piece::BindParam(name) => {
            Part::Data(binding.parameters.get(name.as_str()).expect("a binding has its parameters").clone())
        }
    };
    value.pieces.iter().map(part).collect()
}

// === impl Effective ===

impl Effective {
    fn to_text(&self) -> String {
        let conditions: Vec<_> = self.conditions.iter().map(|condition| condition.written.to_string()).collect();
        let tail = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
        format!("{} {}{tail};", self.effect, self.permission)
    }
}
