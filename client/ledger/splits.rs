//! Splits: who may work on which, and how far each is committed.
//!
//! Invariant: of all workers that ever claimed a split, only the last one can
//! commit to it, since each claim raises the split's epoch and each commit
//! locks the split and compares.

use ferry::position::{Position, Split};
use sqlx::{PgConnection, Row as _};

pub(crate) use crate::ledger::register::register;
use crate::ledger::workers::WorkerId;
use crate::ledger::{
    Epoch, LedgerError, RunId, SplitId, read_fingerprint, read_position, to_bigint,
};

/// A split that this worker may load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClaimedSplit {
    /// The split.
    pub(crate) split_id: SplitId,
    /// Shown with every commit.
    pub(crate) epoch: Epoch,
    /// What to read.
    pub(crate) split: Split,
    /// Where to begin: everything before is committed.
    pub(crate) next: Position,
}

/// What one commit adds to a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Advance {
    /// Everything before this place is dealt with once the transaction commits.
    pub(crate) next: Position,
    /// Rows put into the target.
    pub(crate) loaded: u64,
    /// Rows put into quarantine.
    pub(crate) quarantined: u64,
    /// Rows that the job leaves out.
    pub(crate) filtered: u64,
    /// How long the split stays with this worker from now on.
    pub(crate) lease_seconds: i32,
}

/// A split is free if nobody claimed it, if its owner's session has ended, or
/// if the lease is over, as it is of an owner whose host was cut off.
const CLAIM: &str = "
WITH candidate AS MATERIALIZED (
    SELECT s.split_id
    FROM ferry.split AS s
    JOIN ferry.file AS f USING (file_id)
    WHERE s.run_id = $1 AND NOT s.done
      AND (s.lease_owner IS NULL
           OR s.lease_until < clock_timestamp()
           OR NOT EXISTS (
               SELECT FROM pg_catalog.pg_locks AS l
               WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
                 AND l.database = (SELECT oid FROM pg_catalog.pg_database
                                   WHERE datname = current_database())
                 AND l.classid::bigint = (s.lease_owner >> 32) & 4294967295
                 AND l.objid::bigint = s.lease_owner & 4294967295))
    ORDER BY f.name, s.start_byte
    LIMIT 1
    FOR UPDATE OF s SKIP LOCKED
)
UPDATE ferry.split AS s
SET epoch = s.epoch + 1, lease_owner = $2,
    lease_until = clock_timestamp() + make_interval(secs => $3::integer)
FROM candidate AS c, ferry.file AS f
WHERE s.split_id = c.split_id AND f.file_id = s.file_id
RETURNING s.split_id, s.epoch, f.dataset, f.name AS file,
          s.fingerprint_bytes, s.fingerprint_hash, s.modified_unix_nanos,
          s.start_byte, s.start_row, s.end_byte, s.end_row, s.next_byte, s.next_row";

/// Takes the next free split of a run; `None` if all are done or taken.
///
/// The worker must hold its lock, see [`super::workers::hold`].
pub(crate) async fn claim(
    conn: &mut PgConnection,
    run_id: RunId,
    worker: WorkerId,
    lease_seconds: i32,
) -> Result<Option<ClaimedSplit>, LedgerError> {
    let row = sqlx::query(CLAIM)
        .bind(run_id.0)
        .bind(worker.0)
        .bind(lease_seconds)
        .fetch_optional(conn)
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    Ok(Some(ClaimedSplit {
        split_id: SplitId(row.try_get("split_id")?),
        epoch: Epoch(row.try_get("epoch")?),
        split: Split {
            dataset: row.try_get("dataset")?,
            file: row.try_get("file")?,
            fingerprint: read_fingerprint(&row)?,
            start: read_position(&row, "start_byte", "start_row")?,
            end: read_position(&row, "end_byte", "end_row")?,
        },
        next: read_position(&row, "next_byte", "next_row")?,
    }))
}

/// Number of splits of a run that are not done, whoever has them.
pub(crate) async fn undone(conn: &mut PgConnection, run_id: RunId) -> Result<i64, LedgerError> {
    let count =
        sqlx::query_scalar("SELECT count(*) FROM ferry.split WHERE run_id = $1 AND NOT done")
            .bind(run_id.0)
            .fetch_one(conn)
            .await?;
    Ok(count)
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

/// Ends a commit: moves the split on and extends its lease.
pub(crate) async fn advance(
    conn: &mut PgConnection,
    split_id: SplitId,
    epoch: Epoch,
    advance: Advance,
) -> Result<(), LedgerError> {
    let updated = sqlx::query(
        "UPDATE ferry.split
         SET next_byte = $3, next_row = $4,
             loaded_rows = loaded_rows + $5,
             quarantined_rows = quarantined_rows + $6,
             filtered_rows = filtered_rows + $7,
             lease_until = clock_timestamp() + make_interval(secs => $8::integer)
         WHERE split_id = $1 AND epoch = $2",
    )
    .bind(split_id.0)
    .bind(epoch.0)
    .bind(to_bigint(advance.next.byte_offset, "byte offset")?)
    .bind(to_bigint(advance.next.row_number, "row number")?)
    .bind(to_bigint(advance.loaded, "number of rows")?)
    .bind(to_bigint(advance.quarantined, "number of rows")?)
    .bind(to_bigint(advance.filtered, "number of rows")?)
    .bind(advance.lease_seconds)
    .execute(conn)
    .await?
    .rows_affected();
    if updated == 1 { Ok(()) } else { Err(LedgerError::Fenced { split: split_id }) }
}

/// How far a split is committed; asked after a COMMIT whose answer was lost.
///
/// Waits for a commit that is still under way, so that the answer is final.
pub(crate) async fn position(
    conn: &mut PgConnection,
    split_id: SplitId,
    epoch: Epoch,
) -> Result<Position, LedgerError> {
    let row = sqlx::query(
        "SELECT next_byte, next_row FROM ferry.split
         WHERE split_id = $1 AND epoch = $2 FOR UPDATE",
    )
    .bind(split_id.0)
    .bind(epoch.0)
    .fetch_optional(conn)
    .await?;
    let row = row.ok_or(LedgerError::Fenced { split: split_id })?;
    read_position(&row, "next_byte", "next_row")
}
