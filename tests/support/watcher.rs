//! A watcher that applies what it is told, as a sidecar does.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code: what goes wrong here fails the test, with its reason"
)]

use std::sync::Arc;
use std::time::Duration;

use doorward::model::object::{Object, Record};
use doorward::model::revision::{Revision, RevisionToken};
use doorward::model::state::State;
use doorward::proto::doorward as pb;
use doorward::proto::doorward::watch_response::Event;
use doorward::proto::doorward::watch_service_client::WatchServiceClient;
use doorward::sync::apply::{Applied, Step};
use tonic::{Status, Streaming};

use crate::control_plane::{Caller, InProcess, bearer};

/// How long a test waits for something that must come: never reached where the code is right.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A stream with what it has added up to.
pub struct Watcher {
    pub stream: Streaming<pb::WatchResponse>,
    pub applied: Applied,
    pub state: Option<Arc<State>>,
}

// === impl Watcher ===

impl Watcher {
    pub async fn open(server: &InProcess) -> Self {
        Self::open_with(server, pb::WatchRequest::default()).await
    }

    pub async fn open_with(server: &InProcess, request: pb::WatchRequest) -> Self {
        let stream = watch(server.caller_with(&[&bearer(&server.watch)]), request).await.unwrap();
        Self { stream, applied: Applied::default(), state: None }
    }

    /// Another stream that is to go on from what this one has.
    pub async fn reopen(self, server: &InProcess, request: pb::WatchRequest) -> Self {
        let Self { mut applied, state, .. } = self;
        let position = applied.position().expect("a complete state");
        applied.begin_stream(true);
        let (after, digest) = (position.token.to_string(), position.digest.as_bytes().to_vec());
        let request = pb::WatchRequest { after, digest, ..request };
        let stream = watch(server.caller_with(&[&bearer(&server.watch)]), request).await.unwrap();
        Self { stream, applied, state }
    }

    /// The next response as it is.
    pub async fn response(&mut self) -> pb::WatchResponse {
        let response = tokio::time::timeout(PATIENCE, self.stream.message()).await.expect("an event in time");
        response.expect("a stream without an error").expect("a stream that goes on")
    }

    /// The next event as it is.
    pub async fn event(&mut self) -> Event {
        self.response().await.event.expect("an event that is known")
    }

    /// The next event, applied as a sidecar does.
    pub async fn step(&mut self) -> Event {
        let response = self.response().await;
        let event = response.event.clone().expect("an event that is known");
        self.apply(response);
        event
    }

    /// Applies a response as a sidecar does.
    pub fn apply(&mut self, response: pb::WatchResponse) {
        if let Step::Moved(moved) = self.applied.event(response).expect("an event that follows") {
            self.state = Some(moved.state);
        }
    }

    /// Every chunk of the reset that is due.
    pub async fn reset(&mut self) -> Vec<pb::Reset> {
        let mut chunks = Vec::new();
        loop {
            let Event::Reset(chunk) = self.step().await else { panic!("a stream begins with a reset") };
            let last = chunk.last;
            chunks.push(chunk);
            if last {
                return chunks;
            }
        }
    }

    pub async fn change(&mut self) -> pb::Change {
        match self.step().await {
            Event::Change(change) => change,
            other => panic!("a change was due, not {other:?}"),
        }
    }

    pub async fn heartbeat(&mut self) -> pb::Heartbeat {
        match self.step().await {
            Event::Heartbeat(beat) => beat,
            other => panic!("a heartbeat was due, not {other:?}"),
        }
    }

    /// Applies changes until the store's head; gives their revisions.
    pub async fn catch_up(&mut self, server: &InProcess) -> Vec<u64> {
        let mut seen = Vec::new();
        while self.revision() != Some(server.store.state().revision) {
            seen.push(self.change().await.revision);
        }
        assert_eq!(self.contents(), server.contents(), "the sum of the events is the store's state");
        seen
    }

    pub fn revision(&self) -> Option<Revision> {
        self.state.as_ref().map(|state| state.revision)
    }

    pub fn contents(&self) -> (Revision, Vec<Record<Object>>) {
        let state = self.state.as_ref().expect("a complete state");
        (state.revision, state.records().collect())
    }
}

pub async fn watch(caller: Caller, request: pb::WatchRequest) -> Result<Streaming<pb::WatchResponse>, Status> {
    WatchServiceClient::new(caller).watch(request).await.map(tonic::Response::into_inner)
}

/// The token of a revision of this server's store.
pub fn token(server: &InProcess, revision: u64) -> String {
    RevisionToken { store: server.store.id(), revision: Revision::new(revision) }.to_string()
}
