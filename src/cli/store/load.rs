//! `doorward store load`: an empty store is filled, in commits of a bounded size.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;

use super::place::PlaceArgs;
use super::{CLOSED, DumpError};
use crate::cli::generate::SizeName;
use crate::clock::Clock;
use crate::compile::shipped_global;
use crate::model::mutation::{Actor, Edit, Mutation};
use crate::model::object::{Object, ObjectKey};
use crate::model::revision::Revision;
use crate::statefile;
use crate::store::api::{Retention, Store};
use crate::workload::{Size, Workload};

/// Edits of one commit.
const BATCH: usize = 5_000;
/// Nothing of it is old.
const KEPT: Duration = Duration::MAX;

#[derive(Debug, Clone, Args)]
pub(super) struct LoadArgs {
    /// The store: a directory or a prefix that is empty or not there
    #[command(flatten)]
    store: PlaceArgs,
    #[command(flatten)]
    source: Source,
    /// What the choices of a generated account are drawn from
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "file")]
    seed: u64,
}

#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// State file of an account
    file: Option<PathBuf>,
    /// Size of an account that is generated
    #[arg(long, value_enum, value_name = "SIZE")]
    generate: Option<SizeName>,
}

/// What makes the store out of nothing, in order. A generated account is made while it is loaded.
enum Readied {
    Generated(Workload),
    File(Vec<Edit>),
}

/// Loads; a load that did not end is marked in the store, which nothing serves then.
pub(super) fn run(args: &LoadArgs, clock: &Clock, out: &mut dyn Write) -> anyhow::Result<()> {
    let begun = Instant::now();
    let source = args.read(clock)?;
    let place = args.store.place()?;
    let store = place.make().map_err(DumpError::from)?;
    let place = place.name();
    if store.is_loading()? {
        bail!("`{place}` holds the part of a load that did not end; delete it and load it anew");
    }
    if store.state().revision != Revision::ZERO || !store.credentials()?.is_empty() {
        bail!("`{place}` is not empty; name a folder or a prefix that is empty or not there");
    }
    store.set_loading(true)?;
    let count = match source {
        Readied::Generated(workload) => fill(&*store, clock, workload.objects().map(Edit::Put)),
        Readied::File(edits) => fill(&*store, clock, edits.into_iter()),
    }?;
    store.set_loading(false)?;
    let (id, revision) = (store.id(), store.state().revision);
    drop(store);
    let seconds = begun.elapsed().as_secs_f64();
    writeln!(out, "`{place}` holds {count} objects, loaded in {seconds:.1} s: store {id} at revision {revision}")
        .context(CLOSED)
}

fn fill(store: &dyn Store, clock: &Clock, mut edits: impl Iterator<Item = Edit>) -> anyhow::Result<usize> {
    let mut count = 0;
    loop {
        let batch: Vec<_> = edits.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            return Ok(count);
        }
        count += batch.len();
        let (at, expected) = (clock.now(), store.state().revision);
        let (actor, subject) = (Actor::system(), ObjectKey::Global);
        store.commit(Mutation { actor, at, expected, request: None, subject, edits: batch })?;
        // Nobody follows a store that is being loaded, so its log need not hold everything a second time.
        store.compact(&Retention { commits: 0, requests: KEPT, audit: KEPT }, at)?;
    }
}

// === impl LoadArgs ===

impl LoadArgs {
    fn read(&self, clock: &Clock) -> anyhow::Result<Readied> {
        if let Some(size) = self.source.generate {
            return Ok(Readied::Generated(Workload::new(Size::from(size).dimensions(), self.seed)));
        }
        let path = self.source.file.as_ref().ok_or_else(|| anyhow!("name a state file, or `--generate`"))?;
        let loaded = statefile::load_file(path, clock.now()).map_err(|problems| {
            let listed: Vec<_> = problems.iter().map(|problem| format!("\n  {problem}")).collect();
            anyhow!("the state file `{}` is refused whole:{}", path.display(), listed.concat())
        })?;
        let global = Edit::Put(Object::Global(shipped_global()));
        Ok(Readied::File(std::iter::once(global).chain(loaded.edits).collect()))
    }
}
