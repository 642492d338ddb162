//! Values: the spelling that a condition asks for, and where `${global:…}` may stand (rules R8, R15, R19, R20).

use super::clause::Clause;
use crate::lang::ast::{GlobalAttribute, Piece, Value};
use crate::lang::diag::{Diagnostic, excerpt};
use crate::lang::literal;
use crate::lang::span::Spanned;
use crate::model::catalogue::{GlobalCondition, ValueKind};
use crate::model::id::GroupId;

/// What is wrong with a value of this kind, parameters filled in; `None` where nothing is.
#[must_use]
pub fn value_problem(kind: ValueKind, text: &str) -> Option<String> {
    let problem = match kind {
        ValueKind::Text => return None,
        ValueKind::Date => literal::date(text).err()?,
        ValueKind::DateTime => literal::date_time(text).err()?,
        ValueKind::TimeOfDay => literal::time_of_day(text).err()?,
        ValueKind::WeekDay => literal::week_day(text).err()?,
        ValueKind::Enumeration(values) => return not_among(values, text),
    };
    Some(format!("{} is no {}: {problem}", excerpt(text), noun(kind)))
}

fn not_among(values: &[&str], text: &str) -> Option<String> {
    if values.contains(&text) {
        return None;
    }
    let known: Vec<_> = values.iter().map(|value| format!("`{value}`")).collect();
    Some(format!("{} is not one of {}", excerpt(text), known.join(", ")))
}

fn noun(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Text => "text",
        ValueKind::Date => "date",
        ValueKind::DateTime => "date and time",
        ValueKind::TimeOfDay => "time of day",
        ValueKind::WeekDay => "day of the week",
        ValueKind::Enumeration(_) => "known value",
    }
}

const fn code(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Text => "invalid_value",
        ValueKind::Date => "invalid_date",
        ValueKind::DateTime => "invalid_date_time",
        ValueKind::TimeOfDay => "invalid_time_of_day",
        ValueKind::WeekDay => "invalid_week_day",
        ValueKind::Enumeration(_) => "invalid_enumeration_value",
    }
}

const fn example(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Text | ValueKind::Enumeration(_) => "Case matters.",
        ValueKind::Date => "Write it like `2026-05-03Z` or `2026-05-03+01:00`.",
        ValueKind::DateTime => "Write it like `2026-05-03T05:00:00Z` or `2026-05-03T05:00:00+01:00`.",
        ValueKind::TimeOfDay => "Write it like `09:00Z` or `09:00+01:00`.",
        ValueKind::WeekDay => "Write it like `Monday`, in GMT.",
    }
}

/// What is wrong with one value of a clause.
pub(super) fn check(clause: Clause<'_>, value: &Spanned<Value>) -> Option<Diagnostic> {
    let kind = ValueKind::of(clause.name());
    if let Some(diagnostic) = misplaced_global(clause, value, kind) {
        return Some(diagnostic);
    }
    let text = value.node.as_text()?;
    if let Some(problem) = value_problem(kind, text) {
        return Some(Diagnostic::error(code(kind), value.span, problem).with_help(example(kind)));
    }
    no_group(clause, text).map(|message| {
        let help = "The value is the id of a group, not its name; a value that is no id never matches.";
        Diagnostic::warning("user_group_not_uuid", value.span, message).with_help(help)
    })
}

/// Rules R20.
fn misplaced_global(clause: Clause<'_>, value: &Spanned<Value>, kind: ValueKind) -> Option<Diagnostic> {
    let globals = value.node.pieces.iter().filter_map(|piece| match piece {
        Piece::Global(attribute) => Some(*attribute),
        Piece::Text(_) | Piece::BindParam(_) => None,
    });
    let globals: Vec<_> = globals.collect();
    let first = globals.first()?;
    if kind != ValueKind::Text {
        let message = format!("`${{global:{}}}` can never be a {}", first.name(), noun(kind));
        return Some(Diagnostic::error("global_in_typed_value", value.span, message).with_help(example(kind)));
    }
    let whole = value.node.pieces.len() == 1 && clause.in_list;
    if whole || !globals.contains(&GlobalAttribute::UserGroup) {
        return None;
    }
    let message = "`${global:userGroup}` must be the whole of an element of a list".to_owned();
    let help = "It stands for several ids: write `IN (\"${global:userGroup}\")`.";
    Some(Diagnostic::error("user_group_placement", value.span, message).with_help(help))
}

fn no_group(clause: Clause<'_>, text: &str) -> Option<String> {
    let about_groups = clause.name() == GlobalCondition::UserGroup.name();
    group_problem(text).filter(|_| about_groups)
}

/// Why no group can be `text` (rules R15). Ids are compared as they are printed, so that another spelling of an id matches
/// as little as a name.
#[must_use]
pub fn group_problem(text: &str) -> Option<String> {
    let is_id = text.parse::<GroupId>().is_ok_and(|id| id.to_string() == text);
    (!is_id).then(|| format!("{} is no group id", excerpt(text)))
}
