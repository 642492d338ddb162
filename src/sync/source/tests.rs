//! One control plane after the other, when the first one is no good.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Response;
use tonic::transport::Server;

use super::super::apply::Applied;
use super::super::follow::{Follower, Identity, Newest, StreamLimits};
use super::super::testing::{event, furnished, heartbeat, reset, state, store_id};
use super::*;
use crate::clock::Clock;
use crate::proto::doorward::watch_response::Event;
use crate::proto::doorward::watch_service_server::{WatchService, WatchServiceServer};
use crate::telemetry::metrics::Metrics;

const LIMITS: StreamLimits = StreamLimits {
    first_event: Duration::from_secs(1),
    idle: Duration::from_secs(2),
    backoff_least: Duration::from_millis(10),
    backoff_most: Duration::from_millis(50),
    again: Duration::from_hours(1),
    lifetime: Duration::from_hours(1),
};

/// A control plane that tells these events to each stream, and nothing more.
#[derive(Clone)]
struct Told(Vec<pb::WatchResponse>);

#[tonic::async_trait]
impl WatchService for Told {
    type WatchStream = Pin<Box<dyn tokio_stream::Stream<Item = Result<pb::WatchResponse, Status>> + Send>>;

    async fn watch(&self, _: Request<pb::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        use tokio_stream::StreamExt as _;
        let events = tokio_stream::iter(self.0.clone()).map(Ok).chain(tokio_stream::pending());
        Ok(Response::new(Box::pin(events)))
    }

    async fn report_applied(
        &self,
        _: Request<pb::ReportAppliedRequest>,
    ) -> Result<Response<pb::ReportAppliedResponse>, Status> {
        Ok(Response::new(pb::ReportAppliedResponse {}))
    }
}

async fn serve(events: Vec<pb::WatchResponse>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = Server::builder().add_service(WatchServiceServer::new(Told(events)));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    url
}

fn whole(revision: u64) -> pb::WatchResponse {
    reset(store_id(), &state(revision, furnished()))
}

/// Whichever is asked first, a sidecar ends at the state of the second one.
async fn check_left(first: String) {
    let second = serve(vec![whole(9), heartbeat(9, 9)]).await;
    let folder = tempfile::tempdir().unwrap();
    let token_file = folder.path().join("token");
    std::fs::write(&token_file, "x").unwrap();
    let source = Arc::new(RemoteSource::new(&[first, second], token_file).unwrap());
    // The first one has the first turn.
    source.turn.store(0, Ordering::Relaxed);
    let (newest, mut seen) = watch::channel(Newest::default());
    let (clock, refused) = (Clock::from_fn(|| jiff::Timestamp::UNIX_EPOCH), watch::Sender::new(None));
    let (metrics, identity) = (Metrics::default(), Identity::default());
    let follower = Follower { source, limits: LIMITS, clock, metrics, identity, newest, refused };
    let task = tokio::spawn(follower.run(Applied::default()));
    let at_second = |newest: &Newest| newest.state.as_ref().is_some_and(|(_, state)| state.revision.get() == 9);
    let reached = tokio::time::timeout(Duration::from_mins(1), seen.wait_for(at_second)).await;
    assert!(reached.is_ok(), "the first one is never left");
    task.abort();
}

#[tokio::test]
async fn a_control_plane_that_takes_connections_and_says_nothing_is_left() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    check_left(format!("http://{}", silent.local_addr().unwrap())).await;
}

#[tokio::test]
async fn a_control_plane_that_opens_a_stream_and_says_nothing_is_left() {
    let url = serve(Vec::new()).await;
    check_left(url).await;
}

/// Its heartbeats tell that it is cut off from its store: they are no news.
#[tokio::test]
async fn a_control_plane_that_is_cut_off_is_left() {
    let mut beat = heartbeat(5, 5);
    if let Some(Event::Heartbeat(beat)) = &mut beat.event {
        beat.age = Some(prost_types::Duration { seconds: 60, nanos: 0 });
    }
    let url = serve(vec![whole(5), event(beat.event.unwrap())]).await;
    check_left(url).await;
}
