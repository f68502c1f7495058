//! Waits for as long as somebody waits for the result.
//!
//! Invariant: nothing here lasts longer than 100 ms after nobody waits any more.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::{FetchError, IsUnwanted};

/// How often it is asked whether somebody still waits.
const STEP: Duration = Duration::from_millis(100);

/// Waits until a moment.
pub(super) fn wait_until(moment: Instant, is_unwanted: IsUnwanted<'_>) -> Result<(), FetchError> {
    loop {
        if is_unwanted() {
            return Err(FetchError::Stopping);
        }
        let left = moment.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(STEP));
    }
}

/// Waits for what another thread sends; `None` if it ended without sending anything.
pub(super) fn wait_for<T>(
    receiver: &Receiver<T>,
    is_unwanted: IsUnwanted<'_>,
) -> Result<Option<T>, FetchError> {
    loop {
        if is_unwanted() {
            return Err(FetchError::Stopping);
        }
        match receiver.recv_timeout(STEP) {
            Ok(sent) => return Ok(Some(sent)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const LONG: Duration = Duration::from_hours(1);

    #[test]
    fn a_wait_ends_at_its_moment_or_when_nobody_waits() {
        let start = Instant::now();
        wait_until(start, &|| false).expect("the moment has come");
        wait_until(start + Duration::from_millis(30), &|| false).expect("it comes soon");
        assert!(start.elapsed() >= Duration::from_millis(30));
        let is_unwanted = || start.elapsed() > Duration::from_millis(50);
        let error = wait_until(start + LONG, &is_unwanted).expect_err("nobody waits");
        assert!(error.is_stopping() && start.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn what_is_sent_is_taken_and_a_lost_sender_is_noticed() {
        let (sender, receiver) = mpsc::channel();
        sender.send(7).expect("it is received");
        assert_eq!(wait_for(&receiver, &|| false).expect("somebody waits"), Some(7));
        let error = wait_for(&receiver, &|| true).expect_err("nobody waits");
        assert!(error.is_stopping());
        drop(sender);
        assert_eq!(wait_for(&receiver, &|| false).expect("somebody waits"), None);
    }
}
