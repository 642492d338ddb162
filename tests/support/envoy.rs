//! The real Envoy, running a configuration that the project ships.
//!
//! The tests run `deploy/envoy/*.yaml` itself with other addresses in it: what users are given is what was tested.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::http;
use super::process::{PATIENCE, Process};

/// Where the address of Doorward stands in `deploy/envoy/tcp.yaml`.
const DOORWARD: &str = "socket_address: { address: 127.0.0.1, port_value: 7070 }";
const METADATA: &str = "%DYNAMIC_METADATA(envoy.filters.http.ext_authz)%";

/// Where Envoy finds Doorward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authz {
    /// An address: `deploy/envoy/tcp.yaml`.
    Tcp(SocketAddr),
    /// The path of a socket: `deploy/envoy/uds.yaml`.
    Unix(PathBuf),
}

/// A shipped configuration on its way to a running one.
#[derive(Debug, Clone)]
pub struct Config {
    text: String,
}

/// A running Envoy.
#[derive(Debug)]
pub struct Envoy {
    process: Process,
    admin: SocketAddr,
    listener: SocketAddr,
    // Its files live as long as it does.
    _folder: tempfile::TempDir,
}

// === impl Authz ===

impl Authz {
    /// The file that is shipped for this kind of address.
    pub fn shipped(&self) -> PathBuf {
        shipped(match self {
            Self::Tcp(_) => "tcp.yaml",
            Self::Unix(_) => "uds.yaml",
        })
    }
}

/// A file of `deploy/envoy`.
pub fn shipped(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/envoy").join(file)
}

// === impl Config ===

impl Config {
    /// The shipped file, asking `authz`, in front of the application at `upstream`, on free ports.
    ///
    /// The access log tells all of the dynamic metadata as `metadata`, beside what the file has in it.
    pub fn shipped(authz: &Authz, upstream: SocketAddr) -> Self {
        let text = fs::read_to_string(authz.shipped()).expect("a shipped configuration");
        let config = match authz {
            Authz::Tcp(address) => Self { text }.replace(DOORWARD, &socket_address(*address)),
            Authz::Unix(path) => Self { text }.replace("pipe: { path: /run/doorward/check.sock }", &pipe(path)),
        };
        config.with_free_ports(upstream).replace(
            "                          decision:\n",
            &format!("{:26}metadata: \"{METADATA}\"\n{:26}decision:\n", "", ""),
        )
    }

    /// The file that the example writes, in front of the application at `upstream`, on free ports.
    pub fn of_example(file: &Path, upstream: SocketAddr) -> Self {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("`{}`: {error}", file.display()));
        Self { text }.with_free_ports(upstream)
    }

    fn with_free_ports(self, upstream: SocketAddr) -> Self {
        self.replace("{ address: 127.0.0.1, port_value: 8080 }", &address_of(upstream))
            .replace("port_value: 10000", "port_value: 0")
            .replace("port_value: 9901", "port_value: 0")
    }

    /// What becomes of a request that Doorward did not decide.
    #[must_use]
    pub fn failure_mode_allow(self, allow: bool) -> Self {
        self.replace("failure_mode_allow: false", &format!("failure_mode_allow: {allow}"))
    }

    /// The status of such a request where it is not allowed.
    #[must_use]
    pub fn status_on_error(self, status: u16) -> Self {
        self.replace("status_on_error: { code: ServiceUnavailable }", &format!("status_on_error: {{ code: {status} }}"))
    }

    /// One more route, before the one that takes everything else.
    #[must_use]
    pub fn route(self, prefix: &str, extensions: &[(&str, &str)]) -> Self {
        let other = "                        - name: other\n";
        // JSON is YAML, whatever is in the values.
        let route = serde_json::json!({
            "name": prefix,
            "match": { "prefix": prefix },
            "route": { "cluster": "application" },
            "typed_per_filter_config": {
                "envoy.filters.http.ext_authz": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute",
                    "check_settings": { "context_extensions": extensions.iter().copied().collect::<BTreeMap<_, _>>() },
                },
            },
        });
        self.replace(other, &format!("{:24}- {route}\n{other}", ""))
    }

    /// Sends the headers as they came, repeated ones and all, in place of the merged map.
    #[must_use]
    pub fn raw_headers(self) -> Self {
        let before = "include_peer_certificate: false";
        self.replace(before, &format!("encode_raw_headers: true\n{:22}{before}", ""))
    }

    /// How long Envoy waits for an answer.
    #[must_use]
    pub fn timeout(self, seconds: impl Display) -> Self {
        self.replace(
            "timeout: 0.25s\n                      # Doorward away",
            &format!("timeout: {seconds}s\n# Doorward away"),
        )
    }

    /// Switches on what the file holds in comments for an Envoy that is the edge itself.
    #[must_use]
    pub fn at_the_edge(self) -> Self {
        assert!(self.text.contains("#edge "), "the file has no lines for the edge");
        Self { text: self.text.replace("#edge ", "") }
    }

    /// Replaces what occurs exactly once: a shipped file that has changed fails the test, and is not tested as it was.
    #[must_use]
    pub fn replace(self, old: &str, new: &str) -> Self {
        let found = self.text.matches(old).count();
        assert!(found == 1, "`{old}` occurs {found} times in the shipped configuration");
        Self { text: self.text.replace(old, new) }
    }

    /// The text, for Envoy.
    pub fn text(&self) -> &str {
        &self.text
    }
}

fn socket_address(address: SocketAddr) -> String {
    format!("socket_address: {}", address_of(address))
}

fn address_of(address: SocketAddr) -> String {
    format!("{{ address: \"{}\", port_value: {} }}", address.ip(), address.port())
}

fn pipe(path: &Path) -> String {
    format!("pipe: {{ path: \"{}\" }}", path.display())
}

// === impl Envoy ===

impl Envoy {
    /// Starts `program` (from `peers::envoy`) and returns once its workers accept.
    pub fn start(program: &Path, config: &Config) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (file, admin) = (folder.path().join("envoy.yaml"), folder.path().join("admin"));
        fs::write(&file, config.text()).expect("the configuration can be written");
        let process =
            Process::spawn("envoy", command(program).arg("-c").arg(&file).arg("--admin-address-path").arg(&admin));
        let started = process.stderr().wait(PATIENCE, |lines| {
            lines.iter().any(|line| line.contains("all dependencies initialized. starting workers")).then_some(())
        });
        assert!(started.is_ok(), "no start: {started:?}: {process}");
        let admin = fs::read_to_string(&admin).expect("the file with the admin address");
        let admin = admin.trim().parse().unwrap_or_else(|error| panic!("admin address `{admin}`: {error}"));
        let listener = listener(admin).unwrap_or_else(|| panic!("no listener: {process}"));
        Self { process, admin, listener, _folder: folder }
    }

    /// Checks a configuration without running it, and gives what Envoy has against it.
    pub fn validate(program: &Path, config: &Path) -> Result<(), String> {
        let output = command(program).args(["--mode", "validate", "-c"]).arg(config).output().expect("Envoy starts");
        let text = || String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        if output.status.success() { Ok(()) } else { Err(text()) }
    }

    /// Where it takes requests.
    pub fn address(&self) -> SocketAddr {
        self.listener
    }

    /// Where its admin interface is.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Sends a request through it.
    pub fn send(&self, request: &http::Request) -> http::Response {
        request.send(self.listener).unwrap_or_else(|error| panic!("no answer: {error}: {}", self.process))
    }

    /// A counter or gauge by its name, such as `cluster.application.ext_authz.denied`; 0 where it was never touched.
    pub fn stat(&self, name: &str) -> u64 {
        let answer = http::get(self.admin, &format!("/stats?filter=^{name}$")).expect("the admin interface answers");
        let value = answer.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")?.parse().ok());
        value.unwrap_or_default()
    }

    /// The access log, once it has `count` lines or more.
    pub fn access_log(&self, count: usize) -> Vec<Value> {
        let log = self.process.stdout().wait(PATIENCE, |lines| {
            let entries: Vec<Value> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
            (entries.len() >= count).then_some(entries)
        });
        log.unwrap_or_else(|error| panic!("no {count} lines of access log: {error:?}: {}", self.process))
    }

    /// Everything it printed so far, for the message of an assertion.
    pub fn transcript(&self) -> String {
        self.process.to_string()
    }
}

/// One worker, no shared memory with another Envoy, and an access log that is written line by line as it happens.
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "info"]);
    command.args(["--file-flush-interval-msec", "10", "--file-flush-min-size-kb", "1"]);
    command
}

fn listener(admin: SocketAddr) -> Option<SocketAddr> {
    let answer = http::get(admin, "/listeners?format=json").ok()?.json();
    let address = answer.pointer("/listener_statuses/0/local_address/socket_address")?;
    let port = u16::try_from(address.get("port_value")?.as_u64()?).ok()?;
    Some(SocketAddr::new(address.get("address")?.as_str()?.parse().ok()?, port))
}
