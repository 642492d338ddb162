//! A member whose watches fall silent while it goes on answering everything else.

use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll};

use axum::body::Body;
use tokio::net::TcpListener;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Endpoint, Server};
use tower::{Service, ServiceExt as _};

use super::*;

type Request = http::Request<tonic::body::Body>;
type Answer = http::Response<Body>;

/// What stands before a member and lets everything pass, but for watches that were silenced.
#[derive(Clone)]
struct Passage {
    member: Channel,
    /// Watches so far.
    begun: Arc<AtomicUsize>,
    /// So many of the first ones say nothing.
    silent: Arc<AtomicUsize>,
}

/// A passage that is served. It ends with its owner.
struct Served {
    passage: Passage,
    url: String,
    _runtime: Runtime,
}

// === impl Passage ===

impl Service<Request> for Passage {
    type Response = Answer;
    type Error = tonic::transport::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Self { member, begun, silent } = self.clone();
        Box::pin(async move {
            let is_watch = request.uri().path().ends_with("/Watch");
            let answer = member.oneshot(request).await?.map(Body::new);
            if !is_watch {
                return Ok(answer);
            }
            let number = begun.fetch_add(1, Ordering::SeqCst);
            let is_heard = move |_: &_| number >= silent.load(Ordering::SeqCst);
            Ok(answer.map(|body| Body::from_stream(body.into_data_stream().filter(is_heard))))
        })
    }
}

// === impl Served ===

impl Served {
    fn before(member: &str) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let member = runtime.block_on(Endpoint::from_shared(member.to_owned()).unwrap().connect()).unwrap();
        let passage = Passage { member, begun: Arc::default(), silent: Arc::default() };
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let incoming = TcpListenerStream::new(listener);
        runtime.spawn(Server::builder().serve_with_incoming(passage.clone(), incoming));
        Self { passage, url, _runtime: runtime }
    }

    fn begun(&self) -> usize {
        self.passage.begun.load(Ordering::SeqCst)
    }

    /// Waits until this many watches were begun.
    fn reaches(&self, watches: usize) {
        let begun = std::time::Instant::now();
        while self.begun() < watches {
            assert!(begun.elapsed() < PATIENCE, "{} and not {watches} watches", self.begun());
            thread::yield_now();
        }
    }
}

#[test]
fn a_watch_that_falls_silent_is_begun_anew_and_what_it_missed_is_read() {
    let Some(place) = Prefix::new() else { return };
    let writer = furnished(&place);
    let served = Served::before(&place.config.endpoints[0]);
    let store = EtcdStore::open(&EtcdConfig { endpoints: vec![served.url.clone()], ..place.config.clone() }).unwrap();
    served.reaches(1);
    // Those that are begun from here on are heard.
    served.passage.silent.store(served.begun(), Ordering::SeqCst);
    let missed = commit(&*writer, puts([account(2, "missed")])).unwrap().revision;
    reaches(&store, missed);
    served.reaches(2);
    reaches(&store, commit(&*writer, puts([account(2, "heard")])).unwrap().revision);
    assert_eq!(contents(&store.state()), contents(&writer.state()));
}

#[test]
fn where_every_watch_is_silent_a_replica_reads_what_is_committed() {
    let Some(place) = Prefix::new() else { return };
    let writer = furnished(&place);
    let served = Served::before(&place.config.endpoints[0]);
    served.passage.silent.store(usize::MAX, Ordering::SeqCst);
    let store = EtcdStore::open(&EtcdConfig { endpoints: vec![served.url.clone()], ..place.config.clone() }).unwrap();
    for form in 1..3 {
        served.reaches(form);
        reaches(&store, commit(&*writer, puts([account(2, &format!("n{form}"))])).unwrap().revision);
    }
    assert_eq!(contents(&store.state()), contents(&writer.state()));
}
