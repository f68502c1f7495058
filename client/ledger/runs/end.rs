//! How a run ends: finished by one worker, failed for all of them, or left by the last.
//!
//! Invariant: the run is locked before it is asked how it stands. Whoever
//! registers splits, joins, leaves, ends the run or begins another one in its
//! place takes that lock too, so that what a later statement finds is still
//! true when the transaction commits: under READ COMMITTED each statement takes
//! a snapshot of its own. Rows that refer to the run do not exclude the lock.
//!
//! Whoever finishes a run may hold its lock for long, because tables are
//! replaced under it. Nobody waits for that: all others leave the run to it.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection, Row as _};

use super::{RunState, has_undone_splits, set_state};
use crate::ledger::workers::{self, WorkerId};
use crate::ledger::{LedgerError, RunId, to_bigint, watermark};

/// Codes of errors that concern the process that met them, and not the run:
/// others may still reach what it did not.
pub(super) const CODES_OF_PROCESS: [&str; 3] =
    ["source_unreachable", "database_unreachable", "files_unreadable"];
/// Longer than workers hold the lock of a run that join, leave or fail it, and
/// than a session whose client has gone lasts: whoever has it for longer is
/// finishing the run or opening it.
const LOCK_ATTEMPTS: u32 = 80;
const LOCK_INTERVAL: Duration = Duration::from_millis(100);

const LOCK: &str = "
SELECT state, error_code FROM ferry.run WHERE run_id = $1 FOR NO KEY UPDATE";
const TRY_LOCK: &str = "
SELECT state, error_code FROM ferry.run WHERE run_id = $1 FOR NO KEY UPDATE SKIP LOCKED";

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
    /// Another worker has the run: most likely it is finishing it. Ask again later.
    Busy,
}

/// Ends a run that no worker can bring to its end; the others stop at their next claim.
///
/// A run that has ended already stays as it is: the first error says why. So
/// does one that another worker is finishing, which decides how it ends.
pub(crate) async fn fail(
    conn: &mut PgConnection,
    run_id: RunId,
    code: &str,
    message: &str,
) -> Result<(), LedgerError> {
    let mut tx = conn.begin().await?;
    let mut locked = lock_soon(&mut tx, run_id).await?;
    // As long as splits are left nobody finishes the run: its lock is worth
    // waiting for, since the others must hear of the error.
    if locked.is_none() && has_undone_splits(&mut tx, run_id).await? {
        locked = lock(&mut tx, run_id, LOCK).await?;
    }
    if locked.is_some_and(Locked::is_open) {
        set_state(&mut tx, run_id, RunState::Failed, Some((code, message))).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Takes workers out of a run; returns how it stands then.
///
/// It becomes `state`, failed or stopped, if they were the last, and unless it
/// has ended before. Workers are alive as long as their sessions are. Whoever
/// keeps the lock of the run is at work at it, so that they were not the last.
pub(crate) async fn leave(
    conn: &mut PgConnection,
    run_id: RunId,
    own: &[WorkerId],
    state: RunState,
    error: Option<(&str, &str)>,
) -> Result<RunState, LedgerError> {
    let own: Vec<i64> = own.iter().map(|worker| worker.0).collect();
    let mut tx = conn.begin().await?;
    let locked = lock_soon(&mut tx, run_id).await?;
    workers::mark_left(&mut tx, &own).await?;
    let is_end = matches!(state, RunState::Failed | RunState::Stopped);
    let may_end = is_end && locked.is_some_and(Locked::may_be_left);
    let after = if may_end && !workers::others_live(&mut tx, run_id, &own).await? {
        set_state(&mut tx, run_id, state, error).await?;
        state
    } else {
        locked.map_or(RunState::Running, |locked| locked.state)
    };
    tx.commit().await?;
    Ok(after)
}

/// Locks the run for its end, inside the caller's transaction, without waiting.
///
/// The caller must not take the lock of the job afterwards: others have that
/// one first.
pub(crate) async fn lock_for_finish(
    conn: &mut PgConnection,
    run_id: RunId,
) -> Result<Finish, LedgerError> {
    let Some(locked) = lock(conn, run_id, TRY_LOCK).await? else {
        return Ok(Finish::Busy);
    };
    if locked.state == RunState::Finished {
        return Ok(Finish::Finished);
    }
    if !locked.is_open() {
        return Ok(Finish::Failed);
    }
    let has_undone = has_undone_splits(conn, run_id).await?;
    Ok(if has_undone { Finish::Early } else { Finish::Ready })
}

/// Ends a run whose splits are all done; [`lock_for_finish`] said so in the same transaction.
///
/// What it has reached of an API becomes what the job has. `replaced` has, for
/// each table of the job that was replaced, how many rows it wrote.
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
    watermark::take_over(conn, run_id).await?;
    set_state(conn, run_id, RunState::Finished, None).await
}

/// Sets a run running again that somebody else left as the last while this worker was on its way.
///
/// A run that failed for what concerns everybody, or that another took the place
/// of, stays as it is. So does one whose lock another session keeps: it is being
/// finished, or opened, which sets it running.
pub(in crate::ledger) async fn go_on(
    conn: &mut PgConnection,
    run_id: RunId,
) -> Result<(), LedgerError> {
    let locked = lock_soon(conn, run_id).await?;
    if locked.is_some_and(|locked| locked.state != RunState::Running && locked.is_open()) {
        set_state(conn, run_id, RunState::Running, None).await?;
    }
    Ok(())
}

/// How a run stands that is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Locked {
    state: RunState,
    /// Whether it failed for what concerns a single process.
    is_failure_of_process: bool,
    /// Whether no later run has taken its place.
    is_last: bool,
}

impl Locked {
    /// Whether workers can still bring it to its end.
    fn is_open(self) -> bool {
        match self.state {
            RunState::Running | RunState::Stopped => self.is_last,
            RunState::Failed => self.is_last && self.is_failure_of_process,
            RunState::Finished => false,
        }
    }

    /// Whether who leaves it as the last decides how it stands: of several
    /// processes that gave up, the first says why.
    fn may_be_left(self) -> bool {
        self.is_open() && self.state != RunState::Failed
    }
}

/// Locks a run by [`LOCK`] or [`TRY_LOCK`]; `None` if another session has it.
async fn lock(
    conn: &mut PgConnection,
    run_id: RunId,
    statement: &'static str,
) -> Result<Option<Locked>, LedgerError> {
    let Some(row) = sqlx::query(statement).bind(run_id.0).fetch_optional(&mut *conn).await? else {
        return Ok(None);
    };
    let state = RunState::parse(row.try_get("state")?)?;
    let error_code: Option<&str> = row.try_get("error_code")?;
    let is_failure_of_process = error_code.is_some_and(|code| CODES_OF_PROCESS.contains(&code));
    // A statement of its own: whoever begins a run holds the lock until its row is there.
    let is_last = sqlx::query_scalar(
        "SELECT NOT EXISTS (
             SELECT FROM ferry.run AS later JOIN ferry.run AS this USING (job)
             WHERE this.run_id = $1 AND later.run_id > $1)",
    )
    .bind(run_id.0)
    .fetch_one(conn)
    .await?;
    Ok(Some(Locked { state, is_failure_of_process, is_last }))
}

/// Locks a run unless another session keeps it for longer than it takes to join or leave.
async fn lock_soon(conn: &mut PgConnection, run_id: RunId) -> Result<Option<Locked>, LedgerError> {
    for _ in 0..LOCK_ATTEMPTS {
        let locked = lock(conn, run_id, TRY_LOCK).await?;
        if locked.is_some() {
            return Ok(locked);
        }
        tokio::time::sleep(LOCK_INTERVAL).await;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked(state: RunState) -> Locked {
        Locked { state, is_failure_of_process: false, is_last: true }
    }

    #[test]
    fn a_run_is_open_until_it_ends_or_another_takes_its_place() {
        assert!(locked(RunState::Running).is_open());
        assert!(locked(RunState::Stopped).is_open());
        assert!(!Locked { is_last: false, ..locked(RunState::Stopped) }.is_open());
        assert!(!locked(RunState::Failed).is_open());
        assert!(!locked(RunState::Finished).is_open());
    }

    #[test]
    fn a_run_that_one_process_gave_up_is_open_to_others() {
        let given_up = Locked { is_failure_of_process: true, ..locked(RunState::Failed) };
        assert!(given_up.is_open());
        assert!(!given_up.may_be_left(), "the first error says why");
        assert!(!Locked { is_last: false, ..given_up }.is_open());
        assert!(locked(RunState::Running).may_be_left());
        assert!(!locked(RunState::Finished).may_be_left());
    }
}
