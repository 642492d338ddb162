//! Diagnostics: what is wrong with a text, where, and what to do.

use super::span::Span;

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
