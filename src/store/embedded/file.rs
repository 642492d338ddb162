//! The file of a store: how it is made, what is refused instead of opened.

use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Database, DatabaseError, ReadOnlyDatabase, ReadableDatabase, StorageError};
use tempfile::NamedTempFile;

use crate::durable::{make_folder, sync_names};
use crate::model::revision::StoreId;

use super::super::api::StoreError;
use super::{Medium, tables};

/// The name of the file in the data folder.
pub const FILE_NAME: &str = "doorward.redb";

/// What the name of a store begins with that is not whole yet.
const DRAFT: &str = ".doorward-store-";

/// A file that holds a store.
#[derive(Debug)]
pub(super) struct StoreFile {
    path: PathBuf,
    place: String,
}

/// A store under another name: a file of the right name is whole, whenever the power goes.
pub(super) struct Draft {
    path: PathBuf,
    folder: PathBuf,
    file: NamedTempFile,
    database: Database,
}

// === impl Draft ===

impl Draft {
    /// What is to be filled.
    pub(super) const fn database(&self) -> &Database {
        &self.database
    }

    /// Gives the store its name, durably. `false` where another process was faster.
    pub(super) fn keep(self) -> Result<bool, StoreError> {
        let Self { path, folder, file, database } = self;
        let denied = |source| access(&folder, source);
        drop(database);
        file.as_file().sync_all().map_err(denied)?;
        match file.persist_noclobber(&path) {
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(denied(error.error)),
            Ok(_) => sync_names(&folder).map_err(denied).map(|()| true),
        }
    }
}

/// The drafts in `folder`; `None` where something else is there. Those of a process that was killed stay until they are deleted.
pub(super) fn drafts(folder: &Path) -> io::Result<Option<Vec<PathBuf>>> {
    let mut drafts = Vec::new();
    for entry in folder.read_dir()? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(DRAFT) {
            return Ok(None);
        }
        drafts.push(entry.path());
    }
    Ok(Some(drafts))
}

// === impl StoreFile ===

impl StoreFile {
    /// The file in `folder`; both are made where they are missing.
    pub(super) fn in_folder(folder: &Path) -> Result<Self, StoreError> {
        make_folder(folder).map_err(|source| access(folder, source))?;
        let file = Self::at(folder);
        match file.path.try_exists() {
            Err(source) => Err(access(&file.path, source)),
            Ok(true) => file.inspect().map(|()| file),
            Ok(false) => file.create(folder).map(|()| file),
        }
    }

    /// The file in `folder`, which must be there.
    pub(super) fn existing(folder: &Path) -> Result<Self, StoreError> {
        let file = Self::at(folder);
        file.path.metadata().map_err(|source| access(&file.path, source))?;
        file.inspect().map(|()| file)
    }

    /// A new store in `folder` that has no name yet.
    pub(super) fn draft(folder: &Path, id: StoreId) -> Result<Draft, StoreError> {
        make_folder(folder).map_err(|source| access(folder, source))?;
        Self::at(folder).new_draft(folder, id)
    }

    fn at(folder: &Path) -> Self {
        let path = folder.join(FILE_NAME);
        Self { place: path.display().to_string(), path }
    }

    /// Refuses what is no store of this version without writing a byte of it.
    fn inspect(&self) -> Result<(), StoreError> {
        self.caught(|| self.look())?
    }

    fn look(&self) -> Result<(), StoreError> {
        let database = match ReadOnlyDatabase::open(&self.path) {
            Ok(database) => database,
            // Left by a process that was killed: only a writer can repair it, and the format is checked after that.
            Err(DatabaseError::RepairAborted) => return Ok(()),
            Err(error) => return Err(self.refusal(error)),
        };
        let transaction = database.begin_read().map_err(|error| tables::RowError::from(error).at(&self.place))?;
        tables::check_format(&transaction).map_err(|error| error.at(&self.place))
    }

    fn create(&self, folder: &Path) -> Result<(), StoreError> {
        // Where another process was faster, its store is as good.
        self.new_draft(folder, StoreId::random())?.keep().map(|_| ())
    }

    fn new_draft(&self, folder: &Path, id: StoreId) -> Result<Draft, StoreError> {
        let denied = |source| access(folder, source);
        let draft = tempfile::Builder::new().prefix(DRAFT).tempfile_in(folder).map_err(denied)?;
        let backend = draft.reopen().map(FileBackend::new).map_err(denied)?;
        let database = backend.and_then(|backend| Database::builder().create_with_backend(backend));
        let database = database.map_err(|error| self.refusal(error))?;
        tables::initialise(&database, id).map_err(|error| error.at(&self.place))?;
        Ok(Draft { path: self.path.clone(), folder: folder.to_owned(), file: draft, database })
    }

    /// Runs `open`, of which a panic is damage: the engine trusts the sizes in its own header, and a file that lost its
    /// end can make its allocator panic. Nothing of a database that did not open is used afterwards.
    fn caught<T>(&self, open: impl FnOnce() -> T) -> Result<T, StoreError> {
        catch_unwind(AssertUnwindSafe(open)).map_err(|_| StoreError::Damaged {
            place: self.place.clone(),
            row: "its structure".to_owned(),
            source: "the engine stopped while it read the file".into(),
        })
    }

    fn refusal(&self, error: DatabaseError) -> StoreError {
        let place = self.place.clone();
        match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => StoreError::Locked { place },
            DatabaseError::UpgradeRequired(version) => {
                StoreError::Foreign { place, found: format!("it is a database file of the old version {version}") }
            }
            DatabaseError::Storage(StorageError::Io(error)) => match error.kind() {
                ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
                    StoreError::Foreign { place, found: "it is no database file, or only the beginning of one".into() }
                }
                _ => StoreError::Access { place, source: error },
            },
            other => StoreError::Damaged { place, row: "its structure".to_owned(), source: other.into() },
        }
    }
}

impl Medium for StoreFile {
    fn place(&self) -> &str {
        &self.place
    }

    fn open(&self) -> Result<Database, StoreError> {
        // Every page is held against its checksum: rows alone would not show each byte that is another.
        let mut builder = Database::builder();
        builder.set_check_integrity_on_open(true);
        self.caught(|| builder.open(&self.path))?.map_err(|error| self.refusal(error))
    }
}

fn access(place: &Path, source: io::Error) -> StoreError {
    StoreError::Access { place: place.display().to_string(), source }
}
