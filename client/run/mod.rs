//! Runs one job once: plan, claim splits, load them, close the accounts.
//!
//! All memory of a run is in the ledger: whatever stops it, the next one
//! continues there.

mod accounts;
mod prepare;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ferry::host::shutdown::Shutdown;
use ferry::schema::ColumnType;
use ferry::wire::generated::FileState;
use sqlx::{Connection as _, PgConnection};

use crate::check::Checks;
use crate::columns::{self, PlannedColumn};
use crate::database;
use crate::error::ClientError;
use crate::job::{Job, JobError, SourceSettings};
use crate::ledger::runs::{self, RunFacts, RunState};
use crate::ledger::splits::{self, ClaimedSplit, register};
use crate::ledger::workers::{self, WorkerId};
use crate::ledger::{RunId, files};
use crate::load::commit::{CommitLimits, Committed};
use crate::load::copy::CopyEncoder;
use crate::names::{TableName, quote_ident};
use crate::output::Style;
use crate::pipeline::{SplitLoad, Stages};
use crate::pseudonym::{PseudonymKey, Pseudonymiser, Treatment};
use crate::receive::{self, Plan, PlannedFile, Source};
use crate::report::{Display, Progress, RunReport};

use accounts::RejectGuard;
pub(crate) use prepare::{APPLICATION_NAME, TargetColumns, look_up_columns};

/// How long a split stays with a worker that does not commit.
const LEASE_SECONDS: i32 = 60;
/// How often a worker looks for a split that another one gave up.
const CLAIM_INTERVAL: Duration = Duration::from_millis(200);

/// Runs a job and prints what it did.
pub(crate) async fn run_and_report(
    job: &Job,
    display: Display,
    style: Style,
    shutdown: Shutdown,
) -> Result<(), ClientError> {
    let began = Instant::now();
    let mut report = RunReport::new(&job.name);
    let outcome = run(job, display, shutdown, &mut report).await;
    report.seconds = began.elapsed().as_secs_f64();
    report.finish(outcome.as_ref().err(), style);
    outcome
}

/// Runs a job, and tells the ledger how it ended.
async fn run(
    job: &Job,
    display: Display,
    shutdown: Shutdown,
    report: &mut RunReport,
) -> Result<(), ClientError> {
    let key = job.pii_key_file.as_deref().map(PseudonymKey::read).transpose()?;
    let mut stop = shutdown.clone();
    let opened = Attempt::open(job, key.as_ref(), shutdown);
    let (mut attempt, columns) = unless_stopped(&mut stop, opened).await?;
    let run_id = attempt.run_id;
    report.run_id = Some(run_id.0);
    let outcome = attempt.load(&columns, key.as_ref(), display, report).await;
    let Attempt { connection, .. } = attempt;
    settle(job, run_id, connection, outcome, report).await
}

/// Does something, unless a stop is requested before it is done.
pub(crate) async fn unless_stopped<T>(
    shutdown: &mut Shutdown,
    work: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    tokio::select! {
        biased;
        () = shutdown.requested() => Err(ClientError::Interrupted),
        done = work => done,
    }
}

/// Writes to the ledger and to the report how a run ended.
async fn settle(
    job: &Job,
    run_id: RunId,
    mut connection: PgConnection,
    outcome: Result<(), ClientError>,
    report: &mut RunReport,
) -> Result<(), ClientError> {
    if outcome.is_err() {
        // After an error the connection may be out of step, or in a transaction.
        let _ = connection.close_hard().await;
        connection = match database::connect(&job.database_url, APPLICATION_NAME).await {
            Ok(connection) => connection,
            // The first error says more than this one.
            Err(_) => return outcome,
        };
    }
    let recorded = record(run_id, &mut connection, outcome.as_ref().err(), report).await;
    if let (Err(error), Err(_)) = (&recorded, &outcome) {
        tracing::warn!(%error, "the ledger does not know how the run ended");
    }
    let _ = connection.close().await;
    outcome.and(recorded)
}

async fn record(
    run_id: RunId,
    connection: &mut PgConnection,
    error: Option<&ClientError>,
    report: &mut RunReport,
) -> Result<(), ClientError> {
    let accounts = accounts::fill(run_id, connection, report).await?;
    let unaccounted = if error.is_none() { accounts::refuse_open(&accounts).err() } else { None };
    let text;
    let (state, reason) = match error.or(unaccounted.as_ref()) {
        None => (RunState::Finished, None),
        Some(ClientError::Interrupted) => (RunState::Stopped, None),
        Some(error) => {
            text = error.to_string();
            (RunState::Failed, Some((error.code(), text.as_str())))
        }
    };
    runs::close(connection, run_id, state, reason).await?;
    unaccounted.map_or(Ok(()), Err)
}

/// Opens a run, or the one that was interrupted.
async fn open_run(
    job: &Job,
    columns: &[PlannedColumn],
    key: Option<&PseudonymKey>,
    connection: &mut PgConnection,
) -> Result<RunId, ClientError> {
    let key_id = key.map(PseudonymKey::id);
    let facts = RunFacts {
        job: &job.name,
        source_url: &job.source.url,
        dataset: &job.source.dataset,
        target: &job.target.table.to_string(),
        columns: &columns::to_json(columns),
        pii_key_id: key_id.as_deref(),
    };
    let opened = runs::open(connection, &facts).await?;
    if let Some(key_id) = &key_id {
        runs::remember_key(connection, key_id, opened.run_id).await?;
    }
    tracing::info!(run = %opened.run_id, resumed = opened.is_resumed, "run opened");
    Ok(opened.run_id)
}

/// One process's share of a run.
struct Attempt<'a> {
    job: &'a Job,
    run_id: RunId,
    worker: WorkerId,
    source: Source,
    connection: PgConnection,
    shutdown: Shutdown,
}

impl<'a> Attempt<'a> {
    /// Connects both ends, makes ledger and target ready, and opens the run.
    async fn open(
        job: &'a Job,
        key: Option<&PseudonymKey>,
        shutdown: Shutdown,
    ) -> Result<(Self, TargetColumns), ClientError> {
        let mut connection = database::connect(&job.database_url, APPLICATION_NAME).await?;
        let mut source = receive::connect(&job.source).await?;
        let columns = prepare::prepare(job, &mut source, &mut connection).await?;
        let worker = WorkerId::random()?;
        workers::hold(&mut connection, worker).await?;
        let run_id = open_run(job, &columns.columns, key, &mut connection).await?;
        Ok((Self { job, run_id, worker, source, connection, shutdown }, columns))
    }

    async fn load(
        &mut self,
        columns: &TargetColumns,
        key: Option<&PseudonymKey>,
        display: Display,
        report: &mut RunReport,
    ) -> Result<(), ClientError> {
        let plan = self.plan(&columns.columns).await?;
        report.take_plan(&plan);
        let totals = accounts::totals(self.run_id, &mut self.connection).await?;
        let progress = Progress::new(display, totals.bytes_left());
        let guard = RejectGuard::new(self.job.load.max_rejects, totals.rows);
        let loaded = self.load_splits(columns, key, &progress, guard).await;
        progress.finish();
        report.bytes = progress.bytes_done();
        loaded
    }

    /// Asks the source what is new, and writes it to the ledger.
    async fn plan(&mut self, columns: &[PlannedColumn]) -> Result<Plan, ClientError> {
        let Job { name, source: SourceSettings { dataset, .. }, load, .. } = self.job;
        let known = files::known(&mut self.connection, name, dataset).await?;
        let wanted: Vec<_> = columns.iter().map(|column| column.source.clone()).collect();
        let planning = self.source.plan(dataset, &wanted, load.split_bytes, &known);
        let planning = async { Ok(planning.await?) };
        let plan = unless_stopped(&mut self.shutdown, planning).await?;
        refuse_rewritten(&plan.files)?;
        for file in plan.files.iter().filter(|file| file.unfinished_bytes > 0) {
            tracing::warn!(
                file = file.name,
                bytes = file.unfinished_bytes,
                "the last record has no end yet and the file changed a moment ago: it is left for the next run"
            );
        }
        let seen: Vec<_> =
            plan.files.iter().map(|file| (file.name.clone(), file.fingerprint.clone())).collect();
        register(&mut self.connection, self.run_id, name, dataset, &seen, &plan.splits).await?;
        Ok(plan)
    }

    async fn load_splits(
        &mut self,
        columns: &TargetColumns,
        key: Option<&PseudonymKey>,
        progress: &Progress,
        mut guard: RejectGuard,
    ) -> Result<(), ClientError> {
        let stages = Arc::new(stages(&columns.columns, key)?);
        let copy_statement = copy_statement(&columns.table, &columns.columns);
        // What earlier attempts refused counts too.
        guard.take(0, 0)?;
        let mut is_waiting = false;
        loop {
            if self.shutdown.is_requested() {
                return Err(ClientError::Interrupted);
            }
            let claimed =
                splits::claim(&mut self.connection, self.run_id, self.worker, LEASE_SECONDS)
                    .await?;
            if let Some(claim) = claimed {
                self.load_split(&claim, &stages, &copy_statement, progress, &mut guard).await?;
            } else if splits::undone(&mut self.connection, self.run_id).await? == 0 {
                return guard.check_at_end();
            } else {
                if !std::mem::replace(&mut is_waiting, true) {
                    tracing::info!("waiting for splits that another worker holds");
                }
                tokio::time::sleep(CLAIM_INTERVAL).await;
            }
        }
    }

    async fn load_split(
        &mut self,
        claim: &ClaimedSplit,
        stages: &Arc<Stages>,
        copy_statement: &str,
        progress: &Progress,
        guard: &mut RejectGuard,
    ) -> Result<(), ClientError> {
        tracing::debug!(split = %claim.split_id, epoch = %claim.epoch, "split claimed");
        let mut position = claim.next;
        let on_commit = |committed: &Committed| {
            let rows = committed.end.row_number - position.row_number;
            progress.advance(rows, committed.end.byte_offset - position.byte_offset);
            position = committed.end;
            guard.take(rows, committed.counts.quarantined)
        };
        let load = SplitLoad {
            source: &mut self.source,
            connection: &mut self.connection,
            claim,
            stages,
            copy_statement,
            limits: CommitLimits {
                bytes: self.job.load.commit_bytes,
                interval: self.job.load.commit_interval,
                lease_seconds: LEASE_SECONDS,
            },
            shutdown: &mut self.shutdown,
        };
        load.run(on_commit).await
    }
}

/// A file whose loaded part changed has no position that could be continued.
pub(crate) fn refuse_rewritten(files: &[PlannedFile]) -> Result<(), ClientError> {
    let is_rewritten = |file: &&PlannedFile| file.state == FileState::Rewritten;
    let rewritten: Vec<&str> =
        files.iter().filter(is_rewritten).map(|file| file.name.as_str()).collect();
    if rewritten.is_empty() {
        return Ok(());
    }
    Err(ClientError::Rewritten { files: rewritten.join(", ") })
}

/// What each batch goes through.
fn stages(columns: &[PlannedColumn], key: Option<&PseudonymKey>) -> Result<Stages, ClientError> {
    let sources: Vec<_> = columns.iter().map(|column| column.source.clone()).collect();
    let targets: Vec<_> = columns.iter().map(|column| column.target.clone()).collect();
    let treatments = columns.iter().map(|column| treatment(column, key));
    let treatments = treatments.collect::<Result<Vec<_>, _>>()?;
    let is_required =
        |(index, column): (usize, &PlannedColumn)| column.is_required.then_some(index);
    let required = columns.iter().enumerate().filter_map(is_required).collect();
    Ok(Stages {
        checks: Checks { required },
        pseudonymiser: Pseudonymiser::new(&sources, treatments),
        encoder: CopyEncoder::new(targets),
        source_columns: sources,
    })
}

fn treatment(column: &PlannedColumn, key: Option<&PseudonymKey>) -> Result<Treatment, ClientError> {
    let Some(domain) = &column.pii_domain else {
        return Ok(Treatment::Keep);
    };
    let key = key.ok_or(JobError::NO_KEY)?;
    Ok(match column.target.column_type {
        ColumnType::Bytea => Treatment::HashToBytes(key.domain(domain)),
        _ => Treatment::HashToHex(key.domain(domain)),
    })
}

fn copy_statement(table: &TableName, columns: &[PlannedColumn]) -> String {
    let names: Vec<String> =
        columns.iter().map(|column| quote_ident(&column.target.name)).collect();
    format!("COPY {} ({}) FROM STDIN (FORMAT binary)", table.to_sql(), names.join(", "))
}
