//! The workers of one process: they share the stages, the limit of rejects and what is shown, and end together.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ferry::host::shutdown::{self, Shutdown, ShutdownTrigger};
use sqlx::{Connection as _, PgConnection};
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};

use super::accounts::RejectGuard;
use super::heartbeat::{self, Leases};
use super::retry::Attempts;
use super::session::Session;
use super::unless_stopped;
use super::unreadable::Unreadable;
use super::worker::Worker;
use crate::cache::{CacheReport, Filler};
use crate::error::ClientError;
use crate::job::{CachePolicy, FileOrder, Job, Mode};
use crate::ledger::runs::{self, RunStanding};
use crate::ledger::splits::ClaimOrder;
use crate::ledger::workers::WorkerId;
use crate::ledger::{LedgerError, RunId, SplitId};
use crate::load::replace::Replacement;
use crate::pipeline::{PipelineError, Stages};
use crate::receive::{self, Source};
use crate::report::Progress;

/// What the workers of one process share.
pub(super) struct Crew {
    pub(super) job: Arc<Job>,
    pub(super) run_id: RunId,
    pub(super) stages: Arc<Stages>,
    pub(super) progress: Progress,
    pub(super) leases: Leases,
    /// Attempts after an error.
    pub(super) retries: AtomicU64,
    /// A worker waits here for another one to be done with a split.
    pub(super) split_done: Notify,
    pub(super) unreadable: Unreadable,
    /// Brings committed rows into the cache, if some are to be there.
    pub(super) filler: Option<Filler>,
    guard: Mutex<RejectGuard>,
    /// Splits in which PostgreSQL refuses rows.
    careful: Mutex<HashSet<SplitId>>,
    /// All sessions that there ever were.
    workers: Mutex<Vec<WorkerId>>,
}

impl Crew {
    pub(super) fn new(
        job: Arc<Job>,
        run_id: RunId,
        stages: Arc<Stages>,
        progress: Progress,
        guard: RejectGuard,
        unreadable: Unreadable,
    ) -> Self {
        Self {
            job,
            run_id,
            stages,
            progress,
            leases: Leases::default(),
            retries: AtomicU64::new(0),
            split_done: Notify::new(),
            unreadable,
            filler: None,
            guard: Mutex::new(guard),
            careful: Mutex::default(),
            workers: Mutex::default(),
        }
    }

    /// The same with a cache that committed rows are brought into.
    pub(super) fn with_filler(self, filler: Option<Filler>) -> Self {
        Self { filler, ..self }
    }

    /// Removes from the cache what it has of tables that the run has replaced.
    pub(super) async fn forget_replaced(&self, replacements: &[Replacement]) {
        let Some(filler) = &self.filler else { return };
        let is_replaced = |mode: &Mode| matches!(mode, Mode::Replace { .. });
        // In the order of the job, as the replacements are.
        let replaced = self.job.targets.iter().filter(|target| is_replaced(&target.mode));
        for (target, Replacement { target: table, .. }) in replaced.zip(replacements) {
            if target.cache == CachePolicy::On {
                filler.forget_table(table).await;
            }
        }
    }

    /// Waits a while for what is left to bring into the cache; tells what was done.
    pub(super) async fn finish_cache(&self) -> Option<CacheReport> {
        match &self.filler {
            Some(filler) => Some(filler.finish().await),
            None => None,
        }
    }

    /// Loads splits until none of the run is left, or until a worker fails or is asked to stop.
    ///
    /// The connection that comes back is in step, and holds a worker's lock.
    pub(super) async fn load(
        self: &Arc<Self>,
        source: Source,
        mut session: Session,
        shutdown: &Shutdown,
    ) -> Result<PgConnection, ClientError> {
        // What earlier attempts refused counts too.
        self.guard().verdict()?;
        let undone = runs::standing(&mut session.connection, self.run_id).await?.undone;
        let extra = self.workers_wanted(undone).saturating_sub(1);
        let (trigger, stop) = shutdown::channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(Worker::new(Arc::clone(self), source, stop.clone()).run(session));
        for _ in 0..extra {
            tasks.spawn(begin(Arc::clone(self), stop.clone()));
        }
        self.wait_for(tasks, &trigger, shutdown.clone()).await
    }

    /// Waits for all workers; the first that fails stops the others.
    async fn wait_for(
        &self,
        mut tasks: JoinSet<Result<PgConnection, ClientError>>,
        trigger: &ShutdownTrigger,
        mut shutdown: Shutdown,
    ) -> Result<PgConnection, ClientError> {
        let mut ending = Ending { connection: None, failure: None };
        let (mut is_stopping, mut has_ended) = (false, false);
        let beat = heartbeat::beat(&self.job, self.run_id, &self.leases);
        tokio::pin!(beat);
        loop {
            tokio::select! {
                ended = tasks.join_next() => match ended {
                    Some(ended) => ending.take(ended).await,
                    None => return ending.conclude(),
                },
                // Also while workers stop: their last transactions may take long.
                standing = &mut beat, if !has_ended => {
                    has_ended = true;
                    ending.fail(ended_by_other(self.run_id, &standing));
                }
                () = shutdown.requested(), if !is_stopping => ending.fail(ClientError::Interrupted),
            }
            if ending.failure.is_some() {
                is_stopping = true;
                trigger.request();
            }
        }
    }

    /// How many workers have something to do.
    fn workers_wanted(&self, undone: u64) -> usize {
        if !self.stages.checker.unique_columns().is_empty() && self.job.load.workers > 1 {
            tracing::info!(
                "a check for unique values needs one worker: the others are not started"
            );
            return 1;
        }
        let at_once = match claim_order(&self.job) {
            ClaimOrder::ByName | ClaimOrder::ByTime => 1,
            ClaimOrder::Any | ClaimOrder::WithinFile => {
                usize::try_from(undone).unwrap_or(usize::MAX)
            }
        };
        self.job.load.workers.min(at_once).max(1)
    }

    pub(super) fn guard(&self) -> MutexGuard<'_, RejectGuard> {
        self.guard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn careful(&self) -> MutexGuard<'_, HashSet<SplitId>> {
        self.careful.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a session.
    pub(super) fn enlist(&self, worker: WorkerId) {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
    }

    /// All sessions that there ever were.
    pub(super) fn workers(&self) -> Vec<WorkerId> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn retry_count(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }
}

/// Which splits may be loaded at the same time, so that the later of two rows wins.
pub(super) fn claim_order(job: &Job) -> ClaimOrder {
    let has_keys = |mode: &Mode| matches!(mode, Mode::Upsert { .. } | Mode::InsertNew);
    match job.load.file_order {
        FileOrder::Name => ClaimOrder::ByName,
        FileOrder::Time => ClaimOrder::ByTime,
        FileOrder::Any if job.targets.iter().any(|target| has_keys(&target.mode)) => {
            ClaimOrder::WithinFile
        }
        FileOrder::Any => ClaimOrder::Any,
    }
}

/// Begins a further worker, with connections of its own.
async fn begin(crew: Arc<Crew>, mut stop: Shutdown) -> Result<PgConnection, ClientError> {
    let mut attempts = Attempts::new(crew.job.load.retries);
    loop {
        match unless_stopped(&mut stop, connect(&crew.job, crew.run_id)).await {
            Ok((source, session)) => return Worker::new(crew, source, stop).run(session).await,
            Err(error) => attempts.wait_after(error, &mut stop).await?,
        }
        crew.retries.fetch_add(1, Ordering::Relaxed);
    }
}

/// Connects both ends for a worker of a run.
pub(super) async fn connect(job: &Job, run_id: RunId) -> Result<(Source, Session), ClientError> {
    let source = receive::connect(&job.source).await?;
    Ok((source, Session::join(job, run_id).await?))
}

/// The error of a worker whose run another process has ended.
pub(super) fn ended_by_other(run: RunId, standing: &RunStanding) -> ClientError {
    let (code, message) = (standing.error_code.clone(), standing.error_message.clone());
    LedgerError::EndedByOther {
        run,
        code: code.unwrap_or_else(|| standing.state.as_str().to_owned()),
        message: message.unwrap_or_else(|| format!("it is {}", standing.state.as_str())),
    }
    .into()
}

/// How the workers of a process ended.
struct Ending {
    /// Of the first worker that found nothing more to do.
    connection: Option<PgConnection>,
    failure: Option<ClientError>,
}

impl Ending {
    async fn take(&mut self, ended: Result<Result<PgConnection, ClientError>, JoinError>) {
        match ended {
            Ok(Ok(connection)) if self.connection.is_none() => self.connection = Some(connection),
            Ok(Ok(connection)) => {
                let _ = connection.close().await;
            }
            Ok(Err(error)) => self.fail(error),
            Err(error) => self.fail(PipelineError::from(error).into()),
        }
    }

    /// Keeps the first error; that a worker was asked to stop says less than why.
    fn fail(&mut self, error: ClientError) {
        if matches!(self.failure, None | Some(ClientError::Interrupted)) {
            self.failure = Some(error);
        }
    }

    fn conclude(self) -> Result<PgConnection, ClientError> {
        match (self.failure, self.connection) {
            (Some(error), _) => Err(error),
            (None, Some(connection)) => Ok(connection),
            (None, None) => Err(ClientError::Interrupted),
        }
    }
}
