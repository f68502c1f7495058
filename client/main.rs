//! `ferry-client`: takes tables from a source host into PostgreSQL, exactly once.

mod address;
mod cache;
mod check;
mod clean;
mod cli;
mod columns;
mod database;
mod demo;
mod error;
mod expression;
mod history;
mod job;
mod key;
mod ledger;
mod load;
mod names;
mod output;
mod pii;
mod pipeline;
mod plan;
mod preview;
mod pseudonym;
mod quarantine;
mod receive;
mod records;
mod report;
mod run;
mod serve;
mod stage;
mod status;
mod suspect;
mod transform;

use std::process::ExitCode;

use clap::Parser as _;
use ferry::host::{core, logging, panic};

use crate::error::ClientError;

/// Batches are made by one thread and freed by another; under the system's
/// allocator memory grows from that.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    logging::init(arguments.log_level);
    panic::report_without_values();
    core::forbid_core_files();
    match cli::execute(arguments).and_then(|()| all_is_told()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(error.to_string());
            ExitCode::from(error.exit_code())
        }
    }
}

fn all_is_told() -> Result<(), ClientError> {
    output::lost().map_or(Ok(()), |why| Err(ClientError::Output(why)))
}
