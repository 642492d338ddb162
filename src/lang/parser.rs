//! Tokens to a tree, with every error of the text at once.
//!
//! One mistake makes one diagnostic: after it the parser goes to the next place where its author most likely went on,
//! and a token is never complained about twice. No part calls itself, so no text can exhaust the stack.

use super::ast::{BoundaryAst, Condition, PolicyAst, Statement, Value};
use super::diag::{Diagnostic, excerpt, in_order};
use super::lexer::{Token, TokenKind, tokenize};
use super::span::{Span, Spanned};
use crate::model::catalogue::{Catalogue, ConditionName, InvalidCatalogueName, PermissionName};
use crate::model::limits;
use crate::model::policy::Effect;

mod boundary;
mod condition;
mod fragment;
mod keyword;
mod list;
mod operator;
mod permission;

pub use fragment::Fragment;
use keyword::Keyword;

/// What a text holds, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed<T> {
    /// The parts that parsed. It is the text's meaning only where there is no diagnostic.
    pub ast: T,
    /// What could be read of conditions that did not parse, by place. Only validation asks for them.
    pub fragments: Vec<Fragment>,
    /// Every error of the text, by place.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads the statements of a policy.
#[must_use]
pub fn parse_policy(text: &str) -> Parsed<PolicyAst> {
    policy(text).in_order()
}

/// [`parse_policy`] for a tree of which a program is made: names that `catalogue` has are shared with it.
#[must_use]
pub(crate) fn parse_policy_of(text: &str, catalogue: &Catalogue) -> Parsed<PolicyAst> {
    policy_of(text, Some(catalogue)).in_order()
}

/// [`parse_boundary`] with names that are shared with `catalogue`.
#[must_use]
pub(crate) fn parse_boundary_of(text: &str, catalogue: &Catalogue) -> Parsed<BoundaryAst> {
    boundary_of(text, Some(catalogue)).in_order()
}

/// Reads the conditions of a boundary.
#[must_use]
pub fn parse_boundary(text: &str) -> Parsed<BoundaryAst> {
    boundary(text).in_order()
}

/// [`parse_policy`] with the diagnostics as they were found, for a later stage to add its own.
pub(crate) fn policy(text: &str) -> Parsed<PolicyAst> {
    policy_of(text, None)
}

fn policy_of(text: &str, catalogue: Option<&Catalogue>) -> Parsed<PolicyAst> {
    if let Some(diagnostic) = too_long(text, limits::POLICY_TEXT_BYTES) {
        return Parsed::refused(PolicyAst { statements: Vec::new() }, diagnostic);
    }
    let mut parser = Parser::new(text, catalogue);
    let ast = parser.policy();
    parser.finish(ast)
}

/// [`parse_boundary`] with the diagnostics as they were found, for a later stage to add its own.
pub(crate) fn boundary(text: &str) -> Parsed<BoundaryAst> {
    boundary_of(text, None)
}

fn boundary_of(text: &str, catalogue: Option<&Catalogue>) -> Parsed<BoundaryAst> {
    if let Some(diagnostic) = too_long(text, limits::BOUNDARY_TEXT_BYTES) {
        return Parsed::refused(BoundaryAst { conditions: Vec::new() }, diagnostic);
    }
    let mut parser = Parser::new(text, catalogue);
    let ast = parser.boundary();
    parser.finish(ast)
}

fn too_long(text: &str, limit: usize) -> Option<Diagnostic> {
    if text.len() <= limit {
        return None;
    }
    let at = text.floor_char_boundary(limit);
    let message = format!("the text has {} bytes, more than {limit}", text.len());
    Some(Diagnostic::error("text_too_long", Span::new(at, at), message).with_help("Split the text."))
}

struct Parser<'t> {
    text: &'t str,
    /// Has names that need not be made once more. Whether a name exists is not asked here.
    catalogue: Option<&'t Catalogue>,
    tokens: Vec<Token>,
    values: Vec<Value>,
    at: usize,
    fragments: Vec<Fragment>,
    diagnostics: Vec<Diagnostic>,
    /// Where the last complaint pointed; another about the same place would be a cascade.
    complained_at: Option<usize>,
    /// Parentheses around conditions that were reported and are to be closed without another word.
    open_groups: usize,
}

// === impl Parsed ===

impl<T> Parsed<T> {
    /// A text that was not read.
    fn refused(ast: T, diagnostic: Diagnostic) -> Self {
        Self { ast, fragments: Vec::new(), diagnostics: vec![diagnostic] }
    }

    fn in_order(self) -> Self {
        Self { diagnostics: in_order(self.diagnostics), ..self }
    }
}

// === impl Parser ===

impl<'t> Parser<'t> {
    fn new(text: &'t str, catalogue: Option<&'t Catalogue>) -> Self {
        let lexed = tokenize(text);
        Self {
            text,
            catalogue,
            tokens: lexed.list,
            values: lexed.values,
            at: 0,
            fragments: Vec::new(),
            diagnostics: lexed.diagnostics,
            complained_at: None,
            open_groups: 0,
        }
    }

    fn finish<T>(self, ast: T) -> Parsed<T> {
        Parsed { ast, fragments: self.fragments, diagnostics: self.diagnostics }
    }

    fn peek(&self) -> Token {
        self.peek_behind(0)
    }

    /// The token this many behind the next.
    fn peek_behind(&self, ahead: usize) -> Token {
        let end = Span::new(self.text.len(), self.text.len());
        let end = Token { kind: TokenKind::End, span: end, on_new_line: false };
        self.tokens.get(self.at + ahead).copied().unwrap_or(end)
    }

    fn bump(&mut self) -> Token {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn text_of(&self, token: Token) -> &'t str {
        self.text.get(token.span.start..token.span.end).unwrap_or_default()
    }

    fn permission_name(&self, token: Token) -> Result<PermissionName, InvalidCatalogueName> {
        let text = self.text_of(token);
        let known = self.catalogue.and_then(|catalogue| catalogue.permission_name(text));
        known.map_or_else(|| text.parse(), |known| Ok(known.clone()))
    }

    fn condition_name(&self, token: Token) -> Result<ConditionName, InvalidCatalogueName> {
        let text = self.text_of(token);
        let known = self.catalogue.and_then(|catalogue| catalogue.condition_name(text));
        known.map_or_else(|| text.parse(), |known| Ok(known.clone()))
    }

    fn last(&self) -> Option<Token> {
        self.tokens.get(self.at.checked_sub(1)?).copied()
    }

    fn last_span(&self) -> Span {
        self.last().map_or_else(Span::default, |token| token.span)
    }

    fn keyword(&self, token: Token) -> Option<Keyword> {
        if token.kind == TokenKind::Word { Keyword::of(self.text_of(token)) } else { None }
    }

    fn next_is(&self, keyword: Keyword) -> bool {
        self.keyword(self.peek()) == Some(keyword)
    }

    fn at_effect(&self) -> bool {
        matches!(self.keyword(self.peek()), Some(Keyword::Allow | Keyword::Deny))
    }

    /// Whether the statement ends here, cleanly or not.
    fn at_statement_end(&self) -> bool {
        matches!(self.peek().kind, TokenKind::Semicolon | TokenKind::End) || self.at_effect()
    }

    /// Complains about `token`, unless something was said about it already.
    fn complain(&mut self, token: Token, code: &'static str, message: String, help: impl Into<String>) {
        if token.kind == TokenKind::Reported || self.complained_at == Some(token.span.start) {
            return;
        }
        self.complained_at = Some(token.span.start);
        self.diagnostics.push(Diagnostic::error(code, token.span, message).with_help(help));
    }

    /// A token as a message names it.
    fn found(&self, token: Token) -> String {
        match token.kind {
            TokenKind::End => "the end of the text".to_owned(),
            TokenKind::Text(_) => format!("the value {}", excerpt(self.text_of(token))),
            _ => excerpt(self.text_of(token)),
        }
    }

    fn expected(&mut self, code: &'static str, what: &str, help: &str) {
        let token = self.peek();
        let message = format!("expected {what}, found {}", self.found(token));
        self.complain(token, code, message, help);
    }

    fn policy(&mut self) -> PolicyAst {
        let ends = self.tokens.iter().filter(|token| token.kind == TokenKind::Semicolon).count();
        let mut statements = Vec::with_capacity(ends.min(limits::POLICY_STATEMENTS));
        self.leading_semicolons("statement");
        while self.peek().kind != TokenKind::End {
            self.open_groups = 0;
            let start = self.peek().span;
            let is_statement = self.at_effect();
            if let Some(statement) = self.statement() {
                statements.push(Spanned::new(statement, start.to(self.last_span())));
            }
            // What is no statement needs no `;` before the statement behind it.
            if is_statement || !self.at_effect() {
                self.end_of_statement();
            }
        }
        if statements.is_empty() && self.diagnostics.is_empty() {
            self.expected("empty_policy", "a statement", "A policy holds at least one ALLOW or DENY statement.");
        }
        self.limit(&mut statements, limits::POLICY_STATEMENTS, "too_many_statements", ("policy", "statements"));
        PolicyAst { statements }
    }

    /// Cuts a list to its limit and reports the first node past it.
    fn limit<T>(&mut self, nodes: &mut Vec<Spanned<T>>, limit: usize, code: &'static str, (whole, part): (&str, &str)) {
        if let Some(first_past) = nodes.get(limit) {
            let message = format!("the {whole} has {} {part}, more than {limit}", nodes.len());
            let diagnostic = Diagnostic::error(code, first_past.span, message);
            self.diagnostics.push(diagnostic.with_help(format!("Split the {whole} in two.")));
            nodes.truncate(limit);
        }
    }

    fn statement(&mut self) -> Option<Statement> {
        let Some(effect) = self.effect() else {
            self.expected("expected_effect", "`ALLOW` or `DENY`", "A statement begins with ALLOW or DENY.");
            self.bump();
            self.skip_to_statement_end();
            return None;
        };
        let (permissions, where_follows) = self.permissions();
        let conditions = self.where_clause(where_follows);
        // Without a permission there is nothing that a later stage could say about the conditions.
        (!permissions.is_empty()).then_some(Statement { effect, permissions, conditions })
    }

    fn effect(&mut self) -> Option<Effect> {
        let effect = match self.keyword(self.peek())? {
            Keyword::Allow => Effect::Allow,
            Keyword::Deny => Effect::Deny,
            _ => return None,
        };
        self.bump();
        Some(effect)
    }

    fn where_clause(&mut self, forgotten: bool) -> Vec<Spanned<Condition>> {
        if self.next_is(Keyword::Where) {
            self.bump();
        } else if !forgotten {
            return Vec::new();
        }
        match self.keyword(self.peek()) {
            Some(Keyword::Null) => self.where_null(),
            Some(Keyword::True | Keyword::False) => self.where_true(),
            _ => return self.conditions(),
        }
        if self.at_statement_end() || !self.after_condition() {
            return Vec::new();
        }
        self.conditions()
    }

    fn where_null(&mut self) {
        self.bump();
        if !self.at_statement_end() {
            self.expected("null_with_condition", "`;` after `WHERE null`", "Write the conditions without `null`.");
            self.bump();
            self.skip_to_statement_end();
        }
    }

    fn where_true(&mut self) {
        let token = self.peek();
        let message = format!("{} is no condition", self.found(token));
        self.complain(token, "where_true", message, "Leave WHERE out, or write `WHERE null`, for no condition.");
        self.bump();
    }

    fn skip_to_statement_end(&mut self) {
        while !self.at_statement_end() {
            self.bump();
        }
    }

    fn end_of_statement(&mut self) {
        match self.peek().kind {
            TokenKind::Semicolon => {
                self.bump();
                self.double_semicolons("statement");
            }
            TokenKind::End => {}
            _ => self.expected("missing_semicolon", "`;`", "End the statement before this one with `;`."),
        }
    }

    fn leading_semicolons(&mut self, what: &str) {
        self.semicolons("leading_semicolon", || format!("there is no {what} before `;`"));
    }

    fn double_semicolons(&mut self, what: &str) {
        self.semicolons("double_semicolon", || format!("there is no {what} between `;` and `;`"));
    }

    fn semicolons(&mut self, code: &'static str, message: impl Fn() -> String) {
        let token = self.peek();
        if token.kind == TokenKind::Semicolon {
            self.complain(token, code, message(), "Delete the `;`.");
        }
        while self.peek().kind == TokenKind::Semicolon {
            self.bump();
        }
    }
}

#[cfg(test)]
mod tests;
