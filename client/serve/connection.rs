//! A connection as it is served: one of a bounded number, given up if its peer says nothing at first or takes nothing.
//!
//! Invariant: a peer that stands still holds its place, and what waits to be
//! sent to it, for a bounded time. Bounds: 10 s until it has shown which protocol
//! it speaks, 30 s in which it takes nothing of what is sent.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::places::Place;

/// How long a peer may take to show which protocol it speaks; hyper would wait for ever.
const OPENING_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that show it: the preface of HTTP/2. A request of HTTP/1.1 is longer.
const OPENING_BYTES: usize = 24;
/// How long a peer may take nothing of what is sent; hyper would wait for ever, and keep it.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Address of whoever asks; in the extensions of each request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// A connection that counts as one until it is dropped.
pub(super) struct Connection {
    stream: Stream,
    peer: Peer,
    /// Gone once the peer has shown its protocol.
    opening: Option<Opening>,
    stall: Stall,
    _seat: Seat,
}

/// What makes a connection count as one: among all, and among those of its peer.
pub(super) type Seat = (OwnedSemaphorePermit, Place);

pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What a peer still has to send, and until when.
struct Opening {
    bytes_left: usize,
    end: Pin<Box<Sleep>>,
}

/// How long a peer may take nothing, and until when, while it does.
struct Stall {
    time: Duration,
    end: Option<Pin<Box<Sleep>>>,
}

impl Connection {
    pub(super) fn new(stream: Stream, peer: Peer, seat: Seat) -> Self {
        let opening = Some(Opening::within(OPENING_TIMEOUT));
        let stall = Stall { time: STALL_TIMEOUT, end: None };
        Self { stream, peer, opening, stall, _seat: seat }
    }
}

impl Opening {
    fn within(time: Duration) -> Self {
        Self { bytes_left: OPENING_BYTES, end: Box::pin(sleep(time)) }
    }
}

impl Stall {
    /// What came of a write, or that it has waited for too long.
    fn bound(
        &mut self,
        polled: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if polled.is_ready() {
            self.end = None;
            return polled;
        }
        let time = self.time;
        let end = self.end.get_or_insert_with(|| Box::pin(sleep(time)));
        end.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer
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
        let polled = match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        let Some(opening) = &mut this.opening else {
            return polled;
        };
        let read = buffer.filled().len().saturating_sub(filled_before);
        opening.bytes_left = opening.bytes_left.saturating_sub(read);
        if opening.bytes_left == 0 {
            this.opening = None;
        } else if polled.is_pending() && opening.end.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        };
        this.stall.bound(polled, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        };
        this.stall.bound(polled, context)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::limits::Counted;
    use crate::serve::places::Places;
    use std::sync::Arc;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::sync::Semaphore;

    const SOON: Duration = Duration::from_millis(20);
    const LATE: Duration = Duration::from_millis(200);

    /// A connection that is given up soon, and its peer.
    async fn hasty() -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let peer = TcpStream::connect(address).await.expect("somebody listens");
        let (stream, from) = listener.accept().await.expect("a connection");
        let of_all = Arc::new(Semaphore::new(1)).acquire_owned().await.expect("room");
        let of_peer = Places::new(1, 1).take(Counted::peer(from.ip())).expect("room");
        let connection = Connection {
            opening: Some(Opening::within(SOON)),
            stall: Stall { time: SOON, end: None },
            ..Connection::new(Stream::Plain(stream), Peer(from), (of_all, of_peer))
        };
        (connection, peer)
    }

    #[tokio::test]
    async fn a_peer_that_does_not_show_its_protocol_is_not_waited_for() {
        let (mut connection, mut peer) = hasty().await;
        peer.write_all(b"PRI * HTTP/2.0").await.expect("it is sent");
        let mut sent = [0; 64];
        connection.read_exact(&mut sent[..14]).await.expect("what was sent");
        let silent = connection.read(&mut sent).await.expect_err("nothing more comes");
        assert_eq!(silent.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_peer_that_has_shown_its_protocol_may_think() {
        let (mut connection, mut peer) = hasty().await;
        peer.write_all(&[b'x'; OPENING_BYTES]).await.expect("it is sent");
        let mut sent = [0; OPENING_BYTES];
        connection.read_exact(&mut sent).await.expect("what was sent");
        let reading = tokio::time::timeout(LATE, connection.read(&mut sent));
        assert!(reading.await.is_err(), "it is waited for");
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_not_waited_for() {
        let (mut connection, _peer) = hasty().await;
        let bytes = vec![0; 1 << 20];
        let stalled = loop {
            if let Err(error) = connection.write_all(&bytes).await {
                break error;
            }
        };
        assert_eq!(stalled.kind(), io::ErrorKind::TimedOut);
    }
}
