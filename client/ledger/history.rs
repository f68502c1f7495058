//! What ran before: runs of a job with their states and sums, the newest first.

use sqlx::{PgConnection, Row as _};

use crate::ledger::runs::RunState;
use crate::ledger::{LedgerError, RunId, from_bigint};

/// One run in a list of runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunSummary {
    /// The run.
    pub(crate) run_id: RunId,
    /// Name of the job.
    pub(crate) job: String,
    /// How it stands.
    pub(crate) state: RunState,
    /// When it began, such as `2026-01-31 23:59:59 UTC`.
    pub(crate) started_at: String,
    /// When it ended; `None` while it runs.
    pub(crate) finished_at: Option<String>,
    /// Seconds from its beginning to its end, or to now.
    pub(crate) seconds: u64,
    /// Records in its splits.
    pub(crate) rows_in_source: u64,
    /// Records that were dealt with.
    pub(crate) read: u64,
    /// Rows in the target.
    pub(crate) loaded: u64,
    /// Rows in quarantine.
    pub(crate) quarantined: u64,
    /// Rows that the job left out.
    pub(crate) filtered: u64,
    /// Why it failed, as a stable word.
    pub(crate) error_code: Option<String>,
    /// Why it failed.
    pub(crate) error_message: Option<String>,
}

const RECENT: &str = "
SELECT r.run_id, r.job, r.state, r.error_code, r.error_message,
       to_char(r.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS \"UTC\"') AS started_at,
       to_char(r.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS \"UTC\"') AS finished_at,
       greatest(extract(epoch FROM coalesce(r.finished_at, now()) - r.started_at), 0)::bigint
           AS seconds,
       s.rows_in_source, s.read, s.loaded, s.quarantined, s.filtered
FROM ferry.run AS r
CROSS JOIN LATERAL (
    SELECT coalesce(sum(end_row - start_row), 0)::bigint AS rows_in_source,
           coalesce(sum(next_row - start_row), 0)::bigint AS read,
           coalesce(sum(loaded_rows), 0)::bigint AS loaded,
           coalesce(sum(quarantined_rows), 0)::bigint AS quarantined,
           coalesce(sum(filtered_rows), 0)::bigint AS filtered
    FROM ferry.split WHERE run_id = r.run_id
) AS s
WHERE $1::text IS NULL OR r.job = $1
ORDER BY r.run_id DESC LIMIT $2";

/// The last runs, of one job or of all, the newest first.
pub(crate) async fn recent(
    conn: &mut PgConnection,
    job: Option<&str>,
    limit: i64,
) -> Result<Vec<RunSummary>, LedgerError> {
    let rows = sqlx::query(RECENT).bind(job).bind(limit).fetch_all(conn).await?;
    let mut runs = Vec::with_capacity(rows.len());
    for row in &rows {
        runs.push(RunSummary {
            run_id: RunId(row.try_get("run_id")?),
            job: row.try_get("job")?,
            state: RunState::parse(row.try_get("state")?)?,
            started_at: row.try_get("started_at")?,
            finished_at: row.try_get("finished_at")?,
            seconds: from_bigint(row, "seconds")?,
            rows_in_source: from_bigint(row, "rows_in_source")?,
            read: from_bigint(row, "read")?,
            loaded: from_bigint(row, "loaded")?,
            quarantined: from_bigint(row, "quarantined")?,
            filtered: from_bigint(row, "filtered")?,
            error_code: row.try_get("error_code")?,
            error_message: row.try_get("error_message")?,
        });
    }
    Ok(runs)
}
