//! What runs and replays of a job did to each column, and under which key: later ones keep to it.

use sqlx::{PgConnection, Row as _};

use super::FERRY_VERSION;
use crate::ledger::{LedgerError, RunId, keys, lock_job};

/// Refuses a job that would load as it is what an earlier run pseudonymised, or
/// that makes its pseudonyms with another key than before.
pub(crate) async fn refuse_unsafe_change(
    conn: &mut PgConnection,
    job: &str,
    columns: &str,
    pii_key_id: Option<&str>,
) -> Result<(), LedgerError> {
    let unhashed = sqlx::query(
        "SELECT before ->> 'name' AS column_name,
                (SELECT max(run_id) FROM ferry.run WHERE job = $1) AS last_run
         FROM ferry.treatment AS earlier, jsonb_array_elements(earlier.columns) AS before
         JOIN jsonb_array_elements($2::jsonb) AS now ON now ->> 'name' = before ->> 'name'
         WHERE earlier.job = $1 AND before ->> 'pii' IS NOT NULL AND now ->> 'pii' IS NULL
         LIMIT 1",
    )
    .bind(job)
    .bind(columns)
    .fetch_optional(&mut *conn)
    .await?;
    if let Some(row) = unhashed {
        let run = RunId(row.try_get("last_run")?);
        return Err(LedgerError::NoLongerHashed { run, column: row.try_get("column_name")? });
    }
    match pii_key_id {
        Some(key_id) => keys::refuse_silent_change(conn, job, key_id).await,
        None => Ok(()),
    }
}

/// Notes, in the transaction that loads rows again, what becomes of each column
/// and under which key, so that later runs keep to it.
pub(crate) async fn note_replay(
    conn: &mut PgConnection,
    job: &str,
    columns: &str,
    pii_key_id: Option<&str>,
) -> Result<(), LedgerError> {
    lock_job(conn, job).await?;
    refuse_unsafe_change(conn, job, columns, pii_key_id).await?;
    sqlx::query(
        "INSERT INTO ferry.replay (job, columns, pii_key_id, ferry_version)
         SELECT $1, $2::jsonb, $3, $4
         WHERE NOT EXISTS (SELECT FROM ferry.replay AS r
                           WHERE r.job = $1 AND r.columns = $2::jsonb
                             AND r.pii_key_id IS NOT DISTINCT FROM $3)",
    )
    .bind(job)
    .bind(columns)
    .bind(pii_key_id)
    .bind(FERRY_VERSION)
    .execute(&mut *conn)
    .await?;
    match pii_key_id {
        Some(key_id) => keys::remember(conn, key_id, None).await,
        None => Ok(()),
    }
}

/// What the last run of a job did to each column, as a JSON array; none without a run.
pub(crate) async fn last_columns(
    conn: &mut PgConnection,
    job: &str,
) -> Result<Option<String>, LedgerError> {
    let columns = sqlx::query_scalar(
        "SELECT columns::text FROM ferry.run WHERE job = $1 ORDER BY run_id DESC LIMIT 1",
    )
    .bind(job)
    .fetch_optional(conn)
    .await?;
    Ok(columns)
}

/// The key that a run made its pseudonyms with.
pub(crate) async fn key_of(
    conn: &mut PgConnection,
    run_id: RunId,
) -> Result<Option<String>, LedgerError> {
    let key_id = sqlx::query_scalar("SELECT pii_key_id FROM ferry.run WHERE run_id = $1")
        .bind(run_id.0)
        .fetch_one(conn)
        .await?;
    Ok(key_id)
}
