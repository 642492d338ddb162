//! The seal of an event: its signature, where the control plane signs.

use crate::model::digest::Digest;
use crate::model::revision::{Revision, RevisionToken, StoreId};
use crate::model::scope::Scope;
use crate::proto::object::Cover;
use crate::signature::{Signer, Statement};

/// Signs what a store is at its revisions, or does not.
#[derive(Debug, Clone)]
pub(super) struct Seal {
    store: StoreId,
    signer: Option<Signer>,
}

// === impl Seal ===

impl Seal {
    pub(super) const fn new(store: StoreId, signer: Option<Signer>) -> Self {
        Self { store, signer }
    }

    /// What is the same in each chunk of a reset.
    pub(super) fn cover(&self, revision: Revision, scope: &Scope, digest: Digest) -> Cover {
        let token = RevisionToken { store: self.store, revision };
        Cover { token, digest, signature: self.of(revision, scope, digest) }
    }

    /// The signature; empty where nothing is signed.
    pub(super) fn of(&self, revision: Revision, scope: &Scope, digest: Digest) -> Vec<u8> {
        let token = RevisionToken { store: self.store, revision };
        self.signer.as_ref().map(|signer| signer.sign(&Statement { token, scope, digest })).unwrap_or_default()
    }
}
