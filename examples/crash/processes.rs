//! A control plane and a sidecar, as processes of their own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use doorward::model::revision::RevisionToken;
use doorward::model::state::State;
use doorward::proto::doorward as pb;
use doorward::proto::doorward::authorization_service_client::AuthorizationServiceClient;
use doorward::sync::disk::SavedSnapshot;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};

use crate::rounds::ACCOUNT;

/// For what normally takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process with a listener.
pub(crate) struct Server {
    child: Child,
    /// Of its first listener.
    pub(crate) address: String,
}

/// A sidecar that follows whoever is at an address.
pub(crate) struct Sidecar {
    server: Server,
    data: PathBuf,
    /// The address.
    pub(crate) follows: String,
}

// === impl Server ===

impl Server {
    /// A control plane at this address, with its store in a folder of `folder`.
    pub(crate) fn control_plane(binary: &Path, folder: &Path, address: &str) -> anyhow::Result<Self> {
        let mut command = Command::new(binary);
        command.args(["control-plane", "--admin-listen", address, "--heartbeat-seconds", "1"]);
        command.args(["--log-commits", "10000000", "--data-directory"]).arg(folder.join("data"));
        Self::start(command.arg("--state").arg(folder.join("state.yaml")))
    }

    fn start(command: &mut Command) -> anyhow::Result<Self> {
        command.args(["--metrics-listen", "off", "--log-format", "json"]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut log = BufReader::new(child.stderr.take().context("standard error is piped")?);
        let mut told = String::new();
        loop {
            let mut line = String::new();
            if log.read_line(&mut line)? == 0 {
                child.wait()?;
                anyhow::bail!("the process does not start: {told}");
            }
            told += &line;
            let Ok(json) = serde_json::from_str::<serde_json::Value>(&line) else { continue };
            let field = |name| json.get("fields").and_then(|fields| fields.get(name)).and_then(|field| field.as_str());
            if let (Some("listening"), Some(address)) = (field("message"), field("address")) {
                let address = address.to_owned();
                // The log goes on; nobody must wait for room in the pipe.
                std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
                return Ok(Self { child, address });
            }
        }
    }

    /// A connection, made at the first call.
    pub(crate) fn channel(&self, runtime: &Runtime) -> anyhow::Result<Channel> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address))?.timeout(PATIENCE);
        let _inside = runtime.enter();
        Ok(endpoint.connect_lazy())
    }

    /// Whether it has not ended.
    pub(crate) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// === impl Sidecar ===

impl Sidecar {
    /// A sidecar of whoever is at `follows`, with the credential that the control plane left in `folder`.
    pub(crate) fn start(binary: &Path, folder: &Path, follows: &str) -> anyhow::Result<Self> {
        let (data, follows) = (folder.join("sidecar"), follows.to_owned());
        let mut command = Command::new(binary);
        command.args(["sidecar", "--check-listen", "127.0.0.1:0", "--heartbeat-seconds", "1"]);
        command.args(["--control-plane", &format!("http://{follows}"), "--token-file"]);
        command.arg(folder.join("data/credentials/watch.token")).arg("--data-directory").arg(&data);
        Ok(Self { server: Server::start(&mut command)?, data, follows })
    }

    /// Waits until its answers are of the head of the store. Nobody of this name has to be there: any answer tells its
    /// revision. The sidecar lets each question wait for a second.
    pub(crate) fn reach(&mut self, runtime: &Runtime, head: RevisionToken) -> anyhow::Result<()> {
        let mut client = AuthorizationServiceClient::new(self.server.channel(runtime)?);
        let question = pb::CheckRequest {
            account: ACCOUNT.to_owned(),
            user: "nobody@example.com".to_owned(),
            environment: "abc12345".to_owned(),
            permission: "settings:schemas:read".to_owned(),
            at_least_revision: head.to_string(),
            ..pb::CheckRequest::default()
        };
        let begun = Instant::now();
        loop {
            let answer = runtime.block_on(client.check(question.clone()));
            if let Ok(answer) = &answer {
                let found = answer.get_ref().revision;
                ensure!(found == head.revision.get(), "the sidecar has {found}, the store {} only", head.revision);
                return Ok(());
            }
            ensure!(self.server.runs() && begun.elapsed() < PATIENCE, "no {head} in {PATIENCE:?}: {answer:?}");
        }
    }

    /// SIGTERM; gives what it had in the end.
    pub(crate) fn end(mut self) -> anyhow::Result<Arc<State>> {
        let id = self.server.child.id().to_string();
        ensure!(Command::new("kill").args(["-s", "TERM", &id]).status()?.success(), "SIGTERM cannot be sent");
        let ended = self.server.child.wait()?;
        ensure!(ended.success(), "the sidecar ended with {ended}");
        Ok(SavedSnapshot::new(self.data, Vec::new(), false).load()?.context("the sidecar kept nothing")?.state)
    }
}
