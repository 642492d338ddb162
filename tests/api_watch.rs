//! The watch contract (design §5) as a sidecar sees it, each sentence a test.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test code: what goes wrong here fails the test, with its reason"
)]

#[path = "support/control_plane.rs"]
mod control_plane;
#[path = "api_watch/global.rs"]
mod global;
#[path = "api_watch/jumping.rs"]
mod jumping;
#[path = "support/nouns.rs"]
mod nouns;
#[path = "support/watcher.rs"]
mod watcher;

use std::collections::HashSet;
use std::time::Duration;

use doorward::model::account::Environment;
use doorward::model::id::{AccountId, PolicyId};
use doorward::model::level::Level;
use doorward::model::mutation::Edit;
use doorward::model::object::Object;
use doorward::model::policy::Policy;
use doorward::model::revision::Revision;
use doorward::proto::doorward as pb;
use doorward::proto::doorward::watch_response::Event;
use prost::Message as _;
use tonic::Code;

use crate::control_plane::{InProcess, bearer, fields};
use crate::nouns::{
    Accounts, Bindings, Boundaries, Environments, Groups, How, Noun as _, PLAIN, Policies, ServiceUsers, Users, World,
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
