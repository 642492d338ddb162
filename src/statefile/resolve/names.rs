//! Ids of what a file does not give one: the same file gives the same ids, whoever reads it.

use sha2::{Digest, Sha256};

use crate::model::id::AccountId;

/// Sixteen bytes that follow from what the object is.
pub(super) fn derived(account: Option<AccountId>, noun: &str, level: &str, name: &str) -> [u8; 16] {
    let account = account.map(|id| id.to_string()).unwrap_or_default();
    let mut hash = Sha256::new();
    for part in ["doorward state file", &account, noun, level, name] {
        // INVARIANT: each part carries its length, so that no two lists of parts run together.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest: [u8; 32] = hash.finalize().into();
    let mut id = [0; 16];
    id.copy_from_slice(digest.split_at(16).0);
    id
}
