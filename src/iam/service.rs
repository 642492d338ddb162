//! Plans into a store: look for an earlier answer, plan at the head, commit there, and plan again where somebody was faster.

use std::fmt;
use std::sync::Arc;

use super::{Plan, Rejection};
use crate::model::mutation::{Actor, Mutation, RequestIdentity};
use crate::model::object::{Change, Object, ObjectKey, Record};
use crate::model::revision::RevisionToken;
use crate::model::state::State;
use crate::store::api::{CommitEffect, Committed, Store, StoreError};

/// How often a plan is made before the caller is told that others are always faster.
const TRIES: usize = 16;

/// The clock of the control plane.
pub type Clock = Arc<dyn Fn() -> jiff::Timestamp + Send + Sync>;

/// The one way to change a store.
#[derive(Clone)]
pub struct Iam {
    store: Arc<dyn Store>,
    clock: Clock,
}

/// What came of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// The revision at which it is so.
    pub token: RevisionToken,
    /// The object the answer is about.
    pub subject: ObjectKey,
    /// That object as it is after the commit; `None` where it is gone.
    pub record: Option<Record<Object>>,
    /// What the author should know, though it was accepted.
    pub warnings: Vec<String>,
    /// The same request had been committed before.
    pub replayed: bool,
    /// The commit changed something.
    pub changed: bool,
}

/// Why a plan was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum IamError {
    /// The wish itself is refused.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// Others committed first, each time.
    #[error("others changed the store {TRIES} times while the change was being made; nothing was changed, try again")]
    Contended,
    /// The store does not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

// === impl Iam ===

impl fmt::Debug for Iam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iam").field("store", &self.store.id()).finish_non_exhaustive()
    }
}

impl Iam {
    /// Administration of `store`, with the time from `clock`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// The store, for those who only read.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Makes a plan at the head and commits it there. A request that was committed before is answered from the record.
    ///
    /// It blocks as the store does.
    ///
    /// # Errors
    /// [`IamError`]; nothing was changed, but for a store whose commit has an unknown fate.
    #[expect(clippy::needless_pass_by_value, reason = "a call owns who makes it; it is copied for each try")]
    pub fn execute(
        &self,
        actor: Actor,
        request: Option<RequestIdentity>,
        plan: impl Fn(&State) -> Result<Plan, Rejection>,
    ) -> Result<Done, IamError> {
        if let Some(request) = &request
            && let Some(committed) = self.store.replay(request)?
        {
            return Ok(self.done(committed, Vec::new()));
        }
        for _ in 0..TRIES {
            let state = self.store.state();
            let Plan { subject, edits, warnings } = match plan(&state) {
                Ok(plan) => plan,
                Err(rejection) => return self.rejected(request.as_ref(), rejection),
            };
            let at = (self.clock)();
            let expected = state.revision;
            let (actor, request) = (actor.clone(), request.clone());
            match self.store.commit(Mutation { actor, at, expected, request, subject, edits }) {
                Ok(committed) => return Ok(self.done(committed, warnings)),
                Err(StoreError::Conflict { .. }) => {}
                Err(other) => return Err(other.into()),
            }
        }
        Err(IamError::Contended)
    }

    /// A plan that is refused may be the second of two equal requests that came at once: then the first one is the answer.
    fn rejected(&self, request: Option<&RequestIdentity>, rejection: Rejection) -> Result<Done, IamError> {
        let Some(request) = request else { return Err(rejection.into()) };
        match self.store.replay(request)? {
            Some(committed) => Ok(self.done(committed, Vec::new())),
            None => Err(rejection.into()),
        }
    }

    fn done(&self, committed: Committed, warnings: Vec<String>) -> Done {
        let Committed { revision, effect, subject, changes } = committed;
        // Others may have committed since; what this commit made of the subject is what it says.
        let record = match changes.iter().rev().find(|change| change.key() == subject) {
            Some(Change::Put(record)) => Some(record.clone()),
            Some(Change::Delete(_)) => None,
            None => self.store.state().record(&subject),
        };
        Done {
            token: RevisionToken { store: self.store.id(), revision },
            record,
            subject,
            warnings,
            replayed: effect == CommitEffect::Replayed,
            changed: effect == CommitEffect::Changed,
        }
    }
}
