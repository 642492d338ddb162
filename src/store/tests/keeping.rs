//! Reading a store whole and making one of what was read, each sentence on every engine that outlives a process.

use std::fs;

use super::super::api::{CommitEffect, Retention, Store, StoreError};
use super::super::backup::{self, BackupFile, Incoming};
use super::super::dump::{Dump, DumpError, Head, Row, Sink};
use super::super::embedded::{self, EmbeddedStore};
use super::super::etcd::{self as distributed, EtcdReader};
use super::super::verify::Counts;
use super::etcd::Prefix;
use super::verify::{Rows, eventful, eventful_in};
use super::{Folder, Place, account, account_id, at, commit, contents, environment, mutation, puts, request};
use crate::model::mutation::{Edit, Mutation};
use crate::model::object::ObjectKey;
use crate::model::revision::{Revision, StoreId};

/// A place whose store is read and made as a whole.
trait Kept: Place {
    /// What is there, to be read; whoever had it open to write has dropped it.
    fn reader(&self) -> Result<Box<dyn Dump>, StoreError>;

    /// Makes a store there.
    fn restore(&self, source: &dyn Dump) -> Result<StoreId, DumpError>;
}

impl Kept for Folder {
    fn reader(&self) -> Result<Box<dyn Dump>, StoreError> {
        Ok(Box::new(EmbeddedStore::open_existing(self.0.path())?))
    }

    fn restore(&self, source: &dyn Dump) -> Result<StoreId, DumpError> {
        embedded::restore(source, self.0.path())
    }
}

impl Kept for Prefix {
    fn reader(&self) -> Result<Box<dyn Dump>, StoreError> {
        Ok(Box::new(EtcdReader::open(&self.config)?))
    }

    fn restore(&self, source: &dyn Dump) -> Result<StoreId, DumpError> {
        distributed::restore(source, &self.config)
    }
}

/// Runs each sentence on each engine, with the means to have another place of it.
macro_rules! on_every_kept_engine {
    ($($sentence:ident),+ $(,)?) => {
        mod embedded_engine {
            $(#[test] fn $sentence() { super::$sentence(&|| Some(super::Folder::new())); })+
        }
        mod etcd_engine {
            $(#[test] fn $sentence() { super::$sentence(&super::Prefix::new); })+
        }
    };
}

on_every_kept_engine! {
    a_store_is_read_and_counted_whatever_is_left_of_its_past,
    both_engines_tell_the_same_rows,
    what_a_backup_holds_is_made_again_by_either_engine,
    a_place_that_holds_a_store_is_left_as_it_is,
    what_cannot_be_finished_leaves_an_empty_place,
    a_load_that_did_not_end_is_not_read,
    nothing_is_made_by_reading,
    a_store_that_is_served_is_told_at_one_revision_while_it_goes_on,
    what_a_served_store_acknowledged_is_told,
    a_backup_of_a_served_store_is_made_a_store_of,
}

type Places<'p, P> = &'p dyn Fn() -> Option<P>;

fn rows(place: &impl Kept) -> Rows {
    Rows::of(&*place.reader().unwrap())
}

fn a_store_is_read_and_counted_whatever_is_left_of_its_past<P: Kept>(places: Places<'_, P>) {
    for (commits, kept) in [(10, 6), (4, 4), (1, 1), (0, 0)] {
        let Some(place) = places() else { return };
        let store = eventful_in(&place);
        let forever = std::time::Duration::from_secs(1_000_000);
        store.compact(&Retention { commits, requests: forever, audit: forever }, at(10)).unwrap();
        let objects = store.state().records().count() as u64;
        drop(store);
        let verified = backup::verify(&*place.reader().unwrap(), "it").unwrap();
        let expected = Counts { objects, commits: kept, events: 6, requests: 2, credentials: 1 };
        assert_eq!((verified.counts, verified.head.revision), (expected, Revision::new(6)), "{commits}");
        assert_eq!((verified.head.log_start, verified.head.audit_start), (Revision::new(6 - kept), Revision::ZERO));
    }
    let Some(place) = places() else { return };
    let store = eventful_in(&place);
    let never = std::time::Duration::ZERO;
    store.compact(&Retention { commits: 2, requests: never, audit: never }, at(1_000)).unwrap();
    drop(store);
    let verified = backup::verify(&*place.reader().unwrap(), "it").unwrap();
    assert_eq!((verified.counts.events, verified.counts.requests), (0, 0));
    assert_eq!((verified.head.log_start, verified.head.audit_start), (Revision::new(4), Revision::new(6)));
}

fn both_engines_tell_the_same_rows<P: Kept>(places: Places<'_, P>) {
    let Some(place) = places() else { return };
    let id = eventful_in(&place).id();
    let (found, other) = (rows(&place), Rows::of(&eventful()));
    assert_eq!(found.rows, other.rows);
    assert_eq!(found.head.unwrap().store, id);
}

fn what_a_backup_holds_is_made_again_by_either_engine<P: Kept>(places: Places<'_, P>) {
    let Some(place) = places() else { return };
    drop(eventful_in(&place));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backup.dwb");
    backup::write(&*place.reader().unwrap(), "it", &path, false).unwrap();
    let (before, file) = (rows(&place), BackupFile::open(&path).unwrap());
    check_restored(&Folder::new(), &file, &before);
    if let Some(prefix) = Prefix::new() {
        check_restored(&prefix, &file, &before);
    }
}

fn check_restored(place: &impl Kept, file: &BackupFile, before: &Rows) {
    let id = place.restore(file).unwrap();
    let restored = rows(place);
    assert_eq!(restored.rows, before.rows);
    let (head, was) = (restored.head.unwrap(), before.head.unwrap());
    assert_eq!((head.store, head.revision, head.log_start), (id, was.revision, was.log_start));
    assert_ne!(id, was.store);

    let store = place.open();
    assert_eq!((store.id(), store.is_loading().unwrap()), (id, false));
    let again = mutation(store.state().revision, puts([account(1, "renamed"), account(1, "again")]));
    let replayed = store.commit(Mutation { request: Some(request("first", 1)), ..again }).unwrap();
    assert_eq!((replayed.effect, replayed.revision), (CommitEffect::Replayed, Revision::new(2)));
    let next = commit(&*store, puts([account(7, "seven")])).unwrap();
    assert_eq!(next.revision, was.revision.next().unwrap());
    let state = contents(&store.state());
    drop(store);
    assert_eq!(contents(&place.open().state()), state);
    backup::verify(&*place.reader().unwrap(), "it").unwrap();
}

fn a_place_that_holds_a_store_is_left_as_it_is<P: Kept>(places: Places<'_, P>) {
    let Some(place) = places() else { return };
    drop(eventful_in(&place));
    let before = rows(&place);
    let refused = place.restore(&eventful()).unwrap_err();
    assert!(matches!(refused, DumpError::Taken { .. }) && refused.to_string().contains("is not empty"), "{refused}");
    assert_eq!(rows(&place), before);
}

/// A store that fails after some of its rows.
struct Failing(Rows, usize);

impl Dump for Failing {
    fn dump(&self, sink: &mut dyn Sink) -> Result<(), DumpError> {
        sink.head(&self.0.head.unwrap())?;
        self.0.rows.iter().take(self.1).try_for_each(|row| sink.row(row.clone()))?;
        Err(StoreError::Failed { place: "disk".to_owned(), source: "the disk is gone".into() }.into())
    }
}

fn what_cannot_be_finished_leaves_an_empty_place<P: Kept>(places: Places<'_, P>) {
    let Some(place) = places() else { return };
    let whole = Rows::of(&eventful());
    for told in [0, 7, whole.rows.len()] {
        let refused = place.restore(&Failing(whole.clone(), told)).unwrap_err();
        assert!(refused.to_string().contains("`disk`"), "{refused}");
        place.reader().err().expect("there is no store");
    }
    place.restore(&eventful()).unwrap();
    assert_eq!(rows(&place).rows, whole.rows);
}

fn a_load_that_did_not_end_is_not_read<P: Kept>(places: Places<'_, P>) {
    let Some(place) = places() else { return };
    eventful_in(&place).set_loading(true).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let refused = backup::write(&*place.reader().unwrap(), "it", &folder.path().join("b.dwb"), false).unwrap_err();
    assert!(matches!(refused, DumpError::Loading { .. }), "{refused}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

fn nothing_is_made_by_reading<P: Kept>(places: Places<'_, P>) {
    let Some(place) = places() else { return };
    for _ in 0..2 {
        let refused = place.reader().err().expect("there is no store");
        assert!(matches!(refused, StoreError::Access { .. } | StoreError::Foreign { .. }), "{refused:?}");
    }
    let rows = Rows::of(&eventful());
    assert!(rows.rows.iter().any(|row| matches!(row, Row::Credential(_))));
    place.restore(&rows).unwrap();
}

/// Takes rows, and uses the store before each of them as others do meanwhile.
struct Busy<'s> {
    rows: Rows,
    store: &'s dyn Store,
}

// === impl Busy ===

impl Busy<'_> {
    /// A commit of several objects under a request id, a credential, and compaction of all that was there.
    fn go_on(&self) {
        let head = self.store.state().revision;
        let number = u8::try_from(head.get() % 100).unwrap() + 100;
        let gone = Edit::Delete(ObjectKey::Account(account_id(number - 1)));
        let edits = vec![Edit::Put(account(number, "busy")), Edit::Put(environment(number, "e", "n")), gone];
        let identity = request(&format!("busy {head}"), 1);
        let committed = self.store.commit(Mutation { request: Some(identity), ..mutation(head, edits) }).unwrap();
        assert_eq!(Some(committed.revision), head.next());
        let public_id = format!("busy-{head}");
        let mut credential = self.store.credentials().unwrap().swap_remove(0);
        credential.public_id = public_id;
        self.store.put_credentials(&[credential]).unwrap();
        let never = std::time::Duration::ZERO;
        self.store.compact(&Retention { commits: 0, requests: never, audit: never }, at(1_000)).unwrap();
    }
}

impl Sink for Busy<'_> {
    fn head(&mut self, head: &Head) -> Result<(), DumpError> {
        self.go_on();
        self.rows.head(head)
    }

    fn row(&mut self, row: Row) -> Result<(), DumpError> {
        self.go_on();
        self.rows.row(row)
    }
}

/// Objects, log, audit, requests and credentials: all of them are of the revision at which the telling began.
fn a_store_that_is_served_is_told_at_one_revision_while_it_goes_on<P: Kept>(places: Places<'_, P>) {
    let Some(place) = places() else { return };
    let store = eventful_in(&place);
    let before = Rows::of(&*store);
    let mut busy = Busy { rows: Rows::default(), store: &*store };
    store.dump(&mut busy).unwrap();
    let told = busy.rows;
    assert_eq!(told, before);
    assert!(told.rows.iter().any(|row| matches!(row, Row::Commit(_))), "what is compacted since is still told");
    backup::verify(&told, "it").unwrap();
    // And the store has lost nothing by it.
    let after = Rows::of(&*store);
    assert_eq!(after.head.unwrap().revision.get(), before.head.unwrap().revision.get() + 1 + told.rows.len() as u64);
    backup::verify(&*store, "it").unwrap();
    drop(store);
    assert_eq!(rows(&place), after);
}

fn what_a_served_store_acknowledged_is_told<P: Kept>(places: Places<'_, P>) {
    let Some(place) = places() else { return };
    let store = eventful_in(&place);
    for number in 10..20 {
        let committed = commit(&*store, puts([account(number, "new")])).unwrap();
        let told = Rows::of(&*store);
        assert_eq!(told.head.map(|head| (head.store, head.revision)), Some((store.id(), committed.revision)));
    }
    store.set_loading(true).unwrap();
    let refused = store.dump(&mut Rows::default()).unwrap_err();
    assert!(matches!(refused, DumpError::Loading { .. }), "{refused}");
}

fn a_backup_of_a_served_store_is_made_a_store_of<P: Kept>(places: Places<'_, P>) {
    let Some((place, again)) = places().zip(places()) else { return };
    let (store, folder) = (eventful_in(&place), tempfile::tempdir().unwrap());
    let path = folder.path().join("b.dwb");
    let mut incoming = Incoming::new("it", &path, false).unwrap();
    let (mut bytes, before) = (Vec::new(), Rows::of(&*store));
    backup::send(&*store, &mut bytes).unwrap();
    commit(&*store, puts([account(7, "seven")])).unwrap();
    incoming.take(&bytes).unwrap();
    incoming.finish().unwrap();
    again.restore(&BackupFile::open(&path).unwrap()).unwrap();
    assert_eq!(rows(&again).rows, before.rows);
}
