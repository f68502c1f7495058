//! Tells whether a file still begins with the content that a fingerprint was taken of.
//!
//! Invariant: a file is taken as unchanged without reading it only if its size
//! and the time of its last write are those of the fingerprint, or of a
//! comparison made before.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use ferry::position::Fingerprint;
use xxhash_rust::xxh3::Xxh3Default;

use crate::catalog::IsUnwanted;
use crate::catalog::open_file::{OpenFile, Stamp};
use crate::error::RequestError;

/// Most hashes that are remembered.
const HASHES_MAX: usize = 4096;

/// Hashes content as it passes by.
pub(crate) struct ContentHasher(Xxh3Default);

impl ContentHasher {
    pub(crate) fn new() -> Self {
        Self(Xxh3Default::new())
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// XXH3-128 of all bytes so far, big-endian.
    pub(crate) fn hash(&self) -> [u8; 16] {
        self.0.digest128().to_be_bytes()
    }
}

/// Hashes of files that were written since their fingerprints were taken, so
/// that the splits of a file that grew do not each read all of it.
#[derive(Default)]
pub(crate) struct FingerprintCache {
    hashes: Mutex<HashMap<Prefix, [u8; 16]>>,
}

/// The leading bytes of a file as it stood at one time.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Prefix {
    path: PathBuf,
    stamp: Stamp,
    size_bytes: u64,
}

impl FingerprintCache {
    /// Refuses a file that, as of `stamp`, does not begin with the fingerprinted content.
    pub(crate) fn verify(
        &self,
        file: &OpenFile,
        stamp: Stamp,
        fingerprint: &Fingerprint,
        is_unwanted: IsUnwanted<'_>,
    ) -> Result<(), RequestError> {
        if stamp.is_of(fingerprint) {
            return Ok(());
        }
        let changed = || RequestError::FileChanged { file: file.name.clone() };
        let size_bytes = fingerprint.size_bytes;
        if stamp.size_bytes < size_bytes {
            return Err(changed());
        }
        let prefix = Prefix { path: file.path.clone(), stamp, size_bytes };
        let hash = if let Some(hash) = self.recall(&prefix) {
            hash
        } else {
            let mut hasher = ContentHasher::new();
            file.read_range(0..size_bytes, is_unwanted, |bytes| hasher.update(bytes))?;
            // A write during the hashing may be half in it.
            if file.stamp_now()? == stamp {
                self.remember(prefix, hasher.hash());
            }
            hasher.hash()
        };
        if hash == fingerprint.content_hash { Ok(()) } else { Err(changed()) }
    }

    fn recall(&self, prefix: &Prefix) -> Option<[u8; 16]> {
        self.hashes.lock().unwrap_or_else(PoisonError::into_inner).get(prefix).copied()
    }

    fn remember(&self, prefix: Prefix, hash: [u8; 16]) {
        let mut hashes = self.hashes.lock().unwrap_or_else(PoisonError::into_inner);
        if hashes.len() >= HASHES_MAX {
            // Forgetting costs another hashing of the files in use, no more.
            hashes.clear();
        }
        hashes.insert(prefix, hash);
    }
}

/// The fingerprint of a file whose hash is known.
pub(crate) fn fingerprint(stamp: Stamp, content_hash: [u8; 16]) -> Fingerprint {
    Fingerprint {
        size_bytes: stamp.size_bytes,
        content_hash,
        modified_unix_nanos: stamp.modified_unix_nanos,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{File, FileTimes};
    use std::path::Path;
    use std::time::{Duration, SystemTime};
    use tempfile::TempDir;

    /// A file with this content, written so many seconds after 1970.
    fn write(path: &Path, content: &str, seconds: u64) {
        std::fs::write(path, content).expect("file is written");
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let file = File::options().write(true).open(path).expect("file is there");
        file.set_times(FileTimes::new().set_modified(modified)).expect("time is set");
    }

    fn planned() -> (TempDir, PathBuf, Fingerprint) {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("a.csv");
        write(&path, "uid\n1\n2\n", 100);
        let file = OpenFile::open("a.csv", &path).expect("file is there");
        let mut hasher = ContentHasher::new();
        hasher.update(b"uid\n1\n");
        hasher.update(b"2\n");
        let fingerprint = fingerprint(file.stamp, hasher.hash());
        (folder, path, fingerprint)
    }

    fn verify(cache: &FingerprintCache, path: &Path, fingerprint: &Fingerprint) -> bool {
        let file = OpenFile::open("a.csv", path).expect("file is there");
        match cache.verify(&file, file.stamp, fingerprint, &|| false) {
            Ok(()) => true,
            Err(RequestError::FileChanged { .. }) => false,
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn the_same_and_the_grown_file_match() {
        let (_folder, path, fingerprint) = planned();
        let cache = FingerprintCache::default();
        assert!(verify(&cache, &path, &fingerprint));
        write(&path, "uid\n1\n2\n", 101);
        assert!(verify(&cache, &path, &fingerprint), "only its time changed");
        write(&path, "uid\n1\n2\n3\n", 102);
        assert!(verify(&cache, &path, &fingerprint), "it grew");
        assert!(verify(&cache, &path, &fingerprint), "it grew, remembered");
    }

    #[test]
    fn the_rewritten_and_the_shorter_file_do_not_match() {
        let (_folder, path, fingerprint) = planned();
        let cache = FingerprintCache::default();
        write(&path, "uid\n1\n3\n", 101);
        assert!(!verify(&cache, &path, &fingerprint));
        write(&path, "uid\n1\n3\n4\n", 102);
        assert!(!verify(&cache, &path, &fingerprint));
        write(&path, "uid\n1\n", 103);
        assert!(!verify(&cache, &path, &fingerprint));
    }

    #[test]
    fn the_hash_is_xxh3_128_in_big_endian() {
        // Value of the reference implementation for the empty input.
        let empty = 0x99aa_06d3_0147_98d8_6001_c324_468d_497f_u128;
        assert_eq!(ContentHasher::new().hash(), empty.to_be_bytes());
    }

    #[test]
    fn nobody_waits_for_a_hash_that_is_unwanted() {
        let (_folder, path, fingerprint) = planned();
        write(&path, "uid\n1\n2\n", 101);
        let file = OpenFile::open("a.csv", &path).expect("file is there");
        let outcome = FingerprintCache::default().verify(&file, file.stamp, &fingerprint, &|| true);
        assert!(matches!(outcome, Err(RequestError::Stopping)));
    }
}
