//! Users, service users and groups.

use serde::{Deserialize, Serialize};

use super::id::{GroupId, UserId};
use super::text::{Email, Name};

/// A person or a technical identity; a member of groups, never bound itself (D5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Identity.
    pub id: UserId,
    /// The key, unique among users and service users of the account.
    pub email: Email,
    /// Shown to people; for a service user it is also a name it can be referred to by.
    pub name: Option<Name>,
    /// What kind of user this is.
    pub kind: UserKind,
    /// Only an active user may do anything (R13).
    pub state: UserState,
    /// Memberships, `ALL_USERS` not among them: everybody is its member.
    pub groups: GroupIds,
}

/// Groups, none twice, in the order of their ids; packed, as there may be millions of these.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<GroupId>")]
pub struct GroupIds(Box<[GroupId]>);

/// Where a user signs in, or that it cannot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UserKind {
    /// Doorward keeps the sign-in.
    Local,
    /// The customer's identity provider keeps the sign-in.
    Federated,
    /// A technical identity that cannot sign in (reference ch. 8.1).
    Service {
        /// For people.
        description: String,
    },
}

/// Reference ch. 8.1, user status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UserState {
    /// Invited, not yet signed up.
    Pending,
    /// May act.
    Active,
    /// Deactivated.
    Inactive,
    /// Deleted from the account, kept for the record.
    Deleted,
}

/// A set of users; the only thing a policy can be bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Identity.
    pub id: GroupId,
    /// Unique in the account.
    pub name: Name,
    /// For people, at most [`super::limits::DESCRIPTION_CHARACTERS`].
    pub description: String,
    /// Who decides about its members.
    pub owner: GroupOwner,
    /// Claim values that put a federated user into the group.
    pub federated_attribute_values: Vec<String>,
}

/// Reference ch. 8.2, `owner`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum GroupOwner {
    /// Administrators of the account.
    Local,
    /// Sign-in claims.
    Saml,
    /// The provisioning client.
    Scim,
    /// Nobody: every user and service user of the account is a member.
    AllUsers,
}

/// The name of the group that holds everybody, unless the account gives it another.
pub const ALL_USERS: &str = "ALL_USERS";

// === impl User ===

impl User {
    /// Whether this is a service user.
    #[must_use]
    pub const fn is_service(&self) -> bool {
        matches!(self.kind, UserKind::Service { .. })
    }
}

// === impl GroupIds ===

impl GroupIds {
    /// The ids in order.
    pub fn iter(&self) -> std::slice::Iter<'_, GroupId> {
        self.0.iter()
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this group is among them.
    #[must_use]
    pub fn contains(&self, group: &GroupId) -> bool {
        self.0.binary_search(group).is_ok()
    }

    /// The others.
    #[must_use]
    pub fn without(&self, group: &GroupId) -> Self {
        self.iter().filter(|id| *id != group).copied().collect()
    }
}

impl From<Vec<GroupId>> for GroupIds {
    fn from(mut ids: Vec<GroupId>) -> Self {
        ids.sort_unstable();
        ids.dedup();
        Self(ids.into())
    }
}

impl FromIterator<GroupId> for GroupIds {
    fn from_iter<I: IntoIterator<Item = GroupId>>(ids: I) -> Self {
        ids.into_iter().collect::<Vec<_>>().into()
    }
}

impl<'a> IntoIterator for &'a GroupIds {
    type Item = &'a GroupId;
    type IntoIter = std::slice::Iter<'a, GroupId>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

// === impl UserState ===

impl UserState {
    /// Every state with its name in files and answers.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("pending", Self::Pending),
        ("active", Self::Active),
        ("inactive", Self::Inactive),
        ("deleted", Self::Deleted),
    ];
}

// === impl GroupOwner ===

impl GroupOwner {
    /// Every owner with its name in files and answers.
    pub const NAMES: [(&'static str, Self); 4] =
        [("LOCAL", Self::Local), ("SAML", Self::Saml), ("SCIM", Self::Scim), (ALL_USERS, Self::AllUsers)];

    /// The name in files and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "LOCAL",
            Self::Saml => "SAML",
            Self::Scim => "SCIM",
            Self::AllUsers => ALL_USERS,
        }
    }
}
