//! Tree to program: parameters are filled in here, in the tree, never in text (D10).

use std::collections::{BTreeMap, BTreeSet};

use super::check::value_problem;
use super::fit::{Fit, fit};
use super::program::{Clause, Condition, Ordering, Part, Pattern, PolicyProgram, ScalarTest, Text, TextTest};
use crate::lang::ast::{self, BoundaryAst, GlobalAttribute, ParameterName, Piece, PolicyAst, Value};
use crate::lang::literal;
use crate::model::catalogue::{
    Catalogue, ConditionName, GlobalCondition, Operator, PermissionName, PermissionNumber, ValueKind,
};
use crate::model::limits;
use crate::model::policy::Effect;

mod bound;

/// Values for `${bindParam:…}`, by name.
pub type Parameters = BTreeMap<String, String>;

/// Why a policy cannot be bound with these parameters (reference ch. 5, rules R22).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindRejected {
    /// The policy asks for a parameter that is not given.
    #[error("`parameters.{0}` is missing; the policy uses `${{bindParam:{0}}}`")]
    MissingParameter(ParameterName),
    /// A value does not fit its condition once it is filled in.
    #[error("with these parameters the value of `{condition}` {problem}")]
    InvalidValue {
        /// The condition.
        condition: ConditionName,
        /// What is wrong, as the rest of the sentence.
        problem: String,
    },
}

/// Something about a binding that its author should know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindWarning {
    /// A parameter that the policy does not use; kept and returned.
    #[error("parameter `{0}` is not used by the policy")]
    SurplusParameter(String),
    /// A `*` in a value used in MATCH (rules R22).
    #[error("parameter `{0}` holds a `*`; in a parameter it stands for itself and is no wildcard")]
    LiteralWildcard(ParameterName),
}

/// The parameters that a policy asks for.
#[must_use]
pub fn parameters_of(policy: &PolicyAst) -> BTreeSet<ParameterName> {
    conditions_of(policy).flat_map(|c| &c.values).flat_map(|value| value.node.parameters().cloned()).collect()
}

/// What the author of a binding should know, though it is accepted.
#[must_use]
pub fn bind_warnings(policy: &PolicyAst, parameters: &Parameters) -> Vec<BindWarning> {
    let used = parameters_of(policy);
    let surplus = parameters.keys().filter(|name| used.iter().all(|known| known.as_str() != name.as_str()));
    let patterns = conditions_of(policy).filter(|c| c.operator.node == Operator::Match).flat_map(|c| &c.values);
    let in_patterns: BTreeSet<_> = patterns.flat_map(|value| value.node.parameters()).collect();
    let starred = in_patterns.into_iter().filter(|name| parameters.get(name.as_str()).is_some_and(|v| v.contains('*')));
    let surplus = surplus.map(|name| BindWarning::SurplusParameter(name.clone()));
    surplus.chain(starred.map(|name| BindWarning::LiteralWildcard(name.clone()))).collect()
}

/// The program of `policy` with `parameters`, without a boundary.
///
/// # Errors
/// As [`lower_bound`].
pub fn lower(
    policy: &PolicyAst,
    parameters: &Parameters,
    catalogue: &Catalogue,
) -> Result<PolicyProgram, Vec<BindRejected>> {
    lower_bound(policy, &Bounds { boundaries: &[], strict: false }, parameters, catalogue)
}

/// What narrows the ALLOW statements of a binding.
#[derive(Debug, Clone, Copy)]
pub struct Bounds<'a> {
    /// The boundaries, alternatives of each other; a clause names one by its place here.
    pub boundaries: &'a [BoundaryAst],
    /// Rules R11: leave out a copy to which the boundary added no condition.
    pub strict: bool,
}

/// The program of `policy` with `parameters`, its ALLOW statements narrowed by `bounds` (reference ch. 4.3).
///
/// Where the reference copies a statement for each pick of conditions, a clause here holds the alternatives of each name:
/// AND over names of OR over repeats, which is the OR of all picks in three values too.
///
/// # Errors
/// Every missing parameter and every value that does not fit, at once.
pub fn lower_bound(
    policy: &PolicyAst,
    bounds: &Bounds<'_>,
    parameters: &Parameters,
    catalogue: &Catalogue,
) -> Result<PolicyProgram, Vec<BindRejected>> {
    let mut needed = parameters_of(policy);
    needed.extend(bounds.boundaries.iter().flat_map(boundary_parameters));
    let missing = needed.into_iter().filter(|name| !parameters.contains_key(name.as_str()));
    let missing: Vec<_> = missing.map(BindRejected::MissingParameter).collect();
    if !missing.is_empty() {
        return Err(missing);
    }
    let mut filling = Filling { parameters, rejected: Vec::new() };
    let boundaries: Vec<_> =
        bounds.boundaries.iter().map(|boundary| bound::Lowered::new(boundary, catalogue, &mut filling)).collect();
    let mut lowering = Lowering {
        filling,
        catalogue,
        boundaries,
        strict: bounds.strict,
        clauses: Vec::new(),
        retired: BTreeSet::new(),
    };
    for (number, statement) in (0..).zip(&policy.statements) {
        lowering.statement(number, &statement.node);
    }
    let Lowering { filling, clauses, retired, .. } = lowering;
    if !filling.rejected.is_empty() {
        return Err(filling.rejected);
    }
    Ok(PolicyProgram { clauses: clauses.into(), retired: retired.into_iter().collect() })
}

/// The parameters that a boundary asks for.
#[must_use]
pub fn boundary_parameters(boundary: &BoundaryAst) -> BTreeSet<ParameterName> {
    let values = boundary.conditions.iter().flat_map(|condition| &condition.node.values);
    values.flat_map(|value| value.node.parameters().cloned()).collect()
}

fn conditions_of(policy: &PolicyAst) -> impl Iterator<Item = &ast::Condition> {
    policy.statements.iter().flat_map(|statement| &statement.node.conditions).map(|condition| &condition.node)
}

/// How one permission takes the conditions of a statement, and of each boundary: in their order.
type Manner = (Vec<Fit>, Vec<Vec<Fit>>);

struct Lowering<'a> {
    filling: Filling<'a>,
    catalogue: &'a Catalogue,
    boundaries: Vec<bound::Lowered<'a>>,
    strict: bool,
    clauses: Vec<Clause>,
    retired: BTreeSet<u16>,
}

/// Conditions to their programs, with the values of parameters.
struct Filling<'a> {
    parameters: &'a Parameters,
    rejected: Vec<BindRejected>,
}

// === impl Lowering ===

impl Lowering<'_> {
    fn statement(&mut self, number: u16, statement: &ast::Statement) {
        let mut manners: Vec<(Manner, Vec<PermissionNumber>)> = Vec::new();
        for permission in &statement.permissions {
            let Some(permission_number) = self.catalogue.number(permission.node.as_str()) else {
                self.retired.insert(number);
                continue;
            };
            let manner = self.manner(statement, &permission.node);
            match manners.iter_mut().find(|(known, _)| *known == manner) {
                Some((_, permissions)) if permissions.contains(&permission_number) => {}
                Some((_, permissions)) => permissions.push(permission_number),
                None => manners.push((manner, vec![permission_number])),
            }
        }
        for ((own, bounds), permissions) in manners {
            self.clauses(number, statement, (&own, &bounds), &permissions);
        }
    }

    fn manner(&self, statement: &ast::Statement, permission: &PermissionName) -> Manner {
        let own = statement.conditions.iter().map(|it| fit(self.catalogue, permission, &it.node)).collect();
        let bounds = match statement.effect {
            Effect::Allow => self.boundaries.iter().map(|it| it.fits(self.catalogue, permission)).collect(),
            // Boundaries never touch a DENY (reference ch. 4.2, 2).
            Effect::Deny => Vec::new(),
        };
        (own, bounds)
    }

    /// One clause, or one for each boundary.
    fn clauses(
        &mut self,
        number: u16,
        statement: &ast::Statement,
        (own, bounds): (&[Fit], &[Vec<Fit>]),
        permissions: &[PermissionNumber],
    ) {
        if own.iter().any(|fit| !matches!(fit, Fit::Taken { .. })) {
            self.retired.insert(number);
        }
        let own = statement.conditions.iter().zip(own);
        let own: Vec<Condition> = own
            .map(|(condition, fit)| match fit {
                Fit::Taken { any_match } => self.filling.condition(&condition.node, *any_match),
                Fit::NotTaken | Fit::OperatorRefused => Condition::Retired,
            })
            .collect();
        let clause = |boundary: Option<u16>, added: Vec<Condition>| Clause {
            statement: number,
            effect: statement.effect,
            boundary,
            permissions: permissions.into(),
            conditions: own.iter().cloned().chain(added).collect(),
        };
        if statement.effect == Effect::Deny || self.boundaries.is_empty() {
            self.clauses.push(clause(None, Vec::new()));
            return;
        }
        for ((place, boundary), fits) in (0..).zip(&self.boundaries).zip(bounds) {
            match boundary.added(fits) {
                Some(added) if added.is_empty() && self.strict => {}
                Some(added) => self.clauses.push(clause(Some(place), added)),
                None => {}
            }
        }
    }
}

// === impl Filling ===

impl Filling<'_> {
    fn condition(&mut self, condition: &ast::Condition, any_match: bool) -> Condition {
        let name = &condition.attribute.node;
        let kind = ValueKind::of(name.as_str());
        for value in &condition.values {
            self.check_filled(name, kind, &value.node);
        }
        let lowered = match GlobalCondition::from_name(name.as_str()) {
            None => Some(Condition::Attribute { name: name.clone(), any_match, test: self.text_test(condition) }),
            Some(GlobalCondition::EnvironmentId) => Some(Condition::Environment(self.text_test(condition))),
            Some(GlobalCondition::UserGroup) => Some(Condition::UserGroup(self.text_test(condition))),
            Some(GlobalCondition::WeekDay) => self.week_day(condition),
            Some(time) => self.time(time, condition),
        };
        // A value with a parameter was checked above; one without was when its text came in. Should one not be readable all
        // the same, the condition never settles.
        lowered.unwrap_or(Condition::Retired)
    }

    fn check_filled(&mut self, condition: &ConditionName, kind: ValueKind, value: &Value) {
        if value.parameters().next().is_none() {
            return;
        }
        let length: usize = value.pieces.iter().map(|piece| self.piece_text(piece).map_or(0, str::len)).sum();
        let too_long = (length > limits::FILLED_VALUE_BYTES)
            .then(|| format!("is {length} bytes long, the limit is {}", limits::FILLED_VALUE_BYTES));
        let problem = too_long.or_else(|| value_problem(kind, &self.filled_text(value)?));
        if let Some(problem) = problem {
            self.rejected.push(BindRejected::InvalidValue { condition: condition.clone(), problem });
        }
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
            GlobalCondition::DateTime => literal::date_time(&text).ok().map(|at| Condition::DateTime(order, at)),
            _ => literal::time_of_day(&text).ok().map(|t| Condition::TimeOfDay(order, t.nanoseconds, t.offset)),
        }
    }

    fn text_test(&self, condition: &ast::Condition) -> TextTest {
        let operator = condition.operator.node;
        let user_groups = condition.values.iter().any(|value| is_user_groups(&value.node));
        let values = condition.values.iter().map(|value| &value.node).filter(|value| !is_user_groups(value));
        if operator == Operator::Match {
            return TextTest::Match { patterns: values.map(|value| self.pattern(value)).collect(), user_groups };
        }
        let test = match operator {
            Operator::In | Operator::NotIn => one_of(values.map(|value| self.text(value)).collect(), user_groups),
            _ => {
                let text = values.map(|value| self.text(value)).next().unwrap_or_else(|| Text::Literal("".into()));
                match operator {
                    Operator::StartsWith | Operator::NotStartsWith => ScalarTest::StartsWith(text),
                    _ => ScalarTest::Equals(text),
                }
            }
        };
        TextTest::Scalar { negated: operator.is_negative(), test }
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
        Pattern { stretches: stretches.into() }
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

fn one_of(texts: Vec<Text>, user_groups: bool) -> ScalarTest {
    let mut literals = Vec::new();
    let mut templates = Vec::new();
    for text in texts {
        match text {
            Text::Literal(literal) => literals.push(literal),
            Text::Template(_) => templates.push(text),
        }
    }
    literals.sort_unstable();
    literals.dedup();
    ScalarTest::OneOf { literals: literals.into(), templates: templates.into(), user_groups }
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
