//! How long to wait before a request is made again: with jitter, or as the answer asks.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, SystemTime};

use chrono::DateTime;

/// The first pause is at most so long, and each further one at most twice the one before.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A longer pause than this is not waited for.
pub(super) const PAUSE_ASKED_MAX: Duration = Duration::from_mins(5);

/// A pause after the given number of attempts: anything up to a limit that doubles.
///
/// "Full jitter" of <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>.
pub(super) fn pause(attempts: u32, random: u64) -> Duration {
    let doublings = attempts.saturating_sub(1).min(16);
    let limit = PAUSE_FIRST.saturating_mul(1 << doublings).min(PAUSE_MAX);
    let limit_micros = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(random % limit_micros)
}

/// A number that nobody can guess, as good as jitter needs it.
pub(super) fn random() -> u64 {
    RandomState::new().hash_one(0_u8)
}

/// The pause of a `Retry-After` header: seconds, or an HTTP date (RFC 9110, section 10.2.3).
pub(super) fn pause_asked(header: &str, now: SystemTime) -> Option<Duration> {
    let header = header.trim();
    if !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit()) {
        // So many digits that they are no number are a very long time.
        return Some(Duration::from_secs(header.parse().unwrap_or(u64::MAX)));
    }
    let date = DateTime::parse_from_rfc2822(header).ok()?;
    let seconds = u64::try_from(date.timestamp()).unwrap_or(0);
    let moment = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
    Some(moment.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_limit() {
        let longest =
            |attempts| (0..100).map(|_| pause(attempts, random())).max().expect("there are pauses");
        assert!(longest(1) < PAUSE_FIRST && longest(3) < 4 * PAUSE_FIRST);
        // With all of a hundred below the half, the jitter would not be full.
        assert!(longest(3) > 2 * PAUSE_FIRST);
        assert!(longest(u32::MAX) < PAUSE_MAX && longest(u32::MAX) > PAUSE_MAX / 2);
        assert_eq!(pause(1, 0), Duration::ZERO);
    }

    #[test]
    fn an_answer_may_ask_for_seconds_or_for_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 90);
        let asked = |header| pause_asked(header, now);
        assert_eq!(asked("120"), Some(Duration::from_mins(2)));
        assert_eq!(asked(" 0 "), Some(Duration::ZERO));
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(90)));
        assert_eq!(asked("Sun, 06 Nov 1994 08:40:00 GMT"), Some(Duration::ZERO));
        let endless = "9".repeat(40);
        assert_eq!(asked(&endless), Some(Duration::from_secs(u64::MAX)));
        for header in ["", "soon", "-1", "1.5", "Sun, 06 Nov"] {
            assert_eq!(asked(header), None, "{header}");
        }
    }
}
