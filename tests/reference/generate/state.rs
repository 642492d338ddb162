//! States: valid ones, as an administrator could have made them, and what a newer catalogue may have taken away.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use doorward::compile::{check, shipped_global};
use doorward::lang::ast::Condition;
use doorward::lang::{parse_boundary, parse_policy};
use doorward::model::account::{Account, Environment, Global};
use doorward::model::binding::Binding;
use doorward::model::catalogue::{Catalogue, CatalogueEntry, ConditionSpec, Operator};
use doorward::model::id::{AccountId, BoundaryId, EnvironmentId, GroupId, PolicyId, UserId};
use doorward::model::identity::{Group, GroupOwner, User, UserKind, UserState};
use doorward::model::level::{BindingLevel, Level};
use doorward::model::object::{Change, Object, Record};
use doorward::model::policy::{Boundary, Policy};
use doorward::model::revision::Revision;
use doorward::model::state::State;

use super::super::forget::forget;
use super::texts::Author;
use super::words::{
    ADDITIONS, BOUNDARIES, DATE_PARAMETER, DATES, ENVIRONMENTS, GROUPS, POLICIES, TEXTS, WEEK_DAY_PARAMETER, WEEK_DAYS,
};
use super::{Choices, Mentioned, World};

/// The catalogue of generated accounts, made once.
static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    let mut catalogue = Catalogue::from_entries(&shipped_global().catalogue);
    for addition in additions() {
        catalogue.extend(&addition).expect("an addition that fits");
    }
    catalogue
});

/// A state and what its texts mention.
pub fn world(choices: &mut Choices<'_>) -> World {
    let mut making = Making::new();
    making.account(choices);
    making.users(choices);
    let boundaries = (0..choices.below(4).min(BOUNDARIES.len())).map(|number| making.boundary(choices, number));
    let boundaries: Vec<_> = boundaries.collect();
    let policies: Vec<_> = (0..=choices.below(4)).filter_map(|number| making.policy(choices, number)).collect();
    for _ in 0..=choices.below(10) {
        making.binding(choices, &policies, &boundaries);
    }
    making.mentioned.permissions = making.bound_permissions(&policies);
    let forgotten: Vec<_> = making.lost(choices).into_iter().collect();
    let accepted = making.state();
    let state = forget(&accepted, making.id, &forgotten);
    World { state, accepted, forgotten, account: making.id, users: making.user_names, mentioned: making.mentioned }
}

struct Making {
    id: AccountId,
    global: Global,
    objects: Vec<Object>,
    groups: Vec<GroupId>,
    /// Ids that values can be.
    ids: Vec<String>,
    /// As they are printed.
    group_ids: Vec<String>,
    user_names: Vec<String>,
    /// Names that a level has.
    taken: BTreeSet<(Level, &'static str)>,
    mentioned: Mentioned,
}

// === impl Making ===

impl Making {
    fn new() -> Self {
        let groups: Vec<_> = (0..GROUPS.len()).map(|number| GroupId::from_bytes(bytes(0x60, number))).collect();
        let id = AccountId::from_bytes(bytes(0xac, 0));
        let group_ids: Vec<_> = groups.iter().map(ToString::to_string).collect();
        let user = UserId::from_bytes(bytes(0x05, 0)).to_string();
        let ids = [group_ids.clone(), vec![user, id.to_string(), ENVIRONMENTS[0].to_owned()]].concat();
        let (objects, user_names, taken) = (Vec::new(), Vec::new(), BTreeSet::new());
        Self {
            id,
            global: shipped_global(),
            objects,
            groups,
            ids,
            group_ids,
            user_names,
            taken,
            mentioned: Mentioned::default(),
        }
    }

    fn account(&mut self, choices: &mut Choices<'_>) {
        let name = "Generated".parse().expect("a name");
        self.objects.push(Object::Account(Account { id: self.id, name, strict_boundaries: choices.chance(35) }));
        for id in ENVIRONMENTS {
            let name = id.parse().expect("a name");
            self.objects.push(Object::Environment(self.id, Environment { id: environment(id), name }));
        }
        self.objects.extend(additions().into_iter().map(|entry| Object::CatalogueEntry(self.id, entry)));
        for (number, (id, name)) in self.groups.iter().zip(GROUPS).enumerate() {
            let owner = if number == 0 { GroupOwner::AllUsers } else { GroupOwner::Local };
            let name = name.parse().expect("a name");
            let (description, federated_attribute_values) = (String::new(), Vec::new());
            let group = Group { id: *id, name, description, owner, federated_attribute_values };
            self.objects.push(Object::Group(self.id, group));
        }
    }

    fn users(&mut self, choices: &mut Choices<'_>) {
        for number in 0..5 {
            let service = number >= 3;
            let state =
                if number > 0 && choices.chance(25) { choices.pick(&UserState::NAMES).1 } else { UserState::Active };
            let groups = choices.some_of(&self.groups[1..], 65, 3).into_iter().copied().collect();
            let names = if choices.chance(4) { ["robot", "user0@example.com"] } else { ["robot", "helper"] };
            let name = service.then(|| names[number - 3].parse().expect("a name"));
            let kind = if service { UserKind::Service { description: String::new() } } else { UserKind::Local };
            let (id, email) = (UserId::from_bytes(bytes(0x05, number)), format!("user{number}@example.com"));
            self.user_names.extend([email.clone(), id.to_string()]);
            self.user_names.extend(name.as_ref().map(|name: &doorward::model::text::Name| name.to_string()));
            let email = email.parse().expect("an e-mail");
            self.objects.push(Object::User(self.id, User { id, email, name, kind, state, groups }));
        }
    }

    fn boundary(&mut self, choices: &mut Choices<'_>, number: usize) -> Boundary {
        let query = self.author(&CATALOGUE).boundary(choices);
        assert!(check::boundary(&query, &CATALOGUE).is_ok(), "a boundary that is refused: {query}");
        let id = BoundaryId::from_bytes(bytes(choices.below(256), number));
        let boundary = Boundary { id, name: BOUNDARIES[number].parse().expect("a name"), query };
        self.objects.push(Object::Boundary(self.id, boundary.clone()));
        boundary
    }

    /// A policy; `None` where its level has one of the name.
    fn policy(&mut self, choices: &mut Choices<'_>, number: usize) -> Option<Policy> {
        let levels = [Level::Account, Level::Account, Level::Global, Level::Environment(environment(ENVIRONMENTS[0]))];
        let level = choices.pick(&levels).clone();
        let shipped = Catalogue::shipped();
        let catalogue = if level == Level::Global { shipped } else { &CATALOGUE };
        let statements = self.author(catalogue).policy(choices);
        assert!(check::policy(&statements, &CATALOGUE).is_ok(), "a policy that is refused: {statements}");
        let level = match level {
            // What an account adds is not known at the global level.
            Level::Global if !check::policy(&statements, shipped).is_ok() => Level::Account,
            level => level,
        };
        let name = choices.word(&POLICIES);
        if !self.taken.insert((level.clone(), name)) {
            return None;
        }
        let id = PolicyId::from_bytes(bytes(choices.below(256), number));
        let (name, description, tags) = (name.parse().expect("a name"), String::new(), Vec::new());
        let policy = Policy { id, level, name, description, tags, statements };
        match policy.level {
            Level::Global => self.global.policies.push(policy.clone()),
            _ => self.objects.push(Object::Policy(self.id, policy.clone())),
        }
        Some(policy)
    }

    fn binding(&mut self, choices: &mut Choices<'_>, policies: &[Policy], boundaries: &[Boundary]) {
        let policy = choices.pick(policies);
        let level = match &policy.level {
            Level::Environment(id) => BindingLevel::Environment(id.clone()),
            _ if choices.chance(25) => BindingLevel::Environment(environment(choices.word(&ENVIRONMENTS))),
            _ => BindingLevel::Account,
        };
        let group = self.groups[[0, 0, 0, 1, 1, 2, 2, 3][choices.below(8)]];
        let narrowed = if choices.chance(50) { choices.some_of(boundaries, 60, 3) } else { Vec::new() };
        let parameters = parameters(choices, policy, &narrowed);
        let metadata =
            if choices.chance(5) { BTreeMap::from([("k".to_owned(), "v".to_owned())]) } else { BTreeMap::new() };
        let boundaries = narrowed.iter().map(|boundary| boundary.id).collect();
        let binding = Binding { policy: policy.id, group, level, parameters, boundaries, metadata };
        if !self.objects.iter().any(|known| matches!(known, Object::Binding(_, known) if *known == binding)) {
            self.objects.push(Object::Binding(self.id, binding));
        }
    }

    /// The permissions of the policies that are bound: to ask for others would be to be refused.
    fn bound_permissions(&self, policies: &[Policy]) -> Vec<String> {
        let is_bound = |policy: &&Policy| {
            let binds = |object: &Object| matches!(object, Object::Binding(_, binding) if binding.policy == policy.id);
            self.objects.iter().any(binds)
        };
        let trees = policies.iter().filter(is_bound).map(|policy| parse_policy(&policy.statements).ast);
        let statements: Vec<_> = trees.flat_map(|tree| tree.statements).collect();
        let permissions = statements.iter().flat_map(|statement| &statement.node.permissions);
        permissions.map(|permission| permission.node.to_string()).collect()
    }

    /// Something that a newer catalogue no longer has.
    fn lost(&self, choices: &mut Choices<'_>) -> Option<String> {
        if !choices.chance(20) {
            return None;
        }
        let permission = choices.pick(&self.mentioned.permissions);
        let names: Vec<_> = self.mentioned.values.keys().filter(|name| !name.starts_with("global:")).collect();
        let Some(name) = names.get(choices.below(names.len())) else { return Some(permission.clone()) };
        Some(match choices.below(4) {
            0 => permission.clone(),
            1 => format!("{permission} {name}"),
            2 => format!("* {name}"),
            _ => format!("* {name} {}", choices.pick(&[Operator::Equal, Operator::In, Operator::Match])),
        })
    }

    fn author<'a>(&'a mut self, catalogue: &'a Catalogue) -> Author<'a> {
        let Self { ids, group_ids, mentioned, .. } = self;
        Author { catalogue, ids, groups: group_ids, mentioned }
    }

    fn state(&self) -> State {
        let mut global = self.global.clone();
        global.policies.sort_by(|a, b| a.name.cmp(&b.name));
        let objects = std::iter::once(Object::Global(global)).chain(self.objects.iter().cloned());
        let (time, revision) = (jiff::Timestamp::UNIX_EPOCH, Revision::new(1));
        let record = |value| Record { created: time, updated: time, revision, value };
        let changes: Vec<_> = objects.map(|object| Change::Put(record(object))).collect();
        let mut state = State::default();
        state.apply(revision, &changes).expect("parents come first");
        state
    }
}

/// Sixteen bytes that differ where one of the two numbers does.
fn bytes(first: usize, second: usize) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[0] = u8::try_from(first).expect("a byte");
    bytes[15] = u8::try_from(second).expect("a byte");
    bytes
}

fn environment(id: &str) -> EnvironmentId {
    id.parse().expect("an environment id")
}

fn additions() -> Vec<CatalogueEntry> {
    let mut entries: Vec<CatalogueEntry> = Vec::new();
    for (permission, name, operators, any_match) in ADDITIONS {
        let operators = operators.split(',').map(|token| Operator::from_token(token).expect("an operator")).collect();
        let spec = ConditionSpec { name: name.parse().expect("a condition"), operators, any_match };
        if let Some(entry) = entries.iter_mut().find(|entry| entry.permission.as_str() == permission) {
            entry.conditions.push(spec);
        } else {
            let permission = permission.parse().expect("a permission");
            entries.push(CatalogueEntry { permission, conditions: vec![spec] });
        }
    }
    entries
}

/// A value for each parameter that the policy or a boundary asks for, and at times for one that none does.
fn parameters(choices: &mut Choices<'_>, policy: &Policy, boundaries: &[&Boundary]) -> BTreeMap<String, String> {
    let policy = parse_policy(&policy.statements).ast;
    let own = policy.statements.iter().flat_map(|statement| &statement.node.conditions);
    let boundaries: Vec<_> = boundaries.iter().map(|boundary| parse_boundary(&boundary.query).ast).collect();
    let theirs = boundaries.iter().flat_map(|boundary| &boundary.conditions);
    let mut names: BTreeSet<_> = own.chain(theirs).flat_map(|condition| mentioned(&condition.node)).collect();
    if choices.chance(5) {
        names.insert("surplus".to_owned());
    }
    let value = |choices: &mut Choices<'_>, name: &str| match name {
        DATE_PARAMETER => choices.word(&DATES),
        WEEK_DAY_PARAMETER => choices.word(&WEEK_DAYS),
        _ => choices.word(&TEXTS),
    };
    names.into_iter().map(|name| (name.clone(), value(choices, &name).to_owned())).collect()
}

fn mentioned(condition: &Condition) -> Vec<String> {
    let values = condition.values.iter().flat_map(|value| value.node.parameters());
    values.map(ToString::to_string).collect()
}
