//! Backups that are sent: what arrives becomes a file when it is whole, and nothing otherwise.

use std::fs;
use std::io::{self, Write};

use sha2::{Digest as _, Sha256};

use super::super::backup::{self, BackupFile, Incoming};
use super::super::dump::{DumpError, Row};
use super::super::verify::Verified;
use super::Folder;
use super::verify::{Rows, eventful};

/// The bytes of a backup of an eventful store, and its rows.
fn sent() -> (Vec<u8>, Rows) {
    let (store, mut bytes) = (eventful(), Vec::new());
    let head = backup::send(&store, &mut bytes).unwrap();
    let rows = Rows::of(&store);
    assert_eq!(rows.head, Some(head));
    (bytes, rows)
}

/// Takes `bytes` in pieces of this length, for a file `backup.dwb` in `folder`.
fn arrive(folder: &Folder, bytes: &[u8], piece: usize, overwrite: bool) -> Result<Verified, DumpError> {
    let mut incoming = Incoming::new("sender", &folder.0.path().join("backup.dwb"), overwrite)?;
    bytes.chunks(piece).try_for_each(|piece| incoming.take(piece))?;
    incoming.finish()
}

fn names(folder: &Folder) -> Vec<String> {
    let names = fs::read_dir(folder.0.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

/// How `bytes` are refused. Nothing is left of them.
fn refused(bytes: &[u8]) -> DumpError {
    let folder = Folder::new();
    let refused = arrive(&folder, bytes, 1_000, false).expect_err("it is taken for whole");
    assert_eq!(names(&folder), Vec::<String>::new(), "{refused}");
    refused
}

/// The same bytes with the sum that they have.
fn summed(bytes: &[u8]) -> Vec<u8> {
    [bytes, Sha256::digest(bytes).as_slice()].concat()
}

#[test]
fn what_is_sent_is_what_is_written_beside_the_store() {
    let (bytes, rows) = sent();
    let folder = Folder::new();
    let beside = folder.0.path().join("beside.dwb");
    let verified = backup::write(&eventful(), "memory", &beside, false).unwrap();
    let (there, here) = (BackupFile::open(&beside).unwrap(), Folder::new());
    assert_eq!(Rows::of(&there).rows, rows.rows);
    let arrived = arrive(&here, &bytes, usize::MAX, false).unwrap();
    assert_eq!((arrived.counts, arrived.references), (verified.counts, verified.references));
    assert_eq!(Rows::of(&BackupFile::open(&here.0.path().join("backup.dwb")).unwrap()), rows);
}

#[test]
fn it_is_the_same_in_whatever_pieces_it_comes() {
    let (bytes, _) = sent();
    for piece in [1, 7, 4_096, bytes.len() - 1, bytes.len()] {
        let folder = Folder::new();
        arrive(&folder, &bytes, piece, false).unwrap();
        assert!(fs::read(folder.0.path().join("backup.dwb")).unwrap() == bytes, "pieces of {piece}");
        assert_eq!(names(&folder), ["backup.dwb"]);
    }
}

#[test]
fn an_end_before_the_end_is_never_taken_for_a_whole_backup() {
    let (bytes, _) = sent();
    let ends = (0..60).chain((60..bytes.len()).step_by(997)).chain(bytes.len() - 40..bytes.len());
    for end in ends {
        let refused = refused(&bytes[..end]);
        assert!(matches!(&refused, DumpError::CutOff { place } if place == "sender"), "{end} bytes: {refused}");
        assert!(!refused.is_damage());
    }
}

#[test]
fn every_flipped_byte_is_found() {
    let (bytes, _) = sent();
    let edges = (0..64).chain(bytes.len() - 64..bytes.len());
    for place in edges.chain((64..bytes.len() - 64).step_by(97)) {
        let mut changed = bytes.clone();
        changed[place] ^= 1 << (place % 8);
        let refused = refused(&changed);
        let known = match refused {
            DumpError::Foreign { .. } => place < 20,
            // A length can become longer than what comes.
            DumpError::CutOff { .. } => place >= 20,
            ref other => other.is_damage(),
        };
        assert!(known, "byte {place}: {refused}");
    }
}

#[test]
fn a_backup_of_another_version_is_refused_by_its_number() {
    let (mut bytes, _) = sent();
    bytes[19] = 2;
    let text = refused(&bytes).to_string();
    assert!(text.contains("`sender`") && text.contains("it has version 2, this version reads 1"), "{text}");
}

#[test]
fn what_does_not_fit_together_is_refused_even_with_the_right_sum() {
    let (bytes, rows) = sent();
    assert!(refused(&[bytes.as_slice(), b"x"].concat()).to_string().contains("something follows its end"));
    let head = 5 + usize::try_from(u32::from_be_bytes(bytes[21..25].try_into().unwrap())).unwrap();
    let (prefix, frames) = (&bytes[..20], &bytes[20..bytes.len() - 32]);
    for (frames, expected) in [
        (frames[head..].to_vec(), "in the wrong place"),
        ([&frames[..head], frames].concat(), "a frame of kind 0 is in the wrong place"),
        ([&frames[..head], b"\x09\x00\x00\x00\x00"].concat(), "a frame of kind 9 is in the wrong place"),
        ([&frames[..head], b"\x01\x00\x00\x00\x02\x02{"].concat(), "the value has version 2"),
        ([frames, b"\x05"].concat(), "some of its bytes are not what was sent"),
    ] {
        let refused = refused(&summed(&[prefix, &frames].concat()));
        assert!(refused.is_damage() && refused.to_string().contains(expected), "`{expected}` is not in: {refused}");
    }
    let mut damaged = rows;
    damaged.rows.retain(|row| !matches!(row, Row::Event(_)));
    let mut bytes = Vec::new();
    backup::send(&damaged, &mut bytes).unwrap();
    let refused = refused(&bytes);
    assert!(refused.is_damage() && refused.to_string().contains("the end of the audit"), "{refused}");
}

#[test]
fn a_file_that_is_there_stays_unless_it_is_to_be_overwritten() {
    let (bytes, _) = sent();
    let folder = Folder::new();
    let path = folder.0.path().join("backup.dwb");
    fs::write(&path, "theirs").unwrap();
    let refused = arrive(&folder, &bytes, 100, false).unwrap_err();
    assert!(matches!(refused, DumpError::Taken { .. }) && refused.to_string().contains("--overwrite"), "{refused}");
    arrive(&folder, &bytes[..bytes.len() / 2], 100, true).unwrap_err();
    assert_eq!(fs::read(&path).unwrap(), b"theirs");
    // One that came meanwhile stays, too.
    let other = folder.0.path().join("other.dwb");
    let mut incoming = Incoming::new("sender", &other, false).unwrap();
    incoming.take(&bytes).unwrap();
    fs::write(&other, "theirs").unwrap();
    assert!(matches!(incoming.finish().unwrap_err(), DumpError::Taken { .. }));
    assert_eq!(fs::read(&other).unwrap(), b"theirs");
    arrive(&folder, &bytes, 100, true).unwrap();
    assert!(fs::read(&path).unwrap() == bytes);
    assert_eq!(names(&folder).len(), 2, "nothing else is left");
}

/// Takes some bytes, and no more.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or_else(|| io::Error::other("nobody takes it"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_receiver_that_takes_no_more_ends_the_sending() {
    for taken in [0, 100, 2_000] {
        let refused = backup::send(&eventful(), &mut Full(taken)).unwrap_err();
        assert!(matches!(refused, DumpError::File { ref source, .. } if source.to_string() == "nobody takes it"));
    }
}
