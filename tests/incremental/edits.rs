//! Changes of what is there: an object is put again with another content, and whatever refers to it stays.

use std::collections::{BTreeMap, BTreeSet};

use doorward::compile::bind::parameters_of_boundary;
use doorward::compile::lower::parameters_of;
use doorward::compile::shipped_global;
use doorward::lang::ast::ParameterName;
use doorward::lang::{parse_boundary, parse_policy};
use doorward::model::account::{Account, Global};
use doorward::model::catalogue::CatalogueEntry;
use doorward::model::id::AccountId;
use doorward::model::object::{Change, Object, ObjectKey};
use doorward::model::policy::{Boundary, Policy};
use doorward::model::state::{AccountState, State};

use crate::Seeded;
use crate::reference::generate::World;

/// What is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Edit {
    /// The text of a bound policy.
    Policy,
    /// The text of a bound boundary.
    Boundary,
    /// Whether boundaries are strict.
    Strictness,
    /// What the account adds to the catalogue.
    Addition,
    /// The text of a default policy.
    GlobalPolicy,
    /// The default catalogue.
    GlobalCatalogue,
}

type Parameters = BTreeSet<ParameterName>;

/// Texts by the parameters they ask for: one can take the place of another, whatever the bindings give it.
#[derive(Default)]
pub(crate) struct Pool {
    policies: BTreeMap<Parameters, Vec<String>>,
    boundaries: BTreeMap<Parameters, Vec<String>>,
    /// What the account of the last world adds to the catalogue.
    additions: Vec<CatalogueEntry>,
    /// Permissions of its bound statements.
    permissions: Vec<String>,
}

fn asked_by_policy(text: &str) -> Parameters {
    parameters_of(&parse_policy(text).ast)
}

fn asked_by_boundary(text: &str) -> Parameters {
    parameters_of_boundary(&parse_boundary(text).ast)
}

// === impl Pool ===

impl Pool {
    /// Adds the texts of a world.
    pub(crate) fn add(&mut self, world: &World) {
        let account = world.accepted.account(world.account).expect("the account");
        for policy in account.policies.values().map(|policy| &policy.value.statements) {
            self.policies.entry(asked_by_policy(policy)).or_default().push(policy.clone());
        }
        for query in account.boundaries.values().map(|boundary| &boundary.value.query) {
            self.boundaries.entry(asked_by_boundary(query)).or_default().push(query.clone());
        }
        self.additions = account.catalogue.values().map(|entry| entry.value.clone()).collect();
        self.permissions.clone_from(&world.mentioned.permissions);
    }
}

/// Another text that asks for the same.
fn another(texts: &BTreeMap<Parameters, Vec<String>>, asked: &Parameters, seeded: &mut Seeded) -> Option<String> {
    let texts = texts.get(asked)?;
    texts.get(seeded.below(texts.len())).cloned()
}

fn any<T>(mut of: Vec<T>, seeded: &mut Seeded) -> Option<T> {
    if of.is_empty() { None } else { Some(of.swap_remove(seeded.below(of.len()))) }
}

// === impl Edit ===

impl Edit {
    pub(crate) const ALL: [Self; 6] =
        [Self::Policy, Self::Boundary, Self::Strictness, Self::Addition, Self::GlobalPolicy, Self::GlobalCatalogue];

    /// How often a walk over random states must have seen it.
    #[allow(dead_code, reason = "only one of the tests counts")]
    pub(crate) const fn least(self) -> usize {
        match self {
            Self::Policy | Self::Boundary | Self::Strictness => 500,
            Self::Addition | Self::GlobalPolicy | Self::GlobalCatalogue => 200,
        }
    }

    /// A change of something that is there; `None` where nothing of the kind is, or it would be the same.
    pub(crate) fn change(self, state: &State, id: AccountId, pool: &Pool, seeded: &mut Seeded) -> Option<Change> {
        let account = state.account(id)?;
        match self {
            Self::Policy => policy(account, id, pool, seeded),
            Self::Boundary => boundary(account, id, pool, seeded),
            Self::Strictness => {
                let toggled = |it: Account| Account { strict_boundaries: !it.strict_boundaries, ..it };
                Some(Change::Put(account.account.as_ref().clone().map(|it| Object::Account(toggled(it)))))
            }
            Self::Addition => addition(account, id, pool, seeded),
            Self::GlobalPolicy => global(state, |global| global_policy(global, pool, seeded)),
            Self::GlobalCatalogue => global(state, |global| global_catalogue(global, pool, seeded)),
        }
    }
}

fn policy(account: &AccountState, id: AccountId, pool: &Pool, seeded: &mut Seeded) -> Option<Change> {
    let is_bound = |policy: &Policy| account.bindings_of_policy(policy.id).next().is_some();
    let record = any(account.policies.values().filter(|it| is_bound(&it.value)).collect(), seeded)?;
    let known = &record.value.statements;
    let statements = another(&pool.policies, &asked_by_policy(known), seeded).filter(|text| text != known)?;
    Some(Change::Put(record.as_ref().clone().map(|it| Object::Policy(id, Policy { statements, ..it }))))
}

fn boundary(account: &AccountState, id: AccountId, pool: &Pool, seeded: &mut Seeded) -> Option<Change> {
    let is_bound = |boundary: &Boundary| account.bindings_of_boundary(boundary.id).next().is_some();
    let record = any(account.boundaries.values().filter(|it| is_bound(&it.value)).collect(), seeded)?;
    let known = &record.value.query;
    let query = another(&pool.boundaries, &asked_by_boundary(known), seeded).filter(|text| text != known)?;
    Some(Change::Put(record.as_ref().clone().map(|it| Object::Boundary(id, Boundary { query, ..it }))))
}

/// An addition comes, goes, or takes its conditions otherwise.
fn addition(account: &AccountState, id: AccountId, pool: &Pool, seeded: &mut Seeded) -> Option<Change> {
    let mut entry = any(pool.additions.clone(), seeded)?;
    match seeded.below(4) {
        0 => return Some(Change::Delete(ObjectKey::CatalogueEntry(id, entry.permission))),
        1 => entry.conditions.truncate(1),
        2 => entry.conditions.iter_mut().for_each(|spec| spec.any_match = !spec.any_match),
        _ => {}
    }
    if account.catalogue.get(&entry.permission).is_some_and(|known| known.value == entry) {
        return None;
    }
    // The record is that of the account but for its value.
    Some(Change::Put(account.account.as_ref().clone().map(|_| Object::CatalogueEntry(id, entry))))
}

fn global(state: &State, change: impl FnOnce(&mut Global) -> Option<()>) -> Option<Change> {
    let record = state.global.as_ref()?;
    let mut global = record.value.clone();
    change(&mut global)?;
    (global != record.value).then(|| Change::Put(record.as_ref().clone().map(|_| Object::Global(global))))
}

/// One of those that the world has added.
fn global_policy(global: &mut Global, pool: &Pool, seeded: &mut Seeded) -> Option<()> {
    let shipped: BTreeSet<_> = shipped_global().policies.into_iter().map(|policy| policy.id).collect();
    let own = global.policies.iter_mut().filter(|policy| !shipped.contains(&policy.id)).collect();
    let policy: &mut Policy = any(own, seeded)?;
    policy.statements = another(&pool.policies, &asked_by_policy(&policy.statements), seeded)?;
    Some(())
}

/// A permission that is asked about goes or loses a condition, or all that shipped is there again.
fn global_catalogue(global: &mut Global, pool: &Pool, seeded: &mut Seeded) -> Option<()> {
    let way = seeded.below(3);
    if way == 0 {
        global.catalogue = shipped_global().catalogue;
        return Some(());
    }
    let permission = any(pool.permissions.iter().collect(), seeded)?;
    let place = global.catalogue.iter().position(|entry| entry.permission.as_str() == permission)?;
    if way == 1 {
        global.catalogue.remove(place);
    } else {
        global.catalogue[place].conditions.pop()?;
    }
    Some(())
}
