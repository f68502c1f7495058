//! Turns a listener into connections: no more at a time than there are places, and no haste when the system has none left.
//!
//! Invariant: who waits for a place waits in the listener's queue, and costs nothing here.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::TcpIncoming;

use crate::service::connection::Connection;

/// Accepted connections that wait to be served.
const ACCEPTED_MAX: usize = 16;
/// How long nothing is accepted after the system had no room for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// How often it is told that all places are taken.
const FULL_WARNING_INTERVAL: Duration = Duration::from_mins(1);
/// When the system asks whether a silent peer is still there.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// Accepted connections, until nobody takes them any more.
pub(super) fn connections(
    listener: TcpListener,
    connections_max: usize,
) -> ReceiverStream<io::Result<Connection>> {
    let incoming =
        TcpIncoming::from(listener).with_nodelay(Some(true)).with_keepalive(Some(KEEPALIVE));
    let (sender, accepted) = mpsc::channel(ACCEPTED_MAX);
    tokio::spawn(async move {
        tokio::select! {
            () = sender.closed() => {}
            () = accept(incoming, connections_max, &sender) => {}
        }
    });
    ReceiverStream::new(accepted)
}

async fn accept(
    mut incoming: TcpIncoming,
    connections_max: usize,
    sender: &mpsc::Sender<io::Result<Connection>>,
) {
    let mut places = Places::new(connections_max);
    while let Some(place) = places.take().await {
        // A connection that cannot be accepted leaves its place to the next one.
        match incoming.next().await {
            Some(Ok(stream)) => {
                if sender.send(Ok(Connection::new(stream, place))).await.is_err() {
                    return;
                }
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
            None => return,
        }
    }
}

/// The places of connections.
struct Places {
    connections_max: usize,
    free: Arc<Semaphore>,
    /// When it was last told that all are taken.
    warned_at: Option<Instant>,
}

impl Places {
    fn new(connections_max: usize) -> Self {
        let free = Arc::new(Semaphore::new(connections_max));
        Self { connections_max, free, warned_at: None }
    }

    /// Waits for a place; there is always one some day.
    async fn take(&mut self) -> Option<OwnedSemaphorePermit> {
        if self.free.available_permits() == 0 {
            self.warn();
        }
        Arc::clone(&self.free).acquire_owned().await.ok()
    }

    fn warn(&mut self) {
        if self.warned_at.is_some_and(|at| at.elapsed() < FULL_WARNING_INTERVAL) {
            return;
        }
        self.warned_at = Some(Instant::now());
        tracing::warn!(
            connections_max = self.connections_max,
            "all connections are taken: further ones wait, raise limits.connections_max"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpStream;
    use tokio::time::timeout;

    const SHORTLY: Duration = Duration::from_millis(200);
    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn one_connection_more_than_allowed_waits_until_another_is_gone() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let mut accepted = connections(listener, 2);
        let mut peers = Vec::new();
        for _ in 0..3 {
            peers.push(TcpStream::connect(address).await.expect("the queue has room"));
        }
        let first = accepted.next().await.expect("a connection").expect("no error");
        let second = accepted.next().await.expect("a connection").expect("no error");
        assert!(timeout(SHORTLY, accepted.next()).await.is_err(), "a third one is served");

        drop(first);
        let third = timeout(LONG, accepted.next()).await.expect("its turn comes");
        assert!(third.expect("a connection").is_ok());
        drop(second);
    }

    #[tokio::test]
    async fn nobody_can_connect_once_nobody_takes_connections() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        // The only place is taken: the end is noticed while another is waited for.
        let mut accepted = connections(listener, 1);
        let peer = TcpStream::connect(address).await.expect("somebody listens");
        let connection = accepted.next().await.expect("a connection").expect("no error");
        drop(accepted);
        let refused = timeout(LONG, async {
            while TcpStream::connect(address).await.is_ok() {
                tokio::task::yield_now().await;
            }
        });
        assert!(refused.await.is_ok(), "the listener is still open");
        drop((peer, connection));
    }
}
