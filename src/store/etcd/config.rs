//! Where etcd is and how it is spoken to.

use std::path::PathBuf;
use std::time::Duration;

/// An etcd cluster and the part of it that is the store's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdConfig {
    /// The client URLs of its members, `https://HOST:PORT`; `http://` on this machine only.
    pub endpoints: Vec<String>,
    /// What every key of the store begins with. Two stores in one cluster have prefixes of which neither begins with the
    /// other.
    pub prefix: String,
    /// PEM file of the authorities that may have signed the members' certificates; the system's where there is none.
    pub ca_file: Option<PathBuf>,
    /// PEM files of the certificate and the key that are shown to the members, where they ask for one.
    pub identity: Option<EtcdIdentity>,
    /// The user, where etcd has users.
    pub user: Option<EtcdUser>,
    /// How long a call is tried, over all members, before it is given up.
    pub patience: Duration,
}

/// A client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdIdentity {
    /// PEM file of the certificate.
    pub certificate_file: PathBuf,
    /// PEM file of its key.
    pub key_file: PathBuf,
}

/// A user of etcd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdUser {
    /// The name.
    pub name: String,
    /// File with the password. It is read each time a token is asked for, so that the password can be replaced.
    pub password_file: PathBuf,
}

// === impl EtcdConfig ===

impl EtcdConfig {
    /// The prefix where none is named.
    pub const PREFIX: &str = "/doorward/";
    /// The patience where none is named: an election takes about two seconds.
    pub const PATIENCE: Duration = Duration::from_secs(8);

    /// Where the store is, for messages.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{} {}", self.endpoints.join(","), self.prefix)
    }

    /// A cluster without TLS and users, as there is one on a developer's machine.
    #[must_use]
    pub fn new(endpoints: impl IntoIterator<Item = impl Into<String>>, prefix: impl Into<String>) -> Self {
        Self {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            prefix: prefix.into(),
            ca_file: None,
            identity: None,
            user: None,
            patience: Self::PATIENCE,
        }
    }
}
