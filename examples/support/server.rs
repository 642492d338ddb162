//! A `doorward` process of the same build, and calls to it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use doorward::proto::doorward as pb;
use doorward::proto::doorward::account_service_client::AccountServiceClient;
use serde_json::Value;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};

use super::child::Process;

/// The bound of a start: the largest account takes a while.
const PATIENCE: Duration = Duration::from_mins(10);

/// A running `doorward` whose log is JSON.
#[derive(Debug)]
pub struct Server {
    process: Process,
}

/// Makes requests with a credential.
#[derive(Debug, Clone)]
pub struct Caller {
    pub channel: Channel,
    token: String,
}

/// The binary of the same build: examples lie in a folder beside it.
pub fn binary() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("where this program is")?;
    let folder = own.parent().and_then(Path::parent).context("this program lies in no build folder")?;
    let binary = folder.join("doorward");
    ensure!(binary.exists(), "`{}` is not there; `cargo build` makes it", binary.display());
    Ok(binary)
}

/// The binary without a setting of the person who measures.
pub fn command() -> anyhow::Result<Command> {
    let mut command = Command::new(binary()?);
    let settings = std::env::vars_os().map(|(name, _)| name).filter(|it| it.to_string_lossy().starts_with("DOORWARD_"));
    settings.for_each(|name| {
        command.env_remove(name);
    });
    Ok(command)
}

// === impl Server ===

impl Server {
    /// Starts the binary with these arguments.
    pub fn start(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> anyhow::Result<Self> {
        let mut command = command()?;
        // Ten thousand watches would be ten thousand lines.
        let log = [("FORMAT", "json"), ("FILTER", "info,doorward::services::watch=warn")];
        command.envs(log.map(|(name, value)| (format!("DOORWARD_LOG_{name}"), value)));
        Ok(Self { process: Process::spawn("doorward", command.args(arguments)) })
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until a listener serves, and gives its address.
    pub fn listening(&self, name: &str) -> anyhow::Result<String> {
        self.logged("listening", |fields| {
            let is_it = fields.get("listener").and_then(Value::as_str) == Some(name);
            fields.get("address").and_then(Value::as_str).filter(|_| is_it).map(str::to_owned)
        })
    }

    /// Waits for a message that `find` makes something of.
    pub fn logged<T>(&self, message: &str, find: impl Fn(&Value) -> Option<T>) -> anyhow::Result<T> {
        let mut read = 0;
        let found = self.process.stderr().wait(PATIENCE, |lines| {
            let new = lines.get(read..).unwrap_or_default();
            read = lines.len();
            new.iter().find_map(|line| {
                let line: Value = serde_json::from_str(line).ok()?;
                let fields = line.get("fields")?;
                (fields.get("message")?.as_str()? == message).then(|| find(fields)).flatten()
            })
        });
        found.map_err(|problem| anyhow!("no `{message}` ({problem:?}) from {}", self.process))
    }

    /// Ends it in order.
    pub fn end(mut self) -> anyhow::Result<()> {
        self.process.terminate();
        let status = self.process.wait_exit(PATIENCE);
        ensure!(status.success(), "{status}: {}", self.process);
        Ok(())
    }
}

// === impl Caller ===

impl Caller {
    /// Calls an address; without a file without a credential.
    pub async fn connect(address: &str, token_file: Option<&Path>) -> anyhow::Result<Self> {
        let token = token_file.map(fs::read_to_string).transpose().context("the credential")?.unwrap_or_default();
        let channel = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true).connect().await?;
        Ok(Self { channel, token: token.trim().to_owned() })
    }

    /// Waits for an answer of a control plane: from then on it ends in order when it is asked to.
    pub async fn answered(&self) -> anyhow::Result<()> {
        let list = self.request(pb::ListAccountsRequest::default())?;
        AccountServiceClient::new(self.channel.clone()).list_accounts(list).await?;
        Ok(())
    }

    pub fn request<T>(&self, message: T) -> anyhow::Result<Request<T>> {
        let mut request = Request::new(message);
        if !self.token.is_empty() {
            request.metadata_mut().insert("authorization", format!("Bearer {}", self.token).parse()?);
        }
        Ok(request)
    }
}
