//! Turns an empty machine into a finished trip: a database, a source host, a run, and what came of it.
//!
//! Invariants: everything lies in one temporary folder and listens on
//! 127.0.0.1; whether the demo succeeds, fails or is interrupted, its processes
//! are stopped and its folder is removed, unless it succeeds with `--keep`.

mod cluster;
mod data;
mod folder;
mod people;
mod processes;
mod redis;
mod show;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitStatus;

use ferry::host::shutdown::Shutdown;
use sqlx::PgConnection;

use crate::database::StatementError;
use crate::output::{heading, line};
use cluster::{Cluster, ClusterError};
use folder::{Folder, Hosts};
use processes::{Programs, Service};

pub(crate) use people::serve_api;

const SERVER_TOML: &str = include_str!("../../examples/customers/server.toml");
const JOB_TOML: &str = include_str!("../../examples/customers/job.toml");

/// What the demo is asked to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DemoOptions {
    /// What is moved.
    pub(crate) trip: TripChoice,
    /// Leave everything running at the end.
    pub(crate) keep: bool,
}

/// What a demo moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TripChoice {
    /// CSV files of customers.
    Customers,
    /// People of an API, through a cache to a page.
    People,
}

/// A demo that came to no good end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// PostgreSQL did not start.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The other program is missing.
    #[error(
        "ferry-server is not where ferry-client is ({}): build both with `cargo build --locked`",
        path.display()
    )]
    NoServer {
        /// Where it should be.
        path: PathBuf,
    },
    /// A program ended or said nothing.
    #[error("{} did not start listening; it said:\n{log}", program.display())]
    ServiceDown {
        /// Which program.
        program: PathBuf,
        /// What it wrote.
        log: String,
    },
    /// There is no Redis to be started.
    #[error(
        "redis-server is not installed: apt-get install redis-server (on Debian and Ubuntu), or put it on the PATH"
    )]
    NoRedis,
    /// The demo's API finds its port taken, or closed to this user.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The demo's own look-up was not answered as it should be.
    #[error("{url} answers {what}: please report this")]
    BadAnswer {
        /// What was asked.
        url: String,
        /// What came instead.
        what: String,
    },
    /// The client failed; it has said why.
    #[error("ferry-client run failed ({0}): see its message above")]
    ClientFailed(ExitStatus),
    /// The folder or a file in it cannot be made.
    #[error("cannot write to {}: {source}: free some space, or set TMPDIR", path.display())]
    Folder {
        /// Folder or file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A program cannot be started or waited for.
    #[error("cannot run {}: {source}", path.display())]
    Program {
        /// The program.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The demo's database does not answer.
    #[error("cannot read the demo's database: {0}")]
    Database(#[from] StatementError),
    /// Not as many rows as there should be: a defect of ferry.
    #[error("{table} holds {found} rows instead of {expected}: please report this")]
    RowsDiffer {
        /// Table that was counted.
        table: &'static str,
        /// Rows found.
        found: i64,
        /// Rows that were in the files.
        expected: u64,
    },
    /// A signal asked for the end.
    #[error("the demo was interrupted; its processes are stopped and its folder is removed")]
    Interrupted,
}

/// Makes a source host and a destination host, moves tables, and shows the result.
pub(crate) async fn run(options: DemoOptions, shutdown: Shutdown) -> Result<(), DemoError> {
    match options.trip {
        TripChoice::Customers => run_customers(options.keep, shutdown).await,
        TripChoice::People => people::run(options.keep, shutdown).await,
    }
}

async fn run_customers(keep: bool, mut shutdown: Shutdown) -> Result<(), DemoError> {
    let programs = Programs::find()?;
    // Dropped in reverse: the server, the database, and last their folder.
    let hosts = Hosts { server: SERVER_TOML.to_owned(), job: JOB_TOML.to_owned() };
    let folder = Folder::create(&hosts)?;
    let failed = |source| DemoError::Folder { path: folder.source(), source };
    data::write(&folder.source()).map_err(failed)?;
    heading("1. Two hosts on one machine");
    let cluster = start_cluster(&folder, &shutdown)?;
    let mut conn = show::connect(&cluster).await?;
    line(format!("destination  PostgreSQL, made for this demo, on 127.0.0.1:{}", cluster.port()));
    line(format!(
        "source       {} made-up customers in 2 CSV files, {} of them broken",
        data::ROWS,
        data::BAD_ROWS
    ));
    let server = programs.start_server(&folder, &[], &shutdown).await?;
    let trip = Trip { programs: &programs, folder: &folder, server: &server, cluster: &cluster };

    heading("2. The trip: e-mail and phone become pseudonyms, names stay at home");
    trip.make(&mut shutdown).await?;
    show_result(&mut conn).await?;

    heading("3. Once more: there is nothing new, so nothing is loaded twice");
    trip.make(&mut shutdown).await?;
    expect_rows(&mut conn, data::ROWS).await?;

    heading("4. A file grows: only its new rows are loaded");
    let growing = folder.source().join(data::GROWING_FILE);
    data::append(&folder.source())
        .map_err(|source| DemoError::Folder { path: growing.clone(), source })?;
    line(format!("{} records added to {}", data::APPENDED_ROWS, growing.display()));
    trip.make(&mut shutdown).await?;
    expect_rows(&mut conn, data::ROWS + data::APPENDED_ROWS).await?;

    drop(conn);
    show_grpcurl(server.address(), keep);
    if keep {
        leave_running(folder, cluster, server, &programs);
    } else {
        line("");
        line("Stopping, and removing what the demo made. Keep it all with: scripts/demo --keep");
    }
    Ok(())
}

fn start_cluster(folder: &Folder, shutdown: &Shutdown) -> Result<Cluster, DemoError> {
    let started = Cluster::start(&folder.postgres(), &[]);
    if shutdown.is_requested() {
        // The terminal interrupts PostgreSQL too: its error is not the news.
        return Err(DemoError::Interrupted);
    }
    Ok(started?)
}

/// What a run of the client needs.
struct Trip<'a> {
    programs: &'a Programs,
    folder: &'a Folder,
    server: &'a Service,
    cluster: &'a Cluster,
}

impl Trip<'_> {
    async fn make(&self, shutdown: &mut Shutdown) -> Result<(), DemoError> {
        let database_url = self.cluster.url(show::DATABASE);
        let environment = [("DATABASE_URL", database_url.as_str())];
        self.programs.run_client(self.folder, self.server.url(), &environment, shutdown).await
    }
}

async fn show_result(conn: &mut PgConnection) -> Result<(), DemoError> {
    line("");
    line("In the table, types are real and personal data is not:");
    line(show::customers(conn).await?);
    line("");
    line("In quarantine, each refused record with its place and the reason:");
    line(show::quarantine(conn).await?);
    expect_rows(conn, data::ROWS).await
}

/// Checks that every record of the files is in the table or in quarantine.
async fn expect_rows(conn: &mut PgConnection, records: u64) -> Result<(), DemoError> {
    let expected = records - data::BAD_ROWS;
    let found = show::count_customers(conn).await?;
    if u64::try_from(found) != Ok(expected) {
        return Err(DemoError::RowsDiffer { table: "public.customers", found, expected });
    }
    let found = show::count_quarantine(conn).await?;
    if u64::try_from(found) != Ok(data::BAD_ROWS) {
        let expected = data::BAD_ROWS;
        return Err(DemoError::RowsDiffer { table: "ferry.quarantine", found, expected });
    }
    line("");
    line(format!(
        "The accounts close: {records} records in the files = {expected} rows in the table + {} in quarantine",
        data::BAD_ROWS
    ));
    Ok(())
}

fn show_grpcurl(address: &str, keep: bool) {
    const SERVICE: &str = "ferry.v1.TransferService";
    heading("5. Look at the source host yourself");
    if !keep {
        line("(with --keep, while the server still runs)");
    }
    line(format!("grpcurl -plaintext {address} list"));
    line(format!("grpcurl -plaintext {address} {SERVICE}/ListDatasets"));
    line(format!(
        r#"grpcurl -plaintext -d '{{"name": "customers"}}' {address} {SERVICE}/GetDataset"#
    ));
    line(format!(
        r#"grpcurl -plaintext -d '{{"dataset": "customers"}}' {address} {SERVICE}/PlanTransfer"#
    ));
    line("How to read rows with it: docs/grpcurl.md");
}

fn leave_running(folder: Folder, cluster: Cluster, server: Service, programs: &Programs) {
    let database_url = cluster.url(show::DATABASE);
    let source_url = server.url().to_owned();
    let server_pid = server.leave_running();
    let postgres_pid = cluster.leave_running();
    let path = folder.keep();
    let path = path.display();
    heading("6. Everything keeps running");
    line(format!("database   psql {database_url}"));
    line(format!("files      {path}"));
    line(format!(
        "run again  cd {path}/destination && DATABASE_URL={database_url} {} run job.toml --source {source_url}",
        programs.client().display()
    ));
    line(format!("stop       kill -INT {server_pid} {postgres_pid}; sleep 2; rm -r {path}"));
}
