//! Where the suite runs on etcd.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use uuid::Uuid;

use super::super::api::Store;
use super::super::etcd::{EtcdConfig, EtcdStore};
use super::Place;
use super::support::etcd::{Cluster, Options};

/// The one member that the suite runs on; it ends with the last test that uses it.
static MEMBER: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());

/// A prefix of its own on the member.
pub(in super::super) struct Prefix {
    pub(in super::super) member: Arc<Cluster>,
    pub(in super::super) config: EtcdConfig,
}

// === impl Prefix ===

impl Prefix {
    /// An empty place; `None` where etcd cannot be had.
    pub(in super::super) fn new() -> Option<Self> {
        let mut shared = MEMBER.lock().unwrap_or_else(PoisonError::into_inner);
        let member = match shared.upgrade() {
            Some(member) => member,
            None => Arc::new(Cluster::start(Options::SINGLE)?),
        };
        *shared = Arc::downgrade(&member);
        let config = EtcdConfig::new(member.endpoints(), format!("/{}/", Uuid::new_v4()));
        Some(Self { member, config })
    }

    pub(in super::super) fn open_replica(&self) -> EtcdStore {
        let opened = EtcdStore::open(&self.config);
        opened.unwrap_or_else(|problem| panic!("{problem:?}\n{}", self.member.transcript()))
    }
}

impl Place for Prefix {
    fn open(&self) -> Box<dyn Store> {
        Box::new(self.open_replica())
    }
}
