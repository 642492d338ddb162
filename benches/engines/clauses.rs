//! What a group is bound to, one clause for each statement and permission: the one translation that the floor, Cedar and
//! regorus are built from. It reads trees of texts and knows nothing of what Doorward compiles.
//!
//! Boundaries are expanded here: conditions of one name are alternatives, different names all have to hold.

use std::collections::BTreeMap;

use doorward::lang::ast::{Condition, Statement};
use doorward::lang::{parse_boundary, parse_policy};
use doorward::model::binding::{Binding, BindingKey};
use doorward::model::catalogue::Operator;
use doorward::model::id::{BoundaryId, EnvironmentId, GroupId, PolicyId};
use doorward::model::policy::Effect;
use doorward::model::state::AccountState;

/// A statement about one permission, as a binding gives it to a group.
#[derive(Clone)]
pub(crate) struct Clause {
    pub(crate) permission: String,
    /// `None` counts in each environment and for the account itself.
    pub(crate) environment: Option<EnvironmentId>,
    pub(crate) effect: Effect,
    /// Each has to hold.
    pub(crate) requirements: Vec<Requirement>,
    pub(crate) reason: Reason,
}

/// Tests of which one has to hold.
pub(crate) type Requirement = Vec<Test>;

/// `attribute OPERATOR values`.
#[derive(Clone)]
pub(crate) struct Test {
    pub(crate) attribute: String,
    pub(crate) comparison: Comparison,
}

/// The operators of the workload.
#[derive(Clone)]
pub(crate) enum Comparison {
    OneOf(Vec<String>),
    NoneOf(Vec<String>),
    StartsWith(String),
    StartsNotWith(String),
    /// Begins and ends with one of these.
    Match(Vec<(String, String)>),
}

/// What a decision names (D9).
#[derive(Clone, Copy)]
pub(crate) struct Reason {
    pub(crate) policy: PolicyId,
    pub(crate) statement: u16,
    pub(crate) binding: BindingKey,
    pub(crate) boundary: Option<BoundaryId>,
}

/// The clauses of a group, DENY first.
pub(crate) fn clauses_of(account: &AccountState, group: GroupId) -> Vec<Clause> {
    let bindings = account.bindings_of_group(group);
    let mut clauses: Vec<_> = bindings.flat_map(|(key, binding)| of_binding(account, key, &binding.value)).collect();
    clauses.sort_by_key(|clause| clause.effect == Effect::Allow);
    clauses
}

fn of_binding(account: &AccountState, key: BindingKey, binding: &Binding) -> Vec<Clause> {
    let policy = account.policies.get(&binding.policy).expect("the policy that is bound");
    let tree = parse_policy(&policy.value.statements).ast;
    let statements = (0..).zip(&tree.statements);
    statements.flat_map(|(number, statement)| of_statement(account, (key, binding), number, &statement.node)).collect()
}

fn of_statement(
    account: &AccountState,
    (key, binding): (BindingKey, &Binding),
    number: u16,
    statement: &Statement,
) -> Vec<Clause> {
    let own: Vec<_> = statement.conditions.iter().map(|condition| vec![Test::new(&condition.node)]).collect();
    let mut clauses = Vec::new();
    for (boundary, narrowing) in narrowings(account, binding, statement.effect) {
        for permission in &statement.permissions {
            clauses.push(Clause {
                permission: permission.node.as_str().to_owned(),
                environment: binding.level.environment().cloned(),
                effect: statement.effect,
                requirements: own.iter().chain(&narrowing).cloned().collect(),
                reason: Reason { policy: binding.policy, statement: number, binding: key, boundary },
            });
        }
    }
    clauses
}

/// What each boundary adds to an ALLOW; without any, and for a DENY, nothing is added (D7).
fn narrowings(
    account: &AccountState,
    binding: &Binding,
    effect: Effect,
) -> Vec<(Option<BoundaryId>, Vec<Requirement>)> {
    if effect == Effect::Deny || binding.boundaries.is_empty() {
        return vec![(None, Vec::new())];
    }
    binding.boundaries.iter().map(|id| (Some(*id), narrowing(account, *id))).collect()
}

fn narrowing(account: &AccountState, boundary: BoundaryId) -> Vec<Requirement> {
    let boundary = account.boundaries.get(&boundary).expect("the boundary that is bound");
    let mut by_name: BTreeMap<String, Requirement> = BTreeMap::new();
    for condition in parse_boundary(&boundary.value.query).ast.conditions {
        let test = Test::new(&condition.node);
        by_name.entry(test.attribute.clone()).or_default().push(test);
    }
    by_name.into_values().collect()
}

// === impl Test ===

impl Test {
    fn new(condition: &Condition) -> Self {
        let value = |value: &doorward::lang::ast::Value| value.as_text().expect("no placeholders").to_owned();
        let values = condition.values.iter().map(|it| value(&it.node)).collect();
        let attribute = condition.attribute.node.as_str().to_owned();
        Self { attribute, comparison: Comparison::new(condition.operator.node, values) }
    }
}

// === impl Comparison ===

impl Comparison {
    fn new(operator: Operator, values: Vec<String>) -> Self {
        let first = || values.first().cloned().expect("a value");
        match operator {
            Operator::Equal | Operator::In => Self::OneOf(values),
            Operator::NotEqual | Operator::NotIn => Self::NoneOf(values),
            Operator::StartsWith => Self::StartsWith(first()),
            Operator::NotStartsWith => Self::StartsNotWith(first()),
            Operator::Match => Self::Match(values.iter().map(|value| ends(value)).collect()),
            Operator::Less | Operator::Greater => panic!("no condition of the workload is about time"),
        }
    }
}

/// Patterns of the workload have one wildcard, at the beginning or at the end.
fn ends(pattern: &str) -> (String, String) {
    let (begin, end) = pattern.split_once('*').expect("a wildcard");
    assert!(!end.contains('*') && (begin.is_empty() || end.is_empty()), "`{pattern}` has another form");
    (begin.to_owned(), end.to_owned())
}
