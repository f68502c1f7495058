//! The secret key of the pseudonyms, its identifier, and a subkey for each domain.
//!
//! Pseudonyms are HMAC-SHA-256 (RFC 2104, FIPS 198-1). Each domain has a subkey
//! of its own, `HMAC(key, "ferry/pii/v1/" || domain)`, so that equal values in
//! different columns differ unless the job gives both columns one domain.

use std::fmt;
use std::path::Path;

use ferry::hex;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Shortest key, in bytes: the output length of SHA-256, as RFC 2104 advises.
pub(crate) const KEY_BYTES_MIN: usize = 32;
/// Length of a pseudonym in bytes.
pub(crate) const PSEUDONYM_BYTES: usize = 32;
const DOMAIN_PREFIX: &[u8] = b"ferry/pii/v1/";
const ID_MESSAGE: &[u8] = b"ferry/pii/v1-key-id";
/// Bytes of the identifier, enough to tell a company's keys apart.
const ID_BYTES: usize = 8;

/// A key that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum KeyError {
    /// The file cannot be read.
    #[error("cannot read the key file {path}: {source}: make one with `openssl rand -hex 32`")]
    Unreadable {
        /// Path as configured.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The key is too short to withstand a search.
    #[error(
        "the key in {path} has {length} bytes, at least {KEY_BYTES_MIN} are needed: make one with `openssl rand -hex 32`"
    )]
    TooShort {
        /// Path as configured.
        path: String,
        /// Bytes that the file holds.
        length: usize,
    },
}

/// The secret from which all pseudonyms of a job are made; wiped when dropped.
pub(crate) struct PseudonymKey {
    bytes: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PseudonymKey(***)")
    }
}

impl PseudonymKey {
    /// Reads a key: the bytes of the file without the line end after them.
    pub(crate) fn read(path: &Path) -> Result<Self, KeyError> {
        let shown = || path.display().to_string();
        let mut bytes = std::fs::read(path)
            .map(Zeroizing::new)
            .map_err(|source| KeyError::Unreadable { path: shown(), source })?;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        if bytes.len() < KEY_BYTES_MIN {
            return Err(KeyError::TooShort { path: shown(), length: bytes.len() });
        }
        warn_if_readable_by_others(path);
        Ok(Self { bytes })
    }

    /// Tells keys apart without giving anything away: part of a keyed hash.
    pub(crate) fn id(&self) -> String {
        let mut mac = keyed(&self.bytes);
        mac.update(ID_MESSAGE);
        let digest = mac.finalize().into_bytes();
        hex::encode(&digest[..ID_BYTES])
    }

    /// The keyed hash of one domain.
    pub(crate) fn domain(&self, domain: &str) -> DomainHash {
        let mut mac = keyed(&self.bytes);
        mac.update(DOMAIN_PREFIX);
        mac.update(domain.as_bytes());
        let subkey = Zeroizing::new(<[u8; PSEUDONYM_BYTES]>::from(mac.finalize().into_bytes()));
        DomainHash { prepared: keyed(subkey.as_slice()) }
    }
}

/// HMAC-SHA-256 under the subkey of one domain, with the key already absorbed.
#[derive(Clone)]
pub(crate) struct DomainHash {
    prepared: Hmac<Sha256>,
}

impl DomainHash {
    /// The pseudonym of a value.
    pub(crate) fn pseudonym(&self, value: &[u8]) -> [u8; PSEUDONYM_BYTES] {
        let mut mac = self.prepared.clone();
        mac.update(value);
        mac.finalize().into_bytes().into()
    }
}

#[allow(clippy::expect_used)] // HMAC is defined for keys of every length.
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of every length")
}

fn warn_if_readable_by_others(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    const GROUP_AND_OTHERS: u32 = 0o077;
    let mode = std::fs::metadata(path).map(|metadata| metadata.permissions().mode());
    if mode.is_ok_and(|mode| mode & GROUP_AND_OTHERS != 0) {
        tracing::warn!(path = %path.display(), "key file is open to other users: chmod 600 it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hmac(key: &[u8], message: &[u8]) -> String {
        hex::encode(&DomainHash { prepared: keyed(key) }.pseudonym(message))
    }

    /// Test vectors of RFC 4231, section 4; case 5 is about truncation.
    #[test]
    fn rfc_4231() {
        assert_eq!(
            hmac(&[0x0b; 20], b"Hi There"),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        assert_eq!(
            hmac(b"Jefe", b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hmac(&[0xaa; 20], &[0xdd; 50]),
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
        );
        let counting: Vec<u8> = (1..=25).collect();
        assert_eq!(
            hmac(&counting, &[0xcd; 50]),
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"
        );
        assert_eq!(
            &hmac(&[0x0c; 20], b"Test With Truncation")[..32],
            "a3b6167473100ee06e0c796c2955552b"
        );
        assert_eq!(
            hmac(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
        let long = b"This is a test using a larger than block-size key and a larger than \
                     block-size data. The key needs to be hashed before being used by the HMAC \
                     algorithm.";
        assert_eq!(
            hmac(&[0xaa; 131], long),
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"
        );
    }

    #[test]
    fn domains_differ_and_the_key_does_not_print() {
        let key = PseudonymKey { bytes: Zeroizing::new(vec![7; 32]) };
        let email = key.domain("email").pseudonym(b"a@b.example");
        let backup = key.domain("backup_email").pseudonym(b"a@b.example");
        assert_ne!(email, backup);
        assert_eq!(email, key.domain("email").pseudonym(b"a@b.example"));
        assert_eq!(format!("{key:?}"), "PseudonymKey(***)");
    }

    #[test]
    fn a_short_key_is_refused() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("pii.key");
        std::fs::write(&path, "0123456789012345678901234567890\n").expect("file is written");
        let error = PseudonymKey::read(&path).expect_err("31 bytes are too few");
        assert!(error.to_string().contains("has 31 bytes"), "{error}");
    }
}
