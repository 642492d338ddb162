//! The digest of a set of records: the same whatever the order they came in, and kept up to date at the cost of one record.
//!
//! Each record is written in its canonical form (`canonical`), hashed with SHA-256 and stretched to 1,024 numbers of 16
//! bits; the numbers of all records are added up lane by lane. That is `LtHash16` (Bellare and Micciancio 1997; Lewi, Kim,
//! Maykov, Weis 2019): a record can be taken out again, and nobody can find two sets of one sum, so that a signature of
//! the digest is one of the whole state.

use std::fmt;
use std::sync::Arc;

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use imbl::OrdMap;
use sha2::{Digest as _, Sha256};

use super::id::{AccountId, EnvironmentId};
use super::object::{Object, Record};

mod canonical;

/// Numbers of a sum.
const LANES: usize = 1_024;
const LANE_BYTES: usize = LANES * 2;

/// What a set of records comes to. Equal sets have equal digests, and different ones different digests.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; Self::BYTES]);

/// A byte string that is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be {} bytes, not {found}", Digest::BYTES)]
pub struct InvalidDigest {
    /// How many there were.
    pub found: usize,
}

/// The sum over a set of records.
#[derive(Clone, PartialEq, Eq)]
pub struct SetHash {
    records: u64,
    lanes: [u16; LANES],
}

/// The sums of a state, by what a watcher may see of it. A clone shares everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums {
    whole: Arc<SetHash>,
    global: Arc<SetHash>,
    accounts: OrdMap<AccountId, AccountSums>,
}

/// The sums of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountSums {
    /// Of what belongs to no environment.
    pub shared: Arc<SetHash>,
    /// Of what belongs to one.
    pub environments: OrdMap<EnvironmentId, Arc<SetHash>>,
}

/// One record as numbers, of two bytes each.
struct Expanded([u8; LANE_BYTES]);

// === impl Digest ===

impl Digest {
    /// Bytes of a digest.
    pub const BYTES: usize = 32;

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl TryFrom<&[u8]> for Digest {
    type Error = InvalidDigest;
    fn try_from(bytes: &[u8]) -> Result<Self, InvalidDigest> {
        bytes.try_into().map(Self).map_err(|_| InvalidDigest { found: bytes.len() })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

// === impl SetHash ===

impl SetHash {
    /// The digest: SHA-256 of the number of records (8 bytes) and the lanes (2 bytes each), the lowest byte first.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hash = Sha256::new();
        hash.update(self.records.to_le_bytes());
        let mut bytes = [0; LANE_BYTES];
        for (place, lane) in bytes.chunks_exact_mut(2).zip(&self.lanes) {
            place.copy_from_slice(&lane.to_le_bytes());
        }
        hash.update(bytes);
        Digest(hash.finalize().into())
    }

    /// Adds every record of `other`.
    pub fn add(&mut self, other: &Self) {
        self.records = self.records.wrapping_add(other.records);
        self.combine(other.lanes.iter().copied(), u16::wrapping_add);
    }

    fn subtract(&mut self, other: &Self) {
        self.records = self.records.wrapping_sub(other.records);
        self.combine(other.lanes.iter().copied(), u16::wrapping_sub);
    }

    fn insert(&mut self, record: &Expanded) {
        self.records = self.records.wrapping_add(1);
        self.combine(record.lanes(), u16::wrapping_add);
    }

    fn remove(&mut self, record: &Expanded) {
        self.records = self.records.wrapping_sub(1);
        self.combine(record.lanes(), u16::wrapping_sub);
    }

    fn combine(&mut self, lanes: impl Iterator<Item = u16>, operation: impl Fn(u16, u16) -> u16) {
        for (mine, other) in self.lanes.iter_mut().zip(lanes) {
            *mine = operation(*mine, other);
        }
    }
}

impl Default for SetHash {
    /// The sum of no record.
    fn default() -> Self {
        Self { records: 0, lanes: [0; LANES] }
    }
}

impl fmt::Debug for SetHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SetHash({} records, {})", self.records, self.digest())
    }
}

// === impl Sums ===

impl Sums {
    /// The sum of everything.
    #[must_use]
    pub fn whole(&self) -> &SetHash {
        &self.whole
    }

    /// The sum of what belongs to no account.
    #[must_use]
    pub fn global(&self) -> &SetHash {
        &self.global
    }

    /// The sums of an account.
    #[must_use]
    pub fn account(&self, id: AccountId) -> Option<&AccountSums> {
        self.accounts.get(&id)
    }

    /// What these records add up to.
    pub(super) fn of<'r>(records: impl IntoIterator<Item = &'r Record<Object>>) -> Self {
        let mut sums = Self::default();
        for record in records {
            sums.part_of(&record.value).insert(&Expanded::of(record));
        }
        let parts: Vec<_> = sums.parts().cloned().collect();
        let whole = Arc::make_mut(&mut sums.whole);
        for part in parts {
            whole.add(&part);
        }
        sums
    }

    /// Adds every record of `other`.
    pub(super) fn add(&mut self, other: &Self) {
        Arc::make_mut(&mut self.whole).add(&other.whole);
        Arc::make_mut(&mut self.global).add(&other.global);
        for (id, account) in &other.accounts {
            let mine = self.accounts.entry(*id).or_default();
            Arc::make_mut(&mut mine.shared).add(&account.shared);
            for (id, sum) in &account.environments {
                Arc::make_mut(mine.environments.entry(id.clone()).or_default()).add(sum);
            }
        }
    }

    /// Takes `old` out and puts `new` in: the two states of one object.
    pub(super) fn replace(&mut self, old: Option<&Record<Object>>, new: Option<&Record<Object>>) {
        for (record, operation) in [(old, SetHash::remove as fn(&mut SetHash, &Expanded)), (new, SetHash::insert)] {
            if let Some(record) = record {
                self.change(record, operation);
            }
        }
    }

    /// Takes everything of an account out.
    pub(super) fn remove_account(&mut self, id: AccountId) {
        let Some(sums) = self.accounts.remove(&id) else { return };
        let whole = Arc::make_mut(&mut self.whole);
        sums.parts().for_each(|sum| whole.subtract(sum));
    }

    fn change(&mut self, record: &Record<Object>, operation: fn(&mut SetHash, &Expanded)) {
        let expanded = Expanded::of(record);
        operation(Arc::make_mut(&mut self.whole), &expanded);
        operation(self.part_of(&record.value), &expanded);
        self.drop_empty(&record.value);
    }

    /// The sum that the object counts in, apart from that of everything.
    fn part_of(&mut self, object: &Object) -> &mut SetHash {
        let Some(account) = object.account() else { return Arc::make_mut(&mut self.global) };
        let sums = self.accounts.entry(account).or_default();
        Arc::make_mut(match object.environment() {
            None => &mut sums.shared,
            Some(environment) => sums.environments.entry(environment.clone()).or_default(),
        })
    }

    /// An environment that holds nothing is as if it had never been there.
    fn drop_empty(&mut self, object: &Object) {
        let (Some(account), Some(environment)) = (object.account(), object.environment()) else { return };
        let Some(sums) = self.accounts.get_mut(&account) else { return };
        if sums.environments.get(environment).is_some_and(|sum| sum.records == 0) {
            sums.environments.remove(environment);
        }
    }

    fn parts(&self) -> impl Iterator<Item = &Arc<SetHash>> {
        std::iter::once(&self.global).chain(self.accounts.values().flat_map(AccountSums::parts))
    }
}

// === impl AccountSums ===

impl AccountSums {
    fn parts(&self) -> impl Iterator<Item = &Arc<SetHash>> {
        std::iter::once(&self.shared).chain(self.environments.values())
    }
}

// === impl Expanded ===

impl Expanded {
    fn of(record: &Record<Object>) -> Self {
        let key: [u8; 32] = Sha256::digest(canonical::form(record)).into();
        let mut bytes = [0; LANE_BYTES];
        // A key is used for one record, so that the nonce may be the same for all.
        ChaCha20::new(&key.into(), &[0; 12].into()).apply_keystream(&mut bytes);
        Self(bytes)
    }

    fn lanes(&self) -> impl Iterator<Item = u16> {
        self.0.as_chunks().0.iter().map(|pair| u16::from_le_bytes(*pair))
    }
}

#[cfg(test)]
mod tests;
