//! Turns rows that were refused into rows of `ferry.quarantine`, where they wait for a decision.
//!
//! Invariant: written in the transaction that moves the split past them.

use sqlx::PgConnection;

use super::QuarantinedRow;
use super::columns::Columns;
use crate::ledger::{LedgerError, SplitId};

/// Rows in one statement.
const STATEMENT_ROWS_MAX: usize = 1000;

/// The split is locked as the foreign key of its rows would lock it, only
/// sooner: if another worker is about to delete it, this one waits, and then
/// finds nothing to refer to. A claim, or a commit, of the split is not held up.
const INSERT: &str = "
WITH split AS MATERIALIZED (
    SELECT run_id, file_id, split_id FROM ferry.split WHERE split_id = $1 FOR KEY SHARE
)
INSERT INTO ferry.quarantine
    (run_id, file_id, split_id, row_number, byte_start, byte_end, stage, code, column_name,
     reasons, constraint_name, record)
SELECT s.run_id, s.file_id, s.split_id, r.row_number, r.byte_start, r.byte_end, r.stage, r.code,
       r.column_name, r.reasons::jsonb, r.constraint_name, r.record::jsonb
FROM split AS s,
     unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[],
            $8::text[], $9::text[], $10::text[])
         AS r (row_number, byte_start, byte_end, stage, code, column_name, reasons,
               constraint_name, record)";

/// Adds rows of one split; an error if another worker has done away with it.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    split: SplitId,
    rows: &[QuarantinedRow],
) -> Result<(), LedgerError> {
    for rows in rows.chunks(STATEMENT_ROWS_MAX) {
        insert_chunk(conn, split, &Columns::of(rows.iter())?).await?;
    }
    Ok(())
}

async fn insert_chunk(
    conn: &mut PgConnection,
    split: SplitId,
    columns: &Columns,
) -> Result<(), LedgerError> {
    let inserted = sqlx::query(INSERT)
        .bind(split.0)
        .bind(&columns.row_numbers)
        .bind(&columns.byte_starts)
        .bind(&columns.byte_ends)
        .bind(&columns.stages)
        .bind(&columns.codes)
        .bind(&columns.column_names)
        .bind(&columns.reasons)
        .bind(&columns.constraints)
        .bind(&columns.records)
        .execute(conn)
        .await
        .map_err(|error| explain(error, split))?
        .rows_affected();
    if usize::try_from(inserted) == Ok(columns.row_numbers.len()) {
        Ok(())
    } else {
        // A split is deleted only if it is taken from its worker.
        Err(LedgerError::Fenced { split })
    }
}

/// That a row is there already means that another worker has gone on with the split.
fn explain(error: sqlx::Error, split: SplitId) -> LedgerError {
    let constraint = error.as_database_error().and_then(|error| error.constraint());
    match constraint {
        Some("quarantine_once_per_row") => LedgerError::Fenced { split },
        _ => error.into(),
    }
}
