//! The canonical form of a record: the bytes that its digest is made of.
//!
//! Numbers have their lowest byte first. A text is its length in bytes (8 bytes) and its bytes; a list is its length (8
//! bytes) and its elements; an optional value is one byte, 0 or 1, and the value; an identifier is 16 bytes, the highest
//! first; a time is its nanoseconds since 1970 (16 bytes). A record is the number of its noun (1 byte), its account where it
//! has one, the times of its creation and last change, its revision (8 bytes), and the fields of the noun in the order of
//! its definition.
// INVARIANT: a form never changes and a noun's number is never used again: sidecars of another version compare digests. A new
// field is written after the others, and only where it is not empty.

use crate::model::account::{DefaultGroup, Global};
use crate::model::binding::Binding;
use crate::model::catalogue::{CatalogueEntry, Operator};
use crate::model::id::EnvironmentId;
use crate::model::identity::{Group, User, UserKind, UserState};
use crate::model::level::Level;
use crate::model::object::{Object, Record};
use crate::model::policy::Policy;

/// Bytes of an ordinary record, about.
const USUAL_BYTES: usize = 512;

/// A form that is being written.
struct Form(Vec<u8>);

/// The form of `record`.
pub(super) fn form(record: &Record<Object>) -> Vec<u8> {
    let mut form = Form(Vec::with_capacity(USUAL_BYTES));
    form.byte(number(&record.value));
    if let Some(account) = record.value.account() {
        form.id(account.bits());
    }
    form.time(record.created);
    form.time(record.updated);
    form.number(record.revision.get());
    form.object(&record.value);
    form.0
}

/// The number of a noun.
const fn number(object: &Object) -> u8 {
    match object {
        Object::Global(_) => 1,
        Object::Account(_) => 2,
        Object::Environment(..) => 3,
        Object::User(..) => 4,
        Object::Group(..) => 5,
        Object::Policy(..) => 6,
        Object::Boundary(..) => 7,
        Object::Binding(..) => 8,
        Object::CatalogueEntry(..) => 9,
    }
}

// === impl Form ===

impl Form {
    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    fn number(&mut self, number: u64) {
        self.0.extend(number.to_le_bytes());
    }

    fn time(&mut self, at: jiff::Timestamp) {
        self.0.extend(at.as_nanosecond().to_le_bytes());
    }

    fn id(&mut self, bits: u128) {
        self.0.extend(bits.to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend(text.as_bytes());
    }

    fn list<T>(&mut self, items: impl ExactSizeIterator<Item = T>, mut write: impl FnMut(&mut Self, T)) {
        self.number(items.len() as u64);
        items.for_each(|item| write(self, item));
    }

    fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.byte(value.is_some().into());
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn object(&mut self, object: &Object) {
        match object {
            Object::Global(it) => self.global(it),
            Object::Account(it) => {
                self.text(it.name.as_str());
                self.byte(it.strict_boundaries.into());
            }
            Object::Environment(_, it) => {
                self.text(it.id.as_str());
                self.text(it.name.as_str());
            }
            Object::User(_, it) => self.user(it),
            Object::Group(_, it) => self.group(it),
            Object::Policy(_, it) => self.policy(it),
            Object::Boundary(_, it) => {
                self.id(it.id.bits());
                self.text(it.name.as_str());
                self.text(&it.query);
            }
            Object::Binding(_, it) => self.binding(it),
            Object::CatalogueEntry(_, it) => self.catalogue_entry(it),
        }
    }

    fn global(&mut self, it: &Global) {
        self.number(it.language_version.into());
        self.list(it.catalogue.iter(), Self::catalogue_entry);
        self.list(it.policies.iter(), Self::policy);
        self.number(it.defaults_version.into());
        self.list(it.groups.iter(), Self::default_group);
    }

    fn default_group(&mut self, it: &DefaultGroup) {
        self.text(it.name.as_str());
        self.text(&it.description);
        self.list(it.policies.iter(), |form, policy| form.id(policy.bits()));
    }

    fn user(&mut self, it: &User) {
        self.id(it.id.bits());
        self.text(it.email.as_str());
        self.optional(it.name.as_ref(), |form, name| form.text(name.as_str()));
        match &it.kind {
            UserKind::Local => self.byte(0),
            UserKind::Federated => self.byte(1),
            UserKind::Service { description } => {
                self.byte(2);
                self.text(description);
            }
        }
        self.byte(match it.state {
            UserState::Pending => 0,
            UserState::Active => 1,
            UserState::Inactive => 2,
            UserState::Deleted => 3,
        });
        self.list(it.groups.iter(), |form, group| form.id(group.bits()));
    }

    fn group(&mut self, it: &Group) {
        self.id(it.id.bits());
        self.text(it.name.as_str());
        self.text(&it.description);
        self.text(it.owner.name());
        self.list(it.federated_attribute_values.iter(), |form, value| form.text(value));
    }

    fn policy(&mut self, it: &Policy) {
        self.id(it.id.bits());
        match &it.level {
            Level::Global => self.byte(0),
            Level::Account => self.byte(1),
            Level::Environment(environment) => {
                self.byte(2);
                self.text(environment.as_str());
            }
        }
        self.text(it.name.as_str());
        self.text(&it.description);
        self.list(it.tags.iter(), |form, tag| form.text(tag));
        self.text(&it.statements);
    }

    fn binding(&mut self, it: &Binding) {
        self.id(it.policy.bits());
        self.id(it.group.bits());
        self.optional(it.level.environment().map(EnvironmentId::as_str), Self::text);
        for entries in [&it.parameters, &it.metadata] {
            self.list(entries.iter(), |form, (name, value)| {
                form.text(name);
                form.text(value);
            });
        }
        self.list(it.boundaries.iter(), |form, boundary| form.id(boundary.bits()));
    }

    fn catalogue_entry(&mut self, it: &CatalogueEntry) {
        self.text(it.permission.as_str());
        self.list(it.conditions.iter(), |form, condition| {
            form.text(condition.name.as_str());
            let operators: Vec<&str> = condition.operators.iter().map(Operator::token).collect();
            form.list(operators.into_iter(), Self::text);
            form.byte(condition.any_match.into());
        });
    }
}
