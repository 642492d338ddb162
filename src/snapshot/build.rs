//! State to snapshot, off the request path.

use std::ops::Bound;
use std::sync::Arc;

use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::compile::account::{AccountProgram, CompileRejected, GlobalProgram, Previous, compile};
use crate::compile::workers::{Alone, Workers};
use crate::eval::{Outcome, evaluate};
use crate::lang::LANGUAGE_VERSION;
use crate::model::account::Global;
use crate::model::catalogue::Catalogue;
use crate::model::decision::{CheckRequest, Unanswerable};
use crate::model::id::{AccountId, PolicyId, UserId};
use crate::model::revision::{Revision, RevisionToken, StoreId};
use crate::model::state::{AccountState, Shared, State};

/// Everything a decision needs, at one revision. Immutable.
#[derive(Debug)]
pub struct Snapshot {
    token: RevisionToken,
    accounts: FxHashMap<AccountId, CompiledAccount>,
    global: Shared<Global>,
    program: GlobalProgram,
}

/// An account's program with the state it was made of.
#[derive(Debug, Clone)]
struct CompiledAccount {
    source: Arc<AccountState>,
    program: Arc<AccountProgram>,
}

/// A state that no snapshot can be made of. The last good one stays in use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildRejected {
    /// The global level has not come.
    #[error("the state has no global level, so no permission is known")]
    NoGlobal,
    /// Written for a later language.
    #[error(
        "the state is written in language version {found}, this build reads version {LANGUAGE_VERSION}; upgrade it"
    )]
    LanguageVersion {
        /// The version of the state.
        found: u32,
    },
    /// An account does not compile.
    #[error(transparent)]
    Account(#[from] CompileRejected),
}

// === impl Snapshot ===

impl Snapshot {
    /// Builds the snapshot of `state`. Accounts that are the same as in `previous` are shared with it.
    ///
    /// # Errors
    /// [`BuildRejected`]; nothing is published then.
    pub fn build(store: StoreId, state: &State, previous: Option<&Self>) -> Result<Self, BuildRejected> {
        Self::build_with(&Alone, store, state, previous)
    }

    /// [`Self::build`] by `workers`. The snapshot is the same, whoever they are.
    ///
    /// # Errors
    /// [`BuildRejected`]; nothing is published then.
    pub fn build_with(
        workers: &dyn Workers,
        store: StoreId,
        state: &State,
        previous: Option<&Self>,
    ) -> Result<Self, BuildRejected> {
        let global = state.global.as_ref().ok_or(BuildRejected::NoGlobal)?;
        if global.value.language_version != LANGUAGE_VERSION {
            return Err(BuildRejected::LanguageVersion { found: global.value.language_version });
        }
        let same_global = previous.filter(|previous| previous.global.value == global.value);
        let program = match same_global {
            Some(previous) => previous.program.clone(),
            None => GlobalProgram {
                catalogue: Arc::new(Catalogue::from_entries(&global.value.catalogue)),
                policies: state.global_policies().clone(),
            },
        };
        let mut accounts = FxHashMap::with_capacity_and_hasher(state.accounts.len(), FxBuildHasher);
        for (id, source) in &state.accounts {
            let known = same_global.and_then(|previous| previous.accounts.get(id));
            accounts.insert(*id, compile_account(source, &program, known, workers)?);
        }
        let token = RevisionToken { store, revision: state.revision };
        Ok(Self { token, accounts, global: Arc::clone(global), program })
    }

    /// The revision, with its store.
    #[must_use]
    pub const fn token(&self) -> RevisionToken {
        self.token
    }

    /// The revision.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.token.revision
    }

    /// The only account, where there is exactly one.
    #[must_use]
    pub fn sole_account(&self) -> Option<AccountId> {
        let mut ids = self.accounts.keys();
        ids.next().copied().filter(|_| ids.next().is_none())
    }

    /// How many accounts there are.
    #[must_use]
    pub fn account_count(&self) -> usize {
        self.accounts.len()
    }

    /// The program of an account.
    #[must_use]
    #[inline]
    pub fn account(&self, id: AccountId) -> Option<&AccountProgram> {
        self.accounts.get(&id).map(|account| account.program.as_ref())
    }

    /// The ids of an account's users and service users in order, from the one behind `after` on.
    pub fn users_after(&self, account: AccountId, after: Option<UserId>) -> impl Iterator<Item = UserId> + '_ {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let source = self.accounts.get(&account).map(|account| account.source.as_ref());
        source.into_iter().flat_map(move |source| source.users.rows_from(start)).map(|row| row.id())
    }

    /// Bound statements with a permission or condition that the catalogue does not know (rules R30), in order.
    pub fn retired(&self) -> impl Iterator<Item = (AccountId, PolicyId, u16)> + '_ {
        let mut accounts: Vec<_> = self.accounts.iter().collect();
        accounts.sort_unstable_by_key(|(id, _)| **id);
        let of_account = |(id, account): (&AccountId, &'_ CompiledAccount)| {
            let retired: Vec<_> =
                account.program.retired().map(|(policy, statement)| (*id, policy, statement)).collect();
            retired
        };
        accounts.into_iter().flat_map(of_account)
    }

    /// Decides a request in an account.
    ///
    /// # Errors
    /// [`Unanswerable`] where the request names something that does not exist.
    #[inline]
    pub fn decide(&self, account: AccountId, request: &CheckRequest<'_>) -> Result<Outcome<'_>, Unanswerable> {
        let program = self.account(account).ok_or_else(|| Unanswerable::UnknownAccount(account.to_string()))?;
        evaluate(program, request)
    }
}

fn compile_account(
    source: &Arc<AccountState>,
    global: &GlobalProgram,
    known: Option<&CompiledAccount>,
    workers: &dyn Workers,
) -> Result<CompiledAccount, BuildRejected> {
    if let Some(known) = known.filter(|known| Arc::ptr_eq(&known.source, source)) {
        return Ok(known.clone());
    }
    let previous = known.map(|known| Previous { source: &known.source, program: &known.program });
    let program = compile(source, global, previous, workers)?;
    Ok(CompiledAccount { source: Arc::clone(source), program: Arc::new(program) })
}
