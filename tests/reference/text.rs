//! Comparison of texts, bytewise (D11), and MATCH by a table that cannot be wrong.

use doorward::lang::ast::GlobalAttribute;
use doorward::model::catalogue::Operator;

use super::expand::{Filled, Part};
use super::truth::Facts;

/// Whether one value passes the positive form of a condition: `=` of `!=`, `IN` of `NOT IN`, and so on.
pub(super) fn passes(condition: &Filled, value: &str, facts: &Facts<'_>) -> bool {
    condition.values.iter().any(|written| match (is_user_groups(written), condition.operator) {
        // Rules R15, R20: the whole of an element, standing for the ids of all the caller's groups.
        (true, _) => facts.groups.iter().any(|group| group == value),
        (false, Operator::StartsWith | Operator::NotStartsWith) => {
            value.as_bytes().starts_with(text_of(written, facts).as_bytes())
        }
        (false, Operator::Match) => matches(&pattern_of(written, facts), value.as_bytes()),
        (false, _) => value.as_bytes() == text_of(written, facts).as_bytes(),
    })
}

fn is_user_groups(value: &[Part]) -> bool {
    value == [Part::Global(GlobalAttribute::UserGroup)]
}

/// The text of a value, placeholders filled in.
pub(super) fn text_of(value: &[Part], facts: &Facts<'_>) -> String {
    value.iter().map(|part| part_text(part, facts)).collect()
}

fn part_text<'a>(part: &'a Part, facts: &'a Facts<'_>) -> &'a str {
    match part {
        Part::Written(text) | Part::Data(text) => text,
        Part::Global(GlobalAttribute::UserId) => &facts.user_id,
        Part::Global(GlobalAttribute::LevelId) => &facts.level_id,
        Part::Global(GlobalAttribute::UserGroup) => "",
    }
}

/// One sign of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// This byte.
    Byte(u8),
    /// Any run of bytes, the empty one too.
    Star,
}

/// Only a `*` that the author of the text wrote is a wildcard (rules R22).
fn pattern_of(value: &[Part], facts: &Facts<'_>) -> Vec<Sign> {
    let mut signs = Vec::new();
    for part in value {
        let wild = matches!(part, Part::Written(_));
        let sign = |byte| if wild && byte == b'*' { Sign::Star } else { Sign::Byte(byte) };
        signs.extend(part_text(part, facts).bytes().map(sign));
    }
    signs
}

/// Whether the pattern fits the whole value: `fits[i]` says whether the signs so far fit the first `i` bytes.
fn matches(pattern: &[Sign], value: &[u8]) -> bool {
    let mut fits = vec![false; value.len() + 1];
    fits[0] = true;
    for sign in pattern {
        let before = fits.clone();
        for end in 0..fits.len() {
            fits[end] = match sign {
                Sign::Byte(byte) => end > 0 && before[end - 1] && value[end - 1] == *byte,
                Sign::Star => before[..=end].contains(&true),
            };
        }
    }
    fits[value.len()]
}

#[test]
fn the_table_matches_as_it_should() {
    let signs =
        |text: &str| text.bytes().map(|b| if b == b'*' { Sign::Star } else { Sign::Byte(b) }).collect::<Vec<_>>();
    let rows = [
        ("", "", true),
        ("", "a", false),
        ("*", "", true),
        ("*", "abc", true),
        ("a*", "a", true),
        ("a*", "ba", false),
        ("*a", "ba", true),
        ("*ab*", "aab", true),
        ("a*a", "a", false),
        ("a*b*c", "axbxbc", true),
        ("a*b*c", "acb", false),
        ("**", "x", true),
    ];
    for (pattern, value, expected) in rows {
        assert_eq!(matches(&signs(pattern), value.as_bytes()), expected, "`{pattern}` on `{value}`");
    }
}
