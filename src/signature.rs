//! Signatures of a state: a control plane's word that at a revision this, and nothing else, was in a scope.
//!
//! Ed25519 (RFC 8032) over the text of [`Statement`]. The digest stands for the records: nobody finds others of the same one.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};

use crate::model::digest::Digest;
use crate::model::revision::RevisionToken;
use crate::model::scope::Scope;

/// Before the 32 bytes of an Ed25519 key in a `SubjectPublicKeyInfo` (RFC 8410).
const KEY_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// What is signed.
#[derive(Debug, Clone, Copy)]
pub struct Statement<'s> {
    /// The store and the revision.
    pub token: RevisionToken,
    /// The scope.
    pub scope: &'s Scope,
    /// The digest of what is in it.
    pub digest: Digest,
}

/// Signs statements. A cheap clone.
#[derive(Clone)]
pub struct Signer(Arc<Ed25519KeyPair>);

/// Verifies statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier([u8; 32]);

/// A file that holds no key.
#[derive(Debug, thiserror::Error)]
#[error("`{}` does not hold {wanted} in PEM", .path.display())]
pub struct InvalidKey {
    /// The file.
    pub path: PathBuf,
    /// What it should hold.
    pub wanted: &'static str,
}

// === impl Statement ===

impl fmt::Display for Statement<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { token, scope, digest } = self;
        write!(f, "doorward state v1\n{token}\n{scope}\n{digest}\n")
    }
}

// === impl Signer ===

impl Signer {
    /// The private key in `path`, PKCS #8 in PEM, such as `openssl genpkey -algorithm ed25519` makes.
    ///
    /// # Errors
    /// Where the file cannot be read or holds something else. The error says nothing of its contents.
    pub fn from_file(path: &Path) -> Result<Self, InvalidKey> {
        let invalid = || InvalidKey { path: path.to_owned(), wanted: "an Ed25519 private key (PKCS #8)" };
        let key = PrivatePkcs8KeyDer::from_pem_file(path).map_err(|_| invalid())?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.secret_pkcs8_der()).map_err(|_| invalid())?;
        Ok(Self(Arc::new(pair)))
    }

    /// The signature of a statement, 64 bytes.
    #[must_use]
    pub fn sign(&self, statement: &Statement<'_>) -> Vec<u8> {
        self.0.sign(statement.to_string().as_bytes()).as_ref().to_vec()
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

// === impl Verifier ===

impl Verifier {
    /// The public key in `path`, in PEM, such as `openssl pkey -pubout` makes.
    ///
    /// # Errors
    /// Where the file cannot be read or holds something else.
    pub fn from_file(path: &Path) -> Result<Self, InvalidKey> {
        let invalid = || InvalidKey { path: path.to_owned(), wanted: "an Ed25519 public key" };
        let key = SubjectPublicKeyInfoDer::from_pem_file(path).map_err(|_| invalid())?;
        let key = key.strip_prefix(&KEY_PREFIX).and_then(|key| key.try_into().ok());
        key.map(Self).ok_or_else(invalid)
    }

    /// Whether `signature` is one of this key.
    #[must_use]
    pub fn verifies(&self, statement: &Statement<'_>, signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, &self.0);
        key.verify(statement.to_string().as_bytes(), signature).is_ok()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    //! What is signed is verified, and nothing near it.

    use std::collections::BTreeMap;

    use super::*;
    use crate::model::digest::Digest;

    /// Made once by `openssl genpkey -algorithm ed25519` for these tests, and good for nothing else.
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g
-----END PRIVATE KEY-----
";

    /// A key for tests, with the one that verifies what it signs.
    pub(crate) fn pair() -> (Signer, Verifier) {
        use aws_lc_rs::signature::KeyPair as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        std::fs::write(&path, PRIVATE).unwrap();
        let signer = Signer::from_file(&path).unwrap();
        let verifier = Verifier(signer.0.public_key().as_ref().try_into().unwrap());
        (signer, verifier)
    }

    fn digest(byte: u8) -> Digest {
        Digest::try_from([byte; 32].as_slice()).unwrap()
    }

    #[test]
    fn what_is_signed_is_verified_and_nothing_else_is() {
        let (signer, verifier) = pair();
        let token = |text: &str| text.parse::<RevisionToken>().unwrap();
        let (own, other) = ("7f1c2c1e3a524b7c9a510d2f6f3b8e44.7", "8f1c2c1e3a524b7c9a510d2f6f3b8e44.7");
        let (all, none) = (Scope::everything(), Scope::of(BTreeMap::new()));
        let statement = Statement { token: token(own), scope: &all, digest: digest(1) };
        let signature = signer.sign(&statement);
        assert!(verifier.verifies(&statement, &signature));
        let wrong = [
            Statement { token: token(other), ..statement },
            Statement { token: token(&own.replace(".7", ".8")), ..statement },
            Statement { scope: &none, ..statement },
            Statement { digest: digest(2), ..statement },
        ];
        for statement in wrong {
            assert!(!verifier.verifies(&statement, &signature), "{statement}");
        }
        assert!(!verifier.verifies(&statement, &[]));
        assert!(!Verifier([7; 32]).verifies(&statement, &signature));
    }

    #[test]
    fn a_file_without_the_key_is_refused_and_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        std::fs::write(&path, PRIVATE).unwrap();
        let refused = Verifier::from_file(&path).unwrap_err().to_string();
        assert!(refused.contains("key.pem") && refused.contains("public") && !refused.contains("AQID"), "{refused}");
        std::fs::write(&path, "no key").unwrap();
        assert!(Signer::from_file(&path).unwrap_err().to_string().contains("private"));
        assert!(Signer::from_file(&folder.path().join("missing")).is_err());
    }
}
