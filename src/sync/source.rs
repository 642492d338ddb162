//! Where a watch stream comes from: a control plane over the network, or the same service in this process.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use tonic::metadata::MetadataValue;
use tonic::transport::Endpoint;
use tonic::{Request, Status, Streaming};

use crate::proto::doorward as pb;
use crate::proto::doorward::watch_service_client::WatchServiceClient;
use crate::proto::doorward::watch_service_server::{WatchService, WatchServiceServer};

/// A chunk of a reset is about half a megabyte; one policy may be larger than the default limit would let it.
const MESSAGE_BYTES: usize = 16 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// A stream that has been opened.
pub type Opened = Result<Streaming<pb::WatchResponse>, Status>;

/// Opens watch streams.
pub trait WatchSource: Send + Sync + 'static {
    /// Opens one.
    fn open(&self) -> Pin<Box<dyn Future<Output = Opened> + Send + '_>>;
}

/// A control plane over the network.
#[derive(Debug)]
pub struct RemoteSource {
    endpoint: Endpoint,
    token_file: PathBuf,
    client: String,
}

/// The watch service of this process: the same messages, without a network.
pub struct LocalSource<T: WatchService>(WatchServiceClient<WatchServiceServer<T>>);

// === impl RemoteSource ===

impl RemoteSource {
    /// The control plane at `url`. The credential is read from its file at each connection, so that it can be exchanged.
    ///
    /// # Errors
    /// Where `url` is no endpoint.
    pub fn new(url: &str, token_file: PathBuf, client: String) -> Result<Self, tonic::transport::Error> {
        let endpoint = Endpoint::from_shared(url.to_owned())?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(true);
        Ok(Self { endpoint, token_file, client })
    }

    async fn connect(&self) -> Opened {
        let file = self.token_file.display();
        let unreadable =
            |problem| Status::unauthenticated(format!("the token file `{file}` cannot be read: {problem}"));
        let token = tokio::fs::read_to_string(&self.token_file).await.map_err(unreadable)?;
        let no_header =
            |_| Status::unauthenticated(format!("the token file `{file}` does not hold one line with a credential"));
        let mut header: MetadataValue<_> = format!("Bearer {}", token.trim()).parse().map_err(no_header)?;
        header.set_sensitive(true);
        let channel = self.endpoint.connect().await.map_err(|problem| Status::unavailable(with_cause(&problem)))?;
        let mut request = Request::new(pb::WatchRequest { client: self.client.clone() });
        request.metadata_mut().insert("authorization", header);
        let mut client = WatchServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES);
        client.watch(request).await.map(tonic::Response::into_inner)
    }
}

fn with_cause(problem: &dyn std::error::Error) -> String {
    match problem.source() {
        Some(cause) => format!("{problem}: {cause}"),
        None => problem.to_string(),
    }
}

impl WatchSource for RemoteSource {
    fn open(&self) -> Pin<Box<dyn Future<Output = Opened> + Send + '_>> {
        Box::pin(self.connect())
    }
}

// === impl LocalSource ===

impl<T: WatchService> LocalSource<T> {
    /// The service, asked in this process.
    pub fn new(service: T) -> Self {
        Self(WatchServiceClient::new(WatchServiceServer::new(service)).max_decoding_message_size(MESSAGE_BYTES))
    }
}

impl<T: WatchService> WatchSource for LocalSource<T> {
    fn open(&self) -> Pin<Box<dyn Future<Output = Opened> + Send + '_>> {
        let mut client = self.0.clone();
        Box::pin(async move {
            let request = pb::WatchRequest { client: "this process".to_owned() };
            client.watch(request).await.map(tonic::Response::into_inner)
        })
    }
}
