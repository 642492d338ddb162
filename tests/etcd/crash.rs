//! A control plane over etcd that is killed again and again among its writers, and a sidecar that follows it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use doorward::model::id::AccountId;
use doorward::model::object::{Change, Object, Record};
use doorward::model::revision::Revision;
use doorward::model::state::State;
use doorward::proto::doorward as pb;
use doorward::proto::doorward::account_service_client::AccountServiceClient;
use doorward::store::api::Store;
use doorward::store::backup;
use doorward::store::etcd::{EtcdConfig, EtcdReader, EtcdStore};

use crate::support::etcd::{Cluster, Options};
use crate::support::installation::{ACCOUNT, Held, Home, Sidecar};
use crate::support::process::Doorward;
use crate::support::rpc::{Rpc, until};

/// Writers at the same time.
const WRITERS: usize = 4;
/// The longest that a round waits after the acknowledgement that it waits for, in microseconds: about as long as a commit takes.
const PAUSE: u64 = 50_000;

/// How often a control plane is killed; `DOORWARD_CRASH_ROUNDS=50` for a longer trial.
fn rounds() -> usize {
    std::env::var("DOORWARD_CRASH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3)
}

#[test]
fn a_control_plane_that_is_killed_loses_nothing_that_it_acknowledged() {
    let Some(mut trial) = Trial::begin() else { return };
    let rounds = rounds();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..rounds {
        // A step of xorshift: another moment in each round, the same in each run.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        trial.round(round, 1 + usize::try_from(random % 40).unwrap(), Duration::from_micros(random / 40 % PAUSE));
    }
    let (lost, torn) = (trial.lost, trial.torn);
    let told = trial.end();
    println!(
        "control plane over etcd killed {rounds} times among {WRITERS} writers: lost {lost}, torn {torn}, {told}; its sidecar \
         equal after each"
    );
    assert_eq!((lost, torn), (0, 0));
}

/// What lives over all rounds, and what came of them.
struct Trial {
    home: Home,
    config: EtcdConfig,
    plane: Doorward,
    address: SocketAddr,
    sidecar: Sidecar,
    /// A replica that follows from the first round on.
    follower: EtcdStore,
    /// What the log leads to, as far as it was read.
    replayed: State,
    made: Made,
    /// Acknowledged creations and deletions that were not there after a round.
    lost: usize,
    /// Accounts of which a part was there after a round.
    torn: usize,
    _cluster: Cluster,
}

/// What writers asked for. An account has twelve objects, which are made by one commit and deleted by another.
#[derive(Debug, Default)]
struct Made {
    /// The names of the accounts that must be there, by their ids.
    there: BTreeMap<AccountId, String>,
    /// Those that must not be there.
    gone: BTreeSet<AccountId>,
    /// The names of new accounts for which no answer came.
    asked: BTreeSet<String>,
    /// The names of accounts whose deletion was not answered.
    going: BTreeMap<AccountId, String>,
    /// How many answers there were.
    acknowledged: usize,
}

// === impl Trial ===

impl Trial {
    /// A control plane with a sidecar; `None` where etcd cannot be had.
    fn begin() -> Option<Self> {
        let cluster = Cluster::start(Options::SINGLE)?;
        let (home, config) = (Home::new(&cluster), EtcdConfig::new(cluster.endpoints(), EtcdConfig::PREFIX));
        let plane = home.control_plane();
        let address = plane.listener("admin");
        let sidecar = home.sidecar("sidecar", &[address], &home.token("watch.token").unwrap());
        let follower = EtcdStore::open(&config).unwrap();
        let (replayed, made) = (State::default(), Made::default());
        let (lost, torn) = (0, 0);
        Some(Self { home, config, plane, address, sidecar, follower, replayed, made, lost, torn, _cluster: cluster })
    }

    /// Kills the control plane a `pause` after so many writes are acknowledged, and looks at what is left.
    fn round(&mut self, round: usize, after: usize, pause: Duration) {
        let begun = Instant::now();
        self.write_until_killed(round, after, pause);
        let killed = begun.elapsed();
        // Before the next process is there to mend anything.
        let store = EtcdStore::open(&self.config).unwrap();
        self.plane = self.home.control_plane_at(self.address);
        self.check(&store);
        let checked = begun.elapsed();
        self.plane.listener("admin");
        let listening = begun.elapsed();
        self.check_sidecar(&store);
        let (revision, accounts) = (store.state().revision, store.state().accounts.len());
        println!(
            "round {round}: revision {revision}, {accounts} accounts; killed at {killed:.1?}, checked at {checked:.1?}, the \
             next one there at {listening:.1?}, the sidecar equal at {:.1?}",
            begun.elapsed()
        );
    }

    fn write_until_killed(&mut self, round: usize, after: usize, pause: Duration) {
        let token = self.home.token("root.token").unwrap();
        let admins = [(); WRITERS].map(|()| Rpc::to(self.address).with_token(&token));
        let (acknowledged, killed) = (AtomicUsize::new(0), AtomicBool::new(false));
        // What earlier rounds made is deleted by this one, so that the last round is about as much as the first.
        let mut old = [(); WRITERS].map(|()| BTreeMap::new());
        for (number, (id, name)) in std::mem::take(&mut self.made.there).into_iter().enumerate() {
            old[number % WRITERS].insert(id, name);
        }
        thread::scope(|scope| {
            let begin = |(writer, (admin, old))| {
                let it = Writer { admin, acknowledged: &acknowledged, killed: &killed, made: Made::default() };
                scope.spawn(move || it.write(&format!("r{round} w{writer}"), old))
            };
            let writers: Vec<_> = admins.iter().zip(old).enumerate().map(begin).collect();
            let enough = || (acknowledged.load(Ordering::SeqCst) >= after).then_some(());
            until("writes", || self.plane.transcript(), enough);
            // Random times are what this is about: the kill hits whatever part of a commit it happens to hit.
            thread::sleep(pause);
            killed.store(true, Ordering::SeqCst);
            self.plane.kill();
            for writer in writers {
                self.made.add(writer.join().unwrap());
            }
        });
    }

    /// What was acknowledged is so and everything there is whole, or it is counted; the log leads to it, and a replica that
    /// followed has it.
    fn check(&mut self, store: &EtcdStore) {
        let state = store.state();
        let named = |id: &AccountId| state.account(*id).map(|found| found.account.value.name.as_str());
        let lost = self.made.there.iter().filter(|(id, name)| named(id) != Some(name.as_str()));
        let lost: Vec<_> = lost.map(|(_, name)| name.as_str()).collect();
        let back: Vec<_> = self.made.gone.iter().filter_map(named).collect();
        let torn = torn(&state);
        if !(lost.is_empty() && back.is_empty() && torn.is_empty()) {
            println!("lost: {lost:?}, not deleted: {back:?}, torn: {torn:?}");
        }
        self.lost += lost.len() + back.len();
        self.torn += torn.len();
        for entry in store.changes_after(self.replayed.revision, usize::MAX).unwrap() {
            if entry.revision <= state.revision {
                self.replayed.apply(entry.revision, &*entry.changes).unwrap();
            }
        }
        assert!(self.replayed.records().eq(state.records()), "the log leads elsewhere");
        let follows = || Some(self.follower.state()).filter(|followed| followed.revision >= state.revision);
        let followed = until("the follower", String::new, follows);
        assert!(followed.revision > state.revision || followed.records().eq(state.records()));
        let verified = backup::verify(&EtcdReader::open(&self.config).unwrap(), "etcd").unwrap();
        assert_eq!(verified.counts.commits, verified.counts.events);
    }

    /// The sidecar comes to what the store has, and never had to refuse anything on the way.
    fn check_sidecar(&self, store: &EtcdStore) {
        let transcript = || format!("{}\n{}", self.plane.transcript(), self.sidecar.process.transcript());
        // What the killed process had sent may be committed as late as now; no sidecar is ahead of the store.
        until("the same revision", transcript, || {
            let reached = self.sidecar.reaches(store.state().revision, transcript).revision;
            (reached == store.state().revision.get()).then_some(())
        });
        let refused = self.sidecar.process.log().iter().filter(|line| line.message().contains("given up")).count();
        assert_eq!(refused, 0, "{}", transcript());
    }

    /// Holds everything against everything, and tells what came of it.
    fn end(self) -> String {
        let state = EtcdStore::open(&self.config).unwrap().state();
        let (mut replayed, mut made) = (State::default(), BTreeSet::new());
        for entry in EtcdStore::open(&self.config).unwrap().changes_after(Revision::ZERO, usize::MAX).unwrap() {
            replayed.apply(entry.revision, &*entry.changes).unwrap();
            made.extend(entry.changes.iter().filter_map(account_name));
        }
        assert!(replayed.records().eq(state.records()), "the log leads elsewhere");
        assert_eq!(self.sidecar.end(), Held::of(&state));
        let names: BTreeSet<_> = state.accounts.values().map(|it| it.account.value.name.as_str()).collect();
        let Made { asked, going, acknowledged, .. } = &self.made;
        let created: BTreeSet<_> = made.iter().filter(|name| asked.contains(*name)).collect();
        let deleted = going.values().filter(|name| !names.contains(name.as_str())).count();
        format!(
            "acknowledged {acknowledged}; without an answer {}, of which {} were done",
            asked.len() + going.len(),
            created.len() + deleted,
        )
    }
}

fn account_name(change: &Change) -> Option<String> {
    match change {
        Change::Put(Record { value: Object::Account(account), .. }) => Some(account.name.as_str().to_owned()),
        _ => None,
    }
}

/// The accounts that are not whole: one that was created has its five groups and that of everybody, and something bound to
/// each of the five.
fn torn(state: &State) -> Vec<AccountId> {
    let made = state.accounts.iter().filter(|(id, _)| id.to_string() != ACCOUNT);
    let torn = made.filter(|(_, account)| {
        let bound = account.groups.keys().filter(|group| account.bindings_of_group(**group).next().is_some()).count();
        (account.groups.len(), bound) != (6, 5)
    });
    torn.map(|(id, _)| *id).collect()
}

struct Writer<'t> {
    admin: &'t Rpc,
    acknowledged: &'t AtomicUsize,
    killed: &'t AtomicBool,
    made: Made,
}

// === impl Writer ===

impl Writer<'_> {
    /// Creates accounts and deletes `old` ones in turn, until nobody is there any more.
    fn write(mut self, name: &str, mut old: BTreeMap<AccountId, String>) -> Made {
        for number in 0.. {
            let goes_on = self.create(format!("{name} n{number}"))
                && old.pop_first().is_none_or(|(id, name)| self.delete(id, name));
            if !goes_on {
                break;
            }
        }
        self.made.there.extend(old);
        self.made
    }

    fn create(&mut self, name: String) -> bool {
        let account = Some(pb::Account { name: name.clone(), ..pb::Account::default() });
        let request = pb::CreateAccountRequest { account, request_id: name.clone() };
        let mut client = AccountServiceClient::new(self.admin.channel());
        let answer = self.admin.wait(client.create_account(self.admin.request(request)));
        if let Some(account) = answer.ok().and_then(|answer| answer.into_inner().account) {
            self.made.there.insert(account.id.parse().unwrap(), name);
            return self.answered();
        }
        self.made.asked.insert(name);
        self.unanswered()
    }

    fn delete(&mut self, id: AccountId, name: String) -> bool {
        let (account, request_id) = (id.to_string(), format!("delete {name}"));
        let request =
            pb::DeleteAccountRequest { id: account, force: true, request_id, ..pb::DeleteAccountRequest::default() };
        let mut client = AccountServiceClient::new(self.admin.channel());
        if self.admin.wait(client.delete_account(self.admin.request(request))).is_ok() {
            self.made.gone.insert(id);
            return self.answered();
        }
        self.made.going.insert(id, name);
        self.unanswered()
    }

    fn answered(&mut self) -> bool {
        self.made.acknowledged += 1;
        self.acknowledged.fetch_add(1, Ordering::SeqCst);
        true
    }

    /// Whether to go on: only before the kill may something be refused.
    fn unanswered(&self) -> bool {
        !self.killed.load(Ordering::SeqCst)
    }
}

// === impl Made ===

impl Made {
    fn add(&mut self, other: Self) {
        let Self { there, gone, asked, going, acknowledged } = other;
        self.there.extend(there);
        self.gone.extend(gone);
        self.asked.extend(asked);
        self.going.extend(going);
        self.acknowledged += acknowledged;
    }
}
