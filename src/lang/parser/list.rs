//! The right side of a condition: one value, or a list of them.
//!
//! Values are read as indices of [`Parser::values`], and taken from there when it is known what they are a part of.

use super::keyword::Keyword;
use super::{Parser, TokenKind};
use crate::lang::ast::Value;
use crate::lang::diag::excerpt;
use crate::lang::lexer::Token;
use crate::lang::span::Spanned;
use crate::model::catalogue::Operator;
use crate::model::limits;

const QUOTED: &str = "Values stand in quotes, numbers and dates too: `\"…\"`.";

const JOINED: &str = "The values of a list are joined with `,`.";

/// A list in the making.
#[derive(Default)]
struct Draft {
    values: Vec<Spanned<usize>>,
    faulty: bool,
}

impl Parser<'_> {
    /// The one value of `operator`.
    pub(super) fn single_value(&mut self, operator: Operator) -> Option<Spanned<usize>> {
        let token = self.peek();
        if token.kind != TokenKind::Open {
            return self.value();
        }
        let message = format!("`{operator}` takes one value without parentheses");
        self.complain(token, "value_in_parentheses", message, "Write `IN (…)` to compare with several values.");
        while self.peek().kind != TokenKind::Close && !self.at_list_stop() {
            self.bump();
        }
        if self.peek().kind == TokenKind::Close {
            self.bump();
        }
        None
    }

    fn value(&mut self) -> Option<Spanned<usize>> {
        let token = self.peek();
        match token.kind {
            TokenKind::Text(index) => {
                self.bump();
                Some(Spanned::new(index, token.span))
            }
            TokenKind::Reported => {
                self.bump();
                None
            }
            TokenKind::Word if !self.keyword(token).is_some_and(Keyword::is_structure) && !self.at_condition() => {
                let message = format!("{} is not quoted", self.found(token));
                self.complain(token, "unquoted_value", message, QUOTED);
                self.bump();
                None
            }
            _ => {
                self.expected("value_expected", "a value", QUOTED);
                None
            }
        }
    }

    /// Whether a condition begins here, so that the word is no value without its quotes.
    fn at_condition(&self) -> bool {
        self.begins_condition(self.peek(), self.peek_behind(1))
    }

    /// Whether these two stand side by side at the beginning of a condition only.
    pub(super) fn begins_condition(&self, token: Token, behind: Token) -> bool {
        self.is_qualified(token) && self.is_operator(behind)
    }

    /// The values of these indices; each is taken once.
    pub(super) fn take_values(&mut self, indices: &[Spanned<usize>]) -> Vec<Spanned<Value>> {
        let taken = indices.iter().filter_map(|index| {
            let pieces = std::mem::take(&mut self.values.get_mut(index.node)?.pieces);
            Some(Spanned::new(Value { pieces }, index.span))
        });
        taken.collect()
    }

    /// A parenthesised list.
    pub(super) fn list(&mut self) -> Option<Vec<Spanned<usize>>> {
        if self.peek().kind != TokenKind::Open {
            self.list_expected();
            return None;
        }
        self.bump();
        if self.peek().kind == TokenKind::Close {
            self.expected("empty_list", "a value", "A list holds at least one value.");
            self.bump();
            return None;
        }
        let mut draft = Draft::default();
        self.list_item(&mut draft);
        while self.after_item() {
            self.list_item(&mut draft);
        }
        let whole = self.close_list() && !draft.faulty && draft.values.len() <= limits::LIST_VALUES;
        self.limit(&mut draft.values, limits::LIST_VALUES, "too_many_values", ("list", "values"));
        whole.then_some(draft.values)
    }

    fn list_expected(&mut self) {
        let token = self.peek();
        if self.keyword(token).is_none_or(|keyword| !keyword.is_structure()) {
            let help = "A list stands in parentheses: `(\"a\", \"b\")`.";
            self.expected("list_expected", "`(` and a list", help);
        } else {
            self.expected("value_expected", "`(` and a list", QUOTED);
        }
    }

    fn list_item(&mut self, draft: &mut Draft) {
        if let Some(value) = self.value() {
            draft.values.push(value);
        } else {
            draft.faulty = true;
            self.skip_item();
        }
    }

    fn skip_item(&mut self) {
        while !matches!(self.peek().kind, TokenKind::Comma | TokenKind::Close) && !self.at_list_stop() {
            self.bump();
        }
    }

    /// Whether the list was left open here.
    fn at_list_stop(&self) -> bool {
        let structure = self.keyword(self.peek()).is_some_and(Keyword::is_structure);
        structure || matches!(self.peek().kind, TokenKind::Semicolon | TokenKind::End)
    }

    /// Goes over a comma; false at the end of the list.
    fn after_item(&mut self) -> bool {
        let token = self.peek();
        match token.kind {
            TokenKind::Comma => {
                self.bump();
                true
            }
            TokenKind::Close => false,
            _ if self.joins_values(token) => {
                self.expected("unexpected_token", "`,` or `)`", JOINED);
                self.bump();
                true
            }
            _ if self.at_list_stop() => false,
            TokenKind::Text(_) | TokenKind::Word => {
                self.missing_comma(token);
                true
            }
            _ => {
                self.expected("unexpected_token", "`,` or `)`", JOINED);
                self.skip_item();
                // What was skipped may have been meant to close the list.
                self.complained_at = Some(self.peek().span.start);
                false
            }
        }
    }

    /// Whether AND or OR stands for a comma.
    fn joins_values(&self, token: Token) -> bool {
        (self.is_and(token) || self.is_or(token)) && matches!(self.peek_behind(1).kind, TokenKind::Text(_))
    }

    fn missing_comma(&mut self, token: Token) {
        let message = format!("`,` is missing before {}", excerpt(self.text_of(token)));
        self.complain(token, "missing_comma", message, JOINED);
    }

    fn close_list(&mut self) -> bool {
        if self.peek().kind == TokenKind::Close {
            self.bump();
            return true;
        }
        self.expected("unclosed_list", "`,` or `)`", "Close the list with `)`.");
        false
    }
}
