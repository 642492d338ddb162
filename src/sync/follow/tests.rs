//! The stream client in time that stands still until everybody waits: the waits are exact.

use std::collections::VecDeque;
use std::sync::Mutex;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response};

use super::super::source::LocalSource;
use super::super::testing::{chunks, empty_change, event, furnished, heartbeat, reset, state, store_id};
use super::*;
use crate::proto::doorward::watch_response::Event;
use crate::proto::doorward::watch_service_server::{WatchService, WatchServiceServer};

const LIMITS: StreamLimits = StreamLimits {
    first_event: Duration::from_secs(10),
    idle: Duration::from_secs(4),
    backoff_least: Duration::from_millis(50),
    backoff_most: Duration::from_secs(5),
    again: Duration::from_secs(30),
    lifetime: Duration::from_secs(100),
};

/// What a stream does.
#[derive(Clone)]
enum Act {
    /// The call to open it is answered so.
    Refuse(Code),
    /// The call to open it is never answered.
    Hang,
    Tell(pb::WatchResponse),
    Wait(Duration),
    /// An error in the stream.
    Fail(Code),
    /// Nothing more comes, and it does not end.
    Silence,
}

/// Streams as they are scripted; the one after the last hangs.
#[derive(Clone, Default)]
struct Scripted {
    scripts: Arc<Mutex<VecDeque<Vec<Act>>>>,
    opened: Arc<Mutex<Vec<(Instant, pb::WatchRequest)>>>,
}

#[tonic::async_trait]
impl WatchService for Scripted {
    type WatchStream = ReceiverStream<Result<pb::WatchResponse, Status>>;

    async fn watch(&self, request: Request<pb::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        self.opened.lock().unwrap().push((Instant::now(), request.into_inner()));
        let script = self.scripts.lock().unwrap().pop_front().unwrap_or_else(|| vec![Act::Hang]);
        match script.first() {
            Some(Act::Refuse(code)) => return Err(Status::new(*code, "scripted")),
            Some(Act::Hang) => std::future::pending().await,
            _ => {}
        }
        let (out, events) = mpsc::channel(1);
        tokio::spawn(play(script, out));
        Ok(Response::new(ReceiverStream::new(events)))
    }

    async fn report_applied(
        &self,
        _: Request<pb::ReportAppliedRequest>,
    ) -> Result<Response<pb::ReportAppliedResponse>, Status> {
        Err(Status::unimplemented("nobody reports here"))
    }
}

async fn play(script: Vec<Act>, out: mpsc::Sender<Result<pb::WatchResponse, Status>>) {
    for act in script {
        let sent = match act {
            Act::Tell(event) => out.send(Ok(event)).await,
            Act::Fail(code) => out.send(Err(Status::new(code, "scripted"))).await,
            Act::Wait(time) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
            Act::Silence => {
                out.closed().await;
                Ok(())
            }
            Act::Refuse(_) | Act::Hang => Ok(()),
        };
        if sent.is_err() {
            return;
        }
    }
}

/// What came of the scripts: the waits between streams, and the newest state.
struct Followed {
    waits: Vec<Duration>,
    /// What each stream was asked to go on from.
    asked: Vec<String>,
    newest: Newest,
    refused: Option<Refused>,
    metrics: String,
}

/// Follows until every script was played.
async fn follow(scripts: Vec<Vec<Act>>) -> Followed {
    let count = scripts.len();
    let source = Scripted { scripts: Arc::new(Mutex::new(scripts.into())), opened: Arc::default() };
    let (newest, seen) = watch::channel(Newest::default());
    let metrics = Metrics::default();
    let opened = Arc::clone(&source.opened);
    let source = Arc::new(LocalSource::new(WatchServiceServer::new(source)));
    let clock = Clock::from_fn(|| jiff::Timestamp::UNIX_EPOCH);
    let (refused, refusals) = watch::channel(None);
    let (identity, metrics_of) = (Identity::default(), metrics.clone());
    let follower = Follower { source, limits: LIMITS, clock, metrics: metrics_of, identity, newest, refused };
    let task = tokio::spawn(follower.run(Applied::default()));
    while opened.lock().unwrap().len() <= count {
        // Time moves on only where every task waits.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    task.abort();
    let opened = opened.lock().unwrap();
    let waits = opened.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    let asked = opened.iter().map(|(_, request)| request.after.clone()).collect();
    let (newest, refused) = (seen.borrow().clone(), refusals.borrow().clone());
    Followed { waits, asked, newest, refused, metrics: metrics.open_metrics() }
}

/// The whole state at `revision`.
fn whole(revision: u64) -> Act {
    Act::Tell(reset(store_id(), &state(revision, furnished())))
}

/// A heartbeat of what [`whole`] told.
fn beat(revision: u64) -> Act {
    Act::Tell(heartbeat(revision, revision))
}

/// A change upon what [`whole`] told at revision `made`.
fn moved(revision: u64, made: u64) -> Act {
    Act::Tell(empty_change(revision, made))
}

/// The wait after `failures` failures in a row: the random part is at most a half.
fn assert_backoff(wait: Duration, failures: u32) {
    assert_waited(wait, Duration::ZERO, failures);
}

/// The same after a stream that lived for `life`.
fn assert_waited(wait: Duration, life: Duration, failures: u32) {
    let wait = wait.checked_sub(life).expect("a stream that lived so long");
    let most = (LIMITS.backoff_least * 2_u32.pow(failures)).min(LIMITS.backoff_most);
    assert!(most / 2 <= wait && wait <= most + Duration::from_millis(2), "{wait:?} after {failures} failures");
}

fn revision(followed: &Followed) -> Option<u64> {
    followed.newest.state.as_ref().map(|(_, state)| state.revision.get())
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_falls_silent_ends_at_the_idle_limit() {
    let followed = follow(vec![vec![whole(1), Act::Silence]]).await;
    assert_waited(followed.waits[0], LIMITS.idle, 0);
    assert_eq!(revision(&followed), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_a_first_event_ends_at_its_limit() {
    let followed = follow(vec![vec![Act::Silence], vec![Act::Hang]]).await;
    assert_waited(followed.waits[0], LIMITS.first_event, 1);
    assert_waited(followed.waits[1], LIMITS.first_event, 2);
    assert!(followed.newest.state.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stream_with_heartbeats_lives() {
    let mut script = vec![whole(1)];
    for _ in 0..10 {
        script.extend([Act::Wait(Duration::from_secs(3)), beat(1)]);
    }
    let followed = follow(vec![script]).await;
    assert_waited(followed.waits[0], Duration::from_secs(30), 0);
    assert!(followed.metrics.contains("watch_events_total{event=\"heartbeat\"} 10"), "{}", followed.metrics);
    assert_eq!(followed.newest.confirmed.map(|(revision, _)| revision.get()), Some(1));
}

#[tokio::test(start_paused = true)]
async fn the_backoff_doubles_and_is_bounded() {
    let followed = follow(vec![vec![Act::Refuse(Code::Unavailable)]; 12]).await;
    for (wait, failures) in followed.waits.iter().zip(1..) {
        assert_backoff(*wait, failures);
    }
    assert!(followed.metrics.contains("watch_connects_total{outcome=\"error\"} 12"), "{}", followed.metrics);
}

/// After five failures the backoff is seconds; after `script` it is what `failures` failures make it.
async fn check_after(script: Vec<Act>, failures: u32) {
    let begun = vec![whole(1), Act::Fail(Code::Unavailable)];
    let mut scripts = vec![begun];
    scripts.extend(vec![vec![Act::Refuse(Code::Unavailable)]; 5]);
    scripts.push(script);
    let followed = follow(scripts).await;
    assert_backoff(followed.waits[5], 5);
    assert_backoff(followed.waits[6], failures);
}

#[tokio::test(start_paused = true)]
async fn a_good_stream_resets_the_backoff() {
    check_after(vec![whole(2)], 0).await;
    check_after(vec![whole(1), moved(2, 1), Act::Fail(Code::Internal)], 0).await;
    // Nothing has changed in the meantime: it was good all the same.
    check_after(vec![whole(1), beat(1)], 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_brought_nothing_new_or_was_given_up_does_not() {
    check_after(vec![], 6).await;
    check_after(vec![whole(1)], 6).await;
    check_after(vec![whole(2), moved(9, 2)], 6).await;
}

#[tokio::test(start_paused = true)]
async fn after_a_rejected_event_the_state_is_asked_for_anew() {
    let part = chunks(store_id(), &state(9, furnished()), 3).remove(0);
    let followed = follow(vec![
        vec![whole(1), moved(3, 1), Act::Silence],
        // A reset that breaks off is forgotten with its stream.
        vec![Act::Tell(event(Event::Reset(part))), Act::Fail(Code::Unavailable)],
        vec![moved(2, 1), Act::Silence],
        vec![whole(3), moved(4, 3)],
    ])
    .await;
    assert!(
        followed.waits.iter().all(|wait| *wait < LIMITS.idle),
        "none of them waited for a limit: {:?}",
        followed.waits
    );
    assert_eq!(revision(&followed), Some(4));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_tried_again() {
    let refused = |code| vec![Act::Refuse(code)];
    let followed = follow(vec![
        refused(Code::Unauthenticated),
        refused(Code::PermissionDenied),
        refused(Code::Unimplemented),
        vec![whole(7)],
    ])
    .await;
    assert_eq!(revision(&followed), Some(7), "the token was exchanged in the meantime");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_is_gone_on_with_and_one_that_erred_is_not() {
    let followed = follow(vec![
        vec![whole(1), moved(2, 1), Act::Fail(Code::Unavailable)],
        vec![moved(3, 1), Act::Fail(Code::Unavailable)],
        // It is refused: the digest is another state's.
        vec![moved(4, 9), Act::Silence],
        vec![whole(5), Act::Fail(Code::Unavailable)],
    ])
    .await;
    let token = |revision| format!("{}.{revision}", store_id());
    assert_eq!(followed.asked, [String::new(), token(2), token(3), String::new(), token(5)]);
    assert_eq!(revision(&followed), Some(5));
    assert!(followed.metrics.contains("watch_events_rejected_total{kind=\"digest\"} 1"), "{}", followed.metrics);
    assert!(followed.refused.unwrap().reason.contains("digest"));
    assert_eq!(followed.newest.streams, 4);
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_opened_anew_when_its_time_is_over() {
    let mut script = vec![whole(1)];
    for _ in 0..40 {
        script.extend([Act::Wait(Duration::from_secs(3)), beat(1)]);
    }
    let followed = follow(vec![script]).await;
    let least = LIMITS.lifetime / 2;
    assert!(least <= followed.waits[0] && followed.waits[0] <= LIMITS.lifetime + LIMITS.idle, "{:?}", followed.waits);
    assert_eq!(followed.asked[1], format!("{}.1", store_id()), "and goes on where it was");
}

/// What a script confirmed, as seconds before its end.
async fn confirmed(script: Vec<Act>) -> (u64, u64) {
    let followed = follow(vec![script]).await;
    let (revision, moment) = followed.newest.confirmed.unwrap();
    let now: Moment = jiff::Timestamp::UNIX_EPOCH.into();
    (revision.get(), now.since(moment).as_secs())
}

fn aged(event: pb::WatchResponse, seconds: i64) -> Act {
    Act::Tell(pb::WatchResponse { age: Some(prost_types::Duration { seconds, nanos: 0 }), ..event })
}

#[tokio::test(start_paused = true)]
async fn what_comes_late_makes_nothing_fresher_and_what_was_known_stays_known() {
    let first = || reset(store_id(), &state(1, furnished()));
    assert_eq!(confirmed(vec![aged(first(), 9)]).await, (1, 9));
    assert_eq!(confirmed(vec![aged(first(), 9), aged(empty_change(2, 1), 5)]).await, (2, 5));
    assert_eq!(confirmed(vec![aged(first(), 5), aged(empty_change(2, 1), 9)]).await, (2, 5));
    let other = reset(StoreId::random(), &state(1, furnished()));
    assert_eq!(confirmed(vec![aged(first(), 5), aged(other, 9)]).await, (1, 9), "of another store nothing is known");
    let older = reset(store_id(), &state(1, furnished()));
    let back = vec![aged(first(), 9), aged(empty_change(2, 1), 5), aged(older, 7)];
    assert_eq!(confirmed(back.clone()).await, (1, 7));
    let again = [back, vec![aged(empty_change(2, 1), 6)]].concat();
    assert_eq!(confirmed(again).await, (2, 5), "what was known of a revision is known when it comes again");
}

/// Behind one address there may be several control planes, of which one is cut off.
#[tokio::test(start_paused = true)]
async fn the_only_address_is_asked_anew_from_time_to_time_while_it_tells_what_is_old() {
    let mut script = vec![whole(1)];
    for _ in 0..40 {
        let old = prost_types::Duration { seconds: 10, nanos: 0 };
        let digest = super::super::testing::digest(&state(1, furnished()));
        let beat = pb::Heartbeat { revision: 1, digest, time: None, age: Some(old), signature: Vec::new() };
        script.extend([Act::Wait(Duration::from_secs(3)), Act::Tell(event(Event::Heartbeat(beat)))]);
    }
    let followed = follow(vec![script]).await;
    let most = LIMITS.again + LIMITS.idle + LIMITS.backoff_most;
    assert!(LIMITS.again <= followed.waits[0] && followed.waits[0] <= most, "{:?}", followed.waits);
    assert_eq!(followed.asked[1], format!("{}.1", store_id()), "and goes on where it was");
}

/// What a control plane tells of the time before its start has no age that anybody knows; who has it from its disk knows one.
#[test]
fn what_was_kept_stays_as_young_as_it_was_while_a_stream_tells_what_follows() {
    let [old, kept, now] = [0, 100, 110].map(Moment::from_nanoseconds);
    let mut newest = Newest { confirmed: Some((Revision::new(5), kept)), ..Newest::default() };
    for (revision, told, expected) in [(6, old, kept), (7, old, kept), (8, now, now), (9, old, now)] {
        newest.confirm(Revision::new(revision), told);
        assert_eq!(newest.confirmed, Some((Revision::new(revision), expected)));
    }
}

#[tokio::test(start_paused = true)]
async fn an_age_that_a_heartbeat_tells_is_counted() {
    let beat = pb::Heartbeat {
        revision: 1,
        digest: super::super::testing::digest(&state(1, furnished())),
        time: None,
        age: Some(prost_types::Duration { seconds: 7, nanos: 0 }),
        signature: Vec::new(),
    };
    let whole = aged(reset(store_id(), &state(1, furnished())), 60);
    assert_eq!(confirmed(vec![whole, Act::Tell(event(Event::Heartbeat(beat)))]).await, (1, 7));
}
