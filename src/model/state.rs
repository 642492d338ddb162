//! The state: every object at one revision, with the indexes that uniqueness needs.
//!
//! The maps are persistent: a clone shares everything, so that readers keep a consistent view while a writer goes on.

use std::sync::Arc;

use imbl::OrdMap;

use super::account::Global;
use super::digest::Sums;
use super::id::{AccountId, PolicyId};
use super::level::Level;
use super::object::{Change, Object, ObjectKey, Record};
use super::policy::Policy;
use super::revision::Revision;
use super::text::Name;

mod account;
mod batch;
mod index;
mod leaf;
mod users;

pub use account::AccountState;
pub use batch::{Batch, Loading};
pub use users::{Page, UserChange, UserRow, Users};

/// A shared record.
pub type Shared<T> = Arc<Record<T>>;

/// Everything at one revision.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// The commit this is the state after.
    pub revision: Revision,
    /// The global level; `None` only in a store that has not been initialised.
    pub global: Option<Shared<Global>>,
    /// Every account.
    pub accounts: OrdMap<AccountId, Arc<AccountState>>,
    global_policies: OrdMap<PolicyId, Shared<Policy>>,
    sums: Sums,
}

/// A change that does not fit the state it was to be applied to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeRejected {
    /// Its account is not there.
    #[error("{key} belongs to account `{account}`, which is not there")]
    NoAccount {
        /// The object.
        key: Box<ObjectKey>,
        /// The account.
        account: AccountId,
    },
    /// The global level cannot be taken away.
    #[error("the global level cannot be deleted")]
    GlobalDeleted,
    /// A policy stays at its level: whoever follows one level only would not learn that it left.
    #[error("policy `{policy}` is at {known} and stays there; delete it and create it at the other level")]
    LevelChanged {
        /// The policy.
        policy: PolicyId,
        /// Its level.
        known: Level,
    },
}

// === impl State ===

impl State {
    /// The account of this id.
    #[must_use]
    pub fn account(&self, id: AccountId) -> Option<&AccountState> {
        self.accounts.get(&id).map(Arc::as_ref)
    }

    /// The default policies, by id; they are no account's.
    #[must_use]
    pub const fn global_policies(&self) -> &OrdMap<PolicyId, Shared<Policy>> {
        &self.global_policies
    }

    /// The default policy of this name.
    #[must_use]
    pub fn global_policy_by_name(&self, name: &Name) -> Option<&Shared<Policy>> {
        self.global_policies.values().find(|policy| policy.value.name == *name)
    }

    /// The policy of this id that `owned` has or inherits. An account's own one is found first, so that no default
    /// policy of a later build takes the place of one that is bound.
    #[must_use]
    pub fn policy<'a>(&'a self, owned: &'a AccountState, id: PolicyId) -> Option<&'a Shared<Policy>> {
        owned.policies.get(&id).or_else(|| self.global_policies.get(&id))
    }

    /// What the records add up to: the digest of each part of the state.
    #[must_use]
    pub const fn sums(&self) -> &Sums {
        &self.sums
    }

    /// Applies the changes of one commit.
    ///
    /// # Errors
    /// [`ChangeRejected`]; the state is then to be thrown away.
    pub fn apply<'a>(
        &mut self,
        revision: Revision,
        changes: impl IntoIterator<Item = &'a Change>,
    ) -> Result<(), ChangeRejected> {
        for change in changes {
            match change {
                Change::Put(record) => self.replace(record.clone())?,
                Change::Delete(key) => self.remove(key)?,
            }
        }
        self.revision = revision;
        Ok(())
    }

    /// Every object as records, parents before what they own: the order in which they can be applied.
    pub fn records(&self) -> impl Iterator<Item = Record<Object>> + '_ {
        self.global_record().into_iter().chain(self.accounts.values().flat_map(|account| account.records()))
    }

    /// The record of the global level.
    #[must_use]
    pub fn global_record(&self) -> Option<Record<Object>> {
        self.global.as_ref().map(|record| record.as_ref().clone().map(Object::Global))
    }

    /// The record of one object.
    #[must_use]
    pub fn record(&self, key: &ObjectKey) -> Option<Record<Object>> {
        match key {
            ObjectKey::Global => self.global_record(),
            _ => self.account(key.account()?)?.record(key),
        }
    }

    fn replace(&mut self, record: Record<Object>) -> Result<(), ChangeRejected> {
        let key = record.value.key();
        let old = self.record(&key);
        self.sums.replace(old.as_ref(), Some(&record));
        self.put(&key, record, AccountState::put)
    }

    fn remove(&mut self, key: &ObjectKey) -> Result<(), ChangeRejected> {
        let old = self.record(key);
        self.delete(key)?;
        match key {
            ObjectKey::Account(id) => self.sums.remove_account(*id),
            _ => self.sums.replace(old.as_ref(), None),
        }
        Ok(())
    }

    /// Puts a record in; `owned` puts in what an account owns.
    fn put(
        &mut self,
        key: &ObjectKey,
        record: Record<Object>,
        owned: fn(&mut AccountState, &ObjectKey, Record<Object>),
    ) -> Result<(), ChangeRejected> {
        let (stamp, value) = record.split();
        match value {
            Object::Global(global) => {
                let shared = |policy: &Policy| (policy.id, Arc::new(stamp.clone().with(policy.clone())));
                self.global_policies = global.policies.iter().map(shared).collect();
                self.global = Some(Arc::new(stamp.with(global)));
            }
            Object::Account(account) => {
                let (id, account) = (account.id, Arc::new(stamp.with(account)));
                match self.accounts.get_mut(&id) {
                    Some(known) => Arc::make_mut(known).account = account,
                    None => {
                        self.accounts.insert(id, Arc::new(AccountState::empty(account)));
                    }
                }
            }
            object => {
                let account = self.owner(key)?;
                account.check_level(&object)?;
                owned(account, key, stamp.with(object));
            }
        }
        Ok(())
    }

    fn delete(&mut self, key: &ObjectKey) -> Result<(), ChangeRejected> {
        match key {
            ObjectKey::Global => return Err(ChangeRejected::GlobalDeleted),
            ObjectKey::Account(id) => {
                self.accounts.remove(id);
            }
            owned => self.owner(owned)?.delete(owned),
        }
        Ok(())
    }

    fn owner(&mut self, key: &ObjectKey) -> Result<&mut AccountState, ChangeRejected> {
        let account = key.account().ok_or(ChangeRejected::GlobalDeleted)?;
        let state = self.accounts.get_mut(&account);
        state.map(Arc::make_mut).ok_or_else(|| ChangeRejected::NoAccount { key: Box::new(key.clone()), account })
    }
}
