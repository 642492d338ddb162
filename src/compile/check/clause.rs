//! What the catalogue is asked about, whether it parsed or not.

use crate::lang::ast::{Condition, Value};
use crate::lang::parser::Fragment;
use crate::lang::span::Spanned;
use crate::model::catalogue::{ConditionName, Operator};

/// A condition, or what could be read of one.
#[derive(Clone, Copy)]
pub(super) struct Clause<'a> {
    pub(super) attribute: &'a Spanned<ConditionName>,
    /// None where it is not known which was meant.
    pub(super) operator: Option<Spanned<Operator>>,
    pub(super) values: &'a [Spanned<Value>],
    /// Whether the values are the elements of a list.
    pub(super) in_list: bool,
}

impl<'a> Clause<'a> {
    pub(super) fn name(&self) -> &'a str {
        self.attribute.node.as_str()
    }
}

impl<'a> From<&'a Condition> for Clause<'a> {
    fn from(condition: &'a Condition) -> Self {
        let Condition { attribute, operator, values } = condition;
        Self { attribute, operator: Some(*operator), values, in_list: operator.node.takes_list() }
    }
}

impl<'a> From<&'a Fragment> for Clause<'a> {
    /// The values of a fragment stand in a list, or may have to: they have its parentheses, their operator takes one,
    /// or it is not known.
    fn from(fragment: &'a Fragment) -> Self {
        let Fragment { attribute, operator, values } = fragment;
        Self { attribute, operator: *operator, values, in_list: true }
    }
}
