//! Rust sources as the layering test sees them: tokens, and the paths that they name, made absolute.
//!
//! This is no parser. It knows what it must to find every path: comments, literals, `use` trees, inline modules and
//! `super`. What stands behind `#[cfg(test)]` is left out.

use std::collections::BTreeSet;

/// One path that a source names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its segments; a path into this crate begins with `crate`, however it was written.
    pub segments: Vec<String>,
    /// Whether a `use` brings its last segment into scope.
    pub imported: bool,
    /// The line, from 1.
    pub line: usize,
}

/// What a source holds.
#[derive(Debug, Clone)]
pub struct Scanned {
    /// Every path, in order.
    pub paths: Vec<Named>,
    /// The modules that it declares, inline or in other files, those for tests left out.
    pub modules: Vec<String>,
    /// How many lines hold code.
    pub code_lines: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Word(String),
    /// `::`
    Separator,
    Mark(char),
    Literal,
}

#[derive(Debug, Clone)]
struct Token {
    kind: Kind,
    line: usize,
}

#[derive(Debug)]
struct Lexer {
    chars: Vec<char>,
    at: usize,
    line: usize,
    tokens: Vec<Token>,
    code_lines: BTreeSet<usize>,
}

#[derive(Debug)]
struct Scanner<'a> {
    tokens: &'a [Token],
    at: usize,
    /// For every open brace, the module that it opened.
    braces: Vec<Option<String>>,
    /// The module that the file is.
    module: &'a [String],
    in_use: bool,
    paths: Vec<Named>,
    modules: Vec<String>,
}

/// Scans the text of the module at `module`, segments from the root of the crate.
pub fn scan(module: &[String], text: &str) -> Scanned {
    let mut lexer =
        Lexer { chars: text.chars().collect(), at: 0, line: 1, tokens: Vec::new(), code_lines: BTreeSet::new() };
    lexer.run();
    let (braces, paths, modules) = (Vec::new(), Vec::new(), Vec::new());
    let mut scanner = Scanner { tokens: &lexer.tokens, at: 0, braces, module, in_use: false, paths, modules };
    scanner.run();
    Scanned { paths: scanner.paths, modules: scanner.modules, code_lines: lexer.code_lines.len() }
}

// === impl Lexer ===

impl Lexer {
    fn run(&mut self) {
        while let Some(char) = self.peek(0) {
            match char {
                '/' if self.peek(1) == Some('/') => self.skip_while(|char| char != '\n'),
                '/' if self.peek(1) == Some('*') => self.skip_block_comment(),
                char if char.is_whitespace() => self.skip(1),
                '"' => self.string(false),
                '\'' => self.quote(),
                ':' if self.peek(1) == Some(':') => {
                    self.push(Kind::Separator);
                    self.skip(2);
                }
                char if char == '_' || char.is_alphanumeric() => self.word(),
                char => {
                    self.push(Kind::Mark(char));
                    self.skip(1);
                }
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn push(&mut self, kind: Kind) {
        self.code_lines.insert(self.line);
        self.tokens.push(Token { kind, line: self.line });
    }

    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.line += usize::from(self.peek(0) == Some('\n'));
            self.at += 1;
        }
    }

    fn skip_while(&mut self, more: impl Fn(char) -> bool) {
        while self.peek(0).is_some_and(&more) {
            self.skip(1);
        }
    }

    /// Block comments nest.
    fn skip_block_comment(&mut self) {
        let mut depth = 0;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => {
                    depth += 1;
                    self.skip(2);
                }
                (Some('*'), Some('/')) => {
                    depth -= 1;
                    self.skip(2);
                    if depth == 0 {
                        return;
                    }
                }
                (Some(_), _) => self.skip(1),
                (None, _) => return,
            }
        }
    }

    fn word(&mut self) {
        let start = self.at;
        while self.peek(0).is_some_and(|char| char == '_' || char.is_alphanumeric()) {
            self.at += 1;
        }
        let word: String = self.chars.iter().take(self.at).skip(start).collect();
        let raw = matches!(word.as_str(), "r" | "br" | "cr");
        match self.peek(0) {
            Some('"') if raw || matches!(word.as_str(), "b" | "c") => self.string(raw),
            Some('#') if raw && matches!(self.peek(1), Some('#' | '"')) => self.string(true),
            // `r#type`: the word follows.
            Some('#') if word == "r" => self.skip(1),
            _ => self.push(Kind::Word(word)),
        }
    }

    /// A string from its first `#` or quote on.
    fn string(&mut self, raw: bool) {
        let first = self.line;
        let mut hashes = 0;
        while self.peek(0) == Some('#') {
            hashes += 1;
            self.skip(1);
        }
        self.skip(1);
        while let Some(char) = self.peek(0) {
            match char {
                '\\' if !raw => self.skip(2),
                '"' if (1..=hashes).all(|ahead| self.peek(ahead) == Some('#')) => {
                    self.skip(1 + hashes);
                    break;
                }
                _ => self.skip(1),
            }
        }
        self.code_lines.extend(first..=self.line);
        self.tokens.push(Token { kind: Kind::Literal, line: first });
    }

    /// A character or a lifetime; of a lifetime only the quote is taken.
    fn quote(&mut self) {
        match (self.peek(1), self.peek(2)) {
            (Some('\\'), _) => {
                self.push(Kind::Literal);
                self.skip(3);
                self.skip_while(|char| char != '\'');
                self.skip(1);
            }
            (Some(_), Some('\'')) => {
                self.push(Kind::Literal);
                self.skip(3);
            }
            _ => self.skip(1),
        }
    }
}

// === impl Scanner ===

impl Scanner<'_> {
    fn run(&mut self) {
        while let Some(token) = self.tokens.get(self.at) {
            match &token.kind {
                Kind::Mark('#') if self.is_test_attribute() => self.skip_item(),
                Kind::Mark('{') => self.open(None),
                Kind::Mark('}') => {
                    self.braces.pop();
                    self.at += 1;
                }
                Kind::Mark(';') => {
                    self.in_use = false;
                    self.at += 1;
                }
                Kind::Word(word) if word == "use" => {
                    self.in_use = true;
                    self.at += 1;
                }
                Kind::Word(word) if word == "mod" => self.module(),
                Kind::Word(_) => self.tree(&[]),
                // What goes on behind `>` or a macro's variable is no path of its own.
                Kind::Separator if self.continues() => self.at += 2,
                Kind::Separator | Kind::Mark(_) | Kind::Literal => self.at += 1,
            }
        }
    }

    fn kind(&self, ahead: usize) -> Option<&Kind> {
        self.tokens.get(self.at + ahead).map(|token| &token.kind)
    }

    fn word(&self, ahead: usize) -> Option<&str> {
        match self.kind(ahead)? {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }

    fn is(&self, ahead: usize, mark: char) -> bool {
        self.kind(ahead) == Some(&Kind::Mark(mark))
    }

    fn continues(&self) -> bool {
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        before.is_some_and(|token| matches!(token.kind, Kind::Mark('>' | ')')))
    }

    fn open(&mut self, module: Option<String>) {
        self.braces.push(module);
        self.at += 1;
    }

    fn module(&mut self) {
        self.at += 1;
        let Some(name) = self.word(0).map(str::to_owned) else { return };
        self.at += 1;
        self.modules.push(name.clone());
        if self.is(0, '{') {
            self.open(Some(name));
        }
    }

    /// `#[cfg(test)]`
    fn is_test_attribute(&self) -> bool {
        self.is(1, '[')
            && self.word(2) == Some("cfg")
            && self.is(3, '(')
            && self.word(4) == Some("test")
            && self.is(5, ')')
            && self.is(6, ']')
    }

    /// Goes behind the item that an attribute stands before: its `;`, or the end of its braces.
    fn skip_item(&mut self) {
        self.at += 7;
        let import = self.word(0) == Some("use");
        let mut depth = 0_usize;
        while let Some(kind) = self.kind(0) {
            let end = match kind {
                Kind::Mark('{' | '(' | '[') => {
                    depth += 1;
                    false
                }
                Kind::Mark(close @ ('}' | ')' | ']')) => {
                    depth = depth.saturating_sub(1);
                    depth == 0 && *close == '}' && !import
                }
                Kind::Mark(';') => depth == 0,
                _ => false,
            };
            self.at += 1;
            if end {
                return;
            }
        }
    }

    /// One path from here on, with what its braces hold.
    fn tree(&mut self, before: &[String]) {
        let mut segments = before.to_vec();
        let line = self.tokens.get(self.at).map_or(0, |token| token.line);
        loop {
            match self.kind(0) {
                Some(Kind::Word(word)) => segments.push(word.clone()),
                Some(Kind::Mark('*')) if self.in_use => segments.push("*".to_owned()),
                Some(Kind::Mark('{')) if self.in_use => return self.group(&segments),
                // Behind a separator: the `<` of type arguments.
                _ => break,
            }
            self.at += 1;
            if self.kind(0) != Some(&Kind::Separator) {
                break;
            }
            self.at += 1;
        }
        if self.in_use && self.word(0) == Some("as") {
            self.at += 2;
        }
        let segments = self.absolute(segments);
        self.paths.push(Named { segments, imported: self.in_use, line });
    }

    fn group(&mut self, before: &[String]) {
        self.at += 1;
        while self.at < self.tokens.len() && !self.is(0, '}') {
            if self.is(0, ',') {
                self.at += 1;
                continue;
            }
            let start = self.at;
            self.tree(before);
            // Whatever it was, it is not looked at for ever.
            self.at = self.at.max(start + 1);
        }
        self.at += 1;
    }

    /// Follows `self` and `super` from the module that they stand in.
    fn absolute(&self, segments: Vec<String>) -> Vec<String> {
        if !matches!(segments.first().map(String::as_str), Some("self" | "super")) {
            return segments;
        }
        let mut module: Vec<&String> = self.module.iter().chain(self.braces.iter().flatten()).collect();
        let mut rest = segments.iter().peekable();
        while let Some(step) = rest.next_if(|segment| matches!(segment.as_str(), "self" | "super")) {
            if step == "super" {
                module.pop();
            }
        }
        std::iter::once("crate".to_owned()).chain(module.into_iter().chain(rest).cloned()).collect()
    }
}
