//! Files of which single bytes are other ones: refused, or the same as before, and never something else.

use std::fs;

use super::super::api::StoreError;
use super::super::backup;
use super::super::dump::Dump;
use super::super::embedded::{EmbeddedStore, FILE_NAME, restore};
use super::Folder;
use super::verify::{Rows, eventful};

/// A file with an eventful store, closed in order.
fn closed() -> Vec<u8> {
    let folder = Folder::new();
    let made = folder.0.path().join("made");
    restore(&Rows::of(&eventful()), &made).unwrap();
    let mut database = redb::Database::open(made.join(FILE_NAME)).unwrap();
    while database.compact().unwrap() {}
    drop(database);
    fs::read(made.join(FILE_NAME)).unwrap()
}

/// A file as a process that was killed left it, without anything to roll back.
fn left() -> Vec<u8> {
    let folder = Folder::new();
    fs::write(folder.0.path().join(FILE_NAME), closed()).unwrap();
    let store = EmbeddedStore::open(folder.0.path()).unwrap();
    let bytes = fs::read(folder.0.path().join(FILE_NAME)).unwrap();
    drop(store);
    bytes
}

/// Opens `whole` with a byte flipped at each of `places`: it is refused by name, or holds what it held.
fn check(whole: &[u8], places: impl Iterator<Item = usize>) -> usize {
    let (folder, expected) = (Folder::new(), Rows::of(&eventful()).rows);
    let file = folder.0.path().join(FILE_NAME);
    let mut found = 0;
    for place in places {
        let mut bytes = whole.to_vec();
        bytes[place] ^= 1 << (place % 8);
        fs::write(&file, &bytes).unwrap();
        match EmbeddedStore::open(folder.0.path()) {
            Ok(store) => {
                assert!(Rows::of(&store).rows == expected, "byte {place} changes what is read");
                backup::verify(&store, "flipped").unwrap();
            }
            Err(refused) => {
                let named = matches!(
                    refused,
                    StoreError::Damaged { .. } | StoreError::Foreign { .. } | StoreError::Failed { .. }
                );
                assert!(named, "byte {place}: {refused:?}");
                found += 1;
            }
        }
    }
    found
}

#[test]
fn a_flipped_byte_is_found_or_changes_nothing() {
    let whole = closed();
    let found = check(&whole, (0..320).step_by(2).chain((320..whole.len()).step_by(499)));
    assert!(found > 40, "only {found} of the flipped bytes were found");
}

#[test]
fn a_flipped_byte_of_a_file_that_a_killed_process_left_is_found_or_changes_nothing() {
    let whole = left();
    let found = check(&whole, (0..320).step_by(7).chain((320..whole.len()).step_by(1_999)));
    assert!(found > 20, "only {found} of the flipped bytes were found");
}

#[test]
fn rows_that_were_changed_behind_the_engine_are_found_by_verification() {
    use redb::{Database, ReadableTable as _, TableDefinition};
    const REQUESTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("requests");
    const TIMES: TableDefinition<'_, (i64, &str), ()> = TableDefinition::new("request_times");
    const CREDENTIALS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("credentials");
    let check = |expected: &str, tamper: fn(&redb::WriteTransaction)| {
        let folder = Folder::new();
        fs::write(folder.0.path().join(FILE_NAME), closed()).unwrap();
        let database = Database::open(folder.0.path().join(FILE_NAME)).unwrap();
        let transaction = database.begin_write().unwrap();
        tamper(&transaction);
        transaction.commit().unwrap();
        drop(database);
        let store = EmbeddedStore::open(folder.0.path()).unwrap();
        let refused = store.dump(&mut Rows::default()).unwrap_err();
        assert!(refused.is_damage() && format!("{refused:?}").contains(expected), "{refused:?}");
    };
    check("request `first`", |it| drop(it.open_table(REQUESTS).unwrap().insert("first", &b"\x01{}"[..]).unwrap()));
    check("table `request_times`", |it| drop(it.open_table(REQUESTS).unwrap().remove("first").unwrap()));
    check("it is not found by its time", |it| it.open_table(TIMES).unwrap().retain(|_, ()| false).unwrap());
    check("credential `other`", |it| {
        let mut table = it.open_table(CREDENTIALS).unwrap();
        let value = table.get("holder").unwrap().unwrap().value().to_vec();
        drop(table.insert("other", value.as_slice()).unwrap());
    });
}
