//! Puts the services behind a listener: certificates, limits of HTTP/2, health, reflection, the end.

use std::time::Duration;

use ferry::host::pem::{self, PemContent};
use ferry::host::shutdown::Shutdown;
use ferry::wire::MESSAGE_BYTES_MAX;
use ferry::wire::generated::FILE_DESCRIPTOR_SET;
use ferry::wire::generated::transfer_service_server::TransferServiceServer;
use tokio::net::TcpListener;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::Router;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, health_reporter};
use tonic_reflection::server::{Builder as ReflectionBuilder, Error as ReflectionError};

use crate::catalog::Catalog;
use crate::error::{ServerError, with_causes};
use crate::service::accept::connections;
use crate::service::access::Access;
use crate::service::transfer::Transfer;
use crate::settings::{Settings, TlsFiles};

/// How often a silent peer is pinged, and how long it may take to answer.
const KEEPALIVE: Duration = Duration::from_secs(20);
const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Most calls at once on one connection.
const CALLS_MAX: u32 = 256;
const HEADER_LIST_BYTES_MAX: u32 = 16 * 1024;
/// The services whose health is told: all of them together, and the one that matters.
const HEALTH_NAMES: [&str; 2] = ["", "ferry.v1.TransferService"];

/// The services, ready for a listener.
pub(crate) struct PreparedServer {
    router: Router,
    health: HealthReporter,
    scheme: &'static str,
    connections_max: usize,
    drain: Duration,
    shutdown: Shutdown,
}

/// Builds the services; reads the certificates.
pub(crate) async fn prepare(
    settings: Settings,
    shutdown: Shutdown,
) -> Result<PreparedServer, ServerError> {
    let Settings { listen, drain, connections_max, streams_max, tls, tokens, datasets } = settings;
    if tls.is_none() && !listen.ip().is_loopback() {
        tracing::warn!(%listen, "no [tls]: records and tokens cross the network in the clear");
    }
    let (health, health_service) = health_reporter();
    for name in HEALTH_NAMES {
        health.set_service_status(name, ServingStatus::Serving).await;
    }
    let access = Access::new(tokens);
    let transfer = Transfer::new(Catalog::new(datasets), streams_max, shutdown.clone());
    let transfer = TransferServiceServer::new(transfer)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let reflection_v1 = reflection().build_v1().map_err(|error| no_reflection(&error))?;
    let reflection_v1alpha = reflection().build_v1alpha().map_err(|error| no_reflection(&error))?;
    let router = server(tls.as_ref())?
        .add_service(health_service)
        .add_service(InterceptedService::new(transfer, access.clone()))
        .add_service(InterceptedService::new(reflection_v1, access.clone()))
        .add_service(InterceptedService::new(reflection_v1alpha, access));
    let scheme = if tls.is_some() { "https" } else { "http" };
    Ok(PreparedServer { router, health, scheme, connections_max, drain, shutdown })
}

/// Refuses certificates that cannot be served with.
pub(crate) fn check_tls(tls: Option<&TlsFiles>) -> Result<(), ServerError> {
    server(tls).map(drop)
}

impl PreparedServer {
    /// How URLs of this server begin.
    pub(crate) fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// Serves until the shutdown is requested and the open streams have ended.
    pub(crate) async fn serve(self, listener: TcpListener) -> Result<(), ServerError> {
        let Self { router, health, connections_max, drain, shutdown, .. } = self;
        let mut stop = shutdown.clone();
        let stopping = async move {
            stop.requested().await;
            for name in HEALTH_NAMES {
                health.set_service_status(name, ServingStatus::NotServing).await;
            }
        };
        let incoming = connections(listener, connections_max);
        tokio::select! {
            outcome = router.serve_with_incoming_shutdown(incoming, stopping) => {
                outcome.map_err(|error| ServerError::Transport(with_causes(&error)))
            }
            () = overdue(shutdown, drain) => {
                tracing::warn!("streams that did not end in time are cut: raise `drain`");
                Ok(())
            }
        }
    }
}

/// Ends when the open streams have had their time.
async fn overdue(mut shutdown: Shutdown, drain: Duration) {
    shutdown.requested().await;
    tokio::time::sleep(drain).await;
}

/// HTTP/2 with limits and, if configured, certificates.
fn server(tls: Option<&TlsFiles>) -> Result<Server, ServerError> {
    let server = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .http2_adaptive_window(Some(false))
        .http2_max_header_list_size(HEADER_LIST_BYTES_MAX)
        .max_concurrent_streams(CALLS_MAX);
    let Some(files) = tls else {
        return Ok(server);
    };
    let certificates = pem::read(&files.cert_file, PemContent::Certificates)?;
    let key = pem::read(&files.key_file, PemContent::PrivateKey)?;
    let identity = Identity::from_pem(certificates, key);
    let mut tls = ServerTlsConfig::new().identity(identity).timeout(TLS_HANDSHAKE_TIMEOUT);
    if let Some(client_ca_file) = &files.client_ca_file {
        let authorities = pem::read(client_ca_file, PemContent::Certificates)?;
        tls = tls.client_ca_root(Certificate::from_pem(authorities));
    }
    server.tls_config(tls).map_err(|error| ServerError::Tls(with_causes(&error)))
}

/// Describes ferry's services, the health service, and the details of errors.
fn reflection() -> ReflectionBuilder<'static> {
    ReflectionBuilder::configure()
        // Each version would describe itself only; whoever asks one is to see both.
        .include_reflection_service(false)
        .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}

fn no_reflection(error: &ReflectionError) -> ServerError {
    ServerError::Reflection(with_causes(error))
}
