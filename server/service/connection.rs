//! A connection as it is served: one of a bounded number, given up if its peer falls silent.
//!
//! Invariant: a peer that says nothing holds its place for a bounded time: 10 s
//! until it has shown that it speaks HTTP/2 or TLS, then 60 s. That goes
//! for one that takes nothing, too: then nothing it says is read any more.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// How long a peer may take to show what it speaks; hyper would wait for ever.
const OPENING_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that show it: the preface of HTTP/2. A TLS hello is longer.
const OPENING_BYTES: usize = 24;
/// Longest silence after that: more than a peer of HTTP/2 may take to answer a
/// ping, so that only one that was never pinged is given up for it.
const SILENCE_TIMEOUT: Duration = Duration::from_mins(1);

/// A connection that counts as one until it is dropped.
pub(super) struct Connection {
    stream: TcpStream,
    silence: Silence,
    _place: OwnedSemaphorePermit,
}

/// Until when a peer may say nothing.
struct Silence {
    /// Bytes that the peer still has to send before it may pause at all.
    opening_bytes_left: usize,
    timeout: Duration,
    end: Pin<Box<Sleep>>,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, place: OwnedSemaphorePermit) -> Self {
        let silence = Silence::new(OPENING_TIMEOUT, SILENCE_TIMEOUT);
        Self { stream, silence, _place: place }
    }
}

impl Silence {
    fn new(opening_timeout: Duration, timeout: Duration) -> Self {
        let end = Box::pin(sleep(opening_timeout));
        Self { opening_bytes_left: OPENING_BYTES, timeout, end }
    }

    /// Grants more time for what was said, unless it is a part of the opening.
    fn broken(&mut self, bytes: usize) {
        self.opening_bytes_left = self.opening_bytes_left.saturating_sub(bytes);
        if self.opening_bytes_left == 0 {
            self.end.as_mut().reset(Instant::now() + self.timeout);
        }
    }

    /// What was polled; an error if it would wait for a peer that has been silent for too long.
    fn bounded<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            return polled;
        }
        self.end.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let filled_before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(context, buffer);
        if polled.is_ready() {
            this.silence.broken(buffer.filled().len().saturating_sub(filled_before));
        }
        this.silence.bounded(polled, context)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.silence.bounded(polled, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.silence.bounded(polled, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::sync::Semaphore;
    use tokio::time::timeout;

    const SOON: Duration = Duration::from_millis(20);
    const LATE: Duration = Duration::from_mins(1);

    /// A connection that waits so long for its opening and after it, and its peer.
    async fn connection(opening: Duration, later: Duration) -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let peer = TcpStream::connect(address).await.expect("somebody listens");
        let (stream, _) = listener.accept().await.expect("a connection");
        let place = Arc::new(Semaphore::new(1)).acquire_owned().await.expect("a place");
        let silence = Silence::new(opening, later);
        (Connection { silence, ..Connection::new(stream, place) }, peer)
    }

    #[tokio::test]
    async fn a_peer_that_does_not_show_what_it_speaks_is_given_up() {
        let (mut connection, mut peer) = connection(SOON, LATE).await;
        peer.write_all(b"PRI * HTTP/2.0").await.expect("it is sent");
        let mut said = [0; 64];
        connection.read_exact(&mut said[..14]).await.expect("what was sent");
        let silence = connection.read(&mut said).await.expect_err("nothing more comes");
        assert_eq!(silence.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_peer_that_has_shown_it_has_more_time_but_not_for_ever() {
        let (mut connection, mut peer) = connection(LATE, SOON * 5).await;
        let mut said = [0; OPENING_BYTES];
        for _ in 0..3 {
            peer.write_all(&said).await.expect("it is sent");
            connection.read_exact(&mut said).await.expect("what was sent");
        }
        let begun = Instant::now();
        let silence = connection.read(&mut said).await.expect_err("nothing more comes");
        assert_eq!(silence.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() >= SOON * 4, "given up after {:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn a_peer_that_neither_speaks_nor_takes_what_is_sent_is_given_up() {
        let (mut connection, _peer) = connection(SOON, LATE).await;
        let bytes = vec![0; 64 * 1024];
        let writing = async {
            loop {
                if let Err(error) = connection.write_all(&bytes).await {
                    break error;
                }
            }
        };
        let error = timeout(LATE / 2, writing).await.expect("it is waited for without end");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
