//! What became of every row: sums over the splits of a run, and counts of its quarantine.

use sqlx::{PgConnection, Row as _};

use crate::ledger::{LedgerError, RunId, from_bigint};

/// What a run did with one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileAccount {
    /// Name of the file.
    pub(crate) file: String,
    /// Records in its splits, as the source counted them when it planned.
    pub(crate) rows_in_source: u64,
    /// Records that were dealt with.
    pub(crate) read: u64,
    /// Rows in the target.
    pub(crate) loaded: u64,
    /// Rows in quarantine.
    pub(crate) quarantined: u64,
    /// Rows that the job left out.
    pub(crate) filtered: u64,
    /// Bytes that were dealt with.
    pub(crate) bytes_done: u64,
    /// Bytes in its splits.
    pub(crate) bytes_total: u64,
    /// Splits that are done.
    pub(crate) splits_done: u64,
    /// Splits in all.
    pub(crate) splits_total: u64,
}

/// How often one reason put a row in quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RejectCount {
    /// First reason of the rows.
    pub(crate) code: String,
    /// Column that it concerns; `None` for the whole record.
    pub(crate) column: Option<String>,
    /// Number of rows.
    pub(crate) count: u64,
}

const ACCOUNTS: &str = "
SELECT f.name AS file,
       sum(s.end_row - s.start_row)::bigint AS rows_in_source,
       sum(s.next_row - s.start_row)::bigint AS read,
       sum(s.loaded_rows)::bigint AS loaded,
       sum(s.quarantined_rows)::bigint AS quarantined,
       sum(s.filtered_rows)::bigint AS filtered,
       sum(s.next_byte - s.start_byte)::bigint AS bytes_done,
       sum(s.end_byte - s.start_byte)::bigint AS bytes_total,
       count(*) FILTER (WHERE s.done) AS splits_done,
       count(*) AS splits_total
FROM ferry.split AS s
JOIN ferry.file AS f USING (file_id)
WHERE s.run_id = $1
GROUP BY f.file_id
ORDER BY f.name, f.file_id";

/// The accounts of a run, one entry a file, ordered by name.
///
/// A file that the run has given up and loaded from its start again has two.
pub(crate) async fn accounts(
    conn: &mut PgConnection,
    run_id: RunId,
) -> Result<Vec<FileAccount>, LedgerError> {
    let rows = sqlx::query(ACCOUNTS).bind(run_id.0).fetch_all(conn).await?;
    let mut accounts = Vec::with_capacity(rows.len());
    for row in &rows {
        accounts.push(FileAccount {
            file: row.try_get("file")?,
            rows_in_source: from_bigint(row, "rows_in_source")?,
            read: from_bigint(row, "read")?,
            loaded: from_bigint(row, "loaded")?,
            quarantined: from_bigint(row, "quarantined")?,
            filtered: from_bigint(row, "filtered")?,
            bytes_done: from_bigint(row, "bytes_done")?,
            bytes_total: from_bigint(row, "bytes_total")?,
            splits_done: from_bigint(row, "splits_done")?,
            splits_total: from_bigint(row, "splits_total")?,
        });
    }
    Ok(accounts)
}

/// A file of which a run has loaded something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BegunFile {
    /// Name of the file.
    pub(crate) name: String,
    /// Its last change when what is loaded of it was planned, in nanoseconds since 1970.
    pub(crate) modified_unix_nanos: i64,
}

/// The files of which a run has loaded something.
pub(crate) async fn begun(
    conn: &mut PgConnection,
    run_id: RunId,
) -> Result<Vec<BegunFile>, LedgerError> {
    let rows = sqlx::query(
        "SELECT f.name, max(s.modified_unix_nanos) AS modified_unix_nanos
         FROM ferry.split AS s JOIN ferry.file AS f USING (file_id)
         WHERE s.run_id = $1 AND s.next_byte > s.start_byte GROUP BY f.name",
    )
    .bind(run_id.0)
    .fetch_all(conn)
    .await?;
    let mut files = Vec::with_capacity(rows.len());
    for row in &rows {
        files.push(BegunFile {
            name: row.try_get("name")?,
            modified_unix_nanos: row.try_get("modified_unix_nanos")?,
        });
    }
    Ok(files)
}

/// Why rows of a run are in quarantine, the most frequent reason first.
///
/// The counts are of rows: their sum is the `quarantined` of the accounts, to
/// which a row that was replayed no longer belongs.
pub(crate) async fn reject_counts(
    conn: &mut PgConnection,
    run_id: RunId,
) -> Result<Vec<RejectCount>, LedgerError> {
    let rows = sqlx::query(
        "SELECT code, column_name, count(*) AS row_count
         FROM ferry.quarantine WHERE run_id = $1 AND state <> 'replayed'
         GROUP BY code, column_name ORDER BY row_count DESC, code, column_name",
    )
    .bind(run_id.0)
    .fetch_all(conn)
    .await?;
    let mut counts = Vec::with_capacity(rows.len());
    for row in &rows {
        counts.push(RejectCount {
            code: row.try_get("code")?,
            column: row.try_get("column_name")?,
            count: from_bigint(row, "row_count")?,
        });
    }
    Ok(counts)
}

/// For each table of a run's job in its order, how many rows were inserted or updated.
///
/// Of a table that was replaced, those count that the replacement changed.
/// Replays are not of the run, and add nothing.
pub(crate) async fn written(
    conn: &mut PgConnection,
    run_id: RunId,
) -> Result<Vec<u64>, LedgerError> {
    let rows = sqlx::query(
        "SELECT coalesce(r.replaced[w.table_number], sum(w.row_count))::bigint AS row_count
         FROM ferry.run AS r
         JOIN ferry.split AS s USING (run_id)
         JOIN ferry.commit AS c USING (split_id)
         CROSS JOIN unnest(c.written) WITH ORDINALITY AS w (row_count, table_number)
         WHERE r.run_id = $1
         GROUP BY r.replaced, w.table_number ORDER BY w.table_number",
    )
    .bind(run_id.0)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| from_bigint(row, "row_count")).collect()
}
