//! Operators, and what people write in their place.

use super::keyword::Keyword;
use super::{Parser, TokenKind};
use crate::lang::lexer::Token;
use crate::lang::span::Spanned;
use crate::model::catalogue::Operator;

/// Spellings of other languages, each with its code and what to write instead.
const FOREIGN: [(&str, &str, &str); 9] = [
    ("==", "double_equal", "Write `=`."),
    ("<=", "or_equal_operator", "There are only `<` and `>`; both exclude their end."),
    (">=", "or_equal_operator", "There are only `<` and `>`; both exclude their end."),
    ("<>", "unknown_operator", "Write `!=`."),
    ("contains", "contains_operator", "Write `MATCH (\"*text*\")` where the condition takes MATCH."),
    ("endsWith", "ends_with_operator", "Write `MATCH (\"*text\")` where the condition takes MATCH."),
    ("like", "unknown_operator", "Write `MATCH (\"a*\")` where the condition takes MATCH."),
    ("starts", "unknown_operator", "Write `startsWith` in one word."),
    ("matches", "unknown_operator", "Write `MATCH (\"a*\")`."),
];

impl Parser<'_> {
    /// Whether a condition's operator may begin with `token`.
    pub(super) fn is_operator(&self, token: Token) -> bool {
        token.kind == TokenKind::Symbol
            || self.keyword(token).is_some_and(Keyword::is_operator)
            || self.is_foreign(token)
    }

    fn is_foreign(&self, token: Token) -> bool {
        token.kind == TokenKind::Word && foreign(self.text_of(token)).is_some()
    }

    pub(super) fn operator(&mut self) -> Option<Spanned<Operator>> {
        let token = self.peek();
        if let Some(operator) = self.operator_of(token) {
            self.bump();
            return Some(Spanned::new(operator, token.span));
        }
        if self.next_is(Keyword::Not) {
            return self.negated();
        }
        let elsewhere = self.keyword(token).is_some_and(Keyword::is_structure) || self.is_qualified(token);
        match token.kind {
            TokenKind::Word | TokenKind::Symbol if !elsewhere => self.bad_operator(token),
            _ => self.expected("operator_expected", "an operator", &operators()),
        }
        None
    }

    pub(super) fn operator_of(&self, token: Token) -> Option<Operator> {
        match (token.kind, self.keyword(token)) {
            (TokenKind::Symbol, _) => Operator::from_token(self.text_of(token)),
            (_, Some(Keyword::In)) => Some(Operator::In),
            (_, Some(Keyword::StartsWith)) => Some(Operator::StartsWith),
            (_, Some(Keyword::Match)) => Some(Operator::Match),
            _ => None,
        }
    }

    fn negated(&mut self) -> Option<Spanned<Operator>> {
        let not = self.bump();
        let token = self.peek();
        let span = not.span.to(token.span);
        if let Some(operator) = self.negation_of(token) {
            self.bump();
            return Some(Spanned::new(operator, span));
        }
        if self.keyword(token) == Some(Keyword::Match) {
            self.complain(Token { span, ..not }, "not_match", "there is no `NOT MATCH`".to_owned(), operators());
        } else {
            let message = format!("`NOT` before {} is no operator", self.found(token));
            self.complain(not, "unknown_operator", message, operators());
        }
        None
    }

    /// The operator that `token` makes behind NOT.
    pub(super) fn negation_of(&self, token: Token) -> Option<Operator> {
        match self.keyword(token)? {
            Keyword::In => Some(Operator::NotIn),
            Keyword::StartsWith => Some(Operator::NotStartsWith),
            _ => None,
        }
    }

    fn bad_operator(&mut self, token: Token) {
        let text = self.text_of(token);
        let (code, help) = foreign(text).unwrap_or(("unknown_operator", ""));
        let message = format!("{} is no operator", self.found(token));
        let help = if help.is_empty() { operators() } else { format!("{help} {}", operators()) };
        self.complain(token, code, message, help);
        // A word here may begin a line, at which skipping a bad condition of a boundary would stop.
        self.bump();
    }
}

/// The code and the help of a spelling of another language.
fn foreign(text: &str) -> Option<(&'static str, &'static str)> {
    let found = FOREIGN.into_iter().find(|(spelling, ..)| spelling.eq_ignore_ascii_case(text));
    found.map(|(_, code, help)| (code, help))
}

fn operators() -> String {
    let tokens: Vec<_> = Operator::ALL.iter().map(|operator| format!("`{operator}`")).collect();
    format!("The operators are {}.", tokens.join(", "))
}
