//! Which groups say something about a permission: what a decision asks first, so that a group that says nothing costs a
//! glance at one bit.

use super::chunks::Chunks;
use crate::model::catalogue::PermissionNumber;

/// For each permission the groups with a clause about it. A clone shares everything.
#[derive(Debug, Clone, Default)]
pub struct Mentions {
    /// By the number of the permission.
    by_permission: Chunks<GroupSet>,
}

/// Numbers of groups.
#[derive(Debug, Clone)]
pub enum GroupSet {
    /// At most eight, sorted.
    Few(Vec<u32>),
    /// A bit for each number.
    Many(Vec<u64>),
}

/// So many numbers are kept as a list. It bounds what a rare permission costs in an account of many groups.
const FEW: usize = 8;

// === impl Mentions ===

impl Mentions {
    /// The groups with a clause about `permission`; `None` or an empty set where there is none.
    #[must_use]
    #[inline]
    pub fn groups(&self, permission: PermissionNumber) -> Option<&GroupSet> {
        self.by_permission.get(permission.index()).map(AsRef::as_ref)
    }

    /// Notes that a group that said something about the permissions `before` says something about those in `after`; both
    /// are sorted.
    pub fn change(&mut self, group: u32, before: &[PermissionNumber], after: &[PermissionNumber]) {
        let only_in = |these: &[PermissionNumber], those: &[PermissionNumber]| -> Vec<usize> {
            let only = these.iter().filter(|permission| those.binary_search(permission).is_err());
            only.map(|permission| permission.index()).collect()
        };
        for permission in only_in(before, after) {
            self.by_permission.entry(permission).into_iter().for_each(|groups| groups.remove(group));
        }
        for permission in only_in(after, before) {
            self.by_permission.entry(permission).into_iter().for_each(|groups| groups.insert(group));
        }
    }
}

// === impl GroupSet ===

/// Word and bit in it.
const fn place(group: u32) -> (usize, u64) {
    (group as usize / 64, 1 << (group % 64))
}

impl Default for GroupSet {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl GroupSet {
    /// Whether `group` is in the set.
    #[must_use]
    pub fn contains(&self, group: u32) -> bool {
        let mut found = false;
        self.visit(&[group], |_| found = true);
        found
    }

    /// Visits those of `groups`, which are sorted, that are in the set.
    #[inline]
    pub fn visit(&self, groups: &[u32], mut visit: impl FnMut(u32)) {
        match self {
            Self::Few(few) => {
                let mut left = groups;
                for known in few {
                    let smaller = left.iter().take_while(|group| *group < known).count();
                    left = left.get(smaller..).unwrap_or_default();
                    if left.first() == Some(known) {
                        visit(*known);
                    }
                }
            }
            Self::Many(words) => {
                for group in groups {
                    let (word, bit) = place(*group);
                    if words.get(word).is_some_and(|word| word & bit != 0) {
                        visit(*group);
                    }
                }
            }
        }
    }

    fn insert(&mut self, group: u32) {
        match self {
            Self::Few(few) => {
                if let Err(place) = few.binary_search(&group) {
                    few.insert(place, group);
                }
                if few.len() > FEW {
                    *self = Self::Many(words(few));
                }
            }
            Self::Many(words) => {
                let (word, bit) = place(group);
                words.resize(words.len().max(word + 1), 0);
                words.get_mut(word).into_iter().for_each(|word| *word |= bit);
            }
        }
    }

    fn remove(&mut self, group: u32) {
        match self {
            Self::Few(few) => few.retain(|known| *known != group),
            Self::Many(words) => {
                let (word, bit) = place(group);
                words.get_mut(word).into_iter().for_each(|word| *word &= !bit);
                // Half of what made it so, so that one group that comes and goes does not change the form each time.
                if words.iter().map(|word| word.count_ones() as usize).sum::<usize>() <= FEW / 2 {
                    *self = Self::Few(numbers(words).collect());
                }
            }
        }
    }
}

fn words(groups: &[u32]) -> Vec<u64> {
    let mut words = vec![0; groups.last().map_or(0, |last| place(*last).0 + 1)];
    for (word, bit) in groups.iter().copied().map(place) {
        words.get_mut(word).into_iter().for_each(|word| *word |= bit);
    }
    words
}

fn numbers(words: &[u64]) -> impl Iterator<Item = u32> + '_ {
    let of_word = |(number, word): (u32, &u64)| {
        let word = *word;
        (0..64).filter(move |bit| word & (1 << bit) != 0).map(move |bit| number * 64 + bit)
    };
    (0..).zip(words).flat_map(of_word)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// In either form a set does what a set of the standard library does, and a copy stays as it was.
    #[test]
    fn a_group_set_is_a_set_and_a_copy_stays() {
        let (mut set, mut expected) = (GroupSet::default(), BTreeSet::new());
        let mut forms = [0; 2];
        for step in 0_u32..3_000 {
            let group = step.wrapping_mul(7_919) % 20_000;
            let (copy, copied) = (set.clone(), expected.clone());
            // It grows, shrinks until it is empty, and grows again.
            if step % 1_000 < 400 {
                set.insert(group);
                expected.insert(group);
            } else {
                let gone = expected.pop_first().unwrap_or(group);
                set.remove(gone);
            }
            forms[usize::from(matches!(set, GroupSet::Many(_)))] += 1;
            if step % 50 == 0 || expected.len() < 20 {
                check(&set, &expected);
                check(&copy, &copied);
            }
        }
        assert!(forms.iter().all(|count| *count > 100), "{forms:?}");
    }

    fn check(set: &GroupSet, expected: &BTreeSet<u32>) {
        let asked: Vec<u32> = (0..20_100).step_by(3).chain(20_100..20_200).collect();
        let mut found = Vec::new();
        set.visit(&asked, |group| found.push(group));
        let wanted: Vec<u32> = asked.iter().copied().filter(|group| expected.contains(group)).collect();
        assert_eq!(found, wanted);
        assert!(expected.iter().all(|group| set.contains(*group)));
    }
}
