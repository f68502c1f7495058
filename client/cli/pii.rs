//! `ferry-client pii …`: the flags of the verbs for personal data.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ferry::host::shutdown::Shutdown;

use super::job::JobArguments;
use crate::error::ClientError;
use crate::pii::{self, ForgetOptions, TokenOptions};
use crate::run::unless_stopped;

#[derive(Subcommand)]
pub(super) enum PiiVerb {
    /// Turn values on standard input, a line each, into the pseudonyms that the job makes of them.
    Token(TokenArguments),
    /// Replace the job's key: later runs use the new one.
    Rotate(RotateArguments),
    /// Delete the rows of one person from all tables of the job; the value is read from standard input.
    Forget(ForgetArguments),
}

#[derive(Args)]
pub(super) struct TokenArguments {
    /// Job file.
    #[arg(value_name = "JOB")]
    job: PathBuf,
    /// Column that the values belong to.
    #[arg(long, value_name = "NAME")]
    column: String,
    /// Key to use instead of the job's, such as one from before a rotation.
    #[arg(long, env = "FERRY_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct RotateArguments {
    #[command(flatten)]
    job: JobArguments,
    /// File that holds the new key; without it, one is made.
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct ForgetArguments {
    #[command(flatten)]
    job: JobArguments,
    /// Column by which the person is known.
    #[arg(long, value_name = "NAME")]
    column: String,
    /// What you call the request, such as a ticket; it is kept in the audit row.
    #[arg(long, value_name = "TEXT")]
    reference: Option<String>,
    /// Files with keys from before a rotation.
    #[arg(long = "old-key-file", value_name = "FILE")]
    old_key_files: Vec<PathBuf>,
    /// Pseudonym of the person in 64 hexadecimal digits, instead of the value.
    #[arg(long, value_name = "HEX")]
    token: Option<String>,
    /// Count what would be deleted, and delete nothing.
    #[arg(long)]
    dry_run: bool,
}

impl TokenArguments {
    /// Does what the verb says.
    pub(super) fn execute(self) -> Result<(), ClientError> {
        let Self { job, column, key_file } = self;
        pii::token(&TokenOptions { job, column, key_file })
    }
}

impl PiiVerb {
    /// Does what the verb says.
    pub(super) async fn execute(self, mut shutdown: Shutdown) -> Result<(), ClientError> {
        match self {
            Self::Token(token) => token.execute(),
            Self::Rotate(rotate) => {
                let job = rotate.job.load()?;
                unless_stopped(&mut shutdown, pii::rotate(&job, rotate.to.as_deref())).await
            }
            Self::Forget(forget) => {
                let ForgetArguments { job, column, reference, old_key_files, token, dry_run } =
                    forget;
                let job = job.load()?;
                let is_dry_run = dry_run;
                let options = ForgetOptions { column, reference, old_key_files, token, is_dry_run };
                unless_stopped(&mut shutdown, pii::forget(&job, &options)).await
            }
        }
    }
}
