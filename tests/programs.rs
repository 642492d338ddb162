//! The programs that measure run to their end, at counts that take a moment.

#![expect(clippy::expect_used, clippy::panic, reason = "test code: what goes wrong here fails the test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Examples lie in a folder beside the binary.
fn program(name: &str) -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_doorward"));
    binary.parent().expect("a folder").join("examples").join(name)
}

/// Runs a program; what it prints must name each of `rows`.
fn check(name: &str, arguments: &[&str], rows: &[&str]) {
    let path = program(name);
    let output = Command::new(&path).args(arguments).stdin(Stdio::null()).output();
    let output =
        output.unwrap_or_else(|error| panic!("`{}`: {error}; `cargo build --examples` makes it", path.display()));
    let (printed, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "`{name}` ended with {}:\n{printed}\n{told}", output.status);
    for row in rows {
        assert!(printed.contains(row), "`{name}` prints no `{row}`:\n{printed}");
    }
}

#[test]
fn fanout_tells_how_long_a_commit_takes_to_the_last_stream() {
    let rows =
        ["each stream on its own connection", "one connection a process", "call to last stream", "memory a stream"];
    check("fanout", &["--streams", "6", "--processes", "2", "--commits", "2"], &rows);
}

#[test]
fn scale_tells_how_long_an_account_takes() {
    let rows = ["1000 users", "restart to ready", "from disk alone", "a binding made, taken away", "all of them"];
    check("scale", &["--size", "S", "--changes", "6"], &rows);
}
