//! The flags that say which part of the ledger is asked for.

use std::path::PathBuf;

use clap::Args;

use crate::error::ClientError;
use crate::status::Scope;

/// Where the ledger is, and which job is meant.
#[derive(Args)]
pub(super) struct LedgerArguments {
    /// Job file; without one, all jobs are meant.
    #[arg(value_name = "JOB")]
    job: Option<PathBuf>,
    /// Name of the job, instead of a job file.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Destination, such as <postgres://user@host/database>.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database: Option<String>,
}

impl LedgerArguments {
    /// Reads the job file, if there is one, and lays the flags over it.
    pub(super) fn scope(self) -> Result<Scope, ClientError> {
        Scope::new(self.job.as_deref(), self.name, self.database)
    }
}
