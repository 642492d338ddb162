//! Clusters of etcd that a test owns: members on loopback that it can kill and start again.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::child::Process;
use super::peers;

/// The bound of a start: three members elect a leader before they serve.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often ports that somebody else took in the meantime are given up for others.
const TRIES: usize = 5;

/// What a cluster is like.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many members it has.
    pub members: usize,
    /// Members and clients show certificates.
    pub tls: bool,
    /// Bytes of the database of a member; etcd's own limit where there is none.
    pub quota: Option<u64>,
}

/// A running cluster. It ends with its owner.
pub struct Cluster {
    programs: PathBuf,
    folder: TempDir,
    options: Options,
    members: Vec<Member>,
}

struct Member {
    client: String,
    arguments: Vec<String>,
    process: Option<Process>,
}

// === impl Options ===

impl Options {
    /// One member, no TLS.
    pub const SINGLE: Self = Self { members: 1, tls: false, quota: None };
}

// === impl Cluster ===

impl Cluster {
    /// Starts a cluster that serves; `None` where etcd cannot be had.
    pub fn start(options: Options) -> Option<Self> {
        let programs = peers::etcd().ready()?;
        (0..TRIES).find_map(|_| Self::try_start(&programs, options)).or_else(|| panic!("etcd does not start"))
    }

    /// `None` where a port is taken.
    fn try_start(programs: &Path, options: Options) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        if options.tls {
            certificates(folder.path());
        }
        let members = members(folder.path(), options);
        let mut cluster = Self { programs: programs.to_owned(), folder, options, members };
        (0..options.members).for_each(|index| cluster.spawn(index));
        (0..options.members).all(|index| cluster.serves(index)).then_some(cluster)
    }

    /// The client URLs.
    pub fn endpoints(&self) -> Vec<String> {
        self.members.iter().map(|member| member.client.clone()).collect()
    }

    /// The process id of a member that runs.
    pub fn process(&self, index: usize) -> u32 {
        self.running(index).id()
    }

    /// The PEM file of the authority, the certificate (`client`) or its key.
    pub fn pem(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Kills a member as a crash would.
    pub fn kill(&mut self, index: usize) {
        if let Some(mut process) = self.members[index].process.take() {
            process.kill();
        }
    }

    /// Stops a member without ending it: it keeps its connections and answers nobody.
    pub fn freeze(&self, index: usize) {
        self.running(index).signal("STOP");
    }

    /// Starts a member that was killed, and waits until it serves.
    pub fn revive(&mut self, index: usize) {
        self.spawn(index);
        assert!(self.serves(index), "{}", self.running(index));
    }

    /// What the members printed, for the message of an assertion.
    pub fn transcript(&self) -> String {
        self.members.iter().filter_map(|member| member.process.as_ref()).map(ToString::to_string).collect()
    }

    /// The member that is the leader.
    pub fn leader(&self) -> usize {
        let status = self.ctl(&["endpoint", "status", "--write-out=json"]);
        let status: Value = serde_json::from_str(&status).expect("JSON");
        let leads = |it: &&Value| it["Status"]["leader"] == it["Status"]["header"]["member_id"];
        let leader = status.as_array().expect("a list").iter().find(leads).expect("a leader");
        let endpoint = leader["Endpoint"].as_str().expect("an endpoint");
        self.members.iter().position(|member| member.client == endpoint).expect("one of ours")
    }

    /// What `etcdctl` prints, which must succeed.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        let output = self.try_ctl(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// What `etcdctl` says.
    pub fn try_ctl(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(self.programs.join("etcdctl"));
        let running = self.members.iter().filter(|member| member.process.is_some());
        let endpoints: Vec<_> = running.map(|member| member.client.as_str()).collect();
        command.env("ETCDCTL_API", "3").arg("--endpoints").arg(endpoints.join(","));
        if self.options.tls {
            for (flag, name) in [("--cacert", "ca.pem"), ("--cert", "client.pem"), ("--key", "client.key")] {
                command.arg(flag).arg(self.pem(name));
            }
        }
        command.args(arguments).stdin(Stdio::null()).output().expect("etcdctl starts")
    }

    fn running(&self, index: usize) -> &Process {
        self.members[index].process.as_ref().expect("a member that runs")
    }

    fn spawn(&mut self, index: usize) {
        let member = &mut self.members[index];
        let mut command = Command::new(self.programs.join("etcd"));
        member.process = Some(Process::spawn(&format!("etcd {index}"), command.args(&member.arguments)));
    }

    /// Waits until a member serves; `false` where it ended instead.
    fn serves(&self, index: usize) -> bool {
        let log = self.running(index).stderr();
        log.wait(PATIENCE, |lines| {
            lines.iter().any(|line| line.contains("ready to serve client requests")).then_some(())
        })
        .is_ok()
    }
}

/// The members that a cluster with these options has, not started yet.
fn members(folder: &Path, options: Options) -> Vec<Member> {
    let scheme = if options.tls { "https" } else { "http" };
    // All ports are held until all are known, so that they differ.
    let listeners: Vec<_> =
        (0..2 * options.members).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port")).collect();
    let urls: Vec<String> =
        listeners.iter().map(|it| format!("{scheme}://{}", it.local_addr().expect("one"))).collect();
    let named = |(index, pair): (usize, &[String])| format!("m{index}={}", pair[1]);
    let initial = urls.chunks(2).enumerate().map(named).collect::<Vec<_>>().join(",");
    let member = |(index, pair): (usize, &[String])| Member {
        client: pair[0].clone(),
        arguments: arguments(folder, options, index, [&pair[0], &pair[1]], &initial),
        process: None,
    };
    urls.chunks(2).enumerate().map(member).collect()
}

fn arguments(folder: &Path, options: Options, index: usize, [client, peer]: [&str; 2], initial: &str) -> Vec<String> {
    let data = folder.join(format!("data{index}"));
    let mut arguments: Vec<String> = [
        ("--name", format!("m{index}").as_str()),
        ("--data-dir", data.to_str().expect("UTF-8")),
        ("--listen-client-urls", client),
        ("--advertise-client-urls", client),
        ("--listen-peer-urls", peer),
        ("--initial-advertise-peer-urls", peer),
        ("--initial-cluster", initial),
        ("--initial-cluster-token", "doorward"),
        ("--logger", "zap"),
        ("--log-level", "info"),
    ]
    .iter()
    .flat_map(|(flag, value)| [(*flag).to_owned(), (*value).to_owned()])
    .collect();
    arguments.extend(options.quota.map(|bytes| format!("--quota-backend-bytes={bytes}")));
    if options.tls {
        let file = |name: &str| folder.join(name).to_str().expect("UTF-8").to_owned();
        let (authority, certificate, key) = (file("ca.pem"), file("server.pem"), file("server.key"));
        for side in ["", "peer-"] {
            arguments.push(format!("--{side}client-cert-auth"));
            arguments.push(format!("--{side}trusted-ca-file={authority}"));
            arguments.push(format!("--{side}cert-file={certificate}"));
            arguments.push(format!("--{side}key-file={key}"));
        }
    }
    arguments
}

/// An authority, and a certificate of it for the members and for the clients.
fn certificates(folder: &Path) {
    let extensions = "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n\
                      basicConstraints=critical,CA:FALSE\n";
    fs::write(folder.join("extensions"), extensions).expect("a file");
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    openssl(
        folder,
        &[&["req", "-x509", "-days", "2", "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem"], &curve[..]]
            .concat(),
    );
    for who in ["server", "client"] {
        let (key, request, certificate) = (format!("{who}.key"), format!("{who}.csr"), format!("{who}.pem"));
        let subject = format!("/CN={who}");
        openssl(folder, &[&["req", "-subj", &subject, "-keyout", &key, "-out", &request], &curve[..]].concat());
        let signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "extensions"];
        openssl(folder, &[&["x509", "-req", "-in", &request, "-out", &certificate], &signed[..]].concat());
    }
}

fn openssl(folder: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").current_dir(folder).args(arguments).stdin(Stdio::null()).output();
    let output = output.expect("openssl starts");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
