//! Diagnostics for people: the finding, its place, the line it stands in.

use std::fmt::Write;

use super::{Diagnostic, LineIndex, printable};

/// Characters of a source line that are shown; a longer line is cut to a window around the finding.
const WINDOW: usize = 100;
/// Characters of the window before the finding.
const LEAD: usize = 40;

/// Renders `diagnostics` in the order of their places; `name` is that of the text.
#[must_use]
pub fn render(name: &str, text: &str, diagnostics: &[Diagnostic]) -> String {
    let index = LineIndex::new(text);
    let mut sorted: Vec<_> = diagnostics.iter().collect();
    sorted.sort_by_key(|diagnostic| diagnostic.span.start);
    sorted.into_iter().map(|diagnostic| render_one(name, &index, diagnostic)).collect()
}

fn render_one(name: &str, index: &LineIndex<'_>, diagnostic: &Diagnostic) -> String {
    let Diagnostic { code, severity, span, message, help } = diagnostic;
    let position = index.position(span.start);
    let line = index.line(position.line);
    let last = index.position(span.end);
    let end = if last.line == position.line { last.column } else { line.chars().count() + 1 };
    let (shown, carets) = window(line, position.column, end);
    let number = position.line.to_string();
    let gutter = " ".repeat(number.len());
    let mut out = format!("{severity}[{code}]: {message}\n");
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{gutter}--> {name}:{}:{}", position.line, position.column);
    let _ = writeln!(out, "{number} | {shown}\n{gutter} | {carets}");
    if let Some(help) = help {
        let _ = writeln!(out, "help: {help}");
    }
    out.push('\n');
    out
}

/// The part of `line` around the columns `column..end`, and the carets under them.
fn window(line: &str, column: usize, end: usize) -> (String, String) {
    let length = line.chars().count();
    let start = if length <= WINDOW { 0 } else { (column - 1).saturating_sub(LEAD) };
    let mut shown: String = line.chars().skip(start).take(WINDOW).map(printable).collect();
    let mut lead = column - 1 - start;
    if start > 0 {
        shown.insert(0, '…');
        lead += 1;
    }
    if length > start + WINDOW {
        shown.push('…');
    }
    let room = (start + WINDOW + 1).saturating_sub(column);
    let carets = end.saturating_sub(column).min(room).max(1);
    (shown, format!("{}{}", " ".repeat(lead), "^".repeat(carets)))
}
