//! A control plane whose store was put back: what a sidecar answered from before its restart, it does not fall behind unasked.

use std::fs;

use doorward::proto::doorward as pb;

use crate::support::process::{Doorward, PATIENCE};
use crate::support::rpc::{Rpc, until};
use crate::{ALLOWING, DENYING, Home, question, set_policy};

/// A control plane that allows, below a sidecar that ended when it had seen that it denies.
struct Rollback {
    home: Home,
    control: Doorward,
}

// === impl Rollback ===

impl Rollback {
    fn new() -> Self {
        let home = Home::new();
        let store = home.data().join("doorward.redb");
        let mut control = home.control_plane();
        set_policy(&home.admin(control.listener("admin")), ALLOWING);
        end(&mut control);
        fs::copy(&store, home.path("before")).unwrap();
        let mut control = home.control_plane();
        set_policy(&home.admin(control.listener("admin")), DENYING);
        let mut sidecar = home.sidecar(control.listener("admin"));
        decides(&sidecar, pb::Decision::Deny);
        end(&mut sidecar);
        end(&mut control);
        fs::copy(home.path("before"), &store).unwrap();
        let control = home.control_plane();
        Self { home, control }
    }

    fn sidecar(&self, more: &[&str]) -> Doorward {
        let mut command = self.home.command("sidecar");
        command.args(["--control-plane", &format!("http://{}", self.control.listener("admin")), "--token-file"]);
        Doorward::start_with(command.arg(self.home.watch_token()).args(more))
    }
}

fn end(process: &mut Doorward) {
    process.terminate();
    assert!(process.wait_exit(PATIENCE).success(), "{}", process.transcript());
}

fn decides(sidecar: &Doorward, expected: pb::Decision) {
    let check = Rpc::to(sidecar.listener("check"));
    let decided = || check.check(&question()).ok().filter(|answer| answer.decision() == expected);
    until(&format!("{expected:?}"), || sidecar.transcript(), decided);
}

/// Waits until an older state was refused, with both revisions.
fn refuses(sidecar: &Doorward) {
    let message = "the control plane is at an older revision than this sidecar has answered from; the last snapshot stays; \
                   if its store was put back on purpose, start this sidecar once with `--accept-older-revision`";
    let line = sidecar.wait_for_message(message, PATIENCE);
    let (found, answered) = (line.number("revision").unwrap(), line.number("answered").unwrap());
    assert_eq!(answered, found + 1, "{line:?}");
}

#[test]
fn an_older_state_is_not_answered_from_after_a_restart_unless_that_is_asked_for() {
    let rollback = Rollback::new();
    fs::remove_file(rollback.home.data().join("sidecar.snapshot")).unwrap();
    let sidecar = rollback.sidecar(&[]);
    refuses(&sidecar);
    let status = Rpc::to(sidecar.listener("check")).check(&question()).unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable, "nothing is decided from it");
    drop(sidecar);
    let mut asked = rollback.sidecar(&["--accept-older-revision"]);
    decides(&asked, pb::Decision::Allow);
    end(&mut asked);
    decides(&rollback.sidecar(&[]), pb::Decision::Allow);
}

#[test]
fn what_a_sidecar_begins_with_stays_before_an_older_state_unless_that_is_asked_for() {
    let rollback = Rollback::new();
    let mut sidecar = rollback.sidecar(&[]);
    refuses(&sidecar);
    decides(&sidecar, pb::Decision::Deny);
    end(&mut sidecar);
    let mut asked = rollback.sidecar(&["--accept-older-revision"]);
    decides(&asked, pb::Decision::Allow);
    end(&mut asked);
    decides(&rollback.sidecar(&[]), pb::Decision::Allow);
}
