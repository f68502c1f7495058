//! Keeps those who are not let in from filling the disk: how many lines of the log they may cause, and how many were left out.
//!
//! Bound: 10 lines a second.

use std::mem::take;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const LINES_MAX: u32 = 10;
const INTERVAL: Duration = Duration::from_secs(1);

/// Lines that may be written.
#[derive(Debug)]
pub(super) struct LineAllowance {
    used: Mutex<Used>,
}

#[derive(Debug)]
struct Used {
    /// When the interval began that the lines are counted in.
    since: Instant,
    lines: u32,
    /// Lines that were not written since the last one that was.
    left_out: u64,
}

impl LineAllowance {
    pub(super) fn new(now: Instant) -> Self {
        Self { used: Mutex::new(Used { since: now, lines: 0, left_out: 0 }) }
    }

    /// Asks for a line: how many were left out before it, or `None` if it is one of them.
    pub(super) fn take_line(&self, now: Instant) -> Option<u64> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(used.since) >= INTERVAL {
            used.since = now;
            used.lines = 0;
        }
        if used.lines == LINES_MAX {
            used.left_out += 1;
            return None;
        }
        used.lines += 1;
        Some(take(&mut used.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_told_with_the_next_line() {
        let begun = Instant::now();
        let allowance = LineAllowance::new(begun);
        for _ in 0..LINES_MAX {
            assert_eq!(allowance.take_line(begun), Some(0));
        }
        for _ in 0..3 {
            assert_eq!(allowance.take_line(begun + INTERVAL / 2), None);
        }
        assert_eq!(allowance.take_line(begun + INTERVAL), Some(3));
        assert_eq!(allowance.take_line(begun + INTERVAL), Some(0));
    }
}
