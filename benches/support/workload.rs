//! A seeded account to measure on: the same numbers give the same account.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use doorward::compile::shipped_global;
use doorward::model::account::{Account, Environment};
use doorward::model::binding::Binding;
use doorward::model::catalogue::Catalogue;
use doorward::model::id::{AccountId, GroupId, PolicyId, UserId};
use doorward::model::identity::{Group, GroupOwner, User, UserKind, UserState};
use doorward::model::level::{BindingLevel, Level};
use doorward::model::object::{Change, Object, Record};
use doorward::model::policy::Policy;
use doorward::model::revision::{Revision, StoreId};
use doorward::model::state::State;

/// The environments of every generated account.
pub(crate) const ENVIRONMENTS: [&str; 2] = ["prod", "test"];

/// An account with as many groups as policies and ten times as many users.
pub(crate) struct Workload {
    pub(crate) store: StoreId,
    pub(crate) account: AccountId,
    pub(crate) state: State,
    pub(crate) texts: Vec<String>,
    pub(crate) users: Vec<String>,
    pub(crate) permissions: Vec<String>,
}

/// `SplitMix64`: small, seeded, good enough to spread choices.
pub(crate) struct Random(u64);

// === impl Random ===

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % limit as u64).unwrap_or_default()
    }

    fn id(&mut self) -> [u8; 16] {
        std::array::from_fn(|_| self.below(256) as u8)
    }
}

// === impl Workload ===

impl Workload {
    /// An account with this many policies.
    pub(crate) fn new(policies: usize) -> Self {
        let mut random = Random::new(policies as u64);
        let account = AccountId::from_bytes(random.id());
        let permissions: Vec<String> = Catalogue::shipped().permissions().map(ToString::to_string).collect();
        let mut objects = vec![
            Object::Global(shipped_global()),
            Object::Account(Account { id: account, name: "Bench".parse().unwrap(), strict_boundaries: false }),
        ];
        for id in ENVIRONMENTS {
            let environment = Environment { id: id.parse().unwrap(), name: id.parse().unwrap() };
            objects.push(Object::Environment(account, environment));
        }
        let groups: Vec<GroupId> = (0..policies).map(|_| GroupId::from_bytes(random.id())).collect();
        objects.extend(groups.iter().enumerate().map(|(n, id)| Object::Group(account, group(*id, n))));
        let users: Vec<String> = (0..policies * 10).map(|n| format!("user{n}@example.com")).collect();
        objects.extend(users.iter().map(|email| Object::User(account, user(&mut random, email, &groups))));
        let mut texts = Vec::new();
        for (n, group) in groups.iter().enumerate() {
            let text = text(&mut random, &permissions);
            let id = PolicyId::from_bytes(random.id());
            objects.push(Object::Policy(account, policy(id, n, text.clone())));
            objects.push(Object::Binding(account, binding(&mut random, id, *group)));
            texts.push(text);
        }
        Self { store: StoreId::random(), account, state: state(objects), texts, users, permissions }
    }

    /// The change that gives a policy another text.
    pub(crate) fn edit(&self, random: &mut Random) -> Change {
        let owned = self.state.account(self.account).unwrap();
        let record = owned.policies.values().nth(random.below(owned.policies.len())).unwrap();
        let mut record = record.as_ref().clone();
        record.value.statements = text(random, &self.permissions);
        let account = self.account;
        Change::Put(record.map(|policy| Object::Policy(account, policy)))
    }
}

fn state(objects: Vec<Object>) -> State {
    let at = jiff::Timestamp::UNIX_EPOCH;
    let record = |value| Change::Put(Record { created: at, updated: at, revision: Revision::new(1), value });
    let changes: Vec<_> = objects.into_iter().map(record).collect();
    let mut state = State::default();
    state.apply(Revision::new(1), &changes).unwrap();
    state
}

fn group(id: GroupId, number: usize) -> Group {
    let name = format!("group {number}").parse().unwrap();
    Group { id, name, description: String::new(), owner: GroupOwner::Local, federated_attribute_values: Vec::new() }
}

fn user(random: &mut Random, email: &str, groups: &[GroupId]) -> User {
    let count = 1 + random.below(20.min(groups.len()));
    let groups = (0..count).map(|_| groups[random.below(groups.len())]).collect();
    let id = UserId::from_bytes(random.id());
    User { id, email: email.parse().unwrap(), name: None, kind: UserKind::Local, state: UserState::Active, groups }
}

fn policy(id: PolicyId, number: usize, statements: String) -> Policy {
    let name = format!("policy {number}").parse().unwrap();
    Policy { id, level: Level::Account, name, description: String::new(), tags: Vec::new(), statements }
}

fn binding(random: &mut Random, policy: PolicyId, group: GroupId) -> Binding {
    let level = match random.below(3) {
        0 => BindingLevel::Environment(ENVIRONMENTS[random.below(2)].parse().unwrap()),
        _ => BindingLevel::Account,
    };
    let (parameters, metadata) = (BTreeMap::new(), BTreeMap::new());
    Binding { policy, group, level, parameters, boundaries: BTreeSet::new(), metadata }
}

/// 1 to 20 statements, about a third of them with a condition, one in thirty a DENY.
fn text(random: &mut Random, permissions: &[String]) -> String {
    let mut text = String::new();
    for _ in 0..=random.below(20) {
        let effect = if random.below(30) == 0 { "DENY" } else { "ALLOW" };
        let permission = &permissions[random.below(permissions.len())];
        let condition = Catalogue::shipped().conditions_of(permission).next();
        let condition = match condition.filter(|_| random.below(3) == 0) {
            Some(spec)
                if !spec.name.as_str().contains("workflow-type") && !spec.name.as_str().contains("entity-type") =>
            {
                format!(" WHERE {} = \"value-{}\"", spec.name, random.below(10))
            }
            _ => String::new(),
        };
        writeln!(text, "{effect} {permission}{condition};").unwrap();
    }
    text
}
