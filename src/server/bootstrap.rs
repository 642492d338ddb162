//! The first start of a store: its global level, its two credentials, and a state file if one is given.

use std::fs::{OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::clock::Clock;
use crate::compile::shipped_global;
use crate::config::resolved::{Engine, StoreConfig};
use crate::durable::{make_folder, sync_names};
use crate::identity::credential::{Credential, RANDOM_BYTES};
use crate::model::credential::{CredentialRecord, CredentialRole};
use crate::model::mutation::{Actor, Edit, Mutation};
use crate::model::object::{Change, Object, ObjectKey, Record};
use crate::model::revision::Revision;
use crate::snapshot::build::Snapshot;
use crate::statefile::{self, FileProblem};
use crate::store::api::{Store, StoreError};
use crate::store::embedded::EmbeddedStore;
use crate::store::etcd::EtcdStore;

/// A store that is ready to serve.
pub struct OpenedStore {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Who may use the administrative listener.
    pub credentials: Arc<[CredentialRecord]>,
}

/// A store that cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The store itself.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file of the data directory.
    #[error("`{path}` cannot be written")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The state file cannot be read, or holds errors; nothing of it was loaded.
    #[error("the state file `{path}` is refused whole, with {} error(s):\n{}", .problems.len(), list(.problems))]
    StateFile {
        /// The file.
        path: PathBuf,
        /// All of them.
        problems: Vec<FileProblem>,
    },
    /// The store was written by a later version.
    #[error("the store is written in language version {found}, this build reads version {known}; upgrade Doorward")]
    LanguageVersion {
        /// The store's.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// A load did not end.
    #[error(
        "`{place}` holds the part of a load that has not ended; if none is under way, delete it and load it anew with \
         `doorward store load`"
    )]
    Loading {
        /// The data directory, or where in etcd.
        place: String,
    },
    /// The global level of this build does not fit what an account has.
    #[error("this build's global level does not fit the store: {0}; take what it names back with the earlier build")]
    Upgrade(String),
    /// The system has no randomness.
    #[error("the operating system gives no random numbers, so no credential can be made")]
    Random,
    /// The task that opened it panicked.
    #[error("the store could not be opened: {0}")]
    Panicked(String),
}

fn list(problems: &[FileProblem]) -> String {
    problems.iter().map(|problem| format!("  {problem}")).collect::<Vec<_>>().join("\n")
}

/// How often the start is tried while other control planes commit.
const TRIES: u32 = 16;
/// The folder of the credential files below the data directory.
pub const CREDENTIALS: &str = "credentials";
/// The file of the root credential.
pub const ROOT_FILE: &str = "root.token";
/// The file of the watch credential.
pub const WATCH_FILE: &str = "watch.token";

/// Opens the store and gives an empty one its first content.
///
/// # Errors
/// [`BootstrapError`]; a state file with an error changes nothing.
pub async fn open_store(config: &StoreConfig, clock: &Clock) -> Result<OpenedStore, BootstrapError> {
    let (config, clock) = (config.clone(), clock.clone());
    let opened = tokio::task::spawn_blocking(move || open(&config, &clock)).await;
    opened.unwrap_or_else(|panicked| Err(BootstrapError::Panicked(panicked.to_string())))
}

fn open(config: &StoreConfig, clock: &Clock) -> Result<OpenedStore, BootstrapError> {
    let store: Arc<dyn Store> = match &config.engine {
        Engine::Embedded => Arc::new(EmbeddedStore::open(&config.directory)?),
        Engine::Etcd(etcd) => Arc::new(EtcdStore::open(etcd)?),
    };
    refuse_part(&*store, config)?;
    begin(&*store, config, clock)?;
    // A load in etcd may have begun meanwhile: of the two that commit first one is refused, and here the mark is seen.
    refuse_part(&*store, config)?;
    let credentials = credentials(&*store, &config.directory, clock)?;
    Ok(OpenedStore { store, credentials })
}

/// Nothing is served of a load that has not ended.
fn refuse_part(store: &dyn Store, config: &StoreConfig) -> Result<(), BootstrapError> {
    if !store.is_loading()? {
        return Ok(());
    }
    let place = match &config.engine {
        Engine::Embedded => config.directory.display().to_string(),
        Engine::Etcd(etcd) => etcd.place(),
    };
    Err(BootstrapError::Loading { place })
}

/// Gives an empty store its first content, and another one the global level of this build. Where another control plane
/// commits at the same time, one of them is first and the other goes on from there.
fn begin(store: &dyn Store, config: &StoreConfig, clock: &Clock) -> Result<(), BootstrapError> {
    let mut tries = TRIES;
    loop {
        tries -= 1;
        match begin_at_head(store, config, clock) {
            Err(BootstrapError::Store(StoreError::Conflict { head })) if tries > 0 => {
                tracing::info!(%head, "another control plane committed first");
            }
            begun => return begun,
        }
    }
}

fn begin_at_head(store: &dyn Store, config: &StoreConfig, clock: &Clock) -> Result<(), BootstrapError> {
    if store.state().revision == Revision::ZERO {
        return fill(store, config, clock);
    }
    if let Some(path) = &config.state {
        tracing::info!(path = %path.display(), "the store is not empty, so the state file is not loaded");
    }
    upgrade_global(store, clock)
}

/// The first commit: the global level, and the state file with it.
fn fill(store: &dyn Store, config: &StoreConfig, clock: &Clock) -> Result<(), BootstrapError> {
    let mut edits = vec![Edit::Put(Object::Global(shipped_global()))];
    if let Some(path) = &config.state {
        let refuse = |problems| BootstrapError::StateFile { path: path.clone(), problems };
        let loaded = statefile::load_file(path, clock.now()).map_err(refuse)?;
        edits.extend(loaded.edits);
    }
    commit(store, clock, edits)
}

/// A newer build brings its own global level, if every account still compiles with it; an older one does not take back what
/// a newer one brought.
fn upgrade_global(store: &dyn Store, clock: &Clock) -> Result<(), BootstrapError> {
    let state = store.state();
    let shipped = shipped_global();
    let known = state.global.as_ref().map(|global| &global.value);
    let found = known.map_or(0, |global| global.language_version);
    if found > shipped.language_version {
        return Err(BootstrapError::LanguageVersion { found, known: shipped.language_version });
    }
    let next = known.map_or(shipped.clone(), |known| global::upgraded(known, shipped, &global::bound(&state)));
    if known == Some(&next) {
        return Ok(());
    }
    let at = clock.now();
    let record = Record { created: at, updated: at, revision: state.revision, value: Object::Global(next.clone()) };
    let mut tried = state.as_ref().clone();
    let refused = |problem: String| BootstrapError::Upgrade(problem);
    tried.apply(tried.revision, &[Change::Put(record)]).map_err(|problem| refused(problem.to_string()))?;
    Snapshot::build(store.id(), &tried, None).map_err(|problem| refused(problem.to_string()))?;
    commit(store, clock, vec![Edit::Put(Object::Global(next))])
}

fn commit(store: &dyn Store, clock: &Clock, edits: Vec<Edit>) -> Result<(), BootstrapError> {
    let expected = store.state().revision;
    let subject = ObjectKey::Global;
    let mutation = Mutation { actor: Actor::system(), at: clock.now(), expected, request: None, subject, edits };
    store.commit(mutation)?;
    Ok(())
}

/// The credentials of the store; those of an empty one are made now, and their files are written before the store
/// knows them, so that a crash in between leaves no credential that nobody holds. Of several control planes that start on
/// one empty store, one makes them and has the files.
fn credentials(store: &dyn Store, data: &Path, clock: &Clock) -> Result<Arc<[CredentialRecord]>, BootstrapError> {
    let known = store.credentials()?;
    if !known.is_empty() {
        return Ok(known.into());
    }
    let folder = data.join(CREDENTIALS);
    let failed = |source| BootstrapError::Write { path: folder.clone(), source };
    make_folder(&folder).map_err(failed)?;
    std::fs::set_permissions(&folder, Permissions::from_mode(0o700)).map_err(failed)?;
    let (mut made, mut files) = (Vec::new(), Vec::new());
    for (role, file) in [(CredentialRole::Root, ROOT_FILE), (CredentialRole::Watch, WATCH_FILE)] {
        let credential = random_credential()?;
        let path = folder.join(file);
        write_secret(&path, &credential.reveal())
            .map_err(|source| BootstrapError::Write { path: path.clone(), source })?;
        made.push(credential.record(role, clock.now()));
        files.push(path);
    }
    // The folder's own name too: a store must not know credentials whose files are gone.
    sync_names(&folder).map_err(failed)?;
    if store.first_credentials(&made)? {
        for (CredentialRecord { role, public_id, .. }, path) in made.iter().zip(&files) {
            tracing::info!(?role, public_id, file = %path.display(), "credential made");
        }
        return Ok(made.into());
    }
    for path in files {
        std::fs::remove_file(&path).map_err(|source| BootstrapError::Write { path, source })?;
    }
    tracing::info!("another control plane made the credentials of this store; their files are there");
    Ok(store.credentials()?.into())
}

fn random_credential() -> Result<Credential, BootstrapError> {
    let mut bytes = [0; RANDOM_BYTES];
    getrandom::fill(&mut bytes).map_err(|_| BootstrapError::Random)?;
    Ok(Credential::from_random(&bytes))
}

/// Writes a file that only its owner can read, whole or not at all.
fn write_secret(path: &Path, secret: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    // A file left by a crash may have been opened by somebody; begin with a fresh one.
    match std::fs::remove_file(&new) {
        Err(problem) if problem.kind() != io::ErrorKind::NotFound => return Err(problem),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    writeln!(file, "{secret}")?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}

mod global;
#[cfg(test)]
mod tests;
