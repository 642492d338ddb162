//! The floor: what a decision costs at least, written by hand for this workload and nothing else.
//!
//! Names are interned. A group has a bitmap of the permissions it is bound to, which gives the place of its grants; there
//! are no limits to check, no time, no parameters, no attributes with several values and no order of reasons. The first
//! grant that decides is the reason.

use std::hint::black_box;
use std::sync::Arc;

use doorward::model::id::GroupId;
use doorward::model::identity::{User, UserState};
use doorward::model::policy::Effect;
use doorward::model::state::AccountState;
use rustc_hash::{FxHashMap, FxHashSet};

use super::clauses::{Clause, Comparison, Reason, Test, clauses_of};
use super::engine::Engine;
use super::world::Told;

/// No environment: the account itself, or a grant that counts everywhere.
const ACCOUNT: u32 = u32::MAX;

/// The account as an index.
pub(crate) struct Floor {
    users: FxHashMap<Box<str>, Box<[u32]>>,
    permissions: FxHashMap<Box<str>, u32>,
    environments: Box<[Box<str>]>,
    groups: Box<[Group]>,
}

/// What a group is bound to.
struct Group {
    /// For each 64 permissions those that it has grants about, and how many come before.
    permissions: Box<[(u64, u32)]>,
    /// Where the grants about each of them begin; one more for the end.
    starts: Box<[u32]>,
    /// DENY first for each permission.
    grants: Box<[Grant]>,
}

/// A clause whose names are interned.
struct Grant {
    effect: Effect,
    environment: u32,
    requirements: Box<[Box<[Condition]>]>,
    reason: Reason,
}

struct Condition {
    attribute: Arc<str>,
    comparison: Comparison,
}

/// A request as ids, with its attributes.
pub(crate) struct Ids<'e> {
    groups: Option<&'e [u32]>,
    permission: u32,
    environment: u32,
    attributes: &'e [(String, String)],
}

/// Names as numbers while the floor is built.
struct Interner {
    permissions: FxHashMap<Box<str>, u32>,
    environments: Box<[Box<str>]>,
    attributes: FxHashSet<Arc<str>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Truth {
    True,
    False,
    Unknown,
}

// === impl Floor ===

impl Floor {
    pub(crate) fn new(account: &AccountState) -> Self {
        let numbers: FxHashMap<GroupId, u32> = account.groups.keys().copied().zip(0..).collect();
        let mut interner = Interner::new(account);
        let groups = account.groups.keys().map(|id| interner.group(clauses_of(account, *id))).collect();
        let users = account.users.values().filter(|user| user.value.state == UserState::Active);
        let users =
            users.map(|user| (user.value.email.as_str().into(), group_numbers(&user.value, &numbers))).collect();
        let Interner { permissions, environments, .. } = interner;
        Self { users, permissions, environments, groups }
    }
}

fn group_numbers(user: &User, numbers: &FxHashMap<GroupId, u32>) -> Box<[u32]> {
    user.groups.iter().filter_map(|id| numbers.get(id).copied()).collect()
}

impl Engine for Floor {
    type Prepared<'e> = Ids<'e>;

    fn prepare<'e>(&'e self, request: &'e Told<'_>) -> Ids<'e> {
        let named = |name: &String| self.environments.iter().position(|known| **known == **name).expect("is known");
        Ids {
            groups: self.users.get(request.user.as_str()).map(AsRef::as_ref),
            permission: *self.permissions.get(request.permission.as_str()).expect("the permission is known"),
            environment: request.environment.as_ref().map_or(ACCOUNT, |name| named(name) as u32),
            attributes: &request.attributes,
        }
    }

    fn decide<'e>(&'e self, ids: &Ids<'e>) -> bool {
        let (allowed, reason) = self.weigh(ids);
        black_box(reason.map(|it| (it.policy, it.statement, it.binding, it.boundary)));
        allowed
    }
}

impl Floor {
    fn weigh(&self, ids: &Ids<'_>) -> (bool, Option<&Reason>) {
        let mut allow = None;
        for group in ids.groups.unwrap_or_default() {
            for grant in self.groups[*group as usize].about(ids.permission) {
                if grant.environment != ACCOUNT && grant.environment != ids.environment {
                    continue;
                }
                match grant.effect {
                    Effect::Deny if grant.holds(ids.attributes) != Truth::False => return (false, Some(&grant.reason)),
                    Effect::Allow if allow.is_none() && grant.holds(ids.attributes) == Truth::True => {
                        allow = Some(&grant.reason);
                    }
                    _ => {}
                }
            }
        }
        (allow.is_some(), allow)
    }
}

// === impl Group ===

impl Group {
    fn about(&self, permission: u32) -> &[Grant] {
        let (word, bit) = (permission / 64, 1_u64 << (permission % 64));
        let (set, before) = self.permissions[word as usize];
        if set & bit == 0 {
            return &[];
        }
        let place = (before + (set & (bit - 1)).count_ones()) as usize;
        &self.grants[self.starts[place] as usize..self.starts[place + 1] as usize]
    }
}

// === impl Grant ===

impl Grant {
    fn holds(&self, attributes: &[(String, String)]) -> Truth {
        let mut all = Truth::True;
        for requirement in &self.requirements {
            match any(requirement, attributes) {
                Truth::False => return Truth::False,
                Truth::Unknown => all = Truth::Unknown,
                Truth::True => {}
            }
        }
        all
    }
}

fn any(alternatives: &[Condition], attributes: &[(String, String)]) -> Truth {
    let mut any = Truth::False;
    for condition in alternatives {
        match attributes.iter().find(|(name, _)| **name == *condition.attribute) {
            None => any = Truth::Unknown,
            Some((_, value)) if condition.comparison.fits(value) => return Truth::True,
            Some(_) => {}
        }
    }
    any
}

impl Comparison {
    fn fits(&self, value: &str) -> bool {
        match self {
            Self::OneOf(values) => values.iter().any(|it| it == value),
            Self::NoneOf(values) => values.iter().all(|it| it != value),
            Self::StartsWith(begin) => value.starts_with(begin.as_str()),
            Self::StartsNotWith(begin) => !value.starts_with(begin.as_str()),
            Self::Match(ends) => {
                ends.iter().any(|(begin, end)| value.starts_with(begin.as_str()) && value.ends_with(end.as_str()))
            }
        }
    }
}

// === impl Interner ===

impl Interner {
    fn new(account: &AccountState) -> Self {
        Self {
            permissions: account.catalogue.keys().map(|name| name.as_str().into()).zip(0..).collect(),
            environments: account.environments.keys().map(|id| id.as_str().into()).collect(),
            attributes: FxHashSet::default(),
        }
    }

    fn group(&mut self, clauses: Vec<Clause>) -> Group {
        let mut numbered: Vec<_> =
            clauses.into_iter().map(|it| (self.permissions[it.permission.as_str()], it)).collect();
        numbered.sort_by_key(|(permission, _)| *permission);
        let mut permissions = vec![(0_u64, 0_u32); self.permissions.len().div_ceil(64)];
        let mut starts = Vec::new();
        for (number, (permission, _)) in (0_u32..).zip(&numbered) {
            let (set, bit) = (&mut permissions[*permission as usize / 64].0, 1 << (permission % 64));
            if *set & bit == 0 {
                *set |= bit;
                starts.push(number);
            }
        }
        starts.push(numbered.len() as u32);
        count_before(&mut permissions);
        let grants = numbered.into_iter().map(|(_, clause)| self.grant(clause)).collect();
        Group { permissions: permissions.into(), starts: starts.into(), grants }
    }

    fn grant(&mut self, clause: Clause) -> Grant {
        let Clause { environment, effect, requirements, reason, .. } = clause;
        let place = |id: &str| self.environments.iter().position(|known| **known == *id).expect("is known") as u32;
        let environment = environment.map_or(ACCOUNT, |id| place(id.as_str()));
        let requirements = requirements.into_iter().map(|tests| tests.into_iter().map(|it| self.test(it)).collect());
        Grant { effect, environment, requirements: requirements.collect(), reason }
    }

    fn test(&mut self, Test { attribute, comparison }: Test) -> Condition {
        let attribute: Arc<str> = match self.attributes.get(attribute.as_str()) {
            Some(known) => Arc::clone(known),
            None => attribute.into(),
        };
        self.attributes.insert(Arc::clone(&attribute));
        Condition { attribute, comparison }
    }
}

/// Notes at each word how many bits come before it.
fn count_before(words: &mut [(u64, u32)]) {
    let mut count = 0;
    for (set, before) in words {
        *before = count;
        count += set.count_ones();
    }
}
