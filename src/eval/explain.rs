//! The long answer: every statement that is about the permission and bound to one of the subject's groups, and why it did
//! or did not count. It costs more than a check; a check pays nothing for it.

use super::condition::{Facts, Truth, holds, test};
use super::engine::evaluate;
use super::outcome::{Outcome, StatementReason};
use super::question::Question;
use super::removed::{RemovedStatement, removed};
use crate::compile::account::AccountProgram;
use crate::compile::describe::{Description, describe};
use crate::compile::group::Origin;
use crate::compile::program::Condition;
use crate::compile::subjects::Subject;
use crate::model::attribute::Known;
use crate::model::catalogue::{PermissionName, PermissionNumber};
use crate::model::decision::{CheckRequest, Decision, Unanswerable};
use crate::model::limits;
use crate::model::policy::Effect;

/// A decision with everything that was looked at.
#[derive(Debug)]
pub struct Explanation<'p> {
    /// The very decision of [`evaluate`].
    pub outcome: Outcome<'p>,
    /// The subject whose statements were looked at; `None` where a step refuses it (rules R13), an inactive one too.
    pub subject: Option<Subject<'p>>,
    /// The deciding statement first; then by permission, DENY before ALLOW, in the order reasons are named.
    pub statements: Vec<ExplainedStatement<'p>>,
    /// What boundaries left nothing of: permission by permission, in the same order.
    pub removed: Vec<RemovedStatement<'p>>,
    /// Whether statements or conditions were left out: [`limits::EXPLAINED_STATEMENTS`], [`limits::EXPLAINED_BYTES`].
    pub truncated: bool,
}

/// A statement and what came of it.
#[derive(Debug)]
pub struct ExplainedStatement<'p> {
    /// The permission asked for, or the role that would imply it (rules R14).
    pub permission: &'p PermissionName,
    /// The statement, its policy and its binding.
    pub source: StatementReason<'p>,
    /// Its conditions with those of the boundary, joined by AND.
    pub conditions: Vec<ExplainedCondition>,
    /// Whether all of them hold.
    pub truth: Truth,
    /// What it meant for the decision.
    pub standing: Standing,
}

/// A condition and what the request said about it.
#[derive(Debug)]
pub struct ExplainedCondition {
    /// The condition; of several any one would do.
    pub alternatives: Vec<Description>,
    /// What the request said.
    pub said: Said,
    /// Whether it holds.
    pub truth: Truth,
}

/// What a request said about an attribute, or what was computed for a `global:` condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Values, cut to [`limits::EXPLAINED_VALUES`] of [`limits::EXPLAINED_VALUE_BYTES`] each.
    Values {
        /// The first ones.
        values: Vec<String>,
        /// How many more there are.
        left_out: usize,
    },
    /// There is none.
    Absent,
    /// Nothing: the condition is UNKNOWN.
    Nothing,
}

/// What a statement meant for a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It is the one that the reason names.
    Decided,
    /// It holds and counts; the reason names another.
    Counted,
    /// It is an ALLOW that holds, but a DENY holds or may hold.
    Overruled,
    /// It could not be settled: an ALLOW does not count then, a DENY denies.
    Unsettled,
    /// Its conditions do not hold.
    NotHeld,
    /// It is bound in an environment that was not asked about.
    Elsewhere,
}

/// The decision about `request` with every statement that was looked at.
///
/// # Errors
/// [`Unanswerable`] with the name that does not exist or is borne twice.
pub fn explain<'p>(program: &'p AccountProgram, request: &CheckRequest<'_>) -> Result<Explanation<'p>, Unanswerable> {
    let outcome = evaluate(program, request)?;
    let Question { permission, environment, subject } = Question::new(program, request)?;
    let Ok(subject) = subject else {
        let (statements, removed) = (Vec::new(), Vec::new());
        return Ok(Explanation { outcome, subject: None, statements, removed, truncated: false });
    };
    let facts = Facts::new(request, subject, program);
    let (statements, removed) = (Vec::new(), Vec::new());
    let mut explaining =
        Explaining { facts: &facts, environment, outcome: &outcome, statements, removed, decided: false };
    explaining.permission(permission);
    if program.roles.viewer == Some(permission) {
        for role in &program.roles.others {
            explaining.permission(*role);
        }
    }
    let Told { statements, removed, truncated } = explaining.finish();
    Ok(Explanation { outcome, subject: Some(subject), statements, removed, truncated })
}

struct Explaining<'e, 'p, 'r> {
    facts: &'e Facts<'p, 'r>,
    environment: Option<u32>,
    outcome: &'e Outcome<'p>,
    statements: Vec<Looked<'p>>,
    removed: Vec<RemovedStatement<'p>>,
    /// Whether the row that decided has been met.
    decided: bool,
}

/// As much as fits.
struct Told<'p> {
    statements: Vec<ExplainedStatement<'p>>,
    removed: Vec<RemovedStatement<'p>>,
    truncated: bool,
}

/// A statement before its conditions are told.
struct Looked<'p> {
    permission: &'p PermissionName,
    origin: Origin<'p>,
    truth: Truth,
    standing: Standing,
}

// === impl Explaining ===

impl<'p> Explaining<'_, 'p, '_> {
    fn permission(&mut self, permission: PermissionNumber) {
        let program = self.facts.program;
        let named = program.catalogue.numbered().find(|(_, number)| *number == permission);
        let Some((name, _)) = named else { return };
        let groups = program.groups_of(&self.facts.subject);
        let origins: Vec<Origin<'p>> = groups.flat_map(|group| group.origins(permission)).collect();
        let effective = |origin: &&Origin<'p>| self.counts_here(origin) && origin.clause.effect == Effect::Deny;
        let denied = origins.iter().filter(effective).any(|origin| self.truth(origin) != Truth::False);
        let mut looked: Vec<_> = origins.into_iter().map(|origin| self.look(name, origin, denied)).collect();
        looked.sort_by(|a, b| {
            let deny_first = (a.origin.clause.effect == Effect::Allow).cmp(&(b.origin.clause.effect == Effect::Allow));
            deny_first.then_with(|| a.origin.rank(&b.origin))
        });
        self.statements.extend(looked);
        self.removed.extend(removed(program, &self.facts.subject, name));
    }

    fn look(&mut self, permission: &'p PermissionName, origin: Origin<'p>, denied: bool) -> Looked<'p> {
        let truth = self.truth(&origin);
        let standing = if self.decides(&origin, denied) {
            self.decided = true;
            Standing::Decided
        } else {
            self.standing(&origin, truth, denied)
        };
        Looked { permission, origin, truth, standing }
    }

    fn truth(&self, origin: &Origin<'p>) -> Truth {
        holds(origin, self.facts)
    }

    fn counts_here(&self, origin: &Origin<'p>) -> bool {
        let bound = origin.binding.environment.as_ref().map(|bound| bound.number);
        bound.is_none() || bound == self.environment
    }

    /// Whether this is the row that the reason names. A statement about several roles is one clause with a row for each; the
    /// permission asked for comes first, then the roles in the order in which they imply it, but for those that are denied.
    fn decides(&self, origin: &Origin<'p>, denied: bool) -> bool {
        let overruled = denied && origin.clause.effect == Effect::Allow;
        if self.decided || overruled {
            return false;
        }
        let named = self.outcome.reason().statement;
        named.is_some_and(|named| named.is_same(&StatementReason::of(*origin)))
    }

    fn standing(&self, origin: &Origin<'p>, truth: Truth, denied: bool) -> Standing {
        let allowed = self.outcome.decision() == Decision::Allow;
        match (self.counts_here(origin), truth, origin.clause.effect) {
            (false, _, _) => Standing::Elsewhere,
            (true, Truth::False, _) => Standing::NotHeld,
            (true, Truth::Unknown, _) => Standing::Unsettled,
            // A DENY of a role overrules the role, one of viewer the roles too.
            (true, Truth::True, Effect::Allow) if denied || !allowed => Standing::Overruled,
            (true, Truth::True, _) => Standing::Counted,
        }
    }

    /// The statements with their conditions, as many as fit; then those of which nothing is left.
    fn finish(self) -> Told<'p> {
        let Self { facts, mut statements, mut removed, .. } = self;
        statements.sort_by_key(|looked| looked.standing != Standing::Decided);
        let mut truncated = statements.len() + removed.len() > limits::EXPLAINED_STATEMENTS;
        removed.truncate(limits::EXPLAINED_STATEMENTS.saturating_sub(statements.len()));
        let mut bytes = 0;
        let mut explained = Vec::new();
        for Looked { permission, origin, truth, standing } in statements.into_iter().take(limits::EXPLAINED_STATEMENTS)
        {
            let mut conditions = Vec::new();
            for condition in origin.conditions() {
                let told = explain_condition(condition, origin.clause.effect, facts);
                bytes += told.bytes();
                if bytes > limits::EXPLAINED_BYTES {
                    truncated = true;
                    break;
                }
                conditions.push(told);
            }
            let source = StatementReason::of(origin);
            explained.push(ExplainedStatement { permission, source, conditions, truth, standing });
        }
        Told { statements: explained, removed, truncated }
    }
}

fn explain_condition(condition: &Condition, effect: Effect, facts: &Facts<'_, '_>) -> ExplainedCondition {
    ExplainedCondition {
        alternatives: describe(condition),
        said: said(condition, facts),
        truth: test(condition, effect, facts),
    }
}

fn said(condition: &Condition, facts: &Facts<'_, '_>) -> Said {
    match condition {
        Condition::Attribute { name, .. } => match facts.attributes.get(name.as_str()) {
            Known::Values(values) => Said::values(values.iter().map(str::to_owned)),
            Known::Absent => Said::Absent,
            Known::NotSupplied => Said::Nothing,
        },
        Condition::Environment(_) => {
            facts.environment_id().map_or(Said::Absent, |id| Said::values([id.to_owned()].into_iter()))
        }
        Condition::UserGroup(_) => {
            let groups = facts.program.groups_of(&facts.subject);
            Said::values(groups.map(|group| group.id.to_string()))
        }
        Condition::Retired => Said::Nothing,
        // Alternatives are repeats of one name.
        Condition::AnyOf(alternatives) => alternatives.first().map_or(Said::Nothing, |first| said(first, facts)),
        Condition::Date(..) | Condition::DateTime(..) | Condition::TimeOfDay(..) | Condition::WeekDay(_) => {
            Said::values([facts.at.to_string()].into_iter())
        }
    }
}

// === impl ExplainedCondition ===

impl ExplainedCondition {
    fn bytes(&self) -> usize {
        let said = match &self.said {
            Said::Values { values, .. } => values.iter().map(String::len).sum(),
            Said::Absent | Said::Nothing => 0,
        };
        said + self.alternatives.iter().map(Description::bytes).sum::<usize>()
    }
}

// === impl Said ===

impl Said {
    fn values(mut all: impl Iterator<Item = String>) -> Self {
        let values = all.by_ref().take(limits::EXPLAINED_VALUES).map(|value| cut(&value)).collect();
        Self::Values { values, left_out: all.count() }
    }
}

/// The head of a value, with a mark where it was longer.
fn cut(value: &str) -> String {
    if value.len() <= limits::EXPLAINED_VALUE_BYTES {
        return value.to_owned();
    }
    let end = (0..=limits::EXPLAINED_VALUE_BYTES).rev().find(|at| value.is_char_boundary(*at)).unwrap_or_default();
    format!("{}…", value.get(..end).unwrap_or_default())
}

// === impl Standing ===

impl Standing {
    /// A stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decided => "decided",
            Self::Counted => "counted",
            Self::Overruled => "overruled",
            Self::Unsettled => "unsettled",
            Self::NotHeld => "not_held",
            Self::Elsewhere => "elsewhere",
        }
    }
}

// === impl Truth ===

impl Truth {
    /// A stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::False => "false",
            Self::Unknown => "unknown",
        }
    }
}
