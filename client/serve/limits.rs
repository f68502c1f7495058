//! Bounds what is asked: how often one caller may, how much at the same time, and how long an answer may take.
//!
//! Bounds: 10,000 callers are remembered; beyond that, all are forgotten.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::Problem;
use super::settings::Limits;

const MINUTE: Duration = Duration::from_mins(1);
const CALLERS_MAX: usize = 10_000;
/// How long a request waits until others are answered.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Who is counted; in the extensions of each request that has passed the guard.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Counted {
    /// The holder of a token.
    Token(Arc<str>),
    /// An address; of IPv6 the network, because a host has all of its addresses.
    Peer(IpAddr),
}

/// Requests of each caller, and those that are answered now.
pub(super) struct Gate {
    /// Time that one request stands for.
    interval: Duration,
    /// For each caller, the time until which its requests are paid for: the
    /// generic cell rate algorithm of ITU-T I.371, with a burst of a minute.
    paid_until: Mutex<HashMap<Counted, Instant>>,
    in_flight: Arc<Semaphore>,
    /// How long a request waits until others are answered.
    wait: Duration,
}

impl Counted {
    pub(super) fn peer(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::Peer(address.into()),
            IpAddr::V6(address) => {
                let network = u128::from(address) & !u128::from(u64::MAX);
                Self::Peer(IpAddr::V6(network.into()))
            }
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Counted {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parts.extensions.get().cloned().ok_or_else(|| {
            tracing::error!("a request has neither a token nor an address");
            Problem::unexpected()
        })
    }
}

impl Gate {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            interval: MINUTE / limits.requests_per_minute,
            paid_until: Mutex::new(HashMap::new()),
            in_flight: Arc::new(Semaphore::new(limits.requests_in_flight)),
            wait: WAIT_MAX,
        }
    }

    /// Counts a request, unless its caller has asked too often.
    pub(super) fn count(&self, caller: &Counted, now: Instant) -> Result<(), Problem> {
        let mut paid_until = self.paid_until.lock().unwrap_or_else(PoisonError::into_inner);
        if paid_until.len() >= CALLERS_MAX && !paid_until.contains_key(caller) {
            paid_until.retain(|_, until| *until > now);
            if paid_until.len() >= CALLERS_MAX {
                paid_until.clear();
            }
        }
        let until = paid_until.entry(caller.clone()).or_insert(now);
        let next = (*until).max(now) + self.interval;
        let ahead = next.saturating_duration_since(now);
        if ahead <= MINUTE {
            *until = next;
            return Ok(());
        }
        let wait_seconds = ahead.saturating_sub(MINUTE).as_secs() + 1;
        Err(Problem::too_many(
            "too_many_requests",
            format!("too many requests in a minute: wait {wait_seconds} s"),
            wait_seconds,
        ))
    }

    /// Lets a request in, once there is room.
    pub(super) async fn enter(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let entering = Arc::clone(&self.in_flight).acquire_owned();
        match tokio::time::timeout(self.wait, entering).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => {
                Err(Problem::busy("busy", "too many requests at the same time: try again"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(requests_per_minute: u32, requests_in_flight: usize) -> Gate {
        Gate::new(&Limits { requests_in_flight, requests_per_minute, ..Limits::default() })
    }

    fn peer(text: &str) -> Counted {
        Counted::peer(text.parse().expect("an address"))
    }

    #[test]
    fn a_caller_may_ask_so_often_in_a_minute_and_no_more() {
        let gate = gate(60, 1);
        let now = Instant::now();
        for _ in 0..60 {
            assert!(gate.count(&peer("10.0.0.1"), now).is_ok());
        }
        let refused = gate.count(&peer("10.0.0.1"), now).expect_err("the minute is used up");
        assert_eq!(refused.code(), "too_many_requests");
        assert!(gate.count(&peer("10.0.0.2"), now).is_ok());
        assert!(gate.count(&Counted::Token("page".into()), now).is_ok());
        let later = now + Duration::from_secs(2);
        assert!(gate.count(&peer("10.0.0.1"), later).is_ok());
        assert!(gate.count(&peer("10.0.0.1"), later).is_ok());
        assert!(gate.count(&peer("10.0.0.1"), later).is_err());
    }

    #[test]
    fn addresses_of_one_host_are_one_caller() {
        assert_eq!(peer("2001:db8::1"), peer("2001:db8::ffff:1"));
        assert_ne!(peer("2001:db8::1"), peer("2001:db8:0:1::1"));
        assert_eq!(peer("::ffff:10.0.0.1"), peer("10.0.0.1"));
        assert_ne!(peer("10.0.0.1"), peer("10.0.0.2"));
    }

    #[test]
    fn callers_are_forgotten_before_they_fill_the_memory() {
        let gate = gate(1, 1);
        let now = Instant::now();
        for number in 0..=u32::try_from(CALLERS_MAX).expect("a small number") {
            let address = IpAddr::V4(number.into());
            assert!(gate.count(&Counted::peer(address), now).is_ok());
        }
        let remembered = gate.paid_until.lock().expect("nobody panicked").len();
        assert!(remembered <= CALLERS_MAX, "{remembered}");
    }

    #[tokio::test]
    async fn a_request_waits_for_room_but_not_for_ever() {
        let gate = Gate { wait: Duration::from_millis(10), ..gate(1, 1) };
        let first = gate.enter().await.expect("there is room");
        assert_eq!(gate.enter().await.expect_err("no room").code(), "busy");
        drop(first);
        assert!(gate.enter().await.is_ok());
    }
}
