//! The bindings of an account as Cedar policies: one for each statement, permission and pick of boundary conditions.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use doorward::lang::ast::{BoundaryAst, Condition, Statement};
use doorward::lang::{parse_boundary, parse_policy};
use doorward::model::binding::Binding;
use doorward::model::catalogue::{Catalogue, GlobalCondition};
use doorward::model::policy::Effect;
use doorward::model::state::{AccountState, State};

use super::Inexpressible;
use super::conditions::{Cast, Place, settled};
use super::operand::quoted;

/// Only who is active may do anything (R13); who is not there has no attributes.
const INACTIVE: &str = "forbid (principal, action, resource) unless { principal has active && principal.active };\n";

/// The policies of an account.
pub(crate) struct Policies {
    /// Cedar's text.
    pub(crate) text: String,
    /// Permissions that have a statement which Cedar cannot say.
    pub(crate) without: BTreeMap<String, Inexpressible>,
}

/// Translates every binding.
pub(crate) fn policies(state: &State, account: &AccountState, catalogue: &Catalogue) -> Policies {
    let cast = cast(account);
    let made = Policies { text: INACTIVE.to_owned(), without: BTreeMap::new() };
    let mut translation = Translation { state, account, catalogue, cast: &cast, made };
    for binding in account.bindings.values() {
        translation.binding(&binding.value);
    }
    translation.made
}

fn cast(account: &AccountState) -> Cast {
    let user = |id: String| (format!("principal == User::{}", quoted(&id)), id);
    let environment = |id: &str| (format!("resource == Environment::{}", quoted(id)), id.to_owned());
    let own = account.account.value.id.to_string();
    let levels = account.environments.keys().map(|id| environment(id.as_str()));
    let levels = levels.chain([(format!("resource == Account::{}", quoted(&own)), own)]).collect();
    Cast { users: account.users.keys().map(|id| user(id.to_string())).collect(), levels }
}

struct Translation<'a> {
    state: &'a State,
    account: &'a AccountState,
    catalogue: &'a Catalogue,
    cast: &'a Cast,
    made: Policies,
}

// === impl Translation ===

impl Translation<'_> {
    fn binding(&mut self, binding: &Binding) {
        let policy = &self.state.policy(self.account, binding.policy).expect("the policy that is bound").value;
        let boundaries: Vec<_> = binding.boundaries.iter().map(|id| &self.account.boundaries[id].value).collect();
        let trees: Vec<_> = boundaries.iter().map(|boundary| parse_boundary(&boundary.query).ast).collect();
        for (number, statement) in parse_policy(&policy.statements).ast.statements.iter().enumerate() {
            let _ = writeln!(self.made.text, "\n// `{}`, {}, statement {number}", policy.name, policy.level);
            self.statement(&statement.node, binding, &trees);
        }
    }

    /// What the catalogue no longer knows grants nothing (R30).
    fn statement(&mut self, statement: &Statement, binding: &Binding, boundaries: &[BoundaryAst]) {
        let permissions = statement.permissions.iter().map(|it| it.node.as_str());
        for permission in permissions.filter(|it| self.catalogue.knows(it)) {
            for pick in self.picks(statement.effect, permission, boundaries) {
                match self.policy(statement, permission, &pick, binding) {
                    Ok(text) => self.made.text.push_str(&text),
                    Err(reason) => drop(self.made.without.insert(permission.to_owned(), reason)),
                }
            }
        }
    }

    /// The conditions that the boundaries add to each copy (reference ch. 4.3).
    fn picks<'b>(&self, effect: Effect, permission: &str, boundaries: &'b [BoundaryAst]) -> Vec<Vec<&'b Condition>> {
        if effect == Effect::Deny || boundaries.is_empty() {
            return vec![Vec::new()];
        }
        boundaries.iter().flat_map(|boundary| self.picks_of(permission, boundary)).collect()
    }

    fn picks_of<'b>(&self, permission: &str, boundary: &'b BoundaryAst) -> Vec<Vec<&'b Condition>> {
        let conditions = || boundary.conditions.iter().map(|it| &it.node);
        let name = |condition: &'b Condition| condition.attribute.node.as_str();
        let known =
            |it: &Condition| self.catalogue.operators_anywhere(it.attribute.node.as_str()).contains(it.operator.node);
        if !conditions().all(known) {
            return Vec::new();
        }
        let mut by_name: BTreeMap<&str, Vec<&Condition>> = BTreeMap::new();
        for condition in conditions().filter(|it| self.fits(permission, name(it))) {
            by_name.entry(name(condition)).or_default().push(condition);
        }
        if by_name.is_empty() && self.account.account.value.strict_boundaries {
            return Vec::new();
        }
        let mut picks = vec![Vec::new()];
        for same in by_name.values() {
            picks = picks.iter().flat_map(|pick| same.iter().map(|it| [pick.as_slice(), &[*it]].concat())).collect();
        }
        picks
    }

    /// Whether a condition of a boundary is about the permission: by name only (R9).
    fn fits(&self, permission: &str, name: &str) -> bool {
        GlobalCondition::from_name(name).is_some() || self.catalogue.condition(permission, name).is_some()
    }

    /// The any-match mark, where the permission takes the condition with its operator. Where it does not, the condition
    /// never settles: a pick that holds it grants nothing (R9), a DENY that it keeps stands (R30).
    fn takes(&self, permission: &str, condition: &Condition) -> Option<bool> {
        let name = condition.attribute.node.as_str();
        if GlobalCondition::from_name(name).is_some() {
            return Some(false);
        }
        let spec = self.catalogue.condition(permission, name)?;
        spec.operators.contains(condition.operator.node).then_some(spec.any_match)
    }

    fn policy(
        &self,
        statement: &Statement,
        permission: &str,
        pick: &[&Condition],
        binding: &Binding,
    ) -> Result<String, Inexpressible> {
        let place = |condition| Place {
            effect: statement.effect,
            any_match: self.takes(permission, condition),
            parameters: &binding.parameters,
            cast: self.cast,
        };
        let conditions = statement.conditions.iter().map(|it| &it.node).chain(pick.iter().copied());
        let settled = conditions.map(|condition| settled(condition, place(condition)));
        let settled: Vec<_> = settled.collect::<Result<_, _>>()?;
        let (verb, clause) = match statement.effect {
            Effect::Allow => ("permit", format!("when {{ {} }}", settled.join(" && "))),
            Effect::Deny => ("forbid", format!("unless {{ {} }}", settled.join(" || "))),
        };
        let clause = if settled.is_empty() { String::new() } else { clause };
        let (group, level) = (quoted(&binding.group.to_string()), self.level(binding));
        Ok(format!(
            "{verb} (principal in Group::{group}, action == Action::{}, {level}) {clause};\n",
            quoted(permission)
        ))
    }

    /// An account binding counts in each environment too (D4).
    fn level(&self, binding: &Binding) -> String {
        match binding.level.environment() {
            Some(id) => format!("resource == Environment::{}", quoted(id.as_str())),
            None => format!("resource in Account::{}", quoted(&self.account.account.value.id.to_string())),
        }
    }
}
