//! What a run is doing and did piece by piece, for whoever watches it: splits, commits in time, files, sums.
//!
//! Nothing is locked, and nothing grows with the run: lists come page by page,
//! the commits of a run become at most [`POINTS_MAX`] points, and its progress
//! names at most [`SPLITS_MAX`] splits.

mod files;

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use crate::ledger::runs::{RunState, SUMS_OF_RUN};
use crate::ledger::times::TimeForm;
use crate::ledger::{Epoch, LedgerError, RunId, SplitId, from_bigint, workers};

pub(crate) use files::{FileStanding, files};

/// Points that the commits of a run become at most.
const POINTS_MAX: i32 = 300;
/// Splits that the progress of a run names at most.
const SPLITS_MAX: i64 = 200;

/// Part of a list, and whether there is more of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page<T> {
    /// What was asked for.
    pub(crate) items: Vec<T>,
    /// Whether more comes behind it.
    pub(crate) has_more: bool,
}

impl<T> Page<T> {
    /// The first items of those that were read: one more was asked for than the page may have.
    pub(crate) fn of(mut items: Vec<T>, limit: u32) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = items.len() > limit;
        items.truncate(limit);
        Self { items, has_more }
    }
}

/// A split of a run, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SplitStanding {
    /// The split.
    pub(crate) split_id: SplitId,
    /// Name of its file.
    pub(crate) file: String,
    /// Records of the file before it.
    pub(crate) start_row: u64,
    /// Records of the file before its end.
    pub(crate) end_row: u64,
    /// Records of the file before the place up to which it is committed.
    pub(crate) next_row: u64,
    /// Rows in the targets.
    pub(crate) loaded: u64,
    /// Rows in quarantine.
    pub(crate) quarantined: u64,
    /// Rows that the job left out.
    pub(crate) filtered: u64,
    /// Whether nothing of it is left to do.
    pub(crate) done: bool,
    /// How often it was claimed.
    pub(crate) epoch: Epoch,
}

const SPLITS: &str = "
SELECT s.split_id, f.name AS file, s.start_row, s.end_row, s.next_row,
       s.loaded_rows, s.quarantined_rows, s.filtered_rows, s.done, s.epoch
FROM ferry.split AS s JOIN ferry.file AS f USING (file_id)
WHERE s.run_id = $1 AND s.split_id > $2
ORDER BY s.split_id LIMIT $3";

/// The next splits of a run after one, by their numbers.
pub(crate) async fn splits(
    conn: &mut PgConnection,
    run_id: RunId,
    after: i64,
    limit: u32,
) -> Result<Page<SplitStanding>, LedgerError> {
    let query = sqlx::query(SPLITS).bind(run_id.0).bind(after).bind(i64::from(limit) + 1);
    let rows = query.fetch_all(conn).await?;
    let splits = rows.iter().map(read_split).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::of(splits, limit))
}

fn read_split(row: &PgRow) -> Result<SplitStanding, LedgerError> {
    Ok(SplitStanding {
        split_id: SplitId(row.try_get("split_id")?),
        file: row.try_get("file")?,
        start_row: from_bigint(row, "start_row")?,
        end_row: from_bigint(row, "end_row")?,
        next_row: from_bigint(row, "next_row")?,
        loaded: from_bigint(row, "loaded_rows")?,
        quarantined: from_bigint(row, "quarantined_rows")?,
        filtered: from_bigint(row, "filtered_rows")?,
        done: row.try_get("done")?,
        epoch: Epoch(row.try_get("epoch")?),
    })
}

/// How many records a run dealt with up to some time, after the point before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommitPoint {
    /// Last commit that counts, as RFC 3339 has it.
    pub(crate) at: String,
    /// Records that were dealt with.
    pub(crate) rows: u64,
}

/// The time from the first commit to the last is cut into equal parts; those
/// without a commit give no point.
const POINTS: &str = "
WITH moved AS MATERIALIZED (
    SELECT c.committed_at, c.to_row - c.from_row AS row_count
    FROM ferry.split AS s JOIN ferry.commit AS c USING (split_id)
    WHERE s.run_id = $1
), span AS (
    SELECT min(committed_at) AS began,
           greatest(extract(epoch FROM max(committed_at) - min(committed_at)), 0.000001) AS seconds
    FROM moved
), numbered AS (
    SELECT m.committed_at, m.row_count,
           least(floor(extract(epoch FROM m.committed_at - span.began) / span.seconds * $2::integer),
                 $2::integer - 1) AS part
    FROM moved AS m CROSS JOIN span
)
SELECT to_char(max(committed_at) AT TIME ZONE 'UTC', $3::text) AS at,
       sum(row_count)::bigint AS row_count
FROM numbered GROUP BY part ORDER BY part";

/// The commits of a run in the order of time, at most [`POINTS_MAX`] points.
pub(crate) async fn points(
    conn: &mut PgConnection,
    run_id: RunId,
) -> Result<Vec<CommitPoint>, LedgerError> {
    let rows = sqlx::query(POINTS)
        .bind(run_id.0)
        .bind(POINTS_MAX)
        .bind(TimeForm::Rfc3339.pattern())
        .fetch_all(conn)
        .await?;
    let mut points = Vec::with_capacity(rows.len());
    for row in &rows {
        points.push(CommitPoint { at: row.try_get("at")?, rows: from_bigint(row, "row_count")? });
    }
    Ok(points)
}

/// How a run stands at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunProgress {
    /// Whether it still runs.
    pub(crate) state: RunState,
    /// The moment by the clock of the database, as RFC 3339 has it.
    pub(crate) at: String,
    /// Records in its splits.
    pub(crate) rows_in_source: u64,
    /// Records that were dealt with.
    pub(crate) read: u64,
    /// Rows in the targets.
    pub(crate) loaded: u64,
    /// Rows in quarantine.
    pub(crate) quarantined: u64,
    /// Rows that the job left out.
    pub(crate) filtered: u64,
    /// At most [`SPLITS_MAX`] splits, by their numbers: of many, those that are at work first.
    pub(crate) splits: Vec<SplitShare>,
}

/// How much of a split is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SplitShare {
    /// The split.
    pub(crate) split_id: SplitId,
    /// Name of its file.
    pub(crate) file: String,
    /// Records of it that were dealt with.
    pub(crate) done_rows: u64,
    /// Records in it.
    pub(crate) rows: u64,
}

const PROGRESS: &str = "
SELECT r.state, to_char(clock_timestamp() AT TIME ZONE 'UTC', $2::text) AS at,
       s.rows_in_source, s.read, s.loaded, s.quarantined, s.filtered
FROM ferry.run AS r";
const OF_RUN: &str = "
WHERE r.run_id = $1";

const SHARES: &str = "
SELECT s.split_id, f.name AS file, s.next_row - s.start_row AS done_rows,
       s.end_row - s.start_row AS row_count
FROM (SELECT split_id, file_id, start_row, next_row, end_row
      FROM ferry.split WHERE run_id = $1
      ORDER BY done, lease_owner IS NULL, split_id LIMIT $2) AS s
JOIN ferry.file AS f USING (file_id)
ORDER BY s.split_id";

/// How a run stands now; `None` if there is none of that number.
pub(crate) async fn progress(
    conn: &mut PgConnection,
    run_id: RunId,
) -> Result<Option<RunProgress>, LedgerError> {
    // One statement, so that state and sums are of the same moment; all of its text stands here.
    let query = sqlx::query(AssertSqlSafe([PROGRESS, SUMS_OF_RUN, OF_RUN].concat()))
        .bind(run_id.0)
        .bind(TimeForm::Rfc3339.pattern());
    let Some(row) = query.fetch_optional(&mut *conn).await? else {
        return Ok(None);
    };
    let shares = sqlx::query(SHARES).bind(run_id.0).bind(SPLITS_MAX).fetch_all(conn).await?;
    let mut splits = Vec::with_capacity(shares.len());
    for share in &shares {
        splits.push(SplitShare {
            split_id: SplitId(share.try_get("split_id")?),
            file: share.try_get("file")?,
            done_rows: from_bigint(share, "done_rows")?,
            rows: from_bigint(share, "row_count")?,
        });
    }
    Ok(Some(RunProgress {
        state: RunState::parse(row.try_get("state")?)?,
        at: row.try_get("at")?,
        rows_in_source: from_bigint(&row, "rows_in_source")?,
        read: from_bigint(&row, "read")?,
        loaded: from_bigint(&row, "loaded")?,
        quarantined: from_bigint(&row, "quarantined")?,
        filtered: from_bigint(&row, "filtered")?,
        splits,
    }))
}

/// The job of a run; `None` if there is none of that number.
pub(crate) async fn job_of(
    conn: &mut PgConnection,
    run_id: RunId,
) -> Result<Option<String>, LedgerError> {
    let job = sqlx::query_scalar("SELECT job FROM ferry.run WHERE run_id = $1")
        .bind(run_id.0)
        .fetch_optional(conn)
        .await?;
    Ok(job)
}

/// Whether a worker takes part in a run and lives, in whatever process.
pub(crate) async fn is_worked_at(
    conn: &mut PgConnection,
    run_id: RunId,
) -> Result<bool, LedgerError> {
    workers::others_live(conn, run_id, &[]).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_tells_whether_more_comes() {
        let more = Page::of(vec![1, 2, 3], 2);
        assert_eq!(more, Page { items: vec![1, 2], has_more: true });
        let last = Page::of(vec![1, 2], 2);
        assert_eq!(last, Page { items: vec![1, 2], has_more: false });
        assert_eq!(Page::of(Vec::<i64>::new(), 2), Page { items: Vec::new(), has_more: false });
    }
}
