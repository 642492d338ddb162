//! The watch contract (design §5) as a sidecar sees it, each sentence a test.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test code: what goes wrong here fails the test, with its reason"
)]

#[path = "support/control_plane.rs"]
mod control_plane;
#[path = "support/nouns.rs"]
mod nouns;
#[path = "support/watcher.rs"]
mod watcher;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use doorward::compile::shipped_global;
use doorward::lang::literal::request_time;
use doorward::model::account::{DefaultGroup, Environment, Global};
use doorward::model::attribute::Attributes;
use doorward::model::audit::AuditEvent;
use doorward::model::credential::CredentialRecord;
use doorward::model::decision::{CheckRequest, RequestParts};
use doorward::model::id::{AccountId, PolicyId};
use doorward::model::level::Level;
use doorward::model::mutation::{Edit, Mutation, RequestIdentity};
use doorward::model::object::{Object, Record};
use doorward::model::policy::Policy;
use doorward::model::revision::{Revision, StoreId};
use doorward::model::state::State;
use doorward::proto::doorward as pb;
use doorward::proto::doorward::watch_response::Event;
use doorward::proto::doorward::watch_service_client::WatchServiceClient;
use doorward::proto::object::{from_record, to_record};
use doorward::proto::watch_server::watch_service_server::WatchServiceServer;
use doorward::services::watch::WatchFeed;
use doorward::snapshot::build::Snapshot;
use doorward::store::api::{Committed, Compacted, LogEntry, Retention, Store, StoreError};
use doorward::sync::apply::Applied;
use prost::Message as _;
use tonic::Code;

use crate::control_plane::{InProcess, bearer, fields};
use crate::nouns::{
    Accounts, Bindings, Boundaries, Environments, Groups, How, Noun, PLAIN, Policies, ServiceUsers, Users, World,
};
use crate::watcher::{PATIENCE, Watcher, watch};

/// Bytes of a chunk, about (`services::watch`).
const CHUNK_BYTES: usize = 512 * 1024;
/// A world with one of every noun in it.
async fn furnished() -> World {
    furnish(InProcess::start()).await
}

async fn furnish(server: InProcess) -> World {
    let world = World::over(server).await;
    world.make::<Users>(Users::sample(&world, 1)).await;
    world.make::<ServiceUsers>(ServiceUsers::sample(&world, 1)).await;
    world.make::<Policies>(Policies::sample(&world, 1)).await;
    let boundary = world.make::<Boundaries>(Boundaries::sample(&world, 1)).await;
    let boundary_ids = vec![boundary.id];
    world.make::<Bindings>(pb::Binding { boundary_ids, ..Bindings::sample(&world, 1) }).await;
    world
}

/// A policy of about `bytes` bytes.
fn policy(world: &World, number: usize, bytes: usize) -> Edit {
    let account: AccountId = world.account.parse().unwrap();
    Edit::Put(Object::Policy(
        account,
        Policy {
            id: PolicyId::random(),
            level: Level::Account,
            name: format!("Policy {number} of many").parse().unwrap(),
            description: String::new(),
            tags: Vec::new(),
            statements: format!("ALLOW settings:schemas:read; //{}", "x".repeat(bytes)),
        },
    ))
}

fn renamed(world: &World, number: usize) -> Edit {
    let name = format!("Name {number}").parse().unwrap();
    let environment = Environment { id: "prod".parse().unwrap(), name };
    Edit::Put(Object::Environment(world.account.parse().unwrap(), environment))
}

#[tokio::test]
async fn a_new_stream_begins_with_the_whole_state_in_chunks() {
    let world = furnished().await;
    world.server.commit((0..300).map(|number| policy(&world, number, 10_000)));
    // An object that is larger than a chunk goes alone.
    world.server.commit([policy(&world, 300, 700_000)]);
    let mut watcher = Watcher::open(&world.server).await;
    let chunks = watcher.reset().await;
    assert!(chunks.len() >= 7, "{}", chunks.len());
    let marks: Vec<_> = chunks.iter().map(|chunk| (chunk.first, chunk.last)).collect();
    let end = chunks.len() - 1;
    assert_eq!(marks, (0..=end).map(|n| (n == 0, n == end)).collect::<Vec<_>>());
    for chunk in &chunks {
        assert_eq!(chunk.revision, world.server.revision());
        assert_eq!(chunk.store_id, world.server.store.id().to_string());
        let bytes = chunk.encoded_len();
        assert!(bytes <= CHUNK_BYTES + CHUNK_BYTES / 8 || chunk.objects.len() == 1, "{bytes} bytes in a chunk");
    }
    assert_eq!(watcher.contents(), world.server.contents());
}

/// What an object refers to, as kind and id.
fn references(object: &pb::object::Object) -> Vec<(&'static str, String)> {
    use pb::object::Object as It;
    let groups = |ids: &[String]| ids.iter().map(|id| ("group", id.clone())).collect();
    let environment = |id: &str| ("environment", id.to_owned());
    match object {
        It::User(it) => groups(&it.group_ids),
        It::ServiceUser(it) => groups(&it.group_ids),
        It::Policy(it) => vec![environment(&it.environment)],
        It::Binding(it) => {
            let (policy, group) = (("policy", it.policy_id.clone()), ("group", it.group_id.clone()));
            let boundaries = it.boundary_ids.iter().map(|id| ("boundary", id.clone()));
            [policy, group, environment(&it.environment)].into_iter().chain(boundaries).collect()
        }
        _ => Vec::new(),
    }
}

fn identity(object: &pb::object::Object) -> (&'static str, String) {
    use pb::object::Object as It;
    match object {
        It::Environment(it) => ("environment", it.id.clone()),
        It::Group(it) => ("group", it.id.clone()),
        It::Policy(it) => ("policy", it.id.clone()),
        It::Boundary(it) => ("boundary", it.id.clone()),
        It::AccountObject(it) => ("account", it.id.clone()),
        It::Global(_) => ("global", String::new()),
        _ => ("other", String::new()),
    }
}

#[tokio::test]
async fn objects_come_before_those_that_refer_to_them() {
    let world = furnished().await;
    let chunks = Watcher::open(&world.server).await.reset().await;
    let mut seen = HashSet::from([("environment", String::new())]);
    let objects: Vec<_> = chunks.into_iter().flat_map(|chunk| chunk.objects).collect();
    assert!(matches!(objects[0].object, Some(pb::object::Object::Global(_))), "the global level comes first");
    let mut referred = 0;
    for object in objects {
        let (account, object) = (object.account, object.object.unwrap());
        if let pb::object::Object::Global(global) = &object {
            seen.extend(global.policies.iter().map(|policy| ("policy", policy.id.clone())));
        }
        let (kind, id) = identity(&object);
        if !matches!(kind, "account" | "global") {
            assert!(seen.contains(&("account", account.clone())), "an owner comes before what it owns");
        }
        for reference in references(&object) {
            assert!(seen.contains(&reference), "{reference:?} was not there before {object:?}");
            referred += 1;
        }
        seen.insert((kind, id));
    }
    assert!(referred >= 6, "the state holds objects that refer to others");
}

/// The global level with a default policy that no build ships, and a group of it.
fn foreign_global() -> Global {
    let (id, level, name) = (PolicyId::from_bytes([7; 16]), Level::Global, "Of another build".parse().unwrap());
    let statements = "ALLOW hub:catalog:read;".to_owned();
    let policy = Policy { id, level, name, description: "d".to_owned(), tags: vec!["t".to_owned()], statements };
    let group = DefaultGroup { name: "Others".parse().unwrap(), description: "g".to_owned(), policies: vec![id] };
    Global { policies: vec![policy], defaults_version: 99, groups: vec![group], ..shipped_global() }
}

#[tokio::test]
async fn the_global_level_brings_the_default_policies_and_groups() {
    let server = InProcess::start();
    let mut watcher = Watcher::open(&server).await;
    let first = watcher.reset().await.swap_remove(0).objects.swap_remove(0);
    let Some(pb::object::Object::Global(global)) = first.object else { panic!("the global level comes first") };
    let shipped = shipped_global();
    assert_eq!((global.policies.len(), global.groups.len()), (shipped.policies.len(), shipped.groups.len()));
    assert_eq!(global.defaults_version, shipped.defaults_version);
    assert_eq!(watcher.contents(), server.contents());
    server.commit([Edit::Put(Object::Global(foreign_global()))]);
    watcher.change().await;
    assert_eq!(watcher.state.as_ref().unwrap().global.as_ref().unwrap().value, foreign_global());
}

/// A sidecar has no policies of its own build: it decides by those that came, and not by those that did not.
#[tokio::test]
async fn a_sidecar_decides_through_the_default_policies_that_came() {
    let server = InProcess::start();
    server.commit([Edit::Put(Object::Global(foreign_global()))]);
    let world = World::over(server).await;
    let user = pb::User { state: pb::UserState::Active.into(), ..Users::sample(&world, 1) };
    let user = world.make::<Users>(user).await;
    let policy_id = foreign_global().policies[0].id.to_string();
    let binding = pb::Binding { policy_id, parameters: [].into(), ..Bindings::sample(&world, 1) };
    world.make::<Bindings>(binding).await;

    let mut watcher = Watcher::open(&world.server).await;
    watcher.reset().await;
    let mut state = watcher.state.clone().unwrap();
    assert_eq!(asked(&state, &world.account, &user.email), ("allow_statement", Some("Of another build".to_owned())));
    let mut narrowed = foreign_global();
    narrowed.policies[0].statements = "ALLOW settings:schemas:read;".to_owned();
    world.server.commit([Edit::Put(Object::Global(narrowed))]);
    watcher.change().await;
    state = watcher.state.clone().unwrap();
    assert_eq!(asked(&state, &world.account, &user.email), ("no_match", None));
}

#[tokio::test]
async fn a_sidecar_decides_by_a_changed_boundary_at_once() {
    let world = World::new().await;
    let user = pb::User { state: pb::UserState::Active.into(), ..Users::sample(&world, 1) };
    let user = world.make::<Users>(user).await;
    let statements = "ALLOW hub:catalog:read;".to_owned();
    let policy = world.make::<Policies>(pb::Policy { statements, ..Policies::sample(&world, 1) }).await;
    // The question is of a Monday.
    let day = |day: &str| format!("global:week-day = \"{day}\";");
    let boundary = pb::Boundary { query: day("Monday"), ..Boundaries::sample(&world, 1) };
    let boundary = world.make::<Boundaries>(boundary).await;
    let (policy_id, boundary_ids) = (policy.id, vec![boundary.id.clone()]);
    let binding = pb::Binding { policy_id, boundary_ids, parameters: [].into(), ..Bindings::sample(&world, 1) };
    world.make::<Bindings>(binding).await;

    let mut watcher = Watcher::open(&world.server).await;
    watcher.reset().await;
    let told = |watcher: &Watcher| asked(watcher.state.as_ref().unwrap(), &world.account, &user.email).0;
    assert_eq!(told(&watcher), "allow_statement");
    for (now, expected) in [("Tuesday", "no_match"), ("Monday", "allow_statement")] {
        let changed = pb::Boundary { query: day(now), ..boundary.clone() };
        Boundaries::update(world.caller(), &world.account, &boundary.id, changed, PLAIN).await.unwrap();
        watcher.change().await;
        assert_eq!(told(&watcher), expected, "{now}");
    }
}

/// The code, and the policy that decided, for `hub:catalog:read` in `prod`.
fn asked(state: &State, account: &str, user: &str) -> (&'static str, Option<String>) {
    let snapshot = Snapshot::build(StoreId::random(), state, None).unwrap();
    let parts = RequestParts { user, environment: "prod", level: "", permission: "hub:catalog:read" };
    let at = request_time("2026-03-02T12:00:00Z").unwrap();
    let request = CheckRequest::new(parts, Attributes::default(), at).unwrap();
    let outcome = snapshot.decide(account.parse().unwrap(), &request).unwrap();
    let reason = outcome.reason();
    (reason.code.name(), reason.statement.map(|it| it.policy().name.to_string()))
}

/// A message of the global level that is no global level is refused.
#[test]
fn default_policies_that_cannot_be_are_refused() {
    let record = |value| Record { created: at(), updated: at(), revision: Revision::new(1), value };
    let message = || match from_record(&record(Object::Global(foreign_global()))).object {
        Some(pb::object::Object::Global(global)) => global,
        other => panic!("{other:?}"),
    };
    let refused = |change: &dyn Fn(&mut pb::Global)| {
        let mut global = message();
        change(&mut global);
        let object = Some(pb::object::Object::Global(global));
        to_record(pb::Object { account: String::new(), object }).err().map(|refused| refused.field)
    };
    assert_eq!(refused(&|_| {}), None);
    assert_eq!(refused(&|it| it.policies[0].id = "x".to_owned()), Some("id"));
    assert_eq!(refused(&|it| it.policies[0].name.clear()), Some("name"));
    assert_eq!(refused(&|it| it.policies[0].level.clear()), Some("policies"));
    assert_eq!(refused(&|it| it.policies[0].environment = "prod".to_owned()), Some("policies"));
    assert_eq!(refused(&|it| it.policies.push(it.policies[0].clone())), Some("policies"));
    assert_eq!(refused(&|it| it.policies.clear()), Some("policy_ids"));
    assert_eq!(refused(&|it| it.groups[0].policy_ids.push("x".to_owned())), Some("policy_ids"));
    assert_eq!(refused(&|it| it.groups[0].name.clear()), Some("name"));

    let owned = |level: &str| {
        let policy =
            pb::Policy { level: level.to_owned(), metadata: message().metadata, ..message().policies.swap_remove(0) };
        let account = AccountId::from_bytes([1; 16]).to_string();
        to_record(pb::Object { account, object: Some(pb::object::Object::Policy(policy)) }).err().map(|it| it.field)
    };
    assert_eq!((owned("account"), owned("")), (None, None));
    assert_eq!((owned("global"), owned("environment")), (Some("level"), Some("level")));
}

fn at() -> jiff::Timestamp {
    jiff::Timestamp::UNIX_EPOCH
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_commit_is_one_change_in_order_and_exactly_once() {
    let world = furnished().await;
    let mut watcher = Watcher::open(&world.server).await;
    watcher.reset().await;
    let begun = world.server.revision();
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4_u8 {
        let (caller, account) = (world.caller(), world.account.clone());
        let samples: Vec<_> = (0..8_u8).map(|n| Groups::sample(&world, writer * 8 + n)).collect();
        writers.spawn(async move {
            for form in samples {
                Groups::create(caller.clone(), &account, form, PLAIN).await.expect("a group of its own");
            }
        });
    }
    let reading = tokio::spawn(async move {
        let mut revisions = Vec::new();
        for _ in 0..32 {
            revisions.push(watcher.change().await.revision);
        }
        (watcher, revisions)
    });
    writers.join_all().await;
    let (mut watcher, revisions) = reading.await.unwrap();
    assert_eq!(revisions, (begun + 1..=begun + 32).collect::<Vec<_>>());
    assert_eq!(watcher.catch_up(&world.server).await, [0; 0]);
}

#[tokio::test]
async fn all_changes_of_a_commit_come_in_one_event() {
    let world = furnished().await;
    let mut watcher = Watcher::open(&world.server).await;
    watcher.reset().await;
    let force = How { force: true, ..How::default() };
    Groups::delete(world.caller(), &world.account, &world.group, &force).await.unwrap();
    let change = watcher.change().await;
    let log = world.server.store.changes_after(Revision::new(change.revision - 1), 1).unwrap();
    // The binding, the user and the service user who leave, the group.
    assert_eq!((change.revision, change.changes.len()), (world.server.revision(), 4));
    assert_eq!(log[0].changes.len(), 4);
    watcher.catch_up(&world.server).await;
}

#[tokio::test]
async fn a_commit_that_changes_nothing_sends_nothing() {
    let world = furnished().await;
    let mut watcher = Watcher::open(&world.server).await;
    watcher.reset().await;
    let form = Environments::get(world.caller(), &world.account, "prod").await.unwrap().form;
    Environments::update(world.caller(), &world.account, "prod", form, PLAIN).await.unwrap();
    let before = world.server.revision();
    world.server.commit([renamed(&world, 1)]);
    assert_eq!(watcher.change().await.revision, before + 1, "the next event is the next commit that changed something");
    watcher.catch_up(&world.server).await;
}

#[tokio::test]
async fn a_heartbeat_carries_the_head_when_nothing_happens() {
    let world = furnish(InProcess::start_with_heartbeat(Duration::from_millis(50))).await;
    let mut watcher = Watcher::open(&world.server).await;
    watcher.reset().await;
    for _ in 0..2 {
        let Event::Heartbeat(beat) = watcher.step().await else { panic!("nothing has happened") };
        assert_eq!(beat.revision, world.server.revision());
        assert_eq!(beat.time.map(|time| time.seconds), Some(world.server.clock.now().as_second()));
        world.server.clock.pass(Duration::from_secs(7));
    }
    world.server.commit([renamed(&world, 1)]);
    loop {
        match watcher.step().await {
            Event::Heartbeat(beat) => {
                assert!(beat.revision < world.server.revision(), "a commit is told before its beat");
            }
            Event::Change(change) => break assert_eq!(change.revision, world.server.revision()),
            Event::Reset(_) => panic!("a state that is there already"),
        }
    }
    let Event::Heartbeat(beat) = watcher.step().await else { panic!("nothing has happened since") };
    assert_eq!(beat.revision, world.server.revision());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_that_reads_nothing_neither_delays_a_commit_nor_loses_one() {
    let world = furnished().await;
    let mut slow = Watcher::open(&world.server).await;
    let mut quick = Watcher::open(&world.server).await;
    slow.reset().await;
    quick.reset().await;
    let begun = world.server.revision();
    // Far more than is under way at a time (16 events) and than is read from the log at a time (256 commits).
    for number in 0..600 {
        world.server.commit([renamed(&world, number)]);
        quick.change().await;
    }
    assert_eq!(world.server.revision(), begun + 600, "every commit succeeded while nobody read");
    assert_eq!(quick.catch_up(&world.server).await, [0; 0], "and another watcher saw each at once");
    assert_eq!(slow.catch_up(&world.server).await, (begun + 1..=begun + 600).collect::<Vec<_>>());
}

/// A store whose head is where the test puts it, and whose log cannot be read.
struct Jumping {
    state: Mutex<Arc<State>>,
    head: tokio::sync::watch::Sender<Revision>,
}

// === impl Jumping ===

impl Jumping {
    fn new(state: &State) -> Self {
        Self { state: Mutex::new(Arc::new(state.clone())), head: tokio::sync::watch::Sender::new(state.revision) }
    }

    fn jump(&self, commits: u64) {
        let mut state = self.state.lock().unwrap();
        let mut next = State::clone(&state);
        next.revision = Revision::new(state.revision.get() + commits);
        *state = Arc::new(next);
        self.head.send_replace(state.revision);
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

    fn changes_after(&self, _: Revision, _: usize) -> Result<Vec<LogEntry>, StoreError> {
        Err(StoreError::Exhausted)
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

#[tokio::test]
async fn two_streams_see_the_same() {
    let world = furnished().await;
    let mut one = Watcher::open(&world.server).await;
    let mut other = Watcher::open(&world.server).await;
    assert_eq!(one.reset().await, other.reset().await);
    for number in 0..20 {
        world.server.commit([renamed(&world, number)]);
        if number % 3 == 0 {
            assert_eq!(one.step().await, other.step().await);
        }
    }
    assert_eq!(one.catch_up(&world.server).await, other.catch_up(&world.server).await);
}

#[tokio::test]
async fn the_delete_of_an_account_takes_everything_with_it() {
    let world = furnished().await;
    let mut watcher = Watcher::open(&world.server).await;
    watcher.reset().await;
    let force = How { force: true, ..How::default() };
    Accounts::delete(world.caller(), "", &world.account, &force).await.unwrap();
    let gone = watcher.change().await;
    assert_eq!(gone.revision, world.server.revision());
    assert_eq!(watcher.contents().1.len(), 1, "the global level stays");
    watcher.catch_up(&world.server).await;
}

/// Waits until this many streams are served.
async fn served(server: &InProcess, count: u32) {
    let reached = async {
        while !server.metrics.open_metrics().contains(&format!("\ndoorward_watchers {count}\n")) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("{}", server.metrics.open_metrics()));
}

#[tokio::test]
async fn a_dropped_stream_ends_its_task() {
    let world = furnished().await;
    let mut quiet = Watcher::open(&world.server).await;
    quiet.reset().await;
    // This one waits for a reader in the middle of its reset.
    world.server.commit((0..100).map(|number| policy(&world, number, 200_000)));
    let mut blocked = Watcher::open(&world.server).await;
    blocked.event().await;
    served(&world.server, 2).await;
    drop(quiet);
    served(&world.server, 1).await;
    drop(blocked);
    served(&world.server, 0).await;
}

#[tokio::test]
async fn who_holds_a_credential_may_watch_and_nobody_else() {
    let server = InProcess::start();
    let open = async |headers: &[&str]| {
        watch(server.caller_with(headers), pb::WatchRequest::default()).await.map(|_| ()).map_err(|it| it.code())
    };
    assert_eq!(open(&[&bearer(&server.watch)]).await, Ok(()));
    assert_eq!(open(&[&bearer(&server.root)]).await, Ok(()));
    for headers in [&[][..], &["Bearer x"], &[&bearer(&server.watch), &bearer(&server.watch)]] {
        assert_eq!(open(headers).await, Err(Code::Unauthenticated), "{headers:?}");
    }
}

fn named(client: &str) -> pb::WatchRequest {
    pb::WatchRequest { client: client.to_owned(), ..pb::WatchRequest::default() }
}

#[tokio::test]
async fn a_client_gives_a_name_of_people_or_none() {
    let server = InProcess::start();
    for name in ["a\0b".to_owned(), "x".repeat(256)] {
        let status = watch(server.caller(), named(&name)).await.expect_err("a refusal");
        assert_eq!((status.code(), fields(&status)), (Code::InvalidArgument, vec!["client".to_owned()]));
    }
    watch(server.caller(), named(&"x".repeat(255))).await.unwrap();
}
