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
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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
use doorward::proto::doorward::account_service_client::AccountServiceClient;
use doorward::proto::doorward::policy_service_client::PolicyServiceClient;
use doorward::store::api::{Store, StoreError};
use doorward::store::etcd::{EtcdConfig, EtcdError, EtcdIdentity, EtcdStore, EtcdUser};

use crate::support::etcd::{Cluster, Options};
use crate::support::installation::{ACCOUNT, Held, Home, POLICY, Sidecar, question};
use crate::support::process::{Doorward, PATIENCE};
use crate::support::rpc::{Rpc, until};

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

fn set_policy(admin: &Rpc, statements: &str) {
    let (name, statements) = ("Readers".to_owned(), statements.to_owned());
    let policy = pb::Policy { id: POLICY.to_owned(), name, statements, ..pb::Policy::default() };
    let (account, policy) = (ACCOUNT.to_owned(), Some(policy));
    let update = pb::UpdatePolicyRequest { account, policy, ..pb::UpdatePolicyRequest::default() };
    admin.wait(PolicyServiceClient::new(admin.channel()).update_policy(admin.request(update))).expect("acknowledged");
}

/// How often a control plane is killed; `DOORWARD_CRASH_ROUNDS=50` for a longer trial.
fn rounds() -> usize {
    std::env::var("DOORWARD_CRASH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3)
}

#[test]
fn a_control_plane_that_is_killed_loses_nothing_that_it_acknowledged() {
    const WRITERS: usize = 4;
    let rounds = rounds();
    let Some(cluster) = Cluster::start(Options::SINGLE) else { return };
    let home = Home::new(&cluster);
    let config = EtcdConfig::new(cluster.endpoints(), EtcdConfig::PREFIX);
    let (mut acknowledged, mut unknown) = (BTreeMap::new(), 0);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let (mut follower, mut seat) = (None, None);
    for round in 0..rounds {
        let address = seat.as_ref().map_or(([127, 0, 0, 1], 0).into(), |(address, _)| *address);
        let mut plane = home.control_plane_at(address);
        let address = plane.listener("admin");
        let (_, sidecar) = seat
            .get_or_insert_with(|| (address, home.sidecar("sidecar", &[address], &home.token("watch.token").unwrap())));
        let follower = follower.get_or_insert_with(|| EtcdStore::open(&config).unwrap());
        let token = home.token("root.token").unwrap();
        let admins: Vec<_> = (0..WRITERS).map(|_| Rpc::to(address).with_token(&token)).collect();
        // A step of xorshift: another moment in each round, the same in each run.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let after = 1 + usize::try_from(random % 40).unwrap();
        let (made, failed) = create_accounts_until(&admins, round, after, || {
            plane.kill();
        });
        acknowledged.extend(made);
        unknown += failed;
        let store = EtcdStore::open(&config).unwrap();
        check_accounts(&store, follower, &acknowledged);
        // What was committed and not told any more comes from the next process, at the same address.
        let _plane = home.control_plane_at(address);
        sidecar.reaches(store.state().revision);
        assert_eq!(sidecar.check.check(&question()).unwrap().revision, store.state().revision.get());
    }
    let (_, sidecar) = seat.unwrap();
    assert_eq!(sidecar.end(), Held::of(&EtcdStore::open(&config).unwrap().state()));
    println!(
        "control plane over etcd killed {rounds} times among {WRITERS} writers: acknowledged {}, lost 0, torn 0, of unknown fate {unknown}; its sidecar equal after each",
        acknowledged.len()
    );
}

/// Creates accounts until that fails for every writer; gives those that were acknowledged with their revisions, and how
/// many were not. `kill` is called once `after` are acknowledged.
fn create_accounts_until(
    admins: &[Rpc],
    round: usize,
    after: usize,
    kill: impl FnOnce(),
) -> (Vec<(String, String)>, usize) {
    let acknowledged = AtomicUsize::new(0);
    let write = |writer: usize, admin: &Rpc| {
        let mut made = Vec::new();
        loop {
            let name = format!("r{round} w{writer} n{}", made.len());
            let account = Some(pb::Account { name: name.clone(), ..pb::Account::default() });
            let request = pb::CreateAccountRequest { account, request_id: name.clone() };
            let mut client = AccountServiceClient::new(admin.channel());
            let Ok(answer) = admin.wait(client.create_account(admin.request(request))) else { return made };
            made.push((answer.into_inner().account.unwrap().id, name));
            acknowledged.fetch_add(1, Ordering::SeqCst);
        }
    };
    thread::scope(|scope| {
        let writers: Vec<_> =
            admins.iter().enumerate().map(|(writer, admin)| scope.spawn(move || write(writer, admin))).collect();
        let enough = || (acknowledged.load(Ordering::SeqCst) >= after).then_some(());
        until("writes", String::new, enough);
        kill();
        let count = writers.len();
        (writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect(), count)
    })
}

/// Everything acknowledged is there, everything there is whole, the log leads to it, and a replica that followed has it.
fn check_accounts(store: &EtcdStore, follower: &EtcdStore, acknowledged: &BTreeMap<String, String>) {
    let state = store.state();
    for (id, name) in acknowledged {
        let id: AccountId = id.parse().unwrap();
        let found = state.account(id).unwrap_or_else(|| panic!("{name} is lost"));
        assert_eq!(found.account.value.name.as_str(), name);
    }
    for (id, account) in &state.accounts {
        if id.to_string() == ACCOUNT {
            continue;
        }
        // One that was created has its five groups and that of everybody, and something bound to each of the five.
        let bound = account.groups.keys().filter(|group| account.bindings_of_group(**group).next().is_some()).count();
        assert_eq!((account.groups.len(), bound), (6, 5), "{id} is torn");
    }
    let mut replayed = State::default();
    for entry in store.changes_after(Revision::ZERO, usize::MAX).unwrap() {
        replayed.apply(entry.revision, &*entry.changes).unwrap();
    }
    assert!(replayed.records().eq(state.records()), "the log leads elsewhere");
    until("the follower", String::new, || (follower.state().revision >= state.revision).then_some(()));
    assert!(follower.state().records().eq(state.records()));
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
