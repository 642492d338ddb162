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
use crate::store::api::{Retention, Store, StoreError};
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
    let count = match source {
        Readied::Generated(workload) => load(&*store, &place, clock, workload.objects().map(Edit::Put)),
        Readied::File(edits) => load(&*store, &place, clock, edits.into_iter()),
    }?;
    let (id, revision) = (store.id(), store.state().revision);
    drop(store);
    let seconds = begun.elapsed().as_secs_f64();
    writeln!(out, "`{place}` holds {count} objects, loaded in {seconds:.1} s: store {id} at revision {revision}")
        .context(CLOSED)
}

/// Fills a store under its own mark; tells how many objects it holds then. Where nothing was written no mark is left.
fn load(store: &dyn Store, place: &str, clock: &Clock, edits: impl Iterator<Item = Edit>) -> anyhow::Result<usize> {
    check_empty(store, place)?;
    if !store.set_loading(true).map_err(DumpError::from)? {
        check_empty(store, place)?;
        bail!(changed(place));
    }
    // The mark is set at the published head: whoever committed before it is seen here, and whoever does later is in
    // the way of the first commit.
    let mut head = Revision::ZERO;
    let filled = check_unwritten(store, place).and_then(|()| fill(store, clock, &mut head, edits));
    let filled = filled.map_err(|problem| match problem.downcast_ref() {
        Some(DumpError::Store(StoreError::Conflict { .. })) => anyhow!(changed(place)),
        _ => problem,
    });
    let is_unknown = |problem: &anyhow::Error| {
        matches!(problem.downcast_ref(), Some(DumpError::Store(StoreError::FateUnknown { .. })))
    };
    if let Err(problem) = &filled
        && head == Revision::ZERO
        && !is_unknown(problem)
    {
        // Where that fails, too, the mark stays, as if a part were there.
        let _ = store.set_loading(false);
    }
    let count = filled?;
    if !store.set_loading(false).map_err(DumpError::from)? {
        bail!(changed(place));
    }
    Ok(count)
}

fn check_empty(store: &dyn Store, place: &str) -> anyhow::Result<()> {
    if store.is_loading().map_err(DumpError::from)? {
        bail!(
            "`{place}` is being loaded, or holds the part of a load that did not end; delete it then and load it anew"
        );
    }
    if !store.credentials().map_err(DumpError::from)?.is_empty() {
        bail!(not_empty(place));
    }
    check_unwritten(store, place)
}

fn check_unwritten(store: &dyn Store, place: &str) -> anyhow::Result<()> {
    if store.state().revision != Revision::ZERO {
        bail!(not_empty(place));
    }
    Ok(())
}

fn not_empty(place: &str) -> String {
    format!("`{place}` is not empty; name a folder or a prefix that is empty or not there")
}

fn changed(place: &str) -> String {
    format!(
        "`{place}` was changed by somebody else while it was loaded; name a folder or a prefix that nobody else uses"
    )
}

/// Commits the edits, each batch on the one before; `head` is the last that was committed.
fn fill(
    store: &dyn Store,
    clock: &Clock,
    head: &mut Revision,
    mut edits: impl Iterator<Item = Edit>,
) -> anyhow::Result<usize> {
    let mut count = 0;
    loop {
        let batch: Vec<_> = edits.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            return Ok(count);
        }
        count += batch.len();
        let (at, expected) = (clock.now(), *head);
        let (actor, subject) = (Actor::system(), ObjectKey::Global);
        let mutation = Mutation { actor, at, expected, request: None, subject, edits: batch };
        *head = store.commit(mutation).map_err(DumpError::from)?.revision;
        // Nobody follows a store that is being loaded, so its log need not hold everything a second time.
        let retention = Retention { commits: 0, requests: KEPT, audit: KEPT };
        store.compact(&retention, at).map_err(DumpError::from)?;
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

#[cfg(test)]
mod tests;
