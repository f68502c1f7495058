//! The verbs and flags of the command line.

mod job;
mod ledger;
mod pii;
mod quarantine;

use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use ferry::host::logging::Level;
use ferry::host::shutdown::Shutdown;

use crate::demo::{self, DemoOptions};
use crate::error::ClientError;
use crate::ledger::runs::OldRules;
use crate::output::Style;
use crate::report::{self, Display};
use crate::run::unless_stopped;
use crate::{plan, preview, run, status};

use job::JobArguments;
use ledger::LedgerArguments;
use pii::PiiVerb;
use quarantine::QuarantineVerb;

const AFTER_HELP: &str = "\
Examples:
  ferry-client demo                                   see it work, with a throw-away PostgreSQL
  ferry-client plan job.toml                          what would be moved; touches nothing
  ferry-client preview job.toml --rows 20             rows as they come in beside what would be loaded
  ferry-client run job.toml                           move it; run again to continue or to add what is new
  ferry-client run --source http://host:7443 --dataset customers \\
      --table public.customers --create --pii email,phone --key-file pii.key

Exit codes:
  0 done   1 unexpected   2 usage or configuration   3 source unreachable
  4 database unreachable   5 rejects over the limit, or a check that stops the run
  6 accounts do not close
  7 the source refused   8 the database refused   130 stopped by a signal";

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
    #[arg(long, global = true, value_enum, default_value = "info", value_name = "LEVEL")]
    pub(crate) log_level: Level,
}

#[derive(Subcommand)]
enum Verb {
    /// Load what is new; continue what was interrupted.
    Run(RunArguments),
    /// Show what a run would do: files, splits, columns, types, DDL. Touches nothing.
    Plan(JobArguments),
    /// Show rows as they come in beside what would be loaded of them. Touches no table.
    Preview(PreviewArguments),
    /// Look at refused rows, replay them or give them up.
    #[command(subcommand)]
    Quarantine(QuarantineVerb),
    /// Look a person up, change the key, or delete the rows of a person.
    #[command(subcommand)]
    Pii(PiiVerb),
    /// Show the last runs and how far each file is loaded.
    Status(StatusArguments),
    /// Make or update the ledger, schema `ferry` of the database. `run` does it too.
    Migrate(MigrateArguments),
    /// Move example data between two processes and a throw-away PostgreSQL.
    Demo(DemoArguments),
}

#[derive(Args)]
struct RunArguments {
    #[command(flatten)]
    job: JobArguments,
    /// Let an unfinished run that began with other checks or expressions go on with these.
    #[arg(long)]
    new_rules: bool,
    /// Print the summary as one JSON object.
    #[arg(long)]
    json: bool,
    /// Show no progress.
    #[arg(long, short)]
    quiet: bool,
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
struct StatusArguments {
    #[command(flatten)]
    ledger: LedgerArguments,
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
        Verb::Run(run) => execute_run(run, shutdown).await,
        Verb::Plan(plan) => unless_stopped(&mut shutdown, plan::show(&plan.load()?)).await,
        Verb::Preview(arguments) => {
            let rows = usize::from(arguments.rows);
            unless_stopped(&mut shutdown, preview::show(&arguments.job.load()?, rows)).await
        }
        Verb::Quarantine(verb) => verb.execute(shutdown).await,
        Verb::Pii(verb) => verb.execute(shutdown).await,
        Verb::Status(status) => {
            let style = Style::of(status.json);
            let scope = status.ledger.scope()?;
            unless_stopped(&mut shutdown, status::show(&scope, style)).await
        }
        Verb::Migrate(migrate) => {
            unless_stopped(&mut shutdown, status::migrate(&migrate.database)).await
        }
        Verb::Demo(demo) => Ok(demo::run(DemoOptions { keep: demo.keep }, shutdown).await?),
    }
}

async fn execute_run(arguments: RunArguments, shutdown: Shutdown) -> Result<(), ClientError> {
    let is_silent = arguments.quiet || arguments.json;
    let display = if is_silent { Display::Hidden } else { Display::Automatic };
    let style = Style::of(arguments.json);
    let old_rules = if arguments.new_rules { OldRules::Replace } else { OldRules::Keep };
    match arguments.job.load() {
        Ok(job) => run::run_and_report(&job, old_rules, display, style, shutdown).await,
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
