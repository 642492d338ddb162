//! regorus as well as it can be arranged for this workload: one policy, compiled for its register machine, over data that
//! is an index.
//!
//! The permission and the target are looked up once, then each group of the user in what is left; most are not there.
//! DENY is looked for only where an ALLOW holds. It answers without a reason. What needs a list of values is a set, and a
//! pattern is a prefix or a suffix, as no pattern of the workload is anything else.
//!
//! In the register machine of version 0.14.1, unlike in its interpreter, a body goes on behind `name := something undefined`
//! (`value := input.a.missing` and `true` are TRUE together), so what may be undefined is asked for by itself.
//!
//! The machine, its program and its data are kept between requests; a request sets the input and runs.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use doorward::model::id::{EnvironmentId, GroupId};
use doorward::model::identity::UserState;
use doorward::model::policy::Effect;
use doorward::model::state::AccountState;
use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::vm::RegoVM;
use regorus::{Engine as Frontend, Value};

use super::clauses::{Clause, Comparison, Requirement, Test, clauses_of};
use super::engine::Engine;
use super::world::Told;

const POLICY: &str = r#"
package doorward

default allow := false

allow if {
	granted
	not denied
}

granted if {
	by_group := data.grants[input.permission][input.target]
	some group in data.users[input.user]
	some clause in by_group[group]
	every alternatives in clause { some_holds(alternatives) }
}

denied if {
	data.denials[input.permission][input.target]
	by_group := data.denials[input.permission][input.target]
	some group in data.users[input.user]
	some clause in by_group[group]
	every alternatives in clause { some_is_open(alternatives) }
}

some_holds(alternatives) if {
	some test in alternatives
	holds(test)
}

some_is_open(alternatives) if {
	some test in alternatives
	not is_false(test)
}

is_false(test) if {
	input.attributes[test.name]
	not holds(test)
}

holds(test) if {
	test.operator == "one of"
	input.attributes[test.name] in test.values
}

holds(test) if {
	test.operator == "none of"
	input.attributes[test.name]
	not input.attributes[test.name] in test.values
}

holds(test) if {
	test.operator == "starts with"
	startswith(input.attributes[test.name], test.values)
}

holds(test) if {
	test.operator == "starts not with"
	input.attributes[test.name]
	not startswith(input.attributes[test.name], test.values)
}

holds(test) if {
	test.operator == "match"
	value := input.attributes[test.name]
	some [begin, end] in test.values
	startswith(value, begin)
	endswith(value, end)
}
"#;
const ENTRY: &str = "data.doorward.allow";
/// What stands where an environment would.
const ACCOUNT: &str = "account";

/// A machine with the policy and the account.
pub(crate) struct Rego(RefCell<RegoVM>);

/// Clauses by permission, target and group.
type Index = BTreeMap<Value, BTreeMap<Value, BTreeMap<Value, Vec<Value>>>>;

/// The index while it is made.
struct Indexes {
    targets: Vec<Value>,
    grants: Index,
    denials: Index,
}

// === impl Rego ===

impl Rego {
    pub(crate) fn new(account: &AccountState) -> Self {
        let mut frontend = Frontend::new();
        frontend.add_policy("doorward.rego".to_owned(), POLICY.to_owned()).expect("the policy is Rego");
        let policy = frontend.compile_with_entrypoint(&ENTRY.into()).expect("the policy compiles");
        let program = Compiler::compile_from_policy(&policy, &[ENTRY]).expect("the policy compiles for the machine");
        let mut machine = RegoVM::new_with_policy(policy);
        machine.load_program(program);
        machine.set_max_instructions(usize::MAX);
        machine.set_data(data(account)).expect("no rule where data is");
        Self(RefCell::new(machine))
    }
}

impl Engine for Rego {
    type Prepared<'e> = Value;

    fn prepare<'e>(&'e self, request: &'e Told<'_>) -> Value {
        let attributes = request.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str().into()));
        object([
            ("user", request.user.as_str().into()),
            ("permission", request.permission.as_str().into()),
            ("target", request.environment.as_deref().unwrap_or(ACCOUNT).into()),
            ("attributes", object(attributes)),
        ])
    }

    fn decide(&self, input: &Value) -> bool {
        let mut machine = self.0.borrow_mut();
        machine.set_input(input.clone());
        let answer = machine.execute_entry_point_by_index(0).expect("the policy has an answer");
        *answer.as_bool().expect("the answer is true or false")
    }
}

fn object<'n>(fields: impl IntoIterator<Item = (&'n str, Value)>) -> Value {
    let mut object = Value::new_object();
    let entries = object.as_object_mut().expect("an object");
    for (name, value) in fields {
        entries.insert(name.into(), value);
    }
    object
}

fn data(account: &AccountState) -> Value {
    let groups: BTreeMap<GroupId, Value> =
        account.groups.keys().zip(0_u32..).map(|(id, number)| (*id, Value::from(number.to_string()))).collect();
    let mut indexes = Indexes::new(account);
    for (id, group) in &groups {
        for clause in clauses_of(account, *id) {
            indexes.add(group, &clause);
        }
    }
    let Indexes { grants, denials, .. } = indexes;
    object([("users", users(account, &groups)), ("grants", frozen(grants)), ("denials", frozen(denials))])
}

/// The groups of the active users.
fn users(account: &AccountState, groups: &BTreeMap<GroupId, Value>) -> Value {
    let active = account.users.values().filter(|user| user.value.state == UserState::Active);
    let of_user = active.map(|user| {
        let groups: Vec<_> = user.value.groups.iter().filter_map(|id| groups.get(id).cloned()).collect();
        (Value::from(user.value.email.as_str()), Value::from(groups))
    });
    Value::from(of_user.collect::<BTreeMap<_, _>>())
}

fn frozen(index: Index) -> Value {
    let by_group = |groups: BTreeMap<Value, Vec<Value>>| {
        Value::from(groups.into_iter().map(|(group, clauses)| (group, clauses.into())).collect::<BTreeMap<_, Value>>())
    };
    let by_target = |targets: BTreeMap<Value, BTreeMap<Value, Vec<Value>>>| {
        Value::from(targets.into_iter().map(|(target, groups)| (target, by_group(groups))).collect::<BTreeMap<_, _>>())
    };
    Value::from(index.into_iter().map(|(permission, it)| (permission, by_target(it))).collect::<BTreeMap<_, _>>())
}

// === impl Indexes ===

impl Indexes {
    fn new(account: &AccountState) -> Self {
        let environments = account.environments.keys().map(EnvironmentId::as_str);
        let targets = environments.chain([ACCOUNT]).map(Value::from).collect();
        Self { targets, grants: Index::new(), denials: Index::new() }
    }

    fn add(&mut self, group: &Value, clause: &Clause) {
        let index = match clause.effect {
            Effect::Allow => &mut self.grants,
            Effect::Deny => &mut self.denials,
        };
        let requirements: Vec<_> = clause.requirements.iter().map(alternatives).collect();
        let value = Value::from(requirements);
        let by_target = index.entry(clause.permission.as_str().into()).or_default();
        let only = clause.environment.as_ref().map(|id| Value::from(id.as_str()));
        for target in self.targets.iter().filter(|target| only.as_ref().is_none_or(|only| only == *target)) {
            by_target.entry(target.clone()).or_default().entry(group.clone()).or_default().push(value.clone());
        }
    }
}

fn alternatives(requirement: &Requirement) -> Value {
    Value::from(requirement.iter().map(test).collect::<Vec<_>>())
}

fn test(Test { attribute, comparison }: &Test) -> Value {
    let set = |texts: &[String]| Value::from(texts.iter().cloned().map(Value::from).collect::<BTreeSet<_>>());
    let pair = |(begin, end): &(String, String)| Value::from(vec![begin.clone().into(), end.clone().into()]);
    let (operator, values) = match comparison {
        Comparison::OneOf(values) => ("one of", set(values)),
        Comparison::NoneOf(values) => ("none of", set(values)),
        Comparison::StartsWith(begin) => ("starts with", begin.as_str().into()),
        Comparison::StartsNotWith(begin) => ("starts not with", begin.as_str().into()),
        Comparison::Match(ends) => ("match", ends.iter().map(pair).collect::<Vec<_>>().into()),
    };
    object([("name", attribute.as_str().into()), ("operator", operator.into()), ("values", values)])
}
