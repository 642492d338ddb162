//! Control planes over etcd and the sidecars that follow them, as processes of their own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use doorward::model::digest::Digest;
use doorward::model::revision::{Revision, RevisionToken};
use doorward::model::scope::Scope;
use doorward::model::state::State;
use doorward::proto::doorward as pb;
use doorward::sync::disk::SavedSnapshot;
use tempfile::TempDir;

use super::etcd::Cluster;
use super::process::{Doorward, PATIENCE};
use super::rpc::{Rpc, until};

/// The account of [`STATE`].
pub const ACCOUNT: &str = "5f0c6d0e-8a1b-4c3d-9e2f-7a6b5c4d3e2f";
/// The policy of [`STATE`].
pub const POLICY: &str = "0b8e0c52-52a1-4c0f-8d7c-3d0e8a4a1c11";
const STATE: &str = r#"
account: {id: 5f0c6d0e-8a1b-4c3d-9e2f-7a6b5c4d3e2f, name: Example}
environments: [{id: abc12345, name: Production}]
groups: [{name: Readers}]
users: [{email: ada@example.com, name: Ada, groups: [Readers]}]
policies:
  - {id: 0b8e0c52-52a1-4c0f-8d7c-3d0e8a4a1c11, name: Readers, level: account, statements: "ALLOW settings:schemas:read;"}
bindings: [{policy: Readers, group: Readers, level: account}]
"#;

/// The data of one control plane, and where all of them have their store.
pub struct Home {
    folder: TempDir,
    endpoints: String,
}

/// A sidecar with the data folder that is its own.
pub struct Sidecar {
    /// The process.
    pub process: Doorward,
    /// Its check listener.
    pub check: Rpc,
    data: PathBuf,
}

/// What somebody has: the revision and the digest of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The revision.
    pub revision: Revision,
    /// The digest.
    pub digest: Digest,
}

// === impl Home ===

impl Home {
    /// A folder with a state file.
    pub fn new(cluster: &Cluster) -> Self {
        let home = Self { folder: tempfile::tempdir().expect("a folder"), endpoints: cluster.endpoints().join(",") };
        std::fs::write(home.folder.path().join("state.yaml"), STATE).expect("a file");
        home
    }

    /// The path of a file of this name in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A control plane on a port of its own.
    pub fn control_plane(&self) -> Doorward {
        self.control_plane_at(([127, 0, 0, 1], 0).into())
    }

    /// A control plane at this address.
    pub fn control_plane_at(&self, address: SocketAddr) -> Doorward {
        let mut command = Doorward::command();
        command.args(["control-plane", "--admin-listen", &address.to_string(), "--metrics-listen", "127.0.0.1:0"]);
        command.args(["--heartbeat-seconds", "1", "--store", "etcd", "--etcd-endpoints", &self.endpoints]);
        command.arg("--data-directory").arg(self.folder.path());
        Doorward::start_with(command.arg("--state").arg(self.folder.path().join("state.yaml")))
    }

    /// A sidecar that follows one of these control planes, with a data folder of this name.
    pub fn sidecar(&self, name: &str, planes: &[SocketAddr], token: &Path) -> Sidecar {
        let data = self.folder.path().join(name);
        let urls: Vec<_> = planes.iter().map(|address| format!("http://{address}")).collect();
        let mut command = Doorward::command();
        command.args(["sidecar", "--check-listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]);
        command.args(["--heartbeat-seconds", "1", "--control-plane", &urls.join(","), "--token-file"]);
        let process = Doorward::start_with(command.arg(token).arg("--data-directory").arg(&data));
        let check = Rpc::to(process.listener("check"));
        Sidecar { process, check, data }
    }

    /// The file of a credential, where this control plane was the one to make it.
    pub fn token(&self, name: &str) -> Option<PathBuf> {
        Some(self.folder.path().join("credentials").join(name)).filter(|path| path.exists())
    }
}

// === impl Sidecar ===

impl Sidecar {
    /// Waits until its answers are of this revision, and gives the first of them; `others` tells what else was printed.
    pub fn reaches(&self, head: Revision, others: impl Fn() -> String) -> pb::CheckResponse {
        let transcript = || format!("{}\n{}", others(), self.process.transcript());
        // The sidecar lets each question wait for a second: first for any state at all, then for that of the revision.
        let max_age = Some(prost_types::Duration { seconds: 86_400, nanos: 0 });
        let any = pb::CheckRequest { max_age, ..question() };
        let first = until("any answer", transcript, || self.check.check(&any).ok());
        let token: RevisionToken = first.revision_token.parse().expect("a token");
        let at_least_revision = RevisionToken { revision: head, ..token }.to_string();
        let demanded = pb::CheckRequest { at_least_revision, ..question() };
        until(&format!("revision {head}"), transcript, || self.check.check(&demanded).ok())
    }

    /// Ends it in order, and reads what it had from the file it leaves.
    pub fn end(mut self) -> Held {
        self.process.terminate();
        assert_eq!(self.process.wait_exit(PATIENCE).code(), Some(0), "{}", self.process.transcript());
        let kept = SavedSnapshot::new(self.data, Vec::new(), false).load();
        Held::of(&kept.expect("a file that can be read").expect("a file").state)
    }

    /// How often it began a watch stream so far, and where the last one is from.
    pub fn streams(&self) -> (usize, Option<String>) {
        let log = self.process.log();
        let begun: Vec<_> = log.iter().filter(|line| line.message() == "watch begins").collect();
        let last = begun.last().and_then(|line| line.field("control_plane")).map(str::to_owned);
        (begun.len(), last)
    }
}

// === impl Held ===

impl Held {
    /// What this state is.
    pub fn of(state: &State) -> Self {
        Self { revision: state.revision, digest: Scope::everything().digest(state.sums()) }
    }
}

/// What the only policy of [`STATE`] answers.
pub fn question() -> pb::CheckRequest {
    pb::CheckRequest {
        user: "ada@example.com".to_owned(),
        environment: "abc12345".to_owned(),
        permission: "settings:schemas:read".to_owned(),
        account: ACCOUNT.to_owned(),
        ..pb::CheckRequest::default()
    }
}
