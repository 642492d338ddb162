//! Scopes: which part of a state a watcher sees (design §5, sentence 6).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::digest::{AccountSums, Digest, SetHash, Sums};
use super::id::{AccountId, EnvironmentId};
use super::object::{Object, Record};
use super::state::{AccountState, State};

/// The part of a state that a watcher sees. The global level is in every scope.
///
/// What belongs to no environment (users, groups, account policies, boundaries, account bindings, additions to the
/// catalogue) is in the scope of every environment of its account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Scope(Option<BTreeMap<AccountId, Environments>>);

/// Environments of one account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Environments {
    /// All there are and will be.
    All,
    /// These; they need not exist.
    Only(BTreeSet<EnvironmentId>),
}

/// Where in a state an object belongs: what decides whether it is in a scope.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The account; `None` at the global level.
    pub account: Option<AccountId>,
    /// The environment; `None` for what all environments of the account share.
    pub environment: Option<EnvironmentId>,
}

// === impl Scope ===

impl Scope {
    /// Everything there is and will be.
    #[must_use]
    pub const fn everything() -> Self {
        Self(None)
    }

    /// These accounts; they need not exist.
    #[must_use]
    pub const fn of(accounts: BTreeMap<AccountId, Environments>) -> Self {
        Self(Some(accounts))
    }

    /// Whether nothing is out of this scope.
    #[must_use]
    pub const fn is_everything(&self) -> bool {
        self.0.is_none()
    }

    /// The accounts; `None` for all.
    #[must_use]
    pub const fn accounts(&self) -> Option<&BTreeMap<AccountId, Environments>> {
        self.0.as_ref()
    }

    /// Whether what belongs there is in the scope.
    #[must_use]
    pub fn holds(&self, place: &Place) -> bool {
        let (Some(accounts), Some(account)) = (&self.0, place.account) else { return true };
        accounts.get(&account).is_some_and(|environments| environments.hold(place.environment.as_ref()))
    }

    /// The digest of what the scope holds.
    #[must_use]
    pub fn digest(&self, sums: &Sums) -> Digest {
        let Some(accounts) = &self.0 else { return sums.whole().digest() };
        let mut sum = sums.global().clone();
        for (id, environments) in accounts {
            if let Some(account) = sums.account(*id) {
                environments.add(account, &mut sum);
            }
        }
        sum.digest()
    }

    /// Every record that the scope holds, in the order in which they can be applied.
    pub fn records<'s>(&'s self, state: &'s State) -> impl Iterator<Item = Record<Object>> + 's {
        let named = self.0.iter().flatten().filter_map(|(id, _)| state.account(*id));
        let all = state.accounts.values().map(std::convert::AsRef::as_ref).filter(|_| self.0.is_none());
        let owned = named.chain(all).flat_map(AccountState::records);
        state.global_record().into_iter().chain(owned.filter(|record| self.holds(&Place::of(&record.value))))
    }
}

/// `*` for everything, else each account with its environments: one spelling for each scope.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(accounts) = &self.0 else { return f.write_str("*") };
        for (account, environments) in accounts {
            write!(f, "{account}")?;
            match environments {
                Environments::All => f.write_str("/*")?,
                Environments::Only(ids) => ids.iter().try_for_each(|id| write!(f, "/{id}"))?,
            }
            f.write_str(";")?;
        }
        Ok(())
    }
}

// === impl Environments ===

impl Environments {
    fn hold(&self, environment: Option<&EnvironmentId>) -> bool {
        match (self, environment) {
            (Self::All, _) | (_, None) => true,
            (Self::Only(ids), Some(id)) => ids.contains(id),
        }
    }

    fn add(&self, account: &AccountSums, sum: &mut SetHash) {
        sum.add(&account.shared);
        let held = account.environments.iter().filter(|(id, _)| self.hold(Some(id)));
        held.for_each(|(_, environment)| sum.add(environment));
    }
}

// === impl Place ===

impl Place {
    /// Where `object` belongs.
    #[must_use]
    pub fn of(object: &Object) -> Self {
        Self { account: object.account(), environment: object.environment().cloned() }
    }
}

#[cfg(test)]
mod tests;
