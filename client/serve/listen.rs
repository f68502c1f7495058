//! Turns a listener into connections, with or without TLS, and serves a router on them: HTTP/1 and HTTP/2, REST and gRPC.
//!
//! Tonic's own TLS offers HTTP/2 alone, and programs that ask for HTTP/1.1 by
//! name would not be let in, so that the handshake is made here.
//!
//! Bounds: 1024 connections, 512 of one address, 10 s for a handshake, those of
//! [`super::connection`], 256 requests at once on one connection; hyper takes 30 s
//! at most for the head of a request of HTTP/1.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use ferry::host::pem::{self, PemContent};
use ferry::host::shutdown::Shutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tonic::transport::Server;

use super::ServeError;
use super::connection::{Connection, Peer, Seat, Stream};
use super::limits::Counted;
use super::places::Places;
use super::settings::TlsFiles;

const CONNECTIONS_MAX: usize = 1024;
/// Those of one address, so that it does not take the places of all; a proxy is one address.
const CONNECTIONS_OF_PEER_MAX: usize = 512;
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Accepted connections that wait to be served.
const ACCEPTED_MAX: usize = 16;
/// How long nothing is accepted after the system had no room for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often a silent peer of HTTP/2 is pinged, and how long it may take to answer.
const KEEPALIVE: Duration = Duration::from_secs(20);
const REQUESTS_OF_CONNECTION_MAX: u32 = 256;
const HEADER_LIST_BYTES_MAX: u32 = 16 * 1024;
/// How long requests may take to end after a stop was asked for.
const DRAIN: Duration = Duration::from_secs(10);
/// Protocols that a client may choose in the handshake, by their names in ALPN.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Reads certificate and key.
pub(super) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, ServeError> {
    let certificates = pem::read(&files.cert_file, PemContent::Certificates)?;
    let key = pem::read(&files.key_file, PemContent::PrivateKey)?;
    let certificates = CertificateDer::pem_slice_iter(&certificates)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| ServeError::Tls("tls.cert_file holds no certificate".to_owned()))?;
    let key = PrivateKeyDer::from_pem_slice(&key)
        .map_err(|_| ServeError::Tls("tls.key_file holds no private key".to_owned()))?;
    let unusable = |error: tokio_rustls::rustls::Error| {
        ServeError::Tls(format!("tls.cert_file and tls.key_file cannot be used: {error}"))
    };
    // Named, because another crate of the build may bring a second one.
    let provider = Arc::new(ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(unusable)?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Serves until the shutdown is requested and requests have ended, or their time is over.
pub(super) async fn serve(
    router: Router,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    shutdown: Shutdown,
) -> Result<(), ServeError> {
    let (sender, accepted) = mpsc::channel(ACCEPTED_MAX);
    let places = Places::new(CONNECTIONS_MAX, CONNECTIONS_OF_PEER_MAX);
    tokio::spawn(accept(listener, tls, places, sender));
    let mut stop = shutdown.clone();
    let stopping = async move { stop.requested().await };
    let serving = Server::builder()
        .accept_http1(true)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .http2_max_header_list_size(HEADER_LIST_BYTES_MAX)
        .max_concurrent_streams(REQUESTS_OF_CONNECTION_MAX)
        .add_routes(Routes::from(router))
        .serve_with_incoming_shutdown(ReceiverStream::new(accepted), stopping);
    tokio::select! {
        outcome = serving => outcome.map_err(|error| ServeError::Transport(error.to_string())),
        () = overdue(shutdown) => {
            tracing::warn!("requests that did not end in time are cut");
            Ok(())
        }
    }
}

/// Ends when the open requests have had their time.
async fn overdue(mut shutdown: Shutdown) {
    shutdown.requested().await;
    tokio::time::sleep(DRAIN).await;
}

/// Accepts connections until nobody takes them any more.
async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    places: Places,
    sender: mpsc::Sender<io::Result<Connection>>,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let taking = tokio::select! {
            () = sender.closed() => return,
            taking = Arc::clone(&room).acquire_owned() => taking,
        };
        let Ok(of_all) = taking else {
            return;
        };
        let accepted = tokio::select! {
            () = sender.closed() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let Ok(of_peer) = places.take(Counted::peer(address.ip())) else {
                    tracing::debug!(%address, "an address has too many connections");
                    continue;
                };
                // Without it, only short answers are a little later.
                let _ = stream.set_nodelay(true);
                let seat = (of_all, of_peer);
                tokio::spawn(enter(stream, Peer(address), seat, tls.clone(), sender.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Makes the handshake, if there is one, and hands the connection on.
async fn enter(
    stream: TcpStream,
    peer: Peer,
    seat: Seat,
    tls: Option<TlsAcceptor>,
    sender: mpsc::Sender<io::Result<Connection>>,
) {
    let stream = match tls {
        None => Stream::Plain(stream),
        Some(tls) => match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
            Ok(Ok(stream)) => Stream::Tls(Box::new(stream)),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                return;
            }
            Err(_) => return,
        },
    };
    let connection = Connection::new(stream, peer, seat);
    // Nobody takes it while the process stops.
    let _ = sender.send(Ok(connection)).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use ferry::host::shutdown;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn requests_of_http_1_are_answered_until_a_stop() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (trigger, shutdown) = shutdown::channel();
        let router = Router::new().route("/", get(|| async { "here" }));
        let serving = tokio::spawn(serve(router, listener, None, shutdown));
        let mut stream = TcpStream::connect(address).await.expect("somebody listens");
        let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.expect("it is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("here"), "{answer}");
        trigger.request();
        serving.await.expect("no panic").expect("it ends well");
        let refused = async {
            while TcpStream::connect(address).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DRAIN, refused).await.expect("nobody listens any more");
    }

    #[tokio::test]
    async fn one_address_does_not_take_the_places_of_all() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (sender, mut accepted) = mpsc::channel(ACCEPTED_MAX);
        tokio::spawn(accept(listener, None, Places::new(CONNECTIONS_MAX, 1), sender));
        let _first = TcpStream::connect(address).await.expect("somebody listens");
        let served = accepted.recv().await.expect("a connection").expect("it is accepted");

        let mut second = TcpStream::connect(address).await.expect("somebody listens");
        let mut nothing = Vec::new();
        let ending = tokio::time::timeout(DRAIN, second.read_to_end(&mut nothing)).await;
        assert!(ending.is_ok() && nothing.is_empty(), "it is closed at once");

        drop(served);
        let _third = TcpStream::connect(address).await.expect("somebody listens");
        assert!(accepted.recv().await.is_some_and(|accepted| accepted.is_ok()), "a place is free");
    }

    #[tokio::test]
    async fn both_protocols_can_be_asked_for_in_the_handshake() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("made");
        let files = TlsFiles {
            cert_file: folder.path().join("cert.pem"),
            key_file: folder.path().join("key.pem"),
        };
        std::fs::write(&files.cert_file, made.cert.pem()).expect("written");
        std::fs::write(&files.key_file, made.signing_key.serialize_pem()).expect("written");
        assert!(acceptor(&files).is_ok());
        std::fs::write(&files.key_file, made.cert.pem()).expect("written");
        let error = acceptor(&files).map(drop).expect_err("a certificate is no key");
        assert!(error.to_string().contains("key.pem holds no private key"), "{error}");
    }
}
