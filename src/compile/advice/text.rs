//! Conditions on one text attribute, joined by AND: whether any value is left.

use std::collections::HashSet;

use crate::compile::stretches::fits;
use crate::lang::ast::{Condition, Piece, Value};
use crate::lang::span::Spanned;
use crate::model::catalogue::Operator;

/// How many values may be behind a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Values {
    /// One: each condition is about it.
    One,
    /// Several: a positive operator asks for any of them, a negative one for none (rules R3, R6).
    Any,
}

/// What conditions ask of a name. Values with placeholders are known by their spelling only: equal spellings are equal
/// values, and nothing else is known of them.
#[derive(Default)]
struct Asked<'a> {
    /// It is one of each of these.
    lists: Vec<HashSet<&'a Value>>,
    /// It starts with each of these.
    prefixes: Vec<&'a str>,
    /// It fits one of each of these: the texts of patterns without placeholders.
    patterns: Vec<Vec<&'a str>>,
    /// It is none of these.
    excluded: HashSet<&'a Value>,
    /// It starts with none of these.
    excluded_prefixes: Vec<&'a str>,
}

/// Whether no request can satisfy all of `conditions`, which are all about one name.
pub(super) fn never_hold(conditions: &[&Spanned<Condition>], values: Values) -> bool {
    let mut asked = Asked::default();
    for condition in conditions {
        asked.add(&condition.node);
    }
    match values {
        Values::One => asked.leaves_no_value(),
        Values::Any => asked.excludes_what_it_asks_for(),
    }
}

// === impl Asked ===

impl<'a> Asked<'a> {
    fn add(&mut self, condition: &'a Condition) {
        let values = condition.values.iter().map(|value| &value.node);
        let texts = || condition.values.iter().filter_map(|value| value.node.as_text());
        match condition.operator.node {
            Operator::Equal | Operator::In => self.lists.push(values.collect()),
            Operator::NotEqual | Operator::NotIn => self.excluded.extend(values),
            Operator::StartsWith => self.prefixes.extend(texts()),
            Operator::NotStartsWith => self.excluded_prefixes.extend(texts()),
            Operator::Match if values.clone().all(is_plain) => self.lists.push(values.collect()),
            Operator::Match if texts().count() == condition.values.len() => self.patterns.push(texts().collect()),
            Operator::Match | Operator::Less | Operator::Greater => {}
        }
    }

    fn leaves_no_value(&self) -> bool {
        // Where the shortest list has no value left, no value is left at all.
        if let Some(list) = self.lists.iter().min_by_key(|list| list.len()) {
            return list.iter().all(|value| self.excludes(value) || self.is_outside(value));
        }
        let longest = self.prefixes.iter().max_by_key(|prefix| prefix.len()).copied().unwrap_or_default();
        self.prefixes.iter().any(|prefix| !longest.starts_with(prefix))
            || self.excludes_prefix(longest)
            || self.patterns.iter().any(|patterns| patterns.iter().all(|pattern| !may_start(pattern, longest)))
    }

    fn excludes_what_it_asks_for(&self) -> bool {
        self.lists.iter().any(|list| list.iter().all(|value| self.excludes(value)))
            || self.prefixes.iter().any(|prefix| self.excludes_prefix(prefix))
            || self.patterns.iter().any(|patterns| patterns.iter().all(|pattern| self.excludes_prefix(head(pattern))))
    }

    /// Whether a negative condition is FALSE for `value`.
    fn excludes(&self, value: &Value) -> bool {
        self.excluded.contains(value) || value.as_text().is_some_and(|text| self.excludes_prefix(text))
    }

    /// Whether everything that starts with `prefix` starts with something excluded.
    fn excludes_prefix(&self, prefix: &str) -> bool {
        self.excluded_prefixes.iter().any(|excluded| prefix.starts_with(excluded))
    }

    /// Whether a positive condition is FALSE for `value`.
    fn is_outside(&self, value: &Value) -> bool {
        let Some(text) = value.as_text() else { return false };
        let literal = |list: &HashSet<&Value>| list.iter().all(|value| value.as_text().is_some());
        self.lists.iter().any(|list| !list.contains(value) && literal(list))
            || self.prefixes.iter().any(|prefix| !text.starts_with(prefix))
            || self.patterns.iter().any(|patterns| !patterns.iter().any(|pattern| fits(pattern.split('*'), text)))
    }
}

/// Whether a pattern has no wildcard, so that it stands for one value. A `*` of a parameter is none (rules R22).
fn is_plain(pattern: &Value) -> bool {
    !pattern.pieces.iter().any(|piece| matches!(piece, Piece::Text(text) if text.contains('*')))
}

/// What everything that fits `pattern` starts with.
fn head(pattern: &str) -> &str {
    pattern.split('*').next().unwrap_or_default()
}

/// Whether something that fits `pattern` starts with `prefix`. It says yes where it does not know.
fn may_start(pattern: &str, prefix: &str) -> bool {
    let head = head(pattern);
    let open = head.starts_with(prefix) || prefix.starts_with(head);
    if pattern.contains('*') { open } else { pattern.starts_with(prefix) }
}
