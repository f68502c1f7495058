//! Log lines on standard error, as many as the command line or `RUST_LOG` asks for.

use std::io::IsTerminal as _;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// Least important lines that are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// What failed.
    Error,
    /// What may be wrong.
    Warn,
    /// What is done.
    Info,
    /// How it is done.
    Debug,
    /// Every step.
    Trace,
}

impl Level {
    /// The level for ferry's own code; libraries only warn, because at `trace`
    /// they write a line for each frame of the wire. HTTP/2 does not even warn: any
    /// stranger could fill a disk with frames that it warns of.
    fn filter(self) -> EnvFilter {
        let own = match self {
            Self::Error => return EnvFilter::new("error"),
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        };
        EnvFilter::new(format!("warn,h2=error,ferry={own},ferry_client={own},ferry_server={own}"))
    }
}

/// Sends the log to standard error from now on; `RUST_LOG` goes before `level`.
pub fn init(level: Level) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| level.filter());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // A second call, in a test, keeps the first subscriber.
    let _ = subscriber.try_init();
}
