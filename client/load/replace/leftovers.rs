//! Drops incoming tables, or leaves them for later: no run ends for one that somebody holds.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

use super::{ReplaceError, lock_wait};
use crate::database::StatementError;
use crate::ledger::RunId;
use crate::names::TableName;

/// Incoming tables of a job, but not those of the run `$2`.
const LIST_LEFTOVERS: &str = "
SELECT c.relname::text AS name, pg_get_userbyid(c.relowner) = current_user AS is_own
FROM pg_catalog.pg_class AS c
JOIN ferry.run AS r
  ON r.run_id = substring(c.relname FROM '^incoming_([0-9]{1,18})_[0-9]+$')::bigint
WHERE c.relnamespace = to_regnamespace('ferry') AND c.relkind = 'r'
  AND r.job = $1 AND r.run_id IS DISTINCT FROM $2
ORDER BY c.relname";

/// Drops an incoming table, if it is there; outside of a transaction.
///
/// One that another session holds, or a table that it refers to, is emptied if
/// that is possible, and left for the job's next run to drop: nobody shall
/// wait for it. The only error is a connection that is lost.
pub(crate) async fn drop_incoming(
    conn: &mut PgConnection,
    incoming: &TableName,
) -> Result<(), ReplaceError> {
    let table = incoming.to_sql();
    let Some(error) = try_at_once(conn, format!("DROP TABLE IF EXISTS {table}")).await? else {
        return Ok(());
    };
    match try_at_once(conn, format!("TRUNCATE TABLE {table}")).await? {
        None => tracing::warn!(
            table = %incoming, %error,
            "incoming table cannot be dropped now: emptied, and left for the next run"
        ),
        Some(error) => tracing::warn!(
            table = %incoming, %error,
            "incoming table can neither be dropped nor emptied now: left for the next run"
        ),
    }
    Ok(())
}

/// Drops incoming tables of this job's other runs; outside of a transaction.
///
/// What cannot be dropped is left, see [`drop_incoming`].
pub(crate) async fn drop_leftovers(
    conn: &mut PgConnection,
    job: &str,
    current: Option<RunId>,
) -> Result<(), ReplaceError> {
    let leftovers = sqlx::query(LIST_LEFTOVERS)
        .bind(job)
        .bind(current.map(|run_id| run_id.0))
        .fetch_all(&mut *conn)
        .await?;
    for leftover in leftovers {
        let name = leftover.try_get("name")?;
        let leftover_table = TableName { schema: Some("ferry".to_owned()), name };
        if leftover.try_get("is_own")? {
            drop_incoming(conn, &leftover_table).await?;
        } else {
            // To empty it could run triggers of its owner with our privileges.
            tracing::warn!(
                table = %leftover_table,
                "incoming table of another role is left: drop it with that role"
            );
        }
    }
    Ok(())
}

/// Carries a statement out unless somebody is in its way; says why it could not.
async fn try_at_once(
    conn: &mut PgConnection,
    sql: String,
) -> Result<Option<StatementError>, ReplaceError> {
    match at_once(conn, sql).await {
        Ok(()) => Ok(None),
        Err(error) if error.is_connection_lost() => Err(ReplaceError::Database(error)),
        Err(error) => Ok(Some(error)),
    }
}

async fn at_once(conn: &mut PgConnection, sql: String) -> Result<(), StatementError> {
    let mut tx = conn.begin().await?;
    lock_wait::set(&mut tx, lock_wait::SHORT).await?;
    sqlx::query(AssertSqlSafe(sql)).persistent(false).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}
