//! Shards: a few dozen users in four blocks of memory.

use super::{GroupNumbers, NoGroup, Subject, shard_of};
use crate::model::id::UserId;
use crate::model::identity::UserState;
use crate::model::state::UserRow;

/// Users whose e-mails hash to neighbouring places, sorted by hash.
#[derive(Debug, Default)]
pub(super) struct Shard {
    hashes: Box<[u32]>,
    entries: Box<[Entry]>,
    emails: Box<str>,
    groups: Box<[u32]>,
}

/// One user; its e-mail and groups end where this says, and begin where those of the one before end.
#[derive(Debug, Clone, Copy)]
struct Entry {
    id: UserId,
    email_end: u32,
    groups_end: u32,
    state: UserState,
}

/// Ids of neighbouring places with the hash of the e-mail, sorted by id.
#[derive(Debug, Default)]
pub(super) struct IdShard {
    entries: Box<[(UserId, u32)]>,
}

/// What changes, each with its place; `gone` before `come`.
pub(super) struct Edits<T> {
    pub(super) gone: Vec<(u32, UserId)>,
    pub(super) come: Vec<(u32, T)>,
}

/// The edits of one shard.
pub(super) struct ShardEdits<'e, T> {
    gone: &'e [(u32, UserId)],
    come: &'e [(u32, T)],
}

// === impl Shard ===

impl Shard {
    /// The first user of this hash that `is` the one asked for.
    pub(super) fn find<'s>(&'s self, hash: u32, is: impl Fn(&Subject<'s>) -> bool) -> Option<Subject<'s>> {
        let first = self.hashes.partition_point(|known| *known < hash);
        let same = self.hashes.get(first..)?.iter().take_while(|known| **known == hash);
        same.enumerate().filter_map(|(offset, _)| self.subject(first + offset)).find(is)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, Subject<'_>)> {
        self.hashes.iter().enumerate().filter_map(|(index, hash)| Some((*hash, self.subject(index)?)))
    }

    fn subject(&self, index: usize) -> Option<Subject<'_>> {
        let Entry { id, email_end, groups_end, state } = *self.entries.get(index)?;
        let before = index.checked_sub(1).and_then(|before| self.entries.get(before));
        let (email, group) = before.map_or((0, 0), |entry| (entry.email_end, entry.groups_end));
        let email = self.emails.get(email as usize..email_end as usize)?;
        let groups = self.groups.get(group as usize..groups_end as usize)?;
        Some(Subject { id, email, state, groups })
    }

    /// The shard after `edits`.
    pub(super) fn changed(
        known: Option<&Self>,
        edits: &ShardEdits<'_, UserRow<'_>>,
        groups: &GroupNumbers,
    ) -> Result<Self, NoGroup> {
        let is_gone = |id: UserId| edits.gone.iter().any(|(_, gone)| *gone == id);
        let mut numbers: Vec<u32> = Vec::new();
        let mut ends = Vec::with_capacity(edits.come.len());
        for (_, user) in edits.come {
            let begin = numbers.len();
            for group in user.groups() {
                numbers.push(*groups.get(&group).ok_or(NoGroup { user: user.id(), group })?);
            }
            if let Some(own) = numbers.get_mut(begin..) {
                own.sort_unstable();
            }
            ends.push(begin..numbers.len());
        }
        let come = edits.come.iter().zip(ends).map(|((hash, user), range)| {
            let groups = numbers.get(range).unwrap_or_default();
            (*hash, Subject { id: user.id(), email: user.email(), state: user.state(), groups })
        });
        let kept = known.into_iter().flat_map(Shard::iter).filter(|(_, subject)| !is_gone(subject.id));
        let mut all: Vec<(u32, Subject<'_>)> = come.collect();
        all.extend(kept);
        all.sort_unstable_by_key(|(hash, subject)| (*hash, subject.id));
        Ok(Self::packed(&all))
    }

    fn packed(all: &[(u32, Subject<'_>)]) -> Self {
        let mut emails = String::with_capacity(all.iter().map(|(_, it)| it.email.len()).sum());
        let mut groups = Vec::with_capacity(all.iter().map(|(_, it)| it.groups.len()).sum());
        let mut entries = Vec::with_capacity(all.len());
        for (_, Subject { id, email, state, groups: own }) in all {
            emails.push_str(email);
            groups.extend_from_slice(own);
            let (email_end, groups_end) = (emails.len() as u32, groups.len() as u32);
            entries.push(Entry { id: *id, email_end, groups_end, state: *state });
        }
        let hashes = all.iter().map(|(hash, _)| *hash).collect();
        Self { hashes, entries: entries.into(), emails: emails.into(), groups: groups.into() }
    }
}

// === impl IdShard ===

impl IdShard {
    /// The hash of the e-mail of `id`.
    pub(super) fn find(&self, id: UserId) -> Option<u32> {
        let place = self.entries.binary_search_by_key(&id, |(known, _)| *known).ok()?;
        self.entries.get(place).map(|(_, hash)| *hash)
    }

    pub(super) fn changed(known: Option<&Self>, edits: &ShardEdits<'_, (UserId, u32)>) -> Self {
        let is_gone = |id: UserId| edits.gone.iter().any(|(_, gone)| *gone == id);
        let kept = known.into_iter().flat_map(|shard| shard.entries.iter().copied()).filter(|(id, _)| !is_gone(*id));
        let mut entries: Vec<_> = kept.chain(edits.come.iter().map(|(_, entry)| *entry)).collect();
        entries.sort_unstable_by_key(|(id, _)| *id);
        Self { entries: entries.into() }
    }
}

// === impl Edits ===

impl<T> Default for Edits<T> {
    fn default() -> Self {
        Self { gone: Vec::new(), come: Vec::new() }
    }
}

impl<T> Edits<T> {
    /// Calls `edit` once for each shard that something changes in.
    pub(super) fn by_shard(
        mut self,
        bits: u32,
        mut edit: impl FnMut(usize, &ShardEdits<'_, T>) -> Result<(), NoGroup>,
    ) -> Result<(), NoGroup> {
        self.gone.sort_unstable_by_key(|(place, _)| *place);
        self.come.sort_unstable_by_key(|(place, _)| *place);
        let (mut gone, mut come) = (self.gone.as_slice(), self.come.as_slice());
        let places = |gone: &[(u32, UserId)], come: &[(u32, T)]| {
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
