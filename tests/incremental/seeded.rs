//! Every choice of a run from one number.

use doorward::workload::Random;

/// The choices.
#[derive(Debug, Clone)]
pub(crate) struct Seeded(Random);

// === impl Seeded ===

impl Seeded {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(Random::new(seed))
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0.below(limit)
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        std::iter::repeat_with(|| self.0.number().to_le_bytes()).flatten().take(count).collect()
    }
}
