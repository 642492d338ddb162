//! Many records at once: what is costly about them is done before they come to the state, on any thread.

use crate::model::digest::Sums;
use crate::model::object::{Object, Record};

/// Records, parents before what they own, with what they add up to: [`super::State::put_batch`] puts them in.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    records: Vec<Record<Object>>,
    sums: Sums,
}

// === impl Batch ===

impl Batch {
    /// These records.
    #[must_use]
    pub fn of(records: Vec<Record<Object>>) -> Self {
        let sums = Sums::of(&records);
        Self { records, sums }
    }

    pub(super) fn into_parts(self) -> (Vec<Record<Object>>, Sums) {
        (self.records, self.sums)
    }
}
