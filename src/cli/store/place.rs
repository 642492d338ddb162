//! Which store a command is about: one in a folder, or one in etcd.

use std::path::PathBuf;

use anyhow::bail;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};

use crate::config::raw::RawEtcd;
use crate::config::resolved::resolve_etcd;
use crate::model::revision::StoreId;
use crate::store::api::{Store, StoreError};
use crate::store::backup;
use crate::store::dump::{Dump, DumpError};
use crate::store::embedded::{self, EmbeddedStore};
use crate::store::etcd::{self, EtcdConfig, EtcdReader, EtcdStore};
use crate::store::verify::Verified;

/// Where a store is.
#[derive(Debug, Clone, Args)]
pub(super) struct PlaceArgs {
    /// Data directory of the store
    #[arg(long, value_name = "PATH")]
    directory: Option<PathBuf>,
    #[command(flatten)]
    etcd: Said<RawEtcd>,
}

/// Arguments that variables of the environment may stand for: those may be there for a server.
#[derive(Debug, Clone)]
pub(super) struct Said<A> {
    pub(super) args: A,
    /// Something of it stands on the command line.
    pub(super) is_named: bool,
}

/// A store that is named.
#[derive(Debug)]
pub(super) enum StorePlace {
    Folder(PathBuf),
    Etcd(EtcdConfig),
}

// === impl PlaceArgs ===

impl PlaceArgs {
    /// The store. A directory is meant where one is named: what is said of etcd may come from variables that are there for a
    /// server.
    pub(super) fn place(&self) -> anyhow::Result<StorePlace> {
        match &self.directory {
            Some(_) if self.etcd.is_named => {
                bail!("name one store: `--directory` is one in a folder, and `--etcd-…` is about one in etcd")
            }
            Some(folder) => Ok(StorePlace::Folder(folder.clone())),
            None if self.is_missing() => {
                bail!("name the store: `--directory`, or `--etcd-endpoints`")
            }
            None => Ok(StorePlace::Etcd(resolve_etcd(self.etcd.args.clone())?)),
        }
    }

    /// Whether no store is named, neither on the command line nor by variables.
    pub(super) fn is_missing(&self) -> bool {
        self.directory.is_none() && self.etcd.args == RawEtcd::default()
    }

    /// Whether a store is named on the command line.
    pub(super) const fn is_named(&self) -> bool {
        self.directory.is_some() || self.etcd.is_named
    }
}

// === impl Said ===

impl<A: Args> Args for Said<A> {
    fn augment_args(command: Command) -> Command {
        A::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        A::augment_args_for_update(command)
    }
}

impl<A: Args> FromArgMatches for Said<A> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let alone = A::augment_args(Command::new("arguments"));
        let mut ids = alone.get_arguments().map(|argument| argument.get_id().as_str());
        let is_named = ids.any(|id| matches.value_source(id) == Some(ValueSource::CommandLine));
        Ok(Self { args: A::from_arg_matches(matches)?, is_named })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

// === impl StorePlace ===

impl StorePlace {
    /// For messages.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Folder(folder) => folder.display().to_string(),
            Self::Etcd(config) => config.place(),
        }
    }

    /// Opens a store that is there, to be read.
    pub(super) fn open(&self) -> Result<Box<dyn Dump>, DumpError> {
        Ok(match self {
            Self::Folder(folder) => Box::new(EmbeddedStore::open_existing(folder)?),
            Self::Etcd(config) => Box::new(EtcdReader::open(config)?),
        })
    }

    /// Opens a store to be filled; it is made where it is missing.
    pub(super) fn make(&self) -> Result<Box<dyn Store>, StoreError> {
        Ok(match self {
            Self::Folder(folder) => Box::new(EmbeddedStore::open(folder)?),
            Self::Etcd(config) => Box::new(EtcdStore::open(config)?),
        })
    }

    /// Makes a store of what `source` tells.
    pub(super) fn restore(&self, source: &dyn Dump) -> Result<StoreId, DumpError> {
        match self {
            Self::Folder(folder) => embedded::restore(source, folder),
            Self::Etcd(config) => etcd::restore(source, config),
        }
    }

    /// Reads all of a store.
    pub(super) fn verify(&self) -> Result<Verified, DumpError> {
        backup::verify(&*self.open()?, &self.name())
    }
}
