//! Control plane and sidecar as processes of their own: how they start, follow each other, crash and end.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails where its own means do")]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ::http::uri::PathAndQuery;
use doorward::identity::credential::Credential;
use doorward::proto::doorward as pb;
use doorward::proto::doorward::policy_service_client::PolicyServiceClient;
use doorward::proto::doorward::user_service_client::UserServiceClient;
use doorward::proto::doorward::watch_service_client::WatchServiceClient;
use tempfile::TempDir;
use tokio_stream::StreamExt as _;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::http;
use crate::support::process::{Doorward, PATIENCE};
use crate::support::rpc::{Rpc, until};

#[path = "processes/freshness.rs"]
mod freshness;
#[path = "processes/kept.rs"]
mod kept;
#[path = "processes/rollback.rs"]
mod rollback;
mod support;

const ACCOUNT: &str = "5f0c6d0e-8a1b-4c3d-9e2f-7a6b5c4d3e2f";
const POLICY: &str = "0b8e0c52-52a1-4c0f-8d7c-3d0e8a4a1c11";
const ALLOWING: &str = "ALLOW settings:schemas:read;";
const DENYING: &str = "DENY settings:schemas:read;";
const STATE: &str = r#"
account: {id: 5f0c6d0e-8a1b-4c3d-9e2f-7a6b5c4d3e2f, name: Example}
environments: [{id: abc12345, name: Production}]
groups: [{name: Readers}]
users: [{email: ada@example.com, name: Ada, groups: [Readers]}]
policies:
  - {id: 0b8e0c52-52a1-4c0f-8d7c-3d0e8a4a1c11, name: Readers, level: account, statements: "ALLOW settings:schemas:read;"}
bindings: [{policy: Readers, group: Readers, level: account}]
"#;

#[test]
fn a_sidecar_serves_once_it_has_its_first_snapshot() {
    let home = Home::new();
    let mut control = home.control_plane();
    let address = control.listener("admin");
    // The address is known and the credential is there, but nobody answers yet.
    control.kill();
    let sidecar = home.sidecar(address);
    let (check, pages) = (Rpc::to(sidecar.listener("check")), sidecar.listener("metrics"));
    for service in SERVICES {
        assert_eq!(check.health(service).unwrap(), ServingStatus::NotServing, "{}", sidecar.transcript());
    }
    assert_eq!(http::get(pages, "/readyz").unwrap().status, 503);
    assert_eq!(http::get(pages, "/livez").unwrap().status, 200);
    assert_eq!(check.check(&question()).unwrap_err().code(), Code::Unavailable);

    let control = home.control_plane_at(address);
    sidecar.wait_for_message("snapshot published", PATIENCE);
    let transcript = || format!("{}\n{}", sidecar.transcript(), control.transcript());
    until("SERVING", transcript, || (check.health("").unwrap() == ServingStatus::Serving).then_some(()));
    for service in SERVICES {
        assert_eq!(check.health(service).unwrap(), ServingStatus::Serving, "{}", transcript());
    }
    assert_eq!(http::get(pages, "/readyz").unwrap().status, 200);
    assert_eq!(check.check(&question()).unwrap().decision(), pb::Decision::Allow);
}

#[test]
fn a_change_of_a_policy_flips_the_answer_of_the_sidecar() {
    let pair = Pair::start();
    let admin = pair.home.admin(pair.control.listener("admin"));
    let mut lags = Vec::new();
    for round in 0..10 {
        let (statements, expected) =
            if round % 2 == 0 { (DENYING, pb::Decision::Deny) } else { (ALLOWING, pb::Decision::Allow) };
        set_policy(&admin, statements);
        let answered = Instant::now();
        pair.decides(expected);
        lags.push(answered.elapsed());
    }
    lags.sort();
    let milliseconds = |lag: &Duration| format!("{:.2}", lag.as_secs_f64() * 1_000.0);
    let (least, median, most) = (&lags[0], &lags[lags.len() / 2], &lags[lags.len() - 1]);
    println!("lag: {} ms (least {}, most {})", milliseconds(median), milliseconds(least), milliseconds(most));
}

#[test]
fn a_sidecar_outlives_its_control_plane_and_finds_it_again() {
    let mut pair = Pair::start();
    let address = pair.control.listener("admin");
    pair.control.kill();
    let answer = pair.ask();
    assert_eq!(answer.decision(), pb::Decision::Allow);
    let young = age(&answer);
    // Past the heartbeat: with a control plane it would never be as old as this.
    let old = until(
        "an age that grows",
        || pair.sidecar.transcript(),
        || {
            let answer = pair.ask();
            assert_eq!(answer.decision(), pb::Decision::Allow, "{answer:?}");
            Some(age(&answer)).filter(|age| *age > Duration::from_millis(1_500))
        },
    );
    assert!(old > young, "{old:?} is not older than {young:?}");

    pair.control = pair.home.control_plane_at(address);
    pair.control.listener("admin");
    set_policy(&pair.home.admin(address), DENYING);
    pair.decides(pb::Decision::Deny);
    assert!(age(&pair.ask()) < old);
}

/// More fields than the trailers of a call can carry, over a real connection: the client gets those that fit.
#[test]
fn many_wrong_fields_arrive_over_the_wire() {
    let home = Home::new();
    let control = home.control_plane();
    let groups = vec!["\"x\""; 500].join(",");
    let request = format!("{{\"account\":\"{ACCOUNT}\",\"user\":{{\"email\":\"a\",\"group_ids\":[{groups}]}}}}");
    let address = control.listener("admin").to_string();
    let token = home.root_token();
    let arguments = ["admin", "--address", &address, "--token-file", token.to_str().unwrap()];
    let ran = Doorward::run(arguments.iter().copied().chain(["UserService/CreateUser", &request]));
    let told = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(2), "{told}");
    for part in ["InvalidArgument", "user.group_ids[0]: must be a UUID", "more are wrong; mend these first"] {
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn the_root_credential_goes_to_this_machine_only() {
    let home = Home::new();
    let token = home.path("root.token");
    fs::write(&token, "dwa01.x.y\n").unwrap();
    // An address kept for documentation: nobody is there, and nothing is sent.
    let arguments = ["admin", "--address", "192.0.2.1:7072", "--token-file", token.to_str().unwrap()];
    let ran = Doorward::run(arguments.iter().copied().chain(["PolicyService/ListPolicies"]));
    let told = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(2), "{told}");
    assert!(told.contains("is not on this machine") && !told.contains("dwa01"), "{told}");
}

#[test]
fn every_acknowledged_change_survives_kill_9() {
    let home = Home::new();
    let mut acknowledged = Vec::new();
    let mut control = home.control_plane();
    for round in 0..10 {
        let admin = home.admin(control.listener("admin"));
        acknowledged.extend(create_users_until(&admin, round, || {
            control.kill();
        }));
        control = home.control_plane();
        let found = user_emails(&home.admin(control.listener("admin")));
        let lost: Vec<_> = acknowledged.iter().filter(|email| !found.contains(email)).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?} of {}: {}", acknowledged.len(), control.transcript());
        // Ada, and at most the one of each round that was under way at the kill: nothing else has come in.
        let surplus = found.len() - acknowledged.len();
        assert!((1..=2 + round).contains(&surplus), "round {round}: {surplus} too many: {found:?}");
    }
    println!("{} acknowledged changes survived 10 kills", acknowledged.len());
}

#[test]
fn the_watch_credential_watches_and_does_not_administer() {
    let home = Home::new();
    let control = home.control_plane();
    let watcher = Rpc::to(control.listener("admin")).with_token(&home.watch_token());
    let first = watcher.wait(async {
        let mut client = WatchServiceClient::new(watcher.channel());
        let mut events = client.watch(watcher.request(pb::WatchRequest::default())).await.unwrap().into_inner();
        events.next().await.unwrap().unwrap()
    });
    assert!(matches!(first.event, Some(pb::watch_response::Event::Reset(_))), "{first:?}");

    let list = pb::ListUsersRequest { account: ACCOUNT.to_owned(), ..pb::ListUsersRequest::default() };
    let refused = watcher.wait(UserServiceClient::new(watcher.channel()).list_users(watcher.request(list.clone())));
    assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
    let nobody = Rpc::to(control.listener("admin"));
    let refused = nobody.wait(UserServiceClient::new(nobody.channel()).list_users(nobody.request(list)));
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
}

#[test]
fn a_wrong_credential_neither_watches_nor_administers() {
    let home = Home::new();
    let control = home.control_plane();
    let address = control.listener("admin");
    // A credential of some other Doorward: well-formed, checksum and all.
    let token = home.path("other.token");
    fs::write(&token, Credential::from_random(&[7; 45]).reveal()).unwrap();
    let stranger = Rpc::to(address).with_token(&token);
    let list = pb::ListUsersRequest { account: ACCOUNT.to_owned(), ..pb::ListUsersRequest::default() };
    let refused = stranger.wait(UserServiceClient::new(stranger.channel()).list_users(stranger.request(list)));
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
    let watch = stranger.request(pb::WatchRequest::default());
    let refused = stranger.wait(WatchServiceClient::new(stranger.channel()).watch(watch));
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);

    let sidecar = home.sidecar_with(address, &token);
    let message = "the control plane refuses this sidecar; check its token file";
    let line = sidecar.wait_for_message(message, PATIENCE);
    assert!(line.field("error").is_some_and(|error| error.contains("Unauthenticated")), "{line:?}");
    assert_eq!(Rpc::to(sidecar.listener("check")).health("").unwrap(), ServingStatus::NotServing);
    for secret in [&token, &home.root_token(), &home.watch_token()] {
        let secret = fs::read_to_string(secret).unwrap();
        let logged = format!("{}{}", sidecar.transcript(), control.transcript());
        assert!(!logged.contains(secret.trim()), "a credential is in a log");
    }
}

#[test]
fn a_second_process_on_the_same_data_is_refused() {
    let home = Home::new();
    let control = home.control_plane();
    control.listener("admin");
    let output = ended(home.command("control-plane").args(["--admin-listen", "127.0.0.1:0"]));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("is in use by another process"), "{errors}");
    assert!(errors.contains(home.data().to_str().unwrap()), "{errors}");
    assert!(!errors.contains("listening"), "{errors}");
}

#[test]
fn sigterm_says_not_serving_first_and_ends_with_code_0() {
    let home = Home::new();
    let socket = home.path("check.sock");
    let mut serve = home.serve_at(&socket, &["--drain-delay-seconds", "2"]);
    let check = Rpc::to(serve.listener("check"));
    let mut health = watch_health(&check);
    serve.terminate();
    check.wait(async { while health.next().await.unwrap().unwrap().status() != ServingStatus::NotServing {} });
    // Callers that have not looked at the health yet are still answered.
    assert_eq!(check.check(&question()).unwrap().decision(), pb::Decision::Allow, "{}", serve.transcript());
    assert_eq!(http::get(serve.listener("metrics"), "/readyz").unwrap().status, 503);
    assert!(socket.exists());
    drop(health);
    assert_eq!(serve.wait_exit(PATIENCE).code(), Some(0), "{}", serve.transcript());
    assert!(!socket.exists(), "the file of the socket is still there");
    let messages: Vec<_> = serve.log().iter().map(|line| line.message().to_owned()).collect();
    assert!(!messages.contains(&"calls were still under way at the end".to_owned()), "{messages:?}");
}

#[test]
fn calls_under_way_finish_before_the_process_ends() {
    let home = Home::new();
    let mut serve = home.serve_at(&home.path("check.sock"), &[]);
    let rpc = Rpc::to(serve.listener("check"));
    // A call whose message comes late: the server has its headers and waits for the rest.
    let (asked, is_asked) = tokio::sync::oneshot::channel();
    let (late, message) = tokio::sync::oneshot::channel();
    let mut client = tonic::client::Grpc::new(rpc.channel());
    let call = rpc.spawn(async move {
        client.ready().await.unwrap();
        let path = PathAndQuery::from_static("/doorward.v1.AuthorizationService/Check");
        let codec = tonic_prost::ProstCodec::<pb::CheckRequest, pb::CheckResponse>::default();
        let mut parts = Some((asked, message));
        let messages = tokio_stream::once(()).then(move |()| {
            let (asked, message) = parts.take().expect("one message");
            async move {
                asked.send(()).unwrap();
                message.await.unwrap()
            }
        });
        client.client_streaming(tonic::Request::new(messages), path, codec).await
    });
    // Its headers have gone out when its message is asked for; what comes after them on the connection is answered
    // after the server has seen them.
    rpc.wait(is_asked).unwrap();
    rpc.check(&question()).unwrap();
    serve.terminate();
    serve.wait_for_message("draining", PATIENCE);
    late.send(question()).unwrap();
    let answer = rpc.wait(call).unwrap();
    assert_eq!(answer.unwrap().into_inner().decision(), pb::Decision::Allow, "{}", serve.transcript());
    assert_eq!(serve.wait_exit(PATIENCE).code(), Some(0), "{}", serve.transcript());
}

#[test]
fn open_streams_do_not_hold_up_the_end() {
    let mut pair = Pair::start();
    let check = Rpc::to(pair.sidecar.listener("check"));
    let _health = watch_health(&check);
    for process in [&mut pair.sidecar, &mut pair.control] {
        let asked = Instant::now();
        process.terminate();
        assert_eq!(process.wait_exit(PATIENCE).code(), Some(0), "{}", process.transcript());
        // The grace is 10 seconds.
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}: {}", asked.elapsed(), process.transcript());
    }
}

#[test]
fn a_control_plane_ends_at_once_though_a_sidecar_watches() {
    let mut pair = Pair::start();
    let asked = Instant::now();
    pair.control.terminate();
    assert_eq!(pair.control.wait_exit(PATIENCE).code(), Some(0), "{}", pair.control.transcript());
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}: {}", asked.elapsed(), pair.control.transcript());
    assert_eq!(pair.ask().decision(), pb::Decision::Allow);
}

#[test]
fn the_file_of_a_dead_socket_is_taken_over() {
    let home = Home::new();
    let socket = home.path("check.sock");
    home.serve_at(&socket, &[]).kill();
    assert!(socket.exists());
    let mut serve = home.serve_at(&socket, &[]);
    serve.terminate();
    assert_eq!(serve.wait_exit(PATIENCE).code(), Some(0), "{}", serve.transcript());
    assert!(!socket.exists());
}

#[test]
fn a_socket_in_use_and_a_file_that_is_none_are_refused() {
    let (first, second) = (Home::new(), Home::new());
    let (used, file) = (first.path("check.sock"), first.path("notes.txt"));
    let _serve = first.serve_at(&used, &[]);
    fs::write(&file, "mine").unwrap();
    for path in [&used, &file] {
        let output = ended(second.serve_command(path));
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.contains(path.to_str().unwrap()), "{errors}");
    }
    assert!(used.exists());
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
}

#[test]
fn the_admin_listener_on_every_address_is_refused_before_anything_happens() {
    let home = Home::new();
    for role in ["serve", "control-plane"] {
        let output = ended(home.command(role).args(["--admin-listen", "0.0.0.0:0"]));
        assert_eq!(output.status.code(), Some(64), "{output:?}");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.contains("admin.listen"), "{errors}");
        assert!(!errors.contains("listening"), "{errors}");
        assert!(!home.data().exists(), "the data directory was made");
    }
}

#[test]
fn an_unknown_key_of_the_configuration_is_refused() {
    let home = Home::new();
    let config = home.path("doorward.toml");
    fs::write(&config, "[check]\nlisten = \"127.0.0.1:0\"\nlisen = \"127.0.0.1:0\"\n").unwrap();
    let output = ended(home.command("serve").arg("--config").arg(&config));
    assert_eq!(output.status.code(), Some(64), "{output:?}");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("lisen") && errors.contains("line 3"), "{errors}");
    assert!(!home.data().exists(), "the data directory was made");
}

#[test]
fn a_state_file_with_errors_is_refused_whole_and_leaves_the_store_empty() {
    let home = Home::new();
    let broken = STATE.replace("groups: [Readers]", "groups: [Writers]").replace("ALLOW settings", "ALOW settings");
    let broken = broken.replace("environments:", "enviroments:");
    fs::write(home.state(), broken).unwrap();
    let output = ended(home.serve_command(&home.path("check.sock")));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let errors = String::from_utf8_lossy(&output.stderr);
    for named in ["refused whole", "Writers", "enviroments", "ALOW"] {
        assert!(errors.contains(named), "`{named}` is missing: {errors}");
    }

    fs::write(home.state(), STATE).unwrap();
    let serve = home.serve_at(&home.path("check.sock"), &[]);
    let answer = Rpc::to(serve.listener("check")).check(&question()).unwrap();
    assert_eq!((answer.decision(), answer.revision), (pb::Decision::Allow, 1), "{}", serve.transcript());
}

#[test]
fn a_state_file_changes_nothing_in_a_store_that_is_not_empty() {
    let home = Home::new();
    let mut control = home.control_plane();
    let before = (user_emails(&home.admin(control.listener("admin"))), revision(&home, &control));
    control.kill();
    // Neither a good one nor one that could not be loaded.
    for text in [STATE.replace("ada@", "eve@"), "nonsense: true".to_owned()] {
        fs::write(home.state(), text).unwrap();
        let mut control = home.control_plane();
        let after = (user_emails(&home.admin(control.listener("admin"))), revision(&home, &control));
        assert_eq!(after, before);
        control.wait_for_message("the store is not empty, so the state file is not loaded", PATIENCE);
        control.kill();
    }
}

/// The services whose health is told.
const SERVICES: [&str; 3] = ["", "doorward.v1.AuthorizationService", "envoy.service.auth.v3.Authorization"];

/// A folder with a state file, the data and the sockets of one installation.
struct Home {
    folder: TempDir,
}

/// A control plane and a sidecar that follows it.
struct Pair {
    home: Home,
    control: Doorward,
    sidecar: Doorward,
    check: Rpc,
}

// === impl Home ===

impl Home {
    fn new() -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap() };
        fs::write(home.state(), STATE).unwrap();
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    fn state(&self) -> PathBuf {
        self.path("state.yaml")
    }

    fn root_token(&self) -> PathBuf {
        self.data().join("credentials/root.token")
    }

    fn watch_token(&self) -> PathBuf {
        self.data().join("credentials/watch.token")
    }

    /// A role with its data, and no listener on a fixed port but the administrative one.
    fn command(&self, role: &str) -> Command {
        let mut command = Doorward::command();
        command.args([role, "--check-listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]);
        command.args(["--heartbeat-seconds", "1", "--data-directory"]).arg(self.data());
        command
    }

    fn control_plane(&self) -> Doorward {
        self.control_plane_at(([127, 0, 0, 1], 0).into())
    }

    fn control_plane_at(&self, address: SocketAddr) -> Doorward {
        let mut command = self.command("control-plane");
        Doorward::start_with(command.args(["--admin-listen", &address.to_string(), "--state"]).arg(self.state()))
    }

    fn sidecar(&self, control: SocketAddr) -> Doorward {
        self.sidecar_with(control, &self.watch_token())
    }

    fn sidecar_with(&self, control: SocketAddr, token: &Path) -> Doorward {
        let mut command = self.command("sidecar");
        Doorward::start_with(command.args(["--control-plane", &format!("http://{control}"), "--token-file"]).arg(token))
    }

    fn serve_command(&self, socket: &Path) -> Command {
        let mut command = self.command("serve");
        command.args(["--admin-listen", "127.0.0.1:0", "--state"]).arg(self.state()).arg("--check-socket").arg(socket);
        command
    }

    /// One process that does everything, ready to answer.
    fn serve_at(&self, socket: &Path, more: &[&str]) -> Doorward {
        let serve = Doorward::start_with(self.serve_command(socket).args(more));
        let check = Rpc::to(serve.listener("check"));
        let ready = || check.health("").ok().filter(|status| *status == ServingStatus::Serving);
        until("SERVING", || serve.transcript(), ready);
        serve
    }

    fn admin(&self, address: SocketAddr) -> Rpc {
        Rpc::to(address).with_token(&self.root_token())
    }
}

// === impl Pair ===

impl Pair {
    fn start() -> Self {
        let home = Home::new();
        let control = home.control_plane();
        let sidecar = home.sidecar(control.listener("admin"));
        sidecar.wait_for_message("snapshot published", PATIENCE);
        let check = Rpc::to(sidecar.listener("check"));
        let pair = Self { home, control, sidecar, check };
        pair.decides(pb::Decision::Allow);
        pair
    }

    fn ask(&self) -> pb::CheckResponse {
        let answer = self.check.check(&question());
        answer.unwrap_or_else(|status| panic!("{status:?}: {}", self.sidecar.transcript()))
    }

    fn decides(&self, expected: pb::Decision) {
        let transcript = || format!("{}\n{}", self.control.transcript(), self.sidecar.transcript());
        until(&format!("{expected:?}"), transcript, || (self.ask().decision() == expected).then_some(()));
    }
}

fn question() -> pb::CheckRequest {
    pb::CheckRequest {
        user: "ada@example.com".to_owned(),
        environment: "abc12345".to_owned(),
        permission: "settings:schemas:read".to_owned(),
        ..pb::CheckRequest::default()
    }
}

fn age(answer: &pb::CheckResponse) -> Duration {
    answer.age.and_then(|age| age.try_into().ok()).expect("every answer has an age")
}

fn set_policy(admin: &Rpc, statements: &str) {
    let policy = pb::Policy {
        id: POLICY.to_owned(),
        name: "Readers".to_owned(),
        statements: statements.to_owned(),
        ..pb::Policy::default()
    };
    let update = pb::UpdatePolicyRequest {
        account: ACCOUNT.to_owned(),
        policy: Some(policy),
        ..pb::UpdatePolicyRequest::default()
    };
    admin.wait(PolicyServiceClient::new(admin.channel()).update_policy(admin.request(update))).expect("acknowledged");
}

/// Creates users one by one until that fails, and gives those that were acknowledged. `kill` is called among the writes.
fn create_users_until(admin: &Rpc, round: usize, kill: impl FnOnce()) -> Vec<String> {
    let acknowledged = AtomicUsize::new(0);
    let email = |user| format!("user-{round}-{user}@example.com");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while create_user(admin, &email(acknowledged.load(Ordering::SeqCst))) {
                acknowledged.fetch_add(1, Ordering::SeqCst);
            }
        });
        let enough = || (acknowledged.load(Ordering::SeqCst) >= 5 + round).then_some(());
        until("acknowledged users", String::new, enough);
        kill();
    });
    (0..acknowledged.into_inner()).map(email).collect()
}

fn create_user(admin: &Rpc, email: &str) -> bool {
    let user = pb::User { email: email.to_owned(), ..pb::User::default() };
    let create =
        pb::CreateUserRequest { account: ACCOUNT.to_owned(), user: Some(user), ..pb::CreateUserRequest::default() };
    admin.wait(UserServiceClient::new(admin.channel()).create_user(admin.request(create))).is_ok()
}

fn list_users(admin: &Rpc) -> pb::ListUsersResponse {
    let list = pb::ListUsersRequest { account: ACCOUNT.to_owned(), page_size: 1_000, page_token: String::new() };
    let answer = admin.wait(UserServiceClient::new(admin.channel()).list_users(admin.request(list)));
    answer.expect("the users").into_inner()
}

fn user_emails(admin: &Rpc) -> Vec<String> {
    list_users(admin).users.into_iter().map(|user| user.email).collect()
}

fn revision(home: &Home, control: &Doorward) -> String {
    list_users(&home.admin(control.listener("admin"))).revision_token
}

/// The health of the whole process as a stream, from its first state on.
fn watch_health(rpc: &Rpc) -> tonic::Streaming<tonic_health::pb::HealthCheckResponse> {
    rpc.wait(async {
        let mut client = HealthClient::new(rpc.channel());
        let mut states = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
        states.next().await.unwrap().unwrap();
        states
    })
}

/// Runs a command that is expected to end by itself.
fn ended(mut command: impl std::borrow::BorrowMut<Command>) -> Output {
    command.borrow_mut().stdin(Stdio::null()).output().expect("the built binary starts")
}
