//! Diagnostics: what is wrong with a text, where, and what to do.

use std::fmt;

use super::span::Span;
use crate::model::limits;

mod render;

pub use render::render;

/// The longest piece of a text that a message quotes, in characters.
const EXCERPT_CHARACTERS: usize = 60;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The text is refused.
    Error,
    /// The text is taken; its author should look at it.
    Warning,
}

/// One finding in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// A stable name in snake case, for programs.
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// The part of the text it is about.
    pub span: Span,
    /// What is wrong: lower case, names in back-ticks, no final period.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// A place in a text as people count it (rules R27).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in Unicode characters.
    pub column: usize,
}

/// Where the lines of a text begin.
#[derive(Debug, Clone)]
pub struct LineIndex<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

// === impl Severity ===

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

// === impl Diagnostic ===

impl Diagnostic {
    /// An error without help.
    #[must_use]
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Error, span, message: message.into(), help: None }
    }

    /// A warning without help.
    #[must_use]
    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, span, message) }
    }

    /// The same with a sentence on what to do.
    #[must_use]
    pub fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// Whether the text is refused for it.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

// === impl LineIndex ===

impl<'t> LineIndex<'t> {
    /// The lines of `text`; a line ends at LF (rules R24).
    #[must_use]
    pub fn new(text: &'t str) -> Self {
        let breaks = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(breaks).collect() }
    }

    /// The position of a byte of the text; one past the end is a position too.
    #[must_use]
    pub fn position(&self, offset: usize) -> Position {
        let line = self.starts.partition_point(|&start| start <= offset).max(1);
        let start = self.line_start(line);
        let before = self.text.get(start..offset).unwrap_or_default();
        Position { line, column: before.chars().count() + 1 }
    }

    /// The line of this number without its line break; empty past the last.
    #[must_use]
    pub fn line(&self, line: usize) -> &'t str {
        let whole = self.text.get(self.line_start(line)..self.line_start(line + 1)).unwrap_or_default();
        let whole = whole.strip_suffix('\n').unwrap_or(whole);
        whole.strip_suffix('\r').unwrap_or(whole)
    }

    fn line_start(&self, line: usize) -> usize {
        self.starts.get(line.saturating_sub(1)).copied().unwrap_or(self.text.len())
    }
}

/// The diagnostics of one text as they are reported: sorted by place, [`limits::DIAGNOSTICS`] at most and then one
/// `too_many_errors` that says how many were left out.
#[must_use]
pub fn in_order(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    diagnostics.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.severity));
    let rest = diagnostics.split_off(limits::DIAGNOSTICS.min(diagnostics.len()));
    let Some(first) = rest.first() else { return diagnostics };
    // An error that is left out must not leave the text accepted.
    let severity = rest.iter().map(|diagnostic| diagnostic.severity).min().unwrap_or(Severity::Error);
    let message = format!("{} more findings are not listed", rest.len());
    diagnostics.push(Diagnostic { severity, ..Diagnostic::error("too_many_errors", first.span, message) });
    diagnostics
}

/// A piece of a text as a message quotes it: in back-ticks, cut, and without characters that move a terminal's cursor.
#[must_use]
pub fn excerpt(text: &str) -> String {
    let mut shown: String = text.chars().take(EXCERPT_CHARACTERS).map(printable).collect();
    if text.chars().nth(EXCERPT_CHARACTERS).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// A stand-in for a character that a terminal would obey or hide.
fn printable(c: char) -> char {
    match c {
        '\t' | '\n' | '\r' => ' ',
        c if c.is_control() || is_invisible(c) => '\u{fffd}',
        c => c,
    }
}

/// Whether a character has no width, or turns the direction of those beside it.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests;
