//! Keeps what passes over files found, so that workers who plan the same files read them once.
//!
//! Invariants: two passes for the same answer never run at once, whoever asks
//! second waits for the first; what is kept is of a file that was not written
//! during the pass.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::catalog::IsUnwanted;
use crate::catalog::open_file::{OpenFile, Stamp};
use crate::catalog::scan::{Scan, ScanRequest};
use crate::error::RequestError;

/// Most passes that are kept: two for each file of the largest dataset.
const SCANS_MAX: usize = 20_000;
/// Most ranges of all of them together.
const RANGES_MAX: usize = 200_000;
/// How often someone who waits looks whether it still makes sense.
const GLANCE: Duration = Duration::from_millis(50);

/// Which pass over which file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ScanKey {
    /// Name of the dataset, which stands for its layout.
    pub(super) dataset: String,
    pub(super) path: PathBuf,
    pub(super) stamp: Stamp,
    pub(super) request: ScanRequest,
}

/// What passes over files found.
#[derive(Debug, Default)]
pub(crate) struct ScanCache {
    shelf: Mutex<Shelf>,
    /// Told when a pass has ended.
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Shelf {
    scans: HashMap<ScanKey, Arc<Scan>>,
    /// Ranges of all scans.
    range_count: usize,
    running: HashSet<ScanKey>,
}

impl ScanCache {
    /// What the pass found before, or finds now.
    pub(super) fn find_or_scan(
        &self,
        key: &ScanKey,
        file: &OpenFile,
        is_unwanted: IsUnwanted<'_>,
        scan: impl FnOnce() -> Result<Scan, RequestError>,
    ) -> Result<Arc<Scan>, RequestError> {
        let mut memory = self.lock();
        loop {
            if let Some(scan) = memory.scans.get(key) {
                return Ok(Arc::clone(scan));
            }
            if memory.running.insert(key.clone()) {
                break;
            }
            if is_unwanted() {
                return Err(RequestError::Stopping);
            }
            let waited = self.ended.wait_timeout(memory, GLANCE);
            memory = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(memory);
        let running = Running { cache: self, key };
        let found = Arc::new(scan()?);
        // A write during the pass may be half in it.
        if file.stamp_now()? == key.stamp {
            self.keep(key.clone(), &found);
        }
        drop(running);
        Ok(found)
    }

    fn keep(&self, key: ScanKey, scan: &Arc<Scan>) {
        let mut memory = self.lock();
        let range_count = memory.range_count + scan.ranges.len();
        if memory.scans.len() >= SCANS_MAX || range_count > RANGES_MAX {
            // Forgetting costs another pass over the files in use, no more.
            memory.scans.clear();
            memory.range_count = 0;
        }
        memory.range_count += scan.ranges.len();
        memory.scans.insert(key, Arc::clone(scan));
    }

    fn lock(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pass that runs; however it ends, those who wait are told.
struct Running<'a> {
    cache: &'a ScanCache,
    key: &'a ScanKey,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.cache.lock().running.remove(self.key);
        self.cache.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferry::position::{Fingerprint, Position};
    use std::io::Error;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use tempfile::TempDir;

    fn open() -> (TempDir, OpenFile) {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "uid\n1\n").expect("file is written");
        let file = OpenFile::open("a.csv", &path).expect("it opens");
        (folder, file)
    }

    fn key(file: &OpenFile) -> ScanKey {
        let request = ScanRequest {
            cut_from: Position::default(),
            known_bytes: 0,
            target_split_bytes: 1,
            is_settled: true,
        };
        let dataset = "customers".to_owned();
        ScanKey { dataset, path: file.path.clone(), stamp: file.stamp, request }
    }

    fn found(ranges: usize) -> Scan {
        Scan {
            fingerprint: Fingerprint {
                size_bytes: 6,
                content_hash: [7; 16],
                modified_unix_nanos: 1,
            },
            known_hash: [7; 16],
            is_known_boundary: true,
            ranges: vec![Position::default()..Position::default(); ranges],
            unfinished_bytes: 0,
            problem: None,
        }
    }

    #[test]
    fn whoever_comes_second_waits_for_the_first() {
        let (_folder, file) = open();
        let cache = ScanCache::default();
        let passes = AtomicUsize::new(0);
        let (begun, has_begun) = mpsc::channel();
        let (finish, may_finish) = mpsc::channel();
        std::thread::scope(|scope| {
            let (cache, file, passes) = (&cache, &file, &passes);
            scope.spawn(move || {
                let scan = || {
                    passes.fetch_add(1, Ordering::Relaxed);
                    begun.send(()).expect("the test waits");
                    may_finish.recv().expect("the test goes on");
                    Ok(found(1))
                };
                cache.find_or_scan(&key(file), file, &|| false, scan).expect("it is found");
            });
            has_begun.recv().expect("the first has begun");
            let is_gone = cache.find_or_scan(&key(file), file, &|| true, || Ok(found(1)));
            assert!(matches!(is_gone, Err(RequestError::Stopping)), "nobody must wait");
            let second = scope.spawn(move || {
                let scan = || {
                    passes.fetch_add(1, Ordering::Relaxed);
                    Ok(found(1))
                };
                cache.find_or_scan(&key(file), file, &|| false, scan).expect("it is found")
            });
            finish.send(()).expect("the first waits");
            assert_eq!(second.join().expect("no panic").ranges.len(), 1);
        });
        assert_eq!(passes.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_pass_that_failed_is_made_again() {
        let (_folder, file) = open();
        let cache = ScanCache::default();
        let failure = || Err(RequestError::of_reading("a.csv", Error::other("disk")));
        let failed = cache.find_or_scan(&key(&file), &file, &|| false, failure);
        assert!(matches!(failed, Err(RequestError::FileUnreadable { .. })));
        let again = cache.find_or_scan(&key(&file), &file, &|| false, || Ok(found(2)));
        assert_eq!(again.expect("it is found").ranges.len(), 2);
    }

    #[test]
    fn a_file_that_was_written_during_the_pass_is_read_again() {
        let (folder, file) = open();
        let cache = ScanCache::default();
        let writing = || {
            std::fs::write(folder.path().join("a.csv"), "uid\n1\n2\n").expect("file is written");
            Ok(found(1))
        };
        cache.find_or_scan(&key(&file), &file, &|| false, writing).expect("it is found");
        let again = cache.find_or_scan(&key(&file), &file, &|| false, || Ok(found(2)));
        assert_eq!(again.expect("it is found").ranges.len(), 2);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let (_folder, file) = open();
        let cache = ScanCache::default();
        for known_bytes in 0..5 {
            let mut key = key(&file);
            key.request.known_bytes = known_bytes;
            let scan = || Ok(found(RANGES_MAX / 2));
            cache.find_or_scan(&key, &file, &|| false, scan).expect("it is found");
        }
        let shelf = cache.lock();
        assert_eq!((shelf.scans.len(), shelf.range_count), (1, RANGES_MAX / 2));
        assert!(shelf.running.is_empty());
    }
}
