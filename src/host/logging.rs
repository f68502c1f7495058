//! Log lines on standard error, filtered by `RUST_LOG`, with the level from the command line as default.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Sends the log to standard error from now on.
///
/// `default_level` is a level such as `info`; `RUST_LOG` goes before it.
pub fn init(default_level: &str) {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default_level));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // A second call, in a test, keeps the first subscriber.
    let _ = subscriber.try_init();
}
