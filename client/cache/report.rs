//! What a run or replay did to the cache: counted while it goes on, told at its end.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::CacheOutcome;

/// What a run or replay did to the cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct CacheReport {
    /// Entries that were written.
    pub(crate) written: u64,
    /// Entries that were removed.
    pub(crate) removed: u64,
    /// Entries that could be neither written nor removed.
    pub(crate) errors: u64,
    /// Keys that were not looked at, since there were too many, or too little time.
    pub(crate) dropped: u64,
}

/// The same while it goes on.
#[derive(Default)]
pub(super) struct Counts {
    written: AtomicU64,
    removed: AtomicU64,
    errors: AtomicU64,
    dropped: AtomicU64,
    /// Keys that were handed over.
    handed: AtomicU64,
    /// Keys that were dealt with.
    settled: AtomicU64,
}

impl Counts {
    pub(super) fn take(&self, outcome: CacheOutcome) {
        self.written.fetch_add(outcome.written, Ordering::Relaxed);
        self.removed.fetch_add(outcome.removed, Ordering::Relaxed);
        self.errors.fetch_add(outcome.failed, Ordering::Relaxed);
    }

    pub(super) fn take_errors(&self, keys: u64) {
        self.errors.fetch_add(keys, Ordering::Relaxed);
    }

    pub(super) fn take_dropped(&self, keys: u64) {
        self.dropped.fetch_add(keys, Ordering::Relaxed);
    }

    pub(super) fn take_handed(&self, keys: u64) {
        self.handed.fetch_add(keys, Ordering::Relaxed);
    }

    pub(super) fn take_settled(&self, keys: u64) {
        self.settled.fetch_add(keys, Ordering::Relaxed);
    }

    /// The sums, once nothing more is dealt with.
    pub(super) fn report(&self) -> CacheReport {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let left = load(&self.handed).saturating_sub(load(&self.settled));
        CacheReport {
            written: load(&self.written),
            removed: load(&self.removed),
            errors: load(&self.errors),
            dropped: load(&self.dropped) + left,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_nobody_came_to_are_dropped() {
        let counts = Counts::default();
        counts.take_handed(10);
        counts.take_settled(7);
        counts.take(CacheOutcome { written: 5, removed: 2, failed: 1 });
        counts.take_dropped(4);
        counts.take_errors(2);
        let expected = CacheReport { written: 5, removed: 2, errors: 3, dropped: 7 };
        assert_eq!(counts.report(), expected);
    }
}
