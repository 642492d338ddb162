//! The built `doorward` binary as a child process.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

pub use super::child::Process;

/// The bound of a wait that normally takes milliseconds: long enough for a loaded machine, short enough to see a hang.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A running `doorward`, whose log (JSON, on standard error) the test can wait on.
#[derive(Debug)]
pub struct Doorward {
    process: Process,
}

/// One line of Doorward's log: `{"level":"INFO","fields":{"message":"listening","listener":"check",…}}`.
#[derive(Debug, Clone)]
pub struct LogLine {
    json: Value,
}

// === impl Doorward ===

impl Doorward {
    /// Starts the binary with these arguments and a JSON log.
    pub fn start(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        Self::start_with(Self::command().args(arguments))
    }

    /// Starts a [`Self::command`] to which the caller added what it needs (a directory, variables, arguments).
    pub fn start_with(command: &mut Command) -> Self {
        Self { process: Process::spawn("doorward", command) }
    }

    /// The binary with a JSON log and an environment that holds no setting of the person who runs the tests.
    pub fn command() -> Command {
        let mut command = Self::bare();
        // The flag of it belongs behind the subcommand, which is the caller's.
        command.env("DOORWARD_LOG_FORMAT", "json");
        command
    }

    /// Runs the binary to its end, for subcommands that serve nothing; no log format is set.
    pub fn run(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
        Self::bare().args(arguments).stdin(Stdio::null()).output().expect("the built binary starts")
    }

    /// The address that a listener got. Tests listen on port 0 only, so that they can run side by side.
    pub fn listener(&self, name: &str) -> SocketAddr {
        self.listening(name).parse().unwrap_or_else(|error| panic!("address of `{name}`: {error}: {}", self.process))
    }

    /// Waits until a listener serves, and says where: an address, or the path of a Unix socket.
    pub fn listening(&self, name: &str) -> String {
        self.wait_for(&format!("listener `{name}`"), PATIENCE, |line| {
            (line.message() == "listening" && line.field("listener") == Some(name))
                .then(|| line.field("address").or_else(|| line.field("path")).map(str::to_owned))
                .flatten()
        })
    }

    /// Waits for a log line that `find` makes something of. `what` names it in the panic.
    pub fn wait_for<T>(&self, what: &str, within: Duration, find: impl Fn(&LogLine) -> Option<T>) -> T {
        let mut read = 0;
        let found = self.process.stderr().wait(within, |lines| {
            // Each line is parsed once, however often the log grows.
            let new = lines.get(read..).unwrap_or_default();
            read = lines.len();
            new.iter().filter_map(|line| LogLine::parse(line)).find_map(|line| find(&line))
        });
        found.unwrap_or_else(|error| panic!("no {what} ({error:?}, {within:?}) from {}", self.process))
    }

    /// Waits for a message, and gives its line.
    pub fn wait_for_message(&self, message: &str, within: Duration) -> LogLine {
        self.wait_for(&format!("message `{message}`"), within, |line| (line.message() == message).then(|| line.clone()))
    }

    /// The log so far: the lines that are JSON.
    pub fn log(&self) -> Vec<LogLine> {
        self.process.stderr().all().iter().filter_map(|line| LogLine::parse(line)).collect()
    }

    /// What came on standard output so far.
    pub fn stdout(&self) -> String {
        self.process.stdout().text()
    }

    /// Waits until `find` makes something of standard output.
    pub fn wait_for_stdout<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let found = self.process.stdout().wait(PATIENCE, |lines| find(&lines.join("\n")));
        found.unwrap_or_else(|error| panic!("no {what} ({error:?}) from {}", self.process))
    }

    /// Everything it printed so far, for the message of an assertion.
    pub fn transcript(&self) -> String {
        self.process.to_string()
    }

    /// SIGTERM: begins the drain.
    pub fn terminate(&self) {
        self.process.terminate();
    }

    /// Any other signal, by its name without `SIG`.
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> ExitStatus {
        self.process.kill()
    }

    /// Waits until it has ended by itself.
    pub fn wait_exit(&mut self, within: Duration) -> ExitStatus {
        self.process.wait_exit(within)
    }

    fn bare() -> Command {
        let mut command = Command::new(Path::new(env!("CARGO_BIN_EXE_doorward")));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("DOORWARD_") {
                command.env_remove(name);
            }
        }
        command.env_remove("RUST_LOG");
        command
    }
}

// === impl LogLine ===

impl LogLine {
    /// Reads a line, if it is a JSON object.
    pub fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok().filter(Value::is_object).map(|json| Self { json })
    }

    /// `INFO`, `WARN`, …
    pub fn level(&self) -> &str {
        self.json.get("level").and_then(Value::as_str).unwrap_or_default()
    }

    /// The constant text of the line.
    pub fn message(&self) -> &str {
        self.field("message").unwrap_or_default()
    }

    /// A field that is a text.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.value(name)?.as_str()
    }

    /// A field that is a whole number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.value(name)?.as_u64()
    }

    /// A field of any kind.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.json.get("fields")?.get(name)
    }
}
