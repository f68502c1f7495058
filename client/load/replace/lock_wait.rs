//! Sets how long a transaction waits for a lock that others would wait behind.
//!
//! To make or drop a table that refers to others, PostgreSQL locks those too,
//! and whoever wants them after us is held up for as long as we wait.

use sqlx::PgConnection;

/// For locks on tables that others use.
pub(super) const SHORT: &str = "1s";

/// SQLSTATE of a lock that could not be had in that time.
pub(super) const IN_VAIN: &str = "55P03";

/// Sets the time for the rest of the transaction; returns what it was.
pub(super) async fn set(conn: &mut PgConnection, time: &str) -> Result<String, sqlx::Error> {
    let before: String =
        sqlx::query_scalar("SELECT current_setting('lock_timeout')").fetch_one(&mut *conn).await?;
    sqlx::query("SELECT set_config('lock_timeout', $1, true)").bind(time).execute(conn).await?;
    Ok(before)
}
