//! Moments by the clock of Redis, so that an entry ends in time however long it was on its way there.
//!
//! Redis may be stopped with commands on their way to it, and do them later:
//! an end of life that is counted from then would be too late.

use std::time::Duration;

const MICROS_OF_SECOND: u64 = 1_000_000;
const MICROS_OF_MILLI: u64 = 1_000;

/// A moment by the clock of Redis: what is read from a table after it is not older.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Since 1970.
    micros: u64,
}

impl Moment {
    /// The moment that `TIME` answers: seconds, and microseconds of the next one.
    pub(super) fn of((seconds, micros): (u64, u64)) -> Self {
        Self { micros: seconds.saturating_mul(MICROS_OF_SECOND).saturating_add(micros) }
    }

    /// Microseconds since 1970.
    pub(super) fn micros(self) -> u64 {
        self.micros
    }

    /// When what was read after it must be gone, in milliseconds as `PEXPIREAT` takes them.
    pub(super) fn end(self, ttl: Duration) -> u64 {
        let ttl = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        (self.micros / MICROS_OF_MILLI).saturating_add(ttl)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_ends_its_time_after_the_row_was_read() {
        let read_at = Moment::of((1_700_000_000, 123_999));
        assert_eq!(read_at.micros(), 1_700_000_000_123_999);
        assert_eq!(read_at.end(Duration::from_secs(2)), 1_700_000_002_123);
        let never = Moment::of((u64::MAX, u64::MAX));
        assert!(never.end(Duration::MAX) >= never.micros() / MICROS_OF_MILLI);
    }
}
