//! Splits: who may work on which, and how far each is committed.
//!
//! Invariant: of all workers that ever claimed a split, only the last one can
//! commit to it, since each claim raises the split's epoch and each commit
//! locks the split and compares.

use ferry::position::{Position, Split};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

use crate::ledger::workers::{self, Eviction, WorkerId};
use crate::ledger::{
    Epoch, FileId, LedgerError, RunId, SplitId, columns, read_fingerprint, read_position, to_bigint,
};

/// First half of the advisory locks of runs whose splits are claimed one at a
/// time; "fero" in ASCII.
const LOCK_CLASS: i32 = 0x6665_726f;

/// A split that this worker may load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClaimedSplit {
    /// The split.
    pub(crate) split_id: SplitId,
    /// The file that it is a part of.
    pub(crate) file_id: FileId,
    /// Shown with every commit.
    pub(crate) epoch: Epoch,
    /// Who claimed it.
    pub(crate) worker: WorkerId,
    /// What to read.
    pub(crate) split: Split,
    /// Names of the file's columns; `None` if it was planned by a version that did not ask.
    pub(crate) header: Option<Vec<String>>,
    /// Where to begin: everything before is committed.
    pub(crate) next: Position,
}

/// Which splits may be loaded at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClaimOrder {
    /// All of them.
    Any,
    /// One of each file at a time, in the order of the file.
    WithinFile,
    /// One of the whole run at a time, in the order of the files' names; pages of
    /// an API, here and below, in the order in which they became known.
    ByName,
    /// One of the whole run at a time, in the order of the files' last changes, then of their names.
    ByTime,
}

/// What one commit adds to a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Advance<'a> {
    /// Where the split stood before.
    pub(crate) from: Position,
    /// Everything before this place is dealt with once the transaction commits.
    pub(crate) next: Position,
    /// Rows handed to the targets.
    pub(crate) loaded: u64,
    /// Rows put into quarantine.
    pub(crate) quarantined: u64,
    /// Rows that the job leaves out.
    pub(crate) filtered: u64,
    /// For each table of the job, how many rows were inserted or updated.
    pub(crate) written: &'a [u64],
    /// Who commits.
    pub(crate) worker: WorkerId,
    /// How long the split stays with this worker from now on.
    pub(crate) lease_seconds: i32,
}

/// A split is free if nobody claimed it, if its owner's session has ended, or
/// if the lease is over, as it is of an owner whose host was cut off.
///
/// Two workers that choose the same split: the second finds it locked and
/// passes over it, or finds that it was claimed since its snapshot was taken;
/// then PostgreSQL asks all of this again of the split as it is now. The lock
/// is one that a commit of the split excludes, so that none is under way when
/// the epoch changes; but rows that refer to the split exclude only the
/// strongest lock, and a worker that hangs after it wrote some must not keep
/// the split from its successor. The owner before is as the lock found it, too.
const CANDIDATE: &str = "
WITH candidate AS MATERIALIZED (
    SELECT s.split_id, s.lease_owner AS owner_before
    FROM ferry.split AS s
    JOIN ferry.file AS f USING (file_id)
    JOIN ferry.run AS r USING (run_id)
    WHERE s.run_id = $1 AND r.state = 'running' AND NOT s.done AND s.file_id <> ALL ($4)
      AND (s.lease_owner IS NULL
           OR s.lease_until < clock_timestamp()
           OR s.lease_owner NOT IN (SELECT worker_id FROM ferry.living_worker))";

/// No split of the file before it is left to do. That can only become so,
/// never cease to be: splits are done for ever, and a file grows at its end.
const IS_FIRST_OF_FILE: &str = "
      AND NOT EXISTS (
          SELECT FROM ferry.split AS earlier
          WHERE earlier.run_id = $1 AND NOT earlier.done
            AND earlier.file_id = s.file_id AND earlier.start_byte < s.start_byte)";

/// Only one split: that of a worker whose session lives, or else the first that
/// is left to do. So while a worker has a living lease nobody gets another
/// split, not even one of a file that sorts before and has joined the run since;
/// and once its lease is over that same split is taken from it, with a new
/// epoch, so that it cannot wake up and commit beside its successor.
const IS_FIRST_OF_RUN: &str = "
      AND s.split_id = (
          SELECT front.split_id
          FROM ferry.split AS front JOIN ferry.file AS front_file USING (file_id)
          WHERE front.run_id = $1 AND NOT front.done
          ORDER BY coalesce(front.lease_owner IN (SELECT worker_id FROM ferry.living_worker),
                            false) DESC,
                   CASE WHEN front_file.is_page THEN front.file_id END,";

/// Of one file, no split comes before an earlier one, whatever the clock said.
const BY_TIME: &str = "
                   max(front.modified_unix_nanos)
                       OVER (PARTITION BY front.file_id ORDER BY front.start_byte),";

/// Names are compared byte by byte, so that the order is the same in every database.
const BY_NAME: &str = "
                   front_file.name COLLATE \"C\", front.start_byte LIMIT 1)";

const TAKE_CANDIDATE: &str = "
    ORDER BY f.name COLLATE \"C\", s.start_byte
    LIMIT 1
    FOR NO KEY UPDATE OF s SKIP LOCKED
)
UPDATE ferry.split AS s
SET epoch = s.epoch + 1, lease_owner = $2,
    lease_until = clock_timestamp() + make_interval(secs => $3::integer)
FROM candidate AS c, ferry.file AS f
WHERE s.split_id = c.split_id AND f.file_id = s.file_id
RETURNING s.split_id, s.file_id, s.epoch, f.dataset, f.name AS file, f.columns::text AS columns,
          s.fingerprint_bytes, s.fingerprint_hash, s.modified_unix_nanos,
          s.start_byte, s.start_row, s.end_byte, s.end_row, s.next_byte, s.next_row,
          c.owner_before";

impl ClaimOrder {
    /// Whether one split is loaded after the other.
    pub(crate) fn is_strict(self) -> bool {
        matches!(self, Self::ByName | Self::ByTime)
    }

    fn claim_statement(self) -> String {
        let condition: &[&str] = match self {
            Self::Any => &[],
            Self::WithinFile => &[IS_FIRST_OF_FILE],
            Self::ByName => &[IS_FIRST_OF_RUN, BY_NAME],
            Self::ByTime => &[IS_FIRST_OF_RUN, BY_TIME, BY_NAME],
        };
        [CANDIDATE, &condition.concat(), TAKE_CANDIDATE].concat()
    }
}

/// Takes the next free split of a run; `None` if all are done or taken, or if
/// the run has ended.
///
/// Splits of the files in `left_out` are passed over, which only an order that
/// is not strict allows. The worker must hold its lock, see [`workers::hold`]. A
/// session that still lives, of a worker that the split is taken from, is ended.
pub(crate) async fn claim(
    conn: &mut PgConnection,
    run_id: RunId,
    worker: WorkerId,
    lease_seconds: i32,
    order: ClaimOrder,
    left_out: &[FileId],
) -> Result<Option<ClaimedSplit>, LedgerError> {
    let left_out: Vec<i64> = left_out.iter().map(|file| file.0).collect();
    let mut tx = conn.begin().await?;
    let mut row = None;
    if !order.is_strict() || try_claim_alone(&mut tx, run_id).await? {
        // All of the text stands in this program; what comes from outside is bound.
        row = sqlx::query(AssertSqlSafe(order.claim_statement()))
            .bind(run_id.0)
            .bind(worker.0)
            .bind(lease_seconds)
            .bind(left_out)
            .fetch_optional(&mut *tx)
            .await?;
    }
    tx.commit().await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let claimed = read_claimed(&row, worker)?;
    let owner_before: Option<i64> = row.try_get("owner_before")?;
    if let Some(owner) = owner_before.map(WorkerId).filter(|owner| *owner != worker) {
        evict(conn, claimed.split_id, owner).await?;
    }
    Ok(Some(claimed))
}

/// Makes sure that nobody else claims a split of the run until the transaction
/// ends; `false` if somebody does.
///
/// Two workers that do not see each other's claims yet, one of which sees a file
/// that joined the run and the other does not, would take a split each.
async fn try_claim_alone(conn: &mut PgConnection, run_id: RunId) -> Result<bool, LedgerError> {
    let is_alone = sqlx::query_scalar(
        "SELECT pg_try_advisory_xact_lock($1, ($2::bigint & 2147483647)::integer)",
    )
    .bind(LOCK_CLASS)
    .bind(run_id.0)
    .fetch_one(conn)
    .await?;
    Ok(is_alone)
}

/// Ends the session of the worker that had the split, if it lives.
async fn evict(
    conn: &mut PgConnection,
    split: SplitId,
    owner: WorkerId,
) -> Result<(), LedgerError> {
    match workers::end_session(conn, owner).await? {
        Eviction::Gone => {}
        Eviction::Ended => {
            tracing::warn!(%split, %owner, "split taken over: the session of its owner is ended");
        }
        Eviction::Spared => {
            tracing::warn!(%split, %owner, "split taken over: its owner could not be ended");
        }
    }
    Ok(())
}

fn read_claimed(row: &PgRow, worker: WorkerId) -> Result<ClaimedSplit, LedgerError> {
    Ok(ClaimedSplit {
        split_id: SplitId(row.try_get("split_id")?),
        file_id: FileId(row.try_get("file_id")?),
        epoch: Epoch(row.try_get("epoch")?),
        worker,
        split: Split {
            dataset: row.try_get("dataset")?,
            file: row.try_get("file")?,
            fingerprint: read_fingerprint(row)?,
            start: read_position(row, "start_byte", "start_row")?,
            end: read_position(row, "end_byte", "end_row")?,
        },
        header: columns::read_names(row)?,
        next: read_position(row, "next_byte", "next_row")?,
    })
}

/// A split that is locked is being committed, which renews its lease too, or
/// goes to another worker: neither is waited for.
const RENEW: &str = "
WITH mine AS MATERIALIZED (
    SELECT split_id FROM ferry.split
    WHERE split_id = $1 AND epoch = $2 AND lease_owner IS NOT NULL AND NOT done
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE ferry.split AS s
SET lease_until = clock_timestamp() + make_interval(secs => $3::integer)
FROM mine WHERE s.split_id = mine.split_id";

/// Keeps a split that a worker has for longer, without a commit; does nothing
/// if another one has it.
pub(crate) async fn renew(
    conn: &mut PgConnection,
    split_id: SplitId,
    epoch: Epoch,
    lease_seconds: i32,
) -> Result<(), LedgerError> {
    sqlx::query(RENEW).bind(split_id.0).bind(epoch.0).bind(lease_seconds).execute(conn).await?;
    Ok(())
}

/// Opens a commit: locks the split until the transaction ends, and makes sure
/// that it is still this worker's and stands where the worker thinks.
pub(crate) async fn fence(
    conn: &mut PgConnection,
    split_id: SplitId,
    epoch: Epoch,
    expected: Position,
) -> Result<(), LedgerError> {
    let found = position(conn, split_id, epoch).await?;
    if found == expected {
        Ok(())
    } else {
        Err(LedgerError::Moved { split: split_id, found, expected })
    }
}

/// Both or neither: a row of `ferry.commit` is there if and only if the split
/// moved by it. The split is locked since [`fence`], and its epoch with it; the
/// condition makes the statement right without that too.
const ADVANCE: &str = "
WITH moved AS (
    UPDATE ferry.split
    SET next_byte = $5, next_row = $6,
        loaded_rows = loaded_rows + $7,
        quarantined_rows = quarantined_rows + $8,
        filtered_rows = filtered_rows + $9,
        lease_until = clock_timestamp() + make_interval(secs => $12::integer)
    WHERE split_id = $1 AND epoch = $2 AND next_byte = $3 AND next_row = $4
    RETURNING split_id, epoch
)
INSERT INTO ferry.commit
    (split_id, epoch, from_byte, from_row, to_byte, to_row,
     loaded, quarantined, filtered, written, worker_id)
SELECT split_id, epoch, $3, $4, $5, $6, $7, $8, $9, $10::bigint[], $11::bigint FROM moved";

/// Ends a commit: moves the split on, writes down by whom, and extends its lease.
pub(crate) async fn advance(
    conn: &mut PgConnection,
    split_id: SplitId,
    epoch: Epoch,
    advance: &Advance<'_>,
) -> Result<(), LedgerError> {
    let Advance { from, next, .. } = advance;
    if from == next {
        // A source may say that it is still where it was.
        return renew(conn, split_id, epoch, advance.lease_seconds).await;
    }
    let mut written = Vec::with_capacity(advance.written.len());
    for rows in advance.written {
        written.push(to_bigint(*rows, "number of rows")?);
    }
    let inserted = sqlx::query(ADVANCE)
        .bind(split_id.0)
        .bind(epoch.0)
        .bind(to_bigint(from.byte_offset, "byte offset")?)
        .bind(to_bigint(from.row_number, "row number")?)
        .bind(to_bigint(next.byte_offset, "byte offset")?)
        .bind(to_bigint(next.row_number, "row number")?)
        .bind(to_bigint(advance.loaded, "number of rows")?)
        .bind(to_bigint(advance.quarantined, "number of rows")?)
        .bind(to_bigint(advance.filtered, "number of rows")?)
        .bind(written)
        .bind(advance.worker.0)
        .bind(advance.lease_seconds)
        .execute(conn)
        .await?
        .rows_affected();
    if inserted == 1 { Ok(()) } else { Err(LedgerError::Fenced { split: split_id }) }
}

/// How far a split is committed; asked after a COMMIT whose answer was lost.
///
/// Waits for a commit that is still under way, so that the answer is final.
///
/// The lock is the one that an update of the split takes, so it excludes whoever
/// claims it, advances it, hands it over, or is about to delete it. It does not
/// exclude the foreign keys of rows that refer to the split: those of a worker
/// that hangs after it wrote some would keep its successor from committing.
pub(crate) async fn position(
    conn: &mut PgConnection,
    split_id: SplitId,
    epoch: Epoch,
) -> Result<Position, LedgerError> {
    let row = sqlx::query(
        "SELECT next_byte, next_row FROM ferry.split
         WHERE split_id = $1 AND epoch = $2 FOR NO KEY UPDATE",
    )
    .bind(split_id.0)
    .bind(epoch.0)
    .fetch_optional(conn)
    .await?;
    let row = row.ok_or(LedgerError::Fenced { split: split_id })?;
    read_position(&row, "next_byte", "next_row")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_order_has_its_condition() {
        let [any, within_file, strict, by_time] =
            [ClaimOrder::Any, ClaimOrder::WithinFile, ClaimOrder::ByName, ClaimOrder::ByTime]
                .map(ClaimOrder::claim_statement);
        assert!(!any.contains("earlier") && !any.contains("front"), "{any}");
        assert!(within_file.contains("earlier.start_byte < s.start_byte"), "{within_file}");
        assert!(strict.contains("AND s.split_id = ("), "{strict}");
        let (front, by_name) =
            (strict.find("front.lease_owner IN"), strict.find("front_file.name"));
        assert!(front.is_some() && front < by_name, "who is at work comes first: {strict}");
        let (time, name) =
            (by_time.find("front.modified_unix_nanos"), by_time.find("front_file.name"));
        assert!(time.is_some() && time < name, "files of one time by name: {by_time}");
        assert!(!strict.contains("front.modified_unix_nanos"), "{strict}");
        for statement in [any, within_file, strict, by_time] {
            assert!(statement.contains("r.state = 'running'"), "{statement}");
            assert!(statement.contains("SKIP LOCKED"), "{statement}");
            assert!(statement.contains("c.owner_before"), "{statement}");
        }
    }
}
