//! What is watched: a control plane, and etcd with nothing around it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use doorward::proto::doorward as pb;
use doorward::proto::doorward::group_service_client::GroupServiceClient;
use tonic::transport::{Channel, Endpoint};

use self::wire::kv_client::KvClient;
use self::wire::request_op::Request;
use self::wire::{PutRequest, RequestOp, TxnRequest};
use crate::support::etcd::{Cluster, Options};
use crate::support::server::{Caller, Server};

/// etcd's messages, of the proto that the store is made with.
#[expect(
    clippy::enum_variant_names,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    unreachable_pub,
    reason = "generated; the documentation is in the proto"
)]
pub(crate) mod wire {
    tonic::include_proto!("etcdserverpb");
}

const ACCOUNT: &str = "5f0c6d0e-8a1b-4c3d-9e2f-7a6b5c4d3e2f";
const STATE: &str = "
account: {id: 5f0c6d0e-8a1b-4c3d-9e2f-7a6b5c4d3e2f, name: Example}
";
/// The key that is watched in etcd.
pub(crate) const KEY: &[u8] = b"/fanout";
/// Bytes of its value: about what an event of the control plane has.
const VALUE: usize = 300;

/// A server with streams.
pub(crate) trait Peer {
    /// Its process.
    fn process(&self) -> u32;

    /// How a receiver is told of it.
    fn arguments(&self) -> Vec<String>;

    /// What it says that its commits took within it; nothing where it does not say.
    fn spent(&self) -> anyhow::Result<Spent>;

    /// Commits one small change, each time another; gives the revision by which the streams know it.
    async fn commit(&self) -> anyhow::Result<u64>;
}

/// Seconds that so many commits took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spent {
    seconds: f64,
    commits: u32,
}

/// What to change to: each time something else, as what changes nothing is no commit.
#[derive(Debug, Default)]
struct Changes(AtomicUsize);

/// A control plane on an embedded store.
pub(crate) struct ControlPlane {
    server: Server,
    address: String,
    metrics: String,
    token: PathBuf,
    caller: Caller,
    group: String,
    changes: Changes,
}

/// One etcd.
pub(crate) struct Etcd {
    cluster: Cluster,
    address: String,
    channel: Channel,
    changes: Changes,
}

// === impl Spent ===

impl Spent {
    /// How long a commit took on average since `before`.
    pub(crate) fn mean_since(self, before: Self) -> Option<Duration> {
        let commits = self.commits.checked_sub(before.commits).filter(|commits| *commits > 0)?;
        Duration::try_from_secs_f64((self.seconds - before.seconds) / f64::from(commits)).ok()
    }
}

// === impl Changes ===

impl Changes {
    fn next(&self) -> String {
        format!("Change {}", self.0.fetch_add(1, Ordering::Relaxed))
    }
}

// === impl ControlPlane ===

impl ControlPlane {
    pub(crate) async fn start(folder: &Path) -> anyhow::Result<Self> {
        let (state, data) = (folder.join("state.yaml"), folder.join("data"));
        fs::write(&state, STATE)?;
        let listen = ["control-plane", "--admin-listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"];
        let (data_flag, state_flag) = ("--data-directory".as_ref(), "--state".as_ref());
        let places = [data_flag, data.as_os_str(), state_flag, state.as_os_str()];
        let server = Server::start(listen.map(AsRef::as_ref).into_iter().chain(places))?;
        let address = server.listening("admin")?;
        let metrics = server.listening("metrics")?;
        let token = |role| data.join(format!("credentials/{role}.token"));
        let caller = Caller::connect(&address, Some(&token("root"))).await?;
        let group = pb::Group { name: "Readers".to_owned(), ..pb::Group::default() };
        let create = pb::CreateGroupRequest {
            account: ACCOUNT.to_owned(),
            group: Some(group),
            ..pb::CreateGroupRequest::default()
        };
        let mut groups = GroupServiceClient::new(caller.channel.clone());
        let group = groups.create_group(caller.request(create)?).await?.into_inner().group.context("no group")?.id;
        Ok(Self { server, address, metrics, token: token("watch"), caller, group, changes: Changes::default() })
    }
}

impl Peer for ControlPlane {
    fn process(&self) -> u32 {
        self.server.id()
    }

    fn spent(&self) -> anyhow::Result<Spent> {
        let page = metrics_page(&self.metrics)?;
        let value = |name: &str| {
            let mut lines = page.lines().filter(|line| line.contains("UpdateGroup"));
            lines.find_map(|line| line.strip_prefix("doorward_admin_call_duration_seconds_")?.strip_prefix(name))
        };
        let number = |line: Option<&str>| line.and_then(|it| it.rsplit(' ').next()).unwrap_or("0").to_owned();
        Ok(Spent { seconds: number(value("sum")).parse()?, commits: number(value("count")).parse()? })
    }

    fn arguments(&self) -> Vec<String> {
        let token = self.token.to_string_lossy().into_owned();
        ["--address", &self.address, "--token-file", &token].map(str::to_owned).into()
    }

    async fn commit(&self) -> anyhow::Result<u64> {
        let description = self.changes.next();
        let group =
            pb::Group { id: self.group.clone(), name: "Readers".to_owned(), description, ..pb::Group::default() };
        let update = pb::UpdateGroupRequest {
            account: ACCOUNT.to_owned(),
            group: Some(group),
            ..pb::UpdateGroupRequest::default()
        };
        let mut groups = GroupServiceClient::new(self.caller.channel.clone());
        let answer = groups.update_group(self.caller.request(update)?).await?.into_inner();
        Ok(answer.group.and_then(|group| group.metadata).context("no metadata")?.revision)
    }
}

// === impl Etcd ===

impl Etcd {
    pub(crate) async fn start() -> anyhow::Result<Option<Self>> {
        let Some(cluster) = Cluster::start(Options::SINGLE) else { return Ok(None) };
        let address = cluster.endpoints().first().context("no member")?.trim_start_matches("http://").to_owned();
        let channel = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true).connect().await?;
        Ok(Some(Self { cluster, address, channel, changes: Changes::default() }))
    }
}

impl Peer for Etcd {
    fn process(&self) -> u32 {
        self.cluster.process(0)
    }

    fn spent(&self) -> anyhow::Result<Spent> {
        Ok(Spent::default())
    }

    fn arguments(&self) -> Vec<String> {
        ["--address", &self.address].map(str::to_owned).into()
    }

    async fn commit(&self) -> anyhow::Result<u64> {
        let mut value = self.changes.next().into_bytes();
        value.resize(VALUE, b' ');
        let put = Request::RequestPut(PutRequest { key: KEY.into(), value: value.into() });
        let txn = TxnRequest { success: vec![RequestOp { request: Some(put) }], ..TxnRequest::default() };
        let answer = KvClient::new(self.channel.clone()).txn(txn).await?.into_inner();
        Ok(answer.header.context("no header")?.revision.cast_unsigned())
    }
}

/// What a metrics listener says.
fn metrics_page(address: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    Ok(page)
}
