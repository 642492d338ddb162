//! Bindings with boundaries against the statements they expand to: any bytes make a state; another state binds each
//! expanded statement as a policy of its own, without a boundary, and must answer every question alike.
//!
//! So the engine's form of a boundary, alternatives inside one clause, is held against the copies that a preview prints.

#![no_main]

#[path = "../../tests/reference/mod.rs"]
mod reference;

use std::collections::BTreeMap;

use doorward::compile::expand::{Bound, BoundBoundary, Expanded, expand};
use doorward::compile::fill;
use doorward::lang::ast::{BoundaryAst, PolicyAst};
use doorward::lang::{parse_boundary, parse_policy};
use doorward::model::binding::{Binding, BindingKey};
use doorward::model::catalogue::Catalogue;
use doorward::model::id::{AccountId, GroupId, PolicyId};
use doorward::model::level::{BindingLevel, Level};
use doorward::model::object::{Change, Object, ObjectKey, Record};
use doorward::model::policy::{Boundary, Policy};
use doorward::model::revision::{Revision, StoreId};
use doorward::model::state::{AccountState, State};
use doorward::snapshot::build::Snapshot;
use libfuzzer_sys::fuzz_target;

use crate::reference::engine;
use crate::reference::generate::{Choices, World, question, world};
use crate::reference::{Answer, Named};

/// Questions asked about one state, while there are bytes.
const QUESTIONS: usize = 16;

/// One expanded statement, and what the engine calls it where it is not expanded.
struct Copy {
    text: String,
    group: GroupId,
    level: BindingLevel,
    parameters: BTreeMap<String, String>,
    named: Named,
    binding: BindingKey,
}

fuzz_target!(|bytes: &[u8]| {
    let mut choices = Choices::new(bytes);
    let world = world(&mut choices);
    let bound = snapshot(&world.state);
    let catalogue = &bound.account(world.account).expect("the account").catalogue;
    // With its parameters filled in, where they can be, a statement is what a preview shows.
    let copies = Expansion { world: &world, catalogue, filled: choices.chance(50) }.copies();
    let expanded = snapshot(&bound_alone(&world, &copies));
    for _ in 0..QUESTIONS {
        let question = question(&mut choices, &world);
        let expected = engine::ask(&bound, world.account, &question);
        let found = original(engine::ask(&expanded, world.account, &question), &copies);
        assert_eq!(found, expected, "{question:#?}\n{}", told(&world, &copies));
        if choices.is_empty() {
            break;
        }
    }
});

struct Expansion<'a> {
    world: &'a World,
    catalogue: &'a Catalogue,
    filled: bool,
}

// === impl Expansion ===

impl Expansion<'_> {
    /// Every expanded statement, in the order in which the engine names deciding ones (rules §8).
    fn copies(&self) -> Vec<Copy> {
        let bindings = self.account().bindings.values();
        let mut copies: Vec<_> = bindings.flat_map(|binding| self.of_binding(&binding.value)).collect();
        copies.sort_by(|a, b| order(a).cmp(&order(b)));
        copies
    }

    fn account(&self) -> &AccountState {
        self.world.state.account(self.world.account).expect("the account")
    }

    fn of_binding(&self, binding: &Binding) -> Vec<Copy> {
        let account = self.account();
        let policy = &self.world.state.policy(account, binding.policy).expect("the policy of a binding").value;
        let tree = self.policy_tree(policy, binding);
        let boundary = |id| &account.boundaries.get(id).expect("a boundary of a binding").value;
        let boundaries: Vec<_> = binding.boundaries.iter().map(boundary).collect();
        let trees: Vec<_> = boundaries.iter().map(|boundary| self.boundary_tree(boundary, binding)).collect();
        let named = |(boundary, tree)| bound_boundary(boundary, tree);
        let bounds: Vec<_> = boundaries.iter().copied().zip(&trees).map(named).collect();
        let strict = account.account.value.strict_boundaries;
        let bound = Bound { policy: &tree, boundaries: &bounds, strict };
        // What is larger than the limit cannot be bound.
        let expanded = expand(bound, self.catalogue).unwrap_or_default();
        expanded.iter().map(|one| self.copy(one, policy, binding)).collect()
    }

    fn copy(&self, one: &Expanded<'_>, policy: &Policy, binding: &Binding) -> Copy {
        let account = self.account();
        let boundary_name = |id| account.boundaries.get(&id).expect("a boundary").value.name.to_string();
        let group = &account.groups.get(&binding.group).expect("the group of a binding").value;
        let named = Named {
            policy: policy.id,
            policy_name: policy.name.to_string(),
            policy_level: policy.level.clone(),
            statement: one.statement,
            group: binding.group,
            group_name: group.name.to_string(),
            environment: binding.level.environment().cloned(),
            boundary: one.boundary.map(|id| (id, boundary_name(id))),
        };
        let Binding { group, level, parameters, .. } = binding.clone();
        Copy { text: one.to_statement().to_string(), group, level, parameters, named, binding: binding.key() }
    }

    fn policy_tree(&self, policy: &Policy, binding: &Binding) -> PolicyAst {
        let tree = parse_policy(&policy.statements).ast;
        if self.filled { fill::policy(&tree, &binding.parameters) } else { tree }
    }

    fn boundary_tree(&self, boundary: &Boundary, binding: &Binding) -> BoundaryAst {
        let tree = parse_boundary(&boundary.query).ast;
        if self.filled { fill::boundary(&tree, &binding.parameters) } else { tree }
    }
}

fn bound_boundary<'a>(boundary: &'a Boundary, tree: &'a BoundaryAst) -> BoundBoundary<'a> {
    BoundBoundary { id: boundary.id, name: boundary.name.as_str(), tree }
}

fn order(copy: &Copy) -> impl Ord + '_ {
    let Named { policy, policy_name, policy_level, statement, group_name, boundary, .. } = &copy.named;
    let boundary = boundary.as_ref().map(|(id, name)| (name, id));
    (policy_name, statement, policy_level, policy, &copy.level, group_name, copy.binding, boundary)
}

/// The state with a policy for each copy, whose name is its place and whose binding has no boundary.
fn bound_alone(world: &World, copies: &[Copy]) -> State {
    let account = world.account;
    let bindings = world.state.account(account).expect("the account").bindings.keys();
    let mut changes: Vec<_> = bindings.map(|key| Change::Delete(ObjectKey::Binding(account, *key))).collect();
    for (place, copy) in copies.iter().enumerate() {
        changes.extend(put(account, place, copy));
    }
    let mut state = world.state.clone();
    state.apply(state.revision, &changes).expect("the account is there");
    state
}

fn put(account: AccountId, place: usize, copy: &Copy) -> [Change; 2] {
    let id = PolicyId::from_bytes((u128::MAX - place as u128).to_be_bytes());
    let Copy { text, group, level, parameters, .. } = copy;
    let policy = Policy {
        id,
        level: Level::Account,
        name: format!("{place:06}").parse().expect("a name"),
        description: String::new(),
        tags: Vec::new(),
        statements: text.clone(),
    };
    let binding = Binding {
        policy: id,
        group: *group,
        level: level.clone(),
        parameters: parameters.clone(),
        boundaries: [].into(),
        metadata: BTreeMap::new(),
    };
    let (time, revision) = (jiff::Timestamp::UNIX_EPOCH, Revision::new(1));
    let record = |value| Change::Put(Record { created: time, updated: time, revision, value });
    [record(Object::Policy(account, policy)), record(Object::Binding(account, binding))]
}

/// An answer about the copies in the words of the bindings they come from.
fn original(answer: Answer, copies: &[Copy]) -> Answer {
    let Answer::Decided(mut decided) = answer else { return answer };
    let place = |named: Named| named.policy_name.parse::<usize>().expect("the place of a copy");
    decided.named = decided.named.map(|named| copies[place(named)].named.clone());
    Answer::Decided(decided)
}

fn snapshot(state: &State) -> Snapshot {
    let store: StoreId = "00000000000000000000000000000001".parse().expect("the id of a store");
    Snapshot::build(store, state, None).expect("a snapshot of a good state")
}

fn told(world: &World, copies: &[Copy]) -> String {
    let copies: Vec<_> = copies.iter().map(|copy| copy.text.as_str()).collect();
    let state = reference::state_file(&world.accepted, world.account);
    format!("{state}\nlost: {:?}\n{}", world.forgotten, copies.join("\n"))
}
