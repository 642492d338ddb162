//! What the commands that call a running Doorward share.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic_types::StatusExt;

use crate::config::resolved::is_loopback;

const TIMEOUT: Duration = Duration::from_secs(10);

/// The exit code of a command that could not do what it was asked.
pub(super) const UNUSABLE: u8 = 2;

/// Runs `call` on a runtime of its own. An error is written with its chain, and is exit code 2.
pub(super) fn block_on(err: &mut dyn Write, call: impl Future<Output = anyhow::Result<u8>>) -> u8 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime.context("no runtime can be started").and_then(|runtime| runtime.block_on(call));
    result.unwrap_or_else(|problem| {
        // There is nobody left to tell if this fails.
        let _ = writeln!(err, "error: {problem:#}");
        UNUSABLE
    })
}

/// A channel that a credential may go through: without TLS, only on this machine.
pub(super) async fn connect_trusted(address: &str) -> anyhow::Result<Channel> {
    let url = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let uri: http::Uri = url.parse().with_context(|| format!("`{address}` is no address"))?;
    if !uri.host().is_some_and(is_loopback) {
        bail!("{address} is not on this machine; without TLS the credential would cross the network in clear");
    }
    connect(address).await
}

/// A channel to `HOST:PORT`, `http://HOST:PORT` or `unix:PATH`.
pub(super) async fn connect(address: &str) -> anyhow::Result<Channel> {
    let Some(path) = address.strip_prefix("unix:") else {
        let url = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        let endpoint = Endpoint::from_shared(url).with_context(|| format!("`{address}` is no address"))?;
        let endpoint = endpoint.connect_timeout(TIMEOUT).timeout(TIMEOUT);
        return endpoint.connect().await.with_context(|| format!("nothing answers at {address}; is Doorward running?"));
    };
    let path = PathBuf::from(path);
    let shown = path.display().to_string();
    let connector = tower::service_fn(move |_| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("http://localhost").timeout(TIMEOUT);
    let channel = endpoint.connect_with_connector(connector).await;
    channel.with_context(|| format!("nothing answers at the socket `{shown}`; is Doorward running?"))
}

/// An error of a call: the fields it names, each on a line, or else its message.
pub(super) fn explain(status: &tonic::Status) -> anyhow::Error {
    let fields = status.get_details_bad_request().map(|details| details.field_violations).unwrap_or_default();
    if fields.is_empty() {
        return anyhow::anyhow!("{:?}: {}", status.code(), status.message());
    }
    let fields: Vec<_> = fields.iter().map(|it| format!("  {}: {}", it.field, it.description)).collect();
    anyhow::anyhow!("{:?}:\n{}", status.code(), fields.join("\n"))
}

/// What presents the credential in this file with a call.
pub(super) fn bearer(token_file: &PathBuf) -> anyhow::Result<MetadataValue<Ascii>> {
    let header = format!("Bearer {}", read_token(token_file)?);
    let mut header: MetadataValue<_> = header.parse().context("the token file holds no credential")?;
    header.set_sensitive(true);
    Ok(header)
}

/// Reads a credential from its file.
fn read_token(path: &PathBuf) -> anyhow::Result<String> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("the token file `{}` cannot be read", path.display()))?;
    let token = text.trim();
    if token.is_empty() || token.contains(char::is_whitespace) {
        bail!("the token file `{}` does not hold one line with a credential", path.display());
    }
    Ok(token.to_owned())
}
