//! What `deploy/` ships is accepted by the programs that it is for.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use doorward::config::raw::RawConfig;
use doorward::config::resolved::{self, Engine, Role};

use crate::support::envoy::{Authz, Config, Envoy, shipped};
use crate::support::http::{EchoServer, Request};
use crate::support::peers;

mod support;

/// Where the two ways to Doorward differ.
const TCP: &str = "socket_address: { address: 127.0.0.1, port_value: 7070 }";
const UNIX: &str = "pipe: { path: /run/doorward/check.sock }";

#[test]
fn envoy_accepts_every_shipped_configuration() {
    let Some(program) = peers::envoy().ready() else { return };
    for file in ["tcp.yaml", "uds.yaml"] {
        assert_eq!(Envoy::validate(&program, &shipped(file)), Ok(()), "{file}");
    }
}

#[test]
fn envoy_accepts_them_at_the_edge() {
    let Some(program) = peers::envoy().ready() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("edge.yaml");
    for authz in [Authz::Tcp(loopback(7070)), Authz::Unix(Path::new("/run/doorward/check.sock").to_owned())] {
        fs::write(&file, Config::shipped(&authz, loopback(8080)).at_the_edge().text()).unwrap();
        assert_eq!(Envoy::validate(&program, &file), Ok(()), "{authz:?}");
    }
}

#[test]
fn envoy_refuses_a_setting_that_it_does_not_know() {
    let Some(program) = peers::envoy().ready() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.yaml");
    let config =
        Config::shipped(&Authz::Tcp(loopback(7070)), loopback(8080)).replace("validate_mutations:", "validate:");
    fs::write(&file, config.text()).unwrap();
    let error = Envoy::validate(&program, &file).unwrap_err();
    assert!(error.contains("validate"), "{error}");
}

#[test]
fn the_two_configurations_differ_in_the_address_only() {
    let settings = |file: &str| {
        let text = fs::read_to_string(shipped(file)).unwrap();
        let start = text.find("\nadmin:").unwrap();
        text.get(start..).unwrap().to_owned()
    };
    assert_eq!(settings("tcp.yaml").replace(TCP, UNIX), settings("uds.yaml"));
}

#[test]
fn without_doorward_only_the_health_route_answers() {
    let Some(program) = peers::envoy().ready() else { return };
    let upstream = EchoServer::start();
    let envoy = Envoy::start(&program, &Config::shipped(&nobody(), upstream.address()));

    assert_eq!(envoy.send(&Request::new("GET", "/settings/1")).status, 503);
    assert_eq!(envoy.send(&Request::new("GET", "/healthz/1")).status, 503);
    assert_eq!(envoy.send(&Request::new("GET", "/settings%2F1")).status, 400);
    assert_eq!(upstream.requests(), 0);

    assert_eq!(envoy.send(&Request::new("GET", "/healthz")).echo().target, "/healthz");
    let log = envoy.access_log(4);
    assert_eq!(log[0]["details"], "ext_authz_error");
    assert!(log[0]["decision"]["id"].is_null(), "{}", log[0]);
    assert_eq!(envoy.stat("cluster.application.ext_authz.error"), 2);
    assert_eq!(envoy.stat("cluster.application.upstream_rq_200"), 1);
}

#[test]
fn the_edge_removes_a_subject_that_the_client_sent() {
    let Some(program) = peers::envoy().ready() else { return };
    let upstream = EchoServer::start();
    let shipped = Config::shipped(&nobody(), upstream.address()).failure_mode_allow(true);
    let request = Request::new("GET", "/").header("X-Doorward-Subject", "mallory@example.com");

    let removed = Envoy::start(&program, &shipped.clone()).send(&request).echo();
    assert_eq!(removed.header("x-doorward-subject"), None, "the routes remove it, whatever the failure mode");
    // Without that, one sees what comes as far as the routes.
    let open = shipped.replace("request_headers_to_remove: [x-doorward-subject]", "");
    let inside = Envoy::start(&program, &open.clone()).send(&request).echo();
    assert_eq!(inside.header("x-doorward-subject"), Some("mallory@example.com"));
    let edge = Envoy::start(&program, &open.at_the_edge()).send(&request).echo();
    assert_eq!(edge.header("x-doorward-subject"), None);
}

#[test]
fn doorward_accepts_the_shipped_control_plane_over_etcd() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/etcd/control-plane.toml");
    let raw = RawConfig::from_toml(&fs::read_to_string(file).unwrap()).unwrap();
    let config = resolved::Config::resolve(raw, Role::ControlPlane).unwrap();
    let Engine::Etcd(etcd) = config.store.engine else { panic!("not in etcd") };
    assert_eq!(etcd.endpoints.len(), 3);
    assert_eq!(etcd.user.unwrap().password_file, PathBuf::from("/etc/doorward/etcd-password"));
}

/// An address at which nobody is, and nobody can come to be.
fn nobody() -> Authz {
    Authz::Unix(Path::new("/nonexistent/check.sock").to_owned())
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
