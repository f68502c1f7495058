//! What was deleted on the request of a person, and the refused rows that the ledger itself held of them.
//!
//! Invariant: written in the transaction that deletes the rows, and neither
//! the person's value nor a pseudonym of it is in what is written.

use sqlx::PgConnection;

use crate::ledger::{LedgerError, to_bigint};

/// One answered request, as the ledger keeps it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Erasure<'a> {
    /// Name of the job whose tables were searched.
    pub(crate) job: &'a str,
    /// Column of the source by which the person was found.
    pub(crate) column: &'a str,
    /// Keys whose pseudonyms were looked for; empty if one pseudonym was given.
    pub(crate) key_ids: &'a [String],
    /// Where the request is kept, in the operator's words.
    pub(crate) reference: Option<&'a str>,
    /// Rows deleted by table, as a JSON object.
    pub(crate) deleted: &'a str,
    /// Quarantined rows whose record was emptied.
    pub(crate) quarantined: u64,
}

/// Notes that a request was answered; returns the number of the note.
pub(crate) async fn record(
    conn: &mut PgConnection,
    erasure: &Erasure<'_>,
) -> Result<i64, LedgerError> {
    let erasure_id = sqlx::query_scalar(
        "INSERT INTO ferry.erasure (job, column_name, key_ids, reference, deleted, quarantined)
         VALUES ($1, $2, $3, $4, $5::jsonb, $6) RETURNING erasure_id",
    )
    .bind(erasure.job)
    .bind(erasure.column)
    .bind(erasure.key_ids)
    .bind(erasure.reference)
    .bind(erasure.deleted)
    .bind(to_bigint(erasure.quarantined, "number of quarantined rows")?)
    .fetch_one(conn)
    .await?;
    Ok(erasure_id)
}

const EMPTY_RECORDS: &str = "
UPDATE ferry.quarantine AS q
SET record = NULL,
    settled_at = CASE WHEN q.state = 'open' THEN now() ELSE q.settled_at END,
    state = CASE WHEN q.state = 'open' THEN 'discarded' ELSE q.state END
FROM ferry.run AS r
WHERE r.run_id = q.run_id AND r.job = $1
  AND EXISTS (SELECT FROM unnest($2::text[]) AS place (name)
              WHERE q.record ->> place.name = ANY ($3::text[]))";

/// Empties the quarantined records of a job in which one of the `pseudonyms`
/// stands under one of the `names`; returns how many there were.
///
/// Where and why such a row was refused stays: the accounts of its run need it.
pub(crate) async fn empty_records(
    conn: &mut PgConnection,
    job: &str,
    names: &[String],
    pseudonyms: &[String],
) -> Result<u64, LedgerError> {
    let emptied =
        sqlx::query(EMPTY_RECORDS).bind(job).bind(names).bind(pseudonyms).execute(conn).await?;
    Ok(emptied.rows_affected())
}
