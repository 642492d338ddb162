//! Going on, scope, digest and reports: the sentences of the watch contract (design §5) that a new stream alone cannot show.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test code: what goes wrong here fails the test, with its reason"
)]

#[path = "support/control_plane.rs"]
mod control_plane;
#[path = "watch_contract/reports.rs"]
mod reports;
#[path = "support/watcher.rs"]
mod watcher;

use std::time::Duration;

use doorward::model::account::{Account, Environment};
use doorward::model::id::{AccountId, GroupId, PolicyId};
use doorward::model::identity::{Group, GroupOwner};
use doorward::model::level::Level;
use doorward::model::mutation::Edit;
use doorward::model::object::{Object, ObjectKey};
use doorward::model::policy::Policy;
use doorward::model::revision::StoreId;
use doorward::proto::doorward as pb;
use doorward::proto::doorward::watch_response::Event;
use doorward::proto::doorward::watch_service_client::WatchServiceClient;
use doorward::proto::watch_server::watch_service_server::WatchServiceServer;
use doorward::services::watch::WatchFeed;
use doorward::store::api::Retention;
use tonic::Code;

use crate::control_plane::{InProcess, fields};
use crate::watcher::{PATIENCE, Watcher, token, watch};

fn account_id(number: u8) -> AccountId {
    // A UUID of version 4, as a message must spell it.
    let mut bytes = [number; 16];
    (bytes[6], bytes[8]) = (0x40, 0x80);
    AccountId::from_bytes(bytes)
}

fn account(number: u8) -> Edit {
    let name = format!("Account {number}").parse().unwrap();
    Edit::Put(Object::Account(Account { id: account_id(number), name, strict_boundaries: false }))
}

fn environment(owner: u8, id: &str) -> Edit {
    let environment = Environment { id: id.parse().unwrap(), name: id.parse().unwrap() };
    Edit::Put(Object::Environment(account_id(owner), environment))
}

fn group(owner: u8, number: u8, description: &str) -> Edit {
    let group = Group {
        id: GroupId::from_bytes([number; 16]),
        name: format!("Group {number}").parse().unwrap(),
        description: description.to_owned(),
        owner: GroupOwner::Local,
        federated_attribute_values: Vec::new(),
    };
    Edit::Put(Object::Group(account_id(owner), group))
}

fn policy_id(number: u8) -> PolicyId {
    let mut bytes = [number; 16];
    (bytes[6], bytes[8]) = (0x40, 0x80);
    PolicyId::from_bytes(bytes)
}

fn policy(owner: u8, number: u8, environment: Option<&str>, bytes: usize) -> Edit {
    let policy = Policy {
        id: policy_id(number),
        level: environment.map_or(Level::Account, |id| Level::Environment(id.parse().unwrap())),
        name: format!("Policy {number}").parse().unwrap(),
        description: String::new(),
        tags: Vec::new(),
        statements: format!("ALLOW settings:schemas:read; //{}", "x".repeat(bytes)),
    };
    Edit::Put(Object::Policy(account_id(owner), policy))
}

/// Two accounts with two environments each.
fn two_accounts() -> InProcess {
    two_accounts_with(Duration::from_hours(1))
}

fn two_accounts_with(heartbeat: Duration) -> InProcess {
    let server = InProcess::start_with_heartbeat(heartbeat);
    for owner in [1, 2] {
        server.commit([account(owner), environment(owner, "dev"), environment(owner, "prod"), group(owner, owner, "")]);
    }
    server
}

fn scope(accounts: &[(u8, &[&str])]) -> pb::WatchRequest {
    let scoped = |(owner, environments): &(u8, &[&str])| pb::AccountScope {
        account: account_id(*owner).to_string(),
        environments: environments.iter().map(|&id| id.to_owned()).collect(),
    };
    pb::WatchRequest { accounts: accounts.iter().map(scoped).collect(), ..pb::WatchRequest::default() }
}

/// What is in a watcher's state, spelled.
fn keys(watcher: &Watcher) -> Vec<String> {
    watcher.contents().1.iter().map(|record| record.value.key().to_string()).collect()
}

// === Going on (sentences 1, 2 and 3) ===

#[tokio::test]
async fn a_stream_goes_on_strictly_after_its_token_with_each_commit_once() {
    let server = two_accounts();
    let mut watcher = Watcher::open(&server).await;
    watcher.reset().await;
    let begun = server.revision();
    for number in 10..40 {
        server.commit([group(1, number, "")]);
    }
    for _ in 0..7 {
        watcher.change().await;
    }
    let mut again = watcher.reopen(&server, pb::WatchRequest::default()).await;
    assert_eq!(again.catch_up(&server).await, (begun + 8..=begun + 30).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_stream_that_misses_nothing_begins_with_a_heartbeat() {
    let server = two_accounts();
    let mut watcher = Watcher::open(&server).await;
    watcher.reset().await;
    let mut again = watcher.reopen(&server, pb::WatchRequest::default()).await;
    assert_eq!(again.heartbeat().await.revision, server.revision());
    server.commit([group(1, 9, "")]);
    assert_eq!(again.change().await.revision, server.revision());
}

/// A stream that asks to go on from there begins with a whole state.
async fn check_reset(server: &InProcess, request: pb::WatchRequest) {
    let mut watcher = Watcher::open_with(server, request.clone()).await;
    let chunks = watcher.reset().await;
    assert_eq!(chunks[0].revision, server.revision(), "{request:?}");
    assert_eq!(watcher.contents(), server.contents());
}

#[tokio::test]
async fn what_is_of_another_store_too_old_or_different_begins_anew() {
    let server = two_accounts();
    let head = server.revision();
    let of = |after: String| pb::WatchRequest { after, ..pb::WatchRequest::default() };
    // A heartbeat says that the window has come to the head: what it has not read yet, it cannot hold a digest against.
    let mut first = Watcher::open(&server).await;
    first.reset().await;
    first.reopen(&server, pb::WatchRequest::default()).await.heartbeat().await;
    check_reset(&server, of(format!("{}.{head}", StoreId::random()))).await;
    // What the store never had.
    check_reset(&server, of(token(&server, head + 1))).await;
    // The revision is known, and what the watcher has of it is not what it was.
    for revision in [head - 1, head] {
        check_reset(&server, pb::WatchRequest { digest: vec![1; 32], ..of(token(&server, revision)) }).await;
    }
}

/// Whoever demands an answer that is no older than a second must not get one from what was passed long ago.
#[tokio::test]
async fn a_commit_that_is_told_late_says_how_old_it_is() {
    let server = two_accounts();
    let before = token(&server, server.revision());
    let mut first = Watcher::open(&server).await;
    first.reset().await;
    for number in 11..=13 {
        server.commit([group(1, number, "")]);
        assert_eq!(first.response().await.age, None);
        server.clock.pass(Duration::from_secs(10));
    }
    let mut late = Watcher::open_with(&server, pb::WatchRequest { after: before, ..pb::WatchRequest::default() }).await;
    let seconds = |age: Option<prost_types::Duration>| age.map(|age| age.seconds);
    let told = [late.response().await, late.response().await, late.response().await];
    assert_eq!(told.map(|it| seconds(it.age)), [Some(30), Some(20), None]);
}

/// A control plane that starts later takes the last commits back, as far as log and audit tell them.
#[tokio::test]
async fn what_was_before_the_control_plane_began_is_gone_on_with_as_far_as_log_and_audit_reach() {
    let server = two_accounts();
    let mut known = vec![Watcher::open(&server).await, Watcher::open_with(&server, scope(&[(1, &["dev"])])).await];
    for watcher in &mut known {
        watcher.reset().await;
    }
    let begun = server.revision();
    server.commit([policy(1, 1, Some("dev"), 1), group(1, 20, "first"), policy(1, 2, Some("prod"), 1)]);
    server.commit([group(1, 20, "second"), Edit::Delete(policy(1, 1, Some("dev"), 1).key())]);
    server.commit([group(2, 21, "")]);
    server.commit([Edit::Delete(group(1, 20, "").key()), policy(1, 1, Some("dev"), 2)]);
    let late = server.began_anew();
    for (watcher, request) in known.into_iter().zip([pb::WatchRequest::default(), scope(&[(1, &["dev"])])]) {
        let scoped = request.accounts.len() == 1;
        let mut watcher = watcher.reopen(&late, request).await;
        let first = watcher.response().await;
        assert!(first.age.is_some_and(|age| age.seconds > 86_400), "nobody knows: {:?}", first.age);
        let mut events = vec![first.event.clone().unwrap()];
        watcher.apply(first);
        while watcher.revision() != Some(server.store.state().revision) {
            events.push(watcher.step().await);
        }
        let changes = events.iter().filter(|event| matches!(event, Event::Change(_))).count();
        assert_eq!((events.len(), changes), if scoped { (3, 3) } else { (4, 4) }, "{events:?}");
    }
    assert_eq!(begun + 4, server.revision());
}

/// What was compacted away, or is not whole in the audit, is before the window.
#[tokio::test]
async fn what_was_before_the_control_plane_began_and_cannot_be_taken_back_is_told_by_a_reset() {
    let server = two_accounts();
    let (store, clock) = (std::sync::Arc::clone(&server.store), server.clock.clock());
    let begin = || WatchFeed::new(store.clone(), clock.clone(), Duration::from_hours(1), server.metrics.clone());
    let first = async |late: WatchFeed, revision: u64| {
        let request = pb::WatchRequest { after: token(&server, revision), ..pb::WatchRequest::default() };
        let mut client = WatchServiceClient::new(WatchServiceServer::new(late));
        let event = client.watch(request).await.unwrap().into_inner().message().await.unwrap().unwrap();
        event.event.unwrap()
    };
    let keep = Retention { commits: 1, requests: Duration::ZERO, audit: Duration::from_hours(1) };
    store.compact(&keep, server.clock.now()).unwrap();
    assert!(matches!(first(begin(), server.revision() - 2).await, Event::Reset(_)), "it is not in the log");
    assert!(matches!(first(begin(), server.revision() - 1).await, Event::Change(_)));
    server.commit([Edit::Delete(ObjectKey::Account(account_id(2)))]);
    assert!(matches!(first(begin(), server.revision() - 1).await, Event::Reset(_)), "the audit has only the account");
    server.commit([group(1, 20, "")]);
    assert!(matches!(first(begin(), server.revision() - 1).await, Event::Change(_)));
    assert!(matches!(first(begin(), server.revision()).await, Event::Heartbeat(_)));
}

#[tokio::test]
async fn a_commit_that_is_larger_than_an_event_is_told_by_a_reset_to_those_who_see_it() {
    let server = two_accounts();
    let mut watcher = Watcher::open(&server).await;
    watcher.reset().await;
    let mut other = Watcher::open_with(&server, scope(&[(2, &[])])).await;
    other.reset().await;
    server.commit((0..20).map(|number| policy(1, number, None, 500_000)));
    assert!(watcher.reset().await.len() > 10);
    assert_eq!(other.heartbeat().await.revision, server.revision());
    assert_eq!(watcher.contents(), server.contents());
    server.commit([group(1, 9, "")]);
    watcher.catch_up(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_that_is_too_slow_begins_anew_and_delays_nobody() {
    let server = two_accounts();
    let (mut slow, mut quick) = (Watcher::open(&server).await, Watcher::open(&server).await);
    slow.reset().await;
    quick.reset().await;
    // More than the window holds: 64 MiB.
    for _ in 0..4 {
        for number in 0..20 {
            server.commit([policy(1, number, None, 1_000_000)]);
            quick.change().await;
            server.commit([Edit::Delete(ObjectKey::Policy(account_id(1), policy_id(number)))]);
            quick.change().await;
        }
    }
    assert_eq!(quick.contents(), server.contents());
    // What was under way already comes first.
    let until_reset = async {
        loop {
            if let Event::Reset(chunk) = slow.step().await
                && chunk.last
            {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, until_reset).await.expect("a reset");
    assert_eq!(slow.contents(), server.contents());
}

/// Whoever waits for an answer goes before the telling of many (`services::right_of_way`).
#[tokio::test(start_paused = true)]
async fn an_administrative_call_has_the_right_of_way_before_many_watchers() {
    let server = two_accounts();
    let way = server.feed().right_of_way();
    assert_eq!(way.give(PATIENCE).await, PATIENCE);
    server.account("Harbour").await;
    assert!(way.give(PATIENCE).await < PATIENCE, "its answer is on its way");
    assert_eq!(way.give(PATIENCE).await, PATIENCE);
}

// === Scope (sentence 6) ===

#[tokio::test]
async fn a_scope_holds_the_global_level_and_its_accounts_and_nothing_else() {
    let server = two_accounts();
    server.commit([policy(2, 1, None, 1), policy(1, 2, Some("dev"), 1), policy(1, 3, Some("prod"), 1)]);
    let mut one = Watcher::open_with(&server, scope(&[(1, &[])])).await;
    one.reset().await;
    let all = |owner: u8| move |key: &ObjectKey| key.account().is_none_or(|account| account == account_id(owner));
    let expected = |keep: &dyn Fn(&ObjectKey) -> bool| -> Vec<String> {
        let keys = server.contents().1.into_iter().map(|record| record.value.key());
        keys.filter(keep).map(|key| key.to_string()).collect()
    };
    assert_eq!(keys(&one), expected(&all(1)));
    let mut prod = Watcher::open_with(&server, scope(&[(1, &["prod"])])).await;
    prod.reset().await;
    let of_dev = [format!("policy `{}`", policy_id(2)), "environment `dev`".to_owned()];
    assert_eq!(keys(&prod), expected(&|key| all(1)(key) && !of_dev.contains(&key.to_string())));
    let mut nobody = Watcher::open_with(&server, scope(&[(9, &[])])).await;
    nobody.reset().await;
    assert_eq!(keys(&nobody), ["global level ``"]);
}

#[tokio::test]
async fn what_is_out_of_scope_never_comes_and_is_advanced_past() {
    let server = two_accounts_with(Duration::from_millis(50));
    let mut one = Watcher::open_with(&server, scope(&[(1, &["prod"])])).await;
    one.reset().await;
    let secret = "nobody of account 1 sees this";
    server.commit([group(2, 7, secret), policy(1, 8, Some("dev"), 1)]);
    server.commit([Edit::Delete(ObjectKey::Policy(account_id(1), policy_id(8)))]);
    let head = server.revision();
    loop {
        let beat = one.heartbeat().await;
        if beat.revision == head {
            break;
        }
    }
    assert_eq!(one.revision().unwrap().get(), head);
    // Of a commit that is partly in scope, that part comes.
    server.commit([group(2, 6, secret), group(1, 6, "seen"), policy(1, 9, Some("dev"), 1)]);
    let change = loop {
        match one.step().await {
            Event::Change(change) => break change,
            Event::Heartbeat(_) => {}
            Event::Reset(_) => panic!("nothing asks for a reset"),
        }
    };
    assert_eq!((change.revision, change.changes.len()), (head + 1, 1));
    assert!(!format!("{change:?}").contains(secret));
    assert!(keys(&one).contains(&format!("group `{}`", GroupId::from_bytes([6; 16]))));
}

#[tokio::test]
async fn what_moves_within_a_commit_is_told_wherever_it_was() {
    let server = two_accounts();
    let (here, there) = (policy(1, 7, Some("prod"), 1), policy(1, 7, Some("dev"), 1));
    server.commit([here.clone()]);
    let mut watchers = Vec::new();
    for environment in ["prod", "dev"] {
        let mut watcher = Watcher::open_with(&server, scope(&[(1, &[environment])])).await;
        watcher.reset().await;
        watchers.push(watcher);
    }
    let delete = || Edit::Delete(here.key());
    server.commit([delete(), there, delete()]);
    for watcher in &mut watchers {
        // It is applied, and its digest is that of the store.
        assert_eq!(watcher.change().await.revision, server.revision());
    }
}

#[tokio::test]
async fn a_scoped_stream_goes_on_where_it_was() {
    let server = two_accounts();
    let mut one = Watcher::open_with(&server, scope(&[(1, &[])])).await;
    one.reset().await;
    for number in 10..20 {
        server.commit([group(1 + number % 2, number, "")]);
    }
    let begun = server.revision() - 10;
    let mut again = one.reopen(&server, scope(&[(1, &[])])).await;
    let mut seen = Vec::new();
    while seen.len() < 5 {
        seen.push(again.change().await.revision);
    }
    assert_eq!(seen, [1, 3, 5, 7, 9].map(|step| begun + step));
    assert_eq!(again.heartbeat().await.revision, server.revision());
    // In another scope it has something else at that revision.
    let mut other = again.reopen(&server, scope(&[(2, &[])])).await;
    other.reset().await;
    assert!(keys(&other).contains(&format!("account `{}`", account_id(2))));
}

#[tokio::test]
async fn an_account_that_is_deleted_is_deleted_in_its_scopes() {
    let server = two_accounts();
    let mut one = Watcher::open_with(&server, scope(&[(1, &["prod"])])).await;
    one.reset().await;
    server.commit([Edit::Delete(ObjectKey::Account(account_id(1)))]);
    one.change().await;
    assert_eq!(keys(&one), ["global level ``"]);
}

#[tokio::test]
async fn a_request_that_cannot_be_is_refused_with_its_fields() {
    let server = two_accounts();
    let refused = async |request: pb::WatchRequest| {
        let status = watch(server.caller(), request).await.expect_err("a refusal");
        assert_eq!(status.code(), Code::InvalidArgument);
        fields(&status)
    };
    let default = pb::WatchRequest::default;
    assert_eq!(refused(pb::WatchRequest { after: "x".to_owned(), ..default() }).await, ["after"]);
    assert_eq!(refused(pb::WatchRequest { digest: vec![0; 31], ..default() }).await, ["digest"]);
    assert_eq!(refused(pb::WatchRequest { instance: "a b".to_owned(), ..default() }).await, ["instance"]);
    assert_eq!(refused(pb::WatchRequest { instance: "x".repeat(65), ..default() }).await, ["instance"]);
    let twice = scope(&[(1, &[]), (1, &["prod"])]);
    assert_eq!(refused(twice).await, ["accounts[1].account"]);
    assert_eq!(refused(scope(&[(1, &["Prod"])])).await, ["accounts[0].environments[0]"]);
    let many = vec![pb::AccountScope::default(); 1_001];
    assert_eq!(refused(pb::WatchRequest { accounts: many, ..default() }).await, ["accounts"]);
    let mut wide = scope(&[(1, &[])]);
    wide.accounts[0].environments = vec!["prod".to_owned(); 1_001];
    assert_eq!(refused(wide).await, ["accounts[0].environments"]);
}
