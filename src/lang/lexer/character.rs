//! What each character may begin, and the names of those that a text may not hold (rules R24).

use super::TokenKind;
use crate::lang::diag::is_invisible;

/// What a character outside a string is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Blank, tab or CR.
    Blank,
    /// LF.
    LineBreak,
    /// A straight quote.
    Quote,
    /// A token by itself.
    Punctuation(TokenKind),
    /// A part of an operator, or of what looks like one.
    Symbol,
    Slash,
    Hash,
    Dollar,
    BackTick,
    /// A part of a word.
    Word,
    /// A letter that names may not hold.
    Letter,
    TypographicQuote,
    /// White space of Unicode that is none here.
    Space,
    /// A character without width.
    Invisible,
    Other,
}

impl Class {
    pub(super) fn of(c: char) -> Self {
        match c {
            ' ' | '\t' | '\r' => Self::Blank,
            '\n' => Self::LineBreak,
            '"' | '\'' => Self::Quote,
            '(' => Self::Punctuation(TokenKind::Open),
            ')' => Self::Punctuation(TokenKind::Close),
            ',' => Self::Punctuation(TokenKind::Comma),
            ';' => Self::Punctuation(TokenKind::Semicolon),
            '=' | '!' | '<' | '>' | '&' | '|' | '~' | '^' => Self::Symbol,
            '/' => Self::Slash,
            '#' => Self::Hash,
            '$' => Self::Dollar,
            '`' => Self::BackTick,
            c if u8::try_from(c).is_ok_and(is_word) => Self::Word,
            c if is_typographic_quote(c) => Self::TypographicQuote,
            c if is_invisible(c) => Self::Invisible,
            c if c.is_whitespace() => Self::Space,
            c if c.is_alphanumeric() => Self::Letter,
            _ => Self::Other,
        }
    }
}

/// Whether a byte is an ASCII character of a word.
pub(super) const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'*')
}

/// Whether a word processor sets this for `"` or `'`.
pub(super) fn is_typographic_quote(c: char) -> bool {
    is_double(c) || matches!(c, '‘' | '’' | '‚' | '‛' | '‹' | '›' | '´')
}

fn is_double(c: char) -> bool {
    matches!(c, '“' | '”' | '„' | '‟' | '«' | '»' | '″' | '＂')
}

/// Whether `c` ends what the typographic quote `open` began.
pub(super) fn closes(open: char, c: char) -> bool {
    if is_double(open) { is_double(c) || c == '"' } else { is_typographic_quote(c) && !is_double(c) || c == '\'' }
}

/// The code of a character that is taken for white space.
pub(super) fn white_space_code(c: char) -> &'static str {
    match c {
        '\u{feff}' => "byte_order_mark",
        '\u{a0}' | '\u{202f}' => "no_break_space",
        '\u{c}' => "form_feed",
        _ => "unexpected_white_space",
    }
}

/// A character by number and, where it is a usual guest in pasted texts, by name.
pub(super) fn name(c: char) -> String {
    let name = match c {
        '\0' => " (null)",
        '\u{b}' => " (vertical tab)",
        '\u{c}' => " (form feed)",
        '\r' => " (carriage return)",
        '\u{1b}' => " (escape)",
        '\u{7f}' => " (delete)",
        '\u{85}' => " (next line)",
        '\u{a0}' => " (no-break space)",
        '\u{ad}' => " (soft hyphen)",
        '\u{200b}' => " (zero width space)",
        '\u{200c}' => " (zero width non-joiner)",
        '\u{200d}' => " (zero width joiner)",
        '\u{2026}' => " (ellipsis)",
        '\u{2028}' => " (line separator)",
        '\u{2029}' => " (paragraph separator)",
        '\u{202f}' => " (narrow no-break space)",
        '\u{2060}' => " (word joiner)",
        '\u{3000}' => " (ideographic space)",
        '\u{feff}' => " (byte order mark)",
        c if c.is_control() => " (control character)",
        c if c.is_whitespace() || is_invisible(c) => "",
        c => return format!("U+{:04X} `{c}`", c as u32),
    };
    format!("U+{:04X}{name}", c as u32)
}
