//! Runs of a job: which one goes on, how it ended.
//!
//! Invariant: a job has at most one running run, splits are left to do in its
//! last run only, and a run is finished only when all of its splits are done.

mod end;
mod open;
mod treatment;

use ferry::schema::Column;
use sqlx::{PgConnection, Row as _};

use crate::ledger::columns::decode_columns;
use crate::ledger::{FileId, LedgerError, RunId, from_bigint};

use end::CODES_OF_PROCESS;
pub(super) use end::go_on;
pub(crate) use end::{Finish, fail, leave, lock_for_finish, mark_finished};
pub(crate) use open::{LastShape, OldRules, OpenedRun, RunChoice, RunFacts, last, open};
pub(crate) use treatment::{key_of, last_columns, note_replay, refuse_unsafe_change};

const FERRY_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Where the rows of a run `r` went, as the row `s` beside it.
pub(super) const SUMS_OF_RUN: &str = "
CROSS JOIN LATERAL (
    SELECT coalesce(sum(end_row - start_row), 0)::bigint AS rows_in_source,
           coalesce(sum(next_row - start_row), 0)::bigint AS read,
           coalesce(sum(loaded_rows), 0)::bigint AS loaded,
           coalesce(sum(quarantined_rows), 0)::bigint AS quarantined,
           coalesce(sum(filtered_rows), 0)::bigint AS filtered
    FROM ferry.split WHERE run_id = r.run_id
) AS s";

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunState {
    /// Workers are at it, or died at it.
    Running,
    /// Every split is done.
    Finished,
    /// It met an error.
    Failed,
    /// Somebody asked it to stop, or began another run in its place.
    Stopped,
}

impl RunState {
    /// The state as it stands in the ledger.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }

    /// The state that a word of the ledger means.
    pub(super) fn parse(word: &str) -> Result<Self, LedgerError> {
        [Self::Running, Self::Finished, Self::Failed, Self::Stopped]
            .into_iter()
            .find(|state| state.as_str() == word)
            .ok_or(LedgerError::Invalid { what: "state of a run" })
    }
}

/// What is known of a run while it is worked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunStanding {
    /// How it stands.
    pub(crate) state: RunState,
    /// Number of its splits that are not done, whoever has them.
    pub(crate) undone: u64,
    /// Why it failed, as a stable word.
    pub(crate) error_code: Option<String>,
    /// Why it failed.
    pub(crate) error_message: Option<String>,
}

impl RunStanding {
    /// Whether it failed for what concerns every worker: one that only one
    /// process met is no reason for another to give up.
    pub(crate) fn has_failed_for_all(&self) -> bool {
        let is_of_process =
            self.error_code.as_deref().is_some_and(|code| CODES_OF_PROCESS.contains(&code));
        self.state == RunState::Failed && !is_of_process
    }
}

/// How a run stands now.
pub(crate) async fn standing(
    conn: &mut PgConnection,
    run_id: RunId,
) -> Result<RunStanding, LedgerError> {
    // One statement, so that state and splits are of the same moment.
    let row = sqlx::query(
        "SELECT state, error_code, error_message,
                (SELECT count(*) FROM ferry.split AS s
                 WHERE s.run_id = r.run_id AND NOT s.done) AS undone
         FROM ferry.run AS r WHERE r.run_id = $1",
    )
    .bind(run_id.0)
    .fetch_one(conn)
    .await?;
    Ok(RunStanding {
        state: RunState::parse(row.try_get("state")?)?,
        undone: from_bigint(&row, "undone")?,
        error_code: row.try_get("error_code")?,
        error_message: row.try_get("error_message")?,
    })
}

/// What the source offered to the last run of a job that took note of it.
pub(crate) async fn last_source_columns(
    conn: &mut PgConnection,
    job: &str,
) -> Result<Option<Vec<Column>>, LedgerError> {
    let text: Option<String> = sqlx::query_scalar(
        "SELECT source_columns::text FROM ferry.run
         WHERE job = $1 AND source_columns IS NOT NULL ORDER BY run_id DESC LIMIT 1",
    )
    .bind(job)
    .fetch_optional(conn)
    .await?;
    text.as_deref().map(decode_columns).transpose()
}

/// Whether splits of a run are left to do, apart from those of some files.
pub(crate) async fn has_undone_beside(
    conn: &mut PgConnection,
    run_id: RunId,
    left_out: &[FileId],
) -> Result<bool, LedgerError> {
    let left_out: Vec<i64> = left_out.iter().map(|file| file.0).collect();
    let has_undone = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM ferry.split
                        WHERE run_id = $1 AND NOT done AND file_id <> ALL ($2))",
    )
    .bind(run_id.0)
    .bind(left_out)
    .fetch_one(conn)
    .await?;
    Ok(has_undone)
}

/// Whether splits of a run are left to do.
async fn has_undone_splits(conn: &mut PgConnection, run_id: RunId) -> Result<bool, LedgerError> {
    let has_undone = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM ferry.split WHERE run_id = $1 AND NOT done)",
    )
    .bind(run_id.0)
    .fetch_one(conn)
    .await?;
    Ok(has_undone)
}

/// Writes how a run stands; the caller has locked it.
async fn set_state(
    conn: &mut PgConnection,
    run_id: RunId,
    state: RunState,
    error: Option<(&str, &str)>,
) -> Result<(), LedgerError> {
    sqlx::query(
        "UPDATE ferry.run
         SET state = $2, error_code = $3, error_message = $4,
             finished_at = CASE WHEN $2 <> 'running' THEN clock_timestamp() END
         WHERE run_id = $1",
    )
    .bind(run_id.0)
    .bind(state.as_str())
    .bind(error.map(|(code, _)| code))
    .bind(error.map(|(_, message)| message))
    .execute(conn)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_read_back() {
        for state in [RunState::Running, RunState::Finished, RunState::Failed, RunState::Stopped] {
            assert_eq!(RunState::parse(state.as_str()).ok(), Some(state));
        }
        assert!(RunState::parse("paused").is_err());
    }
}
