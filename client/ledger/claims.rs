//! Values that rows of a run claim for a `unique` check: what was committed is known after a restart.
//!
//! Invariant: written in the transaction that loads the rows which hold the
//! values. Stored are keyed digests with the numbers of their rows, end to end,
//! and never a value.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use crate::ledger::{LedgerError, RunId, SplitId};

/// First half of the advisory locks of runs with a `unique` check; "feru" in ASCII.
const LOCK_CLASS: i32 = 0x6665_7275;
/// Length of an entry in bytes: a digest of 16, and the number of a row in 8.
pub(crate) const ENTRY_BYTES: usize = 24;
/// Entries in one row of the table, so that a page of rows fits into memory.
const ROW_ENTRIES_MAX: usize = 16 * 1024;
/// Rows that are read at a time.
const PAGE_ROWS: i64 = 64;

/// Locked as the foreign key would lock it, only sooner: a split that another
/// worker is about to delete is waited for, and then not there.
const INSERT: &str = "
WITH split AS MATERIALIZED (
    SELECT run_id, split_id FROM ferry.split WHERE split_id = $1 FOR KEY SHARE
)
INSERT INTO ferry.claim (run_id, split_id, column_name, entries)
SELECT run_id, split_id, $2::text, $3::bytea FROM split";

/// Adds what rows of one split claim: names of columns with entries; an error
/// if another worker has done away with the split.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    split: SplitId,
    claims: &[(String, Vec<u8>)],
) -> Result<(), LedgerError> {
    for (column, entries) in claims {
        for entries in entries.chunks(ROW_ENTRIES_MAX * ENTRY_BYTES) {
            let inserted = sqlx::query(INSERT)
                .bind(split.0)
                .bind(column)
                .bind(entries)
                .execute(&mut *conn)
                .await?
                .rows_affected();
            if inserted != 1 {
                return Err(LedgerError::Fenced { split });
            }
        }
    }
    Ok(())
}

const PAGE: &str = "
SELECT claim_id, split_id, column_name, entries FROM ferry.claim
WHERE run_id = $1 AND claim_id > $2
ORDER BY claim_id LIMIT $3";

/// Hands everything that a run has claimed to `take`: a column, a split, and the
/// entries of its rows, end to end, in pieces.
pub(crate) async fn for_each_of_run<E, F>(
    conn: &mut PgConnection,
    run_id: RunId,
    mut take: impl FnMut(&str, SplitId, &[u8]) -> Result<(), F>,
) -> Result<(), E>
where
    E: From<LedgerError> + From<F>,
{
    let mut after: i64 = 0;
    loop {
        let rows = page(conn, run_id, after).await?;
        for row in &rows {
            let (claim_id, column, split, entries) = read(row)?;
            take(column, split, entries)?;
            after = claim_id;
        }
        if rows.is_empty() {
            return Ok(());
        }
    }
}

async fn page(
    conn: &mut PgConnection,
    run_id: RunId,
    after: i64,
) -> Result<Vec<PgRow>, LedgerError> {
    let rows = sqlx::query(PAGE).bind(run_id.0).bind(after).bind(PAGE_ROWS).fetch_all(conn).await?;
    Ok(rows)
}

fn read(row: &PgRow) -> Result<(i64, &str, SplitId, &[u8]), LedgerError> {
    let entries: &[u8] = row.try_get("entries")?;
    if !entries.len().is_multiple_of(ENTRY_BYTES) {
        return Err(LedgerError::Invalid { what: "entries of a claim" });
    }
    let split = SplitId(row.try_get("split_id")?);
    Ok((row.try_get("claim_id")?, row.try_get("column_name")?, split, entries))
}

const PAGE_OF_COLUMN: &str = "
SELECT c.claim_id, c.entries FROM ferry.claim AS c JOIN ferry.run AS r USING (run_id)
WHERE r.job = $1 AND c.column_name = $2 AND c.claim_id > $3
ORDER BY c.claim_id LIMIT $4 FOR UPDATE OF c";

/// Removes values from what runs of a job have claimed in a column, by their digests.
pub(crate) async fn remove(
    conn: &mut PgConnection,
    job: &str,
    column: &str,
    digests: &[&[u8]],
) -> Result<(), LedgerError> {
    let mut after: i64 = 0;
    loop {
        let query = sqlx::query(PAGE_OF_COLUMN).bind(job).bind(column);
        let rows = query.bind(after).bind(PAGE_ROWS).fetch_all(&mut *conn).await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in &rows {
            after = row.try_get("claim_id")?;
            let entries: &[u8] = row.try_get("entries")?;
            let left = without(entries, digests);
            if left.len() < entries.len() {
                let update = "UPDATE ferry.claim SET entries = $2 WHERE claim_id = $1";
                sqlx::query(update).bind(after).bind(left).execute(&mut *conn).await?;
            }
        }
    }
}

/// The entries but for those of some digests.
fn without(entries: &[u8], digests: &[&[u8]]) -> Vec<u8> {
    let mut left = Vec::with_capacity(entries.len());
    for entry in entries.chunks(ENTRY_BYTES) {
        if !digests.iter().any(|digest| entry.starts_with(digest)) {
            left.extend_from_slice(entry);
        }
    }
    left
}

/// Takes a run for this session alone; false if another session has it.
///
/// A worker must see every claim before it checks a row, so a run with a
/// `unique` check is loaded by one worker at a time. PostgreSQL frees the run
/// when the session ends, however it ends.
pub(crate) async fn try_hold(conn: &mut PgConnection, run_id: RunId) -> Result<bool, LedgerError> {
    let is_held =
        sqlx::query_scalar("SELECT pg_try_advisory_lock($1, ($2::bigint & 2147483647)::integer)")
            .bind(LOCK_CLASS)
            .bind(run_id.0)
            .fetch_one(conn)
            .await?;
    Ok(is_held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_removed_and_the_others_stay() {
        let entries = [[1; ENTRY_BYTES], [2; ENTRY_BYTES], [1; ENTRY_BYTES]].concat();
        assert_eq!(without(&entries, &[&[1; 16]]), [2; ENTRY_BYTES]);
        assert_eq!(without(&entries, &[&[3; 16]]), entries);
    }
}
