//! The audit trail: who changed what and when, with what was there before and what after.

use serde::{Deserialize, Serialize};

use super::limits::AUDITED_CHANGES;
use super::mutation::{Actor, Mutation};
use super::object::{Change, Object, ObjectKey, Record};
use super::revision::Revision;
use super::state::State;

/// One commit as the audit tells it. Written in the transaction of the commit, never changed afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvent {
    /// The revision it made.
    pub revision: Revision,
    /// When, as the control plane's clock saw it.
    pub at: jiff::Timestamp,
    /// Who.
    pub actor: Actor,
    /// The id of the request, where it had one.
    pub request: Option<String>,
    /// The first [`AUDITED_CHANGES`] changes, in order.
    pub changes: Vec<AuditedChange>,
    /// The changes that are not told: those past the limit, and every object that went with a deleted account.
    pub omitted: u64,
}

/// One change as the audit tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditedChange {
    /// The object.
    pub key: ObjectKey,
    /// What it was; `None` for one that was created.
    pub before: Option<Record<Object>>,
    /// What it is; `None` for one that was deleted.
    pub after: Option<Record<Object>>,
}

// === impl AuditEvent ===

impl AuditEvent {
    /// The event of a commit of `mutation` that makes `revision`, before any of its changes is told.
    #[must_use]
    pub fn of(mutation: &Mutation, revision: Revision) -> Self {
        Self {
            revision,
            at: mutation.at,
            actor: mutation.actor.clone(),
            request: mutation.request.as_ref().map(|request| request.id.clone()),
            changes: Vec::new(),
            omitted: 0,
        }
    }

    /// Tells the next change, which is about to be applied to `before`.
    pub fn tell(&mut self, before: &State, change: &Change) {
        if let Change::Delete(ObjectKey::Account(account)) = change {
            self.omitted += before.account(*account).map_or(0, |account| account.owned() as u64);
        }
        if self.changes.len() < AUDITED_CHANGES {
            self.changes.push(AuditedChange::of(before, change));
        } else {
            self.omitted += 1;
        }
    }
}

// === impl AuditedChange ===

impl AuditedChange {
    fn of(before: &State, change: &Change) -> Self {
        let key = change.key();
        let after = match change {
            Change::Put(record) => Some(record.clone()),
            Change::Delete(_) => None,
        };
        Self { before: before.record(&key), key, after }
    }
}
