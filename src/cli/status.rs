//! `doorward status`: which sidecars there are, and how far they are.

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use tokio::time::Instant;
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;

use super::client::{block_on, connect_trusted, explain, read_token};
use crate::proto::doorward as pb;
use crate::proto::doorward::sidecar_service_client::SidecarServiceClient;

/// The most that one call waits.
const STEP: Duration = Duration::from_secs(5);
/// Sidecars asked for at a time.
const PAGE: i32 = 1_000;
/// The exit code where a sidecar has not applied the revision.
const BEHIND: u8 = 1;

/// Show the sidecars of a control plane and what each has applied.
///
/// With `--revision-token` waits until all of them have applied that revision. Exit code 0: they have (or nothing was
/// waited for); 1: not all of them in time; 2: it cannot be told.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// Administrative listener, HOST:PORT; several control planes of one store with commas between
    #[arg(long, default_value = "127.0.0.1:7072", value_name = "ADDRESS", value_delimiter = ',')]
    address: Vec<String>,
    /// File with the root credential
    #[arg(long, env = "DOORWARD_ROOT_TOKEN_FILE", value_name = "FILE")]
    token_file: PathBuf,
    /// Revision token of a write, to wait for
    #[arg(long, value_name = "TOKEN")]
    revision_token: Option<String>,
    /// Seconds to wait
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    timeout: u64,
}

/// One control plane, called with the root credential.
struct ControlPlane {
    client: SidecarServiceClient<Channel>,
    header: MetadataValue<Ascii>,
}

/// Runs the command; returns the exit code.
pub fn run(args: &StatusArgs, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    block_on(err, call(args, out))
}

async fn call(args: &StatusArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let until = Instant::now() + Duration::from_secs(args.timeout);
    let mut code = 0;
    for address in &args.address {
        let mut plane = ControlPlane::at(address, &args.token_file).await?;
        if let Some(token) = &args.revision_token
            && !plane.await_applied(token, until).await?
        {
            code = BEHIND;
        }
        let sidecars = plane.sidecars().await?;
        write!(out, "{}", shown(address, &sidecars)).context("standard output is closed")?;
    }
    if let Some(token) = &args.revision_token {
        let word = if code == 0 { "everywhere" } else { "not everywhere" };
        writeln!(out, "{token} is applied {word}").context("standard output is closed")?;
    }
    Ok(code)
}

// === impl ControlPlane ===

impl ControlPlane {
    async fn at(address: &str, token_file: &PathBuf) -> anyhow::Result<Self> {
        let header = format!("Bearer {}", read_token(token_file)?);
        let mut header: MetadataValue<_> = header.parse().context("the token file holds no credential")?;
        header.set_sensitive(true);
        let client = SidecarServiceClient::new(connect_trusted(address).await?);
        Ok(Self { client, header })
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.header.clone());
        request
    }

    /// Whether all have applied it before the time is over.
    async fn await_applied(&mut self, token: &str, until: Instant) -> anyhow::Result<bool> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let timeout = prost_types::Duration::try_from(left.min(STEP)).ok();
            let request = self.request(pb::AwaitAppliedRequest { revision_token: token.to_owned(), timeout });
            let answer = self.client.await_applied(request).await.map_err(|status| explain(&status))?;
            if answer.get_ref().everywhere || left.is_zero() {
                return Ok(answer.get_ref().everywhere);
            }
        }
    }

    async fn sidecars(&mut self) -> anyhow::Result<Vec<pb::Sidecar>> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = self.request(pb::ListSidecarsRequest { page_size: PAGE, page_token });
            let answer = self.client.list_sidecars(request).await.map_err(|status| explain(&status))?.into_inner();
            all.extend(answer.sidecars);
            page_token = answer.next_page_token;
            if page_token.is_empty() {
                return Ok(all);
            }
        }
    }
}

/// One line a sidecar.
fn shown(address: &str, sidecars: &[pb::Sidecar]) -> String {
    let mut text = format!("{address}: {} sidecars\n", sidecars.len());
    for sidecar in sidecars {
        let pb::Sidecar { instance, client, connected, applied, rejected, .. } = sidecar;
        let connected = if *connected { "connected" } else { "away" };
        let applied = if applied.is_empty() { "nothing" } else { applied };
        // Writing into a string cannot fail.
        let _ = write!(text, "  {instance}  {connected:9}  {applied}  {client}");
        if let Some(pb::RejectedUpdate { revision, reason }) = rejected {
            let _ = write!(text, "  refused {revision}: {reason}");
        }
        text.push('\n');
    }
    text
}
