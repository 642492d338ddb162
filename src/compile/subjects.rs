//! Users and service users, packed: one look-up by e-mail or id, a few bytes beside what has to be kept, and a change that
//! copies one shard.

use std::sync::Arc;

use imbl::OrdMap;
use rustc_hash::FxHashMap;

use super::chunks::Chunks;
use super::workers::{Workers, by_parts};
use crate::model::id::{GroupId, UserId};
use crate::model::identity::UserState;
use crate::model::state::{UserChange, UserRow, Users};
use crate::model::text::{Name, short_hash_of};

mod numbered;
mod shard;

use numbered::{Numbered, by_shard};
use shard::Shard;

/// Users that a shard holds when the shards are made; between half and four times as many, they stay.
const SHARD_USERS: usize = 64;

/// Shards that are worth a thread.
const SHARDS_OF_A_PART: usize = 64;

/// Bytes of an id as text.
const ID_BYTES: usize = 36;

/// Every user and service user of an account. A clone shares everything.
#[derive(Debug, Clone)]
pub struct Subjects {
    /// There are `1 << bits` shards.
    bits: u32,
    /// By the hash of the e-mail.
    by_email: Chunks<Shard>,
    /// As the state has them: they tell the e-mail of an id.
    users: Users,
    /// Service users by name; a name may be borne by several.
    by_name: OrdMap<Name, Box<[UserId]>>,
}

/// A user or service user, where it lies.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'p> {
    entry: &'p (UserId, UserState),
    shard: &'p Shard,
    place: usize,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'p> {
    /// Nobody.
    Nobody,
    /// One subject.
    One(Subject<'p>),
    /// Several: the id has to be given (rules §8).
    Several,
}

/// Numbers of groups.
pub type GroupNumbers = FxHashMap<GroupId, u32>;

/// A user that names a group that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoGroup {
    /// The user.
    pub user: UserId,
    /// The group.
    pub group: GroupId,
}

/// The shard of an e-mail's hash, which is told by its upper bits.
const fn shard_of(place: u32, bits: u32) -> usize {
    // As 64 bits, of which a shift by 32 leaves none.
    (place as u64 >> (32 - bits)) as usize
}

// === impl Subject ===

impl<'p> Subject<'p> {
    /// Identity.
    #[must_use]
    #[inline]
    pub const fn id(&self) -> UserId {
        self.entry.0
    }

    /// Only an active one may do anything.
    #[must_use]
    #[inline]
    pub const fn state(&self) -> UserState {
        self.entry.1
    }

    /// The e-mail.
    #[must_use]
    pub fn email(&self) -> &'p str {
        self.shard.email(self.place).and_then(|email| std::str::from_utf8(email).ok()).unwrap_or_default()
    }

    /// Numbers of its groups, in order; `ALL_USERS` is not among them.
    #[must_use]
    #[inline]
    pub fn groups(&self) -> &'p [u32] {
        self.shard.groups(self.place).unwrap_or_default()
    }
}

impl PartialEq for Subject<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.entry, self.email(), self.groups()) == (other.entry, other.email(), other.groups())
    }
}

impl Eq for Subject<'_> {}

// === impl Subjects ===

impl Default for Subjects {
    fn default() -> Self {
        Self::with_room(&Users::default())
    }
}

impl Subjects {
    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Whom an id, an e-mail or the name of a service user stands for.
    #[must_use]
    #[inline]
    pub fn find(&self, name: &str) -> Found<'_> {
        match self.by_email(name) {
            // Nothing but an e-mail can be spelled so: the name is no id, and no service user has a name.
            Some(subject) if name.len() != ID_BYTES && self.by_name.is_empty() => Found::One(subject),
            by_email => self.find_by_any(name, by_email),
        }
    }

    fn find_by_any<'s>(&'s self, name: &str, by_email: Option<Subject<'s>>) -> Found<'s> {
        let by_id = name.parse().ok().and_then(|id| self.by_id(id));
        let mut found = match (by_email, by_id) {
            (Some(one), Some(other)) if one.id() != other.id() => return Found::Several,
            (one, other) => one.or(other),
        };
        for id in self.by_name.get(name).into_iter().flat_map(|ids| ids.iter()) {
            match found {
                Some(known) if known.id() != *id => return Found::Several,
                Some(_) => {}
                None => found = self.by_id(*id),
            }
        }
        found.map_or(Found::Nobody, Found::One)
    }

    /// The user or service user of this id.
    #[must_use]
    pub fn by_id(&self, id: UserId) -> Option<Subject<'_>> {
        let hash = short_hash_of(self.users.row(id)?.email());
        self.by_email.get(shard_of(hash, self.bits))?.by_id(hash, id)
    }

    #[inline]
    fn by_email(&self, email: &str) -> Option<Subject<'_>> {
        let hash = short_hash_of(email);
        self.by_email.get(shard_of(hash, self.bits))?.by_email(hash, email)
    }

    /// Every subject, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = Subject<'_>> {
        self.by_email.iter().flat_map(|shard| shard.iter())
    }

    /// The subjects that these users are.
    ///
    /// # Errors
    /// [`NoGroup`] for a user that names a group without a number.
    pub fn of(users: &Users, groups: &GroupNumbers, workers: &dyn Workers) -> Result<Self, NoGroup> {
        let mut made = Self::with_room(users);
        let all = Numbered::of(users, groups);
        let placed = all.placed(workers);
        let shards = by_shard(&placed, made.bits);
        let parts = by_parts(workers, &shards, SHARDS_OF_A_PART, |part| all.made(part));
        made.by_email = parts.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
        for user in users.rows().filter(UserRow::is_service) {
            made.rename(&UserChange { old: None, new: Some(user) });
        }
        Ok(made)
    }

    /// These subjects with changes; `users` are those after them.
    ///
    /// # Errors
    /// [`NoGroup`] for a user that names a group without a number.
    pub fn change(
        &self,
        changes: &[UserChange<'_>],
        users: &Users,
        groups: &GroupNumbers,
        workers: &dyn Workers,
    ) -> Result<Self, NoGroup> {
        let most = (SHARD_USERS * 4) << self.bits;
        let least = if self.bits == 0 { 0 } else { (SHARD_USERS / 2) << self.bits };
        if !(least..=most).contains(&users.len()) {
            return Self::of(users, groups, workers);
        }
        let mut next = Self { users: users.clone(), ..self.clone() };
        next.apply(changes.iter().copied(), groups)?;
        for change in changes {
            next.rename(change);
        }
        Ok(next)
    }

    fn with_room(users: &Users) -> Self {
        let shards = (users.len() / SHARD_USERS).max(1).next_power_of_two();
        Self {
            bits: shards.trailing_zeros(),
            by_email: (0..shards).map(|_| Arc::default()).collect(),
            users: users.clone(),
            by_name: OrdMap::new(),
        }
    }

    fn apply<'a>(
        &mut self,
        changes: impl Iterator<Item = UserChange<'a>>,
        groups: &GroupNumbers,
    ) -> Result<(), NoGroup> {
        let mut edits = shard::Edits::default();
        for UserChange { old, new } in changes {
            edits.gone.extend(old.map(|old| (short_hash_of(old.email()), old.id())));
            edits.come.extend(new.map(|new| (short_hash_of(new.email()), new)));
        }
        edits.by_shard(self.bits, |index, edits| {
            let known = self.by_email.get(index).map(Arc::as_ref);
            let shard = Shard::changed(known, edits, groups)?;
            self.by_email.set(index, Arc::new(shard));
            Ok(())
        })
    }

    fn rename(&mut self, change: &UserChange<'_>) {
        let service_name = |user: UserRow<'_>| if user.is_service() { user.name() } else { None };
        if let Some((user, name)) = change.old.and_then(|user| Some((user, service_name(user)?))) {
            let left: Box<[UserId]> = self.named(&name).filter(|id| *id != user.id()).collect();
            if left.is_empty() {
                self.by_name.remove(&name);
            } else {
                self.by_name.insert(name, left);
            }
        }
        if let Some((user, name)) = change.new.and_then(|user| Some((user, service_name(user)?))) {
            let mut ids: Vec<UserId> = self.named(&name).chain([user.id()]).collect();
            ids.sort_unstable();
            self.by_name.insert(name, ids.into());
        }
    }

    fn named(&self, name: &Name) -> impl Iterator<Item = UserId> {
        self.by_name.get(name).into_iter().flat_map(|ids| ids.iter().copied())
    }
}

#[cfg(test)]
mod tests;
