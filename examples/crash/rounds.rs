//! Rounds of a write load that a kill ends, and of looking at what is left.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use doorward::model::object::{Change, Object};
use doorward::model::revision::{Revision, RevisionToken};
use doorward::model::scope::Scope;
use doorward::proto::doorward as pb;
use doorward::proto::doorward::user_service_client::UserServiceClient;
use doorward::store::api::Store as _;
use doorward::store::backup;
use doorward::store::embedded::{EmbeddedStore, FILE_NAME};
use doorward::workload::Random;
use tokio::runtime::Runtime;
use tonic::Request;
use tonic::transport::Channel;

use crate::processes::{Server, Sidecar};

/// The account of [`STATE`].
pub(crate) const ACCOUNT: &str = "5f0c6d0e-8a1b-4c3d-9e2f-7a6b5c4d3e2f";
const STATE: &str = "
account: {id: 5f0c6d0e-8a1b-4c3d-9e2f-7a6b5c4d3e2f, name: Example}
environments: [{id: abc12345, name: Production}]
groups: [{name: Readers}]
";
/// Writers at the same time.
const WRITERS: usize = 4;
/// The most acknowledgements that a round waits for before it kills.
const MOST: usize = 60;
/// The longest that it waits after them, in microseconds: about as long as a commit takes.
const PAUSE: usize = 20_000;

/// Between two looks at how far the writers are.
const LOOK: Duration = Duration::from_millis(1);

/// What came of the rounds.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Done {
    /// Kills.
    pub(crate) rounds: usize,
    /// Writes that were acknowledged.
    pub(crate) acknowledged: usize,
    /// Writes that were not, and are there: the kill came between the disk and the answer.
    pub(crate) unacknowledged: usize,
    /// Acknowledged writes that are not there, or are there otherwise.
    pub(crate) lost: usize,
    /// Writes that are there in part.
    pub(crate) torn: usize,
    /// Kills after which the file had to be repaired.
    pub(crate) repaired: usize,
    /// Commits in the end.
    pub(crate) commits: u64,
    /// Rounds after which the sidecar that follows had what the store has.
    pub(crate) followed: usize,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, acknowledged, unacknowledged, lost, torn, repaired, commits, followed } = self;
        writeln!(f, "kills                       {rounds}, {repaired} of them left a file to repair")?;
        writeln!(f, "writes acknowledged         {acknowledged}, in {commits} commits")?;
        writeln!(f, "there without an answer     {unacknowledged}")?;
        writeln!(f, "acknowledged writes lost    {lost}")?;
        writeln!(f, "writes torn                 {torn}")?;
        write!(f, "sidecar equal to the store  after {followed} of them, and in the end by its digest")
    }
}

/// Kills the control plane of `binary` so many times.
pub(crate) fn run(binary: &Path, rounds: usize, seed: u64) -> anyhow::Result<Done> {
    let folder = tempfile::tempdir()?;
    let mut crash = Crash::new(binary, folder.path())?;
    let mut random = Random::new(seed);
    for round in 0..rounds {
        crash.round(round, &mut random).with_context(|| format!("round {round} of seed {seed}"))?;
    }
    crash.compare().context("the sidecar in the end")?;
    Ok(crash.done)
}

struct Crash {
    binary: PathBuf,
    folder: PathBuf,
    runtime: Runtime,
    /// Came back after the last kill.
    server: Option<Server>,
    /// Follows over all rounds, from the first one on; the control plane comes back at the same address.
    sidecar: Option<Sidecar>,
    /// The users that must be there, by e-mail, with the name that was acknowledged last and those that may have come
    /// after it.
    known: BTreeMap<String, Known>,
    /// The log was looked at up to here, and has made so many users.
    seen: Revision,
    users: usize,
    done: Done,
}

/// What is known of one user.
#[derive(Debug, Default, Clone)]
struct Known {
    /// What was acknowledged.
    acknowledged: Option<String>,
    /// What was asked for without an answer.
    asked: Option<String>,
    /// How many writes were acknowledged.
    answers: usize,
}

impl Crash {
    fn new(binary: &Path, folder: &Path) -> anyhow::Result<Self> {
        fs::write(folder.join("state.yaml"), STATE)?;
        fs::create_dir(folder.join("copy"))?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (binary, folder, known) = (binary.to_owned(), folder.to_owned(), BTreeMap::new());
        Ok(Self {
            binary,
            folder,
            runtime,
            server: None,
            sidecar: None,
            known,
            seen: Revision::ZERO,
            users: 0,
            done: Done::default(),
        })
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Where the store is looked at as a kill left it.
    fn copy(&self) -> PathBuf {
        self.folder.join("copy")
    }

    fn round(&mut self, round: usize, random: &mut Random) -> anyhow::Result<()> {
        let mut server = match self.server.take() {
            Some(server) => server,
            None => self.control_plane()?,
        };
        let token = fs::read_to_string(self.data().join("credentials/root.token"))?;
        let client = Client { channel: server.channel(&self.runtime)?, token: token.trim().to_owned() };
        let (enough, pause) = (random.below(MOST), Duration::from_micros(random.below(PAUSE) as u64));
        let written = self.write_until_killed(round, &client, &mut server, enough, pause)?;
        for (email, known) in written {
            self.done.acknowledged += known.answers;
            self.known.insert(email, known);
        }
        self.done.rounds += 1;
        // What the kill left is looked at in a copy, so that the sidecar need not wait for that.
        fs::copy(self.data().join(FILE_NAME), self.copy().join(FILE_NAME))?;
        self.server = Some(self.control_plane()?);
        let head = self.look()?;
        // What was committed and not told any more comes from the next process.
        self.sidecar.as_mut().context("no sidecar")?.reach(&self.runtime, head)?;
        self.done.followed += 1;
        Ok(())
    }

    /// A control plane where the one before was, and at the first time a sidecar that follows it.
    fn control_plane(&mut self) -> anyhow::Result<Server> {
        let address = self.sidecar.as_ref().map_or("127.0.0.1:0", |sidecar| &sidecar.follows);
        let server = Server::control_plane(&self.binary, &self.folder, address)?;
        if self.sidecar.is_none() {
            self.sidecar = Some(Sidecar::start(&self.binary, &self.folder, &server.address)?);
        }
        Ok(server)
    }

    /// Ends the sidecar and holds what it leaves against the store.
    fn compare(&mut self) -> anyhow::Result<()> {
        let Some(sidecar) = self.sidecar.take() else { return Ok(()) };
        let kept = sidecar.end()?;
        self.server = None;
        let state = EmbeddedStore::open_existing(&self.data())?.state();
        let everything = Scope::everything();
        let (has, is) = (everything.digest(kept.sums()), everything.digest(state.sums()));
        ensure!(kept.revision == state.revision, "it has {}, the store {}", kept.revision, state.revision);
        ensure!(has == is, "it has other content at {}", kept.revision);
        Ok(())
    }

    /// Each writer creates users and renames each; after so many answers and a pause the server is killed.
    fn write_until_killed(
        &self,
        round: usize,
        client: &Client,
        server: &mut Server,
        enough: usize,
        pause: Duration,
    ) -> anyhow::Result<Vec<(String, Known)>> {
        let (answers, killed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let written = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            let begin = |writer: usize| {
                let (answers, written, killed) = (&answers, &written, &killed);
                scope.spawn(move || {
                    for number in 0.. {
                        let email = format!("u-{round}-{writer}-{number}@example.com");
                        let known = client.write(&self.runtime, &email, answers);
                        let went_on = known.asked.is_none();
                        written.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((email, known));
                        if !went_on || killed.load(Ordering::SeqCst) {
                            return;
                        }
                    }
                })
            };
            let writers: Vec<_> = (0..WRITERS).map(begin).collect();
            let all_ended = || writers.iter().all(ScopedJoinHandle::is_finished);
            // Random times are what this is about: the kill hits whatever part of a commit it happens to hit.
            while answers.load(Ordering::SeqCst) < enough && server.runs() && !all_ended() {
                // Whoever is waited for needs the processor, too.
                std::thread::sleep(LOOK);
            }
            std::thread::sleep(pause);
            let ended = server.kill();
            killed.store(true, Ordering::SeqCst);
            ended
        })?;
        Ok(written.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Opens the copy as the next process would, verifies it and holds it against what was acknowledged. Gives its head.
    fn look(&mut self) -> anyhow::Result<RevisionToken> {
        self.done.repaired += usize::from(redb::ReadOnlyDatabase::open(self.copy().join(FILE_NAME)).is_err());
        let store = EmbeddedStore::open_existing(&self.copy())?;
        let verified = backup::verify(&store, "the store")?;
        self.done.commits = verified.head.revision.get();
        ensure!(verified.counts.commits == verified.counts.events, "the log and the audit differ: {verified:?}");
        let state = store.state();
        let account = state.accounts.values().next().context("the account is gone")?;
        for (email, known) in &mut self.known {
            let found = account.user_by_email(email).and_then(|row| row.name()).map(|name| name.as_str().to_owned());
            if found == known.acknowledged {
            } else if found.is_some() && found == known.asked {
                self.done.unacknowledged += 1;
                known.acknowledged = found;
            } else {
                self.done.lost += 1;
            }
            known.asked = None;
        }
        let users = account.users.len();
        self.done.torn += self.torn(&store, users)?;
        Ok(RevisionToken { store: store.id(), revision: state.revision })
    }

    /// Commits that are in the log since the last look and of which something is missing, and users that no commit made.
    fn torn(&mut self, store: &EmbeddedStore, users: usize) -> anyhow::Result<usize> {
        let state = store.state();
        let log = store.changes_after(self.seen, usize::MAX)?;
        let created = |change: &Change| matches!(change, Change::Put(record) if record.created == record.updated && matches!(record.value, Object::User(..)));
        self.users += log.iter().flat_map(|entry| entry.changes.iter()).filter(|change| created(change)).count();
        let whole = log.iter().filter(|entry| entry.revision > Revision::new(1)).all(|entry| {
            let is_there =
                |change: &Change| state.record(&change.key()).is_some_and(|it| it.revision >= entry.revision);
            entry.changes.iter().all(is_there)
        });
        self.seen = state.revision;
        Ok(users.abs_diff(self.users) + usize::from(!whole))
    }
}

#[derive(Clone)]
struct Client {
    channel: Channel,
    token: String,
}

impl Client {
    fn request<T>(&self, message: T) -> anyhow::Result<Request<T>> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", format!("Bearer {}", self.token).parse()?);
        Ok(request)
    }

    /// Creates a user and renames it; what has no answer is told as asked.
    fn write(&self, runtime: &Runtime, email: &str, answers: &AtomicUsize) -> Known {
        let mut known = Known::default();
        let created =
            self.set_name(runtime, pb::User { email: email.to_owned(), ..pb::User::default() }, "first", &mut known);
        if let Some(user) = created {
            answers.fetch_add(1, Ordering::SeqCst);
            if self.set_name(runtime, user, "second", &mut known).is_some() {
                answers.fetch_add(1, Ordering::SeqCst);
            }
        }
        known
    }

    fn set_name(&self, runtime: &Runtime, user: pb::User, name: &str, known: &mut Known) -> Option<pb::User> {
        known.asked = Some(name.to_owned());
        let user = pb::User { name: name.to_owned(), ..user };
        let answered = runtime.block_on(self.call(user)).ok().flatten()?;
        (known.acknowledged, known.asked) = (Some(name.to_owned()), None);
        known.answers += 1;
        Some(answered)
    }

    async fn call(&self, user: pb::User) -> anyhow::Result<Option<pb::User>> {
        let mut client = UserServiceClient::new(self.channel.clone());
        let (account, is_new, user) = (ACCOUNT.to_owned(), user.id.is_empty(), Some(user));
        if is_new {
            let create = pb::CreateUserRequest { account, user, ..pb::CreateUserRequest::default() };
            return Ok(client.create_user(self.request(create)?).await?.into_inner().user);
        }
        let update = pb::UpdateUserRequest { account, user, ..pb::UpdateUserRequest::default() };
        Ok(client.update_user(self.request(update)?).await?.into_inner().user)
    }
}
