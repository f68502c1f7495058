//! What all handlers share: the jobs, their tables and databases, and how to stop.
//!
//! Invariant: it is made once; of what changes, only the tables of a job are
//! remembered, for 10 s, or for 1 s that nobody can tell them; no value of a record is.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ferry::host::settings::Secret;
use ferry::host::shutdown::Shutdown;
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};
use tokio::sync::Mutex;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::ServeError;
use super::ask::ask_all;
use super::meters::Meters;
use super::places::Places;
use super::problem::Problem;
use super::starter::Starter;
use crate::cache::Cache;
use crate::database::{self, StatementError};
use crate::job::{Job, Overrides, Target};
use crate::ledger::migrate;
use crate::names::TableName;
use crate::records::{self, Served, ServedTable, SkippedTable};

/// Name of our sessions in PostgreSQL's own views.
const APPLICATION_NAME: &str = "ferry-client serve";
/// Most sessions in one database.
const CONNECTIONS_MAX: u32 = 8;
/// How long the tables of a job are taken for what they were.
const TABLES_AGE_MAX: Duration = Duration::from_secs(10);
/// How long a database that does not tell them is not asked again: otherwise those who
/// wait would ask one after the other, and take the room of all who ask for other jobs.
const FAILURE_AGE_MAX: Duration = Duration::from_secs(1);
/// How long a session is waited for where other databases can be asked as well.
pub(super) const ANSWER_TIME_MAX: Duration = Duration::from_secs(4);
/// Rows of a page that nobody gave a limit for.
const PAGE_ROWS_DEFAULT: u32 = 50;

/// What all handlers share.
#[derive(Clone)]
pub(crate) struct AppState(Arc<Inner>);

struct Inner {
    jobs: Vec<Arc<ServedJob>>,
    page_rows_max: u32,
    starter: Starter,
    streams: Places,
    meters: Meters,
    /// The document of the whole API.
    document: String,
    shutdown: Shutdown,
}

/// A job whose runs and tables are served.
pub(crate) struct ServedJob {
    pub(crate) name: String,
    /// Its file, which is read anew for each run.
    pub(crate) path: PathBuf,
    /// The file as it was when this process began.
    pub(crate) job: Arc<Job>,
    /// Shared by all jobs of one database.
    pub(crate) pool: PgPool,
    pub(crate) cache: Option<Cache>,
    remembered: Mutex<Option<Remembered>>,
    has_ledger: AtomicBool,
}

/// The tables of a job, or why they could not be told, and since when.
type Remembered = (Instant, Result<Arc<Served>, Problem>);

/// The tables of all jobs; of one that several load, the first job serves it.
pub(super) struct Tables {
    pub(super) tables: Vec<ServedTable>,
    pub(super) skipped: Vec<SkippedTable>,
    /// Names of the jobs whose tables nobody can tell now; those are skipped too.
    pub(super) unavailable: Vec<String>,
}

impl AppState {
    pub(super) fn new(
        jobs: Vec<Arc<ServedJob>>,
        page_rows_max: u32,
        streams: Places,
        meters: Meters,
        document: String,
        shutdown: Shutdown,
    ) -> Self {
        Self(Arc::new(Inner {
            jobs,
            page_rows_max,
            starter: Starter::new(shutdown.clone()),
            streams,
            meters,
            document,
            shutdown,
        }))
    }

    /// All jobs, in the order in which they were given.
    pub(crate) fn jobs(&self) -> &[Arc<ServedJob>] {
        &self.0.jobs
    }

    /// The job of this name.
    pub(crate) fn job(&self, name: &str) -> Option<&Arc<ServedJob>> {
        self.0.jobs.iter().find(|job| job.name == name)
    }

    /// The job of this name, or why there is none.
    pub(crate) fn known_job(&self, name: &str) -> Result<Arc<ServedJob>, Problem> {
        self.job(name).cloned().ok_or_else(|| {
            Problem::not_found("job_not_found", "no such job is served: /api/v1/jobs lists them")
        })
    }

    /// The table of this name and the job that serves it, or why there is none.
    pub(crate) async fn known_table(
        &self,
        name: &str,
    ) -> Result<(Arc<ServedJob>, ServedTable), Problem> {
        let mut problem = Problem::not_found(
            "table_not_found",
            "no such table is served: /api/v1/tables lists them",
        );
        let Ok(name) = name.parse::<TableName>() else {
            return Err(problem);
        };
        let name = name.without_public();
        // A job whose database is gone must not hold up those who ask for tables of others.
        for job in self.jobs().iter().filter(|job| may_load(&job.job, &name)) {
            match job.served().await {
                Ok(served) => {
                    let mut tables = served.tables.iter();
                    if let Some(table) = tables.find(|table| table.table.without_public() == name) {
                        return Ok((Arc::clone(job), table.clone()));
                    }
                }
                // Another job may have it; if none has, this one might.
                Err(unknown) => problem = unknown,
            }
        }
        Err(problem)
    }

    /// The tables of all jobs; a problem if those of none can be told.
    pub(super) async fn tables(&self) -> Result<Tables, Problem> {
        let mut questions = Vec::with_capacity(self.jobs().len());
        for job in self.jobs() {
            questions.push((job.database(), tables_of(Arc::clone(job))));
        }
        let answers = ask_all(questions).await;
        let mut all = Tables { tables: Vec::new(), skipped: Vec::new(), unavailable: Vec::new() };
        let mut last_problem = None;
        for (job, answer) in self.jobs().iter().zip(answers) {
            match answer {
                Ok(served) => all.add(&served),
                // The others are told nevertheless.
                Err(problem) => {
                    all.skipped.extend(job.unknown_tables(&problem));
                    all.unavailable.push(job.name.clone());
                    last_problem = Some(problem);
                }
            }
        }
        match last_problem {
            Some(problem) if all.unavailable.len() == self.jobs().len() => Err(problem),
            _ => Ok(all),
        }
    }

    /// The wish to stop.
    pub(crate) fn shutdown(&self) -> Shutdown {
        self.0.shutdown.clone()
    }

    /// Most rows of one page.
    pub(crate) fn page_rows_max(&self) -> u32 {
        self.0.page_rows_max
    }

    /// Rows of the page that is asked for.
    pub(crate) fn page_rows(&self, limit: Option<u32>) -> Result<u32, Problem> {
        let most = self.page_rows_max();
        match limit {
            None => Ok(PAGE_ROWS_DEFAULT.min(most)),
            Some(limit) if (1..=most).contains(&limit) => Ok(limit),
            Some(_) => {
                Err(Problem::bad_request("bad_limit", format!("`limit` must be 1 to {most}")))
            }
        }
    }

    /// Starts runs.
    pub(crate) fn starter(&self) -> &Starter {
        &self.0.starter
    }

    /// Places for streams of events.
    pub(super) fn streams(&self) -> &Places {
        &self.0.streams
    }

    pub(super) fn meters(&self) -> &Meters {
        &self.0.meters
    }

    pub(super) fn document(&self) -> &str {
        &self.0.document
    }
}

impl Tables {
    /// Adds those of one more job.
    fn add(&mut self, served: &Served) {
        self.skipped.extend(served.skipped.iter().cloned());
        for table in &served.tables {
            match self.tables.iter().find(|other| other.table == table.table) {
                None => self.tables.push(table.clone()),
                Some(other) => self.skipped.push(SkippedTable {
                    job: table.job.clone(),
                    table: table.table.clone(),
                    reason: format!("job {} serves it", other.job),
                }),
            }
        }
    }
}

impl ServedJob {
    /// Tells its database from those of other jobs. It may hold a password: it is shown to nobody.
    pub(super) fn database(&self) -> &str {
        self.job.database_url.expose()
    }

    /// The tables that may be looked up, and those that may not with the reason.
    pub(crate) async fn served(&self) -> Result<Arc<Served>, Problem> {
        // Held while they are looked up, so that this is done once for all who wait.
        let mut remembered = self.remembered.lock().await;
        if let Some((at, served)) = &*remembered {
            let age_max = if served.is_ok() { TABLES_AGE_MAX } else { FAILURE_AGE_MAX };
            if at.elapsed() < age_max {
                return served.clone();
            }
        }
        let served = self.look_at_tables().await.map(Arc::new);
        *remembered = Some((Instant::now(), served.clone()));
        served
    }

    async fn look_at_tables(&self) -> Result<Served, Problem> {
        let mut connection = self.connection().await?;
        let looking = records::served_tables(&mut connection, &self.job, self.cache.as_ref());
        let looked = timeout(ANSWER_TIME_MAX, looking).await;
        Ok(self.in_time(looked, &mut connection)??)
    }

    /// The tables of the job, none of which is served because of a problem.
    fn unknown_tables(&self, problem: &Problem) -> Vec<SkippedTable> {
        let skipped = |target: &Target| SkippedTable {
            job: self.name.clone(),
            table: target.table.clone(),
            reason: problem.detail().to_owned(),
        };
        self.job.targets.iter().map(skipped).collect()
    }

    /// A session of the job's database.
    pub(crate) async fn connection(&self) -> Result<PoolConnection<Postgres>, Problem> {
        self.pool.acquire().await.map_err(|error| {
            if matches!(error, sqlx::Error::PoolTimedOut) {
                tracing::warn!(job = self.name, "no session of the job's database in time");
                return Problem::no_session();
            }
            let error = StatementError::from(error);
            tracing::warn!(job = self.name, %error, "no session of the job's database");
            if error.sqlstate().is_some() && !error.is_retryable() {
                Problem::no_entry()
            } else {
                Problem::no_session()
            }
        })
    }

    /// A session of the job's database; `None` if there is no ledger of this version in it.
    pub(crate) async fn ledger(&self) -> Result<Option<PoolConnection<Postgres>>, Problem> {
        let mut connection = self.connection().await?;
        if !self.has_ledger.load(Ordering::Relaxed) {
            let looked = timeout(ANSWER_TIME_MAX, migrate::is_current(&mut connection)).await;
            if !self.in_time(looked, &mut connection)?? {
                return Ok(None);
            }
            self.has_ledger.store(true, Ordering::Relaxed);
        }
        Ok(Some(connection))
    }

    /// What was asked over a session, unless no answer came in time.
    pub(super) fn in_time<T>(
        &self,
        answered: Result<T, Elapsed>,
        session: &mut PoolConnection<Postgres>,
    ) -> Result<T, Problem> {
        answered.map_err(|_| {
            tracing::warn!(job = self.name, "the job's database does not answer in time");
            // Before the pool takes one back it asks it something, and waits as long as it is silent.
            session.close_on_drop();
            Problem::silent()
        })
    }
}

/// The same as a question that may be asked beside others.
async fn tables_of(job: Arc<ServedJob>) -> Result<Arc<Served>, Problem> {
    job.served().await
}

/// Whether a target of the job may be this table; of one without a schema only the
/// database knows in which it is.
fn may_load(job: &Job, name: &TableName) -> bool {
    job.targets.iter().any(|Target { table, .. }| {
        table.without_public() == *name || (table.schema.is_none() && table.name == name.name)
    })
}

/// Reads the job files, and makes ready what reaches their databases and caches; connects to none.
pub(super) fn served_jobs(paths: Vec<PathBuf>) -> Result<Vec<Arc<ServedJob>>, ServeError> {
    let mut pools: Vec<(Secret, PgPool)> = Vec::new();
    let mut jobs: Vec<Arc<ServedJob>> = Vec::with_capacity(paths.len());
    for path in paths {
        let job = Job::load(Some(&path), Overrides::default()).map_err(|error| {
            ServeError::Job { path: path.display().to_string(), error: Box::new(error) }
        })?;
        if jobs.iter().any(|other| other.name == job.name) {
            return Err(ServeError::JobTwice { name: job.name });
        }
        let url = &job.database_url;
        let known = pools.iter().find(|(other, _)| other.expose() == url.expose());
        let pool = if let Some((_, pool)) = known {
            pool.clone()
        } else {
            let pool = database::pool(url, APPLICATION_NAME, CONNECTIONS_MAX)?;
            pools.push((url.clone(), pool.clone()));
            pool
        };
        let cache = match &job.cache {
            Some(settings) => Some(Cache::open(&job.name, settings)?),
            None => None,
        };
        jobs.push(Arc::new(ServedJob {
            name: job.name.clone(),
            path,
            job: Arc::new(job),
            pool,
            cache,
            remembered: Mutex::new(None),
            has_ledger: AtomicBool::new(false),
        }));
    }
    Ok(jobs)
}
