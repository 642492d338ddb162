//! The administrator's view: what is bound to a user or a group, permission by permission, with where it comes from
//! (reference ch. 3.5). A listing, no decision: ALLOW and DENY both appear, and the state of a user is not looked at.

use std::collections::BTreeMap;

use super::list::Selection;
use super::outcome::StatementReason;
use super::question::find_environment;
use crate::compile::account::AccountProgram;
use crate::compile::describe::{Description, picks};
use crate::compile::group::{GroupProgram, Origin};
use crate::compile::subjects::Found;
use crate::model::catalogue::{PermissionName, PermissionNumber};
use crate::model::decision::{Target, Unanswerable};
use crate::model::id::GroupId;
use crate::model::limits;
use crate::model::policy::Effect;

/// Whose permissions are listed.
#[derive(Debug, Clone, Copy)]
pub enum Entity<'a> {
    /// A user or service user: an id, an e-mail, or the name of a service user. All its groups count.
    User(&'a str),
    /// A group. The group of everybody is not counted in.
    Group(GroupId),
}

/// A page of permissions.
#[derive(Debug)]
pub struct EffectivePage<'p> {
    /// Sorted by name.
    pub permissions: Vec<EffectivePermission<'p>>,
    /// The permission after which to go on; `None` at the end. A page can be empty and not the last.
    pub next: Option<&'p PermissionName>,
}

/// A permission with every way it is allowed or denied.
#[derive(Debug)]
pub struct EffectivePermission<'p> {
    /// The permission.
    pub permission: &'p PermissionName,
    /// DENY before ALLOW, no two alike.
    pub effects: Vec<EffectiveEffect<'p>>,
    /// Whether something was left out: [`limits::EFFECTIVE_SOURCES`], [`limits::EFFECTIVE_BYTES`].
    pub truncated: bool,
}

/// An effect under a set of conditions, and where it comes from.
#[derive(Debug)]
pub struct EffectiveEffect<'p> {
    /// ALLOW or DENY.
    pub effect: Effect,
    /// The role that implies it (rules R14): it counts only while the decision about that role is ALLOW.
    pub implied_by: Option<&'p PermissionName>,
    /// All of them have to hold; sorted, none twice.
    pub conditions: Vec<Description>,
    /// The statements, each with its policy and binding.
    pub sources: Vec<StatementReason<'p>>,
}

/// A listing that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EffectiveRejected {
    /// The account has no such user or service user.
    #[error("the account has no user or service user `{0}`")]
    UnknownUser(String),
    /// The account has no such group.
    #[error("the account has no group `{0}`")]
    UnknownGroup(GroupId),
    /// Another name does not exist, or is borne twice.
    #[error(transparent)]
    Unanswerable(#[from] Unanswerable),
}

/// What is bound to `entity` and counts at `target`.
///
/// # Errors
/// [`EffectiveRejected`]
pub fn effective<'p>(
    program: &'p AccountProgram,
    entity: Entity<'_>,
    target: Target<'_>,
    selection: &Selection<'_>,
) -> Result<EffectivePage<'p>, EffectiveRejected> {
    let groups = groups_of(program, entity)?;
    let environment = find_environment(program, target)?;
    let mut page = EffectivePage { permissions: Vec::new(), next: None };
    let (mut bytes, mut last) = (0, None);
    for (permission, number) in selection.of(program, groups.iter().copied()) {
        if page.permissions.len() == selection.size || bytes >= limits::EFFECTIVE_BYTES {
            page.next = last;
            break;
        }
        let mut collecting = Collecting::default();
        for group in &groups {
            collecting.group(program, group, number, environment);
        }
        bytes += collecting.bytes;
        page.permissions.extend(collecting.finish(permission));
        last = Some(permission);
    }
    Ok(page)
}

fn groups_of<'p>(program: &'p AccountProgram, entity: Entity<'_>) -> Result<Vec<&'p GroupProgram>, EffectiveRejected> {
    match entity {
        Entity::Group(id) => Ok(vec![program.group(id).ok_or(EffectiveRejected::UnknownGroup(id))?]),
        Entity::User(name) => match program.subjects.find(name) {
            Found::One(subject) => Ok(program.groups_of(&subject).collect()),
            Found::Nobody => Err(EffectiveRejected::UnknownUser(name.to_owned())),
            Found::Several => Err(Unanswerable::AmbiguousSubject(name.to_owned()).into()),
        },
    }
}

/// What two ways have in common: the effect, DENY first; the role; the conditions.
type Key<'p> = (bool, Option<&'p PermissionName>, Vec<Description>);

#[derive(Default)]
struct Collecting<'p> {
    effects: BTreeMap<Key<'p>, Vec<StatementReason<'p>>>,
    bytes: usize,
    sources: usize,
    truncated: bool,
}

// === impl Collecting ===

impl<'p> Collecting<'p> {
    fn group(
        &mut self,
        program: &'p AccountProgram,
        group: &'p GroupProgram,
        permission: PermissionNumber,
        environment: Option<u32>,
    ) {
        for origin in group.candidates(permission, environment) {
            self.add(origin, None);
        }
        if program.roles.viewer != Some(permission) {
            return;
        }
        let roles = program.catalogue.numbered().filter(|(_, number)| program.roles.others.contains(number));
        for (role, number) in roles {
            let candidates = group.candidates(number, environment);
            for origin in candidates.filter(|origin| origin.clause.effect == Effect::Allow) {
                self.add(origin, Some(role));
            }
        }
    }

    fn add(&mut self, origin: Origin<'p>, implied_by: Option<&'p PermissionName>) {
        for mut conditions in picks(origin.conditions()) {
            if self.truncated {
                return;
            }
            conditions.sort_unstable();
            conditions.dedup();
            let key = (origin.clause.effect == Effect::Allow, implied_by, conditions);
            let known = self.effects.contains_key(&key);
            let bytes: usize = if known { 0 } else { key.2.iter().map(Description::bytes).sum() };
            self.bytes += bytes;
            self.sources += 1;
            if self.bytes > limits::EFFECTIVE_BYTES || self.sources > limits::EFFECTIVE_SOURCES {
                self.truncated = true;
                return;
            }
            let sources = self.effects.entry(key).or_default();
            let source = StatementReason::of(origin);
            // Two picks of one statement may come to the same set.
            if !sources.iter().any(|known| known.is_same(&source)) {
                sources.push(source);
            }
        }
    }

    /// `None` where nothing counts here.
    fn finish(self, permission: &'p PermissionName) -> Option<EffectivePermission<'p>> {
        let effects = self.effects.into_iter().map(|((allow, implied_by, conditions), sources)| EffectiveEffect {
            effect: if allow { Effect::Allow } else { Effect::Deny },
            implied_by,
            conditions,
            sources,
        });
        let effects: Vec<_> = effects.collect();
        (!effects.is_empty() || self.truncated).then_some(EffectivePermission {
            permission,
            effects,
            truncated: self.truncated,
        })
    }
}
