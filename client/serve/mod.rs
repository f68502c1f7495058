//! Serves what the jobs have done and loaded: a page, REST, gRPC and counters, all on one port.
//!
//! It is a room above the runs: it reads the ledger and the tables, and starts
//! runs and replays as the command line does. Nothing here is needed to load.
//!
//! Bounds: 256 job files, 8 sessions a database, and those of [`settings`],
//! [`limits`], [`listen`], [`ask`] and [`events`].

mod access;
mod ask;
mod assets;
mod connection;
mod events;
mod extract;
mod grpc;
mod guard;
mod job_files;
mod jobs;
mod key;
mod limits;
mod lineage;
mod listen;
mod meters;
mod openapi;
mod places;
mod problem;
mod quarantine;
mod records;
mod runs;
mod settings;
mod shapes;
mod starter;
mod state;
mod tables;

use std::net::SocketAddr;

use axum::Router;
use ferry::host::pem::PemError;
use ferry::host::settings::SettingsError;
use ferry::host::shutdown::Shutdown;
use tokio::net::TcpListener;

use crate::cache::CacheError;
use crate::database::DatabaseError;
use crate::job::JobError;
use crate::output;

use access::Access;
use meters::Meters;
use openapi::Tokens;
use state::AppState;

pub(crate) use settings::ServeSettings;

/// Why nothing can be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ServeError {
    /// The file of the settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Flags that make no sense.
    #[error("{0}")]
    Invalid(String),
    /// A job that cannot be run.
    #[error("{path}: {error}")]
    Job {
        /// The job file.
        path: String,
        /// What is wrong with it.
        error: Box<JobError>,
    },
    /// The ledger would take two jobs for one.
    #[error("two job files have the name \"{name}\": give one of them another `name`")]
    JobTwice {
        /// Name of both.
        name: String,
    },
    /// The URL of a database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The URL of a cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The certificate or its key.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// Certificate and key do not make TLS.
    #[error("{0}")]
    Tls(String),
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}: {source}; give another address with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The counters cannot be made.
    #[error("cannot count: {0}")]
    Meters(#[from] metrics_exporter_prometheus::BuildError),
    /// The API cannot be described.
    #[error("cannot describe the API: {0}")]
    Document(#[from] serde_json::Error),
    /// The services cannot be described.
    #[error("cannot describe the services: {0}")]
    Reflection(String),
    /// Connections cannot be served any more.
    #[error("cannot go on serving: {0}")]
    Transport(String),
}

impl ServeError {
    /// Whether other settings would help.
    pub(crate) fn is_of_settings(&self) -> bool {
        !matches!(
            self,
            Self::Meters(_) | Self::Document(_) | Self::Reflection(_) | Self::Transport(_)
        )
    }
}

/// Serves until the shutdown is requested, and what was begun has ended.
pub(crate) async fn serve(settings: &ServeSettings, shutdown: Shutdown) -> Result<(), ServeError> {
    let tls = settings.tls.as_ref().map(listen::acceptor).transpose()?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let state = open(settings, shutdown.clone())?;
    let router = router(settings, &state).await?;
    let refused = |source| ServeError::Listen { address: settings.listen, source };
    let listener = TcpListener::bind(settings.listen).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    if tls.is_none() && !address.ip().is_loopback() {
        tracing::warn!(%address, "no [tls]: records and tokens cross the network in the clear");
    }
    if settings.tokens.is_empty() {
        tracing::warn!(%address, "no [[token]]: whoever reaches this address may operate");
    }
    output::line(format!("ferry-client serving on {scheme}://{address}"));
    let outcome = listen::serve(router, listener, tls, shutdown).await;
    // A run that was begun here stops at its next commit, and goes on with the next one.
    state.starter().ended().await;
    outcome
}

/// Reads the jobs; connects to nothing.
fn open(settings: &ServeSettings, shutdown: Shutdown) -> Result<AppState, ServeError> {
    let meters = Meters::install()?;
    tokio::spawn(meters.clone().keep_up(shutdown.clone()));
    let jobs = state::served_jobs(settings.jobs.clone())?;
    let page_rows_max = settings.limits.page_rows_max;
    let tokens = if settings.tokens.is_empty() { Tokens::NotAskedFor } else { Tokens::AskedFor };
    let document = openapi::document(documents(), page_rows_max, tokens)?;
    Ok(AppState::new(jobs, page_rows_max, events::places(), meters, document, shutdown))
}

/// All that is served, behind the guard.
async fn router(settings: &ServeSettings, state: &AppState) -> Result<Router, ServeError> {
    let routes = Router::new()
        .merge(jobs::routes())
        .merge(runs::routes())
        .merge(events::routes())
        .merge(quarantine::routes())
        .merge(tables::routes())
        .merge(records::routes())
        .merge(lineage::routes())
        .merge(openapi::routes())
        .merge(meters::routes())
        .merge(assets::routes())
        .with_state(state.clone());
    let routes = grpc::add_services(routes, state).await?;
    Ok(guard::guarded(routes, settings, Access::new(settings)))
}

/// What each file says of its handlers.
fn documents() -> Vec<utoipa::openapi::OpenApi> {
    vec![
        jobs::document(),
        runs::document(),
        events::document(),
        quarantine::document(),
        tables::document(),
        records::document(),
        lineage::document(),
        meters::document(),
    ]
}
