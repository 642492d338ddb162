//! `doorward store`: a store is backed up, restored, verified and loaded.

mod load;
mod place;
mod served;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, Subcommand};

use crate::clock::Clock;
use crate::store::api::StoreError;
use crate::store::backup::{self, BackupFile};
use crate::store::dump::{Dump, DumpError};
use crate::store::verify::Verified;

use self::place::{PlaceArgs, Said, StorePlace};
use self::served::{ControlPlane, ControlPlaneArgs, DamagedThere};

/// It was done.
const DONE: u8 = 0;
/// Something that was whole once no longer is.
const DAMAGED: u8 = 1;
/// It could not be done.
const UNUSABLE: u8 = 2;

/// Back up, restore, verify or load a store.
///
/// One that is served is backed up through its control plane. One in a folder must not be served otherwise; one in etcd may
/// be, but for a load.
///
/// Exit code 0: done; 1: the store or the backup is damaged; 2: it could not be done.
#[derive(Debug, Clone, Args)]
pub struct StoreArgs {
    #[command(subcommand)]
    command: StoreCommand,
}

#[derive(Debug, Clone, Subcommand)]
enum StoreCommand {
    /// Write everything that a store holds into one file
    Backup(BackupArgs),
    /// Make a store of a backup
    Restore(RestoreArgs),
    /// Read all of a backup or a store, and say what it holds
    Verify(VerifyArgs),
    /// Fill an empty store from a state file or with a generated account
    Load(load::LoadArgs),
}

#[derive(Debug, Clone, Args)]
struct BackupArgs {
    #[command(flatten)]
    store: PlaceArgs,
    #[command(flatten)]
    served: Said<ControlPlaneArgs>,
    /// The backup
    file: PathBuf,
    /// Take the place of a file that is there
    #[arg(long)]
    overwrite: bool,
}

#[derive(Debug, Clone, Args)]
struct RestoreArgs {
    /// The backup
    file: PathBuf,
    /// The new store: a directory or a prefix that is empty or not there
    #[command(flatten)]
    store: PlaceArgs,
}

#[derive(Debug, Clone, Args)]
struct VerifyArgs {
    /// The backup; a store where none is named
    #[arg(conflicts_with = "directory")]
    file: Option<PathBuf>,
    /// The store. One in a directory is opened as a server opens it: repaired after a crash, and upgraded if it is older
    #[command(flatten)]
    store: PlaceArgs,
}

/// Runs the command; returns the exit code.
pub fn run(args: &StoreArgs, clock: &Clock, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let done = match &args.command {
        StoreCommand::Backup(args) => args.run(out),
        StoreCommand::Restore(args) => args.run(out),
        StoreCommand::Verify(args) => args.run(out),
        StoreCommand::Load(args) => load::run(args, clock, out),
    };
    let Err(problem) = done else { return DONE };
    // Nothing is left to tell it to where standard error is gone.
    let _ = writeln!(err, "error: {problem:#}");
    let is_damage =
        problem.downcast_ref::<DumpError>().is_some_and(DumpError::is_damage) || problem.is::<DamagedThere>();
    if is_damage { DAMAGED } else { UNUSABLE }
}

// === impl BackupArgs ===

impl BackupArgs {
    fn run(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        let (place, verified) = if let Some(plane) = self.control_plane()? {
            (plane.address.to_owned(), plane.back_up(&self.file, self.overwrite)?)
        } else {
            let store = self.store.place()?;
            (store.name(), backup::write(&*open(&store)?, &store.name(), &self.file, self.overwrite)?)
        };
        tell(out, &format!("`{}` is a backup of `{place}`", self.file.display()), &verified)
    }

    /// The control plane that serves the store, if that is what is named.
    fn control_plane(&self) -> anyhow::Result<Option<ControlPlane<'_>>> {
        let ControlPlaneArgs { address, token_file } = &self.served.args;
        let Some(address) = address else {
            if self.served.is_named {
                bail!("`--token-file` is for a store that is served; name its control plane by `--address`");
            }
            if self.store.is_missing() {
                bail!("name the store: `--address` where it is served, or else `--directory` or `--etcd-endpoints`");
            }
            return Ok(None);
        };
        if self.store.is_named() {
            bail!("name one store: `--address` is one that is served, `--directory` and `--etcd-…` are about another");
        }
        let Some(token_file) = token_file else {
            bail!("{address} asks for the root credential; name its file by `--token-file`");
        };
        Ok(Some(ControlPlane { address, token_file }))
    }
}

/// Opens a store that nobody serves from a folder.
fn open(store: &StorePlace) -> anyhow::Result<Box<dyn Dump>> {
    store.open().map_err(|problem| match problem {
        DumpError::Store(StoreError::Locked { place }) => anyhow!(
            "`{place}` is in use by another process; a store that is served is backed up by `--address` and `--token-file`"
        ),
        other => other.into(),
    })
}

// === impl RestoreArgs ===

impl RestoreArgs {
    fn run(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        let store = self.store.place()?;
        let file = BackupFile::open(&self.file)?;
        let verified = backup::verify(&file, &file.place())?;
        let id = store.restore(&file)?;
        tell(out, &format!("`{}` is a store of `{}`", store.name(), file.place()), &verified)?;
        let told = writeln!(out, "It has an identity of its own, {id}: sidecars read it from the beginning.");
        told.context(CLOSED)
    }
}

// === impl VerifyArgs ===

impl VerifyArgs {
    fn run(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        if self.file.is_some() && self.store.is_named() {
            bail!("name one thing to verify: a backup, or a store");
        }
        let (place, verified) = if let Some(path) = &self.file {
            let file = BackupFile::open(path)?;
            (file.place(), backup::verify(&file, &file.place())?)
        } else {
            let store = self.store.place()?;
            (store.name(), store.verify()?)
        };
        tell(out, &format!("`{place}` is whole"), &verified)
    }
}

const CLOSED: &str = "standard output is closed";

fn tell(out: &mut dyn Write, what: &str, verified: &Verified) -> anyhow::Result<()> {
    write_counts(out, what, verified).context(CLOSED)
}

fn write_counts(out: &mut dyn Write, what: &str, verified: &Verified) -> io::Result<()> {
    let Verified { head, counts, references } = verified;
    writeln!(out, "{what}: store {} at revision {}", head.store, head.revision)?;
    writeln!(out, "{:>10} objects, {references} references between them", counts.objects)?;
    writeln!(out, "{:>10} commits in the log, after revision {}", counts.commits, head.log_start)?;
    writeln!(out, "{:>10} audit events, after revision {}", counts.events, head.audit_start)?;
    writeln!(out, "{:>10} request ids", counts.requests)?;
    writeln!(out, "{:>10} credentials", counts.credentials)
}
