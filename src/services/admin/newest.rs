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
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn get(&self) -> Result<Arc<Snapshot>, BuildRejected> {
        let (newest, replaced) = self.renewed()?;
        if let Some(replaced) = replaced {
            // To free it takes a while: the caller does not wait for it, and nobody for the lock.
            tokio::task::spawn_blocking(move || drop(replaced));
        }
        Ok(newest)
    }

    /// The snapshot of the newest committed state, and the one that was made before it where it is not kept.
    fn renewed(&self) -> Result<(Arc<Snapshot>, Option<Arc<Snapshot>>), BuildRejected> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let (id, state) = (self.store.id(), self.store.state());
        let checks = self.checks.current().ok().map(|published| Arc::clone(&published.snapshot));
        let is_newest = |it: &&Arc<Snapshot>| it.token().store == id && it.revision() == state.revision;
        if let Some(newest) = checks.as_ref().filter(is_newest) {
            // What was made before need not be kept.
            return Ok((Arc::clone(newest), made.take()));
        }
        if let Some(newest) = made.as_ref().filter(is_newest) {
            return Ok((Arc::clone(newest), None));
        }
        let previous = made.as_ref().into_iter().chain(&checks).max_by_key(|it| it.revision());
        let next = Arc::new(Snapshot::build(id, &state, previous.map(Arc::as_ref))?);
        let replaced = made.replace(Arc::clone(&next));
        Ok((next, replaced))
    }
}

impl fmt::Debug for NewestSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewestSnapshot").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::compile::shipped_global;
    use crate::model::account::Account;
    use crate::model::id::AccountId;
    use crate::model::mutation::{Actor, Edit, Mutation};
    use crate::model::object::{Object, ObjectKey};
    use crate::store::embedded::EmbeddedStore;

    fn commit(store: &dyn Store, object: Object) {
        let expected = store.state().revision;
        let at = jiff::Timestamp::UNIX_EPOCH;
        let edits = vec![Edit::Put(object)];
        let subject = ObjectKey::Global;
        store.commit(Mutation { actor: Actor::system(), at, expected, request: None, subject, edits }).unwrap();
    }

    /// There is one blocking thread here, and it is busy: what waits for it can be told from what is done at once.
    #[test]
    fn a_replaced_snapshot_is_not_freed_by_the_call_that_replaced_it() {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        let _entered = runtime.enter();
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(folder.path()).unwrap());
        commit(store.as_ref(), Object::Global(shipped_global()));
        let newest = NewestSnapshot::new(Arc::clone(&store), SnapshotHandle::default());
        let old = Arc::downgrade(&newest.get().unwrap());
        let (release, wait) = mpsc::channel::<()>();
        let busy = runtime.spawn_blocking(move || wait.recv());
        let id = AccountId::random();
        let account = Account { id, name: "Example".parse().unwrap(), strict_boundaries: false };
        commit(store.as_ref(), Object::Account(account));
        assert!(newest.get().unwrap().account(id).is_some());
        assert!(old.strong_count() > 0, "the call freed it");
        release.send(()).unwrap();
        runtime.block_on(busy).unwrap().unwrap();
        runtime.block_on(runtime.spawn_blocking(|| ())).unwrap();
        assert_eq!(old.strong_count(), 0);
    }
}
