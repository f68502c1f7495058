//! Stands before a web API and speaks TLS for it, with a certificate of the test's own.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A server; its connections end when it is dropped.
pub(crate) struct Secure {
    address: SocketAddr,
    _runtime: Runtime,
}

impl Secure {
    /// Stands before `target`, with `NAME.pem` and `NAME.key` of a folder.
    pub(crate) fn start(target: SocketAddr, folder: &Path, name: &str) -> Self {
        let read = |ending: &str| fs::read(folder.join(format!("{name}.{ending}"))).unwrap();
        let certificates =
            CertificateDer::pem_slice_iter(&read("pem")).collect::<Result<Vec<_>, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_slice(&read("key")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(certificates, key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass(acceptor.clone(), stream, target));
            }
        });
        Self { address, _runtime: runtime }
    }

    /// Where it listens on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }
}

/// Passes what comes over TLS on to the target; whoever does not trust the certificate ends it.
async fn pass(acceptor: TlsAcceptor, stream: TcpStream, target: SocketAddr) {
    let Ok(mut secret) = acceptor.accept(stream).await else { return };
    let mut plain = TcpStream::connect(target).await.unwrap();
    let _ = copy_bidirectional(&mut secret, &mut plain).await;
}
