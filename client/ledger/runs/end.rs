//! How a run ends: finished by one worker, failed for all of them, or left by the last.
//!
//! Invariant: the run is locked before it is asked how it stands. Whoever
//! registers splits, joins, leaves, ends the run or begins another one in its
//! place takes that lock too, so that what a later statement finds is still
//! true when the transaction commits: under READ COMMITTED each statement takes
//! a snapshot of its own. Rows that refer to the run do not exclude the lock.

use sqlx::{Connection as _, PgConnection};

use super::{RunState, has_undone_splits, set_state};
use crate::ledger::workers::{self, WorkerId};
use crate::ledger::{LedgerError, RunId, to_bigint};

/// Whether a run can be finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    /// All of its splits are done, and none can be added now.
    Ready,
    /// Another worker has done so.
    Finished,
    /// It was ended: it failed, or a new run took its place.
    Failed,
    /// Splits are left.
    Early,
}

/// Ends a run that no worker can bring to its end; the others stop at their next claim.
///
/// A run that has ended already stays as it is: the first error says why.
pub(crate) async fn fail(
    conn: &mut PgConnection,
    run_id: RunId,
    code: &str,
    message: &str,
) -> Result<(), LedgerError> {
    let mut tx = conn.begin().await?;
    if lock(&mut tx, run_id).await?.is_open() {
        set_state(&mut tx, run_id, RunState::Failed, Some((code, message))).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Takes workers out of a run; returns how it stands then.
///
/// It becomes `state`, failed or stopped, if they were the last, and unless it
/// has ended before. Workers are alive as long as their sessions are.
pub(crate) async fn leave(
    conn: &mut PgConnection,
    run_id: RunId,
    own: &[WorkerId],
    state: RunState,
    error: Option<(&str, &str)>,
) -> Result<RunState, LedgerError> {
    let own: Vec<i64> = own.iter().map(|worker| worker.0).collect();
    let mut tx = conn.begin().await?;
    let standing = lock(&mut tx, run_id).await?;
    workers::mark_left(&mut tx, &own).await?;
    let is_end = matches!(state, RunState::Failed | RunState::Stopped);
    let may_end = is_end && standing.is_open();
    let after = if may_end && !workers::others_live(&mut tx, run_id, &own).await? {
        set_state(&mut tx, run_id, state, error).await?;
        state
    } else {
        standing.state
    };
    tx.commit().await?;
    Ok(after)
}

/// Locks the run for its end, inside the caller's transaction.
///
/// The caller must not take the lock of the job afterwards: others have that
/// one first.
pub(crate) async fn lock_for_finish(
    conn: &mut PgConnection,
    run_id: RunId,
) -> Result<Finish, LedgerError> {
    let standing = lock(conn, run_id).await?;
    if standing.state == RunState::Finished {
        return Ok(Finish::Finished);
    }
    if !standing.is_open() {
        return Ok(Finish::Failed);
    }
    let has_undone = has_undone_splits(conn, run_id).await?;
    Ok(if has_undone { Finish::Early } else { Finish::Ready })
}

/// Ends a run whose splits are all done; [`lock_for_finish`] said so in the same transaction.
///
/// `replaced` has, for each table of the job that was replaced, how many rows it wrote.
pub(crate) async fn mark_finished(
    conn: &mut PgConnection,
    run_id: RunId,
    replaced: &[Option<u64>],
) -> Result<(), LedgerError> {
    if replaced.iter().any(Option::is_some) {
        let rows = |rows: &Option<u64>| rows.map(|rows| to_bigint(rows, "number of rows"));
        let replaced = replaced.iter().map(|each| rows(each).transpose());
        sqlx::query("UPDATE ferry.run SET replaced = $2 WHERE run_id = $1")
            .bind(run_id.0)
            .bind(replaced.collect::<Result<Vec<Option<i64>>, _>>()?)
            .execute(&mut *conn)
            .await?;
    }
    set_state(conn, run_id, RunState::Finished, None).await
}

/// Sets a run running again that somebody else left as the last while this worker was on its way.
///
/// A run that failed, or that another took the place of, stays as it is.
pub(in crate::ledger) async fn go_on(
    conn: &mut PgConnection,
    run_id: RunId,
) -> Result<(), LedgerError> {
    let standing = lock(conn, run_id).await?;
    if standing.state == RunState::Stopped && standing.is_last {
        set_state(conn, run_id, RunState::Running, None).await?;
    }
    Ok(())
}

/// How a run stands that is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Locked {
    state: RunState,
    /// Whether no later run has taken its place.
    is_last: bool,
}

impl Locked {
    /// Whether workers can still bring it to its end.
    fn is_open(self) -> bool {
        match self.state {
            RunState::Running | RunState::Stopped => self.is_last,
            RunState::Finished | RunState::Failed => false,
        }
    }
}

async fn lock(conn: &mut PgConnection, run_id: RunId) -> Result<Locked, LedgerError> {
    let word: String =
        sqlx::query_scalar("SELECT state FROM ferry.run WHERE run_id = $1 FOR NO KEY UPDATE")
            .bind(run_id.0)
            .fetch_one(&mut *conn)
            .await?;
    // A statement of its own: whoever begins a run holds the lock until its row is there.
    let is_last = sqlx::query_scalar(
        "SELECT NOT EXISTS (
             SELECT FROM ferry.run AS later JOIN ferry.run AS this USING (job)
             WHERE this.run_id = $1 AND later.run_id > $1)",
    )
    .bind(run_id.0)
    .fetch_one(conn)
    .await?;
    Ok(Locked { state: RunState::parse(&word)?, is_last })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_open_until_it_ends_or_another_takes_its_place() {
        let is_open = |state, is_last| Locked { state, is_last }.is_open();
        assert!(is_open(RunState::Running, true));
        assert!(is_open(RunState::Stopped, true));
        assert!(!is_open(RunState::Stopped, false));
        assert!(!is_open(RunState::Failed, true));
        assert!(!is_open(RunState::Finished, true));
    }
}
