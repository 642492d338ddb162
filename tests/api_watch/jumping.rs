//! A store that jumps: what a watcher is told where the log does not lead on.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use doorward::model::account::Account;
use doorward::model::audit::AuditEvent;
use doorward::model::credential::CredentialRecord;
use doorward::model::id::AccountId;
use doorward::model::mutation::{Actor, Mutation, RequestIdentity};
use doorward::model::object::{Change, Object, ObjectKey, Record};
use doorward::model::revision::{Revision, StoreId};
use doorward::model::state::State;
use doorward::proto::doorward as pb;
use doorward::proto::doorward::watch_response::Event;
use doorward::proto::doorward::watch_service_client::WatchServiceClient;
use doorward::proto::watch_server::watch_service_server::WatchServiceServer;
use doorward::services::watch::WatchFeed;
use doorward::store::api::{Committed, Compacted, LogEntry, Retention, Store, StoreError};
use doorward::store::dump::{Dump, DumpError, Sink};
use doorward::sync::apply::Applied;
use tonic::Code;

use crate::at;
use crate::control_plane::InProcess;
use crate::watcher::Watcher;

/// A store whose head is where the test puts it, and whose log cannot be read, or is of something else.
struct Jumping {
    state: Mutex<Arc<State>>,
    /// What the log says of each commit; nothing where it cannot be read.
    log: Mutex<Option<Arc<[Change]>>>,
    head: tokio::sync::watch::Sender<Revision>,
}

// === impl Jumping ===

impl Jumping {
    fn new(state: &State) -> Self {
        Self {
            state: Mutex::new(Arc::new(state.clone())),
            log: Mutex::default(),
            head: tokio::sync::watch::Sender::new(state.revision),
        }
    }

    fn jump(&self, commits: u64) {
        let mut state = self.state.lock().unwrap();
        let mut next = State::clone(&state);
        next.revision = Revision::new(state.revision.get() + commits);
        *state = Arc::new(next);
        self.head.send_replace(state.revision);
    }
}

impl Dump for Jumping {
    fn dump(&self, _: &mut dyn Sink) -> Result<(), DumpError> {
        Err(StoreError::Exhausted.into())
    }
}

impl Store for Jumping {
    fn id(&self) -> StoreId {
        "7f1c2c1e3a524b7c9a510d2f6f3b8e44".parse().unwrap()
    }

    fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.lock().unwrap())
    }

    fn commit(&self, _: Mutation) -> Result<Committed, StoreError> {
        Err(StoreError::Exhausted)
    }

    fn replay(&self, _: &RequestIdentity) -> Result<Option<Committed>, StoreError> {
        Err(StoreError::Exhausted)
    }

    fn changes_after(&self, after: Revision, _: usize) -> Result<Vec<LogEntry>, StoreError> {
        let changes = self.log.lock().unwrap().clone().ok_or(StoreError::Exhausted)?;
        let (actor, subject) = (Actor::system(), ObjectKey::Global);
        let revision = after.next().ok_or(StoreError::Exhausted)?;
        Ok(vec![LogEntry { revision, at: at(), actor, request: None, subject, changes }])
    }

    fn log_start(&self) -> Result<Revision, StoreError> {
        Err(StoreError::Exhausted)
    }

    fn audit_after(&self, _: Revision, _: usize) -> Result<Vec<AuditEvent>, StoreError> {
        Err(StoreError::Exhausted)
    }

    fn compact(&self, _: &Retention, _: jiff::Timestamp) -> Result<Compacted, StoreError> {
        Err(StoreError::Exhausted)
    }

    fn is_loading(&self) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn set_loading(&self, _: bool) -> Result<bool, StoreError> {
        Err(StoreError::Exhausted)
    }

    fn watch(&self) -> tokio::sync::watch::Receiver<Revision> {
        self.head.subscribe()
    }

    fn credentials(&self) -> Result<Vec<CredentialRecord>, StoreError> {
        Err(StoreError::Exhausted)
    }

    fn put_credentials(&self, _: &[CredentialRecord]) -> Result<(), StoreError> {
        Err(StoreError::Exhausted)
    }

    fn first_credentials(&self, _: &[CredentialRecord]) -> Result<bool, StoreError> {
        Err(StoreError::Exhausted)
    }
}

/// A stream of a store that can jump, after its first reset.
async fn jumping() -> (Arc<Jumping>, Watcher) {
    let server = InProcess::start();
    let store = Arc::new(Jumping::new(&server.store.state()));
    let feed =
        WatchFeed::new(Arc::clone(&store) as _, server.clock.clock(), Duration::from_hours(1), server.metrics.clone());
    let mut client = WatchServiceClient::new(WatchServiceServer::new(feed));
    let stream = client.watch(pb::WatchRequest::default()).await.unwrap().into_inner();
    let mut watcher = Watcher { stream, applied: Applied::default(), state: None };
    watcher.reset().await;
    (store, watcher)
}

#[tokio::test]
async fn a_watcher_that_lags_too_far_begins_anew_without_a_gap() {
    let (store, mut watcher) = jumping().await;
    // One more than a watcher may lag (10,000): the log is not asked.
    store.jump(10_001);
    let anew = watcher.reset().await;
    assert_eq!(anew[0].revision, store.state().revision.get());
    assert_eq!(watcher.contents().0, store.state().revision);
}

#[tokio::test]
async fn a_log_that_cannot_be_read_ends_the_stream_and_says_nothing_of_the_disk() {
    let (store, mut watcher) = jumping().await;
    store.jump(10_000);
    let status = watcher.stream.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(!status.message().contains("revision"), "{status:?}");
    assert!(watcher.stream.message().await.unwrap().is_none(), "the stream is at its end");
}

/// What a log adds up to is held against the store at each head: nobody is told one thing by a reset and another by changes.
#[tokio::test]
async fn a_log_that_is_not_of_its_store_is_noticed_and_told_by_a_reset() {
    let (store, mut watcher) = jumping().await;
    let account =
        Account { id: AccountId::from_bytes([9; 16]), name: "None".parse().unwrap(), strict_boundaries: false };
    let value = Object::Account(account);
    let put = Change::Put(Record { created: at(), updated: at(), revision: Revision::new(1), value });
    *store.log.lock().unwrap() = Some([put].into());
    store.jump(1);
    let state = store.state();
    loop {
        match watcher.step().await {
            // The commit may be told before the head is looked at.
            Event::Change(change) => assert_eq!(change.revision, state.revision.get()),
            Event::Reset(chunk) if chunk.last => break,
            Event::Reset(_) => {}
            Event::Heartbeat(beat) => panic!("the store has another digest: {beat:?}"),
        }
    }
    assert_eq!(watcher.contents(), (state.revision, state.records().collect()));
}
