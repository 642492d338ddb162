//! `doorward serve --example` as somebody meets it who has just unpacked Doorward: what it prints works when it is pasted.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails where its own means do")]

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::envoy::{Config, Envoy};
use crate::support::http::{self, EchoServer, Request};
use crate::support::peers;
use crate::support::process::{Doorward, PATIENCE};

mod support;

const HEALTH: &str = "grpc.health.v1.Health";

#[test]
fn the_printed_commands_do_what_the_text_says() {
    let example = Example::start();
    let check = shell(&example.command(" check --address "));
    assert_eq!(check.status.code(), Some(0), "{check:?}");
    assert!(text(&check.stdout).starts_with("ALLOW (allow_statement)"), "{check:?}");

    let admin = shell(&example.command(" admin --address "));
    assert_eq!(admin.status.code(), Some(0), "{admin:?}");
    let answer: Value = serde_json::from_slice(&admin.stdout).unwrap();
    assert_eq!(answer["policies"].as_array().map(Vec::len), Some(8), "{answer}");
}

#[test]
fn the_text_counts_what_the_account_holds() {
    let example = Example::start();
    let file = fs::read_to_string(example.folder().join("example.yaml")).unwrap();
    let entries = |section: &str| {
        let lines = file.lines().skip_while(|line| *line != format!("{section}:")).skip(1);
        let inside = lines.take_while(|line| !line.starts_with(|first: char| first.is_ascii_alphabetic()));
        inside.filter(|line| line.starts_with("  - ")).count()
    };
    let (environments, groups, policies) = (entries("environments"), entries("groups"), entries("policies"));
    let said = format!("{environments} environments, {groups} groups, {policies} policies");
    assert!(example.text.contains(&said), "`{said}`: {}", example.text);
}

#[test]
fn the_grpcurl_commands_get_their_answers_through_reflection() {
    let Some(packages) = peers::grpc().ready() else { return };
    let example = Example::start();
    let (target, call, _) = example.grpcurl("AuthorizationService/Check");
    let answer = client(&packages, &target, &call).unwrap();
    assert_eq!(json(&answer)["decision"], "DECISION_ALLOW", "{answer}");

    let (target, call, credential) = example.grpcurl("PolicyService/ListPolicies");
    let with_credential = [&["--metadata".to_owned(), credential.unwrap()], call.as_slice()].concat();
    let answer = client(&packages, &target, &with_credential).unwrap();
    assert_eq!(json(&answer)["policies"].as_array().map(Vec::len), Some(8), "{answer}");
    let refused = client(&packages, &target, &call).unwrap_err();
    assert!(refused.starts_with("UNAUTHENTICATED "), "{refused}");
}

#[test]
fn both_listeners_describe_what_they_serve_and_nothing_else() {
    let Some(packages) = peers::grpc().ready() else { return };
    let example = Example::start();
    let (check, admin) = (example.doorward.listener("check"), example.doorward.listener("admin"));
    let services = |listener: SocketAddr| client(&packages, &listener.to_string(), &words("services")).unwrap();
    let on_check = services(check);
    let served: Vec<_> = on_check.lines().filter(|name| !name.starts_with("grpc.reflection.")).collect();
    assert_eq!(served, ["doorward.v1.AuthorizationService", "envoy.service.auth.v3.Authorization", HEALTH]);
    let on_admin = services(admin);
    for name in ["Account", "Binding", "Boundary", "Environment", "Group", "Policy", "ServiceUser", "User", "Watch"] {
        assert!(on_admin.lines().any(|line| line == format!("doorward.v1.{name}Service")), "{name}: {on_admin}");
    }
    assert!(!on_admin.contains("AuthorizationService"), "{on_admin}");
    let methods =
        client(&packages, &check.to_string(), &words("describe envoy.service.auth.v3.Authorization")).unwrap();
    assert_eq!(methods, "Check envoy.service.auth.v3.CheckRequest envoy.service.auth.v3.CheckResponse");

    for service in ["", "doorward.v1.AuthorizationService", "envoy.service.auth.v3.Authorization"] {
        let health = client(&packages, &check.to_string(), &words(&format!("health {service}")));
        assert_eq!(health.as_deref(), Ok("SERVING"), "{service}");
    }
    let unknown = client(&packages, &check.to_string(), &words("health no.such.Service")).unwrap_err();
    assert!(unknown.starts_with("NOT_FOUND "), "{unknown}");
    // A service of the other listener.
    let list = ["call".to_owned(), "doorward.v1.PolicyService/ListPolicies".to_owned(), "{}".to_owned()];
    let elsewhere = client(&packages, &check.to_string(), &list).unwrap_err();
    assert!(elsewhere.starts_with("UNIMPLEMENTED"), "{elsewhere}");
}

#[test]
fn the_printed_envoy_configuration_lets_chloe_pass_and_not_ben() {
    let Some(program) = peers::envoy().ready() else { return };
    let example = Example::start();
    let file = PathBuf::from(example.command("envoy -c ").trim_start_matches("envoy -c "));
    assert_eq!(Envoy::validate(&program, &file), Ok(()));

    let upstream = EchoServer::start();
    let envoy = Envoy::start(&program, &Config::of_example(&file, upstream.address()).timeout(5));
    let requests = example.curls();
    let statuses: Vec<_> = requests.iter().map(|request| envoy.send(request).status).collect();
    assert_eq!(statuses, [200, 403], "{requests:?}\n{}\n{}", envoy.transcript(), example.doorward.transcript());
    assert_eq!(upstream.requests(), 1);
    let log = envoy.access_log(2);
    assert_eq!(log[0]["decision"]["policy"], "Settings of one schema", "{}", log[0]);
    assert_eq!(log[1]["decision"]["code"], "no_match", "{}", log[1]);
}

#[test]
fn promtool_accepts_the_metrics() {
    let Some(program) = peers::promtool().ready() else { return };
    let example = Example::start();
    // Every series that has labels has a line only after its first event.
    shell(&example.command(" check --address "));
    shell(&example.command(" admin --address "));
    let listener = example.doorward.listener("metrics");
    let answer = http::get(listener, "/metrics").unwrap();
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(answer.text().contains("doorward_checks_total{api=\"native\",outcome=\"allow\"} 1\n"), "{}", answer.text());

    let mut command = Command::new(program);
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = command.spawn().unwrap();
    promtool.stdin.take().unwrap().write_all(&answer.body).unwrap();
    let judged = promtool.wait_with_output().unwrap();
    assert!(judged.status.success(), "{}{}{}", text(&judged.stdout), text(&judged.stderr), answer.text());

    // As a current Prometheus asks.
    let accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    let open = Request::new("GET", "/metrics").header("accept", accept).send(listener).unwrap();
    assert_eq!(open.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(open.text().ends_with("# EOF\n"), "{}", open.text());
}

#[test]
fn the_example_leaves_nothing_behind() {
    let mut example = Example::start();
    let folder = example.folder();
    assert!(folder.join("data").exists(), "{}", example.text);
    example.doorward.terminate();
    assert_eq!(example.doorward.wait_exit(PATIENCE).code(), Some(0), "{}", example.doorward.transcript());
    assert!(!folder.exists(), "{} is still there", folder.display());
}

/// A running example and what it printed.
struct Example {
    doorward: Doorward,
    text: String,
    /// What a killed process leaves behind goes with the test. Dropped after the process.
    _temporary: TempDir,
}

// === impl Example ===

impl Example {
    fn start() -> Self {
        let free = "127.0.0.1:0";
        let listeners = ["--check-listen", free, "--admin-listen", free, "--metrics-listen", free];
        let temporary = tempfile::tempdir().unwrap();
        let mut command = Doorward::command();
        command.env("TMPDIR", temporary.path()).args(["serve", "--example"]).args(listeners);
        let doorward = Doorward::start_with(&mut command);
        doorward.wait_for_message("snapshot published", PATIENCE);
        let text = doorward.wait_for_stdout("the last line of the text", |text| {
            text.contains(": ben@example.com' http").then(|| text.to_owned())
        });
        Self { doorward, text, _temporary: temporary }
    }

    /// The directory, by the path of the state file.
    fn folder(&self) -> PathBuf {
        let line = self.text.lines().find_map(|line| line.split_once("the account as a file: ")).expect("a path");
        Path::new(line.1).parent().unwrap().to_owned()
    }

    /// The command that holds `part`, as it would be pasted: all of its lines, without the sentence above it.
    fn command(&self, part: &str) -> String {
        let blocks = self.text.split("\n\n");
        let block = blocks.into_iter().find(|block| block.contains(part)).unwrap_or_else(|| panic!("{}", self.text));
        let sentence = |line: &&str| line.starts_with(|first: char| first.is_ascii_digit());
        block.lines().skip_while(sentence).collect::<Vec<_>>().join("\n").trim().to_owned()
    }

    /// The target, the arguments of our own client, and the metadata of a printed grpcurl command.
    fn grpcurl(&self, method: &str) -> (String, Vec<String>, Option<String>) {
        let mut words = arguments("grpcurl", &self.command(&format!("doorward.v1.{method}"))).into_iter();
        let (mut data, mut credential, mut rest) = (String::new(), None, Vec::new());
        while let Some(word) = words.next() {
            match word.as_str() {
                "-plaintext" => {}
                "-d" => data = words.next().unwrap(),
                "-H" => credential = words.next().map(|header| header.replacen(": ", "=", 1)),
                _ => rest.push(word),
            }
        }
        let [target, path] = rest.try_into().expect("an address and a method");
        (target, vec!["call".to_owned(), path, data], credential)
    }

    /// The requests that the printed curl commands make, one a line.
    fn curls(&self) -> Vec<Request> {
        let commands = self.text.lines().filter(|line| line.trim_start().starts_with("curl "));
        commands.map(|command| request(&arguments("curl", command))).collect()
    }
}

fn request(words: &[String]) -> Request {
    let [_, flag, header, url] = words else { panic!("{words:?}") };
    assert_eq!(flag, "-H");
    let target = url.strip_prefix("http://127.0.0.1:10000").expect("the port of the configuration");
    let (name, value) = header.split_once(": ").expect("a header");
    Request::new("GET", target).header(name, value)
}

/// What a shell would give to `program`: quotes and substitutions are the shell's.
fn arguments(program: &str, command: &str) -> Vec<String> {
    let output = shell(&format!("{program}() {{ printf '%s\\0' \"$@\"; }}\n{command}"));
    assert!(output.status.success(), "{output:?}");
    text(&output.stdout).split_terminator('\0').map(str::to_owned).collect()
}

fn shell(command: &str) -> Output {
    Command::new("sh").args(["-c", command]).stdin(Stdio::null()).output().expect("there is a shell")
}

/// Runs the client of the C core; what it printed, or its error.
fn client(packages: &Path, target: &str, arguments: &[String]) -> Result<String, String> {
    let output = peers::grpc_client(packages).arg(target).args(arguments).output().unwrap();
    let printed = if output.status.success() { Ok(output.stdout) } else { Err(output.stderr) };
    let trimmed = |bytes: Vec<u8>| text(&bytes).trim().to_owned();
    printed.map(trimmed).map_err(trimmed)
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
