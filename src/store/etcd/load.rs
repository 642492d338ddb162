//! How a store is made and read as a whole.

use serde::{Deserialize, Serialize};

use crate::model::object::{Change, Object, Record};
use crate::model::revision::{Revision, StoreId};
use crate::model::state::State;

use super::super::api::{LogEntry, StoreError};
use super::super::format::{decode, row};
use super::client::{CallFailed, Client};
use super::error::EtcdError;
use super::layout::{Keys, Series};
use super::overlay::Overlay;
use super::pages::Pages;
use super::replica::{Replica, Stand, encoded};
use super::wire::pb::{Compare, KeyValue, RangeResponse, TxnRequest};
use super::wire::{empty, get, put, unchanged};

/// The version of the layout. What reads one refuses every other.
const FORMAT: &str = "1";
/// Objects that are read at a time.
const PAGE: i64 = 2_000;
/// How often a reading is begun anew because etcd has compacted what it was reading.
const TRIES: usize = 5;

/// The value of the key `meta`.
#[derive(Debug, Serialize, Deserialize)]
struct Meta {
    format: String,
    store: StoreId,
}

/// Which store is below some keys, and which try to make one it came of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) store: StoreId,
    /// When in etcd `meta` was written, which is done once: another store below the same keys has another time.
    pub(super) written: i64,
}

/// How a reading of the whole state ended.
enum Reading {
    /// The state, and the revision of etcd at which it was read.
    Whole(Stand, i64),
    /// What was to be read is compacted by now.
    TooOld(CallFailed),
}

/// The identity of the store below these keys, which is made if nothing is there. Of several processes that find
/// nothing, one makes it.
pub(super) async fn identity(client: &Client, keys: &Keys, place: &str) -> Result<Identity, StoreError> {
    let request = TxnRequest {
        compare: vec![empty(keys.all())],
        success: vec![
            put(keys.meta(), meta(StoreId::random())?),
            put(keys.head(), encoded("head", &Revision::ZERO)?),
            // From the beginning, so that an audit that lost its first events is never taken for one that was compacted.
            put(keys.audit_start(), encoded("audit-start", &Revision::ZERO)?),
        ],
        failure: Vec::new(),
    };
    let unusable = |failed: CallFailed| StoreError::Remote { place: place.to_owned(), source: failed.error.into() };
    // Whichever of them it was that made it, it is there afterwards.
    client.txn(request).await.map_err(unusable)?;
    found_identity(client, keys, place).await
}

/// The identity of the store below these keys, where there is one.
pub(super) async fn found_identity(client: &Client, keys: &Keys, place: &str) -> Result<Identity, StoreError> {
    let unusable = |failed: CallFailed| StoreError::Remote { place: place.to_owned(), source: failed.error.into() };
    let found = client.range(get(keys.meta())).await.map_err(unusable)?;
    known(found.kvs.first(), place)
}

/// What the key `meta` of a new store holds.
pub(super) fn meta(store: StoreId) -> Result<Vec<u8>, StoreError> {
    encoded("meta", &Meta { format: FORMAT.to_owned(), store })
}

/// The identity that `meta` tells.
pub(super) fn known(meta: Option<&KeyValue>, place: &str) -> Result<Identity, StoreError> {
    let place = place.to_owned();
    let Some(meta) = meta else {
        return Err(StoreError::Foreign { place, found: "it has no key `meta`".to_owned() });
    };
    match decode::<Meta>(&meta.value) {
        Ok(Meta { format, store }) if format == FORMAT => Ok(Identity { store, written: meta.mod_revision }),
        Ok(Meta { format, .. }) => Err(StoreError::Format { place, found: format, known: FORMAT }),
        Err(error) => Err(StoreError::Damaged { place, row: "meta".to_owned(), source: error.into() }),
    }
}

impl Replica {
    /// Reads the state at the head, and publishes it unless a newer one is published.
    pub(super) async fn load(&self) -> Result<(), StoreError> {
        let mut tries = TRIES;
        loop {
            let known = self.revision();
            match self.read_state().await? {
                Reading::Whole(stand, at) => {
                    self.check_successor(stand.state.revision, known)?;
                    return self.replace(stand, at);
                }
                Reading::TooOld(failed) if tries == 0 => return Err(self.unusable(failed)),
                Reading::TooOld(_) => tries -= 1,
            }
        }
    }

    /// Everything is read at one revision of etcd, so that it is one state.
    async fn read_state(&self) -> Result<Reading, StoreError> {
        let reads = [get(self.keys.head()), get(self.keys.pending()), get(self.keys.meta())];
        let (at, [head, pending, meta]) = self.client.read(reads).await.map_err(|failed| self.unusable(failed))?;
        self.check_identity(&meta)?;
        let revision = self.number("head", &head)?.ok_or_else(|| self.damaged("head", "it is missing"))?;
        let overlay = match pending.kvs.first() {
            None => Overlay::default(),
            Some(_) => match self.entry_at(revision, at).await? {
                Ok(entry) => Overlay::of(&*entry.changes),
                Err(failed) => return Ok(Reading::TooOld(failed)),
            },
        };
        let head_mod = head.kvs.first().map_or(0, |kv| kv.mod_revision);
        Ok(match self.read_objects(at, revision, overlay).await? {
            Ok(state) => Reading::Whole(Stand { state: state.into(), head_mod }, at),
            Err(failed) => Reading::TooOld(failed),
        })
    }

    /// Holds `meta`, as it was read, against the one that this replica began with. What is read together with another
    /// one is of another history, whatever revisions it names.
    pub(super) fn check_identity(&self, meta: &RangeResponse) -> Result<(), StoreError> {
        let Some(kv) = meta.kvs.first() else {
            return Err(self.damaged("meta", "it is gone: the store was deleted; start this process anew"));
        };
        let found = known(Some(kv), &self.place)?;
        if found == self.identity {
            return Ok(());
        }
        let (found, expected) = (found.store, self.identity.store);
        Err(self.damaged("meta", format!("store {found} came in the place of {expected}; start this process anew")))
    }

    /// The same of `meta` as it is now.
    pub(super) async fn check_store(&self) -> Result<(), StoreError> {
        let meta = self.client.range(get(self.keys.meta())).await.map_err(|failed| self.unusable(failed))?;
        self.check_identity(&meta)
    }

    /// The condition that the store is still the one that this replica began with.
    pub(super) fn same_store(&self) -> Compare {
        unchanged(self.keys.meta(), self.identity.written)
    }

    /// The log entry of the head whose objects were not all written at the revision `at` of etcd, at which its parts are
    /// read too: by now they may be taken away. etcd may have forgotten that revision.
    pub(super) async fn entry_at(
        &self,
        revision: Revision,
        at: i64,
    ) -> Result<Result<LogEntry, CallFailed>, StoreError> {
        let mut request = get(self.keys.document(Series::Log, revision));
        request.revision = at;
        let answer = match self.client.range(request).await {
            Err(failed) if matches!(failed.error, EtcdError::Compacted) => return Ok(Err(failed)),
            answer => answer.map_err(|failed| self.unusable(failed))?,
        };
        let missing = |what| self.damaged(format!("revision {revision} of the log"), what);
        let row = self.row(answer.kvs.first().ok_or_else(|| missing("it is missing"))?)?;
        match self.entry_of_row(row, at).await {
            Err(StoreError::Remote { source, .. }) if EtcdError::is_compacted(&*source) => {
                Ok(Err(CallFailed { error: EtcdError::Compacted, may_be_done: false }))
            }
            entry => Ok(Ok(entry?.ok_or_else(|| missing("a part is missing"))?)),
        }
    }

    async fn read_objects(
        &self,
        at: i64,
        head: Revision,
        mut overlay: Overlay,
    ) -> Result<Result<State, CallFailed>, StoreError> {
        let mut state = State::default();
        let mut apply = |record| self.apply(&mut state, head, record);
        let mut pages = Pages::of(self.keys.objects(), at, PAGE);
        loop {
            match pages.next(&self.client).await {
                Ok(Some(page)) => page.iter().try_for_each(|kv| self.each_of_row(kv, &mut overlay, &mut apply))?,
                Ok(None) => break,
                Err(failed) if matches!(failed.error, EtcdError::Compacted) => return Ok(Err(failed)),
                Err(failed) => return Err(self.unusable(failed)),
            }
        }
        overlay.before(None).try_for_each(apply)?;
        state.revision = head;
        Ok(Ok(state))
    }

    /// Tells `each` the object of a row, and what the overlay has before it.
    pub(super) fn each_of_row<E: From<StoreError>>(
        &self,
        kv: &KeyValue,
        overlay: &mut Overlay,
        each: &mut impl FnMut(Record<Object>) -> Result<(), E>,
    ) -> Result<(), E> {
        let objects = self.keys.objects().start;
        let name = Keys::rest(&kv.key, &objects);
        let name = name.ok_or_else(|| self.damaged(String::from_utf8_lossy(&kv.key), "it is no row of an object"))?;
        overlay.before(Some(name)).try_for_each(&mut *each)?;
        if !overlay.keeps(name) {
            return Ok(());
        }
        let record: Record<Object> = self.decoded(name, &kv.value)?;
        if row(&record.value.key()) != name {
            return Err(self.damaged(format!("object `{name}`"), "it holds another object").into());
        }
        each(record)
    }

    fn apply(&self, state: &mut State, head: Revision, record: Record<Object>) -> Result<(), StoreError> {
        let name = row(&record.value.key());
        let applied = state.apply(head, [&Change::Put(record)]);
        applied.map_err(|error| self.damaged(format!("object `{name}`"), error))
    }
}
