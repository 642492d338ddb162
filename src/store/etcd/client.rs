//! Calls to a cluster: one member at a time, another one where that does not answer, each within a deadline.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_stream::StreamExt as _;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Response, Status, Streaming};

use super::config::{EtcdConfig, EtcdUser};
use super::error::EtcdError;
use super::wire::pb::auth_client::AuthClient;
use super::wire::pb::kv_client::KvClient;
use super::wire::pb::watch_client::WatchClient;
use super::wire::pb::watch_request::RequestUnion;
use super::wire::pb::{
    AuthenticateRequest, RangeRequest, RangeResponse, TxnRequest, TxnResponse, WatchCreateRequest, WatchRequest,
    WatchResponse,
};

/// For a connection to a member, TLS included.
const CONNECT: Duration = Duration::from_secs(1);
/// For the first answer; after one that did not come the next is given twice as long. A commit takes milliseconds, so that a member
/// that says nothing is soon left; a member whose disk is busy, or that is asked for much, has its time in the end.
const ANSWER: Duration = Duration::from_secs(1);
/// For an answer, where connecting took the time of the call.
const SHORTEST: Duration = Duration::from_millis(500);
/// How long a member that did not answer is asked last: one that only accepts connections is not seen by connecting.
const SILENCE: Duration = Duration::from_secs(10);
/// Between a refusal that may pass and the next try: first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));
/// Between pings of a connection: one that is silent is noticed. etcd ends what is pinged more often than every five
/// seconds.
const PING: Duration = Duration::from_secs(6);
/// For the answer to a ping.
const PONG: Duration = Duration::from_secs(3);
/// How often several reads at one revision are begun.
const READS: u32 = 5;
/// Bytes of the largest answer: a page of the largest objects.
const ANSWER_BYTES: usize = 256 * 1024 * 1024;

/// A client of a cluster.
#[derive(Debug)]
pub(super) struct Client {
    members: Vec<Member>,
    user: Option<EtcdUser>,
    patience: Duration,
    seat: Mutex<Seat>,
}

#[derive(Debug, Clone)]
struct Member {
    url: String,
    endpoint: Endpoint,
}

/// Which member is asked.
#[derive(Debug, Default)]
struct Seat {
    /// The member that is connected to next.
    next: usize,
    /// Members that did not answer, and until when they are asked last.
    silent: Vec<(usize, Instant)>,
    /// How many connections there were.
    made: u64,
    current: Option<Connection>,
}

/// A connection to a member, with the token of the user there.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    number: u64,
    member: usize,
    channel: Channel,
    token: Option<MetadataValue<Ascii>>,
}

/// A call that came to nothing.
#[derive(Debug)]
pub(super) struct CallFailed {
    /// What was last seen of it.
    pub(super) error: EtcdError,
    /// What was asked may have been done, or may yet be.
    pub(super) may_be_done: bool,
}

// === impl Client ===

impl Client {
    /// A client; nothing is connected to yet.
    pub(super) fn new(config: &EtcdConfig) -> Result<Self, EtcdError> {
        let tls = tls(config)?;
        let members = config.endpoints.iter().map(|url| Member::new(url, &tls)).collect::<Result<_, _>>()?;
        let (user, patience) = (config.user.clone(), config.patience);
        Ok(Self { members, user, patience, seat: Mutex::default() })
    }

    /// Another one of the same members and user, with a connection of its own.
    pub(super) fn apart(&self) -> Self {
        let members = self.members.clone();
        Self { members, user: self.user.clone(), patience: self.patience, seat: Mutex::default() }
    }

    /// Reads keys.
    pub(super) async fn range(&self, request: RangeRequest) -> Result<RangeResponse, CallFailed> {
        self.call(|connection| {
            let request = request.clone();
            async move { connection.kv().range(connection.with_headers(request)).await }
        })
        .await
    }

    /// Reads several keys or ranges at one revision of etcd, which is told too.
    ///
    /// Not by a transaction: a member of 3.5.1 ends with a panic when a transaction that only reads is cancelled, as it
    /// is by a deadline.
    pub(super) async fn read<const N: usize>(
        &self,
        requests: [RangeRequest; N],
    ) -> Result<(i64, [RangeResponse; N]), CallFailed> {
        let mut tries = READS;
        loop {
            tries -= 1;
            match self.read_once(requests.clone()).await {
                // The revision of the first read was compacted before the last one.
                Err(failed) if tries > 0 && matches!(failed.error, EtcdError::Compacted) => {}
                read => return read,
            }
        }
    }

    async fn read_once<const N: usize>(
        &self,
        requests: [RangeRequest; N],
    ) -> Result<(i64, [RangeResponse; N]), CallFailed> {
        let (mut revision, mut answers) = (0, Vec::with_capacity(N));
        for request in requests {
            let answer = self.range(RangeRequest { revision, ..request }).await?;
            if revision == 0 {
                revision = answer.header.as_ref().map_or(0, |header| header.revision);
            }
            answers.push(answer);
        }
        let error = EtcdError::Foreign("Range");
        let answers = answers.try_into().map_err(|_| CallFailed { error, may_be_done: false })?;
        Ok((revision, answers))
    }

    /// Does a transaction, of which some operation writes. It may be sent more than once: a second time it must find its conditions broken.
    pub(super) async fn txn(&self, request: TxnRequest) -> Result<TxnResponse, CallFailed> {
        self.call(|connection| {
            let request = request.clone();
            async move { connection.kv().txn(connection.with_headers(request)).await }
        })
        .await
    }

    /// Begins to watch. The stream ends with the connection, or when the member has no leader.
    pub(super) async fn watch(&self, request: WatchCreateRequest) -> Result<Streaming<WatchResponse>, CallFailed> {
        self.call(|connection| {
            let create = WatchRequest { request_union: Some(RequestUnion::CreateRequest(request.clone())) };
            // The stream of the requests stays open: at its end etcd ends the answers.
            let requests = tokio_stream::iter([create]).chain(tokio_stream::pending());
            async move { connection.watches().watch(connection.with_headers(requests)).await }
        })
        .await
    }

    async fn call<T, F>(&self, ask: impl Fn(Connection) -> F + Send) -> Result<T, CallFailed>
    where
        F: Future<Output = Result<Response<T>, Status>> + Send,
    {
        let deadline = Instant::now() + self.patience;
        let (mut pause, longest) = PAUSES;
        let (mut answer, mut may_be_done) = (ANSWER, false);
        loop {
            let CallFailed { error, may_be_done: now } = match self.attempt(&ask, deadline, answer).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            may_be_done |= now;
            if !error.is_passing() || Instant::now() + pause >= deadline {
                return Err(CallFailed { error, may_be_done });
            }
            tracing::debug!(%error, "another try");
            sleep(pause).await;
            pause = longest.min(pause * 2);
            if matches!(error, EtcdError::Deadline { .. }) {
                answer *= 2;
            }
        }
    }

    /// Asks once, until `deadline`, and for `answer` at most once there is a connection.
    async fn attempt<T, F>(
        &self,
        ask: impl Fn(Connection) -> F,
        deadline: Instant,
        answer: Duration,
    ) -> Result<T, CallFailed>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        // Whoever else connects is waited for, too.
        let connected = timeout_at(deadline, self.connection()).await;
        let connected = connected.unwrap_or_else(|_| Err(EtcdError::Deadline { endpoint: self.urls() }));
        // Without a connection nothing was asked.
        let connection = connected.map_err(|error| CallFailed { error, may_be_done: false })?;
        let deadline = deadline.min(Instant::now() + answer).max(Instant::now() + SHORTEST);
        let url = self.url(connection.member);
        let answered = timeout_at(deadline, ask(connection.clone())).await;
        let error = match answered {
            Ok(Ok(response)) => return Ok(response.into_inner()),
            Ok(Err(status)) => EtcdError::of(&status, url),
            Err(_) => EtcdError::Deadline { endpoint: url.to_owned() },
        };
        if error.is_passing() {
            self.give_up(&connection, &error).await;
        }
        Err(CallFailed { may_be_done: error.may_be_done(), error })
    }

    /// The connection in use, or a new one to the first member that takes one.
    async fn connection(&self) -> Result<Connection, EtcdError> {
        let mut seat = self.seat.lock().await;
        if let Some(connection) = &seat.current {
            return Ok(connection.clone());
        }
        let mut problem = EtcdError::NoLeader;
        for index in seat.order(self.members.len()) {
            let Some(member) = self.members.get(index) else { continue };
            match self.connect(member).await {
                Ok((channel, token)) => {
                    seat.made += 1;
                    let connection = Connection { number: seat.made, member: index, channel, token };
                    (seat.next, seat.current) = (index, Some(connection.clone()));
                    return Ok(connection);
                }
                Err(error) if !error.is_passing() => return Err(error),
                Err(error) => {
                    // A call that ends before all are tried is followed by one that begins with the others. Of two limits of
                    // the same length either may be the one that is seen.
                    if matches!(error, EtcdError::Deadline { .. } | EtcdError::Unreachable { .. }) {
                        seat.silent.push((index, Instant::now() + SILENCE));
                    }
                    problem = error;
                }
            }
        }
        Err(problem)
    }

    async fn connect(&self, member: &Member) -> Result<(Channel, Option<MetadataValue<Ascii>>), EtcdError> {
        let endpoint = || member.url.clone();
        let channel = match timeout(CONNECT, member.endpoint.connect()).await {
            Ok(channel) => channel.map_err(|source| EtcdError::Unreachable { endpoint: endpoint(), source })?,
            Err(_) => return Err(EtcdError::Deadline { endpoint: endpoint() }),
        };
        let token = match &self.user {
            Some(user) => Some(authenticate(&channel, user, &member.url).await?),
            None => None,
        };
        Ok((channel, token))
    }

    /// Lets go of a connection, unless somebody has done so before.
    async fn give_up(&self, connection: &Connection, why: &EtcdError) {
        let mut seat = self.seat.lock().await;
        if seat.current.as_ref().is_none_or(|current| current.number != connection.number) {
            return;
        }
        seat.current = None;
        seat.next = connection.member + usize::from(why.leaves());
        if matches!(why, EtcdError::Deadline { .. } | EtcdError::Lost { .. }) {
            seat.silent.push((connection.member, Instant::now() + SILENCE));
        }
    }

    /// Goes over to another connection, to the next member where there is one: what is under way on this one stays there.
    pub(super) async fn turn(&self) {
        let mut seat = self.seat.lock().await;
        if let Some(connection) = seat.current.take() {
            seat.next = connection.member + 1;
        }
    }

    fn urls(&self) -> String {
        self.members.iter().map(|member| member.url.as_str()).collect::<Vec<_>>().join(",")
    }

    fn url(&self, member: usize) -> &str {
        self.members.get(member).map_or("etcd", |member| member.url.as_str())
    }
}

/// A token for `user`. The password is read anew, as it may have been replaced.
async fn authenticate(channel: &Channel, user: &EtcdUser, url: &str) -> Result<MetadataValue<Ascii>, EtcdError> {
    let password = read(&user.password_file)?;
    let password = password.trim_end_matches(['\r', '\n']).to_owned();
    let request = AuthenticateRequest { name: user.name.clone(), password };
    let mut client = AuthClient::new(channel.clone());
    let answered = timeout(ANSWER, client.authenticate(request)).await;
    let answer = answered.map_err(|_| EtcdError::Deadline { endpoint: url.to_owned() })?;
    let answer = answer.map_err(|status| EtcdError::of(&status, url))?;
    answer.into_inner().token.parse().map_err(|_| EtcdError::Foreign("the token of Authenticate"))
}

/// TLS as configured. It is used for `https` endpoints only.
fn tls(config: &EtcdConfig) -> Result<ClientTlsConfig, EtcdError> {
    let tls = ClientTlsConfig::new();
    let tls = match &config.ca_file {
        Some(path) => tls.ca_certificate(Certificate::from_pem(read(path)?)),
        None => tls.with_native_roots(),
    };
    Ok(match &config.identity {
        Some(files) => tls.identity(Identity::from_pem(read(&files.certificate_file)?, read(&files.key_file)?)),
        None => tls,
    })
}

fn read(path: &Path) -> Result<String, EtcdError> {
    std::fs::read_to_string(path).map_err(|source| EtcdError::File { path: path.to_owned(), source })
}

// === impl Seat ===

impl Seat {
    /// The members in the order in which they are tried: those that lately did not answer last.
    fn order(&mut self, count: usize) -> Vec<usize> {
        let now = Instant::now();
        self.silent.retain(|(_, until)| *until > now);
        let mut order: Vec<_> = (0..count).map(|step| (self.next + step) % count).collect();
        order.sort_by_key(|index| self.silent.iter().any(|(silent, _)| silent == index));
        order
    }
}

// === impl Member ===

impl Member {
    fn new(url: &str, tls: &ClientTlsConfig) -> Result<Self, EtcdError> {
        let unusable = |source| EtcdError::Setting { what: url.to_owned(), source };
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(unusable)?;
        let endpoint = match endpoint.uri().scheme_str() {
            Some("https") => endpoint.tls_config(tls.clone()).map_err(unusable)?,
            _ => endpoint,
        };
        let endpoint = endpoint.connect_timeout(CONNECT).tcp_nodelay(true);
        let endpoint = endpoint.http2_keep_alive_interval(PING).keep_alive_timeout(PONG).keep_alive_while_idle(true);
        Ok(Self { url: url.to_owned(), endpoint })
    }
}

// === impl Connection ===

impl Connection {
    fn kv(&self) -> KvClient<Channel> {
        KvClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_BYTES)
    }

    fn watches(&self) -> WatchClient<Channel> {
        WatchClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_BYTES)
    }

    fn with_headers<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        // A member without a leader refuses at once, and ends a watch, instead of letting them wait.
        request.metadata_mut().insert("hasleader", MetadataValue::from_static("true"));
        if let Some(token) = &self.token {
            request.metadata_mut().insert("token", token.clone());
        }
        request
    }
}

#[cfg(test)]
mod tests;
