//! What was kept is read back whole, or is refused with a word about why.

use std::fs;

use tempfile::TempDir;

use super::super::testing::{contents, furnished, group, state, store_id};
use super::*;
use crate::model::object::Object;
use crate::model::scope::Scope;

/// A folder with a state that was kept in it.
struct Home {
    folder: TempDir,
}

// === impl Home ===

impl Home {
    fn new() -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap() };
        home.saved().save(&served(5, furnished())).unwrap();
        home
    }

    fn saved(&self) -> SavedSnapshot {
        self.saved_as(&[], false)
    }

    fn saved_as(&self, accounts: &[&str], accepts_older: bool) -> SavedSnapshot {
        let accounts = accounts.iter().map(|&it| it.to_owned()).collect();
        SavedSnapshot::new(self.folder.path().to_owned(), accounts, accepts_older)
    }

    fn file(&self) -> PathBuf {
        self.saved().path(FILE_NAMES)
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.file()).unwrap()
    }

    fn revision(&self) -> Option<u64> {
        self.saved().load().unwrap().map(|kept| kept.state.revision.get())
    }

    /// What becomes of a file with these bytes. It is left as it is.
    fn refusal(&self, bytes: &[u8]) -> Unusable {
        fs::write(self.file(), bytes).unwrap();
        let refused = self.saved().load().expect_err("a file that is refused");
        assert_eq!(self.bytes(), bytes);
        refused
    }
}

fn served(revision: u64, objects: Vec<Object>) -> Served {
    let confirmed = Moment::from_nanoseconds(77_000_000_005);
    Served { store: store_id(), state: Arc::new(state(revision, objects)), confirmed, signature: Vec::new() }
}

#[test]
fn what_was_kept_is_read_back() {
    let mut objects = furnished();
    // More than a chunk.
    objects.extend((2..200).map(|number| match group(1, number) {
        Object::Group(owner, mut group) => {
            group.description = "x".repeat(8_000);
            Object::Group(owner, group)
        }
        other => other,
    }));
    let home = Home::new();
    let kept = served(6, objects);
    home.saved().save(&kept).unwrap();
    let read = home.saved().load().unwrap().unwrap();
    assert_eq!((read.store, read.confirmed), (kept.store, kept.confirmed));
    assert_eq!(contents(&read.state), contents(&kept.state));
    assert!(home.bytes().len() > 1024 * 1024);
    let names: Vec<_> = fs::read_dir(home.folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "nothing else is left: {names:?}");
}

#[test]
fn where_nothing_was_kept_there_is_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let saved = SavedSnapshot::new(folder.path().join("missing"), Vec::new(), false);
    assert!(saved.load().unwrap().is_none());
}

#[test]
fn a_flipped_bit_is_refused_wherever_it_is() {
    let home = Home::new();
    let good = home.bytes();
    let count = good.len();
    for place in (0..count).filter(|place| *place < 64 || place % 997 == 0 || *place + 40 > count) {
        let mut bytes = good.clone();
        bytes[place] ^= 1 << (place % 8);
        let refused = home.refusal(&bytes);
        let is_told = match place {
            0..16 => matches!(refused, Unusable::Foreign(_)),
            16..20 => matches!(refused, Unusable::Version { .. }),
            _ => matches!(refused, Unusable::Damaged { .. }),
        };
        assert!(is_told, "byte {place}: {refused}");
    }
    fs::write(home.file(), &good).unwrap();
    assert_eq!(home.revision(), Some(5));
}

#[test]
fn a_file_that_is_cut_off_or_goes_on_is_refused() {
    let home = Home::new();
    let good = home.bytes();
    let count = good.len();
    for length in (0..count).filter(|length| *length < 64 || length % 997 == 0 || *length + 40 > count) {
        assert!(matches!(home.refusal(&good[..length]), Unusable::Damaged { .. }), "{length}");
    }
    let mut longer = good;
    longer.push(0);
    assert!(matches!(home.refusal(&longer), Unusable::Damaged { .. }));
}

#[test]
fn another_file_another_version_and_a_frame_without_end_are_refused_by_name() {
    let home = Home::new();
    let mut bytes = home.bytes();
    assert!(home.refusal(b"SQLite format 3\0 and more of it").to_string().contains("no snapshot of a sidecar"));
    bytes[16..20].copy_from_slice(&9_u32.to_le_bytes());
    assert!(home.refusal(&bytes).to_string().contains("version 9"));
    bytes[16..20].copy_from_slice(&VERSION.to_le_bytes());
    bytes[20..24].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(home.refusal(&bytes).to_string().contains("4294967295 bytes"));
}

#[test]
fn a_file_of_another_scope_is_not_used() {
    let home = Home::new();
    let refused = home.saved_as(&["one/prod"], false).load().unwrap_err();
    assert!(matches!(refused, Unusable::Scope(_)), "{refused}");
}

#[test]
fn an_older_revision_is_refused_unless_it_is_asked_for() {
    let home = Home::new();
    let old = home.bytes();
    home.saved().save(&served(9, furnished())).unwrap();
    // The file of before is put back, and a state of before is to be kept.
    let refused = home.refusal(&old);
    assert!(refused.to_string().contains("revision 5") && refused.to_string().contains('9'), "{refused}");
    assert!(matches!(home.saved().save(&served(8, furnished())), Err(Unusable::Older { .. })));
    let asked = home.saved_as(&[], true);
    assert_eq!(asked.load().unwrap().unwrap().state.revision.get(), 5);
    asked.save(&served(8, furnished())).unwrap();
    assert_eq!(home.revision(), Some(8), "from then on it is the newest");
    // Revisions of another store have no order with these.
    let other = Served { store: StoreId::random(), ..served(1, furnished()) };
    home.saved().save(&other).unwrap();
    assert_eq!(home.revision(), Some(1));
}

/// A disk that is full after so many bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = bytes.len().min(self.0);
        self.0 -= written;
        if written == 0 { Err(ErrorKind::StorageFull.into()) } else { Ok(written) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_keeps_what_was_kept_before() {
    let home = Home::new();
    let good = home.bytes();
    for room in [0, 10, 100, good.len() - 1] {
        let full = home.saved().replace(FILE_NAMES, |_| home.saved().write(&served(6, furnished()), Full(room)));
        assert_eq!(full.unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(home.bytes(), good);
    }
    assert_eq!(home.revision(), Some(5));
    assert_eq!(fs::read_dir(home.folder.path()).unwrap().count(), 2, "no half of a file is left");
}

#[test]
fn a_folder_that_cannot_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let saved = SavedSnapshot::new(file.clone(), Vec::new(), false);
    let refused = saved.save(&served(1, furnished())).unwrap_err();
    assert!(refused.to_string().contains(&file.display().to_string()), "{refused}");
    assert!(matches!(saved.load(), Err(Unusable::Io { .. })));
}

#[test]
fn a_folder_is_of_one_process_at_a_time() {
    let home = Home::new();
    let first = home.saved().locked().unwrap();
    let refused = home.saved().locked().unwrap_err().to_string();
    let folder = home.folder.path().canonicalize().unwrap();
    assert!(refused.contains(&format!("`{}` is in use", folder.display())), "{refused}");
    // Each clone may write.
    let writing = first.clone();
    drop(first);
    assert!(home.saved().locked().is_err());
    writing.save(&served(6, furnished())).unwrap();
    drop(writing);
    assert_eq!(home.saved().locked().unwrap().load().unwrap().unwrap().state.revision.get(), 6);
}

#[test]
fn a_folder_that_cannot_be_locked_stops_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    // There is no room for a lock in a file, as there is none in a folder that cannot be written.
    SavedSnapshot::new(file, Vec::new(), false).locked().unwrap();
}

#[test]
fn the_mark_is_written_beside_the_snapshot_and_not_over_it() {
    let home = Home::new();
    let draft = home.folder.path().join("sidecar.draft");
    // The draft of a snapshot is there, and cannot be written over.
    fs::create_dir(&draft).unwrap();
    home.saved().replace(MARK_NAMES, |out| write!(out, "{}.7", store_id())).unwrap();
    assert!(draft.is_dir());
    assert_eq!(home.saved().newest().unwrap().map(|mark| mark.revision), Some(Revision::new(7)));
}

#[test]
fn a_file_that_is_not_signed_by_the_trusted_key_is_refused() {
    let (signer, verifier) = crate::signature::tests::pair();
    let home = Home::new();
    let trusting = |scope| home.saved().trusting(Some(Trust { verifier: verifier.clone(), scope }));
    let all = Scope::everything();
    assert!(matches!(trusting(all.clone()).load(), Err(Unusable::Unsigned(_))), "it is not signed at all");
    let kept = served(6, furnished());
    let token = RevisionToken { store: kept.store, revision: kept.state.revision };
    let digest = kept.state.sums().whole().digest();
    let signature = signer.sign(&Statement { token, scope: &all, digest });
    home.saved().save(&Served { signature: signature.clone(), ..kept.clone() }).unwrap();
    let read = trusting(all.clone()).load().unwrap().unwrap();
    assert_eq!((read.state.revision, &read.signature), (kept.state.revision, &signature));
    assert!(matches!(trusting(Scope::of([].into())).load(), Err(Unusable::Unsigned(_))));
    // Another state, with a checksum and a signature, but not its own.
    let mut other = furnished();
    other.push(group(1, 9));
    home.saved().save(&Served { signature, ..served(6, other) }).unwrap();
    assert!(matches!(trusting(all).load(), Err(Unusable::Unsigned(_))));
    assert_eq!(home.revision(), Some(6), "where no key is configured it is as good as any");
}

#[test]
fn a_mark_that_cannot_be_read_is_refused_and_not_taken_for_none() {
    let home = Home::new();
    let mark = home.saved().path(MARK_NAMES);
    fs::write(&mark, "7f1c").unwrap();
    let refused = home.saved().load();
    assert!(matches!(&refused, Err(Unusable::Damaged { path, .. }) if *path == mark), "{refused:?}");
    home.saved().save(&served(6, furnished())).unwrap();
    assert_eq!(home.revision(), Some(6), "the next one that is kept takes its place");
    assert!(matches!(home.saved().save(&served(5, furnished())), Err(Unusable::Older { .. })));
    fs::remove_file(&mark).unwrap();
    fs::create_dir(&mark).unwrap();
    assert!(matches!(home.saved().load(), Err(Unusable::Io { .. })));
}

#[test]
fn a_mark_of_which_a_bit_is_flipped_or_a_part_is_gone_is_refused() {
    let home = Home::new();
    home.saved().save(&served(1_000, furnished())).unwrap();
    let path = home.saved().path(MARK_NAMES);
    let good = fs::read(&path).unwrap();
    let flipped = (0..good.len() * 8).map(|bit| {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    });
    for bytes in flipped.chain((0..good.len()).map(|length| good[..length].to_vec())) {
        fs::write(&path, &bytes).unwrap();
        let (mark, text) = (home.saved().newest(), String::from_utf8_lossy(&bytes));
        assert!(matches!(&mark, Err(Unusable::Damaged { path: told, .. }) if *told == path), "{text}: {mark:?}");
    }
    assert!(home.saved().load().is_err(), "what is left of it is not taken for none");
    fs::write(&path, &good).unwrap();
    assert_eq!(home.revision(), Some(1_000));
}

#[test]
fn a_mark_of_the_version_before_is_read_and_one_of_another_is_not() {
    let home = Home::new();
    let path = home.saved().path(MARK_NAMES);
    fs::write(&path, format!("{}.5", store_id())).unwrap();
    assert_eq!(home.revision(), Some(5));
    fs::write(&path, format!("{}.6", store_id())).unwrap();
    assert!(matches!(home.saved().load(), Err(Unusable::Older { .. })));
    home.saved().save(&served(6, furnished())).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("mark 2", "mark 3")).unwrap();
    let refused = home.saved().load().unwrap_err().to_string();
    assert!(refused.contains("version 3") && refused.contains("delete it"), "{refused}");
}

#[test]
fn what_a_killed_process_left_is_taken_by_the_next_one() {
    let home = Home::new();
    fs::write(home.folder.path().join("sidecar.draft"), vec![7; 1_000_000]).unwrap();
    home.saved().save(&served(6, furnished())).unwrap();
    assert_eq!(home.revision(), Some(6));
    assert_eq!(fs::read_dir(home.folder.path()).unwrap().count(), 2);
}
