//! Runs many cases on all processors, and names each that panics or takes too long.
//!
//! Invariant: a case that hangs fails its test; nothing waits for it.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How often one looks at the clock of those that run.
const GLANCE: Duration = Duration::from_millis(200);
/// More failures than that tell nothing new.
const FAILURES_MAX: usize = 5;

/// What a worker tells.
enum Told {
    Begins { worker: usize, case: u64 },
    Ended { worker: usize, case: u64, is_good: bool },
}

/// Tries `count` cases from `first` on, each of which may take so many seconds.
pub(super) fn try_cases(
    first: u64,
    count: u64,
    seconds_max: u64,
    try_one: impl Fn(u64) + Send + Sync + 'static,
) {
    let try_one = Arc::new(try_one);
    let next = Arc::new(AtomicU64::new(0));
    let (teller, told) = channel();
    let workers = thread::available_parallelism().map_or(1, usize::from);
    for worker in 0..workers {
        let (try_one, next, teller) = (Arc::clone(&try_one), Arc::clone(&next), teller.clone());
        let next_case = move || {
            let index = next.fetch_add(1, Ordering::Relaxed);
            (index < count).then(|| first.wrapping_add(index))
        };
        thread::spawn(move || work(worker, next_case, &teller, &*try_one));
    }
    drop(teller);
    let failed = watch(&told, Duration::from_secs(seconds_max), &next, count);
    assert!(failed.is_empty(), "cases that failed: {failed:?}");
}

fn work(
    worker: usize,
    next_case: impl Fn() -> Option<u64>,
    teller: &Sender<Told>,
    try_one: &impl Fn(u64),
) {
    while let Some(case) = next_case() {
        if teller.send(Told::Begins { worker, case }).is_err() {
            return;
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| try_one(case)));
        let ended = Told::Ended { worker, case, is_good: outcome.is_ok() };
        if teller.send(ended).is_err() {
            return;
        }
    }
}

/// Waits for all workers; returns the cases that failed.
fn watch(told: &Receiver<Told>, time_max: Duration, next: &AtomicU64, count: u64) -> Vec<u64> {
    let mut running: HashMap<usize, (u64, Instant)> = HashMap::new();
    let mut failed = Vec::new();
    loop {
        match told.recv_timeout(GLANCE) {
            Ok(Told::Begins { worker, case }) => {
                running.insert(worker, (case, Instant::now()));
            }
            Ok(Told::Ended { worker, case, is_good }) => {
                running.remove(&worker);
                if !is_good {
                    failed.push(case);
                }
                if failed.len() >= FAILURES_MAX {
                    // Whoever asks for the next case is told that there is none.
                    next.store(count, Ordering::Relaxed);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return failed,
        }
        for (case, begun) in running.values() {
            let taken = begun.elapsed();
            assert!(taken <= time_max, "case {case} takes more than {taken:?}; failed: {failed:?}");
        }
    }
}
