//! A state that comes whole, in batches: what is costly about a batch is done before it comes to the state, on any thread.

use std::sync::Arc;

use super::{AccountState, ChangeRejected, State};
use crate::model::digest::Sums;
use crate::model::object::{Object, Record};
use crate::model::revision::Revision;

/// Records, parents before what they own, with what they add up to.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    records: Vec<Record<Object>>,
    sums: Sums,
}

/// A state of which some batches have come. Nothing can be asked of it before it is whole.
#[derive(Debug, Default)]
pub struct Loading {
    state: State,
}

// === impl Batch ===

impl Batch {
    /// These records.
    #[must_use]
    pub fn of(records: Vec<Record<Object>>) -> Self {
        let sums = Sums::of(&records);
        Self { records, sums }
    }
}

// === impl Loading ===

impl Loading {
    /// The revision that came last.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.state.revision
    }

    /// Puts the records of a batch in, as if each of them had come by [`State::apply`].
    ///
    /// # Errors
    /// [`ChangeRejected`]; the state is then to be thrown away.
    pub fn put(&mut self, revision: Revision, batch: Batch) -> Result<(), ChangeRejected> {
        let Batch { records, sums } = batch;
        let state = &mut self.state;
        // INVARIANT: what comes is counted before what it replaces is taken out, so that no sum is empty in between.
        state.sums.add(&sums);
        for record in records {
            let key = record.value.key();
            let old = state.record(&key);
            state.put(&key, record, AccountState::put_unindexed)?;
            state.sums.replace(old.as_ref(), None);
        }
        state.revision = revision;
        Ok(())
    }

    /// The state, now that it is whole.
    #[must_use]
    pub fn finish(self) -> State {
        let mut state = self.state;
        let ids: Vec<_> = state.accounts.keys().copied().collect();
        for id in ids {
            if let Some(account) = state.accounts.get_mut(&id) {
                Arc::make_mut(account).index();
            }
        }
        state
    }
}
