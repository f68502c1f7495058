//! The flags that bound a load: those of `[load]`, for the verbs that load or say what they would.

use clap::Args;
use ferry::host::settings::{ByteSize, Span};

use crate::job::{DRIFT_POLICIES, LoadOverrides, REWRITTEN_POLICIES};

/// Bounds of the load.
#[derive(Args)]
#[command(next_help_heading = "Load")]
pub(super) struct LoadArguments {
    /// Splits that this process loads at a time, 1 to 64 [default: 1].
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Time after which others take over the split of a worker that shows no sign of life [default: 60s].
    #[arg(long, value_name = "DURATION")]
    lease: Option<Span>,
    /// Attempts in a row that may come to nothing before the run fails [default: 8].
    #[arg(long, value_name = "N")]
    retries: Option<usize>,
    /// What becomes of columns that appear, vanish or change at the source [default: freeze].
    #[arg(long, value_name = "POLICY", value_parser = DRIFT_POLICIES)]
    drift: Option<String>,
    /// What becomes of a file whose loaded part changed [default: refuse].
    #[arg(long, value_name = "POLICY", value_parser = REWRITTEN_POLICIES)]
    rewritten: Option<String>,
    /// Rows that may be refused before the run fails: a count or a percentage [default: 50%].
    #[arg(long, value_name = "LIMIT")]
    max_rejects: Option<String>,
    /// Bytes after which a transaction is committed [default: 32MiB].
    #[arg(long, value_name = "SIZE")]
    commit_bytes: Option<ByteSize>,
    /// Time after which a transaction is committed, at most a third of the lease [default: 5s].
    #[arg(long, value_name = "DURATION")]
    commit_interval: Option<Span>,
    /// Size of the ranges that files are cut into [default: 256MiB].
    #[arg(long, value_name = "SIZE")]
    split_bytes: Option<ByteSize>,
}

impl LoadArguments {
    /// The flags as they are laid over a job file.
    pub(super) fn overrides(self) -> LoadOverrides {
        LoadOverrides {
            commit_bytes: self.commit_bytes,
            commit_interval: self.commit_interval,
            split_bytes: self.split_bytes,
            max_rejects: self.max_rejects,
            workers: self.workers,
            lease: self.lease,
            retries: self.retries,
            drift: self.drift,
            rewritten: self.rewritten,
        }
    }
}
