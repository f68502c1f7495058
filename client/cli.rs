//! The verbs and flags of the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use ferry::host::logging::Level;
use ferry::host::settings::{ByteSize, Span};
use ferry::host::shutdown::Shutdown;

use crate::demo::{self, DemoOptions};
use crate::error::ClientError;
use crate::job::{Job, Overrides};
use crate::output::Style;
use crate::report::{self, Display};
use crate::run::unless_stopped;
use crate::{plan, run, status};

const AFTER_HELP: &str = "\
Examples:
  ferry-client demo                                   see it work, with a throw-away PostgreSQL
  ferry-client plan job.toml                          what would be moved; touches nothing
  ferry-client run job.toml                           move it; run again to continue or to add what is new
  ferry-client run --source http://host:7443 --dataset customers \\
      --table public.customers --create --pii email,phone --key-file pii.key

Exit codes:
  0 done   1 unexpected   2 usage or configuration   3 source unreachable
  4 database unreachable   5 rejects over the limit   6 accounts do not close
  7 the source refused   8 the database refused   130 stopped by a signal";

/// Threads that wait for the source and for the database; stages have their own.
const IO_THREADS: usize = 2;

/// Takes tables from a ferry-server into PostgreSQL: typed, pseudonymised, exactly once.
#[derive(Parser)]
#[command(name = "ferry-client", version, after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
    /// Least important log lines to show; `RUST_LOG` goes before it.
    #[arg(long, global = true, value_enum, default_value = "info", value_name = "LEVEL")]
    pub(crate) log_level: Level,
}

#[derive(Subcommand)]
enum Verb {
    /// Load what is new; continue what was interrupted.
    Run(RunArguments),
    /// Show what a run would do: files, splits, columns, types, DDL. Touches nothing.
    Plan(JobArguments),
    /// Show the last runs and how far each file is loaded.
    Status(StatusArguments),
    /// Make or update the ledger, schema `ferry` of the database. `run` does it too.
    Migrate(MigrateArguments),
    /// Move example data between two processes and a throw-away PostgreSQL.
    Demo(DemoArguments),
}

/// What to load; flags go before the environment, and that goes before the job file.
#[derive(Args)]
struct JobArguments {
    /// Job file; every setting in it has a flag too.
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

#[derive(Args)]
struct RunArguments {
    #[command(flatten)]
    job: JobArguments,
    /// Print the summary as one JSON object.
    #[arg(long)]
    json: bool,
    /// Show no progress.
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Args)]
struct StatusArguments {
    /// Job file; without one, the runs of all jobs are shown.
    #[arg(value_name = "JOB")]
    job: Option<PathBuf>,
    /// Name of the job, instead of a job file.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Destination, such as <postgres://user@host/database>.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct MigrateArguments {
    /// Destination, such as <postgres://user@host/database>.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database: String,
}

#[derive(Args)]
struct DemoArguments {
    /// Leave everything running, and say how to connect and how to stop it.
    #[arg(long)]
    keep: bool,
}

impl JobArguments {
    fn load(self) -> Result<Job, ClientError> {
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

/// Does what the command line says.
pub(crate) fn execute(arguments: Arguments) -> Result<(), ClientError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(IO_THREADS)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut shutdown = Shutdown::on_signals()?;
        match arguments.verb {
            Verb::Run(run) => execute_run(run, shutdown).await,
            Verb::Plan(plan) => unless_stopped(&mut shutdown, plan::show(&plan.load()?)).await,
            Verb::Status(status) => {
                let style = Style::of(status.json);
                let scope =
                    status::Scope::new(status.job.as_deref(), status.name, status.database)?;
                unless_stopped(&mut shutdown, status::show(&scope, style)).await
            }
            Verb::Migrate(migrate) => {
                unless_stopped(&mut shutdown, status::migrate(&migrate.database)).await
            }
            Verb::Demo(demo) => Ok(demo::run(DemoOptions { keep: demo.keep }, shutdown).await?),
        }
    })
}

async fn execute_run(arguments: RunArguments, shutdown: Shutdown) -> Result<(), ClientError> {
    let is_silent = arguments.quiet || arguments.json;
    let display = if is_silent { Display::Hidden } else { Display::Automatic };
    let style = Style::of(arguments.json);
    match arguments.job.load() {
        Ok(job) => run::run_and_report(&job, display, style, shutdown).await,
        Err(error) => {
            report::RunReport::new("").finish(Some(&error), style);
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }
}
