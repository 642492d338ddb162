//! The store without a disk: for trials and tests. Everything in it ends with the process.
//!
//! It is the embedded engine on memory, so that it cannot behave otherwise.

use std::io;
use std::sync::Arc;

use redb::backends::InMemoryBackend;
use redb::{Database, StorageBackend};

use crate::model::revision::StoreId;

use super::api::StoreError;
use super::embedded::{EmbeddedStore, Medium, new_database};

/// A new empty store in memory.
///
/// # Errors
/// When the engine cannot make its tables.
pub fn open() -> Result<EmbeddedStore, StoreError> {
    EmbeddedStore::over(Memory::new()?)
}

/// Memory that holds a store, and keeps it when the store is closed.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory(Arc<InMemoryBackend>);

// === impl Memory ===

impl Memory {
    /// Memory with an empty store in it.
    pub(super) fn new() -> Result<Self, StoreError> {
        let memory = Self::default();
        new_database(&memory, StoreId::random()).map(|()| memory)
    }
}

impl Medium for Memory {
    fn place(&self) -> &'static str {
        "memory"
    }

    fn open(&self) -> Result<Database, StoreError> {
        let opened = Database::builder().create_with_backend(self.clone());
        opened.map_err(|error| StoreError::Failed { place: self.place().to_owned(), source: error.into() })
    }
}

impl StorageBackend for Memory {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        StorageBackend::read(&*self.0, offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        StorageBackend::write(&*self.0, offset, data)
    }
}
