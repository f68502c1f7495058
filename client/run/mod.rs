//! Runs one job once: plan, claim splits, load them, close the accounts.
//!
//! All memory of a run is in the ledger: whatever stops it, the next one
//! continues there.

mod accounts;
mod prepare;
mod sample;
mod stages;
mod workplace;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ferry::host::shutdown::Shutdown;
use ferry::wire::generated::FileState;
use sqlx::{Connection as _, PgConnection};

use crate::clean;
use crate::columns::{self, ColumnPlan};
use crate::database;
use crate::error::ClientError;
use crate::job::{Job, SourceSettings};
use crate::key::PseudonymKey;
use crate::ledger::runs::{self, OldRules, RunFacts, RunState};
use crate::ledger::splits::{self, ClaimedSplit, register};
use crate::ledger::workers::{self, WorkerId};
use crate::ledger::{RunId, files, keys};
use crate::load::commit::{CommitLimits, Committed};
use crate::output::Style;
use crate::pipeline::{SplitLoad, Stages};
use crate::receive::{self, Plan, PlannedFile, Source};
use crate::report::{Display, Progress, RunReport};

use accounts::RejectGuard;
use prepare::Prepared;
pub(crate) use prepare::{APPLICATION_NAME, look_up_columns};
pub(crate) use sample::suspects;
pub(crate) use stages::stages;
pub(crate) use workplace::{Workplace, open_workplace};

/// How long a split stays with a worker that does not commit.
const LEASE_SECONDS: i32 = 60;
/// How often a worker looks for a split that another one gave up.
const CLAIM_INTERVAL: Duration = Duration::from_millis(200);

/// Runs a job and prints what it did.
pub(crate) async fn run_and_report(
    job: &Job,
    old_rules: OldRules,
    display: Display,
    style: Style,
    shutdown: Shutdown,
) -> Result<(), ClientError> {
    let began = Instant::now();
    let mut report = RunReport::new(&job.name);
    let outcome = run(job, old_rules, display, shutdown, &mut report).await;
    report.seconds = began.elapsed().as_secs_f64();
    report.finish(outcome.as_ref().err(), style);
    outcome
}

/// Runs a job, and tells the ledger how it ended.
async fn run(
    job: &Job,
    old_rules: OldRules,
    display: Display,
    shutdown: Shutdown,
    report: &mut RunReport,
) -> Result<(), ClientError> {
    let key = job.pii_key_file.as_deref().map(PseudonymKey::read).transpose()?;
    let mut stop = shutdown.clone();
    let opened = Attempt::open(job, key.as_ref(), old_rules, shutdown);
    let mut attempt = unless_stopped(&mut stop, opened).await?;
    let run_id = attempt.run_id;
    report.run_id = Some(run_id.0);
    let outcome = attempt.load(display, report).await;
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
    plan: &ColumnPlan,
    key: Option<&PseudonymKey>,
    old_rules: OldRules,
    connection: &mut PgConnection,
) -> Result<RunId, ClientError> {
    let key_id = key.map(PseudonymKey::id);
    let facts = RunFacts {
        job: &job.name,
        source_url: &job.source.url,
        dataset: &job.source.dataset,
        target: &plan.table_names(),
        columns: &columns::columns_json(plan),
        rules: &columns::rules_json(job),
        clean_version: clean::VERSION,
        old_rules,
        pii_key_id: key_id.as_deref(),
    };
    let opened = runs::open(connection, &facts).await?;
    if let Some(key_id) = &key_id {
        keys::remember(connection, key_id, Some(opened.run_id)).await?;
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
    stages: Arc<Stages>,
    shutdown: Shutdown,
}

impl<'a> Attempt<'a> {
    /// Connects both ends, makes ledger and targets ready, and opens the run.
    async fn open(
        job: &'a Job,
        key: Option<&PseudonymKey>,
        old_rules: OldRules,
        shutdown: Shutdown,
    ) -> Result<Self, ClientError> {
        let mut connection = database::connect(&job.database_url, APPLICATION_NAME).await?;
        let mut source = receive::connect(&job.source).await?;
        let Prepared { plan, stages } =
            prepare::prepare(job, &mut source, &mut connection, key).await?;
        let stages = Arc::new(stages);
        let worker = WorkerId::random()?;
        workers::hold(&mut connection, worker).await?;
        let run_id = open_run(job, &plan, key, old_rules, &mut connection).await?;
        Ok(Self { job, run_id, worker, source, connection, stages, shutdown })
    }

    async fn load(&mut self, display: Display, report: &mut RunReport) -> Result<(), ClientError> {
        let plan = self.plan().await?;
        report.take_plan(&plan);
        self.warn_of_suspects(&plan).await;
        let totals = accounts::totals(self.run_id, &mut self.connection).await?;
        let progress = Progress::new(display, totals.bytes_left());
        let limits = &self.job.load;
        let guard = RejectGuard::new(limits.max_rejects, limits.reject_window, totals.rows);
        let loaded = self.load_splits(&progress, guard).await;
        progress.finish();
        report.bytes = progress.bytes_done();
        loaded
    }

    /// Asks the source what is new, and writes it to the ledger.
    async fn plan(&mut self) -> Result<Plan, ClientError> {
        let Job { name, source: SourceSettings { dataset, .. }, load, .. } = self.job;
        let known = files::known(&mut self.connection, name, dataset).await?;
        let wanted = &self.stages.source_columns;
        let planning = self.source.plan(dataset, wanted, load.split_bytes, &known);
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

    /// Says in the log which columns look like personal data and are not declared.
    async fn warn_of_suspects(&mut self, plan: &Plan) {
        let columns = &self.stages.source_columns;
        let sampling = sample::suspects(self.job, &mut self.source, columns, &plan.splits);
        match unless_stopped(&mut self.shutdown, sampling).await {
            Ok(suspects) => {
                for suspect in suspects {
                    tracing::warn!(column = suspect.column, "{suspect}");
                }
            }
            // The load itself will meet the same error and say what to do.
            Err(error) => tracing::debug!(%error, "no sample of the source"),
        }
    }

    async fn load_splits(
        &mut self,
        progress: &Progress,
        guard: RejectGuard,
    ) -> Result<(), ClientError> {
        // What earlier attempts refused counts too.
        guard.verdict()?;
        self.hold_unique().await?;
        let guard = RefCell::new(guard);
        let mut is_waiting = false;
        loop {
            if self.shutdown.is_requested() {
                return Err(ClientError::Interrupted);
            }
            let claimed =
                splits::claim(&mut self.connection, self.run_id, self.worker, LEASE_SECONDS)
                    .await?;
            if let Some(claim) = claimed {
                self.load_split(&claim, progress, &guard).await?;
            } else if splits::undone(&mut self.connection, self.run_id).await? == 0 {
                return guard.borrow().check_at_end();
            } else {
                if !std::mem::replace(&mut is_waiting, true) {
                    tracing::info!("waiting for splits that another worker holds");
                }
                tokio::time::sleep(CLAIM_INTERVAL).await;
            }
        }
    }

    /// Makes sure that nobody else loads a run whose values must be unique, and
    /// takes up what the run has met so far.
    async fn hold_unique(&mut self) -> Result<(), ClientError> {
        if self.stages.checker.unique_columns().is_empty() {
            return Ok(());
        }
        let holding = workplace::hold_unique(&mut self.connection, self.run_id);
        unless_stopped(&mut self.shutdown, holding).await?;
        workplace::seed_claims(&mut self.connection, self.run_id, &self.stages).await
    }

    async fn load_split(
        &mut self,
        claim: &ClaimedSplit,
        progress: &Progress,
        guard: &RefCell<RejectGuard>,
    ) -> Result<(), ClientError> {
        tracing::debug!(split = %claim.split_id, epoch = %claim.epoch, "split claimed");
        let mut position = claim.next;
        let is_over = |read, quarantined| guard.borrow_mut().observe(read, quarantined);
        let on_commit = |committed: &Committed| {
            let rows = committed.end.row_number - position.row_number;
            progress.advance(rows, committed.end.byte_offset - position.byte_offset);
            position = committed.end;
            guard.borrow().verdict()
        };
        let load = SplitLoad {
            source: &mut self.source,
            connection: &mut self.connection,
            claim,
            stages: &self.stages,
            limits: CommitLimits {
                bytes: self.job.load.commit_bytes,
                interval: self.job.load.commit_interval,
                lease_seconds: LEASE_SECONDS,
            },
            shutdown: &mut self.shutdown,
        };
        load.run(is_over, on_commit).await
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
