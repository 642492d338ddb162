//! What a watcher is told beside the events.

use std::sync::atomic::{AtomicI64, Ordering};

use futures_util::StreamExt as _;
use jiff::Timestamp;
use prost::Message as _;

use super::*;
use crate::compile::shipped_global;
use crate::model::account::Account;
use crate::model::id::{AccountId, PolicyId};
use crate::model::level::Level;
use crate::model::mutation::{Actor, Edit, Mutation};
use crate::model::object::{Object, ObjectKey};
use crate::model::policy::Policy;
use crate::model::revision::RevisionToken;
use crate::proto::doorward::watch_response::Event;
use crate::store::memory;

type Stream = <WatchFeed as WatchService>::WatchStream;

fn commit(store: &dyn Store, object: Object) {
    let (actor, at, expected) = (Actor::system(), Timestamp::UNIX_EPOCH, store.state().revision);
    let edits = vec![Edit::Put(object)];
    store.commit(Mutation { actor, at, expected, request: None, subject: ObjectKey::Global, edits }).unwrap();
}

async fn response(stream: &mut Stream) -> pb::WatchResponse {
    let told = stream.next().await.expect("a stream that goes on").expect("an event");
    let bytes = told.encode_to_vec();
    assert_eq!(bytes.len(), told.encoded_len());
    pb::WatchResponse::decode(&*bytes).unwrap()
}

fn account() -> Object {
    let (id, name) = (AccountId::from_bytes([1; 16]), "One".parse().unwrap());
    Object::Account(Account { id, name, strict_boundaries: false })
}

/// A policy of some 100 KB.
fn policy(number: u8) -> Object {
    let (id, name) = (PolicyId::from_bytes([number; 16]), format!("Policy {number}").parse().unwrap());
    let account = AccountId::from_bytes([1; 16]);
    let statements = format!("ALLOW settings:objects:read; // {}", "x".repeat(100_000));
    let level = Level::Account;
    Object::Policy(account, Policy { id, level, name, description: String::new(), tags: Vec::new(), statements })
}

/// A feed of a store that holds something.
fn served(clock: Clock) -> (Arc<dyn Store>, WatchFeed) {
    let store: Arc<dyn Store> = Arc::new(memory::open().unwrap());
    commit(&*store, Object::Global(shipped_global()));
    let feed = WatchFeed::new(Arc::clone(&store), clock, Duration::from_hours(1), Metrics::default());
    (store, feed)
}

async fn watch(feed: &WatchFeed, request: pb::WatchRequest) -> Stream {
    feed.watch(Request::new(request)).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_reset_from_an_image_of_before_says_how_old_it_is() {
    let seconds = Arc::new(AtomicI64::new(0));
    let [hands, wall] = [Arc::clone(&seconds), Arc::clone(&seconds)];
    // Somebody sets the wall clock back all the time.
    let clock = Clock::from_hands(
        move || Timestamp::from_second(-wall.load(Ordering::SeqCst)).unwrap(),
        move || Timestamp::from_second(hands.load(Ordering::SeqCst)).unwrap(),
    );
    let (store, feed) = served(clock);
    // It has read a chunk and keeps the image.
    let mut slow = watch(&feed, pb::WatchRequest::default()).await;
    let first = response(&mut slow).await;
    assert_eq!(first.age, None);
    commit(&*store, account());
    seconds.store(7, Ordering::SeqCst);
    let mut other = watch(&feed, pb::WatchRequest::default()).await;
    let aged = pb::WatchResponse { age: Some(prost_types::Duration { seconds: 7, nanos: 0 }), ..first };
    assert_eq!(response(&mut other).await, aged);
    let next = response(&mut other).await;
    assert!(matches!((&next.event, next.age), (Some(Event::Change(_)), None)), "{next:?}");
}

/// An image is given up after some minutes. Whoever is slower than that is told at its own pace.
#[tokio::test(start_paused = true)]
async fn a_watcher_that_is_too_slow_for_an_image_is_told_the_whole_state_in_the_end() {
    let (store, feed) = served(Clock::system());
    commit(&*store, account());
    for number in 0..40 {
        commit(&*store, policy(number));
    }
    let mut slow = watch(&feed, pb::WatchRequest::default()).await;
    let mut kept = None;
    // Half of what an image lives between two chunks: none of several chunks is read to its end.
    for chunk in 0.. {
        let Some(Event::Reset(reset)) = response(&mut slow).await.event else { panic!("a reset is under way") };
        if reset.first {
            kept = Some(Vec::new());
        }
        let chunks = kept.as_mut().unwrap();
        chunks.push(reset.objects.len());
        if reset.last {
            break;
        }
        assert!(chunk < 40, "it is never told the whole state");
        tokio::time::sleep(Duration::from_secs(150)).await;
    }
    let objects = store.state().records().count();
    assert_eq!(kept.map(|chunks| chunks.iter().sum()), Some(objects));
}

/// The window comes to a commit a moment after the store: what is asked for in between is looked at when it has.
#[tokio::test]
async fn a_state_that_is_not_the_one_of_before_begins_anew_though_the_window_does_not_know_it_yet() {
    for is_known in [true, false] {
        let (store, feed) = served(Clock::system());
        // No task has its turn between the commit and the call.
        commit(&*store, account());
        let state = store.state();
        let after = RevisionToken { store: store.id(), revision: state.revision }.to_string();
        let own = state.sums().whole().digest().as_bytes().to_vec();
        let digest = if is_known { own } else { vec![1; 32] };
        let mut stream = watch(&feed, pb::WatchRequest { after, digest, ..Default::default() }).await;
        let event = response(&mut stream).await.event;
        assert_eq!(matches!(event, Some(Event::Heartbeat(_))), is_known, "{event:?}");
        assert_eq!(matches!(event, Some(Event::Reset(_))), !is_known, "{event:?}");
    }
}
