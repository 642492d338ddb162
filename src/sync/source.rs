//! Where a watch stream comes from: control planes over the network, or the same service in this process.

use std::convert::Infallible;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tonic::body::Body;
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};
use tower::Service;

use crate::proto::doorward as pb;
use crate::proto::doorward::watch_service_client::WatchServiceClient;

/// A chunk of a reset is about half a megabyte and a change eight megabytes at most; one policy may be larger than the default limit
/// would let it.
const MESSAGE_BYTES: usize = 16 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// A stream that has been opened.
pub type Opened = Result<Streaming<pb::WatchResponse>, Status>;
type Answer<'s, T> = Pin<Box<dyn Future<Output = T> + Send + 's>>;

/// Opens watch streams, and takes reports to where the last one came from.
pub trait WatchSource: Send + Sync + 'static {
    /// Opens a stream.
    fn open(&self, request: pb::WatchRequest) -> Answer<'_, Opened>;

    /// Reports what was applied.
    fn report(&self, report: pb::ReportAppliedRequest) -> Answer<'_, Result<(), Status>>;

    /// Whether a stream could come from somewhere else, too.
    fn has_another(&self) -> bool;

    /// Has the next stream come from somewhere else, where there is one.
    fn turn(&self);
}

/// Control planes over the network. One is followed at a time; when its stream ends, the next one is asked.
#[derive(Debug)]
pub struct RemoteSource {
    endpoints: Vec<Endpoint>,
    /// Whose turn it is, from a random one on: sidecars of one configuration spread.
    turn: AtomicUsize,
    token_file: PathBuf,
    /// To where the last stream came from.
    client: Mutex<Option<Client>>,
}

/// The watch service of this process: the same messages, without a network.
#[derive(Debug, Clone)]
pub struct LocalSource<S>(WatchServiceClient<S>);

type Client = WatchServiceClient<InterceptedService<Channel, Bearer>>;

/// Adds the credential to each call.
#[derive(Debug, Clone)]
struct Bearer(MetadataValue<tonic::metadata::Ascii>);

// === impl RemoteSource ===

impl RemoteSource {
    /// The control planes at `urls`. The credential is read from its file at each connection, so that it can be exchanged.
    ///
    /// # Errors
    /// Where one of them is no endpoint.
    pub fn new(urls: &[String], token_file: PathBuf) -> Result<Self, tonic::transport::Error> {
        let endpoint = |url: &String| {
            let endpoint = Endpoint::from_shared(url.clone())?
                .connect_timeout(CONNECT_TIMEOUT)
                .http2_keep_alive_interval(KEEP_ALIVE)
                .keep_alive_timeout(KEEP_ALIVE)
                .keep_alive_while_idle(true);
            Ok(endpoint)
        };
        let endpoints = urls.iter().map(endpoint).collect::<Result<_, _>>()?;
        let mut random = [0; 2];
        // Without randomness all begin with the first one.
        let first = getrandom::fill(&mut random).map_or(0, |()| usize::from(u16::from_le_bytes(random)));
        Ok(Self { endpoints, turn: AtomicUsize::new(first), token_file, client: Mutex::new(None) })
    }

    async fn connect(&self, request: pb::WatchRequest) -> Opened {
        let turn = self.turn.load(Ordering::Relaxed);
        let place = turn.checked_rem(self.endpoints.len()).and_then(|place| self.endpoints.get(place));
        let endpoint = place.ok_or_else(|| Status::unavailable("no control plane is configured"))?;
        let at = |problem: &dyn std::error::Error| {
            Status::unavailable(format!("{} cannot be reached: {}", endpoint.uri(), with_cause(problem)))
        };
        let bearer = self.bearer().await?;
        let channel = endpoint.connect().await.map_err(|problem| at(&problem))?;
        let mut client = WatchServiceClient::with_interceptor(channel, bearer).max_decoding_message_size(MESSAGE_BYTES);
        let opened = client.watch(request).await.map(tonic::Response::into_inner)?;
        tracing::info!(control_plane = %endpoint.uri(), "watch begins");
        self.client.lock().unwrap_or_else(PoisonError::into_inner).replace(client);
        Ok(opened)
    }

    async fn bearer(&self) -> Result<Bearer, Status> {
        let file = self.token_file.display();
        let unreadable =
            |problem| Status::unauthenticated(format!("the token file `{file}` cannot be read: {problem}"));
        let token = tokio::fs::read_to_string(&self.token_file).await.map_err(unreadable)?;
        let no_header =
            |_| Status::unauthenticated(format!("the token file `{file}` does not hold one line with a credential"));
        let mut header: MetadataValue<_> = format!("Bearer {}", token.trim()).parse().map_err(no_header)?;
        header.set_sensitive(true);
        Ok(Bearer(header))
    }

    async fn tell(&self, report: pb::ReportAppliedRequest) -> Result<(), Status> {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut client = client.ok_or_else(|| Status::unavailable("no stream was opened yet"))?;
        client.report_applied(report).await.map(|_| ())
    }
}

fn with_cause(problem: &dyn std::error::Error) -> String {
    match problem.source() {
        Some(cause) => format!("{problem}: {cause}"),
        None => problem.to_string(),
    }
}

impl WatchSource for RemoteSource {
    fn open(&self, request: pb::WatchRequest) -> Answer<'_, Opened> {
        Box::pin(self.connect(request))
    }

    fn report(&self, report: pb::ReportAppliedRequest) -> Answer<'_, Result<(), Status>> {
        Box::pin(self.tell(report))
    }

    fn has_another(&self) -> bool {
        self.endpoints.len() > 1
    }

    fn turn(&self) {
        self.turn.fetch_add(1, Ordering::Relaxed);
    }
}

// === impl Bearer ===

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

// === impl LocalSource ===

impl<S> LocalSource<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
{
    /// The server of the service, asked in this process.
    pub fn new(server: S) -> Self {
        Self(WatchServiceClient::new(server).max_decoding_message_size(MESSAGE_BYTES))
    }
}

impl<S> WatchSource for LocalSource<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
{
    fn open(&self, request: pb::WatchRequest) -> Answer<'_, Opened> {
        let mut client = self.0.clone();
        Box::pin(async move { client.watch(request).await.map(tonic::Response::into_inner) })
    }

    fn report(&self, report: pb::ReportAppliedRequest) -> Answer<'_, Result<(), Status>> {
        let mut client = self.0.clone();
        Box::pin(async move { client.report_applied(report).await.map(|_| ()) })
    }

    fn has_another(&self) -> bool {
        false
    }

    fn turn(&self) {}
}

#[cfg(test)]
mod tests;
