//! The snapshot of the newest committed state, made when it is asked for: a write is visible to the next question.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::snapshot::build::{BuildRejected, Snapshot};
use crate::snapshot::handle::SnapshotHandle;
use crate::store::api::Store;

/// Answers with the newest state of a store.
pub struct NewestSnapshot {
    store: Arc<dyn Store>,
    /// What the checks of this process are answered from, where it answers any.
    checks: SnapshotHandle,
    /// The last one that had to be made; the next is made of it.
    made: Mutex<Option<Arc<Snapshot>>>,
}

// === impl NewestSnapshot ===

impl NewestSnapshot {
    /// The newest state of `store`; `checks` is asked first, so that nothing is built twice.
    #[must_use]
    pub const fn new(store: Arc<dyn Store>, checks: SnapshotHandle) -> Self {
        Self { store, checks, made: Mutex::new(None) }
    }

    /// The snapshot of the newest committed state. It may take as long as a build; one is made at a time.
    ///
    /// # Errors
    /// [`BuildRejected`]: what is committed does not compile.
    pub fn get(&self) -> Result<Arc<Snapshot>, BuildRejected> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let (id, state) = (self.store.id(), self.store.state());
        let checks = self.checks.current().ok().map(|published| Arc::clone(&published.snapshot));
        let is_newest = |it: &&Arc<Snapshot>| it.token().store == id && it.revision() == state.revision;
        if let Some(newest) = checks.as_ref().filter(is_newest) {
            // What was made before need not be kept.
            *made = None;
            return Ok(Arc::clone(newest));
        }
        if let Some(newest) = made.as_ref().filter(is_newest) {
            return Ok(Arc::clone(newest));
        }
        let previous = made.as_ref().into_iter().chain(&checks).max_by_key(|it| it.revision());
        let next = Arc::new(Snapshot::build(id, &state, previous.map(Arc::as_ref))?);
        *made = Some(Arc::clone(&next));
        Ok(next)
    }
}

impl fmt::Debug for NewestSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewestSnapshot").finish_non_exhaustive()
    }
}
