//! Leaves: a few dozen users in three blocks of memory.

use super::users::{GroupTable, UserRow};
use crate::model::id::UserId;
use crate::model::identity::{User, UserKind, UserState};
use crate::model::object::Record;
use crate::model::revision::Revision;

/// The most users of a leaf.
pub(super) const LEAF_USERS: usize = 64;

/// Users of neighbouring ids, sorted by id.
#[derive(Debug, Clone, Default)]
pub(super) struct Leaf {
    entries: Vec<Entry>,
    /// Of each user its e-mail, its name and its description, one behind the other.
    texts: String,
    /// Numbers of groups, those of each user in the order of the groups' ids.
    groups: Vec<u32>,
}

/// One user; its texts and groups end where this says, and begin where those of the one before end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) id: UserId,
    created: Instant,
    updated: Instant,
    pub(super) revision: Revision,
    texts_end: u32,
    groups_end: u32,
    /// Bytes of the e-mail: [`crate::model::limits::EMAIL_BYTES`] at most.
    email: u16,
    /// Bytes of the name, 0 where there is none: [`crate::model::limits::NAME_CHARACTERS`] of four bytes at most.
    name: u16,
    pub(super) kind: Kind,
    pub(super) state: UserState,
}

/// A time of a record in the bytes that it needs: as a value it is aligned to a multiple of four more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Instant {
    /// Seconds, the upper half first.
    seconds: [u32; 2],
    nanoseconds: i32,
}

/// A [`UserKind`] without its description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Local,
    Federated,
    Service,
}

/// The texts of a user; what it does not have is empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Texts<'l> {
    pub(super) email: &'l str,
    pub(super) name: &'l str,
    pub(super) description: &'l str,
}

/// What to reserve for `more` elements behind `len`. A block that has to grow grows by a quarter and not to twice its size: there
/// are many leaves, and most of them stay as they are.
const fn room(capacity: usize, len: usize, more: usize) -> usize {
    if len + more <= capacity { more } else { more + len / 4 }
}

// === impl Leaf ===

impl Leaf {
    pub(super) const fn len(&self) -> usize {
        self.entries.len()
    }

    /// The place of `id`, or where it would stand.
    pub(super) fn place(&self, id: UserId) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&id, |entry| entry.id)
    }

    pub(super) fn entry(&self, place: usize) -> Option<&Entry> {
        self.entries.get(place)
    }

    pub(super) fn rows<'l>(&'l self, table: &'l GroupTable) -> impl Iterator<Item = UserRow<'l>> {
        self.entries.iter().enumerate().map(move |(place, entry)| UserRow::new(self, place, entry, table))
    }

    pub(super) fn texts(&self, place: usize) -> Texts<'_> {
        let split = || {
            let entry = self.entries.get(place)?;
            let own = self.texts.get(self.ends_before(place).0..entry.texts_end as usize)?;
            let (email, rest) = own.split_at_checked(usize::from(entry.email))?;
            let (name, description) = rest.split_at_checked(usize::from(entry.name))?;
            Some(Texts { email, name, description })
        };
        split().unwrap_or_default()
    }

    pub(super) fn groups(&self, place: usize) -> &[u32] {
        let end = self.entries.get(place).map_or(0, |entry| entry.groups_end as usize);
        self.groups.get(self.ends_before(place).1..end).unwrap_or_default()
    }

    /// Where the texts and the groups of the users before `place` end.
    fn ends_before(&self, place: usize) -> (usize, usize) {
        let before = place.checked_sub(1).and_then(|before| self.entries.get(before));
        before.map_or((0, 0), |entry| (entry.texts_end as usize, entry.groups_end as usize))
    }

    /// Puts a user at `place`, which is where its id stands.
    pub(super) fn insert<T>(&mut self, place: usize, record: &Record<T>, user: &User, groups: &[u32]) {
        let (kind, description) = match &user.kind {
            UserKind::Local => (Kind::Local, ""),
            UserKind::Federated => (Kind::Federated, ""),
            UserKind::Service { description } => (Kind::Service, description.as_str()),
        };
        let (email, name) = (user.email.as_str(), user.name.as_ref().map_or("", |name| name.as_str()));
        let (texts_begin, groups_begin) = self.ends_before(place);
        let length = email.len() + name.len() + description.len();
        self.entries.reserve_exact(room(self.entries.capacity(), self.entries.len(), 1));
        self.texts.reserve_exact(room(self.texts.capacity(), self.texts.len(), length));
        self.groups.reserve_exact(room(self.groups.capacity(), self.groups.len(), groups.len()));
        let entry = Entry {
            id: user.id,
            created: Instant::from(record.created),
            updated: Instant::from(record.updated),
            revision: record.revision,
            texts_end: texts_begin as u32,
            groups_end: groups_begin as u32,
            email: email.len() as u16,
            name: name.len() as u16,
            kind,
            state: user.state,
        };
        self.entries.insert(place, entry);
        for text in [description, name, email].into_iter().filter(|text| !text.is_empty()) {
            self.texts.insert_str(texts_begin, text);
        }
        self.groups.splice(groups_begin..groups_begin, groups.iter().copied());
        self.move_ends(place, |end| end + length as u32, |end| end + groups.len() as u32);
    }

    /// Takes the user at `place` out.
    pub(super) fn remove(&mut self, place: usize) {
        let (texts_begin, groups_begin) = self.ends_before(place);
        let Some(entry) = self.entries.get(place).copied() else { return };
        let (texts_end, groups_end) = (entry.texts_end as usize, entry.groups_end as usize);
        self.texts.replace_range(texts_begin..texts_end, "");
        self.groups.drain(groups_begin..groups_end);
        self.entries.remove(place);
        let (texts, groups) = ((texts_end - texts_begin) as u32, (groups_end - groups_begin) as u32);
        self.move_ends(place, |end| end - texts, |end| end - groups);
    }

    /// Takes the users from `place` on out.
    pub(super) fn split(&mut self, place: usize) -> Self {
        let (texts, groups) = self.ends_before(place);
        let mut upper = Self {
            entries: self.entries.split_off(place),
            texts: self.texts.split_off(texts),
            groups: self.groups.split_off(groups),
        };
        upper.move_ends(0, |end| end - texts as u32, |end| end - groups as u32);
        self.entries.shrink_to_fit();
        self.texts.shrink_to_fit();
        self.groups.shrink_to_fit();
        upper
    }

    fn move_ends(&mut self, from: usize, texts: impl Fn(u32) -> u32, groups: impl Fn(u32) -> u32) {
        for entry in self.entries.iter_mut().skip(from) {
            entry.texts_end = texts(entry.texts_end);
            entry.groups_end = groups(entry.groups_end);
        }
    }
}

// === impl Entry ===

impl Entry {
    pub(super) fn created(&self) -> jiff::Timestamp {
        self.created.into()
    }

    pub(super) fn updated(&self) -> jiff::Timestamp {
        self.updated.into()
    }

    /// Whether two are equal but for where their texts and groups are.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let times = |it: &Self| (it.created, it.updated, it.revision);
        (self.id, self.kind, self.state) == (other.id, other.kind, other.state) && times(self) == times(other)
    }
}

// === impl Instant ===

impl From<jiff::Timestamp> for Instant {
    fn from(time: jiff::Timestamp) -> Self {
        let seconds = time.as_second().cast_unsigned();
        Self { seconds: [(seconds >> 32) as u32, seconds as u32], nanoseconds: time.subsec_nanosecond() }
    }
}

impl From<Instant> for jiff::Timestamp {
    fn from(Instant { seconds: [upper, lower], nanoseconds }: Instant) -> Self {
        let seconds = (u64::from(upper) << 32 | u64::from(lower)).cast_signed();
        // It was one before.
        Self::new(seconds, nanoseconds).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_the_time_it_was_made_of() {
        let times = [(0, 0), (-1, -999_999_999), (1, 1), (253_402_207_200, 999_999_999), (-377_705_023_201, 0)];
        for (seconds, nanoseconds) in times {
            let time = jiff::Timestamp::new(seconds, nanoseconds).unwrap();
            assert_eq!(jiff::Timestamp::from(Instant::from(time)), time);
        }
    }

    #[test]
    fn an_entry_is_small() {
        assert_eq!(size_of::<Entry>(), 64);
    }
}
