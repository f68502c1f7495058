//! What ran before: runs of a job with their states and sums, and one of them with all that is known of it.

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use crate::ledger::runs::{RunState, SUMS_OF_RUN};
use crate::ledger::times::TimeForm;
use crate::ledger::workers::WorkerId;
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
    /// When it began, in the form that was asked for.
    pub(crate) started_at: String,
    /// When it ended; `None` while it runs.
    pub(crate) finished_at: Option<String>,
    /// Milliseconds from its beginning to its end, or to now.
    pub(crate) milliseconds: u64,
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
    /// Sessions that worked at it.
    pub(crate) workers: u64,
    /// Why it failed, as a stable word.
    pub(crate) error_code: Option<String>,
    /// Why it failed.
    pub(crate) error_message: Option<String>,
}

impl RunSummary {
    /// Seconds from its beginning to its end, or to now.
    pub(crate) fn seconds(&self) -> u64 {
        (self.milliseconds + 500) / 1000
    }
}

/// All that is known of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunDetails {
    /// What a list shows of it.
    pub(crate) summary: RunSummary,
    /// Source host, without credentials.
    pub(crate) source_url: String,
    /// Dataset that was read.
    pub(crate) dataset: String,
    /// Tables that were loaded.
    pub(crate) target: String,
    /// Key of the pseudonyms; `None` if no column was pseudonymised.
    pub(crate) pii_key_id: Option<String>,
    /// Version of ferry-client that began it.
    pub(crate) ferry_version: String,
    /// Who worked at it, in the order in which they came.
    pub(crate) workers: Vec<WorkerDetails>,
    /// Transactions that moved a split.
    pub(crate) commits: u64,
    /// When the first of them was committed.
    pub(crate) first_commit_at: Option<String>,
    /// When the last of them was committed.
    pub(crate) last_commit_at: Option<String>,
}

/// A session that worked at a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WorkerDetails {
    /// The session.
    pub(crate) worker_id: WorkerId,
    /// Name of its host.
    pub(crate) host: String,
    /// Number of its process there.
    pub(crate) process_id: u64,
    /// When it came.
    pub(crate) joined_at: String,
    /// When it left in order.
    pub(crate) left_at: Option<String>,
    /// Whether it is at work now.
    pub(crate) is_alive: bool,
    /// Transactions that it committed.
    pub(crate) commits: u64,
    /// Records that it dealt with.
    pub(crate) rows: u64,
}

/// A list of runs is this, [`SUMS_OF_RUN`] and [`CHOSEN`].
const SUMMARIES: &str = "
SELECT r.run_id, r.job, r.state, r.error_code, r.error_message,
       r.source_url, r.dataset, r.target, r.pii_key_id, r.ferry_version,
       to_char(r.started_at AT TIME ZONE 'UTC', $5::text) AS started_at,
       to_char(r.finished_at AT TIME ZONE 'UTC', $5::text) AS finished_at,
       (greatest(extract(epoch FROM coalesce(r.finished_at, now()) - r.started_at), 0) * 1000)::bigint
           AS milliseconds,
       s.rows_in_source, s.read, s.loaded, s.quarantined, s.filtered,
       (SELECT count(*) FROM ferry.worker AS w WHERE w.run_id = r.run_id) AS workers
FROM ferry.run AS r";
const CHOSEN: &str = "
WHERE ($1::text IS NULL OR r.job = $1) AND ($2::bigint IS NULL OR r.run_id = $2)
  AND ($4::bigint IS NULL OR r.run_id < $4)
ORDER BY r.run_id DESC LIMIT $3";

/// The last runs, of one job or of all, the newest first.
pub(crate) async fn recent(
    conn: &mut PgConnection,
    job: Option<&str>,
    limit: i64,
) -> Result<Vec<RunSummary>, LedgerError> {
    summaries(conn, &Runs { job, run: None, before: None, limit }, TimeForm::Words).await
}

/// The last runs of a job that began before another one, the newest first.
pub(crate) async fn page(
    conn: &mut PgConnection,
    job: &str,
    before: Option<RunId>,
    limit: i64,
    form: TimeForm,
) -> Result<Vec<RunSummary>, LedgerError> {
    summaries(conn, &Runs { job: Some(job), run: None, before, limit }, form).await
}

/// One run as a list shows it; `None` if there is none of that number.
pub(crate) async fn summary(
    conn: &mut PgConnection,
    run_id: RunId,
    form: TimeForm,
) -> Result<Option<RunSummary>, LedgerError> {
    let one = Runs { job: None, run: Some(run_id), before: None, limit: 1 };
    Ok(summaries(conn, &one, form).await?.pop())
}

/// Which runs are meant: those that fit every field that is set.
struct Runs<'a> {
    job: Option<&'a str>,
    run: Option<RunId>,
    /// Only runs that began before this one.
    before: Option<RunId>,
    limit: i64,
}

async fn summaries(
    conn: &mut PgConnection,
    runs: &Runs<'_>,
    form: TimeForm,
) -> Result<Vec<RunSummary>, LedgerError> {
    let rows = rows(conn, runs, form).await?;
    rows.iter().map(read_summary).collect()
}

async fn rows(
    conn: &mut PgConnection,
    runs: &Runs<'_>,
    form: TimeForm,
) -> Result<Vec<PgRow>, LedgerError> {
    // All of the text stands in this program; what comes from outside is bound.
    let rows = sqlx::query(AssertSqlSafe([SUMMARIES, SUMS_OF_RUN, CHOSEN].concat()))
        .bind(runs.job)
        .bind(runs.run.map(|run| run.0))
        .bind(runs.limit)
        .bind(runs.before.map(|run| run.0))
        .bind(form.pattern())
        .fetch_all(conn)
        .await?;
    Ok(rows)
}

fn read_summary(row: &PgRow) -> Result<RunSummary, LedgerError> {
    Ok(RunSummary {
        run_id: RunId(row.try_get("run_id")?),
        job: row.try_get("job")?,
        state: RunState::parse(row.try_get("state")?)?,
        started_at: row.try_get("started_at")?,
        finished_at: row.try_get("finished_at")?,
        milliseconds: from_bigint(row, "milliseconds")?,
        rows_in_source: from_bigint(row, "rows_in_source")?,
        read: from_bigint(row, "read")?,
        loaded: from_bigint(row, "loaded")?,
        quarantined: from_bigint(row, "quarantined")?,
        filtered: from_bigint(row, "filtered")?,
        workers: from_bigint(row, "workers")?,
        error_code: row.try_get("error_code")?,
        error_message: row.try_get("error_message")?,
    })
}

const COMMITS: &str = "
SELECT count(*) AS commits,
       to_char(min(c.committed_at) AT TIME ZONE 'UTC', $2::text) AS first_commit_at,
       to_char(max(c.committed_at) AT TIME ZONE 'UTC', $2::text) AS last_commit_at
FROM ferry.split AS s JOIN ferry.commit AS c USING (split_id)
WHERE s.run_id = $1";

/// One run with all that is known of it; `None` if there is none of that number.
pub(crate) async fn run(
    conn: &mut PgConnection,
    run_id: RunId,
    form: TimeForm,
) -> Result<Option<RunDetails>, LedgerError> {
    let one = Runs { job: None, run: Some(run_id), before: None, limit: 1 };
    let Some(row) = rows(conn, &one, form).await?.pop() else {
        return Ok(None);
    };
    let query = sqlx::query(COMMITS).bind(run_id.0).bind(form.pattern());
    let commits = query.fetch_one(&mut *conn).await?;
    Ok(Some(RunDetails {
        summary: read_summary(&row)?,
        source_url: row.try_get("source_url")?,
        dataset: row.try_get("dataset")?,
        target: row.try_get("target")?,
        pii_key_id: row.try_get("pii_key_id")?,
        ferry_version: row.try_get("ferry_version")?,
        workers: workers(conn, run_id, form).await?,
        commits: from_bigint(&commits, "commits")?,
        first_commit_at: commits.try_get("first_commit_at")?,
        last_commit_at: commits.try_get("last_commit_at")?,
    }))
}

const WORKERS: &str = "
SELECT w.worker_id, w.host, w.process_id,
       to_char(w.joined_at AT TIME ZONE 'UTC', $2::text) AS joined_at,
       to_char(w.left_at AT TIME ZONE 'UTC', $2::text) AS left_at,
       w.left_at IS NULL AND w.worker_id IN (SELECT worker_id FROM ferry.living_worker)
           AS is_alive,
       coalesce(c.commits, 0) AS commits, coalesce(c.row_count, 0) AS row_count
FROM ferry.worker AS w
LEFT JOIN (
    SELECT worker_id, count(*) AS commits, sum(to_row - from_row)::bigint AS row_count
    FROM ferry.split JOIN ferry.commit USING (split_id)
    WHERE run_id = $1 GROUP BY worker_id
) AS c USING (worker_id)
WHERE w.run_id = $1
ORDER BY w.joined_at, w.worker_id";

async fn workers(
    conn: &mut PgConnection,
    run_id: RunId,
    form: TimeForm,
) -> Result<Vec<WorkerDetails>, LedgerError> {
    let rows = sqlx::query(WORKERS).bind(run_id.0).bind(form.pattern()).fetch_all(conn).await?;
    let mut workers = Vec::with_capacity(rows.len());
    for row in &rows {
        workers.push(WorkerDetails {
            worker_id: WorkerId(row.try_get("worker_id")?),
            host: row.try_get("host")?,
            process_id: from_bigint(row, "process_id")?,
            joined_at: row.try_get("joined_at")?,
            left_at: row.try_get("left_at")?,
            is_alive: row.try_get("is_alive")?,
            commits: from_bigint(row, "commits")?,
            rows: from_bigint(row, "row_count")?,
        });
    }
    Ok(workers)
}
