//! Losses of power and failing disks: a backend that forgets what was not synced.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::{Database, StorageBackend};

use super::super::api::{Store, StoreError};
use super::super::dump::{Dump, DumpError, Head, Row, Sink};
use super::super::embedded::{EmbeddedStore, Medium, new_database};
use super::super::plan::plan;
use super::{account, account_id, contents, environment, global, mutation, owned, puts, request};
use crate::model::mutation::{Edit, Mutation};
use crate::model::object::{Object, ObjectKey, Record};
use crate::model::revision::{Revision, StoreId};

type Contents = (Revision, Vec<Record<Object>>);

/// Which of the writes since the last sync reach the platter when the power goes during the next.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reached {
    None,
    FirstHalf,
    SecondHalf,
    EveryOther,
    All,
}

pub(super) const REACHED: [Reached; 5] =
    [Reached::None, Reached::FirstHalf, Reached::SecondHalf, Reached::EveryOther, Reached::All];

#[derive(Debug, Clone, Default)]
pub(super) struct Disk(Arc<Mutex<Platter>>);

#[derive(Debug, Default)]
struct Platter {
    durable: Vec<u8>,
    cached: Vec<u8>,
    unsynced: Vec<(usize, Vec<u8>)>,
    syncs: usize,
    cut: Option<(usize, Reached)>,
    off: bool,
}

// === impl Reached ===

impl Reached {
    fn holds(self, index: usize, count: usize) -> bool {
        match self {
            Self::None => false,
            Self::FirstHalf => index < count / 2,
            Self::SecondHalf => index >= count / 2,
            Self::EveryOther => index.is_multiple_of(2),
            Self::All => true,
        }
    }
}

// === impl Platter ===

impl Platter {
    fn sync(&mut self) -> io::Result<()> {
        self.syncs += 1;
        match self.cut {
            Some((at, reached)) if at == self.syncs => {
                self.lose(reached);
                Err(power_loss())
            }
            _ => {
                self.durable.clone_from(&self.cached);
                self.unsynced.clear();
                Ok(())
            }
        }
    }

    fn lose(&mut self, reached: Reached) {
        self.off = true;
        let writes = std::mem::take(&mut self.unsynced);
        let count = writes.len();
        // The length is the file system's own: it is never shorter than a write that arrived.
        self.durable.resize(self.cached.len(), 0);
        for (index, (offset, data)) in writes.into_iter().enumerate() {
            let end = offset + data.len();
            if reached.holds(index, count) && end <= self.durable.len() {
                self.durable[offset..end].copy_from_slice(&data);
            }
        }
    }
}

fn power_loss() -> io::Error {
    io::Error::other("the power is off")
}

fn offset(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

// === impl Disk ===

impl Disk {
    /// A disk with an empty store on it.
    fn new() -> Self {
        let disk = Self::default();
        new_database(&disk, StoreId::random()).unwrap();
        disk.on().syncs = 0;
        disk
    }

    /// A disk with these bytes on it.
    pub(super) fn holding(bytes: &[u8]) -> Self {
        let disk = Self::default();
        disk.on().durable = bytes.to_vec();
        disk.power_on();
        disk
    }

    /// Cuts the power during the `at`th sync from now.
    pub(super) fn cut(&self, at: usize, reached: Reached) {
        let mut platter = self.on();
        platter.cut = Some((platter.syncs + at, reached));
    }

    fn on(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap()
    }

    fn powered(&self) -> io::Result<MutexGuard<'_, Platter>> {
        let platter = self.on();
        if platter.off { Err(power_loss()) } else { Ok(platter) }
    }

    pub(super) fn power_on(&self) {
        let mut platter = self.on();
        platter.off = false;
        platter.cut = None;
        platter.cached = platter.durable.clone();
    }

    pub(super) fn store(&self) -> EmbeddedStore {
        EmbeddedStore::over(self.clone()).unwrap()
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.powered()?.cached.len() as u64)
    }

    fn read(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        let platter = self.powered()?;
        out.copy_from_slice(&platter.cached[offset(at)..offset(at) + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.powered()?.cached.resize(offset(len), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.powered()?.sync()
    }

    fn write(&self, at: u64, data: &[u8]) -> io::Result<()> {
        let mut platter = self.powered()?;
        platter.cached[offset(at)..offset(at) + data.len()].copy_from_slice(data);
        platter.unsynced.push((offset(at), data.to_vec()));
        Ok(())
    }
}

impl Medium for Disk {
    fn place(&self) -> &'static str {
        "disk"
    }

    fn open(&self) -> Result<Database, StoreError> {
        let opened = Database::builder().create_with_backend(self.clone());
        opened.map_err(|error| StoreError::Failed { place: "disk".to_owned(), source: error.into() })
    }
}

/// A short load of every kind of write: growth, replacement, removal of a whole account.
fn load() -> Vec<Vec<Edit>> {
    let many = (0..40).map(|number| owned(1, 2, number, number));
    vec![
        puts([global(), account(1, "one"), environment(1, "e1", "n")]),
        puts([account(2, "two")].into_iter().chain(many)),
        puts([account(1, "renamed")]),
        vec![Edit::Delete(ObjectKey::Account(account_id(2))), Edit::Put(environment(1, "e2", "n"))],
        puts([owned(5, 1, 1, 1)]),
    ]
}

fn numbered(store: &dyn Store, number: usize, edits: Vec<Edit>) -> Mutation {
    Mutation { request: Some(request(&number.to_string(), 1)), ..mutation(store.state().revision, edits) }
}

/// Runs the load until the power goes; gives what was acknowledged and what the failed commit was to lead to.
fn run(store: &dyn Store) -> Option<(Contents, Contents)> {
    for (number, edits) in load().into_iter().enumerate() {
        let mutation = numbered(store, number, edits);
        let acknowledged = store.state();
        let next = plan(&acknowledged, &mutation).unwrap().unwrap();
        if let Err(error) = store.commit(mutation) {
            assert!(matches!(error, StoreError::FateUnknown { .. } | StoreError::Failed { .. }), "{error:?}");
            return Some((contents(&acknowledged), contents(&next.state)));
        }
        assert_eq!(contents(&store.state()), contents(&next.state));
    }
    None
}

/// While the power is off, the store shows what was acknowledged and does nothing else.
fn check_off(store: &dyn Store, acknowledged: &Contents) {
    assert_eq!(contents(&store.state()), *acknowledged);
    let head = acknowledged.0;
    store.commit(mutation(head, puts([account(3, "three")]))).unwrap_err();
    store.changes_after(Revision::ZERO, 10).unwrap_err();
    store.replay(&request("0", 1)).unwrap_err();
    store.credentials().unwrap_err();
}

/// The store is at the last acknowledged commit or at the next one, whole: objects, log and request together.
fn check_on(store: &dyn Store, (acknowledged, next): &(Contents, Contents)) -> Contents {
    store.changes_after(Revision::ZERO, 1).unwrap();
    let found = contents(&store.state());
    assert!(found == *acknowledged || found == *next, "neither the acknowledged state nor the next one");
    let log = store.changes_after(Revision::ZERO, usize::MAX).unwrap();
    assert!(log.iter().map(|entry| entry.revision.get()).eq(1..=found.0.get()));
    for number in 0..load().len() as u64 {
        let recorded = store.replay(&request(&number.to_string(), 1)).unwrap();
        assert_eq!(recorded.map(|it| it.revision.get()), (number < found.0.get()).then_some(number + 1));
    }
    store.commit(mutation(found.0, puts([account(3, "three")]))).unwrap();
    assert_eq!(store.state().revision.get(), found.0.get() + 1);
    found
}

/// Cuts the power at every sync of the load, and hands the disk and the store to `recover`, which tells where it is.
fn at_every_cut(recover: fn(Disk, EmbeddedStore, &(Contents, Contents)) -> Contents) {
    let (mut absent, mut whole) = (0, 0);
    for reached in REACHED {
        for at in 1.. {
            let disk = Disk::new();
            let store = disk.store();
            disk.cut(at, reached);
            let Some(states) = run(&store) else { break };
            check_off(&store, &states.0);
            let found = recover(disk, store, &states);
            *(if found == states.0 { &mut absent } else { &mut whole }) += 1;
        }
    }
    assert!(absent + whole >= REACHED.len() * load().len(), "only {absent} and {whole} cuts");
    assert!(whole > 0, "no commit of unknown fate was ever there");
}

#[test]
fn a_loss_of_power_leaves_the_last_commit_or_the_next_one_whole() {
    at_every_cut(|disk, store, states| {
        drop(store);
        disk.power_on();
        check_on(&disk.store(), states)
    });
}

#[test]
fn a_store_of_unknown_fate_reloads_before_it_does_anything() {
    at_every_cut(|disk, store, states| {
        let mut head = store.watch();
        head.mark_unchanged();
        disk.power_on();
        store.changes_after(Revision::ZERO, 1).unwrap();
        let landed = contents(&store.state()) != states.0;
        assert_eq!(head.has_changed().unwrap(), landed, "watchers are woken by what became durable");
        check_on(&store, states)
    });
}

#[test]
fn a_retry_after_an_unknown_fate_happens_once() {
    at_every_cut(|disk, store, (acknowledged, next)| {
        disk.power_on();
        let number = usize::try_from(acknowledged.0.get()).unwrap();
        let edits = load().swap_remove(number);
        let retry = Mutation { expected: acknowledged.0, ..numbered(&store, number, edits) };
        store.commit(retry).unwrap();
        assert_eq!(contents(&store.state()), *next);
        next.clone()
    });
}

#[test]
fn a_store_that_lost_what_it_acknowledged_is_refused() {
    let disk = Disk::new();
    let store = disk.store();
    store.commit(mutation(Revision::ZERO, puts([account(1, "one")]))).unwrap();
    disk.cut(1, Reached::None);
    store.commit(mutation(Revision::new(1), puts([account(2, "two")]))).unwrap_err();
    disk.on().durable = Disk::new().on().durable.clone();
    disk.power_on();
    let refused = store.commit(mutation(Revision::new(1), puts([account(2, "two")])));
    assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{refused:?}");
    assert_eq!(store.state().revision, Revision::new(1));
}

/// Takes rows; among them a write fails, and the power comes back.
struct Failing<'s> {
    disk: &'s Disk,
    store: &'s EmbeddedStore,
    rows: usize,
}

impl Sink for Failing<'_> {
    fn head(&mut self, _: &Head) -> Result<(), DumpError> {
        Ok(())
    }

    fn row(&mut self, _: Row) -> Result<(), DumpError> {
        self.rows += 1;
        if self.rows == 2 {
            let head = self.store.state().revision;
            self.disk.cut(1, Reached::None);
            self.store.commit(mutation(head, puts([account(3, "three")]))).unwrap_err();
            self.disk.power_on();
            self.store.commit(mutation(head, puts([account(3, "three")]))).unwrap();
        }
        Ok(())
    }
}

/// A backup holds up nobody who reads the store anew, and is never one of two readings.
#[test]
fn a_store_of_unknown_fate_reloads_under_a_backup_which_ends() {
    let disk = Disk::new();
    let store = disk.store();
    assert!(run(&store).is_none());
    let refused = store.dump(&mut Failing { disk: &disk, store: &store, rows: 0 }).unwrap_err();
    assert!(matches!(refused, DumpError::Store(StoreError::Failed { .. })), "{refused}");
    assert_eq!(store.state().revision.get(), load().len() as u64 + 1);
}
