//! A condition as a Cedar expression.
//!
//! Cedar has two values where Doorward has three (D6), so an ALLOW asks whether a condition *is* TRUE and a DENY whether
//! it *is* FALSE: an UNKNOWN one is neither, which never permits and always forbids.

use std::collections::BTreeMap;

use doorward::lang::ast::{Condition, GlobalAttribute, Piece};
use doorward::model::catalogue::{GlobalCondition, Operator};
use doorward::model::policy::Effect;

use super::operand::{Filling, Operand, quoted};
use super::{Inexpressible, SLOTS, times};

/// Where a condition stands.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) effect: Effect,
    /// Whether the permission takes several values of the attribute (R6); `None` where it no longer takes the condition (R30).
    pub(crate) any_match: Option<bool>,
    /// Of the binding.
    pub(crate) parameters: &'a BTreeMap<String, String>,
    pub(crate) cast: &'a Cast,
}

/// Who may ask and what for: Cedar cannot join texts, so a value that holds one of these has a branch for each.
pub(crate) struct Cast {
    /// A test of the request, and the id that it then is.
    pub(crate) users: Vec<(String, String)>,
    /// The same for environments and the account.
    pub(crate) levels: Vec<(String, String)>,
}

type Expression = Result<String, Inexpressible>;

/// Of an ALLOW: whether the condition is TRUE. Of a DENY: whether it is FALSE.
pub(crate) fn settled(condition: &Condition, place: Place<'_>) -> Expression {
    let mentions = |global| condition.values.iter().any(|value| value.node.pieces.contains(&Piece::Global(global)));
    let Cast { users, levels } = place.cast;
    branches(users, mentions(GlobalAttribute::UserId), |user| {
        branches(levels, mentions(GlobalAttribute::LevelId), |level| {
            let filling = Filling { parameters: place.parameters, user, level };
            let operands = condition.values.iter().map(|value| Operand::new(&value.node, filling)).collect();
            Filled { name: condition.attribute.node.as_str(), operator: condition.operator.node, operands, place }
                .settled()
        })
    })
}

/// What `of` makes of each id, where the ids matter.
fn branches(cases: &[(String, String)], matter: bool, of: impl Fn(&str) -> Expression) -> Expression {
    if !matter {
        return of("");
    }
    let branch = |(test, id): &(String, String)| Ok(format!("if {test} then {} else ", of(id)?));
    let branches: Vec<String> = cases.iter().map(branch).collect::<Result<_, Inexpressible>>()?;
    Ok(format!("({}false)", branches.concat()))
}

/// A condition whose values are known but for the groups.
struct Filled<'a> {
    name: &'a str,
    operator: Operator,
    operands: Vec<Operand>,
    place: Place<'a>,
}

// === impl Filled ===

impl Filled<'_> {
    fn settled(&self) -> Expression {
        match (GlobalCondition::from_name(self.name), self.place.any_match) {
            (Some(global), _) => self.global(global).map(|holds| match self.place.effect {
                Effect::Allow => format!("({holds})"),
                Effect::Deny => format!("!({holds})"),
            }),
            // It never settles.
            (None, None) => Ok("false".to_owned()),
            (None, Some(any_match)) => Ok(self.attribute(any_match)),
        }
    }

    /// A global condition, which always has one of two values.
    fn global(&self, global: GlobalCondition) -> Expression {
        let (operator, texts) = (self.operator, self.operands.iter().filter_map(Operand::text));
        let one = || self.operands.first().and_then(Operand::text).expect("a text");
        match global {
            GlobalCondition::Date => times::date(operator, &one()),
            GlobalCondition::DateTime => times::date_time(operator, &one()),
            GlobalCondition::TimeOfDay => times::time_of_day(operator, &one()),
            GlobalCondition::WeekDay => {
                let not = if operator == Operator::NotEqual { "!" } else { "" };
                Ok(format!("{not}{}.contains(context.weekDay)", set(texts)))
            }
            // At account level there is none: it is known absent (R16).
            GlobalCondition::EnvironmentId => {
                Ok(any(texts.map(|id| format!("resource == Environment::{}", quoted(&id)))))
            }
            GlobalCondition::UserGroup => Ok(self.any_group()),
        }
    }

    fn any_group(&self) -> String {
        any(self.operands.iter().map(|operand| match operand.text() {
            Some(id) => format!("principal in Group::{}", quoted(&id)),
            None => "true".to_owned(),
        }))
    }

    fn attribute(&self, any_match: bool) -> String {
        let name = quoted(self.name);
        let told = format!("context.attributes[{name}]");
        let fits = match self.operator {
            Operator::Equal | Operator::In => self.equal(&told),
            Operator::NotEqual | Operator::NotIn => format!("!{}", self.equal(&told)),
            Operator::StartsWith => self.like(&told, Operand::prefix),
            Operator::NotStartsWith => format!("!{}", self.like(&told, Operand::prefix)),
            Operator::Match => any([self.like(&told, Operand::pattern), self.any_of_groups(&told)]),
            Operator::Less | Operator::Greater => unreachable!("of time conditions only"),
        };
        // R3: several values are nothing that a scalar operator settles.
        let several = any_match || self.operator == Operator::Match;
        let count = if several { ">= 1" } else { "== 1" };
        let settled = match self.place.effect {
            Effect::Allow => format!("{told}.count {count} && {fits}"),
            // R2: what is absent is FALSE for every operator.
            Effect::Deny => format!("({told}.count == 0 || {told}.count {count} && !{fits})"),
        };
        format!("(context.attributes has {name} && {settled})")
    }

    fn equal(&self, told: &str) -> String {
        let texts = set(self.operands.iter().filter_map(Operand::text));
        any([format!("{told}.values.containsAny({texts})"), self.any_of_groups(told)])
    }

    fn any_of_groups(&self, told: &str) -> String {
        let groups = self.operands.iter().any(|operand| matches!(operand, Operand::Groups));
        if groups { format!("{told}.values.containsAny(principal.groups)") } else { "false".to_owned() }
    }

    /// Whether any value is like any operand. Cedar has no "any of a set", so each value has a field of its own.
    fn like(&self, told: &str, pattern: fn(&Operand) -> Option<String>) -> String {
        let patterns: Vec<_> = self.operands.iter().filter_map(pattern).collect();
        any((0..SLOTS).filter(|_| !patterns.is_empty()).map(|slot| {
            let likes = any(patterns.iter().map(|pattern| format!("{told}.value{slot} like {pattern}")));
            format!("{told} has value{slot} && {likes}")
        }))
    }
}

fn any(expressions: impl IntoIterator<Item = String>) -> String {
    let expressions: Vec<_> = expressions.into_iter().filter(|it| it != "false").collect();
    if expressions.is_empty() { "false".to_owned() } else { format!("({})", expressions.join(" || ")) }
}

fn set(texts: impl Iterator<Item = String>) -> String {
    format!("[{}]", texts.map(|text| quoted(&text)).collect::<Vec<_>>().join(", "))
}
