//! What a sidecar keeps, what it tells of itself, and what it sees.

use std::fs;
use std::time::Duration;

use doorward::model::revision::RevisionToken;
use doorward::proto::doorward as pb;

use crate::support::process::{Doorward, PATIENCE};
use crate::support::rpc::{Rpc, until};
use crate::{ACCOUNT, ALLOWING, DENYING, Home, Pair, age, question, set_policy};

/// A pair whose sidecar has ended in order, and whose control plane is gone.
fn left_alone() -> Home {
    let mut pair = Pair::start();
    let admin = pair.home.admin(pair.control.listener("admin"));
    set_policy(&admin, DENYING);
    pair.decides(pb::Decision::Deny);
    pair.sidecar.terminate();
    assert!(pair.sidecar.wait_exit(PATIENCE).success(), "{}", pair.sidecar.transcript());
    pair.control.kill();
    pair.home
}

#[test]
fn a_sidecar_begins_with_what_it_kept_while_its_control_plane_is_away() {
    let home = left_alone();
    let sidecar = home.sidecar(([127, 0, 0, 1], 1).into());
    sidecar.wait_for_message("begins with the snapshot on disk", PATIENCE);
    let check = Rpc::to(sidecar.listener("check"));
    let answer = until("an answer", || sidecar.transcript(), || check.check(&question()).ok());
    assert_eq!(answer.decision(), pb::Decision::Deny, "what was decided last is decided on");
    // The time it was away counts: it is no younger than when it ended.
    let older = until(
        "an age that grows",
        || sidecar.transcript(),
        || check.check(&question()).ok().map(|answer| age(&answer)).filter(|age| *age > Duration::from_secs(1)),
    );
    assert!(older < PATIENCE);
    drop(sidecar);
    // With a control plane it goes on.
    let control = home.control_plane();
    let followed = home.sidecar(control.listener("admin"));
    followed.wait_for_message("begins with the snapshot on disk", PATIENCE);
    let admin = home.admin(control.listener("admin"));
    set_policy(&admin, ALLOWING);
    let check = Rpc::to(followed.listener("check"));
    let allows = || check.check(&question()).ok().filter(|answer| answer.decision() == pb::Decision::Allow);
    until("ALLOW", || followed.transcript(), allows);
}

#[test]
fn a_snapshot_on_disk_that_is_damaged_is_refused_by_name_and_stays() {
    let home = left_alone();
    let file = home.data().join("sidecar.snapshot");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let sidecar = home.sidecar(([127, 0, 0, 1], 1).into());
    let line = sidecar.wait_for_message("the snapshot on disk is not used", PATIENCE);
    let problem = line.field("error").unwrap();
    assert!(problem.contains("sidecar.snapshot") && problem.contains("damaged"), "{problem}");
    let status = Rpc::to(sidecar.listener("check")).check(&question()).unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable, "nothing is decided from it");
    drop(sidecar);
    assert_eq!(fs::read(&file).unwrap(), bytes);
}

#[test]
fn a_second_sidecar_in_the_same_folder_is_refused_by_name_until_the_first_one_is_gone() {
    let home = Home::new();
    let control = home.control_plane();
    let mut first = home.sidecar(control.listener("admin"));
    first.listener("check");
    let mut second = home.sidecar(control.listener("admin"));
    assert_eq!(second.wait_exit(PATIENCE).code(), Some(1), "{}", second.transcript());
    let told = second.transcript();
    let folder = fs::canonicalize(home.data()).unwrap();
    assert!(told.contains(&format!("`{}` is in use by another sidecar", folder.display())), "{told}");
    assert!(told.contains("--data-directory") && !told.contains("listening"), "{told}");
    // Whoever is killed leaves no lock.
    first.kill();
    let third = home.sidecar(control.listener("admin"));
    let check = Rpc::to(third.listener("check"));
    until("an answer", || third.transcript(), || check.check(&question()).ok());
}

/// What `doorward status` prints, and its exit code.
fn status(pair: &Pair, more: &[&str]) -> (Option<i32>, String) {
    let address = pair.control.listener("admin").to_string();
    let token = pair.home.root_token();
    let arguments = ["status", "--address", &address, "--token-file", token.to_str().unwrap()];
    let output = Doorward::run(arguments.iter().chain(more));
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code(), text)
}

#[test]
fn the_status_tells_what_each_sidecar_has_applied() {
    let pair = Pair::start();
    let admin = pair.home.admin(pair.control.listener("admin"));
    set_policy(&admin, DENYING);
    pair.decides(pb::Decision::Deny);
    let token = pair.ask().revision_token;
    let (code, text) = status(&pair, &[]);
    assert!(code == Some(0) && text.contains(": 1 sidecars") && text.contains("connected"), "{text}");
    let (code, text) = status(&pair, &["--revision-token", &token]);
    assert!(code == Some(0) && text.contains("is applied everywhere"), "{text}");
    let mut newest: RevisionToken = token.parse().unwrap();
    newest.revision = newest.revision.next().unwrap();
    let (code, text) = status(&pair, &["--revision-token", &newest.to_string(), "--timeout", "0"]);
    assert!(code == Some(1) && text.contains("not everywhere"), "{text}");
    let (code, text) = status(&pair, &["--revision-token", "x"]);
    assert!(code == Some(2) && text.contains("revision_token"), "{text}");
}

#[test]
fn a_sidecar_that_ends_in_order_is_not_waited_for() {
    let mut pair = Pair::start();
    pair.sidecar.terminate();
    assert!(pair.sidecar.wait_exit(PATIENCE).success());
    let gone = || Some(()).filter(|()| status(&pair, &[]).1.contains(": 0 sidecars"));
    until("nobody", || pair.control.transcript(), gone);
}

#[test]
fn a_sidecar_knows_its_scope_and_nothing_else() {
    let home = Home::new();
    let control = home.control_plane();
    let mut command = home.command("sidecar");
    command.args(["--control-plane", &format!("http://{}", control.listener("admin")), "--token-file"]);
    command.arg(home.watch_token()).args(["--scope", &format!("{ACCOUNT}/elsewhere")]);
    let sidecar = Doorward::start_with(&mut command);
    let check = Rpc::to(sidecar.listener("check"));
    let unknown = || check.check(&question()).err().filter(|status| status.code() == tonic::Code::InvalidArgument);
    let status = until("an answer", || sidecar.transcript(), unknown);
    assert!(status.message().contains("unknown_environment"), "{status:?}");
    let of_account = pb::CheckRequest { environment: String::new(), level: "account".to_owned(), ..question() };
    assert_eq!(check.check(&of_account).unwrap().decision(), pb::Decision::Allow, "the account itself is in its scope");
}

/// Made for this test, and good for nothing else.
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH
-----END PRIVATE KEY-----
";
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=
-----END PUBLIC KEY-----
";

#[test]
fn a_sidecar_with_a_key_takes_only_what_is_signed_by_it() {
    let home = Home::new();
    let (signing, public) = (home.path("signing.key"), home.path("signing.pub"));
    fs::write(&signing, PRIVATE).unwrap();
    fs::write(&public, PUBLIC).unwrap();
    let follow = |control: &Doorward| {
        let mut command = home.command("sidecar");
        command.args(["--control-plane", &format!("http://{}", control.listener("admin")), "--token-file"]);
        Doorward::start_with(command.arg(home.watch_token()).arg("--public-key-file").arg(&public))
    };
    let mut unsigned = home.control_plane();
    let sidecar = follow(&unsigned);
    let line = sidecar.wait_for_message("watch stream given up; the whole state is asked for", PATIENCE);
    assert!(line.field("error").is_some_and(|error| error.contains("not signed by the key")), "{line:?}");
    let check = Rpc::to(sidecar.listener("check"));
    assert_eq!(check.check(&question()).unwrap_err().code(), tonic::Code::Unavailable);
    drop(sidecar);
    unsigned.kill();

    let mut command = home.command("control-plane");
    command.args(["--admin-listen", "127.0.0.1:0", "--signing-key-file"]).arg(&signing);
    let mut control = Doorward::start_with(&mut command);
    let mut sidecar = follow(&control);
    let check = Rpc::to(sidecar.listener("check"));
    until("an answer", || sidecar.transcript(), || check.check(&question()).ok());
    set_policy(&home.admin(control.listener("admin")), DENYING);
    let denies = |check: &Rpc| check.check(&question()).ok().filter(|it| it.decision() == pb::Decision::Deny);
    until("DENY", || sidecar.transcript(), || denies(&check));
    sidecar.terminate();
    assert!(sidecar.wait_exit(PATIENCE).success());
    let sidecar = follow(&control);
    control.kill();
    sidecar.wait_for_message("begins with the snapshot on disk", PATIENCE);
    let check = Rpc::to(sidecar.listener("check"));
    until("DENY", || sidecar.transcript(), || denies(&check));
}

#[test]
fn a_key_that_cannot_be_read_ends_the_start_with_its_name() {
    let home = Home::new();
    let mut command = home.command("control-plane");
    let output = command.args(["--admin-listen", "127.0.0.1:0", "--signing-key-file", "/nowhere/key.pem"]).output();
    let output = output.unwrap();
    let text = String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success() && text.contains("/nowhere/key.pem"), "{text}");
}

#[test]
fn a_process_that_says_it_listens_ends_in_order_when_it_is_asked_to() {
    let home = Home::new();
    for _ in 0..5 {
        let mut control = home.control_plane();
        control.listener("admin");
        control.terminate();
        let status = control.wait_exit(PATIENCE);
        assert!(status.success(), "{status}: {}", control.transcript());
    }
}
