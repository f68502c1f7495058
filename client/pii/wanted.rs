//! Turns a person's value, or one of its pseudonyms, into what is looked for in tables.
//!
//! Invariant: if runs of the job used several keys, each of them is looked for,
//! or nothing is.

use std::path::{Path, PathBuf};

use ferry::hex;

use super::{PiiError, kept};
use crate::error::ClientError;
use crate::job::{Job, JobError};
use crate::key::{PSEUDONYM_BYTES, PseudonymKey};

/// Bytes of a pseudonym by which a unique value is told apart.
const CLAIM_DIGEST_BYTES: usize = 16;

/// The pseudonyms of one person.
pub(super) struct Wanted {
    /// As they stand in columns of bytes.
    pub(super) bytes: Vec<Vec<u8>>,
    /// As they stand in texts and in quarantined records, each with and without a leading `\x`.
    pub(super) digits: Vec<String>,
    /// Keys that made them; empty if a pseudonym was given.
    pub(super) key_ids: Vec<String>,
}

impl Wanted {
    /// A pseudonym in hexadecimal digits.
    pub(super) fn of_token(token: &str) -> Result<Self, PiiError> {
        Ok(Self::new(vec![parse(token)?], Vec::new()))
    }

    /// The pseudonyms of a value in several domains under several keys.
    pub(super) fn under_keys(value: &str, domains: &[String], keys: &[PseudonymKey]) -> Self {
        let mut bytes = Vec::with_capacity(domains.len() * keys.len());
        for key in keys {
            for domain in domains {
                bytes.push(key.domain(domain).pseudonym(value.as_bytes()).to_vec());
            }
        }
        Self::new(bytes, keys.iter().map(PseudonymKey::id).collect())
    }

    /// What the ledger keeps of them where values must be unique.
    pub(super) fn claim_digests(&self) -> Vec<&[u8]> {
        self.bytes.iter().map(|pseudonym| &pseudonym[..CLAIM_DIGEST_BYTES]).collect()
    }

    fn new(bytes: Vec<Vec<u8>>, key_ids: Vec<String>) -> Self {
        let mut digits = Vec::with_capacity(bytes.len() * 2);
        for pseudonym in &bytes {
            let text = hex::encode(pseudonym);
            digits.push(format!("\\x{text}"));
            digits.push(text);
        }
        Self { bytes, digits, key_ids }
    }
}

/// The job's key, the old ones that were named, and those among `used` that a rotation has kept.
pub(super) fn keys(
    job: &Job,
    used: &[String],
    old_key_files: &[PathBuf],
) -> Result<Vec<PseudonymKey>, ClientError> {
    let key_file = job.pii_key_file.as_deref().ok_or(JobError::NO_KEY)?;
    gather(key_file, used, old_key_files)
}

fn gather(
    key_file: &Path,
    used: &[String],
    old_key_files: &[PathBuf],
) -> Result<Vec<PseudonymKey>, ClientError> {
    let mut keys = vec![PseudonymKey::read(key_file)?];
    for path in old_key_files {
        let key = PseudonymKey::read(path)?;
        if !is_among(&key.id(), &keys) {
            keys.push(key);
        }
    }
    for id in used {
        if !is_among(id, &keys) {
            keys.push(kept::find(key_file, id)?);
        }
    }
    Ok(keys)
}

fn is_among(id: &str, keys: &[PseudonymKey]) -> bool {
    keys.iter().any(|key| key.id() == id)
}

/// Reads 64 hexadecimal digits, with or without the `\x` that psql writes before them.
fn parse(token: &str) -> Result<Vec<u8>, PiiError> {
    let digits = token.strip_prefix("\\x").unwrap_or(token);
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if digits.len() != PSEUDONYM_BYTES * 2 || !is_hex {
        return Err(PiiError::BadToken);
    }
    let byte = |index: usize| u8::from_str_radix(&digits[index * 2..index * 2 + 2], 16);
    let bytes: Result<Vec<u8>, _> = (0..PSEUDONYM_BYTES).map(byte).collect();
    bytes.map_err(|_| PiiError::BadToken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_key(path: &Path, text: &str) -> String {
        std::fs::write(path, text).expect("file is written");
        PseudonymKey::read(path).expect("a usable key").id()
    }

    #[test]
    fn a_token_is_what_was_printed() {
        let bytes: Vec<u8> = (0..32).map(|number| number * 8).collect();
        let digits = hex::encode(&bytes);
        for text in [digits.clone(), format!("\\x{digits}"), digits.to_uppercase()] {
            let wanted = Wanted::of_token(&text).expect("a pseudonym");
            assert_eq!(wanted.bytes, std::slice::from_ref(&bytes));
            assert_eq!(wanted.digits, [format!("\\x{digits}"), digits.clone()]);
            assert!(wanted.key_ids.is_empty());
        }
    }

    #[test]
    fn what_is_no_token_is_refused_without_showing_it() {
        let sign = "+1".repeat(32);
        let umlauts = "ä".repeat(32);
        for text in ["", "ann@x.example", &"a".repeat(63), &"a".repeat(65), &sign, &umlauts] {
            let error = Wanted::of_token(text).err().expect("no pseudonym");
            assert!(matches!(error, PiiError::BadToken), "{error}");
        }
    }

    #[test]
    fn every_key_that_was_used_is_looked_for() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let key_file = folder.path().join("pii.key");
        let named = folder.path().join("of-last-year.key");
        let now = write_key(&key_file, "0123456789abcdef0123456789abcdef\n");
        let last_year = write_key(&named, "fedcba9876543210fedcba9876543210\n");
        let staged = folder.path().join("staged");
        let rotated = write_key(&staged, "00112233445566778899aabbccddeeff\n");
        std::fs::rename(&staged, folder.path().join(format!("pii.key.{rotated}")))
            .expect("file is renamed");

        let used = [last_year.clone(), now.clone(), rotated.clone()];
        let keys = gather(&key_file, &used, &[named]).expect("all keys are there");
        let wanted = Wanted::under_keys("ann@x.example", &["person".to_owned()], &keys);
        assert_eq!(wanted.key_ids, [now, last_year.clone(), rotated]);
        assert_eq!((wanted.bytes.len(), wanted.digits.len()), (3, 6));

        let error = gather(&key_file, &used, &[]).expect_err("a key is missing").to_string();
        assert!(error.contains(&last_year) && error.contains("--old-key-file"), "{error}");
    }
}
