//! Who works: a random number a session, and the lock that says the session lives.
//!
//! PostgreSQL frees the lock when the session ends, however it ends, so that
//! others see at once that its splits are free. A new session takes a new number.

use std::fmt;

use sqlx::{Connection as _, PgConnection};

use crate::database::StatementError;
use crate::ledger::{LedgerError, RunId, runs};

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

/// Writes down that a worker takes part in a run, from which host and process.
///
/// A worker that joins while another one, which cannot see it yet, leaves as
/// the last and ends the run, sets it running again unless that concerns it too.
pub(crate) async fn join(
    conn: &mut PgConnection,
    worker: WorkerId,
    run_id: RunId,
) -> Result<(), LedgerError> {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let mut tx = conn.begin().await?;
    runs::go_on(&mut tx, run_id).await?;
    sqlx::query(
        "INSERT INTO ferry.worker (worker_id, run_id, host, process_id) VALUES ($1, $2, $3, $4)",
    )
    .bind(worker.0)
    .bind(run_id.0)
    .bind(host)
    .bind(i64::from(std::process::id()))
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(())
}

/// Whether a worker other than `own` takes part in a run and lives.
///
/// One that has left does not count, even if its session has yet to end: of two
/// that leave at the same time the second is the last.
pub(super) async fn others_live(
    conn: &mut PgConnection,
    run_id: RunId,
    own: &[i64],
) -> Result<bool, LedgerError> {
    let others_live = sqlx::query_scalar(
        "SELECT EXISTS (
             SELECT FROM ferry.worker JOIN ferry.living_worker USING (worker_id)
             WHERE run_id = $1 AND left_at IS NULL AND worker_id <> ALL ($2))",
    )
    .bind(run_id.0)
    .bind(own)
    .fetch_one(conn)
    .await?;
    Ok(others_live)
}

/// Writes down that workers have left in order.
pub(super) async fn mark_left(conn: &mut PgConnection, own: &[i64]) -> Result<(), LedgerError> {
    sqlx::query(
        "UPDATE ferry.worker SET left_at = clock_timestamp()
         WHERE worker_id = ANY ($1) AND left_at IS NULL",
    )
    .bind(own)
    .execute(conn)
    .await?;
    Ok(())
}

/// What became of the session of a worker that lost its split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Eviction {
    /// There is none: it has ended by itself.
    Gone,
    /// It was ended, and its locks and uncommitted rows go with it.
    Ended,
    /// It goes on, because it is another role's, or nobody may end sessions here.
    Spared,
}

/// Only sessions of the same role, which any role may end; NULL for another one's.
const END_SESSION: &str = "
SELECT CASE WHEN a.usesysid = (SELECT oid FROM pg_roles WHERE rolname = current_user)
            THEN pg_terminate_backend(l.pid) END
FROM ferry.living_worker AS l JOIN pg_stat_activity AS a USING (pid)
WHERE l.worker_id = $1 AND l.pid <> pg_backend_pid()";

/// Ends the session of a worker that lost its split.
///
/// One that stands still in the middle of COPY is busy, not idle: no time limit
/// of PostgreSQL ends it, and keys that it has written, or its lock on a table,
/// would keep its successor waiting. Not inside a transaction: a refusal, which
/// is told as [`Eviction::Spared`], would end that.
pub(super) async fn end_session(
    conn: &mut PgConnection,
    worker: WorkerId,
) -> Result<Eviction, LedgerError> {
    let ended: Result<Option<Option<bool>>, sqlx::Error> =
        sqlx::query_scalar(END_SESSION).bind(worker.0).fetch_optional(conn).await;
    match ended.map_err(StatementError::from) {
        Ok(Some(Some(true))) => Ok(Eviction::Ended),
        Ok(None | Some(Some(false))) => Ok(Eviction::Gone),
        Err(error) if error.is_connection_lost() => Err(LedgerError::Database(error)),
        Ok(Some(None)) | Err(_) => Ok(Eviction::Spared),
    }
}

/// Ends the sessions of workers whose leases on splits of a run are over.
pub(crate) async fn end_lapsed(conn: &mut PgConnection, run_id: RunId) -> Result<(), LedgerError> {
    let lapsed: Vec<i64> = sqlx::query_scalar(
        "SELECT DISTINCT lease_owner FROM ferry.split
         WHERE run_id = $1 AND NOT done AND lease_until < clock_timestamp()",
    )
    .bind(run_id.0)
    .fetch_all(&mut *conn)
    .await?;
    for worker in lapsed {
        end_session(conn, WorkerId(worker)).await?;
    }
    Ok(())
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
