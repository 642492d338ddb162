//! What `[store]` and `[store.etcd]` mean.

use super::resolver::Resolver;
use super::{Engine, InvalidConfig, is_loopback};
use crate::config::raw::RawEtcd;
use crate::store::etcd::{EtcdConfig, EtcdIdentity, EtcdUser};

/// Members of a cluster; etcd itself advises against more than seven.
const ENDPOINTS: usize = 16;
/// Bytes of a prefix: every key has it.
const PREFIX_BYTES: usize = 256;

/// Reads the settings of etcd alone, for a command that needs no others.
///
/// # Errors
/// All that is wrong with them.
pub fn resolve_etcd(raw: RawEtcd) -> Result<EtcdConfig, InvalidConfig> {
    let mut resolver = Resolver::default();
    match (resolver.etcd(raw), resolver.problems.is_empty()) {
        (Some(config), true) => Ok(config),
        _ => Err(InvalidConfig(resolver.problems)),
    }
}

// === impl Resolver ===

impl Resolver {
    pub(super) fn engine(&mut self, name: Option<&str>, etcd: RawEtcd) -> Option<Engine> {
        match name {
            Some("etcd") => self.etcd(etcd).map(Engine::Etcd),
            None | Some("embedded") if etcd == RawEtcd::default() => Some(Engine::Embedded),
            None | Some("embedded") => {
                self.refuse("store.etcd", "is set, but the engine is `embedded`; set `store.engine` to `etcd`")
            }
            Some(other) => {
                self.refuse("store.engine", format!("`{}` is neither embedded nor etcd", other.escape_debug()))
            }
        }
    }

    fn etcd(&mut self, raw: RawEtcd) -> Option<EtcdConfig> {
        let secure = raw.endpoints.iter().flatten().any(|url| url.starts_with("https://"));
        let endpoints = self.endpoints(raw.endpoints.unwrap_or_default());
        let prefix = self.prefix(raw.prefix);
        let identity =
            self.pair("store.etcd.key_file", "certificate_file and key_file", raw.certificate_file, raw.key_file);
        let identity = identity.map(|(certificate_file, key_file)| EtcdIdentity { certificate_file, key_file });
        let user = self.pair("store.etcd.password_file", "username and password_file", raw.username, raw.password_file);
        let user = user.map(|(name, password_file)| EtcdUser { name, password_file });
        if !secure && (raw.ca_file.is_some() || identity.is_some()) {
            self.refuse::<()>("store.etcd.endpoints", "have no https:// address, so no certificate is looked at");
        }
        let (ca_file, patience) = (raw.ca_file, EtcdConfig::PATIENCE);
        Some(EtcdConfig { endpoints: endpoints?, prefix: prefix?, ca_file, identity, user, patience })
    }

    /// Both of two keys, or neither.
    fn pair<A, B>(&mut self, key: &'static str, names: &str, one: Option<A>, other: Option<B>) -> Option<(A, B)> {
        match (one, other) {
            (Some(one), Some(other)) => Some((one, other)),
            (None, None) => None,
            _ => self.refuse(key, format!("needs both of {names}, and one of them is missing")),
        }
    }

    fn endpoints(&mut self, urls: Vec<String>) -> Option<Vec<String>> {
        const KEY: &str = "store.etcd.endpoints";
        if urls.is_empty() {
            return self.refuse(KEY, "is missing; name the members of etcd, such as https://etcd-0.example:2379");
        }
        if urls.len() > ENDPOINTS {
            return self.refuse(KEY, format!("has {} addresses, and {ENDPOINTS} are the most", urls.len()));
        }
        let problems: Vec<String> = urls.iter().filter_map(|url| endpoint_problem(url)).collect();
        if problems.is_empty() {
            return Some(urls);
        }
        for problem in problems {
            self.refuse::<()>(KEY, problem);
        }
        None
    }

    fn prefix(&mut self, prefix: Option<String>) -> Option<String> {
        let Some(prefix) = prefix else { return Some(EtcdConfig::PREFIX.to_owned()) };
        let printable = prefix.bytes().all(|byte| byte.is_ascii_graphic());
        if printable && prefix.len() <= PREFIX_BYTES && !prefix.trim_matches('/').is_empty() {
            return Some(prefix);
        }
        let problem = format!(
            "`{}` is no prefix; write 1 to {PREFIX_BYTES} printable ASCII characters, not only slashes, such as {}",
            prefix.escape_debug(),
            EtcdConfig::PREFIX
        );
        self.refuse("store.etcd.prefix", problem)
    }
}

/// What is wrong with the address of a member.
fn endpoint_problem(url: &str) -> Option<String> {
    let shown = url.escape_debug();
    if url.contains('@') {
        // It is shown in messages, and may have a password.
        return Some("an address names no user; set `username` and `password_file`".to_owned());
    }
    let Ok(uri) = url.parse::<http::Uri>() else { return Some(format!("`{shown}` is no URL")) };
    let host = uri.host().filter(|_| uri.port().is_some() && matches!(uri.path(), "" | "/") && uri.query().is_none());
    match (uri.scheme_str(), host) {
        (Some("https"), Some(_)) => None,
        (Some("http"), Some(host)) if is_loopback(host) => None,
        (Some("http"), Some(_)) => Some(format!(
            "`{shown}` is not on this machine; without TLS everybody on the way could read and change the store"
        )),
        _ => Some(format!("`{shown}` does not have the form https://HOST:PORT")),
    }
}
