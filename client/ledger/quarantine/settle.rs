//! Settles open rows of quarantine: discards them, or moves them into the accounts as replayed.
//!
//! Invariant: only an open row is settled, and only once, however many
//! sessions try: each statement asks for the state under the row's lock.

use ferry::position::{Fingerprint, Place};
use ferry::reject::Reason;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use super::columns::Columns;
use super::find::statement;
use super::{Filter, QuarantinedRow};
use crate::ledger::{
    LedgerError, RunId, SplitId, columns, from_bigint, read_fingerprint, to_bigint,
};

/// An open row, with what is needed to read it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenRow {
    /// Identity of the row in quarantine.
    pub(crate) id: i64,
    /// Split that it belongs to.
    pub(crate) split_id: SplitId,
    /// Dataset of the file.
    pub(crate) dataset: String,
    /// Name of the file.
    pub(crate) file: String,
    /// Content that the place belongs to.
    pub(crate) fingerprint: Fingerprint,
    /// Names of the file's columns; `None` if it was planned by a version that did not ask.
    pub(crate) header: Option<Vec<String>>,
    /// Where the record lies.
    pub(crate) place: Place,
}

impl OpenRow {
    /// Where the row stands in the order of [`open_rows`].
    pub(crate) fn key(&self) -> (SplitId, u64) {
        (self.split_id, self.place.row_number)
    }
}

/// Decides that the open rows of a filter are not loaded; returns how many there were.
///
/// They stay among the quarantined rows of their splits.
pub(crate) async fn discard(conn: &mut PgConnection, filter: &Filter) -> Result<u64, LedgerError> {
    let discarded = statement(
        "WITH chosen AS MATERIALIZED (SELECT q.quarantine_id",
        filter,
        " AND q.state = 'open')
         UPDATE ferry.quarantine AS q SET state = 'discarded', settled_at = now()
         FROM chosen WHERE q.quarantine_id = chosen.quarantine_id AND q.state = 'open'",
    )
    .execute(conn)
    .await?;
    Ok(discarded.rows_affected())
}

/// The runs that have open rows of a filter, the oldest first.
pub(crate) async fn open_runs(
    conn: &mut PgConnection,
    filter: &Filter,
    dataset: &str,
) -> Result<Vec<RunId>, LedgerError> {
    let after = " AND q.state = 'open' AND f.dataset = $7 ORDER BY q.run_id";
    let rows =
        statement("SELECT DISTINCT q.run_id", filter, after).bind(dataset).fetch_all(conn).await?;
    rows.iter().map(|row| Ok(RunId(row.try_get("run_id")?))).collect()
}

const SELECT_OPEN: &str = "
SELECT q.quarantine_id, q.split_id, q.row_number, q.byte_start, q.byte_end,
       f.dataset, f.name AS file, f.columns::text AS columns,
       s.fingerprint_bytes, s.fingerprint_hash, s.modified_unix_nanos";
const NEXT_OPEN: &str = "
  AND q.state = 'open' AND f.dataset = $7 AND (q.split_id, q.row_number) > ($8::bigint, $9::bigint)
ORDER BY q.split_id, q.row_number LIMIT $10";

/// Stands before the first of the [`open_rows`].
pub(crate) const BEFORE_ALL: (SplitId, u64) = (SplitId(0), 0);

/// The next open rows of a filter after a key, in the order of their files; nothing is locked.
pub(crate) async fn open_rows(
    conn: &mut PgConnection,
    filter: &Filter,
    dataset: &str,
    after: (SplitId, u64),
    limit: i64,
) -> Result<Vec<OpenRow>, LedgerError> {
    let (split_id, row_number) = after;
    let rows = statement(SELECT_OPEN, filter, NEXT_OPEN)
        .bind(dataset)
        .bind(split_id.0)
        .bind(to_bigint(row_number, "row number")?)
        .bind(limit)
        .fetch_all(conn)
        .await?;
    rows.iter().map(read_open_row).collect()
}

fn read_open_row(row: &PgRow) -> Result<OpenRow, LedgerError> {
    Ok(OpenRow {
        id: row.try_get("quarantine_id")?,
        split_id: SplitId(row.try_get("split_id")?),
        dataset: row.try_get("dataset")?,
        file: row.try_get("file")?,
        fingerprint: read_fingerprint(row)?,
        header: columns::read_names(row)?,
        place: Place {
            row_number: from_bigint(row, "row_number")?,
            byte_start: from_bigint(row, "byte_start")?,
            byte_end: from_bigint(row, "byte_end")?,
        },
    })
}

/// Locks rows until the transaction ends; an error unless all of them are still open.
pub(crate) async fn lock_open(conn: &mut PgConnection, ids: &[i64]) -> Result<(), LedgerError> {
    let open = count_open(conn, ids).await?;
    if open == ids.len() {
        Ok(())
    } else {
        Err(LedgerError::QuarantineMoved { rows: ids.len().saturating_sub(open) })
    }
}

/// How many of these rows are open; asked after a COMMIT whose answer was lost.
///
/// Waits for a commit that is still under way, so that the answer is final.
pub(crate) async fn count_open(conn: &mut PgConnection, ids: &[i64]) -> Result<usize, LedgerError> {
    let open = sqlx::query(
        "SELECT quarantine_id FROM ferry.quarantine
         WHERE quarantine_id = ANY($1) AND state = 'open'
         ORDER BY quarantine_id FOR UPDATE",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    Ok(open.len())
}

/// Marks rows as replayed; they are locked and open.
pub(crate) async fn replayed(conn: &mut PgConnection, ids: &[i64]) -> Result<(), LedgerError> {
    let updated = sqlx::query(
        "UPDATE ferry.quarantine SET state = 'replayed', settled_at = now()
         WHERE quarantine_id = ANY($1) AND state = 'open'",
    )
    .bind(ids)
    .execute(conn)
    .await?;
    expect_rows(updated.rows_affected(), ids.len())
}

const UPDATE_REASONS: &str = "
UPDATE ferry.quarantine AS q
SET stage = r.stage, code = r.code, column_name = r.column_name,
    reasons = r.reasons::jsonb, constraint_name = r.constraint_name, record = r.record::jsonb
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
         AS r (quarantine_id, stage, code, column_name, reasons, constraint_name, record)
WHERE q.quarantine_id = r.quarantine_id AND q.state = 'open'";

/// Writes why rows were refused this time; they are locked and stay open.
pub(crate) async fn still_refused(
    conn: &mut PgConnection,
    rows: &[(i64, QuarantinedRow)],
) -> Result<(), LedgerError> {
    let ids: Vec<i64> = rows.iter().map(|(id, _)| *id).collect();
    let columns = Columns::of(rows.iter().map(|(_, row)| row))?;
    let updated = sqlx::query(UPDATE_REASONS)
        .bind(ids)
        .bind(columns.stages)
        .bind(columns.codes)
        .bind(columns.column_names)
        .bind(columns.reasons)
        .bind(columns.constraints)
        .bind(columns.records)
        .execute(conn)
        .await?;
    expect_rows(updated.rows_affected(), rows.len())
}

const UPDATE_REASON: &str = "
UPDATE ferry.quarantine
SET stage = $2::text, code = $3::text, column_name = $4::text, constraint_name = $5::text,
    reasons = jsonb_build_array(jsonb_build_object('code', $3::text, 'column', $4::text))
WHERE quarantine_id = $1 AND state = 'open'";

/// Writes that a row passed every stage but this one; it is locked and stays open.
///
/// Its record stays as it is: of a row that passes, none is made.
pub(crate) async fn refused_after_all(
    conn: &mut PgConnection,
    id: i64,
    stage: &str,
    reason: &Reason,
    constraint: Option<&str>,
) -> Result<(), LedgerError> {
    let updated = sqlx::query(UPDATE_REASON)
        .bind(id)
        .bind(stage)
        .bind(reason.code.as_str())
        .bind(reason.column.as_deref())
        .bind(constraint)
        .execute(conn)
        .await?;
    expect_rows(updated.rows_affected(), 1)
}

/// Moves replayed rows of a split from the quarantined ones to the loaded and the filtered ones.
pub(crate) async fn move_accounts(
    conn: &mut PgConnection,
    split: SplitId,
    loaded: u64,
    filtered: u64,
) -> Result<(), LedgerError> {
    let updated = sqlx::query(
        "UPDATE ferry.split
         SET quarantined_rows = quarantined_rows - ($2::bigint + $3::bigint),
             loaded_rows = loaded_rows + $2::bigint,
             filtered_rows = filtered_rows + $3::bigint
         WHERE split_id = $1",
    )
    .bind(split.0)
    .bind(to_bigint(loaded, "number of rows")?)
    .bind(to_bigint(filtered, "number of rows")?)
    .execute(conn)
    .await?;
    expect_rows(updated.rows_affected(), 1)
}

fn expect_rows(updated: u64, expected: usize) -> Result<(), LedgerError> {
    if usize::try_from(updated) == Ok(expected) {
        Ok(())
    } else {
        Err(LedgerError::Invalid { what: "row of quarantine" })
    }
}
