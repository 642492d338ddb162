//! A real Envoy asks a real Doorward, over TCP and over a Unix socket.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails where its own means do"
)]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::envoy::{Authz, Config, Envoy};
use crate::support::http::{EchoServer, Request, Response};
use crate::support::peers;
use crate::support::process::{Doorward, PATIENCE};

mod support;

const SUBJECT: &str = "x-doorward-subject";
const ADA: &str = "ada@example.com";
const STATE: &str = r#"
account: {id: 5f0c6d0e-8a1b-4c3d-9e2f-7a6b5c4d3e2f, name: Example}
environments:
  - {id: abc12345, name: Production}
groups:
  - {name: Readers}
users:
  - {email: ada@example.com, name: Ada, groups: [Readers]}
  - {email: ben@example.com, name: Ben}
  - {email: finn@example.com, name: Finn, state: inactive, groups: [Readers]}
policies:
  - name: Settings reader
    level: account
    statements: |
      ALLOW settings:schemas:read;
      ALLOW settings:objects:read WHERE settings:schemaId = "builtin:alerting";
      DENY settings:objects:read WHERE settings:dt.security_context = "secret";
      ALLOW shop:orders:read WHERE shop:region IN ("eu", "us");
bindings:
  - {policy: Settings reader, group: Readers, level: account}
catalogue:
  - {permission: "shop:orders:read", conditions: [{name: "shop:region", operators: ["=", IN], anyMatch: true}]}
"#;

/// How Envoy reaches Doorward.
#[derive(Debug, Clone, Copy)]
enum Transport {
    Tcp,
    Unix,
}

/// Everything a request passes through.
struct Chain {
    envoy: Envoy,
    doorward: Doorward,
    upstream: EchoServer,
    authz: Authz,
    program: PathBuf,
    _folder: TempDir,
}

/// Runs each test over both transports, under its own name.
macro_rules! over_both_transports {
    ($($test:ident),+ $(,)?) => {
        mod tcp {
            $(#[test]
            fn $test() {
                super::$test(super::Transport::Tcp);
            })+
        }

        mod unix {
            $(#[test]
            fn $test() {
                super::$test(super::Transport::Unix);
            })+
        }
    };
}

over_both_transports!(
    an_allowed_request_reaches_the_upstream_and_its_decision_stands_in_the_access_log,
    the_subject_header_never_reaches_the_upstream,
    a_denied_request_is_a_problem_without_a_reason_and_the_upstream_is_not_asked,
    an_answer_does_not_wait_for_a_delayed_acknowledgement,
    an_unknown_and_a_missing_subject_get_the_same_401,
    an_inactive_subject_looks_like_any_other_denial,
    a_bearer_token_never_falls_through_to_the_header,
    the_subject_header_twice_names_nobody,
    raw_headers_work_like_merged_ones,
    several_values_and_absent_names_reach_the_conditions,
    what_cannot_be_decided_is_an_error_and_not_a_denial,
    with_failure_mode_allow_what_cannot_be_decided_passes,
    a_stopped_sidecar_is_envoys_failure_mode,
    a_killed_sidecar_is_envoys_failure_mode,
    a_sidecar_without_its_control_plane_is_an_error_and_not_a_denial,
);

fn an_allowed_request_reaches_the_upstream_and_its_decision_stands_in_the_access_log(transport: Transport) {
    let Some(path) = Chain::open(transport, |config| config) else { return };
    let answer = path.get("/settings/1", ADA);
    assert_eq!(answer.status, 200, "{answer:?}\n{path}");
    assert_eq!(answer.echo().target, "/settings/1");
    assert_eq!(path.upstream.requests(), 1);

    let entry = path.last_entry(1);
    let decision = &entry["decision"];
    let id = decision["id"].as_str().unwrap_or_default();
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{entry}");
    assert_eq!(decision["code"], "allow_statement", "{entry}");
    assert_eq!(decision["policy"], "Settings reader", "{entry}");
    assert_eq!(decision["revision"], 1, "{entry}");
    assert_eq!(entry["metadata"]["statement"], 1, "{entry}");
    assert_eq!(entry["metadata"]["decision"], "ALLOW", "{entry}");
    assert_eq!(entry["metadata"]["decision_id"], id, "{entry}");
}

fn the_subject_header_never_reaches_the_upstream(transport: Transport) {
    // Without the routes' own removal: it is Doorward's that is seen.
    let bare = |config: Config| config.replace("request_headers_to_remove: [x-doorward-subject]", "");
    let Some(path) = Chain::open(transport, bare) else { return };
    // Also under another spelling: header names have no case.
    for name in [SUBJECT, "X-Doorward-Subject"] {
        let answer = path.send(&Request::new("GET", "/settings/1").header(name, ADA).header("x-other", "kept"));
        assert_eq!(answer.status, 200, "{answer:?}\n{path}");
        assert_eq!(answer.echo().header(SUBJECT), None, "{answer:?}");
        assert_eq!(answer.echo().header("x-other"), Some("kept"), "{answer:?}");
        assert!(!answer.text().contains(ADA), "{answer:?}");
    }
}

fn a_denied_request_is_a_problem_without_a_reason_and_the_upstream_is_not_asked(transport: Transport) {
    let Some(path) = Chain::open(transport, |config| config) else { return };
    let answer = path.get("/settings/1", "ben@example.com");
    let id = problem(&answer, 403, "Forbidden");
    assert_eq!(path.upstream.requests(), 0);

    let entry = path.last_entry(1);
    assert_eq!(entry["details"], "ext_authz_denied", "{entry}");
    assert_eq!(entry["decision"]["code"], "no_match", "{entry}");
    assert_eq!(entry["decision"]["id"], id.as_str(), "{entry}");
    assert_eq!(entry["metadata"]["decision"], "DENY", "{entry}");
    for told in ["no_match", "ben@example.com", "settings:", "Settings reader"] {
        assert!(!answer.text().contains(told), "the client is told `{told}`: {answer:?}");
    }
    assert_eq!(path.envoy.stat("cluster.application.ext_authz.denied"), 1);
}

fn an_answer_does_not_wait_for_a_delayed_acknowledgement(transport: Transport) {
    let Some(path) = Chain::open(transport, |config| config) else { return };
    for _ in 0..30 {
        assert_eq!(path.get("/settings/1", "ben@example.com").status, 403, "{path}");
    }
    let log = path.envoy.access_log(30);
    // A fresh connection acknowledges at once for a while; later the kernel takes its 40 ms for each answer, or for none.
    let later = log.iter().skip(20).filter_map(|entry| entry["duration_ms"].as_u64());
    let least = later.min();
    assert!(least.is_some_and(|least| least < 30), "{log:?}");
}

fn an_unknown_and_a_missing_subject_get_the_same_401(transport: Transport) {
    let Some(path) = Chain::open(transport, |config| config) else { return };
    let unknown = path.get("/settings/1", "nobody@example.com");
    let missing = path.send(&Request::new("GET", "/settings/1"));
    let empty = path.get("/settings/1", "");
    for answer in [&unknown, &missing, &empty] {
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"doorward\""), "{answer:?}");
        assert_eq!(without_id(answer, 401, "Unauthorized"), without_id(&unknown, 401, "Unauthorized"));
    }
    assert_eq!(path.upstream.requests(), 0);
    let codes: Vec<_> = path.envoy.access_log(3).iter().map(|entry| entry["decision"]["code"].clone()).collect();
    assert_eq!(codes, ["unknown_subject", "missing_subject", "subject_empty"]);
}

fn an_inactive_subject_looks_like_any_other_denial(transport: Transport) {
    let Some(path) = Chain::open(transport, |config| config) else { return };
    let inactive = path.get("/settings/1", "finn@example.com");
    let denied = path.get("/settings/1", "ben@example.com");
    assert_eq!(without_id(&inactive, 403, "Forbidden"), without_id(&denied, 403, "Forbidden"));
    assert_eq!(inactive.header("www-authenticate"), None, "{inactive:?}");
    assert_eq!(path.envoy.access_log(2)[0]["decision"]["code"], "inactive_subject");
    assert_eq!(path.upstream.requests(), 0);
}

fn a_bearer_token_never_falls_through_to_the_header(transport: Transport) {
    let Some(path) = Chain::open(transport, |config| config) else { return };
    for (sent, token) in ["Bearer x", "bearer x", "Api-Token x"].into_iter().enumerate() {
        let request = Request::new("GET", "/settings/1").header(SUBJECT, ADA).header("authorization", token);
        problem(&path.send(&request), 401, "Unauthorized");
        let entry = path.last_entry(sent + 1);
        assert_eq!(entry["decision"]["code"], "token_not_supported", "{entry}");
    }
    assert_eq!(path.upstream.requests(), 0);
    // A scheme that is no token of anybody's does not stand in the way.
    let request = Request::new("GET", "/settings/1").header(SUBJECT, ADA).header("authorization", "Basic eA==");
    assert_eq!(path.send(&request).status, 200);
}

fn the_subject_header_twice_names_nobody(transport: Transport) {
    let Some(path) = Chain::open(transport, |config| config) else { return };
    for second in [ADA, "ben@example.com", ""] {
        let request = Request::new("GET", "/settings/1").header(SUBJECT, ADA).header(SUBJECT, second);
        problem(&path.send(&request), 401, "Unauthorized");
    }
    assert_eq!(path.upstream.requests(), 0);
}

fn raw_headers_work_like_merged_ones(transport: Transport) {
    let Some(path) = Chain::open(transport, Config::raw_headers) else { return };
    let allowed = path.get("/settings/1", ADA);
    assert_eq!(allowed.status, 200, "{allowed:?}\n{path}");
    assert_eq!(allowed.echo().header(SUBJECT), None, "{allowed:?}");
    problem(&path.get("/settings/1", "ben@example.com"), 403, "Forbidden");
    problem(&path.send(&Request::new("GET", "/settings/1")), 401, "Unauthorized");
    let ada = Request::new("GET", "/settings/1").header(SUBJECT, ADA);
    problem(&path.send(&ada.clone().header("authorization", "Bearer x")), 401, "Unauthorized");
    problem(&path.send(&ada.header(SUBJECT, ADA)), 401, "Unauthorized");
    let log = path.envoy.access_log(5);
    let codes: Vec<_> = log.iter().map(|entry| entry["decision"]["code"].as_str().unwrap_or_default()).collect();
    let expected = ["allow_statement", "no_match", "missing_subject", "token_not_supported", "subject_repeated"];
    assert_eq!(codes, expected);
}

fn several_values_and_absent_names_reach_the_conditions(transport: Transport) {
    let orders = [("permission", "shop:orders:read"), ("environment", "abc12345")];
    let settings = [
        ("permission", "settings:objects:read"),
        ("environment", "abc12345"),
        ("attr.settings:schemaId", "builtin:alerting"),
    ];
    let with = |base: &[(&'static str, &'static str)], more: (&'static str, &'static str)| [base, &[more]].concat();
    let routes = |config: Config| {
        config
            .route("/inside", &with(&orders, ("attrs.shop:region", r#"["asia","eu"]"#)))
            .route("/outside", &with(&orders, ("attrs.shop:region", r#"["asia","africa"]"#)))
            .route("/comma", &with(&orders, ("attr.shop:region", "eu,us")))
            .route("/broken", &with(&orders, ("attrs.shop:region", "eu,us")))
            .route("/absent", &with(&settings, ("absent", "shared:app-id, settings:dt.security_context")))
            .route("/unknown", &settings)
    };
    let Some(path) = Chain::open(transport, routes) else { return };
    let expected = [
        ("/inside", 200, "allow_statement"),
        ("/outside", 403, "no_match"),
        ("/comma", 403, "no_match"),
        ("/broken", 503, "bad_request"),
        ("/absent", 200, "allow_statement"),
        // A DENY that could not be settled: the route says nothing of the attribute.
        ("/unknown", 403, "deny_unknown"),
    ];
    for (sent, (target, status, code)) in expected.into_iter().enumerate() {
        let answer = path.get(target, ADA);
        assert_eq!(answer.status, status, "{target}: {answer:?}\n{path}");
        let entry = path.last_entry(sent + 1);
        assert_eq!(entry["decision"]["code"], code, "{target}: {entry}");
    }
}

/// Routes that Doorward cannot decide, each with what the operator reads of it.
const UNDECIDABLE: [(&str, &str, &str); 5] = [
    ("/unknown-permission", "unknown_permission", "permission"),
    ("/unknown-environment", "unknown_environment", "environment"),
    ("/no-permission", "bad_request", "permission"),
    ("/both", "bad_request", "level"),
    ("/nothing", "bad_request", "environment"),
];

fn undecidable(config: Config) -> Config {
    let (read, here) = (("permission", "settings:schemas:read"), ("environment", "abc12345"));
    config
        .route("/unknown-permission", &[("permission", "no:such:thing"), here])
        .route("/unknown-environment", &[read, ("environment", "elsewhere")])
        .route("/no-permission", &[here])
        .route("/both", &[read, here, ("level", "account")])
}

/// Envoy 1.40 takes status, headers, body and metadata from the `error_response`, before its own `status_on_error`.
fn what_cannot_be_decided_is_an_error_and_not_a_denial(transport: Transport) {
    // A status of Envoy's own that differs from the one in Doorward's answer tells whose was taken.
    let Some(path) = Chain::open(transport, |config| undecidable(config).status_on_error(502)) else { return };
    for (sent, (target, code, field)) in UNDECIDABLE.into_iter().enumerate() {
        let answer = path.get(target, ADA);
        let id = problem(&answer, 503, "Authorization could not be decided");
        assert!(!answer.text().contains(code), "{target}: {answer:?}");
        let entry = path.last_entry(sent + 1);
        assert_eq!(entry["details"], "ext_authz_error", "{target}: {entry}");
        assert_eq!(entry["metadata"]["code"], code, "{target}: {entry}");
        assert_eq!(entry["metadata"]["field"], field, "{target}: {entry}");
        path.doorward.wait_for(&format!("line about `{target}`"), PATIENCE, |line| {
            (line.field("decision_id") == Some(&id) && line.field("field") == Some(field)).then_some(())
        });
    }
    assert_eq!(path.upstream.requests(), 0);
    assert_eq!(path.envoy.stat("cluster.application.ext_authz.error"), 5);
    assert_eq!(path.envoy.stat("cluster.application.ext_authz.denied"), 0);
}

fn with_failure_mode_allow_what_cannot_be_decided_passes(transport: Transport) {
    let Some(path) = Chain::open(transport, |config| undecidable(config).failure_mode_allow(true)) else { return };
    for (target, ..) in UNDECIDABLE {
        let answer = path.get(target, ADA);
        assert_eq!(answer.status, 200, "{target}: {answer:?}\n{path}");
        assert_eq!(answer.echo().target, target);
        // Envoy takes no change from an error: the routes take the header away.
        assert_eq!(answer.echo().header(SUBJECT), None, "{answer:?}");
    }
    assert_eq!(path.upstream.requests(), UNDECIDABLE.len());
    // The failure mode lets errors pass, never a denial.
    problem(&path.get("/settings/1", "ben@example.com"), 403, "Forbidden");
}

fn a_stopped_sidecar_is_envoys_failure_mode(transport: Transport) {
    let Some(mut path) = Chain::open(transport, |config| config) else { return };
    path.ends_with_doorward(|doorward| {
        doorward.terminate();
        assert!(doorward.wait_exit(PATIENCE).success(), "{}", doorward.transcript());
    });
}

fn a_killed_sidecar_is_envoys_failure_mode(transport: Transport) {
    let Some(mut path) = Chain::open(transport, |config| config) else { return };
    path.ends_with_doorward(|doorward| {
        doorward.kill();
    });
}

fn a_sidecar_without_its_control_plane_is_an_error_and_not_a_denial(transport: Transport) {
    let Some(program) = peers::envoy().ready() else { return };
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("watch.token");
    fs::write(&token, "none\n").unwrap();
    let mut command = Doorward::command();
    // Nobody listens on port 1, and only root could.
    command.args(["sidecar", "--control-plane", "http://127.0.0.1:1", "--token-file"]).arg(&token);
    command.arg("--data-directory").arg(folder.path().join("sidecar"));
    let doorward = start(&mut command, folder.path());
    let upstream = EchoServer::start();
    let authz = transport.authz(&doorward, folder.path());
    let envoy = Envoy::start(&program, &Config::shipped(&authz, upstream.address()).timeout(5));
    let path = Chain { envoy, doorward, upstream, authz, program, _folder: folder };

    // Nobody can be judged, whether or not there is somebody.
    for (sent, request) in [Request::new("GET", "/settings/1").header(SUBJECT, ADA), Request::new("GET", "/settings/1")]
        .into_iter()
        .enumerate()
    {
        assert_eq!(path.send(&request).status, 503, "{path}");
        assert_eq!(path.last_entry(sent + 1)["details"], "ext_authz_error");
    }
    assert_eq!(path.upstream.requests(), 0);
    assert_eq!(path.open_envoy().send(&Request::new("GET", "/settings/1")).status, 200);
}

// === impl Transport ===

impl Transport {
    fn authz(self, doorward: &Doorward, folder: &Path) -> Authz {
        match self {
            Self::Tcp => Authz::Tcp(doorward.listener("check")),
            Self::Unix => {
                // Both listeners are bound before either is announced.
                doorward.listener("check");
                Authz::Unix(folder.join("check.sock"))
            }
        }
    }
}

// === impl Chain ===

impl Chain {
    /// Starts everything, and waits until Doorward can decide. Nothing where there is no Envoy.
    fn open(transport: Transport, configure: impl FnOnce(Config) -> Config) -> Option<Self> {
        let program = peers::envoy().ready()?;
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state.yaml");
        fs::write(&state, STATE).unwrap();
        let mut command = Doorward::command();
        command.args(["serve", "--admin-listen", "127.0.0.1:0", "--state"]).arg(&state);
        command.arg("--data-directory").arg(folder.path().join("data"));
        let doorward = start(&mut command, folder.path());
        doorward.wait_for_message("snapshot published", PATIENCE);
        let upstream = EchoServer::start();
        let authz = transport.authz(&doorward, folder.path());
        // The shipped bound is for a machine that does nothing else.
        let config = configure(Config::shipped(&authz, upstream.address()).timeout(5));
        let envoy = Envoy::start(&program, &config);
        Some(Self { envoy, doorward, upstream, authz, program, _folder: folder })
    }

    /// A second Envoy before the same Doorward, with the other failure mode.
    fn open_envoy(&self) -> Envoy {
        let config = Config::shipped(&self.authz, self.upstream.address()).timeout(5).failure_mode_allow(true);
        Envoy::start(&self.program, &config)
    }

    fn send(&self, request: &Request) -> Response {
        self.envoy.send(request)
    }

    fn get(&self, target: &str, subject: &str) -> Response {
        self.send(&Request::new("GET", target).header(SUBJECT, subject))
    }

    /// The last line of the access log, of `count`.
    fn last_entry(&self, count: usize) -> Value {
        self.envoy.access_log(count).last().cloned().expect("a line was waited for")
    }

    /// Both failure modes, before and after Doorward ends in the middle of its connections.
    fn ends_with_doorward(&mut self, end: impl FnOnce(&mut Doorward)) {
        let open = self.open_envoy();
        let (ada, ben) = (request(ADA), request("ben@example.com"));
        for envoy in [&self.envoy, &open] {
            assert_eq!(envoy.send(&ada).status, 200, "{self}");
            assert_eq!(envoy.send(&ben).status, 403, "{self}");
        }
        end(&mut self.doorward);
        for subject in [&ada, &ben] {
            assert_eq!(self.envoy.send(subject).status, 503, "{self}");
            assert_eq!(open.send(subject).status, 200, "{}", open.transcript());
        }
        assert_eq!(self.upstream.requests(), 4, "{self}");
        let log = self.envoy.access_log(4);
        assert_eq!(log[3]["details"], "ext_authz_error", "{}", log[3]);
        assert!(log[3]["decision"]["id"].is_null(), "{}", log[3]);
    }
}

impl std::fmt::Display for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n{}", self.envoy.transcript(), self.doorward.transcript())
    }
}

fn request(subject: &str) -> Request {
    Request::new("GET", "/settings/1").header(SUBJECT, subject)
}

/// The check listeners of both transports, whatever the role.
fn start(command: &mut std::process::Command, folder: &Path) -> Doorward {
    command.args(["--check-listen", "127.0.0.1:0", "--metrics-listen", "off", "--subject-header", SUBJECT]);
    Doorward::start_with(command.arg("--check-socket").arg(folder.join("check.sock")))
}

/// Checks that an answer is a problem of RFC 9457 and gives the id of its decision.
fn problem(answer: &Response, status: u16, title: &str) -> String {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:?}");
    let body = answer.json();
    assert_eq!(body["status"], status, "{body}");
    assert_eq!(body["title"], title, "{body}");
    body["decisionId"].as_str().expect("the id of the decision").to_owned()
}

fn without_id(answer: &Response, status: u16, title: &str) -> Value {
    problem(answer, status, title);
    let mut body = answer.json();
    body.as_object_mut().unwrap().remove("decisionId");
    body
}
