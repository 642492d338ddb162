//! Shards: a few dozen users in five blocks of memory.

use super::{GroupNumbers, NoGroup, Subject, shard_of};
use crate::model::id::UserId;
use crate::model::identity::UserState;
use crate::model::state::UserRow;
use crate::model::text::{is_same, short_hash_of};

/// Users whose e-mails hash to neighbouring places, sorted by hash.
#[derive(Debug, Default)]
pub(super) struct Shard {
    /// A hash table: the place of a user plus one is in the first free slot from the one of its hash on. At most half of the
    /// slots are taken, and their number is a power of two. Users from place [`SLOTTED`] on have none.
    slots: Box<[u16]>,
    entries: Box<[(UserId, UserState)]>,
    /// Where the e-mail and the groups of each begin, and at last where those of the last one end.
    bounds: Box<[(u32, u32)]>,
    /// UTF-8.
    emails: Box<[u8]>,
    groups: Box<[u32]>,
}

/// Users that have a slot.
const SLOTTED: usize = u16::MAX as usize;

/// A user before it is packed.
struct Member<'a> {
    hash: u32,
    entry: (UserId, UserState),
    email: &'a str,
    groups: &'a [u32],
}

/// What changes, each with its place; `gone` before `come`.
#[derive(Default)]
pub(super) struct Edits<'a> {
    pub(super) gone: Vec<(u32, UserId)>,
    pub(super) come: Vec<(u32, UserRow<'a>)>,
}

/// The edits of one shard.
pub(super) struct ShardEdits<'e, 'a> {
    gone: &'e [(u32, UserId)],
    come: &'e [(u32, UserRow<'a>)],
}

// === impl Shard ===

impl Shard {
    /// The user of this e-mail, which has this hash.
    #[inline]
    pub(super) fn by_email(&self, hash: u32, email: &str) -> Option<Subject<'_>> {
        let is = |place| self.email(place).is_some_and(|known| is_same(known, email.as_bytes()));
        self.subject(self.find(hash, is)?)
    }

    /// The user of this id, whose e-mail has this hash.
    pub(super) fn by_id(&self, hash: u32, id: UserId) -> Option<Subject<'_>> {
        self.subject(self.find(hash, |place| self.entries.get(place).is_some_and(|(known, _)| *known == id))?)
    }

    /// The first place among those of this hash that `is` the one looked for.
    #[inline]
    fn find(&self, hash: u32, is: impl Fn(usize) -> bool) -> Option<usize> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut slot = hash as usize & mask;
        while let Some(place) = self.slots.get(slot).and_then(|slot| usize::from(*slot).checked_sub(1)) {
            if is(place) {
                return Some(place);
            }
            slot = (slot + 1) & mask;
        }
        // Only where somebody has made thousands of e-mails for it are there so many in one shard.
        (SLOTTED..self.entries.len()).find(|place| is(*place))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Subject<'_>> {
        (0..self.entries.len()).filter_map(|place| self.subject(place))
    }

    #[inline]
    fn subject(&self, place: usize) -> Option<Subject<'_>> {
        self.entries.get(place).map(|entry| Subject { entry, shard: self, place })
    }

    #[inline]
    pub(super) fn email(&self, place: usize) -> Option<&[u8]> {
        let ((begin, _), (end, _)) = (*self.bounds.get(place)?, *self.bounds.get(place + 1)?);
        self.emails.get(begin as usize..end as usize)
    }

    #[inline]
    pub(super) fn groups(&self, place: usize) -> Option<&[u32]> {
        let ((_, begin), (_, end)) = (*self.bounds.get(place)?, *self.bounds.get(place + 1)?);
        self.groups.get(begin as usize..end as usize)
    }

    /// A shard of these users, each with the hash of its e-mail. `number` adds the numbers of a user's groups to a list.
    pub(super) fn of<'a>(
        users: &[(u32, UserRow<'a>)],
        number: impl Fn(&UserRow<'a>, &mut Vec<u32>) -> Result<(), NoGroup>,
    ) -> Result<Self, NoGroup> {
        Self::made(users, std::iter::empty(), number)
    }

    /// The shard after `edits`.
    pub(super) fn changed(
        known: Option<&Self>,
        edits: &ShardEdits<'_, '_>,
        groups: &GroupNumbers,
    ) -> Result<Self, NoGroup> {
        let is_gone = |id: UserId| edits.gone.iter().any(|(_, gone)| *gone == id);
        let kept = known.into_iter().flat_map(Shard::iter).filter(|subject| !is_gone(subject.id()));
        let kept = kept.map(|subject| Member {
            hash: short_hash_of(subject.email()),
            entry: *subject.entry,
            email: subject.email(),
            groups: subject.groups(),
        });
        Self::made(edits.come, kept, |user, numbers| {
            for group in user.groups() {
                numbers.push(*groups.get(&group).ok_or(NoGroup { user: user.id(), group })?);
            }
            Ok(())
        })
    }

    fn made<'a>(
        come: &[(u32, UserRow<'a>)],
        kept: impl Iterator<Item = Member<'a>>,
        number: impl Fn(&UserRow<'a>, &mut Vec<u32>) -> Result<(), NoGroup>,
    ) -> Result<Self, NoGroup> {
        let mut numbers: Vec<u32> = Vec::with_capacity(come.iter().map(|(_, user)| user.group_numbers().len()).sum());
        let mut bounds = Vec::with_capacity(come.len());
        for (_, user) in come {
            let begin = numbers.len();
            number(user, &mut numbers)?;
            if let Some(own) = numbers.get_mut(begin..) {
                own.sort_unstable();
            }
            bounds.push(begin..numbers.len());
        }
        let come = come.iter().zip(bounds).map(|((hash, user), range)| Member {
            hash: *hash,
            entry: (user.id(), user.state()),
            email: user.email(),
            groups: numbers.get(range).unwrap_or_default(),
        });
        let mut all: Vec<Member<'_>> = come.collect();
        for member in kept {
            all.push(member);
        }
        all.sort_unstable_by_key(|member| (member.hash, member.entry.0));
        Ok(Self::packed(&all))
    }

    fn packed(all: &[Member<'_>]) -> Self {
        let mut emails = Vec::with_capacity(all.iter().map(|it| it.email.len()).sum());
        let mut groups = Vec::with_capacity(all.iter().map(|it| it.groups.len()).sum());
        let mut bounds = Vec::with_capacity(all.len() + 1);
        bounds.push((0, 0));
        for member in all {
            emails.extend_from_slice(member.email.as_bytes());
            groups.extend_from_slice(member.groups);
            bounds.push((emails.len() as u32, groups.len() as u32));
        }
        let entries = all.iter().map(|member| member.entry).collect();
        Self { slots: slots(all), entries, bounds: bounds.into(), emails: emails.into(), groups: groups.into() }
    }
}

/// The hash table of these.
fn slots(all: &[Member<'_>]) -> Box<[u16]> {
    let mut slots = vec![0; (all.len() * 2).next_power_of_two()];
    let mask = slots.len() - 1;
    for (number, member) in (1..=SLOTTED as u16).zip(all) {
        let mut slot = member.hash as usize & mask;
        while slots.get(slot).is_some_and(|taken| *taken != 0) {
            slot = (slot + 1) & mask;
        }
        slots.get_mut(slot).into_iter().for_each(|free| *free = number);
    }
    slots.into()
}

// === impl Edits ===

impl<'a> Edits<'a> {
    /// Calls `edit` once for each shard that something changes in.
    pub(super) fn by_shard(
        mut self,
        bits: u32,
        mut edit: impl FnMut(usize, &ShardEdits<'_, 'a>) -> Result<(), NoGroup>,
    ) -> Result<(), NoGroup> {
        self.gone.sort_unstable_by_key(|(place, _)| *place);
        self.come.sort_unstable_by_key(|(place, _)| *place);
        let (mut gone, mut come) = (self.gone.as_slice(), self.come.as_slice());
        let places = |gone: &[(u32, UserId)], come: &[(u32, UserRow<'a>)]| {
            let (first, second) = (gone.first().map(|(place, _)| *place), come.first().map(|(place, _)| *place));
            first.into_iter().chain(second).min()
        };
        while let Some(place) = places(gone, come) {
            let index = shard_of(place, bits);
            let (these_gone, later_gone) = gone.split_at(gone.partition_point(|(it, _)| shard_of(*it, bits) <= index));
            let (these_come, later_come) = come.split_at(come.partition_point(|(it, _)| shard_of(*it, bits) <= index));
            edit(index, &ShardEdits { gone: these_gone, come: these_come })?;
            (gone, come) = (later_gone, later_come);
        }
        Ok(())
    }
}
