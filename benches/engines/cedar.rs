//! Cedar as well as it can be arranged for this workload.
//!
//! A policy set is built beforehand for each group and permission, with boundaries expanded and conditions as Cedar
//! expressions over a flat context of texts. What chose the set is not tested again: policies constrain neither principal
//! nor action, so that no entity is needed at all. A decision asks the sets of the user's groups that are about the
//! permission, mostly none or one, and a DENY of any of them decides. Where no set is about it, no request is made.
//!
//! The environment is tested by a policy (`resource == Environment::"..."`), or is one more thing that a set is chosen by:
//! both are measured. Cedar has two values where Doorward has three, so an ALLOW asks what is TRUE, a DENY what is not FALSE.
//!
//! The sets are built that the measured requests reach, or all of them to measure memory.

use std::fmt::Write as _;
use std::hint::black_box;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, EntityId, EntityTypeName, EntityUid, PolicySet, Request as CedarRequest,
    RestrictedExpression,
};
use doorward::model::id::GroupId;
use doorward::model::identity::UserState;
use doorward::model::policy::Effect;
use doorward::model::state::AccountState;
use doorward::workload::Request;
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use super::clauses::{Clause, Comparison, Requirement, Test, clauses_of};
use super::engine::Engine;

/// What chooses a set: group, permission, and environment where that is not left to the policies.
type Key = (u32, u32, u32);
/// No environment: the account itself, or one is as good as another.
const ACCOUNT: u32 = u32::MAX;

/// Cedar with policy sets of the account.
pub(crate) struct Cedar {
    authorizer: Authorizer,
    entities: Entities,
    types: Types,
    /// Groups of the active users.
    users: FxHashMap<Box<str>, Box<[u32]>>,
    names: Names,
    sets: FxHashMap<Key, PolicySet>,
}

/// Names as numbers.
struct Names {
    permissions: FxHashMap<Box<str>, u32>,
    /// Empty where the policies test the environment.
    environments: FxHashMap<Box<str>, u32>,
}

/// Names of entity types, parsed once.
struct Types {
    user: EntityTypeName,
    action: EntityTypeName,
    environment: EntityTypeName,
}

/// The sets to ask, and what to ask them; nothing where there is no set.
pub(crate) struct Asked<'e> {
    sets: SmallVec<[&'e PolicySet; 4]>,
    request: Option<CedarRequest>,
}

/// What is reached: groups and permissions, or everything.
type Reached = Option<FxHashSet<(u32, u32)>>;

// === impl Cedar ===

impl Cedar {
    /// The sets that these requests reach; all of them without any.
    pub(crate) fn new(account: &AccountState, requests: Option<&[Request]>, by_environment: bool) -> Self {
        let numbers: FxHashMap<GroupId, u32> = account.groups.keys().copied().zip(0..).collect();
        let mut cedar = Self {
            authorizer: Authorizer::new(),
            entities: Entities::empty(),
            types: Types::new(),
            users: users(account, &numbers),
            names: Names::new(account, by_environment),
            sets: FxHashMap::default(),
        };
        let reached = requests.map(|requests| cedar.reached(requests));
        let groups: Option<FxHashSet<u32>> = reached.as_ref().map(|it| it.iter().map(|(group, _)| *group).collect());
        for (id, number) in numbers {
            if groups.as_ref().is_none_or(|groups| groups.contains(&number)) {
                cedar.add_group(number, clauses_of(account, id), &reached);
            }
        }
        cedar
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
                    self.names.write_policy(text, &clause);
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

    fn prepare<'e>(&'e self, request: &'e Request) -> Asked<'e> {
        let groups = self.users.get(request.user.as_str()).map(AsRef::as_ref).unwrap_or_default();
        let permission = self.names.permissions[request.permission.as_str()];
        let environment = self.names.environment(request.environment.as_deref());
        let sets = groups.iter().filter_map(|group| self.sets.get(&(*group, permission, environment)));
        let sets: SmallVec<[&PolicySet; 4]> = sets.collect();
        let request = (!sets.is_empty()).then(|| self.types.request(request));
        Asked { sets, request }
    }

    fn decide<'e>(&'e self, Asked { sets, request }: &Asked<'e>) -> bool {
        let Some(request) = request else { return false };
        let mut allowed = false;
        for set in sets {
            let response = self.authorizer.is_authorized(request, set, &self.entities);
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
        Self { user: parsed("User"), action: parsed("Action"), environment: parsed("Environment") }
    }

    fn request(&self, request: &Request) -> CedarRequest {
        let uid = |of: &EntityTypeName, id: &str| EntityUid::from_type_name_and_id(of.clone(), EntityId::new(id));
        let (user, action) = (uid(&self.user, &request.user), uid(&self.action, &request.permission));
        let environment = uid(&self.environment, request.environment.as_deref().unwrap_or_default());
        let pairs = request.attributes.iter().cloned();
        let context = Context::from_pairs(pairs.map(|(name, value)| (name, RestrictedExpression::new_string(value))));
        let context = context.expect("no attribute twice");
        CedarRequest::new(user, action, environment, context, None).expect("no schema to contradict")
    }
}

// === impl Names ===

impl Names {
    fn new(account: &AccountState, by_environment: bool) -> Self {
        let environments = account.environments.keys().filter(|_| by_environment);
        Self {
            permissions: account.catalogue.keys().map(|name| name.as_str().into()).zip(0..).collect(),
            environments: environments.map(|id| id.as_str().into()).zip(0..).collect(),
        }
    }

    fn environment(&self, id: Option<&str>) -> u32 {
        id.and_then(|id| self.environments.get(id)).copied().unwrap_or(ACCOUNT)
    }

    /// The environments whose sets hold the clause.
    fn counts_in(&self, clause: &Clause) -> Vec<u32> {
        match &clause.environment {
            Some(id) => vec![self.environment(Some(id.as_str()))],
            None => self.environments.values().copied().chain([ACCOUNT]).collect(),
        }
    }

    fn write_policy(&self, text: &mut String, clause: &Clause) {
        let resource = match &clause.environment {
            Some(id) if self.environments.is_empty() => format!("resource == Environment::{}", quoted(id.as_str())),
            _ => "resource".to_owned(),
        };
        let (verb, test): (_, fn(&Test) -> String) = match clause.effect {
            Effect::Allow => ("permit", holds),
            Effect::Deny => ("forbid", is_not_false),
        };
        let any = |tests: &Requirement| any(tests.iter().map(test));
        let all: Vec<_> = clause.requirements.iter().map(any).collect();
        let when = if all.is_empty() { String::new() } else { format!(" when {{ {} }}", all.join(" && ")) };
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{verb} (principal, action, {resource}){when};");
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
