//! Brings the destination into the state that a load needs: the ledger, the target tables.

use ferry::schema::Column;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::stages::stages;
use crate::columns::{self, ColumnError, ColumnPlan};
use crate::error::ClientError;
use crate::job::Job;
use crate::key::PseudonymKey;
use crate::ledger::{files, lock_job, migrate};
use crate::load::catalogue::TargetTable;
use crate::pipeline::Stages;
use crate::receive::Source;

/// Name of the program in `pg_stat_activity`.
pub(crate) const APPLICATION_NAME: &str = "ferry-client";

/// What becomes of every column, and the stages that do it.
pub(super) struct Prepared {
    /// What goes into which column.
    pub(super) plan: ColumnPlan,
    /// What each batch goes through.
    pub(super) stages: Stages,
}

/// Makes the ledger and the targets ready.
pub(super) async fn prepare(
    job: &Job,
    source: &mut Source,
    connection: &mut PgConnection,
    key: Option<&PseudonymKey>,
) -> Result<Prepared, ClientError> {
    let dataset_columns = source.dataset_columns(&job.source.dataset).await?;
    let plan = look_up_columns(job, &dataset_columns, connection, key).await?;
    // What is wrong with a rule is found before a table is made.
    let made = stages(job, &plan)?;
    if !migrate::is_current(connection).await? {
        let applied = migrate::migrate(connection).await?;
        tracing::info!(?applied, "ledger brought up to date");
    }
    if plan.targets.iter().all(|target| target.ddl.is_none()) {
        return Ok(Prepared { plan, stages: made });
    }
    make_tables(job, &plan, connection).await?;
    // Another worker may have made them first, in its own way.
    let plan = look_up_columns(job, &dataset_columns, connection, key).await?;
    Ok(Prepared { stages: stages(job, &plan)?, plan })
}

/// Decides what goes into which column; changes nothing.
pub(crate) async fn look_up_columns(
    job: &Job,
    dataset_columns: &[Column],
    connection: &mut PgConnection,
    key: Option<&PseudonymKey>,
) -> Result<ColumnPlan, ClientError> {
    let mut tables = Vec::with_capacity(job.targets.len());
    for target in &job.targets {
        let found = TargetTable::lookup(connection, &target.table).await?;
        if found.is_none() && !target.create {
            return Err(ColumnError::NoTable(target.table.to_string()).into());
        }
        tables.push(found);
    }
    Ok(columns::plan(job, dataset_columns, &tables, key)?)
}

/// Makes the tables that do not exist, unless rows were loaded into them before.
async fn make_tables(
    job: &Job,
    plan: &ColumnPlan,
    connection: &mut PgConnection,
) -> Result<(), ClientError> {
    let missing = || plan.targets.iter().filter(|target| target.ddl.is_some());
    if !files::known(connection, &job.name, &job.source.dataset).await?.is_empty() {
        let tables: Vec<String> = missing().map(|target| target.table.to_string()).collect();
        return Err(ClientError::TargetGone { table: tables.join(", ") });
    }
    let mut transaction = connection.begin().await?;
    lock_job(&mut transaction, &job.name).await?;
    for target in missing() {
        // Every name in it was quoted where it was put together.
        let ddl = target.ddl.clone().unwrap_or_default();
        sqlx::query(AssertSqlSafe(ddl)).execute(&mut *transaction).await?;
        tracing::info!(table = %target.table, "target table made");
    }
    transaction.commit().await?;
    Ok(())
}
