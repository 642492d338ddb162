//! `doorward status`: which sidecars there are, and how far they are.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use tokio::time::Instant;
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;

use super::client::{bearer, block_on, connect_trusted, explain};
use crate::model::revision::RevisionToken;
use crate::proto::doorward as pb;
use crate::proto::doorward::sidecar_service_client::SidecarServiceClient;

/// The most that one call waits: a sidecar may have gone to another control plane meanwhile.
const STEP: Duration = Duration::from_secs(1);
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
    let mut planes = Vec::new();
    for address in &args.address {
        planes.push(ControlPlane::at(address, &args.token_file).await?);
    }
    let (lists, everywhere) = match &args.revision_token {
        None => (lists(&mut planes).await?, true),
        Some(token) => await_everywhere(&mut planes, token, until).await?,
    };
    for (address, sidecars) in args.address.iter().zip(&lists) {
        write!(out, "{}", shown(address, sidecars)).context("standard output is closed")?;
    }
    if let Some(token) = &args.revision_token {
        let word = if everywhere { "everywhere" } else { "not everywhere" };
        writeln!(out, "{token} is applied {word}").context("standard output is closed")?;
    }
    Ok(if everywhere { 0 } else { BEHIND })
}

/// The sidecars of each control plane.
async fn lists(planes: &mut [ControlPlane]) -> anyhow::Result<Vec<Vec<pb::Sidecar>>> {
    let mut lists = Vec::new();
    for plane in planes {
        lists.push(plane.sidecars().await?);
    }
    Ok(lists)
}

/// Waits until every sidecar has applied `token`, and says whether they have. A sidecar that went from one control plane to
/// another is what the one says that it follows now.
async fn await_everywhere(
    planes: &mut [ControlPlane],
    token: &str,
    until: Instant,
) -> anyhow::Result<(Vec<Vec<pb::Sidecar>>, bool)> {
    let wanted: Option<RevisionToken> = token.parse().ok();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        for plane in &mut *planes {
            plane.await_applied(token, left.min(STEP)).await?;
        }
        let lists = lists(planes).await?;
        let everywhere = wanted.is_some_and(|wanted| is_everywhere(&lists, wanted));
        if everywhere || left.is_zero() {
            return Ok((lists, everywhere));
        }
    }
}

/// Whether each sidecar that anybody knows has applied the revision: as the one says that tells of it, or as another one does
/// that it follows now.
fn is_everywhere(lists: &[Vec<pb::Sidecar>], wanted: RevisionToken) -> bool {
    let has = |sidecar: &pb::Sidecar| {
        let applied = sidecar.applied.parse::<RevisionToken>();
        applied.is_ok_and(|applied| applied.store == wanted.store && applied.revision >= wanted.revision)
    };
    let all = || lists.iter().flatten();
    let elsewhere: BTreeSet<&str> = all().filter(|it| it.connected && has(it)).map(|it| it.instance.as_str()).collect();
    all().all(|sidecar| has(sidecar) || elsewhere.contains(sidecar.instance.as_str()))
}

// === impl ControlPlane ===

impl ControlPlane {
    async fn at(address: &str, token_file: &PathBuf) -> anyhow::Result<Self> {
        let header = bearer(token_file)?;
        let client = SidecarServiceClient::new(connect_trusted(address).await?);
        Ok(Self { client, header })
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.header.clone());
        request
    }

    /// Waits until all of its sidecars have applied it, at most so long.
    async fn await_applied(&mut self, token: &str, limit: Duration) -> anyhow::Result<()> {
        let timeout = prost_types::Duration::try_from(limit).ok();
        let request = self.request(pb::AwaitAppliedRequest { revision_token: token.to_owned(), timeout });
        self.client.await_applied(request).await.map_err(|status| explain(&status))?;
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: &str = "7f1c2c1e3a524b7c9a510d2f6f3b8e44";

    fn sidecar(instance: &str, connected: bool, revision: u64) -> pb::Sidecar {
        let applied = format!("{STORE}.{revision}");
        pb::Sidecar { instance: instance.to_owned(), connected, applied, ..pb::Sidecar::default() }
    }

    /// The control plane that it left does not know that it goes on elsewhere.
    #[test]
    fn a_sidecar_that_went_to_another_control_plane_is_what_that_one_says() {
        let check = |lists: &[Vec<pb::Sidecar>], revision: u64, expected: bool| {
            let wanted = format!("{STORE}.{revision}").parse().unwrap();
            assert_eq!(is_everywhere(lists, wanted), expected, "{revision} in {lists:?}");
        };
        let moved = [vec![sidecar("a", false, 3), sidecar("b", true, 9)], vec![sidecar("a", true, 7)]];
        check(&moved, 7, true);
        check(&moved, 8, false);
        check(&[vec![sidecar("a", false, 6)]], 7, false);
        check(&[vec![sidecar("a", false, 7)]], 7, true);
        check(&[], 7, true);
        // However many there are, each counts.
        let mut many: Vec<_> = (0..150).map(|number| sidecar(&format!("s{number:03}"), true, 9)).collect();
        check(&[many.clone()], 9, true);
        many[149] = sidecar("s149", true, 8);
        check(&[many], 9, false);
        assert!(!is_everywhere(&moved, "8f1c2c1e3a524b7c9a510d2f6f3b8e44.1".parse().unwrap()), "of another store");
    }
}
