//! Spaces the requests of a dataset, whoever makes them.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// When the next request may be made.
#[derive(Debug)]
pub(super) struct Rate {
    spacing: Duration,
    next: Mutex<Instant>,
}

impl Rate {
    /// At most so many requests a second; a positive number.
    pub(super) fn new(requests_per_second: f64) -> Self {
        Self {
            spacing: Duration::from_secs_f64(requests_per_second.recip()),
            next: Mutex::new(Instant::now()),
        }
    }

    /// Takes the next free moment, which is nobody else's then.
    pub(super) fn take_turn(&self, now: Instant) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = now.max(*next);
        *next = turn + self.spacing;
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_spaced_but_not_saved_up() {
        let rate = Rate::new(4.0);
        let spacing = Duration::from_millis(250);
        let now = Instant::now() + Duration::from_secs(1);
        assert_eq!(rate.take_turn(now), now);
        assert_eq!(rate.take_turn(now), now + spacing);
        assert_eq!(rate.take_turn(now), now + 2 * spacing);
        let later = now + Duration::from_mins(1);
        assert_eq!(rate.take_turn(later), later);
        assert_eq!(rate.take_turn(later), later + spacing);
    }
}
