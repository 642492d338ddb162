//! What every planner asks: is the object there, is the name free, are the fields right.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use super::rejection::{Rejection, Violation};
use crate::compile::account::account_catalogue;
use crate::lang::diag::{Diagnostic, LineIndex};
use crate::model::catalogue::Catalogue;
use crate::model::id::AccountId;
use crate::model::object::ObjectKey;
use crate::model::revision::Revision;
use crate::model::state::{AccountState, Shared, State};
use crate::model::text::{InvalidText, check_description};

/// The violations of one object while it is being looked at.
#[derive(Default)]
pub(super) struct Violations(Vec<Violation>);

// === impl Violations ===

impl Violations {
    pub(super) fn add(&mut self, field: impl Into<String>, code: &'static str, problem: impl Into<String>) {
        self.0.push(Violation { field: field.into(), code, problem: problem.into() });
    }

    /// A short text of its own type.
    pub(super) fn text<T: FromStr<Err = InvalidText>>(&mut self, field: &str, text: &str) -> Option<T> {
        text.parse().map_err(|problem| self.bad_text(field, &problem)).ok()
    }

    /// A short text that may be left out: the empty one is none.
    pub(super) fn optional_text<T: FromStr<Err = InvalidText>>(&mut self, field: &str, text: &str) -> Option<T> {
        if text.is_empty() { None } else { self.text(field, text) }
    }

    pub(super) fn description(&mut self, field: &str, text: &str) {
        if let Err(problem) = check_description(text) {
            self.bad_text(field, &problem);
        }
    }

    /// `count` things where at most `limit` may be.
    pub(super) fn count(&mut self, field: &str, count: usize, limit: usize) {
        if count > limit {
            self.add(field, "limit_exceeded", format!("holds {count} entries, the limit is {limit}"));
        }
    }

    /// `length` bytes where at most `limit` may be.
    pub(super) fn bytes(&mut self, field: &str, length: usize, limit: usize) {
        if length > limit {
            self.add(field, "limit_exceeded", format!("is {length} bytes long, the limit is {limit}"));
        }
    }

    /// A reference that leads nowhere.
    pub(super) fn dangling(&mut self, field: impl Into<String>, noun: &str, id: impl Display) {
        self.add(field, "not_found", format!("there is no {noun} `{id}`"));
    }

    /// One violation for each error of a text; its warnings are returned.
    pub(super) fn diagnostics(&mut self, field: &str, text: &str, diagnostics: &[Diagnostic]) -> Vec<String> {
        let lines = LineIndex::new(text);
        let mut warnings = Vec::new();
        for diagnostic in diagnostics {
            let told = told(diagnostic, &lines);
            if diagnostic.is_error() {
                self.add(field, diagnostic.code, told);
            } else {
                warnings.push(format!("`{field}`: {told} [{}]", diagnostic.code));
            }
        }
        warnings
    }

    /// The value, where nothing was wrong.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, Rejection> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(Rejection::Invalid(self.0)),
        }
    }

    fn bad_text(&mut self, field: &str, problem: &InvalidText) {
        let code = match problem {
            InvalidText::Empty => "empty",
            InvalidText::TooLong { .. } => "limit_exceeded",
            InvalidText::Control(_) => "control_character",
        };
        self.add(field, code, problem.to_string());
    }
}

/// A diagnostic with its place, and what to do where that is known.
fn told(diagnostic: &Diagnostic, lines: &LineIndex<'_>) -> String {
    let at = lines.position(diagnostic.span.start);
    // A help is a sentence of its own; a problem ends without a period.
    let help = diagnostic.help.as_ref().map(|help| format!(". {}", help.trim_end_matches('.'))).unwrap_or_default();
    format!("line {}, column {}: {}{help}", at.line, at.column, diagnostic.message)
}

pub(super) fn account(state: &State, id: AccountId) -> Result<&AccountState, Rejection> {
    state.account(id).ok_or_else(|| Rejection::NotFound { noun: "account", id: id.to_string() })
}

/// The record of `key`, which must be there and as the caller last saw it.
pub(super) fn current<'a, T>(
    record: Option<&'a Shared<T>>,
    key: &ObjectKey,
    expected: Option<Revision>,
) -> Result<&'a Shared<T>, Rejection> {
    let record = record.ok_or_else(|| Rejection::NotFound { noun: key.noun(), id: key.id() })?;
    match expected.filter(|expected| *expected != record.revision) {
        None => Ok(record),
        Some(expected) => Err(Rejection::Mismatch { key: Box::new(key.clone()), expected, found: record.revision }),
    }
}

/// Refuses an id that is taken.
pub(super) fn new_id<T>(taken: Option<&Shared<T>>, key: &ObjectKey) -> Result<(), Rejection> {
    match taken {
        None => Ok(()),
        Some(_) => Err(Rejection::AlreadyExists { noun: key.noun(), what: format!("id `{}`", key.id()) }),
    }
}

/// Refuses a name that another object bears; an object that is being made has no `own` yet.
pub(super) fn free<I: PartialEq>(
    noun: &'static str,
    what: &str,
    name: &dyn Display,
    bearer: Option<I>,
    own: Option<&I>,
) -> Result<(), Rejection> {
    match bearer.filter(|bearer| Some(bearer) != own) {
        None => Ok(()),
        Some(_) => Err(Rejection::AlreadyExists { noun, what: format!("{what} `{name}`") }),
    }
}

/// Refuses one more where `holder` has `count` of at most `limit`.
pub(super) fn room(
    holder: impl Into<String>,
    nouns: &'static str,
    count: usize,
    limit: usize,
) -> Result<(), Rejection> {
    if count < limit { Ok(()) } else { Err(Rejection::Full { holder: holder.into(), nouns, limit }) }
}

/// What an account's texts are validated against: the shipped catalogue with the account's additions.
pub(super) fn catalogue(state: &State, account: &AccountState) -> Result<Arc<Catalogue>, Rejection> {
    let global = state.global.as_ref();
    let global = global.ok_or(Rejection::NotFound { noun: "global level", id: String::new() })?;
    let shipped = Arc::new(Catalogue::from_entries(&global.value.catalogue));
    account_catalogue(account, &shipped).map_err(|rejected| {
        let code = "catalogue_conflict";
        Rejection::Invalid(vec![Violation { field: "permission".to_owned(), code, problem: rejected.to_string() }])
    })
}

/// How many things need an object, in words; `None` where nothing does.
pub(super) fn users_of(counts: &[(usize, &str)]) -> Option<String> {
    let counted = counts.iter().filter(|(count, _)| *count > 0);
    let words: Vec<_> = counted.map(|(count, noun)| format!("{count} {noun}")).collect();
    (!words.is_empty()).then(|| words.join(" and "))
}

/// Refuses to take away what is in use, unless its users may go too.
pub(super) fn unused(key: &ObjectKey, users: Option<String>, force: bool) -> Result<(), Rejection> {
    match users {
        Some(by) if !force => Err(Rejection::InUse { noun: key.noun(), id: key.id(), by }),
        _ => Ok(()),
    }
}
