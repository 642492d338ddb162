//! What a binding would amount to: its statements as text, without anything being changed.

use std::collections::{BTreeMap, HashMap};

use super::binding::{BindingFields, validate};
use super::texts::{Texts, bound_boundaries};
use super::{Rejection, Violation, check};
use crate::compile::bind::parameters_of_boundary;
use crate::compile::expand::{Bound, Expanded, ExpansionTooLarge, expand};
use crate::compile::fill;
use crate::compile::lower::parameters_of;
use crate::lang::ast::{BoundaryAst, ParameterName, PolicyAst};
use crate::model::id::{AccountId, BoundaryId};
use crate::model::state::State;

/// Bytes of text in a preview; what is past it is left out.
pub const TEXT_BYTES: usize = 1024 * 1024;

/// A binding as it would count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// Its statements with one permission each, equal ones merged, in the order of their first origins.
    pub statements: Vec<PreviewedStatement>,
    /// How many there are before equal ones are merged, without those that grant nothing (rules §7).
    pub expanded: usize,
    /// Whether statements were left out, as the texts have more than [`TEXT_BYTES`].
    pub truncated: bool,
    /// The values of the placeholders that were left in the texts, as the language has no way to write them.
    pub parameters: BTreeMap<String, String>,
    /// What the author should know.
    pub warnings: Vec<String>,
}

/// A statement with its parameters filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewedStatement {
    /// With its `;`.
    pub text: String,
    /// Where it comes from; more than one where several come to the same.
    pub origins: Vec<Origin>,
}

/// Where a statement of a binding comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The number of the statement in the policy, from 0.
    pub statement: u16,
    /// The boundary that narrows it, with its name.
    pub boundary: Option<(BoundaryId, String)>,
}

/// Expands a binding that could be made, or is there already.
///
/// # Errors
/// As [`super::binding::create`], but for a binding of the same content.
pub fn preview(state: &State, account: AccountId, fields: BindingFields) -> Result<Preview, Rejection> {
    let owned = check::account(state, account)?;
    let catalogue = check::catalogue(state, owned)?;
    let mut texts = Texts::default();
    let (binding, warnings) = validate(state, owned, &catalogue, &mut texts, fields)?;
    let dangling = || Rejection::NotFound { noun: "policy", id: binding.policy.to_string() };
    let policy = &state.policy(owned, binding.policy).ok_or_else(dangling)?.value;
    let policy = fill::policy(&texts.policy(policy), &binding.parameters);
    let mut boundaries = texts.boundaries(owned, &binding.boundaries);
    for (_, _, tree) in &mut boundaries {
        *tree = fill::boundary(tree, &binding.parameters).into();
    }
    let bound = bound_boundaries(&boundaries);
    let bound = Bound { policy: &policy, boundaries: &bound, strict: owned.account.value.strict_boundaries };
    let expanded = expand(bound, &catalogue).map_err(too_large)?;
    let (statements, truncated) = merge(bound, &expanded);
    let trees = boundaries.iter().map(|(_, _, tree)| tree.as_ref());
    let parameters = left(&policy, trees, &binding.parameters);
    Ok(Preview { statements, expanded: expanded.len(), truncated, parameters, warnings })
}

/// Never the case: a binding that is too large was refused before.
fn too_large(problem: ExpansionTooLarge) -> Rejection {
    let (field, code) = ("boundaries".to_owned(), "expansion_too_large");
    Rejection::Invalid(vec![Violation { field, code, problem: problem.to_string() }])
}

/// The texts, equal ones once; and whether some were left out.
fn merge(bound: Bound<'_>, expanded: &[Expanded<'_>]) -> (Vec<PreviewedStatement>, bool) {
    let names: HashMap<BoundaryId, &str> = bound.boundaries.iter().map(|it| (it.id, it.name)).collect();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut statements: Vec<PreviewedStatement> = Vec::new();
    let mut bytes = 0;
    for one in expanded {
        let name = |id: BoundaryId| (id, names.get(&id).copied().unwrap_or_default().to_owned());
        let origin = Origin { statement: one.statement, boundary: one.boundary.map(name) };
        let text = one.to_statement().to_string();
        if let Some(known) = places.get(&text).and_then(|place| statements.get_mut(*place)) {
            if !known.origins.contains(&origin) {
                known.origins.push(origin);
            }
            continue;
        }
        bytes += text.len();
        if bytes > TEXT_BYTES {
            return (statements, true);
        }
        places.insert(text.clone(), statements.len());
        statements.push(PreviewedStatement { text, origins: vec![origin] });
    }
    (statements, false)
}

/// The values of the placeholders that are left.
fn left<'a>(
    policy: &PolicyAst,
    boundaries: impl Iterator<Item = &'a BoundaryAst>,
    parameters: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let names = parameters_of(policy).into_iter().chain(boundaries.flat_map(parameters_of_boundary));
    let entry = |name: ParameterName| parameters.get_key_value(name.as_str());
    names.filter_map(entry).map(|(name, value)| (name.clone(), value.clone())).collect()
}
