//! The two static credentials of the administrative listener: `dwa01.<public id>.<secret>`.
//!
//! The last six characters of the secret are a checksum of the rest, so that scanners find a leaked credential and a
//! mistyped one is told from a wrong one without asking a store. Only a hash of the secret is kept (design §9).

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::model::credential::{CredentialRecord, CredentialRole};

/// The first part of every administrative credential.
pub const PREFIX: &str = "dwa01";
/// Random bytes that a credential is made of: 15 for its public id, 30 for its secret.
pub const RANDOM_BYTES: usize = 45;

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const PUBLIC_CHARACTERS: usize = 24;
const SECRET_CHARACTERS: usize = 48;
const CHECKSUM_CHARACTERS: usize = 6;

/// A credential as its holder presents it. Never printed.
#[derive(Clone)]
pub struct Credential {
    public_id: String,
    secret: String,
}

/// A text that is no administrative credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCredential {
    /// Not three parts with the right prefix, lengths and characters.
    #[error("is no Doorward credential; one looks like `{PREFIX}.<public id>.<secret>`")]
    Form,
    /// A character was lost or changed.
    #[error("has a wrong checksum; it was cut or mistyped")]
    Checksum,
}

// === impl Credential ===

impl Credential {
    /// A credential made of these random bytes.
    #[must_use]
    pub fn from_random(bytes: &[u8; RANDOM_BYTES]) -> Self {
        let (public, secret) = bytes.split_at(15);
        let public_id = base32(public);
        let mut secret = base32(secret);
        let checksum = checksum(&public_id, &secret);
        secret.push_str(&checksum);
        Self { public_id, secret }
    }

    /// Reads a credential.
    ///
    /// # Errors
    /// [`InvalidCredential`], which says nothing of what was read.
    pub fn parse(text: &str) -> Result<Self, InvalidCredential> {
        let mut parts = text.split('.');
        let (Some(PREFIX), Some(public), Some(secret), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidCredential::Form);
        };
        let legal = |part: &str| part.bytes().all(|b| ALPHABET.contains(&b));
        let lengths = public.len() == PUBLIC_CHARACTERS && secret.len() == SECRET_CHARACTERS + CHECKSUM_CHARACTERS;
        if !lengths || !legal(public) || !legal(secret) {
            return Err(InvalidCredential::Form);
        }
        let (body, found) = secret.split_at_checked(SECRET_CHARACTERS).ok_or(InvalidCredential::Form)?;
        if checksum(public, body) != found {
            return Err(InvalidCredential::Checksum);
        }
        Ok(Self { public_id: public.to_owned(), secret: secret.to_owned() })
    }

    /// The part that may be shown and logged.
    #[must_use]
    pub fn public_id(&self) -> &str {
        &self.public_id
    }

    /// The whole credential, to be shown to its holder once.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{PREFIX}.{}.{}", self.public_id, self.secret)
    }

    /// What a store keeps of it.
    #[must_use]
    pub fn record(&self, role: CredentialRole, created: jiff::Timestamp) -> CredentialRecord {
        CredentialRecord { public_id: self.public_id.clone(), role, secret_sha256: self.hash(), created }
    }

    /// The record this credential belongs to. Hashes are compared in constant time, and a hash is made whether or not
    /// the public id is known.
    #[must_use]
    pub fn find<'r>(&self, records: &'r [CredentialRecord]) -> Option<&'r CredentialRecord> {
        let hash = self.hash();
        let known = records.iter().find(|record| record.public_id == self.public_id)?;
        bool::from(known.secret_sha256.ct_eq(&hash)).then_some(known)
    }

    fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret.as_bytes()).into()
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({})", self.public_id)
    }
}

/// RFC 4648 base 32 of a multiple of five bytes, so without padding.
fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 8 / 5);
    for chunk in bytes.chunks(5) {
        let bits = chunk.iter().fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
        for shift in (0..8).rev() {
            let digit = usize::try_from((bits >> (shift * 5)) & 31).unwrap_or_default();
            text.extend(ALPHABET.get(digit).map(|byte| char::from(*byte)));
        }
    }
    text
}

fn checksum(public_id: &str, secret: &str) -> String {
    let digest = Sha256::digest(format!("{PREFIX}.{public_id}.{secret}"));
    base32(digest.get(..5).unwrap_or_default()).chars().take(CHECKSUM_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential() -> Credential {
        Credential::from_random(&std::array::from_fn(|i| i as u8))
    }

    #[test]
    fn a_credential_reads_back() {
        let made = credential();
        let read = Credential::parse(&made.reveal()).unwrap();
        assert_eq!((read.public_id, read.secret), (made.public_id, made.secret));
    }

    #[test]
    fn a_changed_character_is_a_wrong_checksum_and_a_cut_one_no_credential() {
        let text = credential().reveal();
        let (head, last) = text.split_at(text.len() - 1);
        let changed = format!("{head}{}", if last == "A" { "B" } else { "A" });
        assert_eq!(Credential::parse(&changed).unwrap_err(), InvalidCredential::Checksum);
        for broken in [text.trim_start_matches('d'), head, "", "dwa01..", "dwa01.a.b.c"] {
            assert_eq!(Credential::parse(broken).unwrap_err(), InvalidCredential::Form, "{broken}");
        }
    }

    #[test]
    fn only_the_right_secret_finds_its_record() {
        let made = credential();
        let records = [made.record(CredentialRole::Root, jiff::Timestamp::UNIX_EPOCH)];
        assert_eq!(made.find(&records).map(|r| r.role), Some(CredentialRole::Root));
        let mut other = Credential::from_random(&[7; RANDOM_BYTES]);
        assert!(other.find(&records).is_none());
        other.public_id = made.public_id;
        assert!(other.find(&records).is_none());
    }

    #[test]
    fn nothing_secret_is_printed() {
        let made = credential();
        let printed = format!("{made:?} {:?}", made.record(CredentialRole::Root, jiff::Timestamp::UNIX_EPOCH));
        assert!(!printed.contains(&made.secret), "{printed}");
        assert!(!printed.contains("secret_sha256: ["), "{printed}");
    }
}
