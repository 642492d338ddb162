//! Three members of etcd, two control planes and four sidecars, of which one after the other is taken away under load.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails where its own means do, and tells its figures"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use doorward::model::id::GroupId;
use doorward::model::identity::{Group, GroupOwner};
use doorward::model::mutation::{Actor, Edit, Mutation};
use doorward::model::object::{Object, ObjectKey};
use doorward::model::revision::{Revision, RevisionToken};
use doorward::proto::doorward as pb;
use doorward::proto::doorward::user_service_client::UserServiceClient;
use doorward::proto::doorward::watch_response::Event;
use doorward::proto::doorward::watch_service_client::WatchServiceClient;
use doorward::store::api::{Store, StoreError};
use doorward::store::etcd::{EtcdConfig, EtcdStore};
use tonic::Code;

use crate::support::cutter::Cutter;
use crate::support::etcd::{Cluster, Options};
use crate::support::installation::{ACCOUNT, Held, Home, Sidecar, question};
use crate::support::process::{Doorward, PATIENCE};
use crate::support::rpc::{Rpc, until};

mod support;

const THREE: Options = Options { members: 3, tls: false, quota: None };
const WRITERS: usize = 2;
/// Groups of the commit that is cut.
const GROUPS: usize = 300;
/// Writes that each writer has had acknowledged before the next thing happens.
const CALM: usize = 15;
/// The longest that a writer may be without an acknowledgement.
const SILENCE: Duration = Duration::from_secs(5);

/// An acknowledged write.
struct Write {
    writer: usize,
    at: Instant,
    email: String,
}

/// What the checks of one sidecar came to.
#[derive(Default)]
struct Checks {
    made: usize,
    failed: Vec<String>,
}

/// The load, and what came of it so far.
#[derive(Default)]
struct Load {
    ended: AtomicBool,
    written: AtomicBool,
    /// Held by whoever commits what takes so long to plan that the writers would always be faster.
    turn: RwLock<()>,
    writes: Mutex<Vec<Write>>,
    /// Answers after which a write was made again, and how often.
    repeated: Mutex<BTreeMap<String, usize>>,
    /// What was done, and when.
    done: Mutex<Vec<(&'static str, Instant)>>,
}

/// All of it, running.
struct Scene {
    cluster: Cluster,
    homes: [Home; 2],
    planes: [Doorward; 2],
    addresses: [SocketAddr; 2],
    root: PathBuf,
    watch: PathBuf,
    /// Between the first sidecar and its control planes.
    cutter: Cutter,
    sidecars: [Sidecar; 4],
}

#[test]
fn nothing_is_lost_and_no_check_fails_while_members_planes_and_streams_are_taken_away() {
    let Some(mut scene) = Scene::start() else { return };
    let load = Load::default();
    let (connections, checks) = (scene.connections(), scene.sidecars.each_ref().map(|_| Mutex::new(Checks::default())));
    let askers = scene.sidecars.each_ref().map(|sidecar| Rpc::to(sidecar.process.listener("check")));
    thread::scope(|scope| {
        let load = &load;
        for (asker, checks) in askers.iter().zip(&checks) {
            scope.spawn(move || *checks.lock().unwrap() = load.check(asker));
        }
        let writing: Vec<_> = connections
            .iter()
            .enumerate()
            .map(|(writer, planes)| scope.spawn(move || load.write(writer, planes)))
            .collect();
        let ending = Ending(load);
        load.goes_on(|| scene.transcript());
        scene.cut_a_stream(load);
        scene.kill_the_leader(load);
        scene.kill_a_control_plane(load);
        load.written.store(true, Ordering::SeqCst);
        for writer in writing {
            writer.join().unwrap();
        }
        // Checks go on until everybody has everything.
        scene.all_reach(open(&scene.cluster).state().revision);
        drop(ending);
    });

    let store = open(&scene.cluster);
    let state = store.state();
    let account = state.account(ACCOUNT.parse().unwrap()).unwrap();
    let writes = load.writes.into_inner().unwrap();
    let lost = writes.iter().filter(|write| account.user_by_email(&write.email).is_none()).count();
    let silences = silences(&writes, &load.done.into_inner().unwrap());
    let checks = checks.map(|checks| checks.into_inner().unwrap());
    let failed: Vec<_> = checks.iter().flat_map(|checks| checks.failed.iter()).collect();
    println!(
        "{} checks, {} failed; {} writes acknowledged, {lost} lost, made again {:?}; longest time without one {silences:.2?}",
        checks.iter().map(|checks| checks.made).sum::<usize>(),
        failed.len(),
        writes.len(),
        load.repeated.into_inner().unwrap(),
    );
    assert_eq!((lost, failed.len()), (0, 0), "{failed:?}");
    assert!(checks.iter().all(|checks| checks.made > 0), "a sidecar that nobody asked");
    assert!(silences.values().all(|silence| *silence <= SILENCE), "{silences:?}");
    scene.says_everywhere(RevisionToken { store: store.id(), revision: state.revision });
    scene.ends_with(Held::of(&state));
}

// === impl Scene ===

impl Scene {
    /// Three members, two control planes, and four sidecars that have the first state; `None` where etcd cannot be had.
    fn start() -> Option<Self> {
        let cluster = Cluster::start(THREE)?;
        let homes = [Home::new(&cluster), Home::new(&cluster)];
        let planes = homes.each_ref().map(Home::control_plane);
        let addresses = planes.each_ref().map(|plane| plane.listener("admin"));
        let [root, watch] = ["root.token", "watch.token"]
            .map(|name| homes.iter().find_map(|home| home.token(name)).unwrap_or_else(|| panic!("no {name}")));
        let cutter = Cutter::new();
        let sidecars = [0, 1, 2, 3].map(|index| {
            let planes = if index == 0 { addresses.map(|address| cutter.proxy(address)) } else { addresses };
            homes[0].sidecar(&format!("sidecar{index}"), &planes, &watch)
        });
        let scene = Self { cluster, homes, planes, addresses, root, watch, cutter, sidecars };
        scene.all_reach(Revision::new(1));
        Some(scene)
    }

    /// For each writer a connection to each control plane.
    fn connections(&self) -> [[Rpc; 2]; WRITERS] {
        [(); WRITERS].map(|()| self.addresses.map(|address| Rpc::to(address).with_token(&self.root)))
    }

    fn transcript(&self) -> String {
        self.planes.iter().map(Doorward::transcript).chain([self.cluster.transcript()]).collect()
    }

    fn all_reach(&self, revision: Revision) {
        for sidecar in &self.sidecars {
            sidecar.reaches(revision, || self.transcript());
        }
    }

    /// Cuts the stream of the first sidecar in the middle of a commit, which it then has all the same.
    fn cut_a_stream(&self, load: &Load) {
        load.begins("a stream cut");
        let sidecar = &self.sidecars[0];
        let (streams, _) = sidecar.streams();
        self.cutter.arm();
        let grouped = commit_groups(&self.cluster, &load.turn);
        let cut = self.cutter.wait(PATIENCE);
        assert!(cut > GROUPS * 50, "{cut} bytes are no event of {GROUPS} groups");
        self.all_reach(grouped);
        assert!(sidecar.streams().0 > streams, "{}", sidecar.process.transcript());
        load.goes_on(|| self.transcript());
    }

    fn kill_the_leader(&mut self, load: &Load) {
        let leader = self.cluster.leader();
        load.begins("the leader killed");
        self.cluster.kill(leader);
        load.goes_on(|| self.transcript());
    }

    /// Kills the one that a sidecar follows, and starts it again.
    fn kill_a_control_plane(&mut self, load: &Load) {
        let followed = followed(&self.sidecars[1], self.addresses);
        load.begins("a control plane killed");
        self.planes[followed].kill();
        load.goes_on(|| self.transcript());
        // Those that followed it have gone to the other one.
        self.all_reach(open(&self.cluster).state().revision);
        load.begins("it started again");
        self.planes[followed] = self.homes[followed].control_plane_at(self.addresses[followed]);
        self.planes[followed].listener("admin");
        load.goes_on(|| self.transcript());
    }

    /// `doorward status` says that all sidecars have applied this.
    fn says_everywhere(&self, token: RevisionToken) {
        let addresses = self.addresses.map(|address| address.to_string()).join(",");
        let (file, token) = (self.root.to_str().unwrap(), token.to_string());
        let arguments = ["status", "--address", &addresses, "--token-file", file, "--revision-token", &token];
        let told = Doorward::run(arguments);
        let shown = String::from_utf8(told.stdout).unwrap();
        assert_eq!(told.status.code(), Some(0), "{shown}{}", String::from_utf8_lossy(&told.stderr));
        assert!(shown.contains("is applied everywhere"), "{shown}");
        let connected = shown.lines().filter(|line| line.contains("  connected  ")).count();
        assert_eq!(connected, self.sidecars.len(), "{shown}");
    }

    /// The control planes tell this, and the sidecars have it.
    fn ends_with(self, expected: Held) {
        for address in self.addresses {
            assert_eq!(watched(&Rpc::to(address).with_token(&self.watch)), expected, "{address}");
        }
        for sidecar in self.sidecars {
            assert_eq!(sidecar.end(), expected);
        }
    }
}

/// Ends the load when it goes, so that a test that fails does not wait for it.
struct Ending<'l>(&'l Load);

// === impl Ending ===

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.written.store(true, Ordering::SeqCst);
        self.0.ended.store(true, Ordering::SeqCst);
    }
}

// === impl Load ===

impl Load {
    /// Asks a sidecar until the end.
    fn check(&self, check: &Rpc) -> Checks {
        let (mut checks, mut newest) = (Checks::default(), 0);
        while !self.ended.load(Ordering::SeqCst) {
            checks.made += 1;
            match check.check(&question()) {
                Ok(answer) if answer.decision() == pb::Decision::Allow && answer.revision >= newest => {
                    newest = answer.revision;
                }
                other => checks.failed.push(format!("{other:?} after revision {newest}")),
            }
        }
        checks
    }

    /// Creates users through the one plane and the other. What was not acknowledged is asked for again, of the other one
    /// and with the same request id.
    fn write(&self, writer: usize, planes: &[Rpc; 2]) {
        let (mut number, mut plane) = (0, writer);
        while !self.written.load(Ordering::SeqCst) {
            let email = format!("user-{writer}-{number}@example.com");
            let _turn = self.turn.read().unwrap();
            while let Err(code) = create_user(&planes[plane % 2], &email) {
                let passes = matches!(code, Code::Unavailable | Code::Aborted | Code::DeadlineExceeded | Code::Unknown);
                assert!(passes, "{email}: {code:?}");
                *self.repeated.lock().unwrap().entry(format!("{code:?}")).or_default() += 1;
                plane += 1;
            }
            self.writes.lock().unwrap().push(Write { writer, at: Instant::now(), email });
            (number, plane) = (number + 1, plane + 1);
        }
    }

    /// Notes what happens now.
    fn begins(&self, what: &'static str) {
        self.done.lock().unwrap().push((what, Instant::now()));
    }

    /// Waits until each writer has had some more writes acknowledged.
    fn goes_on(&self, transcript: impl Fn() -> String) {
        let counts = || {
            let writes = self.writes.lock().unwrap();
            [0, 1].map(|writer| writes.iter().filter(|write| write.writer == writer).count())
        };
        let before = counts();
        until("writes", transcript, || {
            // Each question is the wait of this thread; the load is to have the processor.
            thread::yield_now();
            counts().iter().zip(before).all(|(now, before)| *now >= before + CALM).then_some(())
        });
    }
}

fn create_user(admin: &Rpc, email: &str) -> Result<(), Code> {
    let user = Some(pb::User { email: email.to_owned(), ..pb::User::default() });
    let create = pb::CreateUserRequest { account: ACCOUNT.to_owned(), user, request_id: email.to_owned() };
    let call = admin.wait(UserServiceClient::new(admin.channel()).create_user(admin.request(create)));
    call.map(drop).map_err(|status| status.code())
}

/// The longest time between two acknowledgements of a writer, by what was done last before the second.
fn silences(writes: &[Write], done: &[(&'static str, Instant)]) -> BTreeMap<&'static str, Duration> {
    let mut silences = BTreeMap::new();
    for writer in 0..WRITERS {
        let times: Vec<_> = writes.iter().filter(|write| write.writer == writer).map(|write| write.at).collect();
        for pair in times.windows(2) {
            let what = done.iter().rev().find(|(_, at)| *at < pair[1]).map_or("before", |(what, _)| *what);
            let longest: &mut Duration = silences.entry(what).or_default();
            *longest = (*longest).max(pair[1] - pair[0]);
        }
    }
    silences
}

fn open(cluster: &Cluster) -> EtcdStore {
    EtcdStore::open(&EtcdConfig::new(cluster.endpoints(), EtcdConfig::PREFIX)).unwrap()
}

/// Many groups in one commit, beside what the control planes write.
fn commit_groups(cluster: &Cluster, turn: &RwLock<()>) -> Revision {
    let store = open(cluster);
    let _turn = turn.write().unwrap();
    let account = ACCOUNT.parse().unwrap();
    let group = |number: usize| Group {
        id: GroupId::from_bytes((number as u128 + 1).to_be_bytes()),
        name: format!("Group {number}").parse().unwrap(),
        description: String::new(),
        owner: GroupOwner::Local,
        federated_attribute_values: Vec::new(),
    };
    loop {
        let edits = (0..GROUPS).map(|number| Edit::Put(Object::Group(account, group(number)))).collect();
        let (expected, subject) = (store.state().revision, ObjectKey::Account(account));
        let at = jiff::Timestamp::now();
        match store.commit(Mutation { actor: Actor::system(), at, expected, request: None, subject, edits }) {
            Err(StoreError::Conflict { .. }) => {}
            done => return done.unwrap().revision,
        }
    }
}

/// Which of the control planes a sidecar follows.
fn followed(sidecar: &Sidecar, planes: [SocketAddr; 2]) -> usize {
    let (_, from) = sidecar.streams();
    let from = from.unwrap();
    planes.iter().position(|address| from.contains(&address.to_string())).unwrap()
}

/// What a control plane tells a sidecar that has nothing.
fn watched(plane: &Rpc) -> Held {
    let first = plane.wait(async {
        let mut client = WatchServiceClient::new(plane.channel());
        let mut events = client.watch(plane.request(pb::WatchRequest::default())).await.unwrap().into_inner();
        events.message().await.unwrap().unwrap().event
    });
    let Some(Event::Reset(reset)) = first else { panic!("no reset: {first:?}") };
    Held { revision: Revision::new(reset.revision), digest: reset.digest.as_slice().try_into().unwrap() }
}
