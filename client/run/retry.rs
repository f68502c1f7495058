//! How long to wait after an error that may pass, and when to give up.
//!
//! Waits double from a quarter of a second to a quarter of a minute, with
//! jitter, so that workers that lost the same host do not all come back at once.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use ferry::host::shutdown::Shutdown;

use crate::error::{ClientError, Trouble};

const WAIT_MIN: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(15);

/// Attempts in a row that did not get on.
pub(super) struct Attempts {
    waits: ExponentialBuilder,
    left: ExponentialBackoff,
}

impl Attempts {
    /// Allows so many attempts after the first one.
    pub(super) fn new(retries: usize) -> Self {
        let waits = ExponentialBuilder::default()
            .with_min_delay(WAIT_MIN)
            .with_max_delay(WAIT_MAX)
            .with_factor(2.0)
            .with_max_times(retries)
            .with_jitter();
        Self { waits, left: waits.build() }
    }

    /// Takes note that something was committed: the next error is the first one again.
    pub(super) fn begin_anew(&mut self) {
        self.left = self.waits.build();
    }

    /// Waits after an error that passes; one that lasts, or comes too often, is given back.
    pub(super) async fn wait_after(
        &mut self,
        error: ClientError,
        shutdown: &mut Shutdown,
    ) -> Result<(), ClientError> {
        if error.trouble() != Trouble::Passing {
            return Err(error);
        }
        let Some(wait) = self.next_wait() else {
            return Err(error);
        };
        tracing::warn!(%error, seconds = wait.as_secs_f32(), "trying again after a while");
        tokio::select! {
            () = shutdown.requested() => Err(ClientError::Interrupted),
            () = tokio::time::sleep(wait) => Ok(()),
        }
    }

    /// How long to wait before the next attempt; `None` if there is none left.
    fn next_wait(&mut self) -> Option<Duration> {
        self.left.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let mut attempts = Attempts::new(10);
        let waits: Vec<Duration> = std::iter::from_fn(|| attempts.next_wait()).collect();
        assert_eq!(waits.len(), 10);
        assert!(waits[0] >= WAIT_MIN && waits[0] <= WAIT_MIN * 2, "{waits:?}");
        assert!(waits[9] >= WAIT_MAX && waits[9] <= WAIT_MAX * 2, "{waits:?}");
        attempts.begin_anew();
        assert!(attempts.next_wait().is_some_and(|wait| wait <= WAIT_MIN * 2));
    }

    #[test]
    fn no_retries_are_none() {
        assert_eq!(Attempts::new(0).next_wait(), None);
    }
}
