//! The secret key of the pseudonyms, its identifier, and a subkey for each domain.
//!
//! Pseudonyms are HMAC-SHA-256 (RFC 2104, FIPS 198-1). Each domain has a subkey
//! of its own, `HMAC(key, "ferry/pii/v1/" || domain)`, so that equal values in
//! different columns differ unless the job gives both columns one domain.

use std::fmt;
use std::path::Path;
use std::slice;

use ferry::hex;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::block_api::compress256;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// Shortest key, in bytes: the output length of SHA-256, as RFC 2104 advises.
pub(crate) const KEY_BYTES_MIN: usize = 32;
/// Length of a pseudonym in bytes.
pub(crate) const PSEUDONYM_BYTES: usize = 32;
/// Length of the salt of one value in bytes.
pub(crate) const SALT_BYTES: usize = 16;
/// Random bytes of a key that ferry makes.
const GENERATED_BYTES: usize = 32;
/// Key of the hashes that keep nothing secret.
const PUBLIC_KEY: &[u8] = b"ferry/public/v1";
const DOMAIN_PREFIX: &[u8] = b"ferry/pii/v1/";
const ID_MESSAGE: &[u8] = b"ferry/pii/v1-key-id";
/// Bytes of the identifier, enough to tell a company's keys apart.
const ID_BYTES: usize = 8;

/// State of SHA-256 between two blocks.
type State = [u32; 8];
/// State of SHA-256 before the first block (FIPS 180-4, section 5.3.3).
const INITIAL_STATE: State = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];
const BLOCK_BYTES: usize = 64;
/// The last block of SHA-256 ends with the length of the message in bits.
const LENGTH_BYTES: usize = 8;
/// Stands after the message, before the zeros that fill the last block.
const END_MARK: u8 = 0x80;
/// Longest message that fits into the last block together with its end.
const SHORT_BYTES_MAX: usize = BLOCK_BYTES - LENGTH_BYTES - 1;
const INNER_PAD: u8 = 0x36;
const OUTER_PAD: u8 = 0x5c;

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
    /// The operating system gave no random number.
    #[error("the operating system gives no random numbers: {0}")]
    Random(getrandom::Error),
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

    /// A new key as the text of a key file: 64 hexadecimal digits.
    pub(crate) fn generate() -> Result<Zeroizing<String>, KeyError> {
        let mut bytes = Zeroizing::new([0_u8; GENERATED_BYTES]);
        getrandom::fill(bytes.as_mut_slice()).map_err(KeyError::Random)?;
        Ok(Zeroizing::new(hex::encode(bytes.as_slice())))
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
        DomainHash::under(subkey(&self.bytes, domain).as_slice())
    }
}

/// HMAC-SHA-256 under the subkey of one domain, with the key already absorbed.
///
/// HMAC is `SHA-256(outer key || SHA-256(inner key || message))`, and each of
/// the two keys fills one block. So both are absorbed once, and a message that
/// fits into one block, as nearly all that is said of a person does, costs two
/// compressions and no copying of hash objects.
#[derive(Clone)]
pub(crate) struct DomainHash {
    after_inner_key: Zeroizing<State>,
    after_outer_key: Zeroizing<State>,
    /// For messages of more than one block.
    prepared: Hmac<Sha256>,
}

impl fmt::Debug for DomainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DomainHash(***)")
    }
}

impl DomainHash {
    /// The hash of one domain under a key that is no secret.
    ///
    /// It tells values of columns that are not personal apart; anybody can compute it.
    pub(crate) fn public(domain: &str) -> Self {
        Self::under(subkey(PUBLIC_KEY, domain).as_slice())
    }

    /// The pseudonym of a value.
    pub(crate) fn pseudonym(&self, value: &[u8]) -> [u8; PSEUDONYM_BYTES] {
        self.hash(&[], value)
    }

    /// The pseudonym of `salt || value`.
    pub(crate) fn salted(&self, salt: &[u8; SALT_BYTES], value: &[u8]) -> [u8; PSEUDONYM_BYTES] {
        self.hash(salt, value)
    }

    fn under(key: &[u8]) -> Self {
        let mut key_block = Zeroizing::new([0_u8; BLOCK_BYTES]);
        if key.len() > BLOCK_BYTES {
            let hashed_key: [u8; PSEUDONYM_BYTES] = Sha256::digest(key).into();
            key_block[..PSEUDONYM_BYTES].copy_from_slice(&hashed_key);
        } else {
            key_block[..key.len()].copy_from_slice(key);
        }
        Self {
            after_inner_key: after_key(&key_block, INNER_PAD),
            after_outer_key: after_key(&key_block, OUTER_PAD),
            prepared: keyed(key),
        }
    }

    /// The hash of two parts, one after the other.
    fn hash(&self, start: &[u8], rest: &[u8]) -> [u8; PSEUDONYM_BYTES] {
        let length = start.len() + rest.len();
        if length > SHORT_BYTES_MAX {
            let mut mac = self.prepared.clone();
            mac.update(start);
            mac.update(rest);
            return mac.finalize().into_bytes().into();
        }
        let mut block = [0; BLOCK_BYTES];
        block[..start.len()].copy_from_slice(start);
        block[start.len()..length].copy_from_slice(rest);
        let inner = hash_last_block(&self.after_inner_key, block, length);
        let mut block = [0; BLOCK_BYTES];
        block[..PSEUDONYM_BYTES].copy_from_slice(&inner);
        hash_last_block(&self.after_outer_key, block, PSEUDONYM_BYTES)
    }
}

/// State after the block that the key fills.
fn after_key(key_block: &[u8; BLOCK_BYTES], pad: u8) -> Zeroizing<State> {
    let padded = Zeroizing::new(key_block.map(|byte| byte ^ pad));
    let mut state = Zeroizing::new(INITIAL_STATE);
    compress256(&mut state, slice::from_ref(&*padded));
    state
}

/// SHA-256 of the key's block and of a block with `length` bytes and zeros after them.
fn hash_last_block(
    after_key: &State,
    mut block: [u8; BLOCK_BYTES],
    length: usize,
) -> [u8; PSEUDONYM_BYTES] {
    let message_bits = ((BLOCK_BYTES + length) * 8) as u64;
    block[length] = END_MARK;
    block[BLOCK_BYTES - LENGTH_BYTES..].copy_from_slice(&message_bits.to_be_bytes());
    let mut state = *after_key;
    compress256(&mut state, slice::from_ref(&block));
    let mut hash = [0; PSEUDONYM_BYTES];
    hash.copy_from_slice(state.map(u32::to_be_bytes).as_flattened());
    hash
}

fn subkey(key: &[u8], domain: &str) -> Zeroizing<[u8; PSEUDONYM_BYTES]> {
    let mut mac = keyed(key);
    mac.update(DOMAIN_PREFIX);
    mac.update(domain.as_bytes());
    Zeroizing::new(mac.finalize().into_bytes().into())
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
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn hmac(key: &[u8], message: &[u8]) -> String {
        hex::encode(&DomainHash::under(key).pseudonym(message))
    }

    proptest! {
        #[test]
        fn messages_of_every_length_hash_as_hmac_does(
            key in vec(any::<u8>(), 0..100),
            salt in any::<[u8; SALT_BYTES]>(),
            value in vec(any::<u8>(), 0..200),
        ) {
            let hash = DomainHash::under(&key);
            let mut mac = keyed(&key);
            mac.update(&value);
            let expected: [u8; PSEUDONYM_BYTES] = mac.finalize().into_bytes().into();
            prop_assert_eq!(hash.pseudonym(&value), expected);

            let mut mac = keyed(&key);
            mac.update(&salt);
            mac.update(&value);
            let expected: [u8; PSEUDONYM_BYTES] = mac.finalize().into_bytes().into();
            prop_assert_eq!(hash.salted(&salt, &value), expected);
        }
    }

    /// Where one block becomes two, every length counts, not only those that chance picks.
    #[test]
    fn no_length_is_left_out() {
        let key = [7; 32];
        let hash = DomainHash::under(&key);
        for length in 0..=200 {
            let message = vec![0xab; length];
            let mut mac = keyed(&key);
            mac.update(&message);
            let expected: [u8; PSEUDONYM_BYTES] = mac.finalize().into_bytes().into();
            assert_eq!(hash.pseudonym(&message), expected, "{length} bytes");
        }
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
        assert_eq!(format!("{:?}", key.domain("email")), "DomainHash(***)");
    }

    #[test]
    fn public_hashes_need_no_key_and_keep_domains_apart() {
        let id = DomainHash::public("id").pseudonym(b"7");
        assert_eq!(id, DomainHash::public("id").pseudonym(b"7"));
        assert_ne!(id, DomainHash::public("number").pseudonym(b"7"));
    }

    #[test]
    fn a_made_key_is_long_enough_and_new_each_time() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("pii.key");
        let made = PseudonymKey::generate().expect("random numbers");
        assert_eq!(made.len(), 64);
        assert!(made.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(made, PseudonymKey::generate().expect("random numbers"));
        std::fs::write(&path, made.as_bytes()).expect("file is written");
        PseudonymKey::read(&path).expect("a usable key");
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
