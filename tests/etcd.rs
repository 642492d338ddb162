//! The store in a real etcd: members that are killed and stopped, TLS and users, and control planes side by side.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test fails where its own means do, and tells its figures"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use doorward::model::account::Account;
use doorward::model::id::AccountId;
use doorward::model::mutation::{Actor, Edit, Mutation};
use doorward::model::object::Object;
use doorward::model::revision::Revision;
use doorward::model::state::State;
use doorward::proto::doorward as pb;
use doorward::proto::doorward::policy_service_client::PolicyServiceClient;
use doorward::store::api::{Store, StoreError};
use doorward::store::etcd::{EtcdConfig, EtcdError, EtcdIdentity, EtcdStore, EtcdUser};

use crate::support::etcd::{Cluster, Options};
use crate::support::http;
use crate::support::installation::{ACCOUNT, Home, POLICY, Sidecar, question};
use crate::support::process::{Doorward, PATIENCE};
use crate::support::rpc::{Rpc, until};

#[path = "etcd/crash.rs"]
mod crash;
#[path = "etcd/freshness.rs"]
mod freshness;
#[path = "etcd/keeping.rs"]
mod keeping;
mod support;

const THREE: Options = Options { members: 3, tls: true, quota: None };

// === members ===

fn config(cluster: &Cluster) -> EtcdConfig {
    let identity = EtcdIdentity { certificate_file: cluster.pem("client.pem"), key_file: cluster.pem("client.key") };
    EtcdConfig {
        ca_file: Some(cluster.pem("ca.pem")),
        identity: Some(identity),
        ..EtcdConfig::new(cluster.endpoints(), "/doorward/")
    }
}

fn account(number: usize) -> Object {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
    let name = format!("account {number}").parse().unwrap();
    Object::Account(Account { id: AccountId::from_bytes(bytes), name, strict_boundaries: false })
}

fn commit(store: &dyn Store, object: Object) -> Result<Revision, StoreError> {
    let (expected, subject) = (store.state().revision, object.key());
    let at = jiff::Timestamp::UNIX_EPOCH;
    let edits = vec![Edit::Put(object)];
    store.commit(Mutation { actor: Actor::system(), at, expected, request: None, subject, edits }).map(|it| it.revision)
}

fn named(error: &StoreError) -> &EtcdError {
    let (StoreError::Remote { source, .. } | StoreError::FateUnknown { source, .. }) = error else {
        panic!("not of etcd: {error:?}")
    };
    source.downcast_ref().unwrap()
}

fn refused(config: EtcdConfig) -> String {
    let problem = EtcdStore::open(&EtcdConfig { patience: Duration::from_secs(2), ..config }).unwrap_err();
    let shown = format!("{:?}", named(&problem));
    shown.split([' ', '(', '{']).next().unwrap().to_owned()
}

#[test]
fn members_ask_for_certificates_and_users_and_tokens_are_renewed() {
    let Some(mut cluster) = Cluster::start(THREE) else { return };
    for arguments in [
        "user add root:master",
        "user grant-role root root",
        "role add doorward",
        "role grant-permission doorward readwrite --prefix=true /doorward/",
        "user add doorward:first",
        "user grant-role doorward doorward",
        "auth enable",
    ] {
        cluster.ctl(&arguments.split(' ').collect::<Vec<_>>());
    }
    let folder = tempfile::tempdir().unwrap();
    let password_file = folder.path().join("password");
    fs::write(&password_file, "first\n").unwrap();
    let user =
        |password_file: &PathBuf| Some(EtcdUser { name: "doorward".to_owned(), password_file: password_file.clone() });
    let right = EtcdConfig { user: user(&password_file), ..config(&cluster) };

    assert_eq!(refused(EtcdConfig { identity: None, ..right.clone() }), "Unreachable");
    assert_eq!(refused(EtcdConfig { ca_file: None, ..right.clone() }), "Unreachable");
    assert_eq!(refused(EtcdConfig { user: None, ..right.clone() }), "PermissionDenied");
    assert_eq!(refused(EtcdConfig { prefix: "/other/".to_owned(), ..right.clone() }), "PermissionDenied");
    let wrong = folder.path().join("wrong");
    fs::write(&wrong, "second").unwrap();
    assert_eq!(refused(EtcdConfig { user: user(&wrong), ..right.clone() }), "AuthFailed");
    assert_eq!(refused(EtcdConfig { user: user(&folder.path().join("none")), ..right.clone() }), "File");

    let stores = [EtcdStore::open(&right).unwrap(), EtcdStore::open(&right).unwrap()];
    commit(&stores[0], account(1)).unwrap();
    for index in 0..3 {
        // A member knows no token from before its start.
        cluster.kill(index);
        cluster.revive(index);
        insist(&stores[0], &account(10 + index));
    }
    // A replaced password ends every token of the user.
    cluster.ctl(&["--user", "root:master", "user", "delete", "doorward"]);
    cluster.ctl(&["--user", "root:master", "user", "add", "doorward:second"]);
    cluster.ctl(&["--user", "root:master", "user", "grant-role", "doorward", "doorward"]);
    fs::write(&password_file, "second\n").unwrap();
    let head = insist(&stores[0], &account(20));
    until("the other replica follows", || cluster.transcript(), || (stores[1].state().revision == head).then_some(()));
}

/// Commits until nobody was faster.
fn insist(store: &dyn Store, object: &Object) -> Revision {
    loop {
        match commit(store, object.clone()) {
            Err(StoreError::Conflict { .. }) => {}
            other => return other.unwrap(),
        }
    }
}

/// One answer of a writer.
struct Answer {
    at: Instant,
    number: usize,
    acknowledged: Result<Revision, StoreError>,
}

#[test]
fn a_killed_leader_loses_nothing_and_stops_writes_for_seconds_only() {
    disturbed("killed", Cluster::kill);
}

#[test]
fn a_leader_that_stops_answering_is_left_for_another() {
    disturbed("stopped", |cluster, leader| cluster.freeze(leader));
}

/// Two replicas write while the leader is disturbed; everything acknowledged is there afterwards, in one order.
fn disturbed(what: &str, disturb: impl FnOnce(&mut Cluster, usize)) {
    let Some(mut cluster) = Cluster::start(THREE) else { return };
    let stores = [0, 1].map(|_| Arc::new(EtcdStore::open(&config(&cluster)).unwrap()));
    let ended = Arc::new(AtomicBool::new(false));
    let (sender, answers) = channel();
    let writers: Vec<_> =
        stores.iter().enumerate().map(|(index, it)| writer(index, Arc::clone(it), &ended, sender.clone())).collect();
    let mut all = acknowledgements(&answers, 200, |_| true);
    let leader = cluster.leader();
    disturb(&mut cluster, leader);
    let disturbed = Instant::now();
    // Both replicas have written again.
    for index in 0..2 {
        all.extend(acknowledgements(&answers, 100, |it| it.number % 2 == index && it.at > disturbed));
    }
    ended.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.join().unwrap();
    }
    drop(sender);
    all.extend(answers);

    let silence = [0, 1].map(|index| silence(&all, index, disturbed));
    let unknown = all.iter().filter(|it| matches!(it.acknowledged, Err(StoreError::FateUnknown { .. }))).count();
    let kept = check_acknowledged(&cluster, &stores, &all);
    println!("leader {what}: acknowledged {kept}, lost 0, of unknown fate {unknown}, silence {silence:?}");
    assert!(silence.iter().all(|it| *it < Duration::from_secs(5)), "{silence:?}");
}

fn writer(
    index: usize,
    store: Arc<EtcdStore>,
    ended: &Arc<AtomicBool>,
    answers: Sender<Answer>,
) -> thread::JoinHandle<()> {
    let ended = Arc::clone(ended);
    thread::spawn(move || {
        let mut number = 2 + index;
        while !ended.load(Ordering::SeqCst) {
            let acknowledged = commit(&*store, account(number));
            if matches!(acknowledged, Err(StoreError::Conflict { .. })) {
                continue;
            }
            answers.send(Answer { at: Instant::now(), number, acknowledged }).unwrap();
            number += 2;
        }
    })
}

/// Answers until `count` of them that `counts` are acknowledged.
fn acknowledgements(answers: &Receiver<Answer>, count: usize, counts: impl Fn(&Answer) -> bool) -> Vec<Answer> {
    let (mut all, mut acknowledged) = (Vec::new(), 0);
    while acknowledged < count {
        let answer = answers.recv_timeout(PATIENCE).expect("writers that go on");
        acknowledged += usize::from(answer.acknowledged.is_ok() && counts(&answer));
        all.push(answer);
    }
    all
}

/// The longest time between two acknowledgements of a writer, around `disturbed` and after.
fn silence(all: &[Answer], index: usize, disturbed: Instant) -> Duration {
    let own = all.iter().filter(|it| it.number % 2 == index && it.acknowledged.is_ok());
    let times: Vec<_> = own.map(|it| it.at).collect();
    let gaps = times.windows(2).filter(|pair| pair[1] >= disturbed).map(|pair| pair[1] - pair[0]);
    gaps.max().unwrap_or_default()
}

/// Every acknowledged commit is where it was acknowledged, for both replicas and for one that is opened now.
fn check_acknowledged(cluster: &Cluster, stores: &[Arc<EtcdStore>; 2], all: &[Answer]) -> usize {
    let third = EtcdStore::open(&config(cluster)).unwrap();
    let log = third.changes_after(Revision::ZERO, usize::MAX).unwrap();
    let subjects: BTreeMap<_, _> = log.iter().map(|entry| (entry.revision, entry.subject.clone())).collect();
    let mut kept = 0;
    for answer in all {
        if let Ok(revision) = answer.acknowledged {
            assert_eq!(subjects.get(&revision), Some(&account(answer.number).key()), "{revision} is lost");
            kept += 1;
        }
    }
    for store in stores {
        until("the head", || cluster.transcript(), || (store.state().revision >= third.state().revision).then_some(()));
        assert_eq!(objects(&store.state()), objects(&third.state()));
        assert_eq!(store.changes_after(Revision::ZERO, usize::MAX).unwrap(), log);
    }
    kept
}

fn objects(state: &State) -> Vec<Object> {
    state.records().map(|record| record.value).collect()
}

// === control planes ===

#[test]
fn control_planes_that_start_at_once_are_one() {
    let Some(cluster) = Cluster::start(Options::SINGLE) else { return };
    let homes = [Home::new(&cluster), Home::new(&cluster), Home::new(&cluster)];
    let mut planes = homes.each_ref().map(Home::control_plane);
    let addresses = planes.each_ref().map(|plane| plane.listener("admin"));
    let roots: Vec<_> = homes.iter().filter_map(|home| home.token("root.token")).collect();
    let watches: Vec<_> = homes.iter().filter_map(|home| home.token("watch.token")).collect();
    let transcript = planes.each_ref().map(Doorward::transcript).join("\n");
    assert_eq!((roots.len(), watches.len()), (1, 1), "{transcript}");

    let admins = addresses.map(|address| Rpc::to(address).with_token(&roots[0]));
    let sidecars = [0, 1, 2].map(|it| homes[it].sidecar("sidecar", &[addresses[it]], &watches[0]));
    let everywhere = |expected: pb::Decision, sidecars: &[Sidecar]| {
        for Sidecar { process, check, .. } in sidecars {
            let decided = || check.check(&question()).ok().filter(|answer| answer.decision() == expected).map(drop);
            until(&format!("{expected:?}"), || format!("{transcript}\n{}", process.transcript()), decided);
        }
    };
    everywhere(pb::Decision::Allow, &sidecars);
    set_policy(&admins[1], "DENY settings:schemas:read;");
    everywhere(pb::Decision::Deny, &sidecars);
    set_policy(&admins[2], "ALLOW settings:schemas:read;");
    everywhere(pb::Decision::Allow, &sidecars);

    // One of them is gone: the others go on, and its sidecar with what it has.
    planes[0].kill();
    set_policy(&admins[1], "DENY settings:schemas:read;");
    everywhere(pb::Decision::Deny, &sidecars[1..]);
    assert_eq!(sidecars[0].check.check(&question()).unwrap().decision(), pb::Decision::Allow);
}

#[test]
fn an_outage_of_etcd_is_in_the_log_and_in_the_age_of_the_store() {
    let Some(mut cluster) = Cluster::start(Options::SINGLE) else { return };
    let home = Home::new(&cluster);
    let plane = home.control_plane();
    let pages = plane.listener("metrics");
    let staleness = || {
        let page = http::get(pages, "/metrics").unwrap().text();
        page.lines().find_map(|line| line.strip_prefix("doorward_store_staleness_seconds ")?.parse::<f64>().ok())
    };
    cluster.kill(0);
    let told = "etcd does not tell its head; the last state is served on and grows stale";
    let line = plane.wait_for_message(told, PATIENCE);
    assert!(line.field("error").is_some(), "{line:?}");
    assert!(staleness() > Some(5.0), "a question is given up after eight seconds: {:?}", staleness());
    cluster.revive(0);
    plane.wait_for_message("etcd tells its head again", PATIENCE);
    until("a young store", || plane.transcript(), || staleness().filter(|age| *age < 3.0));
}

/// Changes the policy; gives the token of the revision.
fn set_policy(admin: &Rpc, statements: &str) -> String {
    let (name, statements) = ("Readers".to_owned(), statements.to_owned());
    let policy = pb::Policy { id: POLICY.to_owned(), name, statements, ..pb::Policy::default() };
    let (account, policy) = (ACCOUNT.to_owned(), Some(policy));
    let update = pb::UpdatePolicyRequest { account, policy, ..pb::UpdatePolicyRequest::default() };
    let answer = admin.wait(PolicyServiceClient::new(admin.channel()).update_policy(admin.request(update)));
    answer.expect("acknowledged").into_inner().revision_token
}

#[test]
fn what_the_configuration_says_wrong_ends_the_start_with_its_reason() {
    let Some(cluster) = Cluster::start(Options::SINGLE) else { return };
    cluster.ctl(&["put", "/doorward/theirs", "1"]);
    let home = Home::new(&cluster);
    let mut plane = home.control_plane();
    assert!(!plane.wait_exit(PATIENCE).success());
    assert!(plane.transcript().contains("is no store of Doorward"), "{}", plane.transcript());
    assert_eq!(cluster.ctl(&["get", "--prefix", "--keys-only", "/doorward/"]).trim(), "/doorward/theirs");
}
