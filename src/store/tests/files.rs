//! What is refused instead of opened, and that it is left as it was.

use std::fs;
use std::path::{Path, PathBuf};

use redb::{Database, TableDefinition};

use super::super::api::StoreError;
use super::super::embedded::{EmbeddedStore, FILE_NAME};
use super::super::format::{InvalidValue, VALUE_VERSION, decode, encode, row, rows_of};
use super::{Folder, Place, account, account_id, environment, furnished, owned};
use crate::model::revision::Revision;

const META: TableDefinition<'_, &str, &str> = TableDefinition::new("meta");
const OBJECTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("objects");

fn file(folder: &Folder) -> PathBuf {
    folder.0.path().join(FILE_NAME)
}

/// Opens the folder, which is refused with a text that holds `expected`; the file stays as it was.
fn check(folder: &Path, expected: &str) {
    let path = folder.join(FILE_NAME);
    let before = fs::read(&path).ok();
    let refused = EmbeddedStore::open(folder).unwrap_err();
    let text = refused.to_string();
    assert!(text.contains(expected), "{text}");
    assert!(text.contains(&format!("`{}", folder.display())), "{text} does not name the place");
    assert_eq!(fs::read(&path).ok(), before, "{text}, but the file was changed");
}

/// Writes rows into the file of a closed store, behind its back.
fn tamper(folder: &Folder, rows: impl FnOnce(&redb::WriteTransaction)) {
    let database = Database::open(file(folder)).unwrap();
    let transaction = database.begin_write().unwrap();
    rows(&transaction);
    transaction.commit().unwrap();
}

fn set_meta(folder: &Folder, name: &str, value: &str) {
    tamper(folder, |transaction| drop(transaction.open_table(META).unwrap().insert(name, value).unwrap()));
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    for contents in [&b""[..], b"hello", &[0; 8192], &vec![b'x'; 100_000]] {
        let folder = Folder::new();
        fs::write(file(&folder), contents).unwrap();
        check(folder.0.path(), "is no store of Doorward");
    }
}

#[test]
fn a_database_of_something_else_is_refused() {
    let folder = Folder::new();
    let database = Database::create(file(&folder)).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(TableDefinition::<u64, u64>::new("other")).unwrap();
    transaction.commit().unwrap();
    drop(database);
    check(folder.0.path(), "its tables are not those of a store");
}

#[test]
fn a_truncated_file_is_refused() {
    let folder = Folder::new();
    drop(furnished(&folder));
    let whole = fs::read(file(&folder)).unwrap();
    for (kept, expected) in [
        (whole.len() - 1, "is damaged"),
        (whole.len() / 2, "is damaged"),
        (8192, "is damaged"),
        (100, "is no store of Doorward"),
        (0, "is no store of Doorward"),
    ] {
        fs::write(file(&folder), &whole[..kept]).unwrap();
        check(folder.0.path(), expected);
    }
    fs::write(file(&folder), &whole).unwrap();
    assert_eq!(folder.open().state().revision, Revision::new(1));
}

/// The folder of a process that was killed, as the next one finds it.
fn left_by_a_killed_process(format: &str) -> Folder {
    let (folder, left) = (Folder::new(), Folder::new());
    drop(furnished(&folder));
    set_meta(&folder, "format", format);
    let database = Database::open(file(&folder)).unwrap();
    fs::copy(file(&folder), file(&left)).unwrap();
    drop(database);
    left
}

#[test]
fn a_file_left_by_a_killed_process_is_opened() {
    let left = left_by_a_killed_process("2");
    assert_eq!(left.open().state().revision, Revision::new(1));
}

#[test]
fn a_file_left_by_a_killed_process_is_refused_like_any_other() {
    let refused = EmbeddedStore::open(left_by_a_killed_process("3").0.path()).unwrap_err();
    assert!(matches!(refused, StoreError::Format { .. }), "{refused:?}");

    let left = left_by_a_killed_process("2");
    let whole = fs::read(file(&left)).unwrap();
    fs::write(file(&left), &whole[..whole.len() / 2]).unwrap();
    check(left.0.path(), "is damaged");
}

#[test]
fn another_format_is_refused() {
    for format in ["0", "3", "99"] {
        let folder = Folder::new();
        drop(furnished(&folder));
        set_meta(&folder, "format", format);
        check(folder.0.path(), &format!("has store format `{format}`, this version reads `2`"));
    }
}

#[test]
fn rows_that_do_not_belong_together_are_refused() {
    for (name, value, expected) in [
        ("head", "7", "damaged at the end of the log"),
        ("log_start", "x", "damaged at row `log_start`"),
        ("audit_start", "x", "damaged at row `audit_start`"),
        ("head", "x", "damaged at row `head`"),
        ("store", "x", "damaged at row `store`"),
    ] {
        let folder = Folder::new();
        drop(furnished(&folder));
        set_meta(&folder, name, value);
        let refused = EmbeddedStore::open(folder.0.path()).unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
    }
}

#[test]
fn an_object_that_cannot_be_read_is_named() {
    let key = row(&account(1, "one").key());
    for value in [&b""[..], b"\x02{}", b"\x01{}", &encode(&furnished_record()).unwrap()] {
        let folder = Folder::new();
        drop(furnished(&folder));
        tamper(&folder, |transaction| {
            drop(transaction.open_table(OBJECTS).unwrap().insert(key.as_str(), value).unwrap());
        });
        let refused = EmbeddedStore::open(folder.0.path()).unwrap_err().to_string();
        assert!(refused.contains(&format!("damaged at object `{key}`")), "{refused}");
    }
}

/// The record of another object than the one whose row it is put into.
fn furnished_record() -> crate::model::object::Record<crate::model::object::Object> {
    furnished(&Folder::new()).state().record(&account(2, "two").key()).unwrap()
}

#[test]
fn a_second_opener_is_refused() {
    let folder = Folder::new();
    let first = folder.open();
    check(folder.0.path(), "is in use by another process");
    drop(first);
    drop(folder.open());
}

#[test]
fn a_folder_that_cannot_be_used_is_refused() {
    let folder = Folder::new();
    let taken = folder.0.path().join("taken");
    fs::write(&taken, "a file").unwrap();
    for path in [taken.clone(), taken.join("below")] {
        let refused = EmbeddedStore::open(&path).unwrap_err();
        assert!(matches!(refused, StoreError::Access { .. }), "{refused:?}");
        assert!(refused.to_string().contains("cannot be opened for writing"), "{refused}");
    }
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::PermissionsExt;

    use super::{EmbeddedStore, Folder, StoreError, check, file, fs, furnished};

    fn mode(path: &std::path::Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn set_mode(path: &std::path::Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn folder_and_file_are_for_this_user_alone() {
        let folder = Folder::new();
        let made = folder.0.path().join("a/b");
        drop(EmbeddedStore::open(&made).unwrap());
        assert_eq!((mode(&made), mode(&made.join(super::FILE_NAME))), (0o700, 0o600));
        assert_eq!(fs::read_dir(&made).unwrap().count(), 1, "nothing else is left in the folder");
    }

    /// Whether modes bind this process; they do not bind the superuser.
    fn modes_bind(folder: &Folder) -> bool {
        fs::write(folder.0.path().join("probe"), "").is_err()
    }

    /// No file can be made there, not even by the superuser.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_that_takes_no_file_is_refused() {
        check(std::path::Path::new("/proc/self"), "cannot be opened for writing");
    }

    #[test]
    fn a_read_only_folder_is_refused() {
        let folder = Folder::new();
        set_mode(folder.0.path(), 0o500);
        if modes_bind(&folder) {
            check(folder.0.path(), "cannot be opened for writing");
        }
        set_mode(folder.0.path(), 0o700);
    }

    #[test]
    fn a_read_only_file_is_refused() {
        let folder = Folder::new();
        drop(furnished(&folder));
        set_mode(&file(&folder), 0o400);
        set_mode(folder.0.path(), 0o500);
        if modes_bind(&folder) {
            let refused = EmbeddedStore::open(folder.0.path()).unwrap_err();
            assert!(matches!(refused, StoreError::Access { .. }), "{refused:?}");
        }
        set_mode(folder.0.path(), 0o700);
    }
}

#[test]
fn a_value_says_which_version_it_has() {
    let bytes = encode(&account(1, "one")).unwrap();
    assert_eq!(bytes.first(), Some(&VALUE_VERSION));
    assert_eq!(decode::<crate::model::object::Object>(&bytes).unwrap(), account(1, "one"));
    assert!(matches!(decode::<u8>(&[]), Err(InvalidValue::Empty)));
    assert!(matches!(decode::<u8>(&[9, b'1']), Err(InvalidValue::Version(9))));
    assert!(matches!(decode::<u8>(&[VALUE_VERSION, b'x']), Err(InvalidValue::Form(_))));
}

#[test]
fn the_rows_of_an_account_are_one_range_that_begins_with_it() {
    let rows = rows_of(account_id(1));
    let own = row(&account(1, "one").key());
    for noun in 0..super::OWNED {
        let (mine, other) = (row(&owned(noun, 1, 1, 1).key()), row(&owned(noun, 2, 1, 1).key()));
        assert!(rows.contains(&mine) && own < mine && !rows.contains(&other), "{mine} {other}");
    }
    assert!(rows.contains(&own) && row(&super::global().key()) < own);
    assert!(!rows.contains(&row(&environment(2, "e", "n").key())));
}
