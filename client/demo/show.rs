//! Turns what the demo's database holds into tables for a terminal.

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions as _, PgConnection, Row as _};

use super::cluster::Cluster;
use crate::database::StatementError;

/// Database that the demo loads into.
pub(super) const DATABASE: &str = "postgres";

const COUNT_CUSTOMERS: &str = "SELECT count(*) FROM public.customers";
const COUNT_QUARANTINE: &str = "SELECT count(*) FROM ferry.quarantine";

const CUSTOMERS: &str = "
SELECT customer_id::text, left(email::text, 14) || '…' AS email,
       left(phone::text, 14) || '…' AS phone, city, signup_date::text,
       total_day_minutes::text AS minutes, churn::text
FROM public.customers
ORDER BY customers.customer_id
LIMIT 5";

const QUARANTINE: &str = "
SELECT file.name AS file, row_number::text AS row, byte_start::text AS byte,
       coalesce(column_name, '(whole record)') AS column, code, stage
FROM ferry.quarantine
JOIN ferry.file USING (file_id)
ORDER BY file.name, quarantine.row_number";

const USERS: &str = "
SELECT uid::text, first_name, date_of_birth::text, left(email::text, 14) || '…' AS email,
       coalesce(left(social_insurance_number::text, 10) || '…', 'NULL') AS insurance, city,
       round(lat::numeric, 2)::text AS lat
FROM public.users JOIN public.users_address USING (uid)
ORDER BY users.id
LIMIT 5";

const MOVING_USER: &str = "SELECT uid::text FROM public.users ORDER BY id OFFSET 7 LIMIT 1";

/// Connects to the demo's database, whatever the environment says of others.
pub(super) async fn connect(cluster: &Cluster) -> Result<PgConnection, StatementError> {
    let options: PgConnectOptions = cluster.url(DATABASE).parse()?;
    Ok(options.ssl_mode(PgSslMode::Disable).connect().await?)
}

/// The first customers as they were loaded.
pub(super) async fn customers(conn: &mut PgConnection) -> Result<String, StatementError> {
    table(conn, CUSTOMERS).await
}

/// The records that were refused.
pub(super) async fn quarantine(conn: &mut PgConnection) -> Result<String, StatementError> {
    table(conn, QUARANTINE).await
}

/// The first people as they were loaded.
pub(super) async fn users(conn: &mut PgConnection) -> Result<String, StatementError> {
    table(conn, USERS).await
}

/// Key of the person who moves.
pub(super) async fn moving_user(conn: &mut PgConnection) -> Result<String, StatementError> {
    Ok(sqlx::query_scalar(MOVING_USER).fetch_one(conn).await?)
}

/// Rows in a table of the demo.
pub(super) async fn count(
    conn: &mut PgConnection,
    table: &'static str,
) -> Result<i64, StatementError> {
    let sql = format!("SELECT count(*) FROM {table}");
    Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(conn).await?)
}

/// Rows in the target table.
pub(super) async fn count_customers(conn: &mut PgConnection) -> Result<i64, StatementError> {
    Ok(sqlx::query_scalar(COUNT_CUSTOMERS).fetch_one(conn).await?)
}

/// Rows in quarantine.
pub(super) async fn count_quarantine(conn: &mut PgConnection) -> Result<i64, StatementError> {
    Ok(sqlx::query_scalar(COUNT_QUARANTINE).fetch_one(conn).await?)
}

/// The result of a query whose every column is text.
async fn table(conn: &mut PgConnection, sql: &'static str) -> Result<String, StatementError> {
    let rows = sqlx::query(sql).fetch_all(conn).await?;
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    if let Some(row) = rows.first() {
        table.set_header(row.columns().iter().map(sqlx::Column::name));
    }
    for row in &rows {
        let mut cells = Vec::with_capacity(row.len());
        for index in 0..row.len() {
            let text: Option<String> = row.try_get(index)?;
            cells.push(text.unwrap_or_else(|| "NULL".to_owned()));
        }
        table.add_row(cells);
    }
    Ok(table.to_string())
}
