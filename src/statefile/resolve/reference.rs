//! References: an id, or a name; a text that is both, of two objects, asks for the id (rules §8).

use std::fmt::Display;
use std::str::FromStr;

use super::{Noun, Resolver, derived};
use crate::model::id::{BoundaryId, EnvironmentId, GroupId, PolicyId};
use crate::model::level::{BindingLevel, Level};
use crate::model::state::{AccountState, State};
use crate::model::text::Name;
use crate::statefile::read::{Entry, LevelDoc};

impl Resolver<'_> {
    /// The id that is given, or the one that follows from the name; and the fields that have been told.
    pub(super) fn id<T, I: FromStr<Err: Display>>(
        &mut self,
        entry: &Entry<'_, T>,
        given: Option<&str>,
        by_name: I,
    ) -> (I, Vec<String>) {
        let mut told = entry.told.clone();
        let id = given.and_then(|given| self.parse(entry, &mut told, "id", given));
        (id.unwrap_or(by_name), told)
    }

    pub(super) fn parse<T, V: FromStr<Err: Display>>(
        &mut self,
        entry: &Entry<'_, T>,
        told: &mut Vec<String>,
        field: &str,
        text: &str,
    ) -> Option<V> {
        text.parse().map_err(|problem: V::Err| self.tell(entry, told, field, "invalid", &problem.to_string())).ok()
    }

    /// One of a fixed list; empty for none.
    pub(super) fn choice<T, V: Clone>(
        &mut self,
        entry: &Entry<'_, T>,
        told: &mut Vec<String>,
        field: &str,
        text: &str,
        names: &[(&str, V)],
    ) -> Option<V> {
        let chosen = names.iter().find(|(name, _)| *name == text);
        if chosen.is_none() && !text.is_empty() {
            let known = names.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            self.tell(entry, told, field, "invalid", &format!("must be one of {known}"));
        }
        chosen.map(|(_, value)| value.clone())
    }

    /// The level of a policy or binding; `None` where it was told what is wrong with it.
    pub(super) fn level<T>(
        &mut self,
        entry: &Entry<'_, T>,
        told: &mut Vec<String>,
        doc: &LevelDoc,
        of_policy: bool,
    ) -> Option<Level> {
        let level = match (doc.level.as_str(), doc.environment.as_deref()) {
            ("environment", Some(id)) => self.parse(entry, told, "environment", id).map(Level::Environment),
            ("environment", None) => {
                self.tell(entry, told, "environment", "required", "is missing beside `level: environment`");
                None
            }
            ("account" | "global", Some(_)) => {
                self.tell(entry, told, "environment", "not_allowed", "stands beside `level: environment` only");
                None
            }
            ("account", None) => Some(Level::Account),
            ("global", None) if of_policy => Some(Level::Global),
            _ => {
                self.tell(entry, told, "level", "invalid", "must be `account` or `environment`");
                None
            }
        };
        if level.is_none() {
            // What does not fit a level that is not known is not told.
            told.extend(["level".to_owned(), "environment".to_owned()]);
        }
        if let Some(id) = level.as_ref().and_then(Level::environment) {
            self.hush(Noun::Environment, id.as_str(), told, "environment");
        }
        level
    }

    pub(super) fn group_references<T>(
        &mut self,
        entry: &Entry<'_, T>,
        told: &mut Vec<String>,
        references: &[String],
    ) -> Vec<GroupId> {
        let fields = (0..).map(|index: usize| format!("groups[{index}]"));
        references.iter().zip(fields).map(|(text, field)| self.group_reference(entry, told, &field, text)).collect()
    }

    pub(super) fn group_reference<T>(
        &mut self,
        entry: &Entry<'_, T>,
        told: &mut Vec<String>,
        field: &str,
        text: &str,
    ) -> GroupId {
        let found = self.owned().map(|owned| {
            let by_id = text.parse().ok().filter(|id| owned.groups.contains_key(id));
            Found::of(by_id, owned.group_by_name(text).map(|group| group.value.id))
        });
        self.settle(entry, told, field, Reference { noun: Noun::Group, text }, found, GroupId::from_bytes)
    }

    pub(super) fn boundary_references<T>(
        &mut self,
        entry: &Entry<'_, T>,
        told: &mut Vec<String>,
        references: &[String],
    ) -> Vec<BoundaryId> {
        let mut ids = Vec::with_capacity(references.len());
        for (index, text) in references.iter().enumerate() {
            let found = self.owned().map(|owned| {
                let by_id = text.parse().ok().filter(|id| owned.boundaries.contains_key(id));
                Found::of(by_id, owned.boundary_by_name(text).map(|boundary| boundary.value.id))
            });
            let field = format!("boundaries[{index}]");
            let reference = Reference { noun: Noun::Boundary, text };
            ids.push(self.settle(entry, told, &field, reference, found, BoundaryId::from_bytes));
        }
        ids
    }

    pub(super) fn policy_reference<T>(
        &mut self,
        entry: &Entry<'_, T>,
        told: &mut Vec<String>,
        text: &str,
        level: Option<&BindingLevel>,
    ) -> PolicyId {
        if level.is_none() {
            // The level says where to look.
            told.push("policy".to_owned());
        }
        let found = self.owned().map(|owned| {
            let by_id = text.parse().ok().filter(|id| self.state.policy(owned, *id).is_some());
            Found::of(by_id, policy_by_name(&self.state, owned, text, level))
        });
        self.settle(entry, told, "policy", Reference { noun: Noun::Policy, text }, found, PolicyId::from_bytes)
    }

    /// The id found; where there is none that is told, and an id that nothing has stands in, so that the rest is looked at.
    fn settle<T, I>(
        &mut self,
        entry: &Entry<'_, T>,
        told: &mut Vec<String>,
        field: &str,
        reference: Reference<'_>,
        found: Option<Found<I>>,
        from_bytes: fn([u8; 16]) -> I,
    ) -> I {
        let Reference { noun, text } = reference;
        match found.unwrap_or(Found::None) {
            Found::One(id) => return id,
            Found::Several => {
                let message =
                    format!("two {} bear `{text}`, one as its id and one as its name; give the id", noun.plural());
                self.tell(entry, told, field, "ambiguous", &message);
            }
            Found::None => {
                self.hush(noun, text, told, field);
                self.tell(entry, told, field, "not_found", &format!("there is no {} `{text}`", noun.singular()));
            }
        }
        from_bytes(derived(Some(self.account), "nothing", noun.singular(), text))
    }

    /// A reference to an object that the file holds and that was refused is no second problem.
    fn hush(&self, noun: Noun, text: &str, told: &mut Vec<String>, field: &str) {
        if self.refused.contains(&(noun, text.to_owned())) {
            told.push(field.to_owned());
        }
    }
}

/// At the level of the binding, then at the account's, then at the global one. A policy of that name somewhere else is
/// found too: it cannot be bound here, and that says more than that there is none.
fn policy_by_name(state: &State, owned: &AccountState, text: &str, level: Option<&BindingLevel>) -> Option<PolicyId> {
    let name: Name = text.parse().ok()?;
    let environment =
        level.and_then(BindingLevel::environment).map(|id: &EnvironmentId| Level::Environment(id.clone()));
    let mut levels = environment.into_iter().chain([Level::Account]);
    let named = levels.find_map(|level| owned.policy_by_name(&level, &name));
    let named = named.or_else(|| state.global_policy_by_name(&name));
    let elsewhere = || owned.policies.values().find(|policy| policy.value.name == name);
    named.or_else(elsewhere).map(|policy| policy.value.id)
}

/// A text that refers to something.
#[derive(Clone, Copy)]
struct Reference<'t> {
    noun: Noun,
    text: &'t str,
}

/// What a text refers to.
enum Found<I> {
    One(I),
    Several,
    None,
}

// === impl Found ===

impl<I: PartialEq> Found<I> {
    fn of(by_id: Option<I>, by_name: Option<I>) -> Self {
        match (by_id, by_name) {
            (Some(one), Some(other)) if one != other => Self::Several,
            (Some(one), _) | (None, Some(one)) => Self::One(one),
            (None, None) => Self::None,
        }
    }
}

// === impl Noun ===

impl Noun {
    const fn singular(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Group => "group",
            Self::Policy => "policy",
            Self::Boundary => "boundary",
        }
    }

    const fn plural(self) -> &'static str {
        match self {
            Self::Environment => "environments",
            Self::Group => "groups",
            Self::Policy => "policies",
            Self::Boundary => "boundaries",
        }
    }
}
