//! Conditions and what joins them in a policy.

use super::keyword::Keyword;
use super::{Parser, TokenKind};
use crate::lang::ast::Condition;
use crate::lang::diag::excerpt;
use crate::lang::lexer::Token;
use crate::lang::span::Spanned;
use crate::model::catalogue::ConditionName;
use crate::model::limits;

const FORM: &str = "A condition is written `service:attribute OPERATOR value`.";
const ONLY_AND: &str = "Conditions are joined with AND only; write an `IN` list, or a second statement, for an OR.";

impl Parser<'_> {
    /// The conditions of a statement, up to its end.
    pub(super) fn conditions(&mut self) -> Vec<Spanned<Condition>> {
        let mut conditions = Vec::new();
        loop {
            conditions.extend(self.condition_or_skip(false));
            if !self.after_condition() {
                break;
            }
        }
        let (limit, names) = (limits::STATEMENT_CONDITIONS, ("statement", "conditions"));
        self.limit(&mut conditions, limit, "too_many_conditions", names);
        conditions
    }

    /// A condition; a bad one is skipped, in a boundary up to the next line at most.
    pub(super) fn condition_or_skip(&mut self, by_line: bool) -> Option<Spanned<Condition>> {
        self.prefixes();
        let start = self.peek().span;
        let first = self.at;
        let condition = self.condition();
        if condition.is_none() {
            self.skip_condition(by_line);
            let fragment = self.fragment(first);
            self.fragments.extend(fragment);
        }
        condition.map(|condition| Spanned::new(condition, start.to(self.last_span())))
    }

    fn condition(&mut self) -> Option<Condition> {
        let attribute = self.attribute()?;
        let operator = self.operator()?;
        let values = if operator.node.takes_list() { self.list()? } else { vec![self.single_value(operator.node)?] };
        Some(Condition { attribute, operator, values: self.take_values(&values) })
    }

    /// Parentheses and NOT before a condition: reported, then left out.
    fn prefixes(&mut self) {
        loop {
            let token = self.peek();
            if token.kind == TokenKind::Open {
                self.open_groups += 1;
                let message = "conditions cannot be grouped with `(`".to_owned();
                self.complain(token, "grouped_conditions", message, ONLY_AND);
            } else if self.next_is(Keyword::Not) && !self.is_operator(self.peek_behind(1)) {
                let message = "`NOT` cannot stand before a condition".to_owned();
                let help = "Write `!=`, `NOT IN` or `NOT startsWith` behind the attribute.";
                self.complain(token, "not_before_condition", message, help);
            } else {
                return;
            }
            self.bump();
        }
    }

    fn attribute(&mut self) -> Option<Spanned<ConditionName>> {
        let token = self.peek();
        if token.kind != TokenKind::Word || self.keyword(token).is_some() {
            self.expected("condition_expected", "a condition", FORM);
            return None;
        }
        self.bump();
        if let Ok(name) = self.condition_name(token) {
            return Some(Spanned::new(name, token.span));
        }
        self.bad_attribute(token);
        None
    }

    fn bad_attribute(&mut self, token: Token) {
        let text = self.text_of(token);
        let shown = excerpt(text);
        let parts = text.split(':').count();
        let (code, message, help) = if text.contains('*') {
            ("wildcard_condition", format!("{shown} has a wildcard"), "There are no wildcards in names.")
        } else if parts == 1 {
            let message = format!("{shown} is no condition name: it names no service");
            ("unqualified_condition", message, "Write the service before it: `service:attribute`.")
        } else if parts > 2 {
            ("condition_parts", format!("{shown} has {parts} parts, not 2"), FORM)
        } else if text.len() > limits::CATALOGUE_NAME_BYTES {
            ("name_too_long", format!("{shown} has {} bytes", text.len()), "A name has at most 256 bytes.")
        } else {
            ("bad_condition_name", format!("{shown} is no condition name"), FORM)
        };
        self.complain(token, code, message, help);
    }

    fn skip_condition(&mut self, by_line: bool) {
        while !(self.at_condition_end() || by_line && self.at_next_line()) {
            self.bump();
        }
    }

    fn at_condition_end(&self) -> bool {
        self.is_and(self.peek()) || self.is_or(self.peek()) || self.at_statement_end()
    }

    /// Whether a word begins a line here that may begin a condition (rules R12).
    pub(super) fn at_next_line(&self) -> bool {
        let token = self.peek();
        token.on_new_line && token.kind == TokenKind::Word && self.keyword(token).is_none()
    }

    pub(super) fn is_and(&self, token: Token) -> bool {
        self.keyword(token) == Some(Keyword::And) || self.is_symbol(token, "&&")
    }

    pub(super) fn is_or(&self, token: Token) -> bool {
        self.keyword(token) == Some(Keyword::Or) || self.is_symbol(token, "||")
    }

    fn is_symbol(&self, token: Token, symbol: &str) -> bool {
        token.kind == TokenKind::Symbol && self.text_of(token) == symbol
    }

    /// Goes over what joins two conditions; false at the end of the statement.
    pub(super) fn after_condition(&mut self) -> bool {
        loop {
            let token = self.peek();
            if self.at_statement_end() {
                return false;
            }
            if self.is_and(token) {
                self.and();
                return true;
            }
            if self.is_or(token) {
                if self.or() {
                    return true;
                }
                continue;
            }
            if self.is_qualified(token) && !self.splits_value(token) {
                let message = format!("`AND` or `;` is missing before {}", self.found(token));
                self.complain(token, "missing_and", message, "Join conditions with AND; end a statement with `;`.");
                return true;
            }
            self.stray(token, "`AND` or `;`", false);
        }
    }

    fn and(&mut self) {
        let token = self.bump();
        if token.kind == TokenKind::Symbol {
            self.complain(token, "and_symbol", "`&&` joins nothing".to_owned(), "Write `AND`.");
        }
    }

    /// Goes over an OR; false where a mere value stands behind it, which goes with it.
    pub(super) fn or(&mut self) -> bool {
        let token = self.bump();
        let message = format!("there is no {}", self.found(token));
        self.complain(token, "or_operator", message, ONLY_AND);
        let value = matches!(self.peek().kind, TokenKind::Text(_));
        if value {
            self.bump();
        }
        !value
    }

    /// Whether it is a name with a service.
    pub(super) fn is_qualified(&self, token: Token) -> bool {
        token.kind == TokenKind::Word && self.text_of(token).contains(':')
    }

    /// Whether a word begins where a value ends, as behind a quote that was meant to be a part of the value.
    pub(super) fn splits_value(&self, token: Token) -> bool {
        let touches = |last: Token| matches!(last.kind, TokenKind::Text(_)) && last.span.end == token.span.start;
        token.kind == TokenKind::Word && self.last().is_some_and(touches)
    }

    /// Something behind a complete condition that does not belong there.
    pub(super) fn stray(&mut self, token: Token, expected: &str, by_line: bool) {
        if token.kind == TokenKind::Close && self.open_groups > 0 {
            self.open_groups -= 1;
        } else if self.splits_value(token) {
            let message = format!("{} follows a value without a blank", self.found(token));
            let help = "Write `\\\"` for a quote inside a value.";
            self.complain(token, "quote_in_value", message, help);
        } else if self.is_operator(token) {
            let message = format!("a second operator, {}, in one condition", self.found(token));
            self.complain(token, "two_operators", message, "Write two conditions; each has one operator.");
        } else {
            self.expected("unexpected_token", expected, "A condition ends with its value.");
        }
        self.bump();
        if token.kind != TokenKind::Close {
            self.skip_condition(by_line);
        }
    }
}
