//! Boundaries: conditions without AND, ended by `;` or a line break (rules R12).

use super::keyword::Keyword;
use super::{Parser, TokenKind};
use crate::lang::ast::BoundaryAst;
use crate::model::limits;

const ONE_A_LINE: &str = "Write one condition a line, each with `;` at its end.";

impl Parser<'_> {
    pub(super) fn boundary(&mut self) -> BoundaryAst {
        let mut conditions = Vec::new();
        self.leading_semicolons("condition");
        while self.peek().kind != TokenKind::End {
            if self.policy_words() {
                continue;
            }
            conditions.extend(self.condition_or_skip(true));
            self.after_boundary_condition();
        }
        if conditions.is_empty() && self.diagnostics.is_empty() {
            self.expected("empty_boundary", "a condition", "A boundary holds at least one condition.");
        }
        let (limit, names) = (limits::BOUNDARY_CONDITIONS, ("boundary", "conditions"));
        self.limit(&mut conditions, limit, "too_many_conditions", names);
        BoundaryAst { conditions }
    }

    /// Goes over the parts of a policy; true where that was a whole statement.
    fn policy_words(&mut self) -> bool {
        let token = self.peek();
        if self.at_effect() {
            let message = format!("{} begins a statement; a boundary holds conditions only", self.found(token));
            self.complain(token, "statement_in_boundary", message, ONE_A_LINE);
            self.bump();
            self.skip_to_statement_end();
            if self.peek().kind == TokenKind::Semicolon {
                self.bump();
                self.double_semicolons("condition");
            }
            return true;
        }
        if self.next_is(Keyword::Where) {
            let message = "there is no `WHERE` in a boundary".to_owned();
            self.complain(token, "where_in_boundary", message, ONE_A_LINE);
            self.bump();
        }
        false
    }

    /// Goes to the next condition.
    fn after_boundary_condition(&mut self) {
        loop {
            let token = self.peek();
            if token.kind == TokenKind::Semicolon {
                self.bump();
                return self.double_semicolons("condition");
            }
            if token.kind == TokenKind::End || self.at_effect() || self.at_next_line() {
                return;
            }
            if self.is_and(token) {
                let message = format!("there is no {} in a boundary", self.found(token));
                self.complain(token, "and_in_boundary", message, ONE_A_LINE);
                self.bump();
                return;
            }
            if self.is_or(token) {
                if self.or() {
                    return;
                }
                continue;
            }
            if self.is_qualified(token) && !self.splits_value(token) {
                let message = format!("`;` is missing before {}", self.found(token));
                return self.complain(token, "missing_semicolon", message, ONE_A_LINE);
            }
            self.stray(token, "`;` or a line break", true);
        }
    }
}
