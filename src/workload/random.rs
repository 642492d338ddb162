//! Choices from a seed.

/// `SplitMix64`: small, seeded, good enough to spread choices. Not for secrets.
#[derive(Debug, Clone)]
pub struct Random(u64);

// === impl Random ===

impl Random {
    /// The choices of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Choices about one thing of a kind, unrelated to those about another.
    pub(super) fn of(seed: u64, kind: u64, number: u64) -> Self {
        let mut outer = Self(seed ^ kind.wrapping_mul(0xA24B_AED4_963E_E407));
        let mut inner = Self(outer.number() ^ number.wrapping_mul(0x9FB2_1C65_1E98_DF25));
        Self(inner.number())
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `limit`; 0 where there is none.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.number() % (limit.max(1) as u64)) as usize
    }

    /// True in `share` of a hundred.
    pub fn percent(&mut self, share: usize) -> bool {
        self.below(100) < share
    }

    /// One of these words.
    pub(super) fn word(&mut self, of: &[&'static str]) -> &'static str {
        of.get(self.below(of.len())).copied().unwrap_or_default()
    }

    /// One of these.
    pub(super) fn pick<'t, T>(&mut self, of: &'t [T]) -> Option<&'t T> {
        of.get(self.below(of.len()))
    }

    /// As many different numbers below `limit`, or all of them where there are fewer; in the order in which they came.
    pub(super) fn distinct(&mut self, count: usize, limit: usize) -> Vec<usize> {
        let mut found = Vec::with_capacity(count.min(limit));
        while found.len() < count.min(limit) {
            let number = self.below(limit);
            if !found.contains(&number) {
                found.push(number);
            }
        }
        found
    }

    /// Sixteen bytes for an id.
    pub(super) fn id(&mut self) -> [u8; 16] {
        (u128::from(self.number()) << 64 | u128::from(self.number())).to_be_bytes()
    }
}
