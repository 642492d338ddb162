//! One condition of a tree to its program, with the values of parameters.

use smol_str::SmolStr;

use super::{BindRejected, Parameters};
use crate::compile::bind::filled_problem;
use crate::compile::program::{Computed, Condition, Listed, Ordering, Part, Pattern, Patterns, Sense, Text, TextTest};
use crate::lang::ast::{self, GlobalAttribute, Piece, Value};
use crate::lang::literal;
use crate::model::catalogue::{GlobalCondition, Operator};

/// Conditions to their programs, with the values of parameters.
pub(super) struct Filling<'a> {
    pub(super) parameters: &'a Parameters,
    pub(super) rejected: Vec<BindRejected>,
}

// === impl Filling ===

impl Filling<'_> {
    pub(super) fn condition(&mut self, condition: &ast::Condition, any_match: bool) -> Condition {
        let name = &condition.attribute.node;
        let problems = condition.values.iter().filter_map(|value| filled_problem(name, &value.node, self.parameters));
        let rejected = problems.map(|problem| BindRejected::InvalidValue { condition: name.clone(), problem });
        self.rejected.extend(rejected);
        let lowered = match GlobalCondition::from_name(name.as_str()) {
            None => Some(Condition::Attribute { name: name.clone(), test: self.text_test(condition, any_match) }),
            Some(GlobalCondition::EnvironmentId) => Some(Condition::Environment(self.text_test(condition, false))),
            Some(GlobalCondition::UserGroup) => Some(Condition::UserGroup(self.text_test(condition, false))),
            Some(GlobalCondition::WeekDay) => self.week_day(condition),
            Some(time) => self.time(time, condition),
        };
        // A value with a parameter was checked above; one without was when its text came in. Should one not be readable all
        // the same, the condition never settles.
        lowered.unwrap_or(Condition::Retired)
    }

    fn piece_text<'p>(&'p self, piece: &'p Piece) -> Option<&'p str> {
        match piece {
            Piece::Text(text) => Some(text),
            Piece::BindParam(name) => self.parameters.get(name.as_str()).map(String::as_str),
            Piece::Global(_) => None,
        }
    }

    /// The text of a value; `None` where a part is known only at evaluation.
    fn filled_text(&self, value: &Value) -> Option<String> {
        value.pieces.iter().map(|piece| self.piece_text(piece)).collect()
    }

    fn first_text(&self, condition: &ast::Condition) -> Option<String> {
        condition.values.first().and_then(|value| self.filled_text(&value.node))
    }

    fn week_day(&self, condition: &ast::Condition) -> Option<Condition> {
        let mut days = 0_u8;
        for value in &condition.values {
            days |= 1 << literal::week_day(&self.filled_text(&value.node)?).ok()?;
        }
        let negated = condition.operator.node == Operator::NotEqual;
        Some(Condition::WeekDay(if negated { !days & 0x7F } else { days }))
    }

    fn time(&self, global: GlobalCondition, condition: &ast::Condition) -> Option<Condition> {
        let order = match condition.operator.node {
            Operator::Less => Ordering::Before,
            Operator::Greater => Ordering::After,
            _ => Ordering::Same,
        };
        let text = self.first_text(condition)?;
        match global {
            GlobalCondition::Date => literal::date(&text).ok().map(|d| Condition::Date(order, d.day, d.offset)),
            GlobalCondition::DateTime => {
                literal::date_time(&text).ok().map(|at| Condition::DateTime(order, Box::new(at)))
            }
            _ => literal::time_of_day(&text).ok().map(|t| Condition::TimeOfDay(order, t.nanoseconds, t.offset)),
        }
    }

    fn text_test(&self, condition: &ast::Condition, any_match: bool) -> TextTest {
        let operator = condition.operator.node;
        let sense = Sense { negated: operator.is_negative(), any_match };
        let user_groups = condition.values.iter().any(|value| is_user_groups(&value.node));
        let mut values = condition.values.iter().map(|value| &value.node).filter(|value| !is_user_groups(value));
        let mut first = || values.next().map_or_else(|| Text::Literal(SmolStr::default()), |value| self.text(value));
        match operator {
            Operator::Match => {
                let patterns = values.map(|value| self.pattern(value)).collect();
                TextTest::Match(sense, Patterns { patterns, user_groups })
            }
            Operator::In | Operator::NotIn => {
                TextTest::OneOf(sense, listed(values.map(|value| self.text(value)), user_groups))
            }
            Operator::StartsWith | Operator::NotStartsWith => TextTest::StartsWith(sense, first()),
            Operator::Equal | Operator::NotEqual | Operator::Less | Operator::Greater => {
                TextTest::Equals(sense, first())
            }
        }
    }

    fn text(&self, value: &Value) -> Text {
        let mut parts = TextBuilder::default();
        for piece in &value.pieces {
            self.push_piece(&mut parts, piece);
        }
        parts.finish()
    }

    /// A `*` of the text is a wildcard, a `*` of a parameter is not (rules R22).
    fn pattern(&self, value: &Value) -> Pattern {
        let mut stretches = Vec::new();
        let mut current = TextBuilder::default();
        for piece in &value.pieces {
            let Piece::Text(text) = piece else {
                self.push_piece(&mut current, piece);
                continue;
            };
            for (index, stretch) in text.split('*').enumerate() {
                if index > 0 {
                    stretches.push(std::mem::take(&mut current).finish());
                }
                current.literal(stretch);
            }
        }
        stretches.push(current.finish());
        Pattern::of(stretches)
    }

    fn push_piece(&self, parts: &mut TextBuilder, piece: &Piece) {
        match piece {
            Piece::Global(GlobalAttribute::UserId) => parts.part(Part::UserId),
            Piece::Global(GlobalAttribute::LevelId) => parts.part(Part::LevelId),
            // `${global:userGroup}` is a whole element of a list (rules R20) and was taken out before.
            Piece::Global(GlobalAttribute::UserGroup) => {}
            Piece::Text(_) | Piece::BindParam(_) => parts.literal(self.piece_text(piece).unwrap_or_default()),
        }
    }
}

fn is_user_groups(value: &Value) -> bool {
    matches!(value.pieces.as_slice(), [Piece::Global(GlobalAttribute::UserGroup)])
}

fn listed(texts: impl Iterator<Item = Text>, user_groups: bool) -> Listed {
    let mut literals = Vec::with_capacity(texts.size_hint().1.unwrap_or_default());
    let mut templates = Vec::new();
    for text in texts {
        match text {
            Text::Literal(literal) => literals.push(literal),
            Text::Template(_) => templates.push(text),
        }
    }
    literals.sort_unstable();
    literals.dedup();
    let is_computed = user_groups || !templates.is_empty();
    let computed = is_computed.then(|| Box::new(Computed { templates: templates.into(), user_groups }));
    Listed { literals: literals.into(), computed }
}

/// Joins neighbouring literals, so that a text without a computed part is one literal.
#[derive(Default)]
struct TextBuilder {
    parts: Vec<Part>,
    pending: String,
}

// === impl TextBuilder ===

impl TextBuilder {
    fn literal(&mut self, text: &str) {
        self.pending.push_str(text);
    }

    fn part(&mut self, part: Part) {
        self.flush();
        self.parts.push(part);
    }

    fn flush(&mut self) {
        if !self.pending.is_empty() {
            self.parts.push(Part::Literal(std::mem::take(&mut self.pending).into()));
        }
    }

    fn finish(mut self) -> Text {
        if self.parts.is_empty() {
            return Text::Literal(self.pending.into());
        }
        self.flush();
        Text::Template(self.parts.into())
    }
}
