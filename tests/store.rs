//! The store of a running process: a disk that is full, the past that is taken away, crashes, and backups meanwhile.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where its own means do")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use doorward::proto::doorward as pb;
use doorward::proto::doorward::policy_service_client::PolicyServiceClient;
use tempfile::TempDir;
use tonic::Status;

use crate::support::http;
use crate::support::process::{Doorward, PATIENCE};
use crate::support::rpc::Rpc;

#[path = "store/served.rs"]
mod served;
mod support;

#[path = "../examples/crash/processes.rs"]
mod processes;
#[path = "../examples/crash/rounds.rs"]
mod rounds;

const ACCOUNT: &str = "5f0c6d0e-8a1b-4c3d-9e2f-7a6b5c4d3e2f";
const STATE: &str = "account: {id: 5f0c6d0e-8a1b-4c3d-9e2f-7a6b5c4d3e2f, name: Example}";

/// A folder with a state file and the data of one control plane.
struct Home {
    folder: TempDir,
}

// === impl Home ===

impl Home {
    fn new() -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap() };
        fs::write(home.path("state.yaml"), STATE).unwrap();
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn arguments(&self) -> Vec<String> {
        let (data, state) = (self.path("data"), self.path("state.yaml"));
        let listeners = ["control-plane", "--admin-listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"];
        let files = ["--data-directory", data.to_str().unwrap(), "--state", state.to_str().unwrap()];
        listeners.iter().chain(&files).map(|&argument| argument.to_owned()).collect()
    }

    fn control_plane(&self, more: &[&str]) -> Doorward {
        Doorward::start_with(Doorward::command().args(self.arguments()).args(more))
    }

    /// The same where no file may grow past `kibibytes`: a write past it fails, as on a disk that is full.
    fn on_a_small_disk(&self, kibibytes: u32) -> Doorward {
        let doorward = Doorward::command();
        let limited = format!("trap '' XFSZ; ulimit -f {kibibytes} || exit 9; exec \"$@\"");
        let mut command = Command::new("bash");
        command.args(["-c", &limited, "bash"]).arg(doorward.get_program()).args(self.arguments());
        for (name, value) in doorward.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Doorward::start_with(&mut command)
    }

    fn admin(&self, control: &Doorward) -> Rpc {
        Rpc::to(control.listener("admin")).with_token(&self.path("data/credentials/root.token"))
    }

    fn verify(&self) {
        let output =
            Doorward::run([Path::new("store"), Path::new("verify"), Path::new("--directory"), &self.path("data")]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
}

fn create_policy(admin: &Rpc, name: &str, description: &str) -> Result<pb::CreatePolicyResponse, Status> {
    let policy = pb::Policy {
        name: name.to_owned(),
        statements: format!("ALLOW settings:schemas:read WHERE settings:schemaId IN ({});", values(description)),
        ..pb::Policy::default()
    };
    let create =
        pb::CreatePolicyRequest { account: ACCOUNT.to_owned(), policy: Some(policy), request_id: name.to_owned() };
    let call = admin.wait(PolicyServiceClient::new(admin.channel()).create_policy(admin.request(create)));
    call.map(tonic::Response::into_inner)
}

/// Many values, so that a policy takes much room.
fn values(of: &str) -> String {
    (0..60).map(|number| format!("\"{}{number}\"", of.repeat(500))).collect::<Vec<_>>().join(", ")
}

fn policies(admin: &Rpc) -> Vec<String> {
    let list = pb::ListPoliciesRequest { account: ACCOUNT.to_owned(), page_size: 1_000, ..Default::default() };
    let answer = admin.wait(PolicyServiceClient::new(admin.channel()).list_policies(admin.request(list)));
    let listed = answer.expect("the policies").into_inner().policies;
    listed.into_iter().filter(|policy| policy.name.starts_with("p-")).map(|policy| policy.name).collect()
}

#[test]
fn variables_that_are_there_for_a_server_are_in_the_way_of_no_folder() {
    let home = Home::new();
    home.control_plane(&[]).listener("admin");
    let mut verify = Doorward::command();
    verify.args(["store", "verify", "--directory"]).arg(home.path("data"));
    verify.env("DOORWARD_ETCD_ENDPOINTS", "http://127.0.0.1:1").env("DOORWARD_ETCD_PREFIX", "/d/");
    assert_eq!(verify.output().unwrap().status.code(), Some(0));
}

#[test]
fn a_full_disk_refuses_changes_and_keeps_those_that_were_acknowledged() {
    let home = Home::new();
    let mut control = home.on_a_small_disk(4 * 1024);
    let admin = home.admin(&control);
    let mut acknowledged = Vec::new();
    let refused = loop {
        let name = format!("p-{}", acknowledged.len());
        match create_policy(&admin, &name, "x") {
            Ok(_) => acknowledged.push(name),
            Err(status) => break status,
        }
        assert!(acknowledged.len() < 1_000, "the disk is never full");
    };
    assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused:?}");
    assert!(acknowledged.len() > 3, "{acknowledged:?}");
    // What was acknowledged is still answered from.
    assert_eq!(sorted(policies(&admin)), sorted(acknowledged.clone()));
    let line = control.wait_for_message("the store failed", PATIENCE);
    assert!(line.field("error").is_some_and(|error| error.contains("doorward.redb`")), "{line:?}");
    control.kill();

    let mut control = home.control_plane(&[]);
    let admin = home.admin(&control);
    let found = policies(&admin);
    let lost: Vec<_> = acknowledged.iter().filter(|name| !found.contains(name)).collect();
    assert!(lost.is_empty(), "{lost:?}");
    assert!(found.len() <= acknowledged.len() + 1, "{found:?}");
    create_policy(&admin, "p-after", "x").unwrap();
    control.kill();
    home.verify();
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

#[test]
fn the_log_is_compacted_in_the_background_and_a_repeated_request_still_gets_its_answer() {
    let home = Home::new();
    let mut control = home.control_plane(&[]);
    let admin = home.admin(&control);
    let first = create_policy(&admin, "p-0", "x").unwrap();
    for number in 1..5 {
        create_policy(&admin, &format!("p-{number}"), "x").unwrap();
    }
    let policy = pb::Policy { description: "changed since".to_owned(), ..first.policy.clone().unwrap() };
    let update = pb::UpdatePolicyRequest { account: ACCOUNT.to_owned(), policy: Some(policy), ..Default::default() };
    admin.wait(PolicyServiceClient::new(admin.channel()).update_policy(admin.request(update))).unwrap();
    control.kill();

    let control = home.control_plane(&["--log-commits", "1"]);
    let line = control.wait_for_message("store compacted", PATIENCE);
    assert_eq!((line.number("commits"), line.number("log_start"), line.number("audit")), (Some(6), Some(6), Some(0)));
    let page = http::get(control.listener("metrics"), "/metrics").unwrap().text();
    assert!(page.contains("doorward_store_compacted_total{rows=\"log\"} 6"), "{page}");
    assert!(page.contains("doorward_store_log_start 6"), "{page}");
    assert!(page.contains("doorward_store_staleness_seconds 0.0\n"), "nobody else writes to it: {page}");
    assert_eq!(create_policy(&home.admin(&control), "p-0", "x").unwrap(), first);
}

#[test]
fn a_few_crashes_lose_and_tear_nothing() {
    let seed = 1;
    let binary = Path::new(env!("CARGO_BIN_EXE_doorward"));
    let done = rounds::run(binary, 5, seed).unwrap_or_else(|problem| panic!("seed {seed}: {problem:#}"));
    assert_eq!((done.rounds, done.followed, done.lost, done.torn), (5, 5, 0, 0), "seed {seed}");
    assert!(done.acknowledged > 0);
}
