//! The peers that other tests rely on can be had, and one that cannot is never passed over in silence.

#![expect(clippy::unwrap_used, reason = "a test fails where its own means do")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::peers::{self, Peer};

mod support;

#[test]
fn a_skip_keeps_its_reason() {
    assert_eq!(peers::settle_where("x", Err("gone".to_owned()), false), Peer::Skipped("gone".to_owned()));
}

#[test]
#[should_panic(expected = "no `x`, and CI skips nothing: gone")]
fn a_skip_fails_in_ci() {
    peers::settle_where("x", Err("gone".to_owned()), true);
}

#[test]
fn two_at_once_get_the_same_buf() {
    let (one, other) = std::thread::scope(|scope| {
        let other = scope.spawn(peers::buf);
        (peers::buf(), other.join().unwrap())
    });
    assert_eq!(one, other);
}

#[test]
fn promtool_judges_metrics() {
    let Some(program) = peers::promtool().ready() else { return };
    assert!(judged(&program, "# HELP a_total A.\n# TYPE a_total counter\na_total 1\n"));
    assert!(!judged(&program, "a_total{ 1\n"));
}

#[test]
fn the_grpc_client_says_that_nobody_answers() {
    let Some(packages) = peers::grpc().ready() else { return };
    let output = peers::grpc_client(&packages).args(["unix:/nonexistent/socket", "health"]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.starts_with("UNAVAILABLE "), "{error}");
}

fn judged(promtool: &Path, metrics: &str) -> bool {
    let mut command = Command::new(promtool);
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    child.wait().unwrap().success()
}
