//! Cedar as well as it can be arranged for this workload.
//!
//! A policy set is built beforehand for each group and permission, with boundaries expanded and conditions as Cedar
//! expressions over a flat context of texts. A decision asks the sets of the user's groups that are about the permission,
//! mostly none or one, and a DENY of any of them decides. Where no set is about it, no request is made. Cedar has two values
//! where Doorward has three, so an ALLOW asks what is TRUE, a DENY what is not FALSE.
//!
//! There are three arrangements of the sets, each with less left for Cedar to do:
//!
//! - *linked*: each policy says whom and what it is about (`principal in Group::".."`, `action == ..`, `resource in ..`), as
//!   a template linked to a group does, and entities say who is in which group and which environment is in the account;
//!   they are made beforehand for each user.
//! - *chosen*: what chose the set is not tested again, so that no entity is needed; a policy tests the environment alone.
//! - *chosen by environment*: the environment chooses the set too, and a policy has nothing left but its conditions.
//!
//! The sets are built that the measured requests reach, or all of them to measure memory.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::hint::black_box;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet,
    Request as CedarRequest, RestrictedExpression,
};
use doorward::model::id::{EnvironmentId, GroupId};
use doorward::model::identity::UserState;
use doorward::model::policy::Effect;
use doorward::model::state::AccountState;
use doorward::workload::Request;
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use super::clauses::{Clause, Comparison, Requirement, Test, clauses_of};
use super::engine::Engine;
use super::world::Told;

/// What chooses a set: group, permission, and environment where that is not left to the policies.
type Key = (u32, u32, u32);
/// No environment: the account itself, or one is as good as another.
const ACCOUNT: u32 = u32::MAX;

/// How much the sets leave to the policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Arrangement {
    /// Principal, action and resource.
    Linked,
    /// The environment.
    Chosen,
    /// Nothing but conditions.
    ChosenByEnvironment,
}

/// Cedar with policy sets of the account.
pub(crate) struct Cedar {
    authorizer: Authorizer,
    nobody: Entities,
    /// Of each user, where policies say whom they are about.
    entities: FxHashMap<Box<str>, Entities>,
    types: Types,
    /// Groups of the active users.
    users: FxHashMap<Box<str>, Box<[u32]>>,
    names: Names,
    sets: FxHashMap<Key, PolicySet>,
}

/// Names as numbers.
struct Names {
    arrangement: Arrangement,
    permissions: FxHashMap<Box<str>, u32>,
    environments: FxHashMap<Box<str>, u32>,
}

/// Names of entity types, parsed once.
struct Types {
    user: EntityTypeName,
    group: EntityTypeName,
    account: EntityTypeName,
    action: EntityTypeName,
    environment: EntityTypeName,
}

/// The sets to ask, and what to ask them; nothing where there is no set.
pub(crate) struct Asked<'e> {
    sets: SmallVec<[&'e PolicySet; 4]>,
    entities: &'e Entities,
    request: Option<CedarRequest>,
}

/// What is reached: groups and permissions, or everything.
type Reached = Option<FxHashSet<(u32, u32)>>;

// === impl Arrangement ===

impl Arrangement {
    pub(crate) const ALL: [Self; 3] = [Self::Linked, Self::Chosen, Self::ChosenByEnvironment];
}

// === impl Cedar ===

impl Cedar {
    /// The sets that these requests reach; all of them without any.
    pub(crate) fn new(account: &AccountState, requests: Option<&[Request]>, arrangement: Arrangement) -> Self {
        let numbers: FxHashMap<GroupId, u32> = account.groups.keys().copied().zip(0..).collect();
        let mut cedar = Self {
            authorizer: Authorizer::new(),
            nobody: Entities::empty(),
            entities: FxHashMap::default(),
            types: Types::new(),
            users: users(account, &numbers),
            names: Names::new(account, arrangement),
            sets: FxHashMap::default(),
        };
        if arrangement == Arrangement::Linked {
            cedar.make_entities(requests);
        }
        let reached = requests.map(|requests| cedar.reached(requests));
        let groups: Option<FxHashSet<u32>> = reached.as_ref().map(|it| it.iter().map(|(group, _)| *group).collect());
        for (id, number) in numbers {
            if groups.as_ref().is_none_or(|groups| groups.contains(&number)) {
                cedar.add_group(number, clauses_of(account, id), &reached);
            }
        }
        cedar
    }

    /// The entities of the users who ask; of all users where that is not known.
    fn make_entities(&mut self, requests: Option<&[Request]>) {
        let asking: Option<FxHashSet<&str>> = requests.map(|it| it.iter().map(|it| it.user.as_str()).collect());
        let asks = |user: &str| asking.as_ref().is_none_or(|asking| asking.contains(user));
        let users = self.users.iter().filter(|(user, _)| asks(user));
        let environments: Vec<_> = self.names.environments.keys().map(AsRef::as_ref).collect();
        let entities = users.map(|(user, groups)| (user.clone(), self.types.entities(user, groups, &environments)));
        self.entities = entities.collect();
    }

    fn reached(&self, requests: &[Request]) -> FxHashSet<(u32, u32)> {
        let mut reached = FxHashSet::default();
        for request in requests {
            let groups = self.users.get(request.user.as_str()).map(AsRef::as_ref).unwrap_or_default();
            let permission = self.names.permissions[request.permission.as_str()];
            reached.extend(groups.iter().map(|group| (*group, permission)));
        }
        reached
    }

    fn add_group(&mut self, group: u32, clauses: Vec<Clause>, reached: &Reached) {
        let mut texts: FxHashMap<Key, String> = FxHashMap::default();
        for clause in clauses {
            let permission = self.names.permissions[clause.permission.as_str()];
            if reached.as_ref().is_none_or(|reached| reached.contains(&(group, permission))) {
                for environment in self.names.counts_in(&clause) {
                    let text = texts.entry((group, permission, environment)).or_default();
                    self.names.write_policy(text, group, &clause);
                }
            }
        }
        let parsed = |text: String| text.parse::<PolicySet>().unwrap_or_else(|error| panic!("{error}\n{text}"));
        self.sets.extend(texts.into_iter().map(|(key, text)| (key, parsed(text))));
    }
}

fn users(account: &AccountState, numbers: &FxHashMap<GroupId, u32>) -> FxHashMap<Box<str>, Box<[u32]>> {
    let active = account.users.values().filter(|user| user.value.state == UserState::Active);
    let groups = active.map(|user| {
        let groups = user.value.groups.iter().filter_map(|id| numbers.get(id).copied()).collect();
        (user.value.email.as_str().into(), groups)
    });
    groups.collect()
}

impl Engine for Cedar {
    type Prepared<'e> = Asked<'e>;

    fn prepare<'e>(&'e self, request: &'e Told<'_>) -> Asked<'e> {
        let user = request.user.as_str();
        let groups = self.users.get(user).map(AsRef::as_ref).unwrap_or_default();
        let permission = self.names.permissions[request.permission.as_str()];
        let environment = self.names.environment(request.environment.as_deref());
        let sets = groups.iter().filter_map(|group| self.sets.get(&(*group, permission, environment)));
        let sets: SmallVec<[&PolicySet; 4]> = sets.collect();
        let request = (!sets.is_empty()).then(|| self.types.request(request));
        let entities = self.entities.get(user).unwrap_or(&self.nobody);
        Asked { sets, entities, request }
    }

    fn decide<'e>(&'e self, Asked { sets, entities, request }: &Asked<'e>) -> bool {
        let Some(request) = request else { return false };
        let mut allowed = false;
        for set in sets {
            let response = self.authorizer.is_authorized(request, set, entities);
            assert_eq!(response.diagnostics().errors().count(), 0, "Cedar evaluates every policy");
            let mut reasons = response.diagnostics().reason();
            let reason = black_box(reasons.next());
            match response.decision() {
                Decision::Allow => allowed = true,
                // A reason to deny is a forbid that fits.
                Decision::Deny if reason.is_some() => return false,
                Decision::Deny => {}
            }
        }
        allowed
    }
}

// === impl Types ===

impl Types {
    fn new() -> Self {
        let parsed = |name: &str| name.parse().expect("a type");
        let (user, group, account) = (parsed("User"), parsed("Group"), parsed("Account"));
        Self { user, group, account, action: parsed("Action"), environment: parsed("Environment") }
    }

    fn request(&self, request: &Request) -> CedarRequest {
        let (user, action) = (uid(&self.user, &request.user), uid(&self.action, &request.permission));
        let environment = request.environment.as_deref().map(|id| uid(&self.environment, id));
        let resource = environment.unwrap_or_else(|| self.own());
        let pairs = request.attributes.iter().cloned();
        let context = Context::from_pairs(pairs.map(|(name, value)| (name, RestrictedExpression::new_string(value))));
        let context = context.expect("no attribute twice");
        CedarRequest::new(user, action, resource, context, None).expect("no schema to contradict")
    }

    /// The account.
    fn own(&self) -> EntityUid {
        uid(&self.account, "own")
    }

    /// A user in its groups, environments in the account.
    fn entities(&self, user: &str, groups: &[u32], environments: &[&str]) -> Entities {
        let groups = groups.iter().map(|group| uid(&self.group, &group.to_string())).collect();
        let user = Entity::new_no_attrs(uid(&self.user, user), groups);
        let environments = environments.iter().map(|id| uid(&self.environment, id));
        let environments = environments.map(|it| Entity::new_no_attrs(it, HashSet::from([self.own()])));
        Entities::from_entities(environments.chain([user]), None).expect("no entity twice")
    }
}

fn uid(of: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(of.clone(), EntityId::new(id))
}

// === impl Names ===

impl Names {
    fn new(account: &AccountState, arrangement: Arrangement) -> Self {
        let environments = account.environments.keys();
        Self {
            arrangement,
            permissions: account.catalogue.keys().map(|name| name.as_str().into()).zip(0..).collect(),
            environments: environments.map(|id| id.as_str().into()).zip(0..).collect(),
        }
    }

    /// What chooses a set for the environment.
    fn environment(&self, id: Option<&str>) -> u32 {
        let id = id.filter(|_| self.arrangement == Arrangement::ChosenByEnvironment);
        id.and_then(|id| self.environments.get(id)).copied().unwrap_or(ACCOUNT)
    }

    /// The environments whose sets hold the clause.
    fn counts_in(&self, clause: &Clause) -> Vec<u32> {
        match &clause.environment {
            None if self.arrangement == Arrangement::ChosenByEnvironment => {
                self.environments.values().copied().chain([ACCOUNT]).collect()
            }
            environment => vec![self.environment(environment.as_ref().map(EnvironmentId::as_str))],
        }
    }

    fn write_policy(&self, text: &mut String, group: u32, clause: &Clause) {
        let (verb, expression): (_, fn(&Test) -> String) = match clause.effect {
            Effect::Allow => ("permit", holds),
            Effect::Deny => ("forbid", is_not_false),
        };
        let any = |tests: &Requirement| any(tests.iter().map(expression));
        let all: Vec<_> = clause.requirements.iter().map(any).collect();
        let when = if all.is_empty() { String::new() } else { format!(" when {{ {} }}", all.join(" && ")) };
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{verb} ({}){when};", self.scope(group, clause));
    }

    fn scope(&self, group: u32, clause: &Clause) -> String {
        let environment = clause.environment.as_ref().map(|id| format!("resource == Environment::\"{id}\""));
        match self.arrangement {
            Arrangement::Linked => {
                let resource = environment.unwrap_or_else(|| "resource in Account::\"own\"".to_owned());
                format!("principal in Group::\"{group}\", action == Action::\"{}\", {resource}", clause.permission)
            }
            Arrangement::Chosen => format!("principal, action, {}", environment.as_deref().unwrap_or("resource")),
            Arrangement::ChosenByEnvironment => "principal, action, resource".to_owned(),
        }
    }
}

fn holds(test: &Test) -> String {
    let name = quoted(&test.attribute);
    format!("(context has {name} && {})", fits(test))
}

fn is_not_false(test: &Test) -> String {
    let name = quoted(&test.attribute);
    format!("(!(context has {name}) || {})", fits(test))
}

fn fits(test: &Test) -> String {
    let value = format!("context[{}]", quoted(&test.attribute));
    match &test.comparison {
        Comparison::OneOf(values) => one_of(&value, values),
        Comparison::NoneOf(values) => format!("!({})", one_of(&value, values)),
        Comparison::StartsWith(begin) => format!("{value} like {}", quoted(&format!("{begin}*"))),
        Comparison::StartsNotWith(begin) => format!("!({value} like {})", quoted(&format!("{begin}*"))),
        Comparison::Match(ends) => {
            any(ends.iter().map(|(begin, end)| format!("{value} like {}", quoted(&format!("{begin}*{end}")))))
        }
    }
}

fn one_of(value: &str, values: &[String]) -> String {
    match values {
        [only] => format!("{value} == {}", quoted(only)),
        _ => format!("[{}].contains({value})", values.iter().map(|it| quoted(it)).collect::<Vec<_>>().join(", ")),
    }
}

fn any(tests: impl Iterator<Item = String>) -> String {
    format!("({})", tests.collect::<Vec<_>>().join(" || "))
}

/// A Cedar string. The words of the workload hold nothing to escape.
fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}
