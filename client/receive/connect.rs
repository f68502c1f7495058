//! Connects to a source host: TLS, token, keepalive, windows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ferry::host::pem::{self, PemContent};
use ferry::wire::MESSAGE_BYTES_MAX;
use ferry::wire::generated::transfer_service_client::TransferServiceClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

use super::error::{SourceError, innermost};
use crate::job::SourceSettings;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// The receiver's windows govern the flow: enough for 1 Gbit/s at 130 ms.
const WINDOW_BYTES: u32 = 16 * 1024 * 1024;
/// A batch in a few frames instead of a hundred.
const FRAME_BYTES_MAX: u32 = 1024 * 1024;

/// A source host that answers.
pub(crate) struct Source {
    pub(super) service: TransferServiceClient<InterceptedService<Channel, Bearer>>,
    pub(super) has_answered: Arc<AtomicBool>,
}

impl Source {
    /// Whether the host has ever answered a call; keeps saying so when the source is gone.
    ///
    /// A host that takes the connection and nothing else has other settings for TLS.
    pub(crate) fn has_answered(&self) -> impl Fn() -> bool + use<> {
        let has_answered = Arc::clone(&self.has_answered);
        move || has_answered.load(Ordering::Relaxed)
    }

    /// What went wrong with a call, which may have been the first one.
    pub(super) fn failed(&self, status: Status) -> SourceError {
        match SourceError::from(status) {
            SourceError::Lost(reason) if !self.has_answered.load(Ordering::Relaxed) => {
                SourceError::Unanswered(reason)
            }
            error => error,
        }
    }
}

/// Adds the token to every call.
#[derive(Clone)]
pub(super) struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

/// Connects to the source that the settings name.
pub(crate) async fn connect(settings: &SourceSettings) -> Result<Source, SourceError> {
    let endpoint = endpoint(settings)?;
    let channel = endpoint.connect().await.map_err(|error| SourceError::Unreachable {
        url: settings.url.clone(),
        reason: innermost(&error),
    })?;
    let service = TransferServiceClient::with_interceptor(channel, bearer(settings)?)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    Ok(Source { service, has_answered: Arc::default() })
}

fn endpoint(settings: &SourceSettings) -> Result<Endpoint, SourceError> {
    let endpoint = Endpoint::from_shared(settings.url.clone()).map_err(|_| {
        SourceError::Settings(format!(
            "source.url \"{}\" is not an address: write http://HOST:PORT or https://HOST:PORT",
            settings.url
        ))
    })?;
    let endpoint = endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES_MAX)
        .tcp_nodelay(true);
    match endpoint.uri().scheme_str() {
        Some("https") => endpoint
            .tls_config(tls(settings)?)
            .map_err(|error| SourceError::Settings(format!("TLS settings: {}", innermost(&error)))),
        Some("http") if settings.token.is_some() && !is_loopback(&endpoint) => {
            Err(SourceError::Settings(
                "a token would cross the network in clear text: use https:// in source.url"
                    .to_owned(),
            ))
        }
        Some("http") => Ok(endpoint),
        _ => Err(SourceError::Settings(format!(
            "source.url \"{}\" must begin with http:// or https://",
            settings.url
        ))),
    }
}

fn is_loopback(endpoint: &Endpoint) -> bool {
    let host = endpoint.uri().host().unwrap_or_default().trim_matches(['[', ']']);
    let is_loopback_address =
        host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    host == "localhost" || is_loopback_address
}

fn tls(settings: &SourceSettings) -> Result<ClientTlsConfig, SourceError> {
    let read = |path, wanted| {
        pem::read(path, wanted).map_err(|error| SourceError::Settings(error.to_string()))
    };
    let certificates = |path| read(path, PemContent::Certificates);
    let mut tls = ClientTlsConfig::new();
    tls = match &settings.ca_file {
        Some(path) => tls.ca_certificate(Certificate::from_pem(certificates(path)?)),
        None => tls.with_native_roots(),
    };
    if let Some((certificate, key)) = &settings.identity {
        let key = read(key, PemContent::PrivateKey)?;
        tls = tls.identity(Identity::from_pem(certificates(certificate)?, key));
    }
    Ok(tls)
}

fn bearer(settings: &SourceSettings) -> Result<Bearer, SourceError> {
    let Some(token) = &settings.token else {
        return Ok(Bearer(None));
    };
    let mut value: MetadataValue<Ascii> =
        format!("Bearer {}", token.expose()).parse().map_err(|_| {
            SourceError::Settings("the token holds a character that HTTP forbids".to_owned())
        })?;
    value.set_sensitive(true);
    Ok(Bearer(Some(value)))
}
