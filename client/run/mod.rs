//! Runs one job once: survey, enter a run, load its splits, close the accounts.
//!
//! All memory of a run is in the ledger: whatever stops it, the next one
//! continues there.

mod accounts;
mod crew;
mod enter;
mod finish;
mod heartbeat;
mod options;
mod order;
mod pages;
mod prepare;
mod retry;
mod sample;
mod session;
mod shown;
mod stages;
mod survey;
mod unreadable;
mod worker;
mod workplace;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ferry::host::shutdown::Shutdown;
use sqlx::{Connection as _, PgConnection};

use crate::cache::Filler;
use crate::database;
use crate::error::{ClientError, RunLeft, UnreadableFiles};
use crate::job::{Job, Mode, Target};
use crate::key::PseudonymKey;
use crate::ledger::runs::{self, RunChoice, RunState};
use crate::ledger::{RunId, accounts as ledger_accounts, migrate};
use crate::load::replace::Replacement;
use crate::output::{self, Style};
use crate::pipeline::Stages;
use crate::receive::{self, Plan, Source};
use crate::report::{Display, Progress, RunReport, TargetReport};

use accounts::RejectGuard;
use crew::Crew;
use enter::Entered;
use finish::End;
use prepare::Prepared;
use retry::Attempts;
use session::Session;
use unreadable::Unreadable;

pub(crate) use options::{Missing, Reload, RunOptions};
pub(crate) use pages::{refuse_part_of_api, warn_of_changing_pages};
pub(crate) use prepare::{APPLICATION_NAME, refuse_part_of_rows, refuse_rewritten};
pub(crate) use sample::suspects;
pub(crate) use stages::{Destination, stages};
pub(crate) use survey::{Survey, replaces, survey};
pub(crate) use workplace::{Workplace, open_workplace};

/// How often a worker asks whether another one has finished the run.
const ASK_INTERVAL: Duration = Duration::from_millis(300);

/// Runs a job and prints what it did.
pub(crate) async fn run_and_report(
    job: Job,
    options: RunOptions,
    display: Display,
    style: Style,
    shutdown: Shutdown,
) -> Result<(), ClientError> {
    let (report, outcome) = run_to_end(job, &options, display, shutdown).await;
    if outcome.is_ok() && report.run_id.is_none() && style == Style::Table {
        output::line(format!("{}: there is no unfinished run to take part in", report.job));
    }
    report.finish(outcome.as_ref().err(), style);
    outcome
}

/// Runs a job and tells what it did; prints nothing.
pub(crate) async fn run_quietly(job: Job, options: RunOptions, shutdown: Shutdown) -> RunReport {
    let (mut report, outcome) = run_to_end(job, &options, Display::Hidden, shutdown).await;
    report.conclude(outcome.as_ref().err());
    report
}

async fn run_to_end(
    job: Job,
    options: &RunOptions,
    display: Display,
    shutdown: Shutdown,
) -> (RunReport, Result<(), ClientError>) {
    let began = Instant::now();
    let mut report = RunReport::new(&job.name);
    let outcome = run(Arc::new(job), options, display, shutdown, &mut report).await;
    report.seconds = began.elapsed().as_secs_f64();
    (report, outcome)
}

/// Runs a job, and tells the ledger how it ended.
async fn run(
    job: Arc<Job>,
    options: &RunOptions,
    display: Display,
    shutdown: Shutdown,
    report: &mut RunReport,
) -> Result<(), ClientError> {
    survey::refuse_giving_up(&job, options)?;
    let key = job.pii_key_file.as_deref().map(PseudonymKey::read).transpose()?;
    let filler = Filler::start(&job)?;
    let mut stop = shutdown.clone();
    // A host that does not answer at all is more likely named wrongly than gone for a moment.
    let mut ends = unless_stopped(&mut stop, connect(&job)).await?;
    let mut attempts = Attempts::new(job.load.retries);
    loop {
        let has_answered = ends.0.has_answered();
        let opening = Attempt::open(&job, key.as_ref(), options, ends, shutdown.clone());
        match unless_stopped(&mut stop, opening).await {
            Ok(Some(attempt)) => return attempt.carry_out(display, filler, report).await,
            Ok(None) => return Ok(()),
            Err(error) if error.is_of_source() && !has_answered() => return Err(error),
            Err(error) => attempts.wait_after(error, &mut stop).await?,
        }
        report.retries += 1;
        ends = reconnect(&job, &mut attempts, &mut stop).await?;
    }
}

/// Connects both ends.
async fn connect(job: &Job) -> Result<(Source, Session), ClientError> {
    let session = Session::open(job).await?;
    Ok((receive::connect(&job.source).await?, session))
}

/// Connects both ends again, however long that takes within the attempts that are left.
async fn reconnect(
    job: &Job,
    attempts: &mut Attempts,
    stop: &mut Shutdown,
) -> Result<(Source, Session), ClientError> {
    loop {
        match unless_stopped(stop, connect(job)).await {
            Ok(ends) => return Ok(ends),
            Err(error) => attempts.wait_after(error, stop).await?,
        }
    }
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

/// A time in seconds, as the ledger takes it; more than a lease can be is cut.
fn whole_seconds(time: Duration) -> i32 {
    i32::try_from(time.as_secs()).unwrap_or(i32::MAX)
}

/// One process's share of a run.
struct Attempt {
    job: Arc<Job>,
    run_id: RunId,
    plan: Plan,
    held_up: usize,
    replacements: Vec<Replacement>,
    stages: Arc<Stages>,
    source: Source,
    session: Session,
    shutdown: Shutdown,
}

impl Attempt {
    /// Makes ledger and targets ready, and enters the run; `None` if there is none to take part in.
    async fn open(
        job: &Arc<Job>,
        key: Option<&PseudonymKey>,
        options: &RunOptions,
        (mut source, mut session): (Source, Session),
        shutdown: Shutdown,
    ) -> Result<Option<Self>, ClientError> {
        let connection = &mut session.connection;
        let is_old = matches!(options.choice, RunChoice::Current | RunChoice::Join);
        if is_old && !migrate::exists(connection).await? {
            return Ok(None);
        }
        let Prepared { survey, mut stages } =
            prepare::prepare(job, options, &mut source, connection, key).await?;
        let key_id = key.map(PseudonymKey::id);
        let entered =
            enter::enter(job, &survey, options.old_rules, key_id.as_deref(), connection).await?;
        let Some(Entered { run_id, replacements, constraint_names, held_up }) = entered else {
            return Ok(None);
        };
        stages.tables =
            stages::tables(job, &survey.columns, Destination::Incoming(run_id), &constraint_names);
        session.enter(run_id).await?;
        let (stages, plan, job) = (Arc::new(stages), survey.plan, Arc::clone(job));
        Ok(Some(Self {
            job,
            run_id,
            plan,
            held_up,
            replacements,
            stages,
            source,
            session,
            shutdown,
        }))
    }

    async fn carry_out(
        mut self,
        display: Display,
        filler: Option<Filler>,
        report: &mut RunReport,
    ) -> Result<(), ClientError> {
        report.run_id = Some(self.run_id.0);
        report.take_plan(&self.plan);
        self.warn_of_suspects().await;
        let totals = accounts::totals(self.run_id, &mut self.session.connection).await?;
        let progress = Progress::new(display, totals.bytes_left());
        let limits = &self.job.load;
        let guard = RejectGuard::new(limits.max_rejects, limits.reject_window, totals.rows);
        let (job, stages) = (Arc::clone(&self.job), Arc::clone(&self.stages));
        let unreadable = Unreadable::new(std::mem::take(&mut self.plan.problems), self.held_up);
        let crew = Crew::new(job, self.run_id, stages, progress, guard, unreadable);
        let crew = Arc::new(crew.with_filler(filler));
        let outcome = self.load_and_finish(&crew).await;
        crew.progress.finish();
        report.cache = crew.finish_cache().await;
        settle(&crew, outcome, report).await
    }

    /// Says in the log which columns look like personal data and are not declared.
    async fn warn_of_suspects(&mut self) {
        let sampling = sample::suspects(&self.job, &mut self.source, &self.stages, &self.plan);
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

    async fn load_and_finish(self, crew: &Arc<Crew>) -> Result<PgConnection, ClientError> {
        let Self { job, run_id, replacements, mut source, mut session, shutdown, .. } = self;
        loop {
            let connection = crew.load(source, session, &shutdown).await?;
            let (mut connection, end) =
                finish_run(crew, connection, &replacements, &shutdown).await?;
            if end == End::Finished {
                crew.forget_replaced(&replacements).await;
                finish::drop_incoming(&replacements, &mut connection).await;
                return Ok(connection);
            }
            let ending = crew.unreadable.error_at_end(&job, run_id, &mut connection).await?;
            if let Some(error) = ending {
                return Err(error);
            }
            tracing::debug!(run = %run_id, "another worker has added splits");
            let _ = connection.close().await;
            let mut stop = shutdown.clone();
            let connecting = crew::connect(&job, run_id);
            (source, session) = unless_stopped(&mut stop, connecting).await?;
        }
    }
}

/// Finishes the run, trying again after errors that pass.
async fn finish_run(
    crew: &Crew,
    mut connection: PgConnection,
    replacements: &[Replacement],
    shutdown: &Shutdown,
) -> Result<(PgConnection, End), ClientError> {
    let mut attempts = Attempts::new(crew.job.load.retries);
    let mut stop = shutdown.clone();
    loop {
        let finishing = finish::finish(&crew.job, crew.run_id, replacements, &mut connection);
        let error = match unless_stopped(&mut stop, finishing).await {
            Ok(End::Busy) => {
                tokio::select! {
                    () = stop.requested() => return Err(ClientError::Interrupted),
                    () = tokio::time::sleep(ASK_INTERVAL) => continue,
                }
            }
            Ok(end) => return Ok((connection, end)),
            Err(error) => error,
        };
        let _ = connection.close_hard().await;
        attempts.wait_after(error, &mut stop).await?;
        crew.retries.fetch_add(1, Ordering::Relaxed);
        connection = loop {
            match database::connect(&crew.job.database_url, APPLICATION_NAME).await {
                Ok(connection) => break connection,
                Err(error) => attempts.wait_after(error.into(), &mut stop).await?,
            }
        };
    }
}

/// Writes to the ledger and to the report how this process's share of the run ended.
async fn settle(
    crew: &Crew,
    outcome: Result<PgConnection, ClientError>,
    report: &mut RunReport,
) -> Result<(), ClientError> {
    report.bytes = crew.progress.bytes_done();
    report.retries += crew.retry_count();
    report.workers = crew.job.load.workers;
    let (mut connection, failure) = match outcome {
        Ok(connection) => (connection, None),
        Err(error) => match database::connect(&crew.job.database_url, APPLICATION_NAME).await {
            Ok(connection) => (connection, Some(error)),
            // The first error says more than this one.
            Err(_) => return Err(error),
        },
    };
    let noted = note(crew, failure.as_ref(), &mut connection, report).await;
    let _ = connection.close().await;
    match (failure, noted) {
        (None, Ok(())) if !report.problems.is_empty() => {
            let (problems, held_up) = (report.problems.clone(), crew.unreadable.held_up());
            let files = UnreadableFiles { problems, left: RunLeft::Finished, held_up };
            Err(ClientError::FilesUnreadable(files))
        }
        (None, noted) => noted,
        (Some(error), noted) => {
            if let Err(error) = noted {
                tracing::warn!(%error, "the ledger does not know how the run ended");
            }
            Err(error)
        }
    }
}

async fn note(
    crew: &Crew,
    failure: Option<&ClientError>,
    connection: &mut PgConnection,
    report: &mut RunReport,
) -> Result<(), ClientError> {
    let Crew { run_id, job, .. } = crew;
    if let Some(error) = failure.filter(|error| error.ends_run()) {
        runs::fail(connection, *run_id, error.code(), &error.to_string()).await?;
    }
    let text = failure.map(ToString::to_string).unwrap_or_default();
    let (state, reason) = match failure {
        None => (RunState::Finished, None),
        Some(ClientError::Interrupted) => (RunState::Stopped, None),
        Some(error) => (RunState::Failed, Some((error.code(), text.as_str()))),
    };
    runs::leave(connection, *run_id, &crew.workers(), state, reason).await?;
    accounts::fill(*run_id, connection, report).await?;
    let written = ledger_accounts::written(connection, *run_id).await?;
    let reported = |(index, target): (usize, &Target)| {
        // What was filled beside a table is not in it before the run is finished.
        let is_pending = failure.is_some() && matches!(target.mode, Mode::Replace { .. });
        let written = written.get(index).filter(|_| !is_pending);
        TargetReport {
            table: target.table.to_string(),
            mode: target.mode.word(),
            written: written.copied().unwrap_or_default(),
        }
    };
    report.problems = match failure {
        None => crew.unreadable.all_of_finished(job, connection).await?,
        Some(_) => crew.unreadable.all(job, connection).await?,
    };
    report.targets = job.targets.iter().enumerate().map(reported).collect();
    Ok(())
}
