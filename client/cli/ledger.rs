//! The flags that say which part of the ledger is asked for.

use std::path::PathBuf;

use clap::Args;

use super::identity::IdentityArguments;
use crate::error::ClientError;
use crate::status::Scope;

/// Where the ledger is, and which job is meant.
#[derive(Args)]
pub(super) struct LedgerArguments {
    /// Job file; without one and without a name, all jobs are meant.
    #[arg(value_name = "JOB")]
    job: Option<PathBuf>,
    #[command(flatten)]
    identity: IdentityArguments,
}

impl LedgerArguments {
    /// Reads the job file, if there is one, and lays the flags over it.
    pub(super) fn scope(self) -> Result<Scope, ClientError> {
        let IdentityArguments { name, database } = self.identity;
        Scope::new(self.job.as_deref(), name, database)
    }
}
