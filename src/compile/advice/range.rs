//! Ranges in boundaries: lines of one name are joined by OR, so that two of them make no range (reference ch. 15 row 12).

use std::collections::BTreeMap;

use crate::lang::ast::{BoundaryAst, Condition};
use crate::lang::diag::Diagnostic;
use crate::lang::span::Spanned;
use crate::model::catalogue::Operator;

/// Warnings about a boundary that has no errors: `boundary_range_split`.
#[must_use]
pub fn boundary(tree: &BoundaryAst) -> Vec<Diagnostic> {
    range_splits(tree).into_iter().map(told).collect()
}

/// The second `<` or `>` of each name that has several: also where no value is past both, as a name that is repeated is
/// warned of whatever its values are.
#[must_use]
pub fn range_splits(tree: &BoundaryAst) -> Vec<&Spanned<Condition>> {
    let mut by_name: BTreeMap<&str, Vec<&Spanned<Condition>>> = BTreeMap::new();
    for condition in &tree.conditions {
        if matches!(condition.node.operator.node, Operator::Less | Operator::Greater) {
            by_name.entry(condition.node.attribute.node.as_str()).or_default().push(condition);
        }
    }
    by_name.into_values().filter_map(|lines| lines.get(1).copied()).collect()
}

fn told(condition: &Spanned<Condition>) -> Diagnostic {
    let name = &condition.node.attribute.node;
    let message = format!("several lines compare `{name}`; either may hold, so that they make no range");
    let help =
        "Lines of one name are joined by OR. Write the range in the policy, or two boundaries for two ranges apart.";
    Diagnostic::warning("boundary_range_split", condition.span, message).with_help(help)
}
