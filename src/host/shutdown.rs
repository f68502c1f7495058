//! The wish to stop, handed to everything that runs.
//!
//! The first SIGINT or SIGTERM asks for a clean stop; the second one ends the process.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Exit code after a second signal: 128 + SIGINT, as shells have it.
const EXIT_INTERRUPTED: i32 = 130;

/// Tells whether, and waits until, the host is to stop.
#[derive(Debug, Clone)]
pub struct Shutdown {
    requested: watch::Receiver<bool>,
}

/// Asks everything that holds the matching [`Shutdown`] to stop.
#[derive(Debug)]
pub struct ShutdownTrigger {
    requested: watch::Sender<bool>,
}

impl ShutdownTrigger {
    /// Asks for a stop.
    pub fn request(&self) {
        self.requested.send_replace(true);
    }
}

/// A connected trigger and shutdown.
#[must_use]
pub fn channel() -> (ShutdownTrigger, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (ShutdownTrigger { requested: sender }, Shutdown { requested: receiver })
}

impl Shutdown {
    /// A shutdown that the process's signals request.
    ///
    /// Must be called inside a Tokio runtime.
    pub fn on_signals() -> io::Result<Self> {
        let (trigger, shutdown) = channel();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::spawn(async move {
            let mut signals_seen = 0;
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                signals_seen += 1;
                if signals_seen == 1 {
                    tracing::info!("stopping: a second signal ends the process at once");
                    trigger.request();
                } else {
                    std::process::exit(EXIT_INTERRUPTED);
                }
            }
        });
        Ok(shutdown)
    }

    /// Whether a stop was requested.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.requested.borrow()
    }

    /// Waits until a stop is requested.
    pub async fn requested(&mut self) {
        if self.requested.wait_for(|requested| *requested).await.is_err() {
            // The trigger is gone: nobody can ask any more.
            std::future::pending::<()>().await;
        }
    }
}
