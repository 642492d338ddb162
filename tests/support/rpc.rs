//! Doorward's gRPC services, called by a test one call at a time.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use doorward::proto::doorward as pb;
use doorward::proto::doorward::authorization_service_client::AuthorizationServiceClient;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::process::PATIENCE;

/// A connection with a runtime of its own. It is made at the first call, and made again where it broke.
#[derive(Debug)]
pub struct Rpc {
    runtime: Runtime,
    channel: Channel,
    credential: Option<String>,
}

// === impl Rpc ===

impl Rpc {
    /// A connection to a listener.
    pub fn to(address: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address is an endpoint");
        let channel = {
            let _inside = runtime.enter();
            endpoint.connect_timeout(PATIENCE).timeout(PATIENCE).connect_lazy()
        };
        Self { runtime, channel, credential: None }
    }

    /// Presents the credential in this file with every request.
    #[must_use]
    pub fn with_token(self, file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("`{}`: {error}", file.display()));
        Self { credential: Some(text.trim().to_owned()), ..self }
    }

    /// The connection, for a generated client.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// A message with the credential beside it.
    pub fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(credential) = &self.credential {
            let header = format!("Bearer {credential}").parse().expect("a credential is a header value");
            request.metadata_mut().insert("authorization", header);
        }
        request
    }

    /// Waits for a call, or for a few.
    pub fn wait<F: Future>(&self, call: F) -> F::Output {
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, call).await.expect("no answer in time") })
    }

    /// Lets a call go on beside the test.
    pub fn spawn<F: Future<Output: Send + 'static> + Send + 'static>(
        &self,
        call: F,
    ) -> tokio::task::JoinHandle<F::Output> {
        self.runtime.spawn(call)
    }

    /// Asks for a decision.
    pub fn check(&self, question: &pb::CheckRequest) -> Result<pb::CheckResponse, Status> {
        let mut client = AuthorizationServiceClient::new(self.channel());
        self.wait(client.check(self.request(question.clone()))).map(tonic::Response::into_inner)
    }

    /// Asks for the health of a service; the empty name is the whole process.
    pub fn health(&self, service: &str) -> Result<ServingStatus, Status> {
        let request = HealthCheckRequest { service: service.to_owned() };
        let mut client = HealthClient::new(self.channel());
        self.wait(client.check(request)).map(|answer| answer.into_inner().status())
    }
}

/// Between two questions: whoever is waited for needs the processor, too.
const PAUSE: Duration = Duration::from_millis(2);

/// Asks again until `ask` makes something of the answer.
pub fn until<T>(what: &str, transcript: impl Fn() -> String, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "not in {PATIENCE:?}: {what}\n{}", transcript());
        std::thread::sleep(PAUSE);
    }
}
