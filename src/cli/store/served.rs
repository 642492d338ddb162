//! A store that is served: its control plane sends the backup.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use tokio::time::timeout;
use tonic::{Code, Request, Status};

use crate::cli::client::{bearer, connect_trusted, explain};
use crate::proto::doorward as pb;
use crate::proto::doorward::store_service_client::StoreServiceClient;
use crate::server::shutdown::EndSignals;
use crate::store::backup::Incoming;
use crate::store::verify::Verified;

/// The longest that nothing comes of a backup that has begun: a control plane that says nothing is gone, or might as well be.
const SILENCE: Duration = Duration::from_mins(1);

/// What is said of a control plane.
#[derive(Debug, Clone, Args)]
pub(super) struct ControlPlaneArgs {
    /// Administrative listener of the control plane that serves the store, HOST:PORT
    #[arg(long, value_name = "ADDRESS")]
    pub(super) address: Option<String>,
    /// File with the root credential, for --address
    #[arg(long, env = "DOORWARD_ROOT_TOKEN_FILE", value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
}

/// A control plane, and what it lets the caller in for.
#[derive(Debug)]
pub(super) struct ControlPlane<'a> {
    pub(super) address: &'a str,
    pub(super) token_file: &'a PathBuf,
}

/// What the control plane says of its store.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct DamagedThere(String);

// === impl ControlPlane ===

impl ControlPlane<'_> {
    /// Makes a backup of the store in a new file at `path`, which comes into being whole or not at all.
    pub(super) fn back_up(&self, path: &Path, overwrite: bool) -> anyhow::Result<Verified> {
        let mut incoming = Incoming::new(self.address, path, overwrite)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.context("no runtime can be started")?.block_on(self.receive_unless_ended(&mut incoming))?;
        Ok(incoming.finish()?)
    }

    /// Receives, but ends in order when it is asked to, so that no part of a large file stays behind.
    async fn receive_unless_ended(&self, incoming: &mut Incoming) -> anyhow::Result<()> {
        let mut signals = EndSignals::listen().context("signals cannot be listened to")?;
        tokio::select! {
            signal = signals.next() => bail!("{signal} came before the backup was whole, and nothing was made of it"),
            received = self.receive(incoming) => received,
        }
    }

    async fn receive(&self, incoming: &mut Incoming) -> anyhow::Result<()> {
        let mut request = Request::new(pb::BackupRequest {});
        request.metadata_mut().insert("authorization", bearer(self.token_file)?);
        let mut client = StoreServiceClient::new(connect_trusted(self.address).await?);
        let answers = client.backup(request).await;
        let mut answers = answers.map_err(|status| self.unsent(&status))?.into_inner();
        while let Some(answer) = timeout(SILENCE, answers.message()).await.map_err(|_| self.silent())?.transpose() {
            let pb::BackupResponse { chunk } = answer.map_err(|status| self.unsent(&status))?;
            incoming.take(&chunk)?;
        }
        Ok(())
    }

    fn unsent(&self, status: &Status) -> anyhow::Error {
        let problem = match status.code() {
            Code::DataLoss => anyhow::Error::new(DamagedThere(status.message().to_owned())),
            _ => explain(status),
        };
        problem.context(format!("no whole backup came from `{}`, and nothing was made of it", self.address))
    }

    fn silent(&self) -> anyhow::Error {
        let seconds = SILENCE.as_secs();
        anyhow!("nothing came from `{}` for {seconds} seconds, and nothing was made of what came before", self.address)
    }
}
