//! Brings the destination into the state that a load needs: the ledger, the target tables.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::options::RunOptions;
use super::pages::refuse_part_of_api;
use super::stages::{Destination, stages};
use super::survey::{Survey, look_up_tables, replaces, survey};
use crate::columns::{self, TargetPlan, evolve};
use crate::error::{ClientError, RunLeft, UnreadableFiles};
use crate::job::{DriftPolicy, Job};
use crate::key::PseudonymKey;
use crate::ledger::runs::RunChoice;
use crate::ledger::{LedgerError, lock_job, migrate};
use crate::load::catalogue::TargetTable;
use crate::names::TableName;
use crate::pipeline::Stages;
use crate::receive::Source;

/// Name of the program in `pg_stat_activity`.
pub(crate) const APPLICATION_NAME: &str = "ferry-client";

/// A job made ready.
pub(super) struct Prepared {
    /// What there is to do.
    pub(super) survey: Survey,
    /// What each batch goes through.
    pub(super) stages: Stages,
}

/// Makes the ledger and the targets ready.
pub(super) async fn prepare(
    job: &Job,
    options: &RunOptions,
    source: &mut Source,
    connection: &mut PgConnection,
    key: Option<&PseudonymKey>,
) -> Result<Prepared, ClientError> {
    if migrate::exists(connection).await? {
        bring_up_to_date(connection).await?;
    }
    let mut survey = survey(job, options, source, connection, key).await?;
    refuse_rewritten(&survey, job)?;
    refuse_part_of_api(job, &survey.plan)?;
    refuse_part_of_rows(&survey, job)?;
    survey.drift.judge(job.load.drift)?;
    // What is wrong with a rule is found before a table is made.
    let mut made = stages(job, &survey.columns, survey.drift.misfit(job), Destination::Live)?;
    refuse_evolution_in_the_middle(&survey)?;
    bring_up_to_date(connection).await?;
    if fit_tables(job, &survey, connection).await? {
        // Another worker may have made them first, in its own way.
        let tables = look_up_tables(job, connection).await?;
        survey.columns = columns::plan(job, &survey.drift.columns, &tables, key)?;
        made = stages(job, &survey.columns, survey.drift.misfit(job), Destination::Live)?;
    }
    Ok(Prepared { survey, stages: made })
}

async fn bring_up_to_date(connection: &mut PgConnection) -> Result<(), ClientError> {
    if !migrate::is_current(connection).await? {
        let applied = migrate::migrate(connection).await?;
        tracing::info!(?applied, "ledger brought up to date");
    }
    Ok(())
}

/// A file whose loaded part changed has no position that could be continued.
pub(crate) fn refuse_rewritten(survey: &Survey, job: &Job) -> Result<(), ClientError> {
    let rewritten = survey.rewritten(job);
    if rewritten.is_empty() {
        return Ok(());
    }
    Err(ClientError::Rewritten { files: rewritten.join(", ") })
}

/// A table that is replaced holds what the source holds, or what it held before.
pub(crate) fn refuse_part_of_rows(survey: &Survey, job: &Job) -> Result<(), ClientError> {
    let problems = survey.plan.problems.clone();
    if problems.is_empty() || !replaces(job) {
        return Ok(());
    }
    let files = UnreadableFiles { problems, left: RunLeft::NotBegun, held_up: 0 };
    Err(ClientError::FilesUnreadable(files))
}

/// An unfinished run keeps to its columns: it must not find its tables changed.
fn refuse_evolution_in_the_middle(survey: &Survey) -> Result<(), ClientError> {
    match survey.unfinished.filter(|_| survey.choice != RunChoice::New) {
        Some(run) if !survey.evolution.is_empty() => {
            Err(LedgerError::ColumnsChanged { run }.into())
        }
        _ => Ok(()),
    }
}

/// Makes the tables that do not exist and fits the others to the source; says whether it did anything.
async fn fit_tables(
    job: &Job,
    survey: &Survey,
    connection: &mut PgConnection,
) -> Result<bool, ClientError> {
    let has_missing = survey.columns.targets.iter().any(|target| target.ddl.is_some());
    if !has_missing && survey.evolution.is_empty() {
        return Ok(false);
    }
    refuse_lost_rows(survey)?;
    let mut transaction = connection.begin().await?;
    lock_job(&mut transaction, &job.name).await?;
    // Who waits for an exclusive lock keeps all readers waiting behind it.
    sqlx::query("SET LOCAL lock_timeout = '3s'").execute(&mut *transaction).await?;
    // Under the lock: another worker may have done it meanwhile.
    let missing = Fitting::find(job, survey, &mut transaction).await?;
    for (_, statement) in &missing.made {
        execute(&mut transaction, statement).await?;
    }
    for statement in &missing.fitted {
        execute(&mut transaction, statement).await?;
    }
    transaction.commit().await?;
    missing.tell();
    Ok(true)
}

async fn execute(connection: &mut PgConnection, statement: &str) -> Result<(), ClientError> {
    // Every name in it was quoted where it was put together.
    sqlx::query(AssertSqlSafe(statement.to_owned())).execute(connection).await?;
    Ok(())
}

/// What is to be done still, as statements.
struct Fitting<'s> {
    /// Tables to make.
    made: Vec<(&'s TableName, &'s str)>,
    /// Changes of others.
    fitted: Vec<String>,
}

impl<'s> Fitting<'s> {
    async fn find(
        job: &Job,
        survey: &'s Survey,
        connection: &mut PgConnection,
    ) -> Result<Self, ClientError> {
        let tables = look_up_tables(job, connection).await?;
        let planned = survey.columns.targets.iter().zip(&tables);
        let is_missing = |(target, found): (&'s TargetPlan, &Option<TargetTable>)| {
            let ddl = target.ddl.as_deref().filter(|_| found.is_none())?;
            Some((&target.table, ddl))
        };
        let made = planned.filter_map(is_missing).collect();
        let fitted = match job.load.drift {
            DriftPolicy::Evolve => evolve(job, &survey.drift, tables)?.statements,
            _ => Vec::new(),
        };
        Ok(Self { made, fitted })
    }

    /// Says what was done.
    fn tell(&self) {
        for (table, _) in &self.made {
            tracing::info!(%table, "target table made");
        }
        for statement in &self.fitted {
            tracing::info!(statement, "table fitted to the source");
        }
    }
}

/// A new table would lack what was loaded into the one before it.
fn refuse_lost_rows(survey: &Survey) -> Result<(), ClientError> {
    let missing = survey.columns.targets.iter().filter(|target| target.ddl.is_some());
    let missing: Vec<String> = missing.map(|target| target.table.to_string()).collect();
    if missing.is_empty() || !survey.has_loaded {
        return Ok(());
    }
    Err(ClientError::TargetGone { table: missing.join(", ") })
}
