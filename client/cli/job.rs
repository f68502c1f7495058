//! The flags that say what to load: every setting of a job file that fits a flag has one.

use std::path::PathBuf;

use clap::Args;
use ferry::host::settings::{ByteSize, Span};

use crate::error::ClientError;
use crate::job::{Job, Overrides};

/// What to load; flags go before the environment, and that goes before the job file.
#[derive(Args)]
pub(super) struct JobArguments {
    /// Job file; settings that fit a flag have one too.
    #[arg(value_name = "JOB")]
    job: Option<PathBuf>,
    /// Name under which the ledger remembers what was loaded.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Destination, such as <postgres://user@host/database>.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database: Option<String>,
    /// Source host, such as <https://source-host:7443>.
    #[arg(long, env = "FERRY_SOURCE", value_name = "URL")]
    source: Option<String>,
    /// Dataset on the source host.
    #[arg(long, value_name = "NAME")]
    dataset: Option<String>,
    /// Columns to load; the source sends no others.
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    columns: Vec<String>,
    /// Table to load into.
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
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
    /// Bytes after which a transaction is committed [default: 32MiB].
    #[arg(long, value_name = "SIZE")]
    commit_bytes: Option<ByteSize>,
    /// Time after which a transaction is committed [default: 5s].
    #[arg(long, value_name = "DURATION")]
    commit_interval: Option<Span>,
    /// Size of the ranges that files are cut into [default: 256MiB].
    #[arg(long, value_name = "SIZE")]
    split_bytes: Option<ByteSize>,
    /// Rows that may be refused before the run fails: a count or a percentage [default: 50%].
    #[arg(long, value_name = "LIMIT")]
    max_rejects: Option<String>,
}

impl JobArguments {
    /// Reads the job file, if there is one, and lays the flags over it.
    pub(super) fn load(self) -> Result<Job, ClientError> {
        let flags = Overrides {
            name: self.name,
            database_url: self.database,
            source_url: self.source,
            dataset: self.dataset,
            columns: self.columns,
            table: self.table,
            create: self.create,
            pii: self.pii,
            pii_key_file: self.key_file,
            token_file: self.token_file,
            ca_file: self.ca_file,
            cert_file: self.cert_file,
            client_key_file: self.client_key_file,
            commit_bytes: self.commit_bytes,
            commit_interval: self.commit_interval,
            split_bytes: self.split_bytes,
            max_rejects: self.max_rejects,
        };
        Ok(Job::load(self.job.as_deref(), flags)?)
    }
}
