//! Keys of pseudonyms by their identifiers: which runs used which, and which are retired.
//!
//! Invariant: the ledger never sees a key, and no run changes the key of its
//! job unless somebody retired the one before.

use sqlx::{PgConnection, Row as _};

use crate::ledger::{LedgerError, RunId};

/// What the ledger knows of a key that made pseudonyms, or will.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyState {
    /// When another key took its place, such as `2026-01-31 23:59:59 UTC`; `None` while it is in use.
    pub(crate) retired_at: Option<String>,
    /// Identifier of the key that took its place.
    pub(crate) successor: Option<String>,
}

/// Notes that a run, or a replay, makes pseudonyms with a key.
pub(crate) async fn remember(
    conn: &mut PgConnection,
    key_id: &str,
    run_id: Option<RunId>,
) -> Result<(), LedgerError> {
    sqlx::query(
        "INSERT INTO ferry.pii_key AS k (key_id, first_run) VALUES ($1, $2)
         ON CONFLICT (key_id) DO UPDATE
         SET first_run = coalesce(k.first_run, excluded.first_run),
             first_used_at = CASE WHEN k.first_run IS NULL THEN now() ELSE k.first_used_at END,
             last_used_at = now()",
    )
    .bind(key_id)
    .bind(run_id.map(|run_id| run_id.0))
    .execute(conn)
    .await?;
    Ok(())
}

/// Puts one key in the place of another, in the caller's transaction; may be repeated.
pub(crate) async fn retire(
    conn: &mut PgConnection,
    old: &str,
    new: &str,
) -> Result<(), LedgerError> {
    sqlx::query(
        "INSERT INTO ferry.pii_key (key_id, retired_at, successor) VALUES ($1, now(), $2)
         ON CONFLICT (key_id) DO UPDATE
         SET retired_at = excluded.retired_at, successor = excluded.successor",
    )
    .bind(old)
    .bind(new)
    .execute(&mut *conn)
    .await?;
    // A key that was retired earlier may come back.
    sqlx::query(
        "INSERT INTO ferry.pii_key (key_id) VALUES ($1)
         ON CONFLICT (key_id) DO UPDATE SET retired_at = NULL, successor = NULL",
    )
    .bind(new)
    .execute(conn)
    .await?;
    Ok(())
}

/// Identifiers of all keys that made pseudonyms of a job: those of its runs, and
/// those that took their place, because rows may have been replayed under them.
pub(crate) async fn of_job(conn: &mut PgConnection, job: &str) -> Result<Vec<String>, LedgerError> {
    let key_ids = sqlx::query_scalar(
        "WITH RECURSIVE used (key_id) AS (
             SELECT pii_key_id FROM ferry.treatment WHERE job = $1 AND pii_key_id IS NOT NULL
             UNION
             SELECT k.successor FROM used JOIN ferry.pii_key AS k USING (key_id)
             WHERE k.successor IS NOT NULL
         )
         SELECT key_id FROM used ORDER BY key_id",
    )
    .bind(job)
    .fetch_all(conn)
    .await?;
    Ok(key_ids)
}

/// The domain of a column, and those that earlier runs of the job hashed it in.
pub(crate) async fn domains_of(
    conn: &mut PgConnection,
    job: &str,
    column: &str,
    domain: &str,
) -> Result<Vec<String>, LedgerError> {
    let domains = sqlx::query_scalar(
        "SELECT $3 UNION
         SELECT c ->> 'pii' FROM ferry.treatment, jsonb_array_elements(columns) AS c
         WHERE job = $1 AND c ->> 'name' = $2
           AND c ->> 'pii' IS NOT NULL AND c ->> 'pii_mode' IS NULL",
    )
    .bind(job)
    .bind(column)
    .bind(domain)
    .fetch_all(conn)
    .await?;
    Ok(domains)
}

/// Names of the other jobs that made pseudonyms with a key.
pub(crate) async fn other_jobs(
    conn: &mut PgConnection,
    job: &str,
    key_id: &str,
) -> Result<Vec<String>, LedgerError> {
    let jobs = sqlx::query_scalar(
        "SELECT DISTINCT job FROM ferry.run WHERE pii_key_id = $2 AND job <> $1 ORDER BY job",
    )
    .bind(job)
    .bind(key_id)
    .fetch_all(conn)
    .await?;
    Ok(jobs)
}

/// What the ledger knows of a key; `None` if it never heard of it.
pub(crate) async fn state(
    conn: &mut PgConnection,
    key_id: &str,
) -> Result<Option<KeyState>, LedgerError> {
    let row = sqlx::query(
        "SELECT to_char(retired_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS \"UTC\"')
                    AS retired_at,
                successor
         FROM ferry.pii_key WHERE key_id = $1",
    )
    .bind(key_id)
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let (retired_at, successor) = (row.try_get("retired_at")?, row.try_get("successor")?);
    Ok(Some(KeyState { retired_at, successor }))
}

/// The key of the job's last run, if no rotation led from it to this one.
pub(crate) async fn changed_silently(
    conn: &mut PgConnection,
    job: &str,
    key_id: &str,
) -> Result<Option<String>, LedgerError> {
    let before = sqlx::query_scalar(
        "WITH RECURSIVE last (key_id) AS (
             SELECT pii_key_id FROM ferry.treatment WHERE job = $1 AND pii_key_id IS NOT NULL
             ORDER BY treated_at DESC LIMIT 1
         ), allowed (key_id) AS (
             SELECT key_id FROM last
             UNION
             SELECT k.successor FROM allowed JOIN ferry.pii_key AS k USING (key_id)
             WHERE k.successor IS NOT NULL
         )
         SELECT key_id FROM last WHERE NOT EXISTS (SELECT FROM allowed WHERE key_id = $2)",
    )
    .bind(job)
    .bind(key_id)
    .fetch_optional(conn)
    .await?;
    Ok(before)
}

/// Refuses a key that took the place of another without a word; for the opening of a run.
///
/// Pseudonyms of two keys do not join, so that nobody may come by a second key
/// through a mistake.
pub(crate) async fn refuse_silent_change(
    conn: &mut PgConnection,
    job: &str,
    key_id: &str,
) -> Result<(), LedgerError> {
    if let Some(before) = changed_silently(conn, job, key_id).await? {
        return Err(LedgerError::KeyChanged { before, now: key_id.to_owned() });
    }
    let state = state(conn, key_id).await?;
    if let Some(KeyState { retired_at: Some(retired_at), successor }) = state {
        tracing::warn!(
            key = key_id,
            retired_at,
            successor,
            "the key file holds a key that was retired: its pseudonyms do not join those of its successor"
        );
    }
    Ok(())
}

/// The job's last run that has something left to do.
pub(crate) async fn unfinished_run(
    conn: &mut PgConnection,
    job: &str,
) -> Result<Option<RunId>, LedgerError> {
    let run_id: Option<i64> = sqlx::query_scalar(
        "SELECT r.run_id FROM ferry.run AS r
         WHERE r.job = $1
           AND (r.state = 'running'
                OR r.state <> 'finished'
                   AND EXISTS (SELECT FROM ferry.split AS s
                               WHERE s.run_id = r.run_id AND NOT s.done))
         ORDER BY r.run_id DESC LIMIT 1",
    )
    .bind(job)
    .fetch_optional(conn)
    .await?;
    Ok(run_id.map(RunId))
}
