//! Text to tokens.
//!
//! A lexeme the language does not have is reported here, once, and stands in the stream as [`TokenKind::Reported`],
//! over which the parser says nothing more. Each byte is looked at a bounded number of times.

use super::ast::Value;
use super::diag::{Diagnostic, excerpt};
use super::span::Span;

mod character;
mod string;

use character::Class;

/// What a token is. Words and symbols are told apart by their text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A keyword or a name, `:` and `*` included.
    Word,
    /// A run of `=`, `!`, `<`, `>` and their like.
    Symbol,
    /// A quoted value; the index of [`Tokens::values`].
    Text(usize),
    /// `(`
    Open,
    /// `)`
    Close,
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// Something already reported.
    Reported,
    /// The end of the text.
    End,
}

/// A token and its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Span,
    /// A line break stands between this and the token before it (rules R12).
    pub(super) on_new_line: bool,
}

/// A text taken apart.
#[derive(Debug)]
pub(super) struct Tokens {
    pub(super) list: Vec<Token>,
    pub(super) values: Vec<Value>,
    pub(super) diagnostics: Vec<Diagnostic>,
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    on_new_line: bool,
    /// Brackets and braces that were reported; what closes them is not reported again.
    open_brackets: usize,
    out: Tokens,
}

/// Takes `text` apart.
pub(super) fn tokenize(text: &str) -> Tokens {
    // A token has some five bytes with the white space behind it.
    let list = Vec::with_capacity(text.len() / 4);
    let out = Tokens { list, values: Vec::new(), diagnostics: Vec::new() };
    let mut lexer = Lexer { text, at: 0, on_new_line: false, open_brackets: 0, out };
    while let Some(c) = lexer.peek() {
        lexer.lexeme(c);
    }
    lexer.out
}

// === impl Lexer ===

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn since(&self, start: usize) -> &'t str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
    }

    fn bump_while(&mut self, belongs: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !belongs(c)).unwrap_or(rest.len());
    }

    /// What is left of the line, without its LF.
    fn line_rest(&self) -> &'t str {
        self.rest().split('\n').next().unwrap_or_default()
    }

    fn push(&mut self, kind: TokenKind, start: usize) {
        let span = Span::new(start, self.at);
        self.out.list.push(Token { kind, span, on_new_line: self.on_new_line });
        self.on_new_line = false;
    }

    fn report(&mut self, code: &'static str, start: usize, message: String, help: &str) {
        let span = Span::new(start, self.at);
        self.out.diagnostics.push(Diagnostic::error(code, span, message).with_help(help));
    }

    fn lexeme(&mut self, c: char) {
        match Class::of(c) {
            Class::Blank => self.bump(),
            Class::LineBreak => self.line_break(),
            Class::Quote => self.string(c),
            Class::Punctuation(kind) => self.punctuation(kind),
            Class::Symbol => self.symbol(),
            Class::Slash => self.slash(),
            Class::Hash => self.foreign_comment("hash_comment", "#"),
            Class::Word if self.rest().starts_with("--") => self.foreign_comment("dash_comment", "--"),
            Class::Word | Class::Letter => self.word(),
            Class::TypographicQuote => self.typographic(c),
            Class::BackTick => self.back_tick(),
            Class::Space | Class::Invisible => self.strange_space(c),
            Class::Dollar if self.rest().starts_with("${") => self.bare_placeholder(),
            Class::Dollar | Class::Other => self.other(),
        }
    }

    fn line_break(&mut self) {
        self.bump();
        self.on_new_line = true;
    }

    fn punctuation(&mut self, kind: TokenKind) {
        let start = self.at;
        self.bump();
        self.push(kind, start);
    }

    fn symbol(&mut self) {
        let start = self.at;
        self.bump_while(|c| Class::of(c) == Class::Symbol);
        self.push(TokenKind::Symbol, start);
    }

    fn slash(&mut self) {
        if self.rest().starts_with("//") {
            self.at += self.line_rest().len();
        } else if self.rest().starts_with("/*") {
            self.block_comment();
        } else {
            self.other();
        }
    }

    /// A comment of another language: reported, then skipped as what its author meant.
    fn foreign_comment(&mut self, code: &'static str, marker: &str) {
        let start = self.at;
        let line = self.line_rest();
        self.at += marker.len();
        self.report(code, start, format!("`{marker}` does not begin a comment"), "Write `//` before a comment.");
        self.at = start + line.len();
    }

    fn block_comment(&mut self) {
        let start = self.at;
        let rest = self.rest();
        let length = rest.get(2..).and_then(|body| body.find("*/")).map_or(rest.len(), |end| end + 4);
        self.on_new_line |= rest.get(..length).unwrap_or_default().contains('\n');
        self.at += 2;
        let help = "Write `//` before each line of the comment.";
        self.report("block_comment", start, "there are no block comments: `/*`".to_owned(), help);
        self.at = start + length;
    }

    fn word(&mut self) {
        let start = self.at;
        // Nearly every word is ASCII and is read once.
        let rest = self.rest().as_bytes();
        let plain = rest.iter().take_while(|byte| character::is_word(**byte)).count();
        if rest.get(plain).is_none_or(u8::is_ascii) {
            self.at += plain;
            return self.push(TokenKind::Word, start);
        }
        self.bump_while(|c| matches!(Class::of(c), Class::Word | Class::Letter | Class::Invisible));
        let word = self.since(start);
        let Some(stranger) = word.chars().find(|&c| Class::of(c) != Class::Word) else {
            return self.push(TokenKind::Word, start);
        };
        let message = format!("{} holds {}", excerpt(word), character::name(stranger));
        let help = "Names are ASCII: letters, digits, `-`, `_` and `.`.";
        self.report("non_ascii_name", start, message, help);
        self.push(TokenKind::Reported, start);
    }

    /// White space that is none, reported a run at a time and then taken as what it looks like.
    fn strange_space(&mut self, c: char) {
        let start = self.at;
        self.bump_while(|other| other == c);
        let code = character::white_space_code(c);
        let message = format!("{} is not white space here", character::name(c));
        self.report(code, start, message, "Write a blank, a tab or a line break, or delete it.");
    }

    fn typographic(&mut self, open: char) {
        let start = self.at;
        self.bump();
        let line = self.line_rest();
        let closer = line.char_indices().find(|&(_, c)| character::closes(open, c));
        self.at += match closer {
            Some((end, c)) => end + c.len_utf8(),
            None => string::before_line_tail(line),
        };
        self.typographic_quotes(start);
        self.push(TokenKind::Reported, start);
    }

    fn typographic_quotes(&mut self, start: usize) {
        let message = format!("{} has typographic quotes", excerpt(self.since(start)));
        self.report("typographic_quotes", start, message, "Write straight quotes: `\"…\"` or `'…'`.");
    }

    /// A pair of back-ticks stands for the token in it; a stray one, or a fence of three, is skipped.
    fn back_tick(&mut self) {
        let start = self.at;
        self.bump_while(|c| c == '`');
        let run = self.at - start;
        let rest = self.rest();
        let partner = rest.find(['`', '\n', '"', '\'', ';']).filter(|_| run == 1).map(|end| rest.split_at(end));
        let inside = partner.filter(|(_, behind)| behind.starts_with('`')).map(|(inside, _)| inside);
        self.at += inside.map_or(0, |text| text.len() + 1);
        let message = "a back-tick quotes nothing".to_owned();
        self.report("back_tick", start, message, "Delete it; values stand in straight quotes, names in none.");
        if inside.is_some() {
            self.push(TokenKind::Reported, start);
        }
    }

    fn bare_placeholder(&mut self) {
        let start = self.at;
        let line = self.line_rest();
        self.at += line.find('}').map_or_else(|| string::before_line_tail(line), |end| end + 1);
        let message = format!("{} stands outside quotes", excerpt(self.since(start)));
        self.report("unquoted_placeholder", start, message, "Write it inside a quoted value: `\"${…}\"`.");
        self.push(TokenKind::Reported, start);
    }

    /// Whether what was read closes brackets that were reported, and nothing else.
    fn closes_brackets(&mut self, start: usize) -> bool {
        let run = self.since(start);
        let closing = run.matches([']', '}']).count();
        if closing == run.chars().count() && closing <= self.open_brackets {
            self.open_brackets -= closing;
            return true;
        }
        self.open_brackets += run.matches(['[', '{']).count();
        false
    }

    fn other(&mut self) {
        let start = self.at;
        self.bump();
        self.bump_while(|c| matches!(Class::of(c), Class::Other));
        if self.closes_brackets(start) {
            return self.push(TokenKind::Reported, start);
        }
        let message = match self.since(start).chars().next() {
            Some(c) if !c.is_ascii_graphic() => format!("unexpected character {}", character::name(c)),
            _ => format!("unexpected {}", excerpt(self.since(start))),
        };
        self.report("unexpected_character", start, message, "Delete it, or put the value it belongs to in quotes.");
        self.push(TokenKind::Reported, start);
    }
}

#[cfg(test)]
mod tests;
