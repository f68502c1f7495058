//! The verbs and flags of the command line.

mod history;
mod identity;
mod job;
mod ledger;
mod load;
mod pii;
mod quarantine;
mod run;
mod serve;
mod since;

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use ferry::host::logging::Level;
use ferry::host::shutdown::Shutdown;

use crate::demo::{self, DemoOptions, TripChoice};
use crate::error::ClientError;
use crate::run::unless_stopped;
use crate::{preview, status};

use history::{RunsArguments, StatusArguments};
use job::JobArguments;
use pii::PiiVerb;
use quarantine::QuarantineVerb;
use run::{PlanArguments, RUN_EXAMPLES, RunArguments};
use serve::{SERVE_EXAMPLES, ServeArguments};

const AFTER_HELP: &str = "\
Examples:
  ferry-client demo                                   see it work, with a throw-away PostgreSQL
  ferry-client plan job.toml                          what would be moved; touches nothing
  ferry-client preview job.toml --rows 20             rows as they come in, and as loaded
  ferry-client run job.toml                           move it; again: continue, or add what is new
  ferry-client runs                                   what ran; `runs show 12` tells all of one run
  ferry-client serve job.toml                         a page and an API: runs, refused rows, records
  ferry-client run --source http://host:7443 --dataset customers \\
      --table public.customers --create --pii email,phone --key-file pii.key

Exit codes:
  0 done   1 unexpected   2 usage or configuration   3 source unreachable
  4 database unreachable   5 rejects over the limit, or a check that stops the run
  6 accounts do not close   7 the source refused   8 the database refused   130 stopped by a signal";

/// How long stages that are at work may take to notice the end.
const STAGES_END_TIMEOUT: Duration = Duration::from_secs(2);

/// Threads that wait for the source and for the database; stages have their own.
const IO_THREADS: usize = 2;

/// Takes tables from a ferry-server into PostgreSQL: typed, pseudonymised, exactly once.
#[derive(Parser)]
#[command(name = "ferry-client", version, after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
    /// Least important log lines to show; `RUST_LOG` goes before it.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "info",
        value_name = "LEVEL",
        display_order = 900
    )]
    pub(crate) log_level: Level,
}

#[derive(Subcommand)]
enum Verb {
    /// Load what is new; continue what was interrupted.
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArguments),
    /// Show what a run would do: drift, files, splits, columns, types, DDL. Touches nothing.
    Plan(PlanArguments),
    /// Show rows as they come in beside what would be loaded of them. Touches no table.
    Preview(PreviewArguments),
    /// Look at refused rows, replay them or give them up.
    #[command(subcommand)]
    Quarantine(QuarantineVerb),
    /// Look a person up, change the key, or delete the rows of a person.
    #[command(subcommand)]
    Pii(PiiVerb),
    /// Show the last runs and what is loaded of each file.
    Status(StatusArguments),
    /// List the runs, or show one with its files, tables, workers and rejects.
    Runs(RunsArguments),
    /// Serve a page, REST, gRPC and counters: runs, refused rows and loaded records.
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(ServeArguments),
    /// Make or update the ledger, schema `ferry` of the database. `run` does it too.
    Migrate(MigrateArguments),
    /// Move example data between two processes and a throw-away PostgreSQL.
    Demo(DemoArguments),
}

#[derive(Args)]
struct PreviewArguments {
    #[command(flatten)]
    job: JobArguments,
    /// Rows to show, 1 to 1000.
    #[arg(long, value_name = "N", default_value = "20", value_parser = clap::value_parser!(u16).range(1..=1000))]
    rows: u16,
}

#[derive(Args)]
struct MigrateArguments {
    /// Destination, such as <postgres://user@host/database>.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database: String,
}

#[derive(Args)]
struct DemoArguments {
    #[command(subcommand)]
    trip: Option<DemoTrip>,
    /// Leave everything running, and say how to connect and how to stop it.
    #[arg(long, global = true)]
    keep: bool,
}

#[derive(Subcommand)]
enum DemoTrip {
    /// CSV files of customers, which is also what is moved if nothing is named.
    Customers,
    /// People of a JSON API, through two tables and a Redis to REST and a web page.
    People,
    /// The API of the demo, for the demo itself.
    #[command(hide = true)]
    Api {
        #[arg(long)]
        listen: SocketAddr,
        #[arg(long, env = "PEOPLE_API_TOKEN", hide_env_values = true)]
        token: String,
    },
}

impl DemoArguments {
    async fn execute(self, shutdown: Shutdown) -> Result<(), ClientError> {
        let trip = match self.trip {
            None | Some(DemoTrip::Customers) => TripChoice::Customers,
            Some(DemoTrip::People) => TripChoice::People,
            Some(DemoTrip::Api { listen, token }) => {
                return Ok(demo::serve_api(listen, token, shutdown).await?);
            }
        };
        Ok(demo::run(DemoOptions { trip, keep: self.keep }, shutdown).await?)
    }
}

/// Does what the command line says.
pub(crate) fn execute(arguments: Arguments) -> Result<(), ClientError> {
    // It waits for standard input, so Ctrl-C must end it as it ends every program.
    if let Verb::Pii(PiiVerb::Token(token)) = arguments.verb {
        return token.execute();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(IO_THREADS)
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(execute_verb(arguments.verb));
    // What a stage still computes is not waited for: nothing of it will be loaded.
    runtime.shutdown_timeout(STAGES_END_TIMEOUT);
    outcome
}

/// Does what the verb says, until it is done or a signal comes.
async fn execute_verb(verb: Verb) -> Result<(), ClientError> {
    let mut shutdown = Shutdown::on_signals()?;
    match verb {
        Verb::Run(run) => run.execute(shutdown).await,
        Verb::Plan(plan) => plan.execute(shutdown).await,
        Verb::Preview(arguments) => {
            let rows = usize::from(arguments.rows);
            unless_stopped(&mut shutdown, preview::show(&arguments.job.load()?, rows)).await
        }
        Verb::Quarantine(verb) => verb.execute(shutdown).await,
        Verb::Pii(verb) => verb.execute(shutdown).await,
        Verb::Status(status) => status.execute(shutdown).await,
        Verb::Runs(runs) => runs.execute(shutdown).await,
        Verb::Serve(serve) => serve.execute(shutdown).await,
        Verb::Migrate(migrate) => {
            unless_stopped(&mut shutdown, status::migrate(&migrate.database)).await
        }
        Verb::Demo(demo) => demo.execute(shutdown).await,
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
