//! Indexes: from a hash to the ids of what may be meant.

use imbl::OrdSet;

use crate::model::binding::BindingKey;
use crate::model::id::{BoundaryId, GroupId, PolicyId, UserId};

/// Ids by the hash of what they are found by. Different things may have one hash: who asks looks at what is found.
///
/// What is found has the thing itself, so that it need not be kept here once more. In a map by name an entry took five times
/// as much, and its copy of the name.
#[derive(Debug, Clone)]
pub(super) struct Index<I: Lowest>(OrdSet<(u32, I)>);

/// The hash of an id. Most are random; those that somebody wrote differ in any of their places.
pub(super) const fn short(bits: u128) -> u32 {
    let half = (bits >> 64) as u64 ^ bits as u64;
    (half >> 32) as u32 ^ half as u32
}

/// A key that has a lowest value: where a range begins.
pub(super) trait Lowest: Copy + Ord {
    /// No other is below it.
    const LOWEST: Self;
}

// === impl Lowest ===

impl Lowest for UserId {
    const LOWEST: Self = Self::LOWEST;
}

impl Lowest for BindingKey {
    const LOWEST: Self = Self::FIRST;
}

impl Lowest for GroupId {
    const LOWEST: Self = Self::LOWEST;
}

impl Lowest for PolicyId {
    const LOWEST: Self = Self::LOWEST;
}

impl Lowest for BoundaryId {
    const LOWEST: Self = Self::LOWEST;
}

// === impl Index ===

impl<I: Lowest> Default for Index<I> {
    fn default() -> Self {
        Self(OrdSet::new())
    }
}

impl<I: Lowest> FromIterator<(u32, I)> for Index<I> {
    fn from_iter<T: IntoIterator<Item = (u32, I)>>(entries: T) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl<I: Lowest> Index<I> {
    /// Every id of this hash, in order.
    pub(super) fn of(&self, hash: u32) -> impl Iterator<Item = &I> {
        let from = self.0.range((hash, I::LOWEST)..);
        from.take_while(move |(other, _)| *other == hash).map(|(_, id)| id)
    }

    pub(super) fn insert(&mut self, hash: u32, id: I) {
        self.0.insert((hash, id));
    }

    pub(super) fn remove(&mut self, hash: u32, id: I) {
        self.0.remove(&(hash, id));
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
