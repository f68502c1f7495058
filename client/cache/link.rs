//! The connection with Redis: made when it is needed, given up at the first error, left alone for a while then.
//!
//! Invariants: nobody waits for Redis longer than the time-outs below; no URL
//! and no name of an entry is in any text made here; a Redis that is full, or
//! may not be written to, is read nevertheless. Bounds: 250 ms for a
//! connection, 2 s of rest after an error, one warning a minute.

use std::sync::{Mutex as StdMutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, Pipeline, RedisError};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

const CONNECT_TIMEOUT: Duration = Duration::from_millis(250);
/// So long Redis is left alone after an error.
const REST: Duration = Duration::from_secs(2);
const WARNING_INTERVAL: Duration = Duration::from_mins(1);
/// What Redis answers of an entry that is of another make than ours.
const OTHER_MAKE: &str = "WRONGTYPE";

/// What Redis is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Errand {
    /// To read an entry: somebody waits for a row, and the database has it too.
    LookUp,
    /// To put it back for them.
    Refill,
    /// To write entries of a load.
    Write,
    /// To remove or find entries, or to tell the time: what it does when it is full, too.
    Remove,
}

impl Errand {
    fn timeout(self) -> Duration {
        match self {
            Self::LookUp | Self::Refill => Duration::from_millis(250),
            Self::Write | Self::Remove => Duration::from_secs(2),
        }
    }

    /// Whether memory is needed for it.
    fn stores(self) -> bool {
        matches!(self, Self::Refill | Self::Write)
    }
}

/// Redis did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// It was not asked: it has failed just now.
    Resting,
    /// It failed.
    Failed,
    /// It was not asked to write: it has denied that just now.
    DeniedBefore,
    /// It answers, but does not write.
    Denied,
}

impl Refused {
    /// Whether it may still remove entries.
    pub(super) fn is_of_writing(self) -> bool {
        matches!(self, Self::Denied | Self::DeniedBefore)
    }

    /// Whether it was asked at all.
    pub(super) fn was_asked(self) -> bool {
        matches!(self, Self::Denied | Self::Failed)
    }
}

/// A connection that comes and goes.
pub(super) struct Link {
    client: Client,
    state: Mutex<State>,
    warned: StdMutex<Option<Instant>>,
}

#[derive(Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    resting_until: Option<Instant>,
    /// So long it is only read, and entries are removed.
    unwritable_until: Option<Instant>,
}

impl State {
    fn is_resting(&self) -> bool {
        self.resting_until.is_some_and(|until| Instant::now() < until)
    }

    fn is_unwritable(&self) -> bool {
        self.unwritable_until.is_some_and(|until| Instant::now() < until)
    }

    fn rest(&mut self) {
        self.connection = None;
        self.resting_until = Some(Instant::now() + REST);
    }
}

impl Link {
    /// A link that has no connection yet.
    pub(super) fn new(client: Client) -> Self {
        Self { client, state: Mutex::default(), warned: StdMutex::default() }
    }

    /// Sends commands that may be sent twice, and reads their answers.
    ///
    /// `operation` is the word for them in log and metrics.
    pub(super) async fn send<T: FromRedisValue>(
        &self,
        commands: &Pipeline,
        errand: Errand,
        operation: &'static str,
    ) -> Result<T, Refused> {
        let (mut connection, is_new) = self.connection(errand, operation).await?;
        connection.set_response_timeout(errand.timeout());
        let error = match commands.query_async(&mut connection).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        if is_new || !error.is_connection_dropped() {
            return Err(self.fail(error, errand, operation).await);
        }
        // The connection may have been dead for a long time: Redis was started anew.
        self.state.lock().await.connection = None;
        let (mut connection, _) = self.connection(errand, operation).await?;
        connection.set_response_timeout(errand.timeout());
        match commands.query_async(&mut connection).await {
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.fail(error, errand, operation).await),
        }
    }

    /// The connection, and whether it was made just now.
    async fn connection(
        &self,
        errand: Errand,
        operation: &'static str,
    ) -> Result<(MultiplexedConnection, bool), Refused> {
        // Held while a connection is made, so that one of many callers makes it.
        let mut state = self.state.lock().await;
        if errand.stores() && state.is_unwritable() {
            return Err(Refused::DeniedBefore);
        }
        if let Some(connection) = &state.connection {
            return Ok((connection.clone(), false));
        }
        if state.is_resting() {
            return Err(Refused::Resting);
        }
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT_TIMEOUT));
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        let kind = match timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(connection)) => {
                state.connection = Some(connection.clone());
                return Ok((connection, true));
            }
            Ok(Err(error)) => error.category().to_owned(),
            Err(_) => "no answer in time".to_owned(),
        };
        state.rest();
        self.warn(&kind, operation);
        Err(Refused::Failed)
    }

    async fn fail(&self, error: RedisError, errand: Errand, operation: &'static str) -> Refused {
        self.warn(error.category(), operation);
        let fault = Fault::of(error, errand);
        let mut state = self.state.lock().await;
        match fault {
            Fault::Entry => Refused::Failed,
            Fault::Writing => {
                // Whom the address leads to by now may be written to.
                state.connection = None;
                state.unwritable_until = Some(Instant::now() + REST);
                Refused::Denied
            }
            Fault::Redis => {
                state.rest();
                Refused::Failed
            }
        }
    }

    /// Says it in the log, unless that was said just now.
    fn warn(&self, kind: &str, operation: &'static str) {
        let now = Instant::now();
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.is_some_and(|last| now.duration_since(last) < WARNING_INTERVAL) {
            return;
        }
        *warned = Some(now);
        tracing::warn!(operation, kind, "Redis does not answer as it should: going on without it");
    }
}

/// What an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// One entry, which is not of our make.
    Entry,
    /// Redis answers, but has no memory left, or may not be written to.
    Writing,
    /// All that it is asked.
    Redis,
}

impl Fault {
    fn of(error: RedisError, errand: Errand) -> Self {
        match error.into_server_errors() {
            Some(answers) if answers.iter().all(|(_, answer)| answer.code() == OTHER_MAKE) => {
                Self::Entry
            }
            Some(_) if errand != Errand::LookUp => Self::Writing,
            _ => Self::Redis,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link to a port where nobody listens.
    fn dead_link() -> Link {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        drop(listener);
        Link::new(Client::open(format!("redis://{address}")).expect("a valid URL"))
    }

    #[tokio::test]
    async fn redis_is_left_alone_after_an_error() {
        let link = dead_link();
        let mut ping = redis::pipe();
        ping.cmd("PING");
        let began = Instant::now();
        let answers = [
            link.send::<()>(&ping, Errand::LookUp, "look_up").await,
            link.send::<()>(&ping, Errand::LookUp, "look_up").await,
        ];
        assert_eq!(answers, [Err(Refused::Failed), Err(Refused::Resting)]);
        assert!(began.elapsed() < REST, "nobody waits for the end of the rest");
        assert!(link.state.lock().await.is_resting());
    }

    #[tokio::test]
    async fn a_server_that_is_silent_does_not_hold_anybody_up() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let link = Link::new(Client::open(format!("redis://{address}")).expect("a valid URL"));
        let mut ping = redis::pipe();
        ping.cmd("PING");
        let began = Instant::now();
        let answer = link.send::<()>(&ping, Errand::LookUp, "look_up").await;
        assert_eq!(answer, Err(Refused::Failed));
        assert!(began.elapsed() < REST, "{:?}", began.elapsed());
    }

    fn answer(text: &str) -> RedisError {
        let value = redis::parse_redis_value(format!("-{text}\r\n").as_bytes());
        let value = value.and_then(redis::Value::extract_error);
        value.expect_err("an error of the server")
    }

    #[test]
    fn what_concerns_one_entry_or_writing_leaves_look_ups_alone() {
        let denied = ["OOM command not allowed", "READONLY You can't write", "EXECABORT aborted"];
        for text in denied {
            assert_eq!(Fault::of(answer(text), Errand::Refill), Fault::Writing, "{text}");
            assert_eq!(Fault::of(answer(text), Errand::Write), Fault::Writing, "{text}");
        }
        let other_make = answer("WRONGTYPE Operation against a key");
        assert_eq!(Fault::of(other_make, Errand::LookUp), Fault::Entry);
        for text in ["LOADING Redis is loading", "NOAUTH Authentication required."] {
            assert_eq!(Fault::of(answer(text), Errand::LookUp), Fault::Redis, "{text}");
        }
        let broken = RedisError::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert_eq!(Fault::of(broken, Errand::Write), Fault::Redis);
    }

    #[tokio::test]
    async fn a_redis_that_may_not_be_written_to_is_asked_for_the_rest() {
        let link = dead_link();
        link.state.lock().await.unwritable_until = Some(Instant::now() + REST);
        let mut ping = redis::pipe();
        ping.cmd("PING");
        let refill = link.send::<()>(&ping, Errand::Refill, "refill").await;
        assert_eq!(refill, Err(Refused::DeniedBefore));
        let look_up = link.send::<()>(&ping, Errand::LookUp, "look_up").await;
        assert_eq!(look_up, Err(Refused::Failed), "it was asked");
    }
}
