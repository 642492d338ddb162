//! Child processes that a test owns.
//!
//! Nothing here sleeps: a state is waited for on what the process prints, with a bound. A process ends with its owner.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::lines::Lines;

/// A running child, its two streams collected line by line.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdout: Lines,
    stderr: Lines,
    exited: Option<ExitStatus>,
}

// === impl Process ===

impl Process {
    /// Starts `command` with nothing on its standard input.
    pub fn spawn(name: &str, command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("`{name}` does not start: {error}"));
        let stdout = Lines::collect(child.stdout.take().expect("standard output is piped"));
        let stderr = Lines::collect(child.stderr.take().expect("standard error is piped"));
        Self { name: name.to_owned(), child, stdout, stderr, exited: None }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What came on standard output.
    pub fn stdout(&self) -> &Lines {
        &self.stdout
    }

    /// What came on standard error.
    pub fn stderr(&self) -> &Lines {
        &self.stderr
    }

    /// Asks the process to end: SIGTERM. Whether and how it does is what [`Self::wait_exit`] tells.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends a signal by its name. The standard library knows only SIGKILL, and the project forbids unsafe code.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.id().to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "SIG{name} cannot be sent to {self}");
    }

    /// Ends the process at once: SIGKILL, as a crash or an out-of-memory kill would.
    pub fn kill(&mut self) -> ExitStatus {
        if let Some(status) = self.exited {
            return status;
        }
        self.child.kill().expect("a child that was not waited for can be killed");
        self.reap()
    }

    /// Waits until the process has ended by itself.
    pub fn wait_exit(&mut self, within: Duration) -> ExitStatus {
        if let Some(status) = self.exited {
            return status;
        }
        // There is no wait with a bound in the standard library; both streams at their end say the same.
        let ended = self.stdout.wait_end(within).and_then(|()| self.stderr.wait_end(within));
        assert!(ended.is_ok(), "still running after {within:?}: {self}");
        self.reap()
    }

    fn reap(&mut self) -> ExitStatus {
        let status = self.child.wait().expect("a child can be waited for");
        self.exited = Some(status);
        status
    }
}

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "`{}` ({})", self.name, self.id())?;
        writeln!(f, "--- standard output\n{}", self.stdout.text())?;
        writeln!(f, "--- standard error\n{}\n---", self.stderr.text())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.exited.is_none() {
            // It may have ended already, and a test that is failing must not fail twice.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
