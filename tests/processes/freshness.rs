//! What a sidecar of its own answers from, where a call demands freshness and where its control plane is away.

use std::time::{Duration, Instant};

use doorward::proto::doorward as pb;
use doorward::proto::doorward::authorization_service_client::AuthorizationServiceClient;
use doorward::proto::doorward::group_service_client::GroupServiceClient;
use doorward::proto::doorward::policy_service_client::PolicyServiceClient;
use doorward::proto::doorward::user_service_client::UserServiceClient;
use tonic::{Code, Status};
use tonic_health::pb::health_check_response::ServingStatus;

use crate::support::http;
use crate::support::process::{Doorward, PATIENCE};
use crate::support::rpc::{Rpc, until};
use crate::{ACCOUNT, Home, POLICY, Pair, SERVICES, list_users, question};

const ROUNDS: usize = 100;

/// The user with other groups; gives the token of the write.
fn put_into(admin: &Rpc, user: &pb::User, group_ids: Vec<String>) -> String {
    let user = Some(pb::User { group_ids, ..user.clone() });
    let update = pb::UpdateUserRequest { account: ACCOUNT.to_owned(), user, ..pb::UpdateUserRequest::default() };
    let call = admin.wait(UserServiceClient::new(admin.channel()).update_user(admin.request(update)));
    call.expect("acknowledged").into_inner().revision_token
}

fn policy(admin: &Rpc, statements: String) -> String {
    let policy = pb::Policy { id: POLICY.to_owned(), name: "Readers".to_owned(), statements, ..pb::Policy::default() };
    let policy = Some(policy);
    let update = pb::UpdatePolicyRequest { account: ACCOUNT.to_owned(), policy, ..pb::UpdatePolicyRequest::default() };
    let call = admin.wait(PolicyServiceClient::new(admin.channel()).update_policy(admin.request(update)));
    call.expect("acknowledged").into_inner().revision_token
}

fn create_group(admin: &Rpc, name: String) -> String {
    let group = Some(pb::Group { name, ..pb::Group::default() });
    let create = pb::CreateGroupRequest { account: ACCOUNT.to_owned(), group, ..pb::CreateGroupRequest::default() };
    let call = admin.wait(GroupServiceClient::new(admin.channel()).create_group(admin.request(create)));
    call.expect("acknowledged").into_inner().revision_token
}

fn revision(token: &str) -> u64 {
    token.split_once('.').expect("a token").1.parse().expect("a number")
}

/// The answer to a question that demands the revision of this token.
fn ask_after(pair: &Pair, token: &str, question: pb::CheckRequest) -> pb::CheckResponse {
    let question = pb::CheckRequest { at_least_revision: token.to_owned(), ..question };
    let answer = pair.check.check(&question);
    let answer = answer.unwrap_or_else(|status| panic!("{status:?}: {}", pair.sidecar.transcript()));
    assert!(answer.revision >= revision(token), "an answer from before the write: {answer:?}");
    answer
}

/// The new-enemy problem: what was allowed before a write is not allowed to who knows that the write is done.
#[test]
fn a_check_with_the_token_of_a_write_is_never_answered_from_before_it() {
    let pair = Pair::start();
    let admin = pair.home.admin(pair.control.listener("admin"));
    let user = list_users(&admin).users.remove(0);
    let mut waits = Vec::new();
    for round in 0..ROUNDS {
        for (groups, expected) in [(Vec::new(), pb::Decision::Deny), (user.group_ids.clone(), pb::Decision::Allow)] {
            let token = put_into(&admin, &user, groups);
            let asked = Instant::now();
            let answer = ask_after(&pair, &token, question());
            waits.push(asked.elapsed());
            assert_eq!(answer.decision(), expected, "round {round}: {answer:?}");
        }
    }
    waits.sort();
    let [median, most] = [waits[waits.len() / 2], waits[waits.len() - 1]];
    println!("{} answers after a write: median {median:?}, longest {most:?}", waits.len());
}

/// The same over two writes: the content that the second one is about was never allowed under the policy of the first.
#[test]
fn what_a_second_write_brings_is_never_decided_under_the_policy_from_before_the_first() {
    let pair = Pair::start();
    let admin = pair.home.admin(pair.control.listener("admin"));
    let schema = |values: Vec<String>| [("settings:schemaId".to_owned(), pb::AttributeValues { values })].into();
    let about = |document: &str| pb::CheckRequest {
        permission: "settings:objects:read".to_owned(),
        attributes: schema(vec![document.to_owned()]),
        ..question()
    };
    let allow = "ALLOW settings:objects:read;";
    for round in 0..ROUNDS {
        let document = format!("document-{round}");
        let open = policy(&admin, allow.to_owned());
        assert_eq!(ask_after(&pair, &open, about(&document)).decision(), pb::Decision::Allow, "round {round}");
        policy(&admin, format!("{allow} DENY settings:objects:read WHERE settings:schemaId = \"{document}\";"));
        let token = create_group(&admin, format!("Owners of {document}"));
        let answer = ask_after(&pair, &token, about(&document));
        assert_eq!(answer.decision(), pb::Decision::Deny, "round {round}: {answer:?}");
    }
}

#[test]
fn a_wait_that_is_in_vain_is_unavailable_before_the_deadline_of_its_caller() {
    let mut pair = Pair::start();
    pair.control.kill();
    let here = pair.ask();
    let (store, _) = here.revision_token.split_once('.').expect("a token");
    let at_least_revision = format!("{store}.{}", here.revision + 1);
    let question = pb::CheckRequest { at_least_revision, ..question() };
    for deadline in [Duration::from_millis(800), Duration::from_secs(8)] {
        let mut request = pair.check.request(question.clone());
        request.set_timeout(deadline);
        let asked = Instant::now();
        let answer = pair.check.wait(AuthorizationServiceClient::new(pair.check.channel()).check(request));
        let refused: Status = answer.expect_err("no answer is as new");
        assert_eq!(refused.code(), Code::Unavailable, "{refused:?}: {}", pair.sidecar.transcript());
        assert!(refused.message().contains("not_fresh"), "{refused:?}");
        assert!(asked.elapsed() < deadline, "{:?} of {deadline:?}", asked.elapsed());
    }
    assert_eq!(pair.ask().decision(), pb::Decision::Allow, "who demands nothing is answered");
}

#[test]
fn doorward_check_demands_what_it_is_told_to() {
    let pair = Pair::start();
    let address = pair.sidecar.listener("check").to_string();
    let here = pair.ask();
    let future = here.revision_token.replace(&format!(".{}", here.revision), ".999999");
    let check = |demand: [&str; 2]| {
        let common = ["check", "--address", &address, "--user", "ada@example.com", "--environment", "abc12345"];
        let asked = ["--permission", "settings:schemas:read"];
        let ran = Doorward::run(common.iter().chain(&asked).chain(&demand));
        (ran.status.code(), String::from_utf8(ran.stderr).unwrap())
    };
    assert_eq!(check(["--at-least-revision", &here.revision_token]).0, Some(0));
    assert_eq!(check(["--max-age", "30"]).0, Some(0));
    let (code, told) = check(["--at-least-revision", &future]);
    assert_eq!((code, told.contains("revision 999999 or later")), (Some(2), true), "{told}");
    let (code, told) = check(["--at-least-revision", "x"]);
    assert_eq!((code, told.contains("`at_least_revision` is no revision token")), (Some(2), true), "{told}");
    let (code, told) = check(["--max-age", "-1"]);
    assert_eq!((code, told.contains("--max-age")), (Some(2), true), "{told}");
}

/// A sidecar that knows after three seconds that it is stale, which follows a control plane.
fn impatient(home: &Home, control: &Doorward, mode: &str) -> Doorward {
    let mut command = home.command("sidecar");
    command.args(["--control-plane", &format!("http://{}", control.listener("admin")), "--token-file"]);
    command.arg(home.watch_token()).args(["--max-staleness-seconds", "3", "--stale-mode", mode]);
    let sidecar = Doorward::start_with(&mut command);
    sidecar.wait_for_message("snapshot published", PATIENCE);
    sidecar
}

fn alarms(sidecar: &Doorward) -> Vec<String> {
    let messages = sidecar.log().into_iter().map(|line| line.message().to_owned());
    messages.filter(|message| message.contains("stale")).collect()
}

/// What a sidecar of this mode says of itself while its control plane is away, and that it recovers.
fn check_stale(mode: &str, health: ServingStatus, answer: impl Fn(&Result<pb::CheckResponse, Status>) -> bool) {
    let home = Home::new();
    let mut control = home.control_plane();
    let (address, sidecar) = (control.listener("admin"), impatient(&home, &control, mode));
    let (check, pages) = (Rpc::to(sidecar.listener("check")), sidecar.listener("metrics"));
    let transcript = || sidecar.transcript();
    let all = |status| SERVICES.iter().all(|service| check.health(service).unwrap() == status);
    let gauge = |value| http::get(pages, "/metrics").unwrap().text().contains(&format!("doorward_stale {value}\n"));
    until("SERVING", transcript, || all(ServingStatus::Serving).then_some(()));
    assert!(gauge(0));

    control.kill();
    sidecar.wait_for_message("the snapshot is stale", PATIENCE);
    until(&format!("{health:?}"), transcript, || all(health).then_some(()));
    let told = check.check(&question());
    assert!(answer(&told), "{told:?}");
    let ready = if health == ServingStatus::Serving { 200 } else { 503 };
    assert_eq!((gauge(1), http::get(pages, "/readyz").unwrap().status), (true, ready));

    let _control = home.control_plane_at(address);
    sidecar.wait_for_message("the snapshot is no longer stale", PATIENCE);
    until("SERVING", transcript, || all(ServingStatus::Serving).then_some(()));
    assert_eq!(check.check(&question()).unwrap().decision(), pb::Decision::Allow);
    assert_eq!((gauge(0), http::get(pages, "/readyz").unwrap().status), (true, 200));
    assert_eq!(alarms(&sidecar), ["the snapshot is stale", "the snapshot is no longer stale"], "one line each");
}

#[test]
fn a_stale_sidecar_that_serves_goes_on_and_raises_an_alarm() {
    let allows = |answer: &Result<pb::CheckResponse, Status>| {
        answer.as_ref().is_ok_and(|answer| answer.decision() == pb::Decision::Allow)
    };
    check_stale("serve", ServingStatus::Serving, allows);
}

#[test]
fn a_stale_sidecar_that_denies_is_not_serving_and_comes_back() {
    let denies = |answer: &Result<pb::CheckResponse, Status>| {
        let answer = answer.as_ref().expect("a decision");
        let code = answer.reason.as_ref().expect("a reason").code();
        (answer.decision(), code) == (pb::Decision::Deny, pb::ReasonCode::StaleSnapshot)
    };
    check_stale("deny", ServingStatus::NotServing, denies);
}

#[test]
fn a_stale_sidecar_that_is_unavailable_is_not_serving_and_comes_back() {
    let refuses = |answer: &Result<pb::CheckResponse, Status>| {
        answer.as_ref().is_err_and(|status| status.code() == Code::Unavailable)
    };
    check_stale("unavailable", ServingStatus::NotServing, refuses);
}
