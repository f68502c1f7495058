//! The flags that say what to load: every setting of a job file that fits a flag has one.

use std::path::PathBuf;

use clap::Args;

use super::identity::IdentityArguments;
use super::load::LoadArguments;
use crate::error::ClientError;
use crate::job::{Job, LoadOverrides, MODES, Overrides, TargetOverrides};

/// What to load; flags go before the environment, and that goes before the job file.
#[derive(Args)]
pub(super) struct JobArguments {
    /// Job file; settings that fit a flag have one too.
    #[arg(value_name = "JOB")]
    job: Option<PathBuf>,
    #[command(flatten)]
    identity: IdentityArguments,
    /// Source host, such as <https://source-host:7443>.
    #[arg(long, env = "FERRY_SOURCE", value_name = "URL")]
    source: Option<String>,
    /// Dataset on the source host.
    #[arg(long, value_name = "NAME")]
    dataset: Option<String>,
    /// Columns to load; the source sends no others.
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    columns: Vec<String>,
    #[command(flatten)]
    target: TargetArguments,
    /// Make the table if it does not exist.
    #[arg(long)]
    create: bool,
    /// Columns of personal data: they are loaded as keyed hashes.
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pii: Vec<String>,
    /// File with the key of those hashes, at least 32 bytes.
    #[arg(long, env = "FERRY_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// File with the bearer token for the source.
    #[arg(long, env = "FERRY_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Certificates to trust instead of the system's.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Client certificate.
    #[arg(long, value_name = "FILE")]
    cert_file: Option<PathBuf>,
    /// Key of the client certificate.
    #[arg(long, value_name = "FILE")]
    client_key_file: Option<PathBuf>,
}

/// Where the rows go; of a job with several targets, its file says it.
#[derive(Args)]
struct TargetArguments {
    /// Table to load into.
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    /// How rows meet those that are in the table [default: append].
    #[arg(long, value_name = "MODE", value_parser = MODES)]
    mode: Option<String>,
    /// Columns that tell the rows of the table apart.
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    key: Vec<String>,
    /// Columns that an upsert updates; all but the key without it.
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    update: Vec<String>,
    /// Column whose value must be greater than before for an upsert to update a row.
    #[arg(long, value_name = "COLUMN")]
    only_if_newer: Option<String>,
    /// Keep the rows that are replaced in a table beside it.
    #[arg(long)]
    keep_old: bool,
}

impl JobArguments {
    /// Reads the job file, if there is one, and lays the flags over it.
    pub(super) fn load(self) -> Result<Job, ClientError> {
        self.load_over(LoadOverrides::default())
    }

    /// The same with flags that only a load has.
    pub(super) fn load_with(self, load: LoadArguments) -> Result<Job, ClientError> {
        self.load_over(load.overrides())
    }

    fn load_over(self, load: LoadOverrides) -> Result<Job, ClientError> {
        let flags = Overrides {
            name: self.identity.name,
            database_url: self.identity.database,
            source_url: self.source,
            dataset: self.dataset,
            columns: self.columns,
            create: self.create,
            target: self.target.overrides(),
            pii: self.pii,
            pii_key_file: self.key_file,
            token_file: self.token_file,
            ca_file: self.ca_file,
            cert_file: self.cert_file,
            client_key_file: self.client_key_file,
            load,
        };
        Ok(Job::load(self.job.as_deref(), flags)?)
    }
}

impl TargetArguments {
    fn overrides(self) -> TargetOverrides {
        let Self { table, mode, key, update, only_if_newer, keep_old } = self;
        TargetOverrides { table, mode, key, update, only_if_newer, keep_old }
    }
}
