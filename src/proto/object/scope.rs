//! Scopes as messages.

use super::pb;
use crate::model::id::AccountId;
use crate::model::scope::{Environments, Scope};

/// A scope as a message says it.
#[must_use]
pub fn from_scope(scope: &Scope) -> Vec<pb::AccountScope> {
    let account = |(id, environments): (&AccountId, &Environments)| pb::AccountScope {
        account: id.to_string(),
        environments: match environments {
            Environments::All => Vec::new(),
            Environments::Only(ids) => ids.iter().map(ToString::to_string).collect(),
        },
    };
    scope.accounts().into_iter().flatten().map(account).collect()
}
