//! Puts the services behind a listener: certificates, limits of HTTP/2, health, reflection, the end.

use std::pin::Pin;
use std::time::Duration;

use ferry::host::pem;
use ferry::host::shutdown::Shutdown;
use ferry::wire::MESSAGE_BYTES_MAX;
use ferry::wire::generated::FILE_DESCRIPTOR_SET;
use ferry::wire::generated::transfer_service_server::TransferServiceServer;
use tokio::net::TcpListener;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::{Router, TcpIncoming};
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tonic_reflection::server::Builder as Reflection;

use crate::catalog::Catalog;
use crate::error::{ServerError, with_causes};
use crate::service::access::Access;
use crate::service::transfer::Transfer;
use crate::settings::{Settings, TlsFiles};

/// A peer that does not answer a ping in this time is gone.
const KEEPALIVE: Duration = Duration::from_secs(20);
const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Most calls at once on one connection.
const CONNECTION_CALLS_MAX: u32 = 256;
const HEADER_BYTES_MAX: u32 = 16 * 1024;
