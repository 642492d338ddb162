//! Quoted values: escapes, placeholders, and where a value without an end was meant to end (rules R21, R25).

use super::character::{is_typographic_quote, name};
use super::{Lexer, TokenKind};
use crate::lang::ast::{GlobalAttribute, ParameterName, Piece, Value};
use crate::lang::diag::{Diagnostic, excerpt};
use crate::lang::span::Span;
use crate::model::limits;

/// Every placeholder there is, for messages.
const KNOWN: &str = "`${bindParam:name}`, `${global:userId}`, `${global:userGroup}` and `${global:levelId}`";

/// Line breaks over which a value is followed before it counts as one without an end. Bounds what is read twice.
const FOLLOWED_BREAKS: usize = 8;

/// A value in the making.
#[derive(Default)]
struct Draft {
    pieces: Vec<Piece>,
    text: String,
    /// Bytes of text so far, placeholders not counted.
    bytes: usize,
    /// Line breaks so far.
    breaks: usize,
    /// What is wrong inside; forgotten where the value has no end, since then it is not known what is inside.
    faults: Vec<Diagnostic>,
}

/// How a value ends.
enum Ending {
    Quote,
    Missing,
}

impl Draft {
    fn push(&mut self, c: char) {
        self.text.push(c);
        self.bytes += c.len_utf8();
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            self.pieces.push(Piece::Text(std::mem::take(&mut self.text)));
        }
    }

    /// Takes what stands between `${` and `}`.
    fn placeholder(&mut self, inside: &str, span: Span) {
        let piece = match (parameter(inside), global(inside)) {
            (Some(Ok(name)), _) => Piece::BindParam(name),
            (_, Some(attribute)) => Piece::Global(attribute),
            (Some(Err((code, message))), None) => {
                let help = format!(
                    "A name is a letter or digit, then letters, digits, `-` and `_`, 128 bytes at most; {KNOWN} are known."
                );
                return self.fault(code, span, message, help);
            }
            (None, None) => {
                let message = format!("unknown placeholder {}", excerpt(&format!("${{{inside}}}")));
                return self.fault("unknown_placeholder", span, message, format!("The placeholders are {KNOWN}."));
            }
        };
        self.flush();
        self.pieces.push(piece);
    }

    fn fault(&mut self, code: &'static str, span: Span, message: String, help: impl Into<String>) {
        self.faults.push(Diagnostic::error(code, span, message).with_help(help));
    }
}

impl<'t> Lexer<'t> {
    pub(super) fn string(&mut self, quote: char) {
        let start = self.at;
        self.bump();
        if let Some(plain) = self.plain(quote) {
            self.at += plain.len() + quote.len_utf8();
            return self.push_value(start, vec![Piece::Text(plain.to_owned())]);
        }
        let mut draft = Draft::default();
        match self.string_body(quote, &mut draft) {
            Ending::Quote => self.finish_string(start, draft),
            Ending::Missing => self.unterminated(start, quote),
        }
    }

    /// What stands before the quote, where that is some plain ASCII: nearly always. It is what the body would be read as.
    fn plain(&self, quote: char) -> Option<&'t str> {
        let rest = self.rest();
        let is_plain =
            |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'\\' | b'$') && char::from(*byte) != quote;
        let length = rest.bytes().take_while(|byte| is_plain(byte)).count();
        let (plain, behind) = rest.split_at_checked(length)?;
        (behind.starts_with(quote) && (1..=limits::VALUE_BYTES).contains(&length)).then_some(plain)
    }

    fn push_value(&mut self, start: usize, pieces: Vec<Piece>) {
        self.out.values.push(Value { pieces });
        self.push(TokenKind::Text(self.out.values.len() - 1), start);
    }

    fn string_body(&mut self, quote: char, draft: &mut Draft) -> Ending {
        while let Some(c) = self.peek() {
            match c {
                c if c == quote => {
                    self.bump();
                    return Ending::Quote;
                }
                '\n' => {
                    if draft.breaks == FOLLOWED_BREAKS || !self.spans_lines(quote) {
                        return Ending::Missing;
                    }
                    self.line_break_inside(draft);
                }
                '\r' if self.rest().starts_with("\r\n") => self.bump(),
                '\\' => self.escape(draft),
                '$' if self.rest().starts_with("${") => {
                    if !self.placeholder(quote, draft) {
                        return Ending::Missing;
                    }
                }
                c if c.is_control() && c != '\t' => self.control(c, draft),
                c => {
                    self.bump();
                    draft.push(c);
                }
            }
        }
        Ending::Missing
    }

    /// At a LF in a value: whether the value was meant to go on, which the quotes of the next line tell.
    fn spans_lines(&self, quote: char) -> bool {
        let next = self.rest().split('\n').nth(1).unwrap_or_default();
        next.matches(quote).count() % 2 == 1
    }

    fn line_break_inside(&mut self, draft: &mut Draft) {
        let start = self.at;
        self.bump();
        draft.breaks += 1;
        let message = "a value cannot hold a line break".to_owned();
        draft.fault("line_break_in_string", Span::new(start, self.at), message, "Write the value on one line.");
    }

    fn finish_string(&mut self, start: usize, mut draft: Draft) {
        draft.flush();
        if draft.bytes > limits::VALUE_BYTES {
            let message = format!("the value has {} bytes, more than {}", draft.bytes, limits::VALUE_BYTES);
            draft.fault("value_too_long", Span::new(start, self.at), message, "Shorten the value.");
        }
        if draft.faults.is_empty() {
            return self.push_value(start, draft.pieces);
        }
        self.out.diagnostics.append(&mut draft.faults);
        self.push(TokenKind::Reported, start);
    }

    /// A value that does not end in its line: it is taken to end where its author most likely forgot the quote.
    fn unterminated(&mut self, start: usize, quote: char) {
        self.at = start + quote.len_utf8();
        let line = self.line_rest();
        if let Some((end, c)) = line.char_indices().find(|&(_, c)| is_typographic_quote(c)) {
            self.at += end + c.len_utf8();
            self.typographic_quotes(start);
        } else {
            self.at += before_line_tail(line);
            let message = format!("{} has no closing quote", excerpt(self.since(start)));
            self.report("unterminated_string", start, message, &format!("Close the value with `{quote}`."));
        }
        self.push(TokenKind::Reported, start);
    }

    fn escape(&mut self, draft: &mut Draft) {
        let start = self.at;
        self.bump();
        match self.peek() {
            Some(c @ ('"' | '\'' | '\\')) => {
                self.bump();
                draft.push(c);
            }
            Some(c) if !c.is_control() => {
                self.bump();
                let message = format!("{} is no escape", excerpt(self.since(start)));
                let help = r#"Only `\"`, `\'` and `\\` are escapes; write `\\` for a backslash."#;
                draft.fault("bad_escape", Span::new(start, self.at), message, help);
            }
            // A backslash at the end of a line: the value has no end, or the control character is reported next.
            _ => {
                let span = Span::new(start, self.at);
                draft.fault("bad_escape", span, "`\\` escapes nothing".to_owned(), "Write `\\\\`.");
            }
        }
    }

    fn control(&mut self, c: char, draft: &mut Draft) {
        let start = self.at;
        self.bump();
        let message = format!("a value cannot hold {}", name(c));
        draft.fault("control_character", Span::new(start, self.at), message, "Delete the character.");
    }

    /// Reads a placeholder; false where the value has no end in this line.
    fn placeholder(&mut self, quote: char, draft: &mut Draft) -> bool {
        let start = self.at;
        let line = self.line_rest();
        let Some(end) = line.find(['}', quote, '\\']) else { return false };
        if line.get(end..).unwrap_or_default().starts_with('}') {
            self.at += end + 1;
            draft.placeholder(line.get(2..end).unwrap_or_default(), Span::new(start, self.at));
        } else {
            self.at += end;
            let message = "`${` begins a placeholder that has no `}`".to_owned();
            let help = format!("The placeholders are {KNOWN}; a literal `${{` cannot be written.");
            draft.fault("unterminated_placeholder", Span::new(start, self.at), message, help);
        }
        true
    }
}

/// The parameter that a placeholder names, or why it names none; `None` where it is of another kind.
fn parameter(inside: &str) -> Option<Result<ParameterName, (&'static str, String)>> {
    let name = inside.strip_prefix("bindParam:")?;
    Some(name.parse().map_err(|_| {
        let bytes = name.len();
        if bytes > limits::PARAMETER_NAME_BYTES {
            let limit = limits::PARAMETER_NAME_BYTES;
            ("placeholder_name_too_long", format!("{} has {bytes} bytes, more than {limit}", excerpt(name)))
        } else {
            ("bad_placeholder_name", format!("{} is no parameter name", excerpt(name)))
        }
    }))
}

fn global(inside: &str) -> Option<GlobalAttribute> {
    let name = inside.strip_prefix("global:")?;
    GlobalAttribute::ALL.into_iter().find(|attribute| attribute.name() == name)
}

/// The length of a line without the blanks, `;` and `)` at its end.
pub(super) fn before_line_tail(line: &str) -> usize {
    line.trim_end_matches([' ', '\t', '\r', ';', ')']).len()
}
