//! Brings the destination into the state that a load needs: the ledger, the target table.

use ferry::schema::Column;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::columns::{ColumnError, PlannedColumn, plan_columns};
use crate::error::ClientError;
use crate::job::Job;
use crate::ledger::{files, lock_job, migrate};
use crate::load::catalogue::TargetTable;
use crate::load::ddl;
use crate::names::TableName;
use crate::receive::Source;

/// Name of the program in `pg_stat_activity`.
pub(crate) const APPLICATION_NAME: &str = "ferry-client";

/// A table and what goes into its columns.
#[derive(Debug)]
pub(crate) struct TargetColumns {
    /// The table.
    pub(crate) table: TableName,
    /// Its columns that are loaded, in the order of the source.
    pub(crate) columns: Vec<PlannedColumn>,
    /// The statement that makes the table, if it does not exist.
    pub(crate) ddl: Option<String>,
}

/// Makes the ledger and the target ready.
pub(super) async fn prepare(
    job: &Job,
    source: &mut Source,
    connection: &mut PgConnection,
) -> Result<TargetColumns, ClientError> {
    let dataset_columns = source.dataset_columns(&job.source.dataset).await?;
    let planned = look_up_columns(job, &dataset_columns, connection).await?;
    if !migrate::is_current(connection).await? {
        let applied = migrate::migrate(connection).await?;
        tracing::info!(?applied, "ledger brought up to date");
    }
    let Some(ddl) = &planned.ddl else {
        return Ok(planned);
    };
    if !files::known(connection, &job.name, &job.source.dataset).await?.is_empty() {
        return Err(ClientError::TargetGone { table: job.target.table.to_string() });
    }
    create_table(job, ddl, connection).await?;
    // Another worker may have made it first, in its own way.
    look_up_columns(job, &dataset_columns, connection).await
}

/// Decides what goes into which column; changes nothing.
pub(crate) async fn look_up_columns(
    job: &Job,
    dataset_columns: &[Column],
    connection: &mut PgConnection,
) -> Result<TargetColumns, ClientError> {
    let found = TargetTable::lookup(connection, &job.target.table).await?;
    if found.is_none() && !job.target.create {
        return Err(ColumnError::NoTable(job.target.table.to_string()).into());
    }
    let columns = plan_columns(job, dataset_columns, found.as_ref())?;
    let (table, ddl) = match found {
        Some(found) => (found.name, None),
        None => (job.target.table.clone(), Some(ddl_of(&job.target.table, &columns))),
    };
    Ok(TargetColumns { table, columns, ddl })
}

fn ddl_of(table: &TableName, columns: &[PlannedColumn]) -> String {
    let with_type = |column: &PlannedColumn| {
        (column.target.name.clone(), column.target.column_type.to_string())
    };
    let columns: Vec<_> = columns.iter().map(with_type).collect();
    ddl::create_table(table, &columns)
}

async fn create_table(
    job: &Job,
    ddl: &str,
    connection: &mut PgConnection,
) -> Result<(), ClientError> {
    use sqlx::Connection as _;
    let mut transaction = connection.begin().await?;
    lock_job(&mut transaction, &job.name).await?;
    // Every name in it was quoted where it was put together.
    sqlx::query(AssertSqlSafe(ddl)).execute(&mut *transaction).await?;
    transaction.commit().await?;
    tracing::info!(table = %job.target.table, "target table made");
    Ok(())
}
