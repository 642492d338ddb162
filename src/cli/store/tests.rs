//! Each command over real folders: what it says, and with which code it ends.

use std::fs;
use std::path::Path;

use clap::Parser;
use tempfile::TempDir;

use super::{StoreArgs, run};
use crate::clock::Clock;
use crate::store::api::Store;
use crate::store::embedded::{EmbeddedStore, FILE_NAME};

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    store: StoreArgs,
}

const STATE: &str = "
account: {id: 5f0c6d0e-8a1b-4c3d-9e2f-7a6b5c4d3e2f, name: Example}
groups: [{name: Readers}]
users: [{email: ada@example.com, groups: [Readers]}]
";

/// Runs `line`, in which `@` is the folder; gives the code, and what was said.
fn said(folder: &TempDir, line: &str) -> (u8, String) {
    let line = line.replace('@', &format!("{}/", folder.path().display()));
    let args = Command::try_parse_from(std::iter::once("store").chain(line.split_whitespace())).unwrap().store;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = run(&args, &Clock::system(), &mut out, &mut err);
    (code, String::from_utf8([out, err].concat()).unwrap())
}

fn check(folder: &TempDir, line: &str, code: u8, expected: &[&str]) {
    let (found, text) = said(folder, line);
    assert_eq!(found, code, "{line}: {text}");
    for part in expected {
        assert!(text.contains(part), "`{part}` is not in what `{line}` says: {text}");
    }
}

fn loaded() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("state.yaml"), STATE).unwrap();
    check(&folder, "load @state.yaml --directory @data", 0, &["holds 5 objects", "at revision 1"]);
    folder
}

#[test]
fn a_store_goes_through_a_backup_and_is_whole() {
    let folder = loaded();
    let counted = ["at revision 1", "5 objects", "references between them", "1 audit events"];
    check(&folder, "verify --directory @data", 0, &[&["is whole"], &counted[..]].concat());
    check(&folder, "backup --directory @data @b.dwb", 0, &[&["is a backup of"], &counted[..]].concat());
    check(&folder, "verify @b.dwb", 0, &[&["is whole"], &counted[..]].concat());
    check(
        &folder,
        "restore @b.dwb --directory @again",
        0,
        &[&["It has an identity of its own"], &counted[..]].concat(),
    );
    check(&folder, "verify --directory @again", 0, &counted);
    check(&folder, "backup --directory @data @b.dwb", 2, &["b.dwb` is there already", "--overwrite"]);
    check(&folder, "backup --directory @data @b.dwb --overwrite", 0, &[]);
    check(&folder, "restore @b.dwb --directory @again", 2, &["is not empty"]);
}

#[test]
fn what_is_not_there_is_made_by_nothing_but_a_load_and_a_restore() {
    let folder = tempfile::tempdir().unwrap();
    for line in [
        "backup @b.dwb",
        "verify",
        "load --generate S",
        "backup --etcd-endpoints http://192.0.2.1:2379 @b.dwb",
        "backup --directory @data @b.dwb",
        "verify --directory @data",
        "verify @b.dwb",
        "restore @b.dwb --directory @data",
        "load @state.yaml --directory @data",
    ] {
        check(&folder, line, 2, &["error: "]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "`{line}` made something");
    }
}

#[test]
fn what_is_damaged_ends_with_1_and_makes_nothing() {
    let folder = loaded();
    check(&folder, "backup --directory @data @b.dwb", 0, &[]);
    let flip = |name: &Path| {
        let mut bytes = fs::read(name).unwrap();
        let place = bytes.len() / 2;
        bytes[place] ^= 1;
        fs::write(name, bytes).unwrap();
    };
    flip(&folder.path().join("b.dwb"));
    check(&folder, "verify @b.dwb", 1, &["b.dwb` is damaged at its sum"]);
    check(&folder, "restore @b.dwb --directory @again", 1, &["is damaged"]);
    assert!(!folder.path().join("again").exists());

    let file = folder.path().join("data").join(FILE_NAME);
    let length = fs::metadata(&file).unwrap().len();
    fs::File::options().write(true).open(&file).unwrap().set_len(length / 2).unwrap();
    check(&folder, "verify --directory @data", 1, &["doorward.redb` is damaged"]);
    check(&folder, "backup --directory @data @new.dwb", 1, &["is damaged"]);
    assert!(!folder.path().join("new.dwb").exists());
}

#[test]
fn a_store_in_use_is_named() {
    let folder = loaded();
    let _held = EmbeddedStore::open(&folder.path().join("data")).unwrap();
    check(&folder, "backup --directory @data @b.dwb", 2, &["is backed up by `--address`"]);
    for line in ["backup --directory @data @b.dwb", "verify --directory @data", "load @state.yaml --directory @data"] {
        check(&folder, line, 2, &["is in use by another process"]);
    }
}

#[test]
fn a_generated_account_is_loaded_in_several_commits() {
    let folder = tempfile::tempdir().unwrap();
    check(&folder, "load --generate S --directory @a --seed 7", 0, &["objects, loaded in"]);
    check(&folder, "verify --directory @a", 0, &["0 commits in the log"]);
    let state = |name: &str| EmbeddedStore::open(&folder.path().join(name)).unwrap().state();
    let workload = crate::workload::Workload::new(crate::workload::Size::S.dimensions(), 7);
    let values = |state: &crate::model::state::State| state.records().map(|record| record.value).collect::<Vec<_>>();
    assert!(values(&state("a")) == values(&workload.state().unwrap()));
}

#[test]
fn a_store_that_holds_something_is_not_loaded_into() {
    let folder = loaded();
    check(&folder, "load --generate S --directory @data", 2, &["data` is not empty"]);
    check(&folder, "verify --directory @data", 0, &["at revision 1"]);
}

#[test]
fn a_load_that_did_not_end_is_refused_by_everything() {
    let folder = loaded();
    EmbeddedStore::open(&folder.path().join("data")).unwrap().set_loading(true).unwrap();
    let expected = ["holds the part of a load that did not end; delete it and load it anew"];
    check(&folder, "load @state.yaml --directory @data", 2, &["holds the part of a load that did not end"]);
    check(&folder, "backup --directory @data @b.dwb", 2, &expected);
    check(&folder, "verify --directory @data", 2, &expected);
}

#[test]
fn a_state_file_with_errors_makes_no_store() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("state.yaml"), STATE.replace("[Readers]", "[Writers]")).unwrap();
    check(&folder, "load @state.yaml --directory @data", 2, &["is refused whole", "Writers"]);
    assert!(!folder.path().join("data").exists());
}

#[test]
fn one_store_is_named() {
    let folder = loaded();
    check(&folder, "backup --directory @data @b.dwb", 0, &[]);
    let etcd = "--etcd-endpoints http://127.0.0.1:1";
    check(&folder, &format!("verify @b.dwb {etcd}"), 2, &["name one thing to verify"]);
    for line in ["restore @b.dwb --directory @new", "verify --directory @data", "load @state.yaml --directory @new"] {
        for named in [etcd, "--etcd-prefix /d/", "--etcd-username u"] {
            check(&folder, &format!("{line} {named}"), 2, &["name one store"]);
        }
    }
    assert!(!folder.path().join("new").exists());
}

#[test]
fn a_store_that_is_served_is_named_by_itself() {
    let folder = loaded();
    fs::write(folder.path().join("token"), "dwa01.x.y").unwrap();
    let here = "backup --address 127.0.0.1:1 --token-file @token @b.dwb";
    for named in ["--directory @data", "--etcd-endpoints http://127.0.0.1:1", "--etcd-prefix /d/"] {
        check(&folder, &format!("{here} {named}"), 2, &["name one store", "`--address` is one that is served"]);
    }
    check(&folder, "backup --address 127.0.0.1:1 @b.dwb", 2, &["127.0.0.1:1 asks for the root", "`--token-file`"]);
    check(&folder, "backup --directory @data --token-file @token @b.dwb", 2, &["by `--address`"]);
    check(&folder, "backup --token-file @token @b.dwb", 2, &["by `--address`"]);
    check(&folder, "backup @b.dwb", 2, &["`--address` where it is served"]);
    check(&folder, &here.replace("@token", "@none"), 2, &["none` cannot be read"]);
    // Nobody is there, or it is not this machine.
    check(&folder, here, 2, &["nothing answers at 127.0.0.1:1"]);
    check(&folder, &here.replace("127.0.0.1", "192.0.2.1"), 2, &["192.0.2.1:1 is not on this machine"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "nothing but state, data and token");
    fs::write(folder.path().join("b.dwb"), "theirs").unwrap();
    check(&folder, here, 2, &["b.dwb` is there already", "--overwrite"]);
    assert_eq!(fs::read(folder.path().join("b.dwb")).unwrap(), b"theirs");
}

#[test]
fn options_that_exclude_each_other_are_refused() {
    for line in [
        "verify b.dwb --directory d",
        "load --directory d",
        "load f.yaml --generate S --directory d",
        "load f.yaml --seed 3 --directory d",
        "load --generate XXL --directory d",
        "restore --directory d",
        "restore b.dwb --address 127.0.0.1:7072",
        "verify --address 127.0.0.1:7072",
        "load f.yaml --address 127.0.0.1:7072",
    ] {
        let parsed = Command::try_parse_from(std::iter::once("store").chain(line.split_whitespace()));
        assert!(parsed.is_err(), "`{line}` is taken");
    }
}
