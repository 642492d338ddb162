//! What a mutation comes to: the one decision that every engine shares. Pure: no clock, no disk, no lock.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::audit::AuditEvent;
use crate::model::mutation::{Edit, Mutation, RequestIdentity};
use crate::model::object::{Change, ObjectKey, Record};
use crate::model::revision::Revision;
use crate::model::state::State;

use super::api::{CommitEffect, Committed, LogEntry, StoreError};

/// The next state and what leads to it.
#[derive(Debug)]
pub(super) struct Step {
    /// The state after the commit.
    pub(super) state: State,
    /// Its entry in the log.
    pub(super) entry: LogEntry,
    /// Its event in the audit.
    pub(super) audit: AuditEvent,
}

/// What is kept of a request that had an id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnsweredRequest {
    pub(super) digest: [u8; 32],
    pub(super) revision: Revision,
    subject: ObjectKey,
    /// When: what is old enough is forgotten.
    pub(super) at: jiff::Timestamp,
}

// === impl AnsweredRequest ===

impl AnsweredRequest {
    /// The record of `mutation`, committed at `revision`; `None` for one without a request id.
    pub(super) fn of(mutation: &Mutation, revision: Revision) -> Option<(&str, Self)> {
        let request = mutation.request.as_ref()?;
        let (digest, subject) = (request.digest, mutation.subject.clone());
        Some((&request.id, Self { digest, revision, subject, at: mutation.at }))
    }

    /// The answer to `request`, which has the id of this record.
    pub(super) fn answer(self, request: &RequestIdentity) -> Result<Committed, StoreError> {
        if self.digest != request.digest {
            return Err(StoreError::RequestIdReused { id: request.id.clone() });
        }
        let changes = Arc::default();
        Ok(Committed { revision: self.revision, effect: CommitEffect::Replayed, subject: self.subject, changes })
    }
}

// === impl Step ===

impl Step {
    /// The revision it makes.
    pub(super) const fn revision(&self) -> Revision {
        self.entry.revision
    }
}

/// The step that `mutation` is from `state`; `None` when everything is so already.
pub(super) fn plan(state: &State, mutation: &Mutation) -> Result<Option<Step>, StoreError> {
    let head = state.revision;
    if mutation.expected != head {
        return Err(StoreError::Conflict { head });
    }
    let revision = head.next().ok_or(StoreError::Exhausted)?;
    let mut next = state.clone();
    let mut changes = Vec::new();
    let mut audit = AuditEvent::of(mutation, revision);
    for edit in &mutation.edits {
        if let Some(change) = change(&next, edit, revision, mutation.at) {
            audit.tell(&next, &change);
            next.apply(revision, [&change]).map_err(|source| StoreError::Rejected { head, source })?;
            changes.push(change);
        }
    }
    if changes.is_empty() {
        return Ok(None);
    }
    Ok(Some(Step { state: next, entry: entry(revision, mutation, changes), audit }))
}

/// What `edit` changes at the point of the mutation where it stands; `None` for nothing.
fn change(state: &State, edit: &Edit, revision: Revision, at: jiff::Timestamp) -> Option<Change> {
    let current = state.record(&edit.key());
    match edit {
        Edit::Delete(key) => current.map(|_| Change::Delete(key.clone())),
        Edit::Put(value) if current.as_ref().is_some_and(|record| record.value == *value) => None,
        Edit::Put(value) => {
            let created = current.map_or(at, |record| record.created);
            Some(Change::Put(Record { created, updated: at, revision, value: value.clone() }))
        }
    }
}

fn entry(revision: Revision, mutation: &Mutation, changes: Vec<Change>) -> LogEntry {
    LogEntry {
        revision,
        at: mutation.at,
        actor: mutation.actor.clone(),
        request: mutation.request.clone(),
        subject: mutation.subject.clone(),
        changes: changes.into(),
    }
}
