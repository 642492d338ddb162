//! What a call demands of the snapshot: it waits for that inside its deadline, and is never answered from an older one.
//!
//! Time stands still here but where everything waits for it, so a wait that ends without it was ended by what it waited for.

use std::sync::Arc;
use std::time::Duration;

use doorward::model::freshness::FreshnessPolicy;
use doorward::model::limits;
use doorward::proto::doorward as pb;
use doorward::proto::doorward::authorization_service_server::AuthorizationService as _;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::{Code, Request, Status};

use crate::control_plane::fields;
use crate::{Doors, STATE, STORE, question};

const MAX_WAIT: Duration = Duration::from_secs(1);

/// What a test looks at, of whichever call: the revision of its answer.
type Answer = Result<u64, Status>;

/// A question that demands a revision, an age, or nothing, in each of the five calls.
#[derive(Debug, Clone, Copy)]
enum Call {
    Check,
    Batch,
    Resolve,
    List,
    Filter,
}

const CALLS: [Call; 5] = [Call::Check, Call::Batch, Call::Resolve, Call::List, Call::Filter];

#[derive(Debug, Clone, Default)]
struct Demands {
    at_least_revision: String,
    max_age: Option<prost_types::Duration>,
}

impl Demands {
    fn revision(number: u64) -> Self {
        Self { at_least_revision: format!("{STORE}.{number}"), max_age: None }
    }

    fn age(age: Duration) -> Self {
        Self { at_least_revision: String::new(), max_age: Some(age.try_into().unwrap()) }
    }
}

impl Call {
    async fn ask(self, doors: &Doors, demands: Demands, timeout: Option<Duration>) -> Answer {
        let Demands { at_least_revision, max_age } = demands;
        let pb::CheckRequest { user, environment, permission, .. } = question("settings:schemas:read");
        let native = &doors.native;
        match self {
            Self::Check => {
                let message = pb::CheckRequest { at_least_revision, max_age, ..question("settings:schemas:read") };
                native.check(within(message, timeout)).await.map(|answer| answer.into_inner().revision)
            }
            Self::Batch => {
                let items = vec![question("settings:schemas:read")];
                let message = pb::BatchCheckRequest { items, at_least_revision, max_age, ..Default::default() };
                native.batch_check(within(message, timeout)).await.map(|answer| answer.into_inner().revision)
            }
            Self::Resolve => {
                let permissions = vec![pb::PermissionQuery { permission, ..Default::default() }];
                let message = pb::ResolveRequest {
                    user,
                    environment,
                    permissions,
                    at_least_revision,
                    max_age,
                    ..Default::default()
                };
                native.resolve(within(message, timeout)).await.map(|answer| answer.into_inner().revision)
            }
            Self::List => {
                let message =
                    pb::ListPermissionsRequest { user, environment, at_least_revision, max_age, ..Default::default() };
                native.list_permissions(within(message, timeout)).await.map(|answer| answer.into_inner().revision)
            }
            Self::Filter => {
                let message = pb::FilterRequest {
                    user,
                    environment,
                    permission,
                    at_least_revision,
                    max_age,
                    ..Default::default()
                };
                native.filter(within(message, timeout)).await.map(|answer| answer.into_inner().revision)
            }
        }
    }

    /// Asks beside the test, and returns once the call waits.
    async fn wait(self, doors: &Arc<Doors>, demands: Demands) -> JoinHandle<Answer> {
        let before = waiting(doors);
        let asked = Arc::clone(doors);
        let call = tokio::spawn(async move { self.ask(&asked, demands, None).await });
        while waiting(doors) == before {
            assert!(!call.is_finished(), "{self:?} does not wait: {:?}", call.await);
            tokio::task::yield_now().await;
        }
        call
    }
}

fn within<T>(message: T, timeout: Option<Duration>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(timeout) = timeout {
        request.set_timeout(timeout);
    }
    request
}

/// The value of a series that has no labels, or these.
fn series(doors: &Doors, name: &str) -> u64 {
    let metrics = doors.metrics.open_metrics();
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0, |value| value.parse().unwrap())
}

fn waiting(doors: &Doors) -> u64 {
    series(doors, "doorward_freshness_waiting")
}

fn waits(doors: &Doors, outcome: &str) -> u64 {
    series(doors, &format!("doorward_freshness_waits_total{{outcome=\"{outcome}\"}}"))
}

fn open() -> Arc<Doors> {
    Arc::new(Doors::open())
}

#[tokio::test(start_paused = true)]
async fn a_demand_that_is_met_is_answered_at_once() {
    let doors = open();
    doors.clock.pass(Duration::from_secs(30));
    let begun = Instant::now();
    for call in CALLS {
        for demands in [
            Demands::revision(0),
            Demands::revision(40),
            Demands::revision(41),
            Demands::age(Duration::from_secs(30)),
            Demands::age(Duration::from_secs(31)),
            Demands { max_age: Demands::age(Duration::from_secs(30)).max_age, ..Demands::revision(41) },
        ] {
            assert_eq!(call.ask(&doors, demands.clone(), None).await.unwrap(), 41, "{call:?}: {demands:?}");
        }
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert!(!doors.metrics.open_metrics().contains("freshness_waits_total{"), "nothing has waited");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_demands_a_revision_is_woken_by_its_publication() {
    for call in CALLS {
        let doors = open();
        let begun = Instant::now();
        let waits_for = call.wait(&doors, Demands::revision(43)).await;
        // Another one that is not new enough, and news of no other, do not end the wait.
        doors.publish_at(42, &[STATE]);
        doors.snapshots.confirm(doors.clock.now().into());
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(!waits_for.is_finished(), "{call:?} was answered from revision 42");
        doors.publish_at(43, &[STATE]);
        assert_eq!(waits_for.await.unwrap().unwrap(), 43, "{call:?}");
        assert_eq!(begun.elapsed(), Duration::ZERO, "{call:?} was woken by time");
        assert_eq!((waits(&doors, "fresh"), waiting(&doors)), (1, 0), "{call:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_demands_an_age_is_woken_by_a_confirmation() {
    for call in CALLS {
        let doors = open();
        doors.clock.pass(Duration::from_secs(30));
        let begun = Instant::now();
        // At zero, nothing that was known before the call came will do.
        for age in [Duration::from_secs(10), Duration::ZERO] {
            doors.clock.pass(Duration::from_secs(1));
            let needed = doors.clock.now() - age;
            let waits_for = call.wait(&doors, Demands::age(age)).await;
            // However long it has waited by then.
            doors.clock.pass(Duration::from_secs(5));
            doors.snapshots.confirm(needed.into());
            assert_eq!(waits_for.await.unwrap().unwrap(), 41, "{call:?}: {age:?}");
        }
        assert_eq!(begun.elapsed(), Duration::ZERO, "{call:?} was woken by time");
    }
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_that_is_too_old_itself_does_not_end_a_wait() {
    let doors = open();
    doors.clock.pass(Duration::from_secs(30));
    let waits_for = Call::Check.wait(&doors, Demands::age(Duration::from_secs(10))).await;
    doors.snapshots.confirm((doors.clock.now() - Duration::from_millis(10_001)).into());
    let refused = waits_for.await.unwrap().unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_after_the_configured_time_and_says_what_there_is_and_what_was_demanded() {
    let doors = open();
    doors.clock.pass(Duration::from_secs(7));
    for call in CALLS {
        let begun = Instant::now();
        let demands = Demands { max_age: Demands::age(Duration::from_secs(3)).max_age, ..Demands::revision(42) };
        let refused = call.ask(&doors, demands, None).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable, "{call:?}: {refused}");
        for part in ["not_fresh", "at revision 41", "7s ago", "revision 42 or later", "no more than 3s"] {
            assert!(refused.message().contains(part), "{call:?}: no `{part}` in: {refused}");
        }
        let waited = begun.elapsed();
        assert!((MAX_WAIT..MAX_WAIT + Duration::from_millis(5)).contains(&waited), "{call:?}: {waited:?}");
    }
    assert_eq!((waits(&doors, "timeout"), waiting(&doors)), (5, 0));
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_before_the_deadline_of_the_caller() {
    let doors = open();
    for call in CALLS {
        for (timeout, most) in [(500, 500), (50, 50), (10, 10), (1, 1), (0, 1), (60_000, 1_005)] {
            let begun = Instant::now();
            let timeout = Duration::from_millis(timeout);
            let refused = call.ask(&doors, Demands::revision(42), Some(timeout)).await.unwrap_err();
            assert_eq!(refused.code(), Code::Unavailable, "{call:?}: {refused}");
            assert!(begun.elapsed() < Duration::from_millis(most), "{call:?}: {:?} of {timeout:?}", begun.elapsed());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_longest_wait_of_zero_is_none() {
    let policy = FreshnessPolicy { max_wait: Duration::ZERO, ..FreshnessPolicy::default() };
    let doors = Doors::closed_with(None, policy);
    doors.publish(&[STATE]);
    let begun = Instant::now();
    let refused = Call::Check.ask(&doors, Demands::revision(42), None).await.unwrap_err();
    assert_eq!((refused.code(), begun.elapsed()), (Code::Unavailable, Duration::ZERO), "{refused}");
    assert_eq!(Call::Check.ask(&doors, Demands::revision(41), None).await.unwrap(), 41);
}

#[tokio::test(start_paused = true)]
async fn a_call_with_a_demand_waits_for_the_first_snapshot_too() {
    for call in CALLS {
        let doors = Arc::new(Doors::closed(None));
        let begun = Instant::now();
        let refused = call.ask(&doors, Demands::default(), None).await.unwrap_err();
        assert_eq!((refused.code(), begun.elapsed()), (Code::Unavailable, Duration::ZERO), "{call:?}: {refused}");
        let waits_for = call.wait(&doors, Demands::revision(41)).await;
        doors.publish(&[STATE]);
        assert_eq!(waits_for.await.unwrap().unwrap(), 41, "{call:?}");

        let none = Arc::new(Doors::closed(None));
        let refused = call.ask(&none, Demands::revision(41), None).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable, "{call:?}");
        assert!(refused.message().contains("no snapshot"), "{call:?}: {refused}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_revision_of_another_store_is_refused_and_the_field_is_named() {
    let doors = open();
    let demands = Demands { at_least_revision: format!("{}.1", STORE.replace('7', "8")), max_age: None };
    let begun = Instant::now();
    for call in CALLS {
        let refused = call.ask(&doors, demands.clone(), None).await.unwrap_err();
        assert_eq!((refused.code(), fields(&refused)), (Code::InvalidArgument, vec!["at_least_revision".to_owned()]));
        assert!(refused.message().contains("another store"), "{call:?}: {refused}");
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
    // Where the sidecar comes to follow a store while a call waits for another one's, the call does not go on waiting.
    let closed = Arc::new(Doors::closed(None));
    let waits_for = Call::Check.wait(&closed, demands).await;
    closed.publish(&[STATE]);
    assert_eq!(waits_for.await.unwrap().unwrap_err().code(), Code::InvalidArgument);
    assert_eq!((waits(&closed, "error"), begun.elapsed()), (1, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_demand_that_cannot_be_read_is_a_bad_request() {
    let doors = open();
    let age =
        |seconds, nanos| Demands { max_age: Some(prost_types::Duration { seconds, nanos }), ..Demands::default() };
    let token = |text: &str| Demands { at_least_revision: text.to_owned(), max_age: None };
    for call in CALLS {
        for (demands, field) in [
            (token("x"), "at_least_revision"),
            (token("41"), "at_least_revision"),
            (token(STORE), "at_least_revision"),
            (token(&format!("{STORE}.-1")), "at_least_revision"),
            (token(&format!("{STORE}.99999999999999999999")), "at_least_revision"),
            (age(-1, 0), "max_age"),
            (age(0, -1), "max_age"),
            (age(0, 1_000_000_000), "max_age"),
        ] {
            let refused = call.ask(&doors, demands.clone(), None).await.unwrap_err();
            let expected = (Code::InvalidArgument, vec![field.to_owned()]);
            assert_eq!((refused.code(), fields(&refused)), expected, "{call:?}: {demands:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_item_of_a_batch_demands_nothing_of_its_own() {
    let doors = open();
    let age = Some(prost_types::Duration::default());
    let token = format!("{STORE}.1");
    let items = vec![
        pb::CheckRequest { at_least_revision: token, ..question("settings:schemas:read") },
        pb::CheckRequest { max_age: age, ..question("settings:schemas:read") },
        question("settings:schemas:read"),
    ];
    let request = pb::BatchCheckRequest { items, ..pb::BatchCheckRequest::default() };
    let answers = doors.native.batch_check(Request::new(request)).await.unwrap().into_inner().answers;
    let told = |answer: &pb::BatchCheckAnswer| {
        let error = answer.error.clone().unwrap_or_default();
        (answer.decision(), error.code, error.field)
    };
    let text = |text: &str| text.to_owned();
    let expected = [
        (pb::Decision::Deny, text("bad_request"), text("at_least_revision")),
        (pb::Decision::Deny, text("bad_request"), text("max_age")),
        (pb::Decision::Allow, text(""), text("")),
    ];
    assert_eq!(answers.iter().map(told).collect::<Vec<_>>(), expected);
}

#[tokio::test(start_paused = true)]
async fn the_freshness_of_a_page_is_no_part_of_its_question() {
    let doors = open();
    let pb::CheckRequest { user, environment, .. } = question("");
    let first = pb::ListPermissionsRequest {
        user,
        environment,
        page_size: 1,
        at_least_revision: format!("{STORE}.41"),
        ..pb::ListPermissionsRequest::default()
    };
    let page_token =
        doors.native.list_permissions(Request::new(first.clone())).await.unwrap().into_inner().next_page_token;
    let next = pb::ListPermissionsRequest { page_token, at_least_revision: String::new(), ..first };
    assert_eq!(doors.native.list_permissions(Request::new(next)).await.unwrap().into_inner().permissions.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_call_more_than_may_wait_is_refused_and_those_that_demand_nothing_are_not() {
    let doors = open();
    let mut calls = Vec::new();
    for _ in 0..limits::WAITING_CALLS {
        let asked = Arc::clone(&doors);
        calls.push(tokio::spawn(async move { Call::Check.ask(&asked, Demands::revision(42), None).await }));
    }
    while waiting(&doors) < limits::WAITING_CALLS as u64 {
        tokio::task::yield_now().await;
    }
    let refused = Call::Check.ask(&doors, Demands::revision(42), None).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert!(refused.message().contains(&limits::WAITING_CALLS.to_string()), "{refused}");
    assert_eq!(waits(&doors, "refused"), 1);
    for demands in [Demands::default(), Demands::revision(41)] {
        assert_eq!(Call::Check.ask(&doors, demands, None).await.unwrap(), 41);
    }
    doors.publish_at(42, &[STATE]);
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), 42);
    }
    // The room is free again.
    let waits_for = Call::Check.wait(&doors, Demands::revision(43)).await;
    doors.publish_at(43, &[STATE]);
    assert_eq!(waits_for.await.unwrap().unwrap(), 43);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_waits_no_more() {
    let doors = open();
    let waits_for = Call::Check.wait(&doors, Demands::revision(42)).await;
    waits_for.abort();
    assert!(waits_for.await.unwrap_err().is_cancelled());
    assert_eq!((waiting(&doors), waits(&doors, "cancelled")), (0, 1));
}
