//! All users at once: eight bytes for each while they are put in order.

use std::sync::Arc;

use super::shard::Shard;
use super::{GroupNumbers, NoGroup, shard_of};
use crate::compile::workers::{Workers, by_parts};
use crate::model::state::{Page, UserRow, Users};
use crate::model::text::short_hash_of;

/// The users of a state, to be looked up by number.
pub(super) struct Numbered<'s> {
    pages: Vec<Page<'s>>,
    /// The numbers that the program gives to the state's groups, by the state's own numbers.
    groups: Vec<Option<u32>>,
}

/// The hash of an e-mail and the number of its user.
pub(super) type Placed = (u32, u32);

/// Pages that are worth a thread.
const PAGES_OF_A_PART: usize = 64;

/// The users of each shard.
pub(super) fn by_shard(placed: &[Placed], bits: u32) -> Vec<&[Placed]> {
    let mut left = placed;
    let shard = |index| {
        let (own, later) = left.split_at(left.partition_point(|(hash, _)| shard_of(*hash, bits) <= index));
        left = later;
        own
    };
    (0..1_usize << bits).map(shard).collect()
}

// === impl Numbered ===

impl<'s> Numbered<'s> {
    pub(super) fn of(users: &'s Users, groups: &GroupNumbers) -> Self {
        let groups = users.numbered_groups().map(|id| groups.get(&id).copied()).collect();
        Self { pages: users.pages(), groups }
    }

    /// Every user in the order of shards, those of one hash in the order of their ids.
    pub(super) fn placed(&self, workers: &dyn Workers) -> Vec<Placed> {
        let place = |(number, user): (u32, UserRow<'_>)| (short_hash_of(user.email()), number);
        let parts = by_parts(workers, &self.pages, PAGES_OF_A_PART, |pages| {
            let mut placed: Vec<Placed> = Vec::with_capacity(pages.iter().map(Page::len).sum());
            placed.extend(pages.iter().flat_map(Page::rows).map(place));
            placed
        });
        let mut placed = parts.concat();
        placed.sort_unstable();
        placed
    }

    /// These shards.
    pub(super) fn made(&self, shards: &[&[Placed]]) -> Result<Vec<Arc<Shard>>, NoGroup> {
        let made = shards.iter().map(|placed| {
            let row = |(hash, number): &Placed| Page::row(&self.pages, *number).map(|user| (*hash, user));
            let users: Vec<(u32, UserRow<'_>)> = placed.iter().filter_map(row).collect();
            Shard::of(&users, |user, numbers| self.number(user, numbers)).map(Arc::new)
        });
        made.collect()
    }

    fn number(&self, user: &UserRow<'_>, numbers: &mut Vec<u32>) -> Result<(), NoGroup> {
        for (number, id) in user.group_numbers().iter().zip(user.groups()) {
            let known = self.groups.get(*number as usize).copied().flatten();
            numbers.push(known.ok_or(NoGroup { user: user.id(), group: id })?);
        }
        Ok(())
    }
}
