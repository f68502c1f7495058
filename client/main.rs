//! `ferry-client`: takes tables from a source host into PostgreSQL, exactly once.

mod check;
mod clean;
mod cli;
mod columns;
mod database;
mod demo;
mod error;
mod job;
mod ledger;
mod load;
mod names;
mod output;
mod pipeline;
mod plan;
mod pseudonym;
mod receive;
mod report;
mod run;
mod stage;
mod status;
mod transform;

use std::process::ExitCode;

use clap::Parser as _;
use ferry::host::logging;

/// Batches are made by one thread and freed by another; under the system's
/// allocator memory grows from that.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    logging::init(arguments.log_level);
    match cli::execute(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(error.to_string());
            ExitCode::from(error.exit_code())
        }
    }
}
