//! Everything that a store holds, as rows that no engine has a say in: what a backup is made of, and what is verified.

use std::io;

use crate::model::audit::AuditEvent;
use crate::model::credential::CredentialRecord;
use crate::model::object::{Object, Record};
use crate::model::revision::{Revision, StoreId};

use super::api::{LogEntry, StoreError};
pub use super::plan::AnsweredRequest;

/// What a store says of itself, before its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// Its identity.
    pub store: StoreId,
    /// The newest commit.
    pub revision: Revision,
    /// The log holds every commit after this one.
    pub log_start: Revision,
    /// The audit holds every commit after this one.
    pub audit_start: Revision,
}

/// One row. They come in the order of the variants, and within each in the order of their keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// An object; an account before what it owns.
    Object(Record<Object>),
    /// A commit of the log.
    Commit(LogEntry),
    /// An event of the audit.
    Event(AuditEvent),
    /// A request id and what is known of it.
    Request(String, AnsweredRequest),
    /// A credential.
    Credential(CredentialRecord),
}

/// Takes the rows of a store, one after the other.
pub trait Sink {
    /// What comes first.
    ///
    /// # Errors
    /// When it cannot be taken; nothing else comes then.
    fn head(&mut self, head: &Head) -> Result<(), DumpError>;

    /// The next row.
    ///
    /// # Errors
    /// When it cannot be taken; nothing else comes then.
    fn row(&mut self, row: Row) -> Result<(), DumpError>;
}

/// A store, or a copy of one, that can tell everything it holds.
pub trait Dump {
    /// Tells `sink` everything, as it is at one revision: objects, log, audit, requests and credentials together. A store that
    /// is open goes on meanwhile. Commits, compaction and other readings neither wait for the sink nor show in what it is
    /// told; what an embedded store would have given up stays for as long as it tells, and etcd may compact it away, which is
    /// an error.
    ///
    /// # Errors
    /// When something cannot be read, or the sink does not take it.
    fn dump(&self, sink: &mut dyn Sink) -> Result<(), DumpError>;
}

/// Why rows did not come from one end to the other.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The rows do not fit together.
    #[error("`{place}` is damaged at {row}: {problem}; nothing was made of it")]
    Damaged {
        /// The store or the backup.
        place: String,
        /// Where.
        row: String,
        /// What is wrong.
        problem: String,
    },
    /// The file is none of ours, or of another version.
    #[error("`{place}` is no backup that this version reads: {found}")]
    Foreign {
        /// The file.
        place: String,
        /// What it is instead.
        found: String,
    },
    /// A load has not ended.
    #[error("`{place}` holds the part of a load that did not end; delete it and load it anew")]
    Loading {
        /// The store.
        place: String,
    },
    /// Who sent a backup stopped before its end.
    #[error("the backup from `{place}` ended before it was whole; nothing was made of it, do it again")]
    CutOff {
        /// Who sent it.
        place: String,
    },
    /// The distributed engine forgot what was being read.
    #[error(
        "etcd compacted its history while `{place}` was read, so that it cannot be read to the end as it was at the \
         beginning; do it again, and let etcd keep its history for longer (--auto-compaction-retention)"
    )]
    Compacted {
        /// The store.
        place: String,
    },
    /// Something is there that would be lost.
    #[error("`{place}` {found}; nothing was changed")]
    Taken {
        /// The file or folder.
        place: String,
        /// What is there, and what to do.
        found: &'static str,
    },
    /// A file cannot be read or written.
    #[error("`{place}` cannot be {done}")]
    File {
        /// The file or folder.
        place: String,
        /// What was tried.
        done: &'static str,
        /// Why.
        source: io::Error,
    },
}

// === impl DumpError ===

impl DumpError {
    /// Whether something that was once whole no longer is.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Store(StoreError::Damaged { .. }))
    }
}
