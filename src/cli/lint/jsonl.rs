//! `--jsonl`: a text a line in, an answer a line out, in order; blank lines are skipped. What else stands on a line is ignored.

use std::io::{self, BufRead, Read, Write};

use serde::Serialize;
use serde_json::Value;

use super::{INPUT_BYTES, Tally, TextKind, check_text};
use crate::lang::diag::{Diagnostic, LineIndex};
use crate::lang::span::Span;

/// One line of output.
#[derive(Serialize)]
struct Answer {
    id: Value,
    ok: bool,
    diagnostics: Vec<Finding>,
}

#[derive(Serialize)]
struct Finding {
    severity: String,
    code: &'static str,
    message: String,
    line: usize,
    column: usize,
    help: Option<String>,
}

/// A line that asks for something.
struct Question {
    id: Value,
    kind: TextKind,
    text: String,
}

/// A line that asks for nothing, with as much of its id as could be read.
struct BadLine {
    id: Value,
    why: String,
}

/// Answers each line of `source`.
pub(super) fn lint_lines(
    kind: TextKind,
    source: &mut dyn BufRead,
    out: &mut dyn Write,
    tally: &mut Tally,
) -> io::Result<()> {
    let mut number = 0;
    while let Some(line) = read_line(source)? {
        number += 1;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let answer = answer(kind, &line, number, tally);
        serde_json::to_writer(&mut *out, &answer)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// A line without its LF, cut where it is too long to be taken; `None` at the end.
fn read_line(source: &mut dyn BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let read = Read::take(&mut *source, INPUT_BYTES + 1).read_until(b'\n', &mut line)?;
    if read == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() as u64 > INPUT_BYTES {
        source.skip_until(b'\n')?;
    }
    Ok(Some(line))
}

fn answer(kind: TextKind, line: &[u8], number: usize, tally: &mut Tally) -> Answer {
    match question(kind, line) {
        Ok(Question { id, kind, text }) => {
            let diagnostics = check_text(kind, &text);
            tally.add(&diagnostics);
            let ok = !diagnostics.iter().any(Diagnostic::is_error);
            let index = LineIndex::new(&text);
            Answer { id, ok, diagnostics: diagnostics.into_iter().map(|found| finding(&index, found)).collect() }
        }
        Err(BadLine { id, why }) => {
            let found = Diagnostic::error("bad_line", Span::default(), why);
            let found =
                found.with_help(r#"Write `{"id": …, "as": "policy" or "boundary", "text": "…"}` on each line."#);
            tally.add(std::slice::from_ref(&found));
            let finding = finding(&LineIndex::new(""), found);
            // The text has no lines here: it is the line of the input that is bad.
            Answer { id, ok: false, diagnostics: vec![Finding { line: number, ..finding }] }
        }
    }
}

fn finding(index: &LineIndex<'_>, diagnostic: Diagnostic) -> Finding {
    let Diagnostic { code, severity, span, message, help } = diagnostic;
    let position = index.position(span.start);
    Finding { severity: severity.to_string(), code, message, line: position.line, column: position.column, help }
}

fn question(default: TextKind, line: &[u8]) -> Result<Question, BadLine> {
    let bad = |id: &Value, why: String| BadLine { id: id.clone(), why };
    if line.len() as u64 > INPUT_BYTES {
        return Err(bad(&Value::Null, format!("the line has more than {INPUT_BYTES} bytes")));
    }
    let object: Value =
        serde_json::from_slice(line).map_err(|error| bad(&Value::Null, format!("not JSON: {error}")))?;
    let id = object.get("id").cloned().unwrap_or(Value::Null);
    let kind = match object.get("as") {
        None | Some(Value::Null) => default,
        Some(Value::String(kind)) if kind == "policy" => TextKind::Policy,
        Some(Value::String(kind)) if kind == "boundary" => TextKind::Boundary,
        Some(_) => return Err(bad(&id, "`as` must be `policy` or `boundary`".to_owned())),
    };
    match object.get("text") {
        Some(Value::String(text)) => Ok(Question { id, kind, text: text.clone() }),
        _ => Err(bad(&id, "`text` must be a string".to_owned())),
    }
}
