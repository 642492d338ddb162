//! The words that are no names (rules R26: in any case).

/// A keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    Allow,
    Deny,
    Where,
    And,
    /// None of the language; known for the sake of its message.
    Or,
    Not,
    In,
    StartsWith,
    Match,
    Null,
    /// None of the language; known for the sake of its message.
    True,
    /// None of the language; known for the sake of its message.
    False,
}

const SPELLINGS: [(&str, Keyword); 12] = [
    ("ALLOW", Keyword::Allow),
    ("DENY", Keyword::Deny),
    ("WHERE", Keyword::Where),
    ("AND", Keyword::And),
    ("OR", Keyword::Or),
    ("NOT", Keyword::Not),
    ("IN", Keyword::In),
    ("startsWith", Keyword::StartsWith),
    ("MATCH", Keyword::Match),
    ("null", Keyword::Null),
    ("true", Keyword::True),
    ("false", Keyword::False),
];

/// The bytes of the longest one. Most words are names and longer.
const LONGEST: usize = "startsWith".len();

impl Keyword {
    /// The keyword a word spells.
    pub(super) fn of(word: &str) -> Option<Self> {
        if word.len() > LONGEST {
            return None;
        }
        SPELLINGS.into_iter().find(|(spelling, _)| spelling.eq_ignore_ascii_case(word)).map(|(_, keyword)| keyword)
    }

    /// Whether it begins an operator.
    pub(super) fn is_operator(self) -> bool {
        matches!(self, Self::Not | Self::In | Self::StartsWith | Self::Match)
    }

    /// Whether it begins a part of a statement, so that it stands for no value that lacks its quotes.
    pub(super) fn is_structure(self) -> bool {
        matches!(self, Self::Allow | Self::Deny | Self::Where | Self::And | Self::Or)
    }
}
