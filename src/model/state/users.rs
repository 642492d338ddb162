//! The users of an account, packed: there may be millions of them.

use std::ops::Bound;
use std::sync::Arc;

use imbl::OrdMap;
use rustc_hash::FxHashMap;

use super::Shared;
use super::index::Index;
use super::leaf::{Entry, Kind, LEAF_USERS, Leaf, Texts};
use crate::model::id::{GroupId, UserId};
use crate::model::identity::{GroupIds, User, UserKind, UserState};
use crate::model::object::Record;
use crate::model::text::{Email, Name, short_hash_of};

/// Users and service users in the order of their ids. A clone shares everything; a change copies one leaf.
#[derive(Debug, Clone, Default)]
pub struct Users {
    /// By the lowest id that the leaf may hold; the first leaf may hold any.
    leaves: OrdMap<u128, SharedLeaf>,
    len: usize,
    /// By the hash of the e-mail.
    emails: Index<UserId>,
    table: Arc<GroupTable>,
}

/// Leaves are the same where they are one: the same numbers may mean other groups by another table.
#[derive(Debug, Clone, Default)]
struct SharedLeaf(Arc<Leaf>);

/// Groups that users have been put into, by numbers that are four times shorter than their ids. A number is never given
/// twice, so that a leaf can be read by every later table; one that no user has any more costs some forty bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct GroupTable {
    ids: Vec<GroupId>,
    numbers: FxHashMap<GroupId, u32>,
}

/// A user where it is stored.
#[derive(Debug, Clone, Copy)]
pub struct UserRow<'s> {
    leaf: &'s Leaf,
    entry: &'s Entry,
    place: u32,
    table: &'s GroupTable,
}

/// Users that are stored together, for who goes through all of them in an order of his own.
#[derive(Debug, Clone, Copy)]
pub struct Page<'s> {
    number: u32,
    leaf: &'s Leaf,
    table: &'s GroupTable,
}

/// A user that came, changed or went.
#[derive(Debug, Clone, Copy)]
pub struct UserChange<'s> {
    /// As it was; `None` where it is new.
    pub old: Option<UserRow<'s>>,
    /// As it is; `None` where it is gone.
    pub new: Option<UserRow<'s>>,
}

/// What is left to be done about a user that was taken out of its leaf.
struct Old {
    hash: u32,
    name: Option<Name>,
}

fn stored_name(name: &str) -> Option<Name> {
    (!name.is_empty()).then(|| Name::stored(name))
}

// === impl Users ===

impl Users {
    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The user of this id, unpacked.
    #[must_use]
    pub fn get(&self, id: &UserId) -> Option<Shared<User>> {
        self.row(*id).map(|row| Arc::new(row.record()))
    }

    /// Whether there is a user of this id.
    #[must_use]
    pub fn contains_key(&self, id: &UserId) -> bool {
        self.row(*id).is_some()
    }

    /// Every user, unpacked one by one.
    pub fn values(&self) -> impl Iterator<Item = Shared<User>> + '_ {
        self.rows().map(|row| Arc::new(row.record()))
    }

    /// Every id.
    pub fn keys(&self) -> impl Iterator<Item = UserId> + '_ {
        self.rows().map(|row| row.id())
    }

    /// Every user where it is stored.
    pub fn rows(&self) -> impl Iterator<Item = UserRow<'_>> {
        self.leaves.values().flat_map(|leaf| leaf.0.rows(&self.table))
    }

    /// Every user, in the order of ids.
    #[must_use]
    pub fn pages(&self) -> Vec<Page<'_>> {
        let leaves = (0..).zip(self.leaves.values());
        leaves.map(|(number, leaf)| Page { number, leaf: &leaf.0, table: &self.table }).collect()
    }

    /// The groups by the numbers that [`UserRow::group_numbers`] tells.
    pub fn numbered_groups(&self) -> impl Iterator<Item = GroupId> + '_ {
        self.table.ids.iter().copied()
    }

    /// The users from an id on.
    pub fn rows_from(&self, start: Bound<UserId>) -> impl Iterator<Item = UserRow<'_>> {
        let first = match start {
            Bound::Unbounded => 0,
            Bound::Included(id) | Bound::Excluded(id) => self.leaf_of(id).map_or(0, |(key, _)| *key),
        };
        let is_before = move |row: &UserRow<'_>| match start {
            Bound::Unbounded => false,
            Bound::Included(id) => row.id() < id,
            Bound::Excluded(id) => row.id() <= id,
        };
        self.leaves.range(first..).flat_map(|(_, leaf)| leaf.0.rows(&self.table)).skip_while(is_before)
    }

    /// The user of this id where it is stored.
    #[must_use]
    pub fn row(&self, id: UserId) -> Option<UserRow<'_>> {
        let leaf = &self.leaf_of(id)?.1.0;
        let place = leaf.place(id).ok()?;
        Some(UserRow::new(leaf, place, leaf.entry(place)?, &self.table))
    }

    /// The user of this e-mail.
    #[must_use]
    pub fn by_email(&self, email: &str) -> Option<UserRow<'_>> {
        let mut found = self.emails.of(short_hash_of(email)).filter_map(|id| self.row(*id));
        found.find(|row| row.email() == email)
    }

    /// What differs from `before`, in the order of ids. What the two share is not looked at.
    pub fn changes_since<'s>(&'s self, before: &'s Self) -> impl Iterator<Item = UserChange<'s>> {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for item in before.leaves.diff(&self.leaves) {
            let (old, new) = match item {
                imbl::ordmap::DiffItem::Add(_, new) => (None, Some(new)),
                imbl::ordmap::DiffItem::Update { old: (_, old), new: (_, new) } => (Some(old), Some(new)),
                imbl::ordmap::DiffItem::Remove(_, old) => (Some(old), None),
            };
            left.extend(old);
            right.extend(new);
        }
        let mut old = left.into_iter().flat_map(|leaf| leaf.0.rows(&before.table)).peekable();
        let mut new = right.into_iter().flat_map(|leaf| leaf.0.rows(&self.table)).peekable();
        let pairs = std::iter::from_fn(move || {
            let (first, second) = (old.peek().map(UserRow::id), new.peek().map(UserRow::id));
            let lowest = first.into_iter().chain(second).min()?;
            let (old, new) = (old.next_if(|row| row.id() == lowest), new.next_if(|row| row.id() == lowest));
            Some(UserChange { old, new })
        });
        pairs.filter(UserChange::is_one)
    }

    /// Puts a user in, in place of the one of the same id; the name of that one.
    pub(super) fn put<T>(&mut self, record: &Record<T>, user: &User) -> Option<Name> {
        let hash = short_hash_of(user.email.as_str());
        let old = self.put_row(record, user);
        if old.as_ref().is_none_or(|old| old.hash != hash) {
            if let Some(old) = &old {
                self.emails.remove(old.hash, user.id);
            }
            self.emails.insert(hash, user.id);
        }
        old?.name
    }

    /// [`Self::put`] of a user whom nobody finds by the e-mail yet: [`Self::index`] is to follow.
    pub(super) fn put_unindexed<T>(&mut self, record: &Record<T>, user: &User) -> Option<Name> {
        self.put_row(record, user)?.name
    }

    /// Lets every user be found by the e-mail. In the order of the hashes this takes a fraction of what it takes in the order of
    /// ids.
    pub(super) fn index(&mut self) {
        let mut emails: Vec<_> = self.rows().map(|row| (short_hash_of(row.email()), row.id())).collect();
        emails.sort_unstable();
        self.emails = emails.into_iter().collect();
    }

    fn put_row<T>(&mut self, record: &Record<T>, user: &User) -> Option<Old> {
        if self.leaves.is_empty() {
            self.leaves.insert(0, SharedLeaf::default());
        }
        let key = *self.leaf_of(user.id)?.0;
        let leaf = Arc::make_mut(&mut self.leaves.get_mut(&key)?.0);
        let (place, old) = match leaf.place(user.id) {
            Ok(place) => (place, Some(Old::taken(leaf, place))),
            Err(place) => (place, None),
        };
        leaf.insert(place, record, user, &GroupTable::numbers(&mut self.table, &user.groups));
        if leaf.len() > LEAF_USERS {
            // Users mostly come in the order of their ids, and then nobody comes between those that are there.
            let upper = leaf.split(if place + 1 == leaf.len() { place } else { leaf.len() / 2 });
            if let Some(first) = upper.entry(0) {
                self.leaves.insert(first.id.bits(), SharedLeaf(Arc::new(upper)));
            }
        }
        self.len += usize::from(old.is_none());
        old
    }

    /// Takes a user away; the name of the service user that it was.
    pub(super) fn remove(&mut self, id: UserId) -> Option<Name> {
        let (key, leaf) = self.leaf_of(id)?;
        let (key, place) = (*key, leaf.0.place(id).ok()?);
        let leaf = Arc::make_mut(&mut self.leaves.get_mut(&key)?.0);
        let old = Old::taken(leaf, place);
        // The first leaf is there for any id.
        if leaf.len() == 0 && key != 0 {
            self.leaves.remove(&key);
        }
        self.len -= 1;
        self.emails.remove(old.hash, id);
        old.name
    }

    fn leaf_of(&self, id: UserId) -> Option<(&u128, &SharedLeaf)> {
        self.leaves.get_prev(&id.bits())
    }
}

impl FromIterator<Record<User>> for Users {
    fn from_iter<I: IntoIterator<Item = Record<User>>>(records: I) -> Self {
        let mut users = Self::default();
        for record in records {
            users.put(&record, &record.value);
        }
        users
    }
}

impl PartialEq for SharedLeaf {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

// === impl Old ===

impl Old {
    fn taken(leaf: &mut Leaf, place: usize) -> Self {
        let Texts { email, name, .. } = leaf.texts(place);
        let old = Self { hash: short_hash_of(email), name: stored_name(name) };
        leaf.remove(place);
        old
    }
}

// === impl GroupTable ===

impl GroupTable {
    /// The numbers of these groups, in their order; those that have none get one.
    fn numbers(this: &mut Arc<Self>, groups: &GroupIds) -> Vec<u32> {
        let number = |group: &GroupId| {
            if let Some(number) = this.numbers.get(group) {
                return *number;
            }
            let table = Arc::make_mut(this);
            let number = table.ids.len() as u32;
            table.ids.push(*group);
            table.numbers.insert(*group, number);
            number
        };
        groups.iter().map(number).collect()
    }
}

// === impl Page ===

impl<'s> Page<'s> {
    /// How many there are.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "nobody asks whether there is none")]
    pub const fn len(&self) -> usize {
        self.leaf.len()
    }

    /// Its users, with numbers in the order of ids.
    pub fn rows(&self) -> impl Iterator<Item = (u32, UserRow<'s>)> + use<'s> {
        let first = self.number * LEAF_USERS as u32;
        (first..).zip(self.leaf.rows(self.table))
    }

    /// The user of this number.
    #[must_use]
    pub fn row(pages: &[Self], number: u32) -> Option<UserRow<'s>> {
        let page = pages.get(number as usize / LEAF_USERS)?;
        let place = number as usize % LEAF_USERS;
        Some(UserRow::new(page.leaf, place, page.leaf.entry(place)?, page.table))
    }
}

// === impl UserRow ===

impl<'s> UserRow<'s> {
    pub(super) const fn new(leaf: &'s Leaf, place: usize, entry: &'s Entry, table: &'s GroupTable) -> Self {
        Self { leaf, entry, place: place as u32, table }
    }

    /// Identity.
    #[must_use]
    pub const fn id(&self) -> UserId {
        self.entry.id
    }

    /// The key, unique among users and service users of the account.
    #[must_use]
    pub fn email(&self) -> &'s str {
        self.texts().email
    }

    /// Shown to people; for a service user it is also a name it can be referred to by.
    #[must_use]
    pub fn name(&self) -> Option<Name> {
        stored_name(self.texts().name)
    }

    /// Only an active user may do anything (R13).
    #[must_use]
    pub const fn state(&self) -> UserState {
        self.entry.state
    }

    /// Whether this is a service user.
    #[must_use]
    pub const fn is_service(&self) -> bool {
        matches!(self.entry.kind, Kind::Service)
    }

    /// Memberships in the order of ids, `ALL_USERS` not among them.
    pub fn groups(&self) -> impl Iterator<Item = GroupId> + use<'s> {
        let table = self.table;
        self.leaf.groups(self.place as usize).iter().filter_map(|number| table.ids.get(*number as usize).copied())
    }

    /// The memberships as numbers, which mean the same in every user of this state.
    #[must_use]
    pub fn group_numbers(&self) -> &'s [u32] {
        self.leaf.groups(self.place as usize)
    }

    /// Whether this group is among the memberships.
    #[must_use]
    pub fn is_member(&self, group: GroupId) -> bool {
        self.groups().any(|id| id == group)
    }

    /// The user as a value of its own.
    #[must_use]
    pub fn user(&self) -> User {
        let Texts { email, description, .. } = self.texts();
        let kind = match self.entry.kind {
            Kind::Local => UserKind::Local,
            Kind::Federated => UserKind::Federated,
            Kind::Service => UserKind::Service { description: description.to_owned() },
        };
        let groups = self.groups().collect();
        User { id: self.id(), email: Email::stored(email), name: self.name(), kind, state: self.entry.state, groups }
    }

    /// The user with when it was made and last changed.
    #[must_use]
    pub fn record(&self) -> Record<User> {
        let entry = self.entry;
        Record { created: entry.created(), updated: entry.updated(), revision: entry.revision, value: self.user() }
    }

    fn texts(&self) -> Texts<'s> {
        self.leaf.texts(self.place as usize)
    }
}

/// Rows are equal where their records are, however they are stored.
impl PartialEq for UserRow<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.entry.is_like(other.entry) && self.texts() == other.texts() && self.groups().eq(other.groups())
    }
}

// === impl UserChange ===

impl UserChange<'_> {
    fn is_one(&self) -> bool {
        self.old != self.new
    }
}

#[cfg(test)]
mod tests;
