//! How far an API is read: the greatest value of its incremental column that a job has loaded.
//!
//! Invariants: a run notes what its last plan reaches only if all of the plan is
//! its own to load and no other run has moved the watermark since, and that becomes the job's watermark in the transaction that
//! finishes the run; no text or log shows the value, which is one of a record.

use std::fmt;

use sqlx::PgConnection;

use crate::ledger::{LedgerError, RunId};

/// A value of an incremental column, as the source tells it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Watermark(String);

impl Watermark {
    pub(crate) fn new(value: String) -> Self {
        Self(value)
    }

    /// The value, for the source and the ledger.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Watermark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watermark(***)")
    }
}

/// How far the job has read a dataset; `None` if it is to be read from its beginning.
pub(crate) async fn find(
    conn: &mut PgConnection,
    job: &str,
    dataset: &str,
) -> Result<Option<Watermark>, LedgerError> {
    let value: Option<String> =
        sqlx::query_scalar("SELECT value FROM ferry.watermark WHERE job = $1 AND dataset = $2")
            .bind(job)
            .bind(dataset)
            .fetch_optional(conn)
            .await?;
    Ok(value.map(Watermark))
}

/// Notes what is reached once the run has loaded everything, in place of what was noted before.
///
/// `before` is what the job had when the source was asked. If another run has
/// come further since, that is not to be taken back: nothing is noted.
pub(crate) async fn note(
    conn: &mut PgConnection,
    run_id: RunId,
    before: Option<&Watermark>,
    reached: Option<&Watermark>,
) -> Result<(), LedgerError> {
    sqlx::query(
        "UPDATE ferry.run SET watermark = CASE
             WHEN $2::text IS NOT DISTINCT FROM
                  (SELECT value FROM ferry.watermark AS w
                   WHERE w.job = run.job AND w.dataset = run.dataset)
             THEN $3::text END
         WHERE run_id = $1",
    )
    .bind(run_id.0)
    .bind(before.map(Watermark::expose))
    .bind(reached.map(Watermark::expose))
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets how far the job has read a dataset, because it reads it from its
/// beginning: so does the next one, until all of that is loaded.
pub(crate) async fn forget(
    conn: &mut PgConnection,
    job: &str,
    dataset: &str,
) -> Result<(), LedgerError> {
    sqlx::query("DELETE FROM ferry.watermark WHERE job = $1 AND dataset = $2")
        .bind(job)
        .bind(dataset)
        .execute(conn)
        .await?;
    Ok(())
}

/// Makes what a run has reached the watermark of its job; the run is finished in the same transaction.
pub(super) async fn take_over(conn: &mut PgConnection, run_id: RunId) -> Result<(), LedgerError> {
    sqlx::query(
        "INSERT INTO ferry.watermark (job, dataset, value, run_id)
         SELECT job, dataset, watermark, run_id FROM ferry.run
         WHERE run_id = $1 AND watermark IS NOT NULL
         ON CONFLICT (job, dataset) DO UPDATE
         SET value = excluded.value, run_id = excluded.run_id, updated_at = clock_timestamp()",
    )
    .bind(run_id.0)
    .execute(conn)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_is_not_shown() {
        let watermark = Watermark::new("2024-01-31T10:00:00Z".to_owned());
        assert!(!format!("{watermark:?}").contains("2024"));
        assert_eq!(watermark.expose(), "2024-01-31T10:00:00Z");
    }
}
