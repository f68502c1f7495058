//! Starts runs and replays inside this process, and remembers how the last run of each job that it started ended.
//!
//! Invariants: of one job, one run at a time is under way here; a panic of a
//! run ends that run and nothing else; once a stop is requested nothing begins,
//! and what is under way ends at a batch boundary. Bounds: one run for each
//! job, [`REPLAYS_MAX`] replays.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use ferry::host::shutdown::Shutdown;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};

use super::problem::Problem;
use super::state::ServedJob;
use crate::error::ClientError;
use crate::job::{Job, JobError, Overrides};
use crate::quarantine::{self, ReplayCounts, Selection};
use crate::report::{ReportState, RunReport};
use crate::run::{self, RunOptions};

/// Replays at a time; each has a connection to the source and one to the database.
const REPLAYS_MAX: usize = 4;
/// Stable word for a run that broke off by a defect.
const UNEXPECTED: &str = "unexpected";

/// What this process has under way.
#[derive(Debug)]
pub(crate) struct Starter {
    shutdown: Shutdown,
    standings: Arc<Standings>,
    /// Runs and replays that are under way; nobody waits for anything but zero.
    count: watch::Sender<usize>,
    replays: Arc<Semaphore>,
}

/// How the runs that were started here stand, by the name of their job.
type Standings = Mutex<HashMap<String, Standing>>;

/// How the last run of a job that was started here stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is under way.
    UnderWay(Beginning),
    /// It failed.
    Failed(Beginning, Failure),
}

/// When a run was started here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Beginning {
    /// When somebody asked for it.
    pub(super) at: SystemTime,
    /// The job's last run at that time.
    pub(super) run_before: Option<i64>,
}

/// How a run failed that was started here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// When.
    pub(super) at: SystemTime,
    /// Its number in the ledger; none if it failed before it began.
    pub(super) run_id: Option<i64>,
    /// Why, as a stable word.
    pub(super) code: &'static str,
    /// Why; holds no value of a record.
    pub(super) message: String,
}

/// Why nothing was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotStarted {
    /// A run of the job is under way here.
    UnderWay,
    /// The process is about to end.
    Stopping,
}

impl Starter {
    /// Nothing is under way yet; all of it ends when `shutdown` asks for it.
    pub(crate) fn new(shutdown: Shutdown) -> Self {
        Self {
            shutdown,
            standings: Arc::default(),
            count: watch::Sender::new(0),
            replays: Arc::new(Semaphore::new(REPLAYS_MAX)),
        }
    }

    /// Waits until all runs and replays have ended that were started here.
    ///
    /// They do so by themselves once the shutdown is requested.
    pub(crate) async fn ended(&self) {
        let mut count = self.count.subscribe();
        // The sender is this starter's, so that it cannot be gone.
        let _ = count.wait_for(|under_way| *under_way == 0).await;
    }

    /// How the last run of a job that was started here stands; `None` if none was, or if it ended well.
    pub(super) fn standing(&self, job: &str) -> Option<Standing> {
        lock(&self.standings).get(job).cloned()
    }

    /// Starts a run of a job, whose file is read anew; `run_before` is its last run by now.
    pub(super) fn start_run(
        &self,
        job: &Arc<ServedJob>,
        run_before: Option<i64>,
    ) -> Result<(), NotStarted> {
        let (served, shutdown) = (Arc::clone(job), self.shutdown.clone());
        let runtime = Handle::current();
        let work = move || runtime.block_on(carry_out(&served, shutdown));
        self.start(&job.name, run_before, work)?;
        metrics::counter!("ferry_runs_started_total", "job" => job.name.clone()).increment(1);
        Ok(())
    }

    /// Replays rows of a job, whose file is read anew; goes on if nobody waits for it any more.
    pub(super) async fn replay(
        &self,
        job: &Arc<ServedJob>,
        ids: Vec<i64>,
    ) -> Result<ReplayCounts, Problem> {
        let busy = "as many replays as may be are under way: ask again later";
        let permit = Arc::clone(&self.replays).try_acquire_owned();
        let permit = permit.map_err(|_| Problem::busy("busy", busy))?;
        let under_way = UnderWay::begin(&self.count);
        let (served, shutdown) = (Arc::clone(job), self.shutdown.clone());
        let runtime = Handle::current();
        // On a thread of its own: the loader need not be a task that changes threads.
        let replaying = tokio::task::spawn_blocking(move || {
            let _until_done = (permit, under_way);
            let job = load_anew(&served.job, &served.path)?;
            let selection = Selection { ids, ..Selection::default() };
            runtime.block_on(quarantine::replay_quietly(&job, &selection, shutdown))
        });
        match replaying.await {
            Ok(outcome) => Ok(outcome?),
            Err(_) => Err(Problem::unexpected()),
        }
    }

    /// Does the work of a run on a thread of its own, and remembers how it ended.
    fn start(
        &self,
        name: &str,
        run_before: Option<i64>,
        work: impl FnOnce() -> Option<Failure> + Send + 'static,
    ) -> Result<(), NotStarted> {
        if self.shutdown.is_requested() {
            return Err(NotStarted::Stopping);
        }
        let beginning = Beginning { at: SystemTime::now(), run_before };
        {
            let mut standings = lock(&self.standings);
            if matches!(standings.get(name), Some(Standing::UnderWay(_))) {
                return Err(NotStarted::UnderWay);
            }
            standings.insert(name.to_owned(), Standing::UnderWay(beginning));
        }
        let under_way = UnderWay::begin(&self.count);
        let (standings, name) = (Arc::clone(&self.standings), name.to_owned());
        // On a thread of its own: the loader need not be a task that changes threads.
        let working = tokio::task::spawn_blocking(work);
        tokio::spawn(async move {
            let failure = working.await.unwrap_or_else(|_| Some(Failure::by_defect()));
            let mut standings = lock(&standings);
            match failure {
                Some(failure) => standings.insert(name, Standing::Failed(beginning, failure)),
                None => standings.remove(&name),
            };
            drop(under_way);
        });
        Ok(())
    }
}

impl Failure {
    fn new(run_id: Option<i64>, code: &'static str, message: String) -> Self {
        Self { at: SystemTime::now(), run_id, code, message }
    }

    /// The log says where it was.
    fn by_defect() -> Self {
        let text = "the run broke off by a defect of the program: the log says where";
        Self::new(None, UNEXPECTED, text.to_owned())
    }
}

/// Counts as long as it lives.
struct UnderWay(watch::Sender<usize>);

impl UnderWay {
    fn begin(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|under_way| *under_way += 1);
        Self(count.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|under_way| *under_way = under_way.saturating_sub(1));
    }
}

/// What one thread did while it held the lock cannot be half done.
fn lock(standings: &Standings) -> MutexGuard<'_, HashMap<String, Standing>> {
    standings.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads a job file anew; it must still be of that job, whose ledger is the one that is served.
fn load_anew(served: &Job, path: &Path) -> Result<Job, ClientError> {
    let job = Job::load(Some(path), Overrides::default())?;
    let what = if job.name != served.name {
        "name"
    } else if job.database_url.expose() != served.database_url.expose() {
        "database"
    } else {
        return Ok(job);
    };
    let text = format!(
        "the job file of \"{}\" has another {what} now: start `ferry-client serve` again",
        served.name
    );
    Err(JobError::Invalid(text).into())
}

/// Runs a job; tells why, if it failed.
async fn carry_out(served: &ServedJob, shutdown: Shutdown) -> Option<Failure> {
    let job = match load_anew(&served.job, &served.path) {
        Ok(job) => job,
        Err(error) => {
            tracing::warn!(job = served.name, %error, "the run was not begun");
            return Some(Failure::new(None, error.code(), error.to_string()));
        }
    };
    let report = run::run_quietly(job, RunOptions::default(), shutdown).await;
    tell(&report);
    let error = report.error.filter(|_| report.state != ReportState::Stopped)?;
    Some(Failure::new(report.run_id, error.code, error.message))
}

/// Says in the log how a run ended that has nobody to print to.
fn tell(report: &RunReport) {
    let RunReport { job, run_id, rows, seconds, .. } = report;
    match &report.error {
        Some(error) if report.state != ReportState::Stopped => {
            tracing::warn!(
                job,
                run = run_id,
                code = error.code,
                error = error.message,
                "run failed"
            );
        }
        _ => tracing::info!(
            job,
            run = run_id,
            read = rows.read,
            loaded = rows.loaded,
            quarantined = rows.quarantined,
            filtered = rows.filtered,
            seconds,
            "run ended"
        ),
    }
}

#[cfg(test)]
mod tests;
