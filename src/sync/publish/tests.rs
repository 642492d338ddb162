//! A bad update keeps the last good snapshot, never widens it, and is counted (design §5.8).

use std::time::Duration;

use super::super::testing::{account, account_id, binding, bound, boundary, furnished, policy, state, store_id};
use super::*;
use crate::model::attribute::Attributes;
use crate::model::decision::{CheckRequest, Decision, RequestParts};
use crate::model::object::Object;

/// A publisher that is told its states by hand.
struct Fixture {
    newest: watch::Sender<Newest>,
    snapshots: SnapshotHandle,
    metrics: Metrics,
    published: watch::Receiver<Option<RevisionToken>>,
}

// === impl Fixture ===

impl Fixture {
    fn start() -> Self {
        Self::start_after(Past::default())
    }

    fn start_after(past: Past) -> Self {
        let (newest, receiver) = watch::channel(Newest::default());
        let (sender, published) = watch::channel(None);
        let (snapshots, metrics) = (SnapshotHandle::default(), Metrics::default());
        let subject = Publisher {
            newest: receiver,
            snapshots: snapshots.clone(),
            published: sender,
            served: watch::Sender::new(None),
            refused: watch::Sender::new(None),
            clock: Clock::from_fn(|| jiff::Timestamp::UNIX_EPOCH),
            metrics: metrics.clone(),
            retired: Vec::new(),
            replaced: Vec::new(),
            past,
        };
        tokio::spawn(subject.run());
        Self { newest, snapshots, metrics, published }
    }

    /// Tells a state that is the newest at `second`.
    fn tell(&self, store: StoreId, revision: u64, objects: Vec<Object>, second: i64) {
        let confirmed = Some((Revision::new(revision), moment(second)));
        let state = Some((store, Arc::new(state(revision, objects))));
        self.newest.send_replace(Newest { state, confirmed, ..Newest::default() });
    }

    async fn published(&mut self, store: StoreId, revision: u64) {
        let token = RevisionToken { store, revision: Revision::new(revision) };
        let wait = self.published.wait_for(|published| *published == Some(token));
        tokio::time::timeout(Duration::from_mins(1), wait).await.expect("a snapshot in time").unwrap();
    }

    /// Waits until this many states were refused.
    async fn rejected(&self, count: u32) {
        let line = format!("\ndoorward_snapshot_builds_rejected_total {count}\n");
        let counted = async {
            while !self.metrics.open_metrics().contains(&line) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), counted).await.expect("a refusal in time");
    }

    /// Waits until nobody holds it any more.
    async fn freed(&self, revision: u64, holders: impl Fn() -> usize) {
        let freed = async {
            for second in 101.. {
                // Whatever wakes the publisher makes it look; a heartbeat does.
                let state = self.newest.borrow().state.clone();
                let confirmed = Some((Revision::new(revision), moment(second)));
                self.newest.send_replace(Newest { state, confirmed, ..Newest::default() });
                if holders() == 0 {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), freed).await.expect("it is freed in time");
    }

    fn age(&self, second: i64) -> u64 {
        self.snapshots.current().unwrap().age(moment(second)).as_secs()
    }

    fn revision(&self) -> u64 {
        self.snapshots.current().unwrap().snapshot.revision().get()
    }

    /// What user 1 may do.
    fn decision(&self) -> Decision {
        let parts =
            RequestParts { user: "1@example.com", environment: "prod", level: "", permission: "settings:schemas:read" };
        let request = CheckRequest::new(parts, Attributes::default(), moment(0)).unwrap();
        let published = self.snapshots.current().unwrap();
        published.snapshot.decide(account_id(1), &request).unwrap().decision()
    }
}

fn moment(second: i64) -> Moment {
    jiff::Timestamp::from_second(second).unwrap().into()
}

/// A state with a binding of a policy that is not there, and one that would take the permission away.
fn broken() -> Vec<Object> {
    let mut objects = furnished();
    objects.extend([policy(1, 2, "DENY settings:schemas:read;"), binding(1, 2), binding(1, 3)]);
    objects
}

#[tokio::test]
async fn a_state_that_does_not_compile_keeps_the_last_good_snapshot() {
    let mut fixture = Fixture::start();
    fixture.tell(store_id(), 1, furnished(), 100);
    fixture.published(store_id(), 1).await;
    assert_eq!((fixture.decision(), fixture.age(100)), (Decision::Allow, 0));

    fixture.tell(store_id(), 2, broken(), 110);
    fixture.rejected(1).await;
    assert_eq!((fixture.revision(), fixture.decision()), (1, Decision::Allow), "the answers are as before");
    assert_eq!(fixture.age(130), 30, "what is not the newest grows old");

    // Heartbeats of the revision that was refused confirm nothing, and it is not built again.
    let state = fixture.newest.borrow().state.clone();
    fixture.newest.send_replace(Newest {
        state,
        confirmed: Some((Revision::new(2), moment(140))),
        ..Newest::default()
    });
    let mut next = furnished();
    next.push(policy(1, 2, "DENY settings:schemas:read;"));
    next.push(binding(1, 2));
    tokio::task::yield_now().await;
    assert_eq!(fixture.age(140), 40);
    fixture.tell(store_id(), 3, next, 150);
    fixture.published(store_id(), 3).await;
    fixture.rejected(1).await;
    assert_eq!((fixture.revision(), fixture.decision(), fixture.age(151)), (3, Decision::Deny, 1));
}

#[tokio::test]
async fn every_reason_not_to_build_keeps_the_last_good_snapshot() {
    let mut fixture = Fixture::start();
    fixture.tell(store_id(), 1, furnished(), 0);
    fixture.published(store_id(), 1).await;
    let mut later_language = furnished();
    let Some(Object::Global(global)) = later_language.first_mut() else { panic!("the global level comes first") };
    global.language_version += 1;
    let no_global = furnished().split_off(1);
    for (objects, count) in [(later_language, 1), (no_global, 2), (broken(), 3)] {
        fixture.tell(store_id(), 1 + u64::from(count), objects, 10);
        fixture.rejected(count).await;
        assert_eq!((fixture.revision(), fixture.decision(), fixture.age(10)), (1, Decision::Allow, 10));
    }
}

#[tokio::test]
async fn a_heartbeat_makes_the_current_snapshot_young_again() {
    let mut fixture = Fixture::start();
    fixture.tell(store_id(), 1, furnished(), 0);
    fixture.published(store_id(), 1).await;
    let confirmed = Some((Revision::new(1), moment(50)));
    fixture.newest.send_modify(|newest| newest.confirmed = confirmed);
    // The next state is built after that heartbeat was dealt with.
    let wait = async {
        while fixture.age(60) != 10 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), wait).await.expect("the heartbeat counts");
}

#[tokio::test]
async fn a_revision_of_another_store_confirms_nothing() {
    let mut fixture = Fixture::start();
    fixture.tell(store_id(), 7, furnished(), 0);
    fixture.published(store_id(), 7).await;
    // The control plane was set up anew, is at the same number by chance, and its state cannot be built.
    let other = StoreId::random();
    fixture.tell(other, 7, broken(), 20);
    fixture.rejected(1).await;
    let mut good = furnished();
    good.push(account(2, "two"));
    // The refused state was confirmed before the next one is looked at.
    tokio::task::yield_now().await;
    assert_eq!(fixture.age(20), 20, "what the other store says is no news of ours");
    fixture.tell(other, 3, good, 30);
    fixture.published(other, 3).await;
    assert_eq!((fixture.revision(), fixture.age(30)), (3, 0), "another store's numbers begin anew");
}

#[tokio::test]
async fn the_same_revision_with_another_content_is_built_again() {
    let mut fixture = Fixture::start();
    fixture.tell(store_id(), 5, furnished(), 0);
    fixture.published(store_id(), 5).await;
    // The store was restored from an older copy, and has come to the same number on another way.
    let mut other = furnished();
    other.extend([policy(1, 2, "DENY settings:schemas:read;"), binding(1, 2)]);
    fixture.tell(store_id(), 5, other, 10);
    let flipped = async {
        while fixture.decision() != Decision::Deny {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), flipped).await.expect("the other content is served");
}

#[tokio::test]
async fn a_store_that_goes_back_is_refused_and_counted() {
    let mut fixture = Fixture::start();
    fixture.tell(store_id(), 5, furnished(), 0);
    fixture.published(store_id(), 5).await;
    fixture.tell(store_id(), 4, furnished(), 10);
    fixture.rejected(1).await;
    assert_eq!((fixture.revision(), fixture.age(10)), (5, 10), "what was refused confirms nothing");
}

/// A revision of the store that events come from.
fn token(revision: u64) -> RevisionToken {
    RevisionToken { store: store_id(), revision: Revision::new(revision) }
}

#[tokio::test]
async fn a_state_from_before_a_restart_is_refused_until_the_control_plane_has_caught_up() {
    let mut fixture = Fixture::start_after(Past { answered: Some(token(9)), given_up: None });
    fixture.tell(store_id(), 7, furnished(), 0);
    fixture.rejected(1).await;
    fixture.tell(store_id(), 8, furnished(), 10);
    fixture.rejected(2).await;
    assert!(fixture.snapshots.current().is_err(), "it was answered from");
    fixture.tell(store_id(), 9, furnished(), 20);
    fixture.published(store_id(), 9).await;
    assert_eq!((fixture.revision(), fixture.age(20)), (9, 0), "what was answered from is answered from");
}

#[tokio::test]
async fn another_store_is_not_held_against_what_was_before_a_restart() {
    let mut fixture = Fixture::start_after(Past { answered: Some(token(9)), given_up: None });
    let restored = StoreId::random();
    fixture.tell(restored, 1, furnished(), 0);
    fixture.published(restored, 1).await;
    fixture.tell(store_id(), 8, furnished(), 10);
    fixture.rejected(1).await;
    assert_eq!(fixture.revision(), 1, "but the one of before is, whatever came in between");
}

#[tokio::test]
async fn what_was_begun_with_is_given_up_once_where_that_is_asked_for() {
    let mut fixture = Fixture::start_after(Past { answered: None, given_up: Some(token(9)) });
    fixture.tell(store_id(), 9, furnished(), 0);
    fixture.published(store_id(), 9).await;
    fixture.tell(store_id(), 4, furnished(), 10);
    fixture.published(store_id(), 4).await;
    assert_eq!((fixture.revision(), fixture.age(10)), (4, 0));
    fixture.tell(store_id(), 3, furnished(), 20);
    fixture.rejected(1).await;
    assert_eq!(fixture.revision(), 4, "from then on it is the newest");
}

#[tokio::test]
async fn what_was_begun_with_is_not_given_up_once_a_control_plane_has_told_of_it() {
    let mut fixture = Fixture::start_after(Past { answered: None, given_up: Some(token(9)) });
    fixture.tell(store_id(), 9, furnished(), 0);
    fixture.published(store_id(), 9).await;
    let known = Some((Revision::new(9), moment(5)));
    let (state, confirmed) = (Some((store_id(), Arc::new(state(4, furnished())))), Some((Revision::new(4), moment(3))));
    fixture.newest.send_replace(Newest { state, confirmed, known, ..Newest::default() });
    fixture.rejected(1).await;
    assert_eq!(fixture.revision(), 9);
}

#[tokio::test]
async fn r30_retired_statements_are_counted() {
    let mut fixture = Fixture::start();
    let mut objects = furnished();
    objects.extend([policy(1, 2, "ALLOW settings:schemas:read, gone:for:good;"), binding(1, 2)]);
    fixture.tell(store_id(), 1, objects, 0);
    fixture.published(store_id(), 1).await;
    let line = "\ndoorward_snapshot_statements_retired 1\n";
    assert!(fixture.metrics.open_metrics().contains(line), "{}", fixture.metrics.open_metrics());
}

#[tokio::test]
async fn r30_an_allow_under_a_retired_boundary_is_counted() {
    let mut fixture = Fixture::start();
    let mut objects = furnished();
    // The second statement is a DENY, which no boundary narrows.
    objects.push(policy(1, 2, "ALLOW settings:schemas:read; DENY settings:objects:read;"));
    objects.push(boundary(1, 1, "gone:for.good = \"x\";"));
    objects.push(bound(1, 2, [1]));
    fixture.tell(store_id(), 1, objects, 0);
    fixture.published(store_id(), 1).await;
    let line = "\ndoorward_snapshot_statements_retired 1\n";
    assert!(fixture.metrics.open_metrics().contains(line), "{}", fixture.metrics.open_metrics());
}

/// Nothing is shared with the state after a reset, so that freeing it takes as long as freeing the snapshot does.
#[tokio::test]
async fn a_replaced_state_waits_for_its_snapshot() {
    let mut fixture = Fixture::start();
    fixture.tell(store_id(), 1, furnished(), 100);
    let old = fixture.newest.borrow().state.as_ref().map(|(_, state)| Arc::downgrade(state)).unwrap();
    fixture.published(store_id(), 1).await;
    let held = fixture.snapshots.current().unwrap();
    for revision in 2..4 {
        fixture.tell(store_id(), revision, furnished(), 100);
        fixture.published(store_id(), revision).await;
    }
    assert!(old.strong_count() > 0, "it was freed on a thread that serves");
    drop(held);
    fixture.freed(3, || old.strong_count()).await;
}

#[tokio::test]
async fn a_request_that_holds_an_old_snapshot_does_not_free_it() {
    let mut fixture = Fixture::start();
    fixture.tell(store_id(), 1, furnished(), 100);
    fixture.published(store_id(), 1).await;
    let held = fixture.snapshots.current().unwrap();
    let old = Arc::downgrade(&held.snapshot);
    for revision in 2..4 {
        fixture.tell(store_id(), revision, furnished(), 100);
        fixture.published(store_id(), revision).await;
    }
    drop(held);
    assert!(old.strong_count() > 0, "the request freed it");
    fixture.freed(3, || old.strong_count()).await;
}
