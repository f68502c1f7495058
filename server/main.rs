//! `ferry-server`, the source host: answers gRPC requests for the records of declared files and APIs.

mod catalog;
mod check;
mod chunk;
mod cli;
mod cut;
mod delimited;
mod error;
mod fetch;
#[cfg(test)]
mod fuzz;
mod inspect;
mod json;
mod output;
mod service;
mod settings;
mod source;
#[cfg(test)]
mod trickle;
mod wanted;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};
use ferry::host::shutdown::Shutdown;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::catalog::Catalog;
use crate::cli::{CheckRequest, Cli, Command, InspectRequest};
use crate::error::ServerError;
use crate::settings::Settings;

/// How long threads that still read a file may take to notice the end.
const THREADS_END_TIMEOUT: Duration = Duration::from_secs(2);

/// Batches are made by one thread and freed by another; under the system's
/// allocator memory grows from that.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    ferry::host::logging::init(cli.log_level);
    ferry::host::panic::report_without_values();
    ferry::host::core::forbid_core_files();
    let outcome = match cli.command {
        Command::Serve { listen } => Settings::load(&cli.config, listen).and_then(serve),
        Command::Check(request) => check(&cli.config, &request),
        Command::Inspect(request) => inspect(&request),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::failure(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

fn serve(settings: Settings) -> Result<(), ServerError> {
    let runtime = Runtime::new().map_err(ServerError::Runtime)?;
    let outcome = runtime.block_on(async {
        let shutdown = Shutdown::on_signals().map_err(ServerError::Runtime)?;
        let cannot_listen =
            |source| ServerError::CannotListen { address: settings.listen.to_string(), source };
        let listener = TcpListener::bind(settings.listen).await.map_err(cannot_listen)?;
        let address = listener.local_addr().map_err(cannot_listen)?;
        let server = service::listen::prepare(settings, shutdown).await?;
        output::listening(server.scheme(), address)?;
        server.serve(listener).await
    });
    runtime.shutdown_timeout(THREADS_END_TIMEOUT);
    outcome
}

fn inspect(request: &InspectRequest) -> Result<(), ServerError> {
    let text = inspect::act(request)?;
    output::inspection(&text)
}

fn check(config: &Path, request: &CheckRequest) -> Result<(), ServerError> {
    let settings = Settings::load(config, None)?;
    service::listen::check_tls(settings.tls.as_ref())?;
    let datasets = match check::choose(settings.datasets, request.dataset.as_ref()) {
        Ok(datasets) => datasets,
        Err(message) => Cli::command().error(ErrorKind::InvalidValue, message).exit(),
    };
    let catalog = Arc::new(Catalog::new(datasets));
    let mut reports = check::check(&catalog);
    if request.records {
        let mut progress = output::Progress::new();
        check::check_records(&catalog, &mut reports, &mut |bytes| progress.advance(bytes));
        progress.end();
    }
    output::check(&reports)?;
    let problems: usize = reports.iter().map(|report| report.problems.len()).sum();
    if problems == 0 { Ok(()) } else { Err(ServerError::Check { problems }) }
}
