//! Comparison of texts: bytewise, no case folding, no normalisation (D11), linear in the value.

use smallvec::SmallVec;

use super::condition::Facts;
use crate::compile::program::{Computed, Listed, Part, Pattern, Patterns, Text, TextTest};

/// Bytes of a computed stretch that need no allocation.
const WHOLE: usize = 256;

/// Whether a value passes a test in its positive form.
pub(super) fn matches(test: &TextTest, value: &str, facts: &Facts<'_, '_>) -> bool {
    match test {
        TextTest::Equals(_, whole) => strip_prefix(whole, value, facts) == Some(""),
        TextTest::StartsWith(_, first) => strip_prefix(first, value, facts).is_some(),
        TextTest::OneOf(_, Listed { literals, computed }) => {
            literals.binary_search_by(|literal| (**literal).cmp(value)).is_ok()
                || computed.as_ref().is_some_and(|computed| is_computed(computed, value, facts))
        }
        TextTest::Match(_, Patterns { patterns, user_groups }) => {
            patterns.iter().any(|pattern| matches_pattern(pattern, value, facts))
                || (*user_groups && facts.is_own_group(value))
        }
    }
}

fn is_computed(computed: &Computed, value: &str, facts: &Facts<'_, '_>) -> bool {
    computed.templates.iter().any(|text| strip_prefix(text, value, facts) == Some(""))
        || (computed.user_groups && facts.is_own_group(value))
}

/// Whether the whole value fits: the first stretch at its start, the last at its end, the others in between in order.
fn matches_pattern(pattern: &Pattern, value: &str, facts: &Facts<'_, '_>) -> bool {
    let stretches = match pattern {
        Pattern::StartsWith(first) => return strip_prefix(first, value, facts).is_some(),
        Pattern::EndsWith(last) => return strip_suffix(last, value, facts).is_some(),
        Pattern::Stretches(stretches) => stretches,
    };
    match stretches.as_ref() {
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
        Text::Template(parts) => {
            // In one piece it is found in linear time; tried at each place it would cost its length there.
            let pieces = parts.iter().flat_map(|part| part_text(part, facts).bytes());
            let whole: SmallVec<[u8; WHOLE]> = pieces.collect();
            let whole = std::str::from_utf8(&whole).ok()?;
            value.split_once(whole).map(|(_, rest)| rest)
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
