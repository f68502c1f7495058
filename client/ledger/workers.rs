//! Who works: a random number a session, and the lock that says the session lives.
//!
//! PostgreSQL frees the lock when the session ends, however it ends, so that
//! others see at once that its splits are free. A new session takes a new number.

use std::fmt;

use sqlx::PgConnection;

use crate::ledger::LedgerError;

/// Identity of a worker: one session with the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct WorkerId(pub(crate) i64);

impl WorkerId {
    /// A number that no other worker has.
    pub(crate) fn random() -> Result<Self, LedgerError> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).map_err(LedgerError::Random)?;
        Ok(Self(i64::from_ne_bytes(bytes)))
    }
}

/// In hexadecimal digits, as it stands in `pg_locks`: the first eight are `classid`.
impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Marks the worker as alive for as long as the session lasts.
pub(crate) async fn hold(conn: &mut PgConnection, worker: WorkerId) -> Result<(), LedgerError> {
    let is_held: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
        .bind(worker.0)
        .fetch_one(conn)
        .await?;
    if is_held { Ok(()) } else { Err(LedgerError::Invalid { what: "worker id" }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_differ() {
        let one = WorkerId::random().expect("random numbers");
        let other = WorkerId::random().expect("random numbers");
        assert_ne!(one, other);
    }

    #[test]
    fn a_worker_prints_as_sixteen_digits() {
        assert_eq!(WorkerId(10).to_string(), "000000000000000a");
        assert_eq!(WorkerId(-1).to_string(), "ffffffffffffffff");
    }
}
