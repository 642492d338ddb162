//! A second reading of a condition that did not parse, so that validation has its say in the same round (rules R27).
//!
//! It complains about nothing, and leaves out what a mend may read otherwise: a finding about that would be invented.

use super::keyword::Keyword;
use super::{Parser, TokenKind};
use crate::lang::ast::Value;
use crate::lang::lexer::Token;
use crate::lang::span::Spanned;
use crate::model::catalogue::{ConditionName, Operator};

/// What could be read of a condition with a syntax error. It is no part of the tree and means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// The left side.
    pub attribute: Spanned<ConditionName>,
    /// The comparison, where there is no doubt which was meant.
    pub operator: Option<Spanned<Operator>>,
    /// The values that are written as values are, in a list or where a list should stand.
    pub values: Vec<Spanned<Value>>,
}

impl Parser<'_> {
    /// Reads the tokens from the one numbered `first` to the last that was gone over; none where no name begins them.
    pub(super) fn fragment(&mut self, first: usize) -> Option<Fragment> {
        let (name, behind_name) = self.tokens.get(first..self.at)?.split_first()?;
        let attribute = self.fragment_attribute(*name, behind_name)?;
        let (operator, right) = self.fragment_operator(behind_name);
        let values = self.fragment_values(operator, right);
        Some(Fragment { attribute, operator, values: self.take_values(&values) })
    }

    fn fragment_attribute(&self, name: Token, behind: &[Token]) -> Option<Spanned<ConditionName>> {
        if name.kind != TokenKind::Word || self.keyword(name).is_some() {
            return None;
        }
        // A stray character may stand inside the name, which is then only the half of it.
        if behind.first().is_some_and(|next| next.kind == TokenKind::Reported && touch(name, *next)) {
            return None;
        }
        self.condition_name(name).ok().map(|attribute| Spanned::new(attribute, name.span))
    }

    /// The operator and what stands behind it; all of `tokens` where it is in doubt, as beside another.
    fn fragment_operator<'a>(&self, tokens: &'a [Token]) -> (Option<Spanned<Operator>>, &'a [Token]) {
        let (operator, span, right) = match tokens {
            [not, token, right @ ..] if self.keyword(*not) == Some(Keyword::Not) => {
                (self.negation_of(*token), not.span.to(token.span), right)
            }
            [token, right @ ..] => (self.operator_of(*token), token.span, right),
            [] => return (None, tokens),
        };
        let sole = !right.first().is_some_and(|next| self.is_operator(*next));
        match operator.filter(|_| sole) {
            Some(operator) => (Some(Spanned::new(operator, span)), right),
            None => (None, tokens),
        }
    }

    fn fragment_values(&self, operator: Option<Spanned<Operator>>, tokens: &[Token]) -> Vec<Spanned<usize>> {
        let opened = tokens.first().is_some_and(|token| token.kind == TokenKind::Open);
        // Where the one value is missing, what stands further on is not it.
        if !opened && operator.is_some_and(|operator| !operator.node.takes_list()) {
            return Vec::new();
        }
        let part = self.values_part(tokens);
        let whole = part.iter().enumerate().filter_map(|(at, token)| {
            let TokenKind::Text(index) = token.kind else { return None };
            let before = at.checked_sub(1).and_then(|before| part.get(before));
            let torn = before.is_some_and(|before| tear(*before, *token))
                || part.get(at + 1).is_some_and(|behind| tear(*token, *behind));
            (!torn).then(|| Spanned::new(index, token.span))
        });
        whole.collect()
    }

    /// The tokens up to what closes the list, or begins something else.
    fn values_part<'a>(&self, tokens: &'a [Token]) -> &'a [Token] {
        let mut begun = false;
        let end = tokens.iter().enumerate().position(|(at, token)| {
            let next = tokens.get(at + 1);
            let elsewhere = next.is_some_and(|next| self.begins_condition(*token, *next));
            let ends = token.kind == TokenKind::Close || elsewhere || begun && self.is_operator(*token);
            begun |= matches!(token.kind, TokenKind::Text(_));
            ends
        });
        tokens.get(..end.unwrap_or(tokens.len())).unwrap_or_default()
    }
}

fn touch(left: Token, right: Token) -> bool {
    left.span.end == right.span.start
}

/// Whether the two may be one value with a quote inside.
fn tear(left: Token, right: Token) -> bool {
    let part = |token: Token| matches!(token.kind, TokenKind::Word | TokenKind::Text(_));
    touch(left, right) && part(left) && part(right)
}
