//! Random states and requests: a small account in which everything meets.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use doorward::lang::literal::request_time;
use doorward::model::attribute::{Supplied, Values};
use doorward::model::binding::Binding;
use doorward::model::catalogue::CatalogueEntry;
use doorward::model::decision::{CheckRequest, RequestParts};
use doorward::model::id::AccountId;
use doorward::model::level::BindingLevel;
use doorward::model::object::{Change, Object, Record};
use doorward::model::policy::Boundary;
use doorward::model::revision::{Revision, StoreId};
use doorward::model::state::State;
use doorward::snapshot::build::Snapshot;
use doorward::statefile::node::Format;
use doorward::{compile::account::AccountProgram, statefile};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

pub const READ: &str = "shop:orders:read";
pub const WRITE: &str = "shop:orders:write";
pub const VIEWER: &str = "environment:roles:viewer";
pub const MANAGER: &str = "environment:roles:manage-settings";
pub const LOGVIEWER: &str = "environment:roles:logviewer";
/// Two roles, neither of them viewer.
pub const ROLES: &str = "environment:roles:manage-settings, environment:roles:logviewer";
pub const PERMISSIONS: [&str; 5] = [READ, WRITE, VIEWER, MANAGER, LOGVIEWER];
pub const ATTRIBUTES: [&str; 4] = ["shop:region", "shop:tags", "shop:old", "environment:management-zone"];
pub const VALUES: [&str; 5] = ["a", "ab", "b", "prod-a", GROUPS[0].1];
pub const USERS: [&str; 4] = ["ada@example.com", "bob@example.com", "cid@example.com", "dora@example.com"];
pub const GROUPS: [(&str, &str); 2] =
    [("One", "0b54f1d4-6b0a-4f5e-8f6e-2f2f5b0c0001"), ("Two", "0b54f1d4-6b0a-4f5e-8f6e-2f2f5b0c0002")];

/// An account compiled, with what it was made of.
pub struct World {
    pub account: AccountId,
    pub snapshot: Snapshot,
    pub text: String,
}

/// What a request says.
#[derive(Debug, Clone)]
pub struct Ask {
    pub user: String,
    pub environment: String,
    pub permission: String,
    pub attributes: BTreeMap<String, Vec<String>>,
    pub time: String,
}

/// What the catalogue loses of `shop:old` after it was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forget {
    Nothing,
    /// For all permissions but [`WRITE`].
    ButForWrite,
    Everywhere,
}

/// A binding of the policy of its place.
#[derive(Debug, Clone)]
pub struct Bound {
    pub statements: Vec<String>,
    pub group: usize,
    pub environment: &'static str,
    pub boundaries: Vec<String>,
}

// === impl World ===

impl World {
    pub fn program(&self) -> &AccountProgram {
        self.snapshot.account(self.account).unwrap()
    }
}

// === impl Ask ===

impl Ask {
    pub fn with(&self, more: &BTreeMap<String, Vec<String>>) -> Self {
        let mut attributes = self.attributes.clone();
        attributes.extend(more.clone());
        Self { attributes, ..self.clone() }
    }

    pub fn of(&self, user: &str, permission: &str) -> Self {
        Self { user: user.to_owned(), permission: permission.to_owned(), ..self.clone() }
    }

    pub fn supplied(&self) -> Supplied<'_> {
        supplied(&self.attributes)
    }

    pub fn request<'r>(&'r self, supplied: &'r Supplied<'_>) -> CheckRequest<'r> {
        let level = if self.environment.is_empty() { "account" } else { "" };
        let parts =
            RequestParts { user: &self.user, environment: &self.environment, level, permission: &self.permission };
        CheckRequest::new(parts, supplied.attributes().unwrap(), request_time(&self.time).unwrap()).unwrap()
    }
}

/// An empty list of values says absent.
pub fn supplied(map: &BTreeMap<String, Vec<String>>) -> Supplied<'_> {
    Supplied::new(map.iter().map(|(name, values)| (name.as_str(), Values::Many(values))), [])
}

fn value() -> impl Strategy<Value = String> {
    let fixed = select(VALUES.to_vec()).prop_map(str::to_owned);
    prop_oneof![6 => fixed, 1 => Just("${global:levelId}-a".to_owned()), 1 => Just("${global:userId}".to_owned())]
}

/// A condition on an attribute.
fn attribute_condition() -> BoxedStrategy<String> {
    let name = select(ATTRIBUTES[..3].to_vec());
    let single = (name.clone(), select(vec!["=", "!=", "startsWith", "NOT startsWith"]), value());
    let single = single.prop_map(|(name, operator, value)| format!("{name} {operator} \"{value}\""));
    let element = prop_oneof![5 => value(), 1 => Just("${global:userGroup}".to_owned())];
    let list = (name.clone(), select(vec!["IN", "NOT IN"]), vec(element, 1..3));
    let list = list.prop_map(|(name, operator, values)| format!("{name} {operator} (\"{}\")", values.join("\", \"")));
    let pattern = prop_oneof![
        select(vec!["*", "a*", "*b", "p*d-*a", "ab", "**a"]).prop_map(str::to_owned),
        Just("${global:userGroup}".to_owned()),
        Just("${global:levelId}*".to_owned()),
    ];
    let matched = (name, vec(pattern, 1..3));
    let matched = matched.prop_map(|(name, patterns)| format!("{name} MATCH (\"{}\")", patterns.join("\", \"")));
    prop_oneof![single, list, matched].boxed()
}

fn global_condition() -> BoxedStrategy<String> {
    let group = select(GROUPS.to_vec()).prop_map(|(_, id)| format!("global:userGroup = \"{id}\""));
    let fixed = select(vec![
        "global:week-day = \"Monday\"",
        "global:time-of-day > \"09:00Z\"",
        "global:time-of-day < \"17:00+01:00\"",
        "global:date > \"2026-03-02Z\"",
        "global:environmentId = \"prod\"",
    ]);
    prop_oneof![group, fixed.prop_map(str::to_owned)].boxed()
}

/// A statement about permissions of one kind: a role takes other conditions.
fn statement() -> BoxedStrategy<String> {
    let of = |permissions: Vec<&'static str>, condition: BoxedStrategy<String>| {
        let effect = select(vec!["ALLOW", "ALLOW", "DENY"]);
        let conditions = vec(prop_oneof![3 => condition, 1 => global_condition()], 0..3);
        (effect, select(permissions), conditions).prop_map(|(effect, permissions, conditions)| {
            let conditions = conditions.join(" AND ");
            let clause = if conditions.is_empty() { String::new() } else { format!(" WHERE {conditions}") };
            format!("{effect} {permissions}{clause};")
        })
    };
    let zone = select(VALUES.to_vec()).prop_map(|value| format!("environment:management-zone startsWith \"{value}\""));
    let shop = of(vec![READ, WRITE, "shop:orders:read, shop:orders:write"], attribute_condition());
    // Roles take their conditions alike, so a statement about two of them is one clause.
    let pairs = ["environment:roles:viewer, environment:roles:manage-settings", ROLES];
    let roles = of(vec![VIEWER, MANAGER, LOGVIEWER, pairs[0], pairs[1]], zone.boxed());
    prop_oneof![3 => shop, 2 => roles].boxed()
}

fn bound() -> impl Strategy<Value = Bound> {
    let boundary = vec(prop_oneof![3 => attribute_condition(), 1 => global_condition()], 1..4);
    let boundary = boundary.prop_map(|conditions| conditions.join(";\n"));
    let environment = select(vec!["", "", "prod", "dev"]);
    let boundaries = prop_oneof![2 => Just(Vec::new()), 1 => vec(boundary, 1..3)];
    (vec(statement(), 1..4), 0..3_usize, environment, boundaries)
        .prop_map(|(statements, group, environment, boundaries)| Bound { statements, group, environment, boundaries })
}

/// A state with the catalogue's `shop:old` taken away after it was used, in some of them.
pub fn world() -> impl Strategy<Value = World> {
    let forget = select(vec![Forget::Nothing, Forget::ButForWrite, Forget::Everywhere]);
    (vec(bound(), 1..6), any::<bool>(), forget).prop_map(|(bound, strict, forget)| build(&bound, strict, forget))
}

pub fn values() -> impl Strategy<Value = Vec<String>> {
    vec(select(vec!["a", "ab", "b", "prod-a", "dev-a", "c", "", GROUPS[0].1]).prop_map(str::to_owned), 0..4)
}

/// A request that tells some of the attributes.
pub fn ask() -> impl Strategy<Value = Ask> {
    let attributes =
        proptest::collection::btree_map(select(ATTRIBUTES.to_vec()).prop_map(str::to_owned), values(), 0..3);
    let times = vec!["2026-03-02T12:00:00Z", "2026-03-03T08:30:00Z", "2026-03-08T23:59:59Z"];
    (select(USERS.to_vec()), select(vec!["prod", "dev", ""]), select(PERMISSIONS.to_vec()), attributes, select(times))
        .prop_map(|(user, environment, permission, attributes, time)| Ask {
            user: user.to_owned(),
            environment: environment.to_owned(),
            permission: permission.to_owned(),
            attributes,
            time: time.to_owned(),
        })
}

/// An object: what it says about every attribute.
pub fn object() -> impl Strategy<Value = BTreeMap<String, Vec<String>>> {
    [values(), values(), values(), values()]
        .prop_map(|lists| ATTRIBUTES.iter().map(|name| (*name).to_owned()).zip(lists).collect())
}

fn state_text(bound: &[Bound], strict: bool) -> String {
    let operators = "[\"=\", \"!=\", IN, NOT IN, startsWith, NOT startsWith, MATCH]";
    let conditions = |any: bool| {
        let condition =
            |name: &str, any: bool| format!("{{name: 'shop:{name}', operators: {operators}, anyMatch: {any}}}");
        [condition("region", !any), condition("tags", any), condition("old", false)].join(", ")
    };
    let mut text = format!(
        "account: {{name: World, strictBoundaries: {strict}}}\n\
         environments: [{{id: prod, name: Production}}, {{id: dev, name: Development}}]\n\
         groups: [{{name: One, id: {}}}, {{name: Two, id: {}}}]\n\
         users:\n  - {{email: ada@example.com, groups: [One]}}\n  - {{email: bob@example.com, groups: [One, Two]}}\n  \
         - {{email: cid@example.com}}\n  - {{email: dora@example.com, state: inactive, groups: [One]}}\n\
         catalogue:\n  - {{permission: '{READ}', conditions: [{}]}}\n  - {{permission: '{WRITE}', conditions: [{}]}}\n",
        GROUPS[0].1,
        GROUPS[1].1,
        conditions(true),
        conditions(false),
    );
    text.push_str("policies:\n");
    for (place, bound) in bound.iter().enumerate() {
        let statements = bound.statements.join(" ").replace('\'', "''");
        let _ = writeln!(text, "  - {{name: P{place}, level: account, statements: '{statements}'}}");
    }
    text
}

/// The account with these bindings, and a catalogue that forgot something after they were made.
pub fn build(bound: &[Bound], strict: bool, forget: Forget) -> World {
    let text = state_text(bound, strict);
    let loaded = statefile::load(&text, Format::Yaml, jiff::Timestamp::UNIX_EPOCH);
    let loaded = loaded.unwrap_or_else(|problems| panic!("{text}\n{problems:?}"));
    let (account, mut state) = (loaded.account, loaded.state);
    let objects: Vec<Object> =
        (0..).zip(bound).flat_map(|(place, bound)| bind(&state, account, place, bound)).collect();
    put(&mut state, objects);
    if forget != Forget::Nothing {
        forget_condition(&mut state, account, forget);
    }
    let snapshot = Snapshot::build(StoreId::random(), &state, None).unwrap();
    World { account, snapshot, text: format!("{text}{bound:#?}") }
}

fn bind(state: &State, account: AccountId, place: usize, bound: &Bound) -> Vec<Object> {
    let owned = state.account(account).unwrap();
    let policy = owned.policies.values().find(|policy| policy.value.name.as_str() == format!("P{place}")).unwrap();
    let group = match GROUPS.get(bound.group) {
        Some((_, id)) => id.parse().unwrap(),
        None => owned.all_users().unwrap().value.id,
    };
    let boundary = |(number, query): (usize, &String)| {
        let id = doorward::model::id::BoundaryId::from_bytes([(place * 8 + number + 1) as u8; 16]);
        Boundary { id, name: format!("B{place}-{number}").parse().unwrap(), query: format!("{query};") }
    };
    let boundaries: Vec<Boundary> = bound.boundaries.iter().enumerate().map(boundary).collect();
    let level = match bound.environment {
        "" => BindingLevel::Account,
        id => BindingLevel::Environment(id.parse().unwrap()),
    };
    let binding = Binding {
        policy: policy.value.id,
        group,
        level,
        parameters: BTreeMap::new(),
        boundaries: boundaries.iter().map(|boundary| boundary.id).collect::<BTreeSet<_>>(),
        metadata: BTreeMap::new(),
    };
    let boundaries = boundaries.into_iter().map(|boundary| Object::Boundary(account, boundary));
    boundaries.chain([Object::Binding(account, binding)]).collect()
}

/// The catalogue as if it had lost a condition.
fn forget_condition(state: &mut State, account: AccountId, forget: Forget) {
    let lose = |entry: &CatalogueEntry| {
        let mut entry = entry.clone();
        let keeps = forget == Forget::ButForWrite && entry.permission.as_str() == WRITE;
        entry.conditions.retain(|condition| condition.name.as_str() != "shop:old" || keeps);
        Object::CatalogueEntry(account, entry)
    };
    let objects: Vec<Object> = state.account(account).unwrap().catalogue.values().map(|it| lose(&it.value)).collect();
    put(state, objects);
}

fn put(state: &mut State, objects: Vec<Object>) {
    let at = jiff::Timestamp::UNIX_EPOCH;
    let record = |value| Change::Put(Record { created: at, updated: at, revision: Revision::new(2), value });
    let changes: Vec<_> = objects.into_iter().map(record).collect();
    state.apply(Revision::new(2), &changes).unwrap();
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}
