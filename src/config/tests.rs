//! Configuration: unknown keys, defaults, and all errors at once.

use std::time::Duration;

use super::raw::{Flags, RawConfig};
use super::resolved::{Config, Engine, InvalidConfig, Role};
use crate::model::freshness::{FreshnessPolicy, StaleMode};
use crate::store::etcd::EtcdConfig;

fn resolve(toml: &str, role: Role) -> Result<Config, InvalidConfig> {
    Config::resolve(RawConfig::from_toml(toml).unwrap(), role)
}

fn problems(toml: &str, role: Role) -> Vec<&'static str> {
    resolve(toml, role).unwrap_err().0.into_iter().map(|problem| problem.key).collect()
}

#[test]
fn nothing_typed_is_the_documented_defaults() {
    let config = resolve("", Role::Serve).unwrap();
    assert_eq!(config.check.listen.unwrap().to_string(), "127.0.0.1:7070");
    assert_eq!(config.admin.to_string(), "127.0.0.1:7072");
    assert_eq!(config.metrics.unwrap().to_string(), "127.0.0.1:7073");
    assert!(!config.check.reflection);
    assert_eq!(config.check.subject_header, None);
}

#[test]
fn an_unknown_key_is_refused_with_its_place() {
    for (toml, name) in [("[check]\nlisen = \"x\"", "lisen"), ("[chek]\n", "chek"), ("x = 1", "`x`")] {
        let message = RawConfig::from_toml(toml).unwrap_err().to_string();
        assert!(message.contains(name) && message.contains("line"), "{message}");
    }
}

#[test]
fn all_errors_come_at_once() {
    let toml = "
        [check]
        listen = 'nowhere'
        account = 'x'
        [ext_authz]
        subject_header = 'a b'
        subject_sources = ['bearer', 'cookie', 'bearer']
        [admin]
        listen = '0.0.0.0:7072'
        [log]
        format = 'xml'
        [drain]
        grace_seconds = 9999
    ";
    let expected = [
        "check.listen",
        "check.account",
        "ext_authz.subject_header",
        "ext_authz.subject_sources",
        "ext_authz.subject_sources",
        "admin.listen",
        "log.format",
        "drain.grace_seconds",
    ];
    assert_eq!(problems(toml, Role::Serve), expected);
}

#[test]
fn the_admin_listener_refuses_a_non_loopback_address_and_says_why() {
    for listen in ["0.0.0.0:7072", "192.0.2.1:7072", "[::]:7072"] {
        let message = resolve(&format!("[admin]\nlisten = '{listen}'"), Role::ControlPlane).unwrap_err().to_string();
        assert!(message.contains("loopback") && message.contains("TLS"), "{message}");
    }
    for listen in ["127.0.0.1:0", "127.8.8.8:1", "[::1]:7072"] {
        assert!(resolve(&format!("[admin]\nlisten = '{listen}'"), Role::ControlPlane).is_ok(), "{listen}");
    }
}

#[test]
fn a_sidecar_needs_a_control_plane_on_this_machine_and_a_credential() {
    assert_eq!(problems("", Role::Sidecar), ["sync.control_plane", "sync.token_file"]);
    for url in ["https://127.0.0.1:1", "http://192.0.2.1:7072", "127.0.0.1:7072", "http://"] {
        let toml = format!("[sync]\ncontrol_plane = '{url}'\ntoken_file = 'x'");
        assert_eq!(problems(&toml, Role::Sidecar), ["sync.control_plane"], "{url}");
    }
    assert!(resolve("[sync]\ncontrol_plane = 'http://[::1]:7072'\ntoken_file = 'x'", Role::Sidecar).is_ok());
}

#[test]
fn flags_win_over_the_file() {
    let mut flags = Flags::default();
    flags.check.listen = Some("127.0.0.1:1".to_owned());
    let raw = RawConfig::from_toml("[check]\nlisten = '127.0.0.1:2'\nreflection = true").unwrap().overridden_by(flags);
    let config = Config::resolve(raw, Role::Serve).unwrap();
    assert_eq!((config.check.listen.unwrap().port(), config.check.reflection), (1, true));
}

#[test]
fn a_process_nobody_could_ask_is_refused() {
    assert_eq!(problems("[check]\nlisten = 'off'", Role::Sidecar)[0], "check.listen");
    assert!(resolve("[check]\nlisten = 'off'\nsocket = '/tmp/x'", Role::Serve).is_ok());
}

fn etcd(keys: &str) -> String {
    format!("[store]\nengine = 'etcd'\n[store.etcd]\n{keys}")
}

#[test]
fn the_engine_is_embedded_unless_it_is_etcd() {
    assert_eq!(resolve("", Role::Serve).unwrap().store.engine, Engine::Embedded);
    let config = resolve(&etcd("endpoints = ['https://a:1', 'http://[::1]:2']"), Role::Serve).unwrap();
    let expected = EtcdConfig::new(["https://a:1", "http://[::1]:2"], "/doorward/");
    assert_eq!(config.store.engine, Engine::Etcd(expected));
    assert_eq!(problems("[store]\nengine = 'redis'", Role::Serve), ["store.engine"]);
    assert_eq!(problems("[store.etcd]\nendpoints = ['https://a:1']", Role::Serve), ["store.etcd"]);
}

#[test]
fn an_etcd_that_cannot_be_used_is_refused_key_by_key() {
    let check =
        |keys: &str, expected: &[&str]| assert_eq!(problems(&etcd(keys), Role::ControlPlane), expected, "{keys}");
    let member = "endpoints = ['https://a:1']\n";
    check("", &["store.etcd.endpoints"]);
    let named = resolve(&etcd("endpoints = ['https://root:secret@a:1']"), Role::ControlPlane).unwrap_err().to_string();
    assert!(named.contains("names no user") && !named.contains("secret"), "{named}");
    for url in ["http://192.0.2.1:2379", "https://a", "a:2379", "https://a:1/x", "ftp://a:1", "https://a:1?x"] {
        check(&format!("endpoints = ['{url}']"), &["store.etcd.endpoints"]);
    }
    for prefix in ["", "/", "a b", "ä"] {
        check(&format!("{member}prefix = '{prefix}'"), &["store.etcd.prefix"]);
    }
    check(&format!("{member}certificate_file = 'c'"), &["store.etcd.key_file"]);
    check(&format!("{member}username = 'u'"), &["store.etcd.password_file"]);
    check("endpoints = ['http://127.0.0.1:1']\nca_file = 'c'", &["store.etcd.endpoints"]);
    let all =
        "prefix = '/x'\nca_file = 'a'\ncertificate_file = 'c'\nkey_file = 'k'\nusername = 'u'\npassword_file = 'p'";
    assert!(resolve(&etcd(&format!("{member}{all}")), Role::Serve).is_ok());
}

#[test]
fn the_freshness_has_its_documented_defaults_and_is_read() {
    let policy = |toml: &str| resolve(toml, Role::Serve).unwrap().check.freshness;
    assert_eq!(policy(""), FreshnessPolicy::default());
    let typed = "[check]\nmax_wait_ms = 0\nstale_mode = 'deny'\nmax_staleness_seconds = 11";
    let (max_wait, max_staleness) = (Duration::ZERO, Duration::from_secs(11));
    assert_eq!(policy(typed), FreshnessPolicy { max_wait, stale_mode: StaleMode::Deny, max_staleness });
    assert_eq!(policy("[check]\nmax_wait_ms = 9000").max_wait, Duration::from_secs(9));
    assert_eq!(policy("[check]\nstale_mode = 'unavailable'").stale_mode, StaleMode::Unavailable);
    // Who has slow heartbeats and says nothing else gets a limit that fits them.
    assert_eq!(policy("[sync]\nheartbeat_seconds = 60").max_staleness, Duration::from_mins(3));
}

#[test]
fn a_freshness_that_cannot_be_kept_is_refused() {
    let all = "[check]\nmax_wait_ms = 9001\nstale_mode = 'maybe'\nmax_staleness_seconds = 604801";
    let keys = ["check.max_wait_ms", "check.stale_mode", "check.max_staleness_seconds"];
    assert_eq!(problems(all, Role::Serve), keys);
    for (heartbeat, staleness) in [(5, 10), (5, 1), (30, 60), (3_600, 7_200)] {
        let toml = format!("[check]\nmax_staleness_seconds = {staleness}\n[sync]\nheartbeat_seconds = {heartbeat}");
        let message = resolve(&toml, Role::Serve).unwrap_err().to_string();
        assert!(message.contains("check.max_staleness_seconds") && message.contains("two heartbeats"), "{message}");
        // A control plane answers no checks.
        assert!(resolve(&toml, Role::ControlPlane).is_ok());
    }
    assert!(resolve("[check]\nmax_staleness_seconds = 11", Role::Serve).is_ok());
}

#[test]
fn what_the_store_keeps_has_defaults_and_limits() {
    let keep = |toml: &str| resolve(toml, Role::ControlPlane).unwrap().store.keep;
    let hours = std::time::Duration::from_hours;
    let known = keep("");
    assert_eq!((known.log_commits, known.requests, known.audit), (10_000, hours(24), hours(90 * 24)));
    let known = keep("[store]\nlog_commits = 1\nrequest_hours = 8760\naudit_days = 36500");
    assert_eq!((known.log_commits, known.requests, known.audit), (1, hours(8_760), hours(36_500 * 24)));
    for (line, key) in [
        ("log_commits = 0", "store.log_commits"),
        ("log_commits = 10000001", "store.log_commits"),
        ("request_hours = 0", "store.request_hours"),
        ("request_hours = 8761", "store.request_hours"),
        ("audit_days = 0", "store.audit_days"),
        ("audit_days = 36501", "store.audit_days"),
    ] {
        assert_eq!(problems(&format!("[store]\n{line}"), Role::Serve), [key], "{line}");
    }
}
