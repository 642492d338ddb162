//! Bindings with boundaries against the statements they come to, as the corpus has them.

use std::collections::{BTreeMap, BTreeSet};

use doorward::compile::shipped_global;
use doorward::lang::ast::Condition;
use doorward::lang::{parse_boundary, parse_policy};
use doorward::model::account::{Account, Environment};
use doorward::model::binding::Binding;
use doorward::model::catalogue::{Catalogue, CatalogueEntry, ConditionSpec, Operator};
use doorward::model::id::{AccountId, BoundaryId, GroupId, PolicyId, UserId};
use doorward::model::identity::{Group, GroupIds, GroupOwner, User, UserKind, UserState};
use doorward::model::level::{BindingLevel, Level};
use doorward::model::object::{Change, Object, Record};
use doorward::model::policy::{Boundary, Policy};
use doorward::model::revision::{Revision, StoreId};
use doorward::model::state::State;
use doorward::snapshot::build::Snapshot;
use serde_json::Value;

use crate::reference::{Answer, Question, Reference, engine, printed};
use crate::{field, rows_of};

/// A Monday and a Tuesday.
const TIMES: [&str; 2] = ["2026-03-02T12:00:00Z", "2026-03-03T12:00:00Z"];

/// The same statements, and the same answers to every question about what the texts mention, in both evaluators.
#[test]
fn boundaries_come_to_the_statements_of_the_corpus() {
    let Some(rows) = rows_of("effective.jsonl") else { return };
    assert!(!rows.is_empty());
    for row in &rows {
        let boundaries = row["boundary_texts"].as_array().unwrap().iter().map(|text| text.as_str().unwrap());
        let boundaries: Vec<_> = boundaries.collect();
        let bound = Side::of(field(row, "policy_text"), &boundaries);
        let effective = Side::of(field(row, "effective_text"), &[]);
        assert_eq!(bound.statements(), effective.statements(), "{}", field(row, "id"));
        let questions = questions(row, &boundaries);
        let mut answers = BTreeSet::new();
        for question in &questions {
            let answer = bound.answer(question);
            assert_eq!(answer, effective.answer(question), "{}: {question:?}", field(row, "id"));
            answers.insert(answer);
        }
        println!("{}: {} questions, {answers:?}", field(row, "id"), questions.len());
    }
}

/// A policy with its boundaries, bound to everybody.
struct Side {
    state: State,
    account: AccountId,
    snapshot: Snapshot,
}

// === impl Side ===

impl Side {
    fn of(policy: &str, boundaries: &[&str]) -> Self {
        let (account, group) = (AccountId::random(), GroupId::random());
        let name = || "Corpus".parse().unwrap();
        let policy = Policy {
            id: PolicyId::random(),
            level: Level::Account,
            name: name(),
            description: String::new(),
            tags: Vec::new(),
            statements: policy.to_owned(),
        };
        let boundaries = boundaries.iter().zip(0..).map(|(query, number)| Boundary {
            id: BoundaryId::random(),
            name: format!("Boundary {number}").parse().unwrap(),
            query: (*query).to_owned(),
        });
        let boundaries: Vec<_> = boundaries.collect();
        let binding = Binding {
            policy: policy.id,
            group,
            level: BindingLevel::Account,
            parameters: BTreeMap::new(),
            boundaries: boundaries.iter().map(|boundary| boundary.id).collect(),
            metadata: BTreeMap::new(),
        };
        let mut objects = nouns(account, group);
        objects.push(Object::Policy(account, policy));
        objects.extend(boundaries.into_iter().map(|boundary| Object::Boundary(account, boundary)));
        objects.push(Object::Binding(account, binding));
        let state = state(objects);
        let snapshot = Snapshot::build(StoreId::random(), &state, None).unwrap();
        Self { state, account, snapshot }
    }

    /// The effective statements as text.
    fn statements(&self) -> BTreeSet<String> {
        let account = self.state.account(self.account).unwrap();
        let additions = account.catalogue.values().map(|entry| &entry.value);
        let shipped = shipped_global().catalogue;
        printed(&self.state, account, &Catalogue::from_entries(shipped.iter().chain(additions)))
    }

    /// The code on which both evaluators agree.
    fn answer(&self, question: &Question) -> &'static str {
        let reference = Reference::new(&self.state, self.account).decide(question);
        assert_eq!(engine::ask(&self.snapshot, self.account, question), reference, "{question:?}");
        match reference {
            Answer::Decided(decided) => decided.code.name(),
            Answer::Refused(refused) => panic!("{refused:?}"),
        }
    }
}

/// An account with one user and one environment, and the condition that a row of the corpus needs.
fn nouns(account: AccountId, group: GroupId) -> Vec<Object> {
    let name = || "Corpus".parse().unwrap();
    let spec = ConditionSpec {
        name: "settings:objectId".parse().unwrap(),
        operators: [Operator::Equal].into_iter().collect(),
        any_match: false,
    };
    let permission = "settings:objects:read".parse().unwrap();
    let everybody = Group {
        id: group,
        name: name(),
        description: String::new(),
        owner: GroupOwner::AllUsers,
        federated_attribute_values: Vec::new(),
    };
    let user = User {
        id: UserId::random(),
        email: "ada@example.com".parse().unwrap(),
        name: None,
        kind: UserKind::Local,
        state: UserState::Active,
        groups: GroupIds::default(),
    };
    vec![
        Object::Global(shipped_global()),
        Object::Account(Account { id: account, name: name(), strict_boundaries: false }),
        Object::Environment(account, Environment { id: "prod".parse().unwrap(), name: name() }),
        Object::CatalogueEntry(account, CatalogueEntry { permission, conditions: vec![spec] }),
        Object::Group(account, everybody),
        Object::User(account, user),
    ]
}

fn state(objects: Vec<Object>) -> State {
    let (time, revision) = (jiff::Timestamp::UNIX_EPOCH, Revision::new(1));
    let record = |value| Change::Put(Record { created: time, updated: time, revision, value });
    let changes: Vec<_> = objects.into_iter().map(record).collect();
    let mut state = State::default();
    state.apply(revision, &changes).unwrap();
    state
}

/// Every permission of a row, with every attribute that it mentions unsaid, absent, at each value mentioned, behind each as
/// behind a prefix, and at another; on both days.
fn questions(row: &Value, boundaries: &[&str]) -> Vec<Question> {
    let policy = parse_policy(field(row, "policy_text")).ast;
    let statements = policy.statements.iter().map(|statement| &statement.node);
    let permissions: BTreeSet<_> =
        statements.clone().flat_map(|it| &it.permissions).map(|it| it.node.to_string()).collect();
    let own = statements.flat_map(|statement| statement.conditions.clone());
    let theirs = boundaries.iter().flat_map(|text| parse_boundary(text).ast.conditions);
    let mut values: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for condition in own.chain(theirs).map(|condition| condition.node) {
        let Condition { attribute, values: written, .. } = condition;
        let texts = written.iter().filter_map(|value| value.node.as_text());
        let near = texts.flat_map(|text| [text.to_owned(), format!("{text}x")]).chain(["other".to_owned()]);
        values.entry(attribute.node.to_string()).or_default().extend(near);
    }
    let mut questions = Vec::new();
    for (permission, time) in permissions.iter().flat_map(|it| TIMES.map(|time| (it, time))) {
        questions.push(Question {
            user: "ada@example.com".to_owned(),
            environment: "prod".to_owned(),
            permission: permission.clone(),
            time: time.to_owned(),
            ..Question::default()
        });
    }
    for (name, values) in values.iter().filter(|(name, _)| !name.starts_with("global:")) {
        questions = questions.iter().flat_map(|question| said(question, name, values)).collect();
    }
    questions
}

/// The question with everything that can be said of one name.
fn said(question: &Question, name: &str, values: &BTreeSet<String>) -> Vec<Question> {
    let absent = Question { absent: [question.absent.as_slice(), &[name.to_owned()]].concat(), ..question.clone() };
    let with = |value: &String| {
        let mut question = question.clone();
        question.attributes.insert(name.to_owned(), vec![value.clone()]);
        question
    };
    [question.clone(), absent].into_iter().chain(values.iter().map(with)).collect()
}
