//! A store that a control plane serves, backed up by another process.

use std::fs;
use std::io::{self, Read as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use doorward::identity::credential::Credential;
use doorward::model::account::Account;
use doorward::model::id::{AccountId, PolicyId};
use doorward::model::level::Level;
use doorward::model::mutation::{Actor, Edit, Mutation};
use doorward::model::object::{Object, ObjectKey, Record};
use doorward::model::policy::Policy;
use doorward::model::revision::Revision;
use doorward::model::state::State;
use doorward::proto::doorward::store_service_client::StoreServiceClient;
use doorward::store::api::Store as _;
use doorward::store::backup::Incoming;
use doorward::store::dump::DumpError;
use doorward::store::embedded::EmbeddedStore;
use tonic::{Code, Streaming};

use super::*;
use crate::support::cutter::Cutter;
use crate::support::rpc::until;

/// Commits that a store begins with, each of half a megabyte three times over: more than any window of a connection takes.
const COMMITS: u8 = 8;

/// A control plane over a large store, and an empty folder for backups.
struct Served {
    home: Home,
    control: Doorward,
    admin: Rpc,
}

// === impl Served ===

impl Served {
    fn start() -> Self {
        let home = Home::new();
        fill(&home.path("data"));
        fs::create_dir(home.path("backups")).unwrap();
        let control = home.control_plane(&[]);
        let admin = home.admin(&control);
        Self { home, control, admin }
    }

    fn backup_command(&self, address: &str, token: &str) -> Command {
        let mut command = Doorward::command();
        command.args(["store", "backup", "--address", address, "--token-file"]).arg(self.home.path(token));
        command.arg(self.home.path("backups/b.dwb"));
        command
    }

    /// Backs up through this address and with this credential; it must end with `code`. Gives what it said.
    fn back_up(&self, address: &str, token: &str, code: i32) -> String {
        let output = self.backup_command(address, token).output().unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert_eq!(output.status.code(), Some(code), "{text}\n{}", self.control.transcript());
        text
    }

    fn address(&self) -> String {
        self.control.listener("admin").to_string()
    }

    fn backups(&self) -> Vec<String> {
        let names = fs::read_dir(self.home.path("backups")).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).collect()
    }

    /// A backup that is read as slowly as the test wants.
    fn stream(&self) -> Streaming<pb::BackupResponse> {
        let mut client = StoreServiceClient::new(self.admin.channel());
        let begun = self.admin.wait(client.backup(self.admin.request(pb::BackupRequest {})));
        begun.expect("a backup").into_inner()
    }

    /// The next chunk of it.
    fn next(&self, answers: &mut Streaming<pb::BackupResponse>) -> Result<Option<Vec<u8>>, Status> {
        Ok(self.admin.wait(answers.message())?.map(|answer| answer.chunk))
    }

    /// A command that has received a part of a backup, and does not get the rest.
    fn receiving(&self) -> Doorward {
        let proxy = holding(self.control.listener("admin")).to_string();
        let client = Doorward::start_with(&mut self.backup_command(&proxy, "data/credentials/root.token"));
        let part = || {
            let mut drafts = fs::read_dir(self.home.path("backups")).unwrap();
            drafts.any(|draft| draft.unwrap().metadata().is_ok_and(|draft| draft.len() > 0)).then_some(())
        };
        until("a part of a backup", || client.transcript(), part);
        client
    }

    /// Backs up once the control plane has seen that nobody reads the one before, and takes the file away.
    fn back_up_when_free(&self, address: &str) {
        let mut command = self.backup_command(address, "data/credentials/root.token");
        let done = || command.output().unwrap().status.success().then_some(());
        until("room for a backup", || self.control.transcript(), done);
        assert_eq!(self.backups(), ["b.dwb"]);
        fs::remove_file(self.home.path("backups/b.dwb")).unwrap();
    }

    fn has_said(&self, message: &str) -> bool {
        self.control.log().iter().any(|line| line.message() == message)
    }
}

/// Makes a store of several megabytes.
fn fill(folder: &Path) {
    let store = EmbeddedStore::open(folder).unwrap();
    let account: AccountId = ACCOUNT.parse().unwrap();
    let owner = Account { id: account, name: "Example".parse().unwrap(), strict_boundaries: false };
    for number in 0..COMMITS {
        let policy = Policy {
            id: PolicyId::from_bytes([number; 16]),
            level: Level::Account,
            name: format!("large {number}").parse().unwrap(),
            description: "x".repeat(512 * 1024),
            tags: Vec::new(),
            statements: "ALLOW settings:schemas:read;".to_owned(),
        };
        let edits = vec![Edit::Put(Object::Account(owner.clone())), Edit::Put(Object::Policy(account, policy))];
        let (actor, at, expected) = (Actor::system(), jiff::Timestamp::now(), store.state().revision);
        store.commit(Mutation { actor, at, expected, request: None, subject: ObjectKey::Global, edits }).unwrap();
    }
}

/// A proxy that lets the first megabyte of what `server` says through, and nothing more until one of both ends is gone.
fn holding(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (client, server) = (listener.accept().unwrap().0, TcpStream::connect(server).unwrap());
        thread::scope(|scope| {
            scope.spawn(|| {
                // The end of a copy is the end of both, however it came.
                let _ = io::copy(&mut &client, &mut &server);
                let _ = server.shutdown(Shutdown::Both);
            });
            let _ = io::copy(&mut (&server).take(1024 * 1024), &mut &client);
            let _ = io::copy(&mut &server, &mut io::sink());
            let _ = client.shutdown(Shutdown::Both);
        });
    });
    address
}

fn contents(state: &State) -> (Revision, Vec<Record<Object>>) {
    (state.revision, state.records().collect())
}

/// The backup in `file`, restored beside it: its state at that revision, and after the commits that followed it in `served`.
fn check_restored(home: &Home, file: &str, served: &EmbeddedStore) {
    let made = home.path(&format!("{file}.made"));
    let output =
        Doorward::run([Path::new("store"), Path::new("restore"), &home.path(file), Path::new("--directory"), &made]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let restored = EmbeddedStore::open(&made).unwrap();
    let mut state = State::clone(&restored.state());
    for entry in served.changes_after(state.revision, usize::MAX).unwrap() {
        state.apply(entry.revision, &*entry.changes).unwrap();
    }
    assert!(contents(&state) == contents(&served.state()), "{file} is not the state of one revision");
    let audit = |store: &EmbeddedStore| store.audit_after(Revision::ZERO, usize::MAX).unwrap();
    assert!(audit(served).starts_with(&audit(&restored)), "{file} tells another past");
}

#[test]
fn commits_go_on_during_a_backup_which_is_of_one_revision() {
    let mut served = Served::start();
    // Read as far as it takes for the store to be under way, and no further.
    let mut answers = served.stream();
    let path = served.home.path("slow.dwb");
    let mut incoming = Incoming::new("the control plane", &path, false).unwrap();
    incoming.take(&served.next(&mut answers).unwrap().unwrap()).unwrap();
    for number in 0..20 {
        create_policy(&served.admin, &format!("p-during-{number}"), "x").unwrap();
    }
    assert!(served.has_said("backup begins") && !served.has_said("backup sent"), "{}", served.control.transcript());
    while let Some(chunk) = served.next(&mut answers).unwrap() {
        incoming.take(&chunk).unwrap();
    }
    let verified = incoming.finish().unwrap();
    let line = served.control.wait_for_message("backup sent", PATIENCE);
    // That of the global level, which the control plane made, is the last before the call.
    assert_eq!(verified.head.revision, Revision::new(u64::from(COMMITS) + 1));
    assert_eq!(line.number("bytes"), Some(fs::metadata(&path).unwrap().len()));
    assert!(line.field("actor").is_some_and(|actor| actor.starts_with("credential:")), "{line:?}");

    let (over, address) = (AtomicBool::new(false), served.address());
    let acknowledged = thread::scope(|scope| {
        let committing = scope.spawn(|| {
            let names = (0..).map(|number| format!("p-{number}")).take_while(|_| !over.load(Ordering::SeqCst));
            names.inspect(|name| drop(create_policy(&served.admin, name, "x").unwrap())).count()
        });
        let said = served.back_up(&address, "data/credentials/root.token", 0);
        over.store(true, Ordering::SeqCst);
        assert!(said.contains("is a backup of `127.0.0.1:") && said.contains("2 credentials"), "{said}");
        committing.join().unwrap()
    });
    assert!(acknowledged > 0);
    assert_eq!(served.backups(), ["b.dwb"]);
    served.control.kill();
    served.home.verify();
    let store = EmbeddedStore::open(&served.home.path("data")).unwrap();
    for file in ["slow.dwb", "backups/b.dwb"] {
        check_restored(&served.home, file, &store);
    }
}

#[test]
fn a_file_that_is_there_stays_unless_it_is_to_be_overwritten() {
    let served = Served::start();
    let (address, file) = (served.address(), served.home.path("backups/b.dwb"));
    fs::write(&file, "theirs").unwrap();
    let said = served.back_up(&address, "data/credentials/root.token", 2);
    assert!(said.contains("b.dwb` is there already") && said.contains("--overwrite"), "{said}");
    assert_eq!(fs::read(&file).unwrap(), b"theirs");
    assert!(!served.has_said("backup begins"), "it is refused before anything is asked for");
    let mut overwriting = served.backup_command(&address, "data/credentials/root.token");
    assert_eq!(overwriting.arg("--overwrite").output().unwrap().status.code(), Some(0));
    assert!(fs::read(&file).unwrap().starts_with(b"doorward-backup\n"));
    assert_eq!(served.backups(), ["b.dwb"]);
}

#[test]
fn a_credential_that_is_not_root_gets_nothing() {
    let served = Served::start();
    let stranger = Credential::from_random(&[7; 45]).reveal();
    fs::write(served.home.path("other.token"), &stranger).unwrap();
    for (token, expected) in [("data/credentials/watch.token", "PermissionDenied"), ("other.token", "Unauthenticated")]
    {
        let said = served.back_up(&served.address(), token, 2);
        assert!(said.contains(expected) && !said.contains(&stranger), "{said}");
        assert_eq!(served.backups(), Vec::<String>::new());
    }
    assert!(!served.has_said("backup begins"), "{}", served.control.transcript());
}

#[test]
fn a_connection_that_is_cut_leaves_nothing_and_is_in_nobodys_way() {
    let served = Served::start();
    let cutter = Cutter::new();
    let proxy = cutter.proxy(served.control.listener("admin")).to_string();
    cutter.arm();
    let said = served.back_up(&proxy, "data/credentials/root.token", 2);
    cutter.wait(PATIENCE);
    assert!(said.contains(&format!("no whole backup came from `{proxy}`, and nothing was made of it")), "{said}");
    assert_eq!(served.backups(), Vec::<String>::new());
    served.back_up_when_free(&proxy);
}

#[test]
fn a_command_that_is_asked_to_end_leaves_nothing() {
    let served = Served::start();
    for signal in ["INT", "TERM"] {
        let mut client = served.receiving();
        client.signal(signal);
        assert_eq!(client.wait_exit(PATIENCE).code(), Some(2), "{}", client.transcript());
        let expected = format!("SIG{signal} came before the backup was whole");
        assert!(client.transcript().contains(&expected), "{}", client.transcript());
        assert_eq!(served.backups(), Vec::<String>::new());
        served.back_up_when_free(&served.address());
    }
}

#[test]
fn a_control_plane_that_is_killed_leaves_nothing_of_a_backup() {
    let mut served = Served::start();
    let mut client = served.receiving();
    served.control.kill();
    assert_eq!(client.wait_exit(PATIENCE).code(), Some(2), "{}", client.transcript());
    assert!(client.transcript().contains("no whole backup came from"), "{}", client.transcript());
    assert_eq!(served.backups(), Vec::<String>::new());
    served.home.verify();
}

#[test]
fn a_second_backup_at_once_is_refused_by_name() {
    let served = Served::start();
    let mut first = served.stream();
    served.next(&mut first).unwrap().unwrap();
    let said = served.back_up(&served.address(), "data/credentials/root.token", 2);
    assert!(said.contains("ResourceExhausted: another backup is under way"), "{said}");
    assert_eq!(served.backups(), Vec::<String>::new());
    drop(first);
    served.back_up_when_free(&served.address());
}

#[test]
fn a_backup_under_way_does_not_hold_up_the_end() {
    let mut served = Served::start();
    let mut answers = served.stream();
    let mut incoming = Incoming::new("the control plane", &served.home.path("cut.dwb"), false).unwrap();
    incoming.take(&served.next(&mut answers).unwrap().unwrap()).unwrap();
    let asked = Instant::now();
    served.control.terminate();
    served.control.wait_for_message("backup not sent to its end", PATIENCE);
    let ended = loop {
        match served.next(&mut answers) {
            Ok(Some(chunk)) => incoming.take(&chunk).unwrap(),
            Ok(None) => panic!("it is taken for whole"),
            Err(status) => break status,
        }
    };
    assert!(ended.code() == Code::Unavailable && ended.message().contains("the control plane ends"), "{ended:?}");
    assert!(matches!(incoming.finish().unwrap_err(), DumpError::CutOff { .. }));
    assert_eq!(served.control.wait_exit(PATIENCE).code(), Some(0), "{}", served.control.transcript());
    // The grace is 10 seconds.
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}: {}", asked.elapsed(), served.control.transcript());
}
