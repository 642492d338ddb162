//! Backups: what is written, what is refused, and what is left as it was.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::api::{Store, StoreError};
use super::super::backup::{self, BackupFile};
use super::super::dump::{Dump, DumpError, Row, Sink};
use super::super::embedded::{EmbeddedStore, FILE_NAME, restore};
use super::verify::{Rows, eventful};
use super::{Folder, account, commit, contents, puts};

fn path(folder: &Folder) -> PathBuf {
    folder.0.path().join("backup.dwb")
}

/// A folder with a backup of an eventful store.
fn backed_up() -> (Folder, EmbeddedStore) {
    let (folder, store) = (Folder::new(), eventful());
    backup::write(&store, "memory", &path(&folder), false).unwrap();
    (folder, store)
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

/// Whether a backup with these bytes is refused, and how.
fn refused(folder: &Folder, bytes: &[u8]) -> DumpError {
    let file = folder.0.path().join("changed.dwb");
    fs::write(&file, bytes).unwrap();
    let opened = BackupFile::open(&file);
    opened.and_then(|file| backup::verify(&file, &file.place())).expect_err("it is taken for whole")
}

#[test]
fn a_restored_store_is_the_one_that_was_backed_up_under_another_identity() {
    let (folder, store) = backed_up();
    let file = BackupFile::open(&path(&folder)).unwrap();
    assert_eq!(Rows::of(&file), Rows::of(&store));

    let made = folder.0.path().join("a/b");
    let id = restore(&file, &made).unwrap();
    assert_eq!(names(&made), [FILE_NAME]);
    let restored = EmbeddedStore::open(&made).unwrap();
    assert_eq!(restored.id(), id);
    assert_ne!(restored.id(), store.id());
    assert_eq!(contents(&restored.state()), contents(&store.state()));
    assert_eq!(Rows::of(&restored).rows, Rows::of(&store).rows);
    backup::verify(&restored, "restored").unwrap();

    let next = commit(&restored, puts([account(7, "seven")])).unwrap();
    assert_eq!(next.revision, store.state().revision.next().unwrap());
}

#[test]
fn a_file_that_is_there_stays_unless_it_is_to_be_overwritten() {
    let (folder, store) = backed_up();
    let before = fs::read(path(&folder)).unwrap();
    commit(&store, puts([account(7, "seven")])).unwrap();
    let refused = backup::write(&store, "memory", &path(&folder), false).unwrap_err();
    assert!(matches!(refused, DumpError::Taken { .. }) && refused.to_string().contains("--overwrite"), "{refused}");
    assert_eq!(fs::read(path(&folder)).unwrap(), before);
    backup::write(&store, "memory", &path(&folder), true).unwrap();
    assert_eq!(Rows::of(&BackupFile::open(&path(&folder)).unwrap()), Rows::of(&store));
    assert_eq!(names(folder.0.path()), ["backup.dwb"], "nothing else is left");
}

/// A store that fails after some of its rows.
struct Failing(Rows, usize);

impl Dump for Failing {
    fn dump(&self, sink: &mut dyn Sink) -> Result<(), DumpError> {
        sink.head(&self.0.head.unwrap())?;
        self.0.rows.iter().take(self.1).try_for_each(|row| sink.row(row.clone()))?;
        let source = "the disk is gone".into();
        Err(StoreError::Failed { place: "disk".to_owned(), source }.into())
    }
}

#[test]
fn a_backup_that_cannot_be_finished_leaves_the_one_before() {
    let (folder, store) = backed_up();
    let before = fs::read(path(&folder)).unwrap();
    let failing = Failing(Rows::of(&store), 7);
    backup::write(&failing, "disk", &path(&folder), true).unwrap_err();

    let mut damaged = Rows::of(&store);
    damaged.rows.retain(|row| !matches!(row, Row::Event(_)));
    let refused = backup::write(&damaged, "rows", &path(&folder), true).unwrap_err();
    assert!(refused.is_damage(), "{refused}");
    assert_eq!(fs::read(path(&folder)).unwrap(), before);
    assert_eq!(names(folder.0.path()), ["backup.dwb"]);
}

#[test]
fn every_flipped_byte_of_a_backup_is_found() {
    let (folder, _store) = backed_up();
    let whole = fs::read(path(&folder)).unwrap();
    let edges = (0..64).chain(whole.len() - 64..whole.len());
    for place in edges.chain((64..whole.len() - 64).step_by(97)) {
        let mut bytes = whole.clone();
        bytes[place] ^= 1 << (place % 8);
        let refused = refused(&folder, &bytes);
        let known = if place < 20 { matches!(refused, DumpError::Foreign { .. }) } else { refused.is_damage() };
        assert!(known, "byte {place}: {refused}");
    }
}

#[test]
fn a_backup_of_another_length_is_found() {
    let (folder, _store) = backed_up();
    let whole = fs::read(path(&folder)).unwrap();
    for kept in (0..60).chain((60..whole.len()).step_by(997)).chain([whole.len() - 1]) {
        let refused = refused(&folder, &whole[..kept]);
        let known = if kept < 20 { matches!(refused, DumpError::Foreign { .. }) } else { refused.is_damage() };
        assert!(known, "{kept} bytes: {refused}");
    }
    assert!(refused(&folder, &[whole.as_slice(), b"x"].concat()).is_damage());
}

#[test]
fn a_backup_of_another_version_is_refused_by_its_number() {
    let (folder, _store) = backed_up();
    let mut bytes = fs::read(path(&folder)).unwrap();
    bytes[19] = 2;
    let text = refused(&folder, &bytes).to_string();
    assert!(text.contains("it has version 2, this version reads 1"), "{text}");
}

#[test]
fn frames_that_are_not_in_order_are_found_even_with_the_right_sum() {
    use sha2::{Digest as _, Sha256};
    let (folder, _store) = backed_up();
    let whole = fs::read(path(&folder)).unwrap();
    let head = 5 + usize::try_from(u32::from_be_bytes(whole[21..25].try_into().unwrap())).unwrap();
    let (prefix, frames) = (&whole[..20], &whole[20..whole.len() - 32]);
    for (frames, expected) in [
        (frames[head..].to_vec(), "in the wrong place"),
        ([frames, frames].concat(), "something follows the last frame"),
        (frames[..head].to_vec(), "it ends before its last frame"),
        ([&frames[..head], &frames[..head]].concat(), "a frame of kind 0 is in the wrong place"),
        ([&frames[..head], b"\x01\xff\xff\xff\xff{}"].concat(), "a frame is longer than the file"),
        ([&frames[..head], b"\x09\x00\x00\x00\x00"].concat(), "a frame of kind 9 is in the wrong place"),
        ([&frames[..head], b"\x01\x00\x00\x00\x02\x02{"].concat(), "the value has version 2"),
    ] {
        let file = [prefix, &frames].concat();
        let sum = Sha256::digest(&file);
        let text = refused(&folder, &[file.as_slice(), sum.as_slice()].concat()).to_string();
        assert!(text.contains(expected), "`{expected}` is not in: {text}");
    }
}

#[test]
fn a_store_is_restored_into_nothing_else_than_an_empty_folder() {
    let (folder, _store) = backed_up();
    let file = BackupFile::open(&path(&folder)).unwrap();
    let refused = restore(&file, folder.0.path()).unwrap_err();
    assert!(refused.to_string().contains("is not empty"), "{refused}");
    assert_eq!(names(folder.0.path()), ["backup.dwb"]);
    restore(&file, Folder::new().0.path()).unwrap();
}

#[test]
fn what_a_killed_restore_left_is_in_nobodys_way() {
    let (folder, _store) = backed_up();
    let file = BackupFile::open(&path(&folder)).unwrap();
    let made = folder.0.path().join("made");
    fs::create_dir(&made).unwrap();
    fs::write(made.join(".doorward-store-killed"), "a part").unwrap();
    fs::write(made.join("theirs"), "something").unwrap();
    assert!(restore(&file, &made).unwrap_err().to_string().contains("is not empty"));
    fs::remove_file(made.join("theirs")).unwrap();
    restore(&file, &made).unwrap();
    assert_eq!(names(&made), [FILE_NAME]);
}

#[test]
fn a_restore_that_cannot_be_finished_leaves_no_store() {
    let (folder, store) = backed_up();
    let made = folder.0.path().join("made");
    restore(&Failing(Rows::of(&store), 7), &made).unwrap_err();
    assert_eq!(names(&made), Vec::<String>::new());
}

/// No file can be made there, not even by the superuser.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_takes_no_file_is_named() {
    let (folder, store) = backed_up();
    let file = BackupFile::open(&path(&folder)).unwrap();
    for refused in [
        backup::write(&store, "memory", Path::new("/proc/self/backup.dwb"), false).unwrap_err(),
        restore(&file, Path::new("/proc/self/nowhere")).unwrap_err(),
    ] {
        assert!(refused.to_string().contains("`/proc/self"), "{refused}");
        assert!(!refused.is_damage(), "{refused}");
    }
}

#[test]
fn a_store_whose_load_did_not_end_is_not_backed_up() {
    let (folder, store) = (Folder::new(), eventful());
    store.set_loading(true).unwrap();
    let refused = backup::write(&store, "memory", &path(&folder), false).unwrap_err();
    assert!(matches!(refused, DumpError::Loading { .. }), "{refused}");
    assert_eq!(names(folder.0.path()), Vec::<String>::new());
}
