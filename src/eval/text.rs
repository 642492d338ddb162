//! Comparison of texts: bytewise, no case folding, no normalisation (D11), linear but for computed stretches of a pattern.

use super::condition::Facts;
use crate::compile::program::{Part, Pattern, ScalarTest, Text};

pub(super) fn matches_scalar(scalar: &ScalarTest, value: &str, facts: &Facts<'_, '_>) -> bool {
    match scalar {
        ScalarTest::Equals(text) => strip_prefix(text, value, facts) == Some(""),
        ScalarTest::StartsWith(text) => strip_prefix(text, value, facts).is_some(),
        ScalarTest::OneOf { literals, templates, user_groups } => {
            literals.binary_search_by(|literal| (**literal).cmp(value)).is_ok()
                || templates.iter().any(|text| strip_prefix(text, value, facts) == Some(""))
                || (*user_groups && facts.is_own_group(value))
        }
    }
}

/// Whether the whole value fits: the first stretch at its start, the last at its end, the others in between in order.
pub(super) fn matches_pattern(pattern: &Pattern, value: &str, facts: &Facts<'_, '_>) -> bool {
    match pattern.stretches.as_ref() {
        [] => false,
        [whole] => strip_prefix(whole, value, facts) == Some(""),
        [first, between @ .., last] => {
            let rest = strip_prefix(first, value, facts).and_then(|rest| strip_suffix(last, rest, facts));
            // Taking each stretch where it first occurs leaves the most for those behind it.
            rest.and_then(|rest| between.iter().try_fold(rest, |rest, stretch| skip_past(stretch, rest, facts)))
                .is_some()
        }
    }
}

fn strip_prefix<'v>(text: &Text, value: &'v str, facts: &Facts<'_, '_>) -> Option<&'v str> {
    match text {
        Text::Literal(literal) => value.strip_prefix(&**literal),
        Text::Template(parts) => parts.iter().try_fold(value, |rest, part| rest.strip_prefix(part_text(part, facts))),
    }
}

fn strip_suffix<'v>(text: &Text, value: &'v str, facts: &Facts<'_, '_>) -> Option<&'v str> {
    match text {
        Text::Literal(literal) => value.strip_suffix(&**literal),
        Text::Template(parts) => {
            parts.iter().rev().try_fold(value, |rest, part| rest.strip_suffix(part_text(part, facts)))
        }
    }
}

/// What follows the first occurrence of `text`.
fn skip_past<'v>(text: &Text, value: &'v str, facts: &Facts<'_, '_>) -> Option<&'v str> {
    match text {
        Text::Literal(literal) => {
            value.split_once(&**literal).map(|(_, rest)| rest).or(literal.is_empty().then_some(value))
        }
        Text::Template(_) => {
            let starts = value.char_indices().map(|(at, _)| at).chain([value.len()]);
            starts.filter_map(|at| value.get(at..)).find_map(|rest| strip_prefix(text, rest, facts))
        }
    }
}

pub(super) fn part_text<'a>(part: &'a Part, facts: &'a Facts<'_, '_>) -> &'a str {
    match part {
        Part::Literal(text) => text,
        Part::UserId => facts.user_id(),
        Part::LevelId => facts.level_id(),
    }
}
