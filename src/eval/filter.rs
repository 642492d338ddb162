//! The filter reading: everything is settled but the attributes the caller does not know yet (design §8).
//!
//! `OR(conditions of ALLOW) AND NOT OR(conditions of DENY)`, over those attributes only. What can never be settled denies, as
//! at enforcement: in an ALLOW it counts as FALSE, in a DENY as TRUE.

use std::collections::BTreeSet;

use super::condition::{Facts, Truth, test};
use super::question::Question;
use super::residual::{Leaf, Operand, Residual, Several};
use super::text::part_text;
use crate::compile::account::AccountProgram;
use crate::compile::describe::text_operator;
use crate::compile::group::Origin;
use crate::compile::program::{Condition, Pattern, Patterns, Text, TextTest};
use crate::model::attribute::Known;
use crate::model::catalogue::{ConditionName, PermissionNumber};
use crate::model::decision::{CheckRequest, ReasonCode, Unanswerable};
use crate::model::id::GroupId;
use crate::model::limits;
use crate::model::moment::Moment;
use crate::model::policy::Effect;

/// What is left of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filtered {
    /// The objects on which the request would be allowed.
    pub residual: Residual,
    /// Why there is none: the step that refuses the subject (rules R13).
    pub refused: Option<ReasonCode>,
    /// The first instant at which a time condition that was used is another (D12).
    pub valid_until: Option<Moment>,
}

/// A request that gets no filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterRejected {
    /// It names something that does not exist.
    #[error(transparent)]
    Unanswerable(#[from] Unanswerable),
    /// The tree would be larger than [`limits::RESIDUAL_BYTES`].
    #[error(
        "the filter would be larger than {limit} bytes; tell more attributes, or bind fewer statements",
        limit = limits::RESIDUAL_BYTES
    )]
    TooLarge,
}

/// What is left of `request` once everything but the attributes it does not supply is settled.
///
/// An object passes [`Residual::matches`] exactly where [`super::evaluate`] allows the request with the attributes of the
/// object added.
///
/// # Errors
/// [`FilterRejected`]
pub fn filter(program: &AccountProgram, request: &CheckRequest<'_>) -> Result<Filtered, FilterRejected> {
    let Question { permission, environment, subject } = Question::new(program, request)?;
    let subject = match subject {
        Ok(subject) => subject,
        Err(step) => return Ok(Filtered { residual: Residual::Never, refused: Some(step), valid_until: None }),
    };
    let facts = Facts::new(request, subject, program);
    let mut filtering = Filtering { facts: &facts, environment, bytes: 0 };
    let residual = if program.roles.viewer == Some(permission) {
        filtering.viewer(permission)?
    } else {
        filtering.permission(permission)?
    };
    Ok(Filtered { residual, refused: None, valid_until: facts.edge() })
}

struct Filtering<'f, 'p, 'r> {
    facts: &'f Facts<'p, 'r>,
    environment: Option<u32>,
    /// Of the parts so far.
    bytes: usize,
}

type Rejectable<T> = Result<T, FilterRejected>;

// === impl Filtering ===

impl<'p> Filtering<'_, 'p, '_> {
    fn permission(&mut self, permission: PermissionNumber) -> Rejectable<Residual> {
        let before = self.bytes;
        let denied = self.any(permission, Effect::Deny);
        if denied == Ok(Residual::Always) {
            return Ok(Residual::Never);
        }
        let allowed = self.any(permission, Effect::Allow);
        if allowed == Ok(Residual::Never) {
            // The DENYs are not in the tree.
            self.bytes = before;
            return Ok(Residual::Never);
        }
        Ok(Residual::all([allowed?, Residual::not(denied?)]))
    }

    /// Rules R14: what viewer itself is allowed, or what any other role comes to, but for what viewer is denied.
    fn viewer(&mut self, viewer: PermissionNumber) -> Rejectable<Residual> {
        let denied = self.any(viewer, Effect::Deny);
        if denied == Ok(Residual::Always) {
            return Ok(Residual::Never);
        }
        match self.viewer_allowed(viewer) {
            Ok(Residual::Never) => Ok(Residual::Never),
            allowed => Ok(Residual::all([allowed?, Residual::not(denied?)])),
        }
    }

    fn viewer_allowed(&mut self, viewer: PermissionNumber) -> Rejectable<Residual> {
        let mut parts = vec![self.any(viewer, Effect::Allow)];
        let program = self.facts.program;
        for role in &program.roles.others {
            // What allows every object leaves nothing to ask of the roles behind it.
            if parts.contains(&Ok(Residual::Always)) {
                break;
            }
            parts.push(self.permission(*role));
        }
        if parts.contains(&Ok(Residual::Always)) {
            return Ok(Residual::Always);
        }
        Ok(Residual::any(parts.into_iter().collect::<Rejectable<Vec<_>>>()?))
    }

    /// The objects on which some statement of this effect holds. It goes on where the parts have become too large: one that
    /// always holds makes the size of the others nothing.
    fn any(&mut self, permission: PermissionNumber, effect: Effect) -> Rejectable<Residual> {
        let before = self.bytes;
        let mut parts = BTreeSet::new();
        let mut fits = true;
        for origin in self.origins(permission).filter(|origin| origin.clause.effect == effect) {
            match conjunction(origin.conditions(), effect, self.facts) {
                Residual::Always => {
                    self.bytes = before;
                    return Ok(Residual::Always);
                }
                Residual::Never => {}
                part if fits => fits = self.keep(part, &mut parts),
                _ => {}
            }
        }
        if fits { Ok(Residual::any(parts)) } else { Err(FilterRejected::TooLarge) }
    }

    /// Whether the part still fits beside the others; one that is there already costs nothing.
    fn keep(&mut self, part: Residual, parts: &mut BTreeSet<Residual>) -> bool {
        let bytes = part.bytes();
        if parts.insert(part) {
            self.bytes += bytes;
        }
        self.bytes <= limits::RESIDUAL_BYTES
    }

    fn origins(&self, permission: PermissionNumber) -> impl Iterator<Item = Origin<'p>> + use<'p> {
        let (program, environment) = (self.facts.program, self.environment);
        let groups = program.groups_of(&self.facts.subject);
        groups.flat_map(move |group| group.candidates(permission, environment))
    }
}

/// It ends at the first condition that does not hold, so that a time condition behind it sets no edge.
fn conjunction<'c>(conditions: impl Iterator<Item = &'c Condition>, effect: Effect, facts: &Facts<'_, '_>) -> Residual {
    Residual::all(conditions.map(|condition| open(condition, effect, facts)))
}

/// What is left of a condition.
fn open(condition: &Condition, effect: Effect, facts: &Facts<'_, '_>) -> Residual {
    match condition {
        Condition::AnyOf(alternatives) => Residual::any(alternatives.iter().map(|one| open(one, effect, facts))),
        Condition::Attribute { name, test } if facts.attributes.get(name.as_str()) == Known::NotSupplied => {
            Residual::Test(leaf(name, test, effect, facts))
        }
        settled => match (test(settled, effect, facts), effect) {
            (Truth::True, _) | (Truth::Unknown, Effect::Deny) => Residual::Always,
            (Truth::False, _) | (Truth::Unknown, Effect::Allow) => Residual::Never,
        },
    }
}

fn leaf(name: &ConditionName, test: &TextTest, effect: Effect, facts: &Facts<'_, '_>) -> Leaf {
    let any = test.sense().any_match || matches!(test, TextTest::Match(..));
    Leaf {
        name: name.clone(),
        operator: text_operator(test),
        operand: operand(test, facts),
        several: Several::of(effect, any),
    }
}

/// The right side with everything filled in.
fn operand(test: &TextTest, facts: &Facts<'_, '_>) -> Operand {
    let groups = |listed: bool| if listed { own_groups(facts) } else { Vec::new() };
    match test {
        TextTest::Match(_, Patterns { patterns, user_groups }) => {
            let patterns = patterns.iter().map(|pattern| stretches(pattern, facts));
            let whole = groups(*user_groups).into_iter().map(|id| vec![id]);
            Operand::Patterns(sorted(patterns.chain(whole)))
        }
        TextTest::Equals(_, one) | TextTest::StartsWith(_, one) => Operand::Texts(vec![filled(one, facts)]),
        TextTest::OneOf(_, list) => {
            let literals = list.literals.iter().map(ToString::to_string);
            let templates = list.templates().iter().map(|text| filled(text, facts));
            Operand::Texts(sorted(literals.chain(templates).chain(groups(list.user_groups()))))
        }
    }
}

fn own_groups(facts: &Facts<'_, '_>) -> Vec<String> {
    let ids = facts.program.groups_of(&facts.subject).map(|group| group.id);
    ids.map(|id: GroupId| id.to_string()).collect()
}

fn stretches(pattern: &Pattern, facts: &Facts<'_, '_>) -> Vec<String> {
    pattern.stretches().into_iter().map(|stretch| filled(stretch, facts)).collect()
}

fn filled(text: &Text, facts: &Facts<'_, '_>) -> String {
    match text {
        Text::Literal(literal) => literal.to_string(),
        Text::Template(parts) => parts.iter().map(|part| part_text(part, facts)).collect(),
    }
}

fn sorted<T: Ord>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut sorted: Vec<T> = values.collect();
    sorted.sort_unstable();
    sorted.dedup();
    sorted
}
