//! Objects: the units a store keeps, a commit changes and a watch delivers.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::account::{Account, Environment, Global};
use super::binding::{Binding, BindingKey};
use super::catalogue::{CatalogueEntry, PermissionName};
use super::id::{AccountId, BoundaryId, EnvironmentId, GroupId, PolicyId, UserId};
use super::identity::{Group, User};
use super::policy::{Boundary, Policy};
use super::revision::Revision;

/// Any noun, with the account that owns it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Object {
    /// What every account shares.
    Global(Global),
    /// An account.
    Account(Account),
    /// An environment of an account.
    Environment(AccountId, Environment),
    /// A user or service user of an account.
    User(AccountId, User),
    /// A group of an account.
    Group(AccountId, Group),
    /// A policy of an account, at its level.
    Policy(AccountId, Policy),
    /// A boundary of an account.
    Boundary(AccountId, Boundary),
    /// A binding of an account.
    Binding(AccountId, Binding),
    /// An addition of an account to the catalogue.
    CatalogueEntry(AccountId, CatalogueEntry),
}

/// What an object is found by. There is no look-up without an account (design §2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ObjectKey {
    /// The one global object.
    Global,
    /// An account.
    Account(AccountId),
    /// An environment.
    Environment(AccountId, EnvironmentId),
    /// A user or service user.
    User(AccountId, UserId),
    /// A group.
    Group(AccountId, GroupId),
    /// A policy.
    Policy(AccountId, PolicyId),
    /// A boundary.
    Boundary(AccountId, BoundaryId),
    /// A binding.
    Binding(AccountId, BindingKey),
    /// An addition to the catalogue.
    CatalogueEntry(AccountId, PermissionName),
}

/// A value with when it was made and last changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record<T> {
    /// When it was created.
    pub created: jiff::Timestamp,
    /// When it last changed.
    pub updated: jiff::Timestamp,
    /// The commit that last changed it.
    pub revision: Revision,
    /// The value.
    pub value: T,
}

/// One step from a revision to the next, as the store decided it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// The object is now this, whether or not it was there.
    Put(Record<Object>),
    /// The object is gone.
    Delete(ObjectKey),
}

// === impl Object ===

impl Object {
    /// The key of this object.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        match self {
            Self::Global(_) => ObjectKey::Global,
            Self::Account(it) => ObjectKey::Account(it.id),
            Self::Environment(account, it) => ObjectKey::Environment(*account, it.id.clone()),
            Self::User(account, it) => ObjectKey::User(*account, it.id),
            Self::Group(account, it) => ObjectKey::Group(*account, it.id),
            Self::Policy(account, it) => ObjectKey::Policy(*account, it.id),
            Self::Boundary(account, it) => ObjectKey::Boundary(*account, it.id),
            Self::Binding(account, it) => ObjectKey::Binding(*account, it.key()),
            Self::CatalogueEntry(account, it) => ObjectKey::CatalogueEntry(*account, it.permission.clone()),
        }
    }

    /// The account that owns the object, itself included; `None` for the global level.
    #[must_use]
    pub const fn account(&self) -> Option<AccountId> {
        match self {
            Self::Global(_) => None,
            Self::Account(account) => Some(account.id),
            Self::Environment(account, _)
            | Self::User(account, _)
            | Self::Group(account, _)
            | Self::Policy(account, _)
            | Self::Boundary(account, _)
            | Self::Binding(account, _)
            | Self::CatalogueEntry(account, _) => Some(*account),
        }
    }

    /// The environment that the object belongs to, itself included; `None` for what all environments of its account share.
    #[must_use]
    pub const fn environment(&self) -> Option<&EnvironmentId> {
        match self {
            Self::Environment(_, it) => Some(&it.id),
            Self::Policy(_, it) => it.level.environment(),
            Self::Binding(_, it) => it.level.environment(),
            Self::Global(_)
            | Self::Account(_)
            | Self::User(..)
            | Self::Group(..)
            | Self::Boundary(..)
            | Self::CatalogueEntry(..) => None,
        }
    }
}

// === impl ObjectKey ===

impl ObjectKey {
    /// The account that owns the object; `None` for the global level.
    #[must_use]
    pub const fn account(&self) -> Option<AccountId> {
        match self {
            Self::Global => None,
            Self::Account(account)
            | Self::Environment(account, _)
            | Self::User(account, _)
            | Self::Group(account, _)
            | Self::Policy(account, _)
            | Self::Boundary(account, _)
            | Self::Binding(account, _)
            | Self::CatalogueEntry(account, _) => Some(*account),
        }
    }

    /// The noun, for messages.
    #[must_use]
    pub const fn noun(&self) -> &'static str {
        match self {
            Self::Global => "global level",
            Self::Account(_) => "account",
            Self::Environment(..) => "environment",
            Self::User(..) => "user",
            Self::Group(..) => "group",
            Self::Policy(..) => "policy",
            Self::Boundary(..) => "boundary",
            Self::Binding(..) => "binding",
            Self::CatalogueEntry(..) => "catalogue entry",
        }
    }

    /// The object's own id, without the account's.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Global => String::new(),
            Self::Account(id) => id.to_string(),
            Self::Environment(_, id) => id.to_string(),
            Self::User(_, id) => id.to_string(),
            Self::Group(_, id) => id.to_string(),
            Self::Policy(_, id) => id.to_string(),
            Self::Boundary(_, id) => id.to_string(),
            Self::Binding(_, key) => key.to_string(),
            Self::CatalogueEntry(_, permission) => permission.to_string(),
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.noun(), self.id())
    }
}

// === impl Record ===

impl<T> Record<T> {
    /// The same record of another form of the value.
    pub fn map<U>(self, form: impl FnOnce(T) -> U) -> Record<U> {
        let (stamp, value) = self.split();
        stamp.with(form(value))
    }

    /// When it was made and changed, and the value.
    pub(super) fn split(self) -> (Record<()>, T) {
        let Self { created, updated, revision, value } = self;
        (Record { created, updated, revision, value: () }, value)
    }
}

impl Record<()> {
    /// The record of a value that was made and changed at these times.
    pub(super) const fn with<T>(self, value: T) -> Record<T> {
        let Self { created, updated, revision, value: () } = self;
        Record { created, updated, revision, value }
    }
}

// === impl Change ===

impl Change {
    /// The object it concerns.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        match self {
            Self::Put(record) => record.value.key(),
            Self::Delete(key) => key.clone(),
        }
    }
}
