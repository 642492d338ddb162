//! A file of format 1, as the version of that format wrote it, and what becomes of it.

use std::fs;
use std::time::Duration;

use super::super::api::{Retention, Store};
use super::super::backup;
use super::super::embedded::{EmbeddedStore, FILE_NAME};
use super::power::{Disk, REACHED};
use super::{Folder, account, commit, puts, request};
use crate::model::revision::Revision;

/// A furnished store; then three commits with the request ids `request-3` to `request-5` and digests of that number,
/// one that deletes account 3, and the credential `fixture`.
const FORMAT_1: &[u8] = include_bytes!("fixtures/format-1.redb");
const ID: &str = "16da0c6cacba42d580eadd20cbca9abc";

/// Everything that was in the file is there, and what is new works.
fn check(store: &dyn Store) {
    assert_eq!(store.id().to_string(), ID);
    assert_eq!(store.state().revision, Revision::new(5));
    assert_eq!(store.state().records().count(), 3 + 2 * usize::from(super::OWNED) + 4);
    let log = store.changes_after(Revision::ZERO, 10).unwrap();
    assert!(log.iter().map(|entry| entry.revision.get()).eq(1..=5));
    assert_eq!(store.log_start().unwrap(), Revision::ZERO);
    assert_eq!(store.audit_after(Revision::ZERO, 10).unwrap(), [], "the audit begins with the upgrade");
    for number in 3..6_u8 {
        let answer = store.replay(&request(&format!("request-{number}"), number)).unwrap();
        assert_eq!(answer.unwrap().revision.get(), u64::from(number) - 1);
    }
    assert_eq!(store.credentials().unwrap()[0].public_id, "fixture");
    assert!(!store.is_loading().unwrap());

    commit(store, puts([account(9, "nine")])).unwrap();
    assert_eq!(store.audit_after(Revision::ZERO, 10).unwrap()[0].revision, Revision::new(6));
    let retention = Retention { commits: 1, requests: Duration::ZERO, audit: Duration::ZERO };
    let done = store.compact(&retention, super::at(1_000)).unwrap();
    assert_eq!((done.commits, done.requests, done.audit), (5, 3, 1));
}

#[test]
fn a_file_of_format_1_is_upgraded_when_it_is_opened() {
    let folder = Folder::new();
    fs::write(folder.0.path().join(FILE_NAME), FORMAT_1).unwrap();
    let counts = backup::verify(&EmbeddedStore::open(folder.0.path()).unwrap(), "upgraded").unwrap().counts;
    assert_eq!((counts.commits, counts.events, counts.requests, counts.credentials), (5, 0, 3, 1));
    check(&EmbeddedStore::open(folder.0.path()).unwrap());
    let counts = backup::verify(&EmbeddedStore::open(folder.0.path()).unwrap(), "compacted").unwrap().counts;
    assert_eq!((counts.commits, counts.events, counts.requests, counts.credentials), (1, 0, 0, 1));
}

#[test]
fn a_file_of_format_1_that_a_killed_process_left_is_upgraded_too() {
    let (folder, left) = (Folder::new(), Folder::new());
    let [held, copy] = [&folder, &left].map(|it| it.0.path().join(FILE_NAME));
    fs::write(&held, FORMAT_1).unwrap();
    let database = redb::Database::open(&held).unwrap();
    fs::copy(&held, copy).unwrap();
    drop(database);
    check(&EmbeddedStore::open(left.0.path()).unwrap());
}

#[test]
fn an_upgrade_that_is_cut_off_leaves_a_file_that_is_upgraded_the_next_time() {
    let mut cuts = 0;
    for reached in REACHED {
        for at in 1.. {
            let disk = Disk::holding(FORMAT_1);
            disk.cut(at, reached);
            if EmbeddedStore::over(disk.clone()).is_ok() {
                break;
            }
            cuts += 1;
            disk.power_on();
            check(&disk.store());
        }
    }
    assert!(cuts >= REACHED.len(), "only {cuts} cuts");
}
