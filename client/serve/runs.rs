//! Answers which runs there were, and all of one of them: files, rejects, workers, splits, commits in time.
//!
//! Invariant: a run of a job that is not configured here is as good as none.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use tokio::time::timeout;
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::access::Read;
use super::extract::{InPath, InQuery};
use super::jobs;
use super::problem::{Answer, Problem};
use super::shapes::{CommitPoint, RunDetail, RunSplit, RunSummary};
use super::state::{ANSWER_TIME_MAX, AppState, ServedJob};
use crate::ledger::times::TimeForm;
use crate::ledger::{RunId, accounts, history, live};

/// Where the handlers of this file answer, and where a run is started.
pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/api/v1/jobs/{job}/runs", get(list_runs).post(jobs::start_run))
        .route("/api/v1/runs/{run_id}", get(show_run))
        .route("/api/v1/runs/{run_id}/splits", get(list_splits))
        .route("/api/v1/runs/{run_id}/commits", get(list_commits))
}

#[derive(OpenApi)]
#[openapi(paths(list_runs, show_run, list_splits, list_commits))]
struct Document;

/// What the document of the whole API says of them.
pub(super) fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// Runs of a job.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RunList {
    /// The newest first.
    runs: Vec<RunSummary>,
    /// `before` of the next page; null on the last one.
    next_before: Option<i64>,
}

/// Splits of a run.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SplitList {
    /// By their numbers.
    splits: Vec<RunSplit>,
    /// `after` of the next page; null on the last one.
    next_after: Option<i64>,
}

/// What a run committed in the course of time.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CommitList {
    /// In the order of time.
    #[schema(max_items = 300)]
    points: Vec<CommitPoint>,
}

/// Which runs are meant.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RunsQuery {
    /// Only runs that began before this one.
    before: Option<i64>,
    /// Most runs of the page.
    #[param(minimum = 1)]
    limit: Option<u32>,
}

/// Which run is meant, where a number alone does not say it.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RunQuery {
    /// Job of the run: needed only if jobs of several databases are served, which number their runs alike.
    pub(super) job: Option<String>,
}

/// Which splits are meant.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SplitsQuery {
    /// Job of the run: needed only if jobs of several databases are served, which number their runs alike.
    job: Option<String>,
    /// Number of the split behind which the page begins.
    after: Option<i64>,
    /// Most splits of the page.
    #[param(minimum = 1)]
    limit: Option<u32>,
}

/// List the runs of a job.
#[utoipa::path(
    get,
    path = "/api/v1/jobs/{job}/runs",
    tag = "runs",
    params(("job" = String, Path, description = "Name of the job."), RunsQuery),
    responses((status = 200, description = "Runs, the newest first.", body = RunList))
)]
pub(super) async fn list_runs(
    _: Read,
    State(state): State<AppState>,
    InPath(name): InPath<String>,
    InQuery(query): InQuery<RunsQuery>,
) -> Answer<RunList> {
    let job = state.known_job(&name)?;
    let limit = state.page_rows(query.limit)?;
    let Some(mut ledger) = job.ledger().await? else {
        return Ok(Json(RunList { runs: Vec::new(), next_before: None }));
    };
    let before = query.before.map(RunId);
    let asked = i64::from(limit) + 1;
    let runs = history::page(&mut ledger, &job.name, before, asked, TimeForm::Rfc3339).await?;
    let page = live::Page::of(runs, limit);
    let next_before = page.items.last().filter(|_| page.has_more).map(|run| run.run_id.0);
    let runs = page.items.into_iter().map(RunSummary::from).collect();
    Ok(Json(RunList { runs, next_before }))
}

/// Show one run with its files, rejects and workers.
#[utoipa::path(
    get,
    path = "/api/v1/runs/{run_id}",
    tag = "runs",
    params(("run_id" = i64, Path, description = "Number of the run."), RunQuery),
    responses((status = 200, description = "The run.", body = RunDetail))
)]
pub(super) async fn show_run(
    _: Read,
    State(state): State<AppState>,
    InPath(run_id): InPath<i64>,
    InQuery(query): InQuery<RunQuery>,
) -> Answer<RunDetail> {
    let mut found = find_run(&state, run_id, query.job.as_deref()).await?;
    let (connection, run_id) = (&mut *found.connection, RunId(run_id));
    let details = history::run(connection, run_id, TimeForm::Rfc3339).await?;
    let details = details.ok_or_else(no_run)?;
    let files = accounts::accounts(connection, run_id).await?;
    let rejects = accounts::reject_counts(connection, run_id).await?;
    Ok(Json(RunDetail::of(details, files, rejects)))
}

/// List the splits of a run, and how far each is.
#[utoipa::path(
    get,
    path = "/api/v1/runs/{run_id}/splits",
    tag = "runs",
    params(("run_id" = i64, Path, description = "Number of the run."), SplitsQuery),
    responses((status = 200, description = "Splits by their numbers.", body = SplitList))
)]
pub(super) async fn list_splits(
    _: Read,
    State(state): State<AppState>,
    InPath(run_id): InPath<i64>,
    InQuery(query): InQuery<SplitsQuery>,
) -> Answer<SplitList> {
    let limit = state.page_rows(query.limit)?;
    let mut found = find_run(&state, run_id, query.job.as_deref()).await?;
    let after = query.after.unwrap_or_default();
    let page = live::splits(&mut found.connection, RunId(run_id), after, limit).await?;
    let next_after = page.items.last().filter(|_| page.has_more).map(|split| split.split_id.0);
    let splits = page.items.into_iter().map(RunSplit::from).collect();
    Ok(Json(SplitList { splits, next_after }))
}

/// Show how many records a run dealt with in the course of time.
///
/// The time from its first commit to its last is cut into equal parts; each part
/// in which something was committed is a point.
#[utoipa::path(
    get,
    path = "/api/v1/runs/{run_id}/commits",
    tag = "runs",
    params(("run_id" = i64, Path, description = "Number of the run."), RunQuery),
    responses((status = 200, description = "At most 300 points.", body = CommitList))
)]
pub(super) async fn list_commits(
    _: Read,
    State(state): State<AppState>,
    InPath(run_id): InPath<i64>,
    InQuery(query): InQuery<RunQuery>,
) -> Answer<CommitList> {
    let mut found = find_run(&state, run_id, query.job.as_deref()).await?;
    let points = live::points(&mut found.connection, RunId(run_id)).await?;
    Ok(Json(CommitList { points: points.into_iter().map(CommitPoint::from).collect() }))
}

/// A run of a job that is configured here.
pub(super) struct FoundRun {
    /// Its job.
    pub(super) job: Arc<ServedJob>,
    /// A session of the database that knows it.
    pub(super) connection: PoolConnection<Postgres>,
}

/// Looks a run up in the databases of all jobs, or in that of the job that is named.
///
/// Where several databases have a run of that number, the first one is meant.
pub(super) async fn find_run(
    state: &AppState,
    run_id: i64,
    job: Option<&str>,
) -> Result<FoundRun, Problem> {
    let named = job.map(|name| state.known_job(name)).transpose()?;
    let mut problem = no_run();
    let mut asked = HashSet::new();
    for job in state.jobs() {
        if named.as_ref().is_some_and(|named| named.name != job.name) {
            continue;
        }
        if !asked.insert(job.database()) {
            continue;
        }
        match look_up(job, run_id).await {
            Ok(Some((name, connection))) => {
                let is_owner = |other: &&Arc<ServedJob>| {
                    other.name == name && other.database() == job.database()
                };
                let is_meant = |owner: &&Arc<ServedJob>| {
                    named.as_ref().is_none_or(|named| named.name == owner.name)
                };
                let mut owners = state.jobs().iter();
                if let Some(owner) = owners.find(is_owner).filter(is_meant) {
                    return Ok(FoundRun { job: Arc::clone(owner), connection });
                }
            }
            Ok(None) => {}
            // Another database may know it; if none does, this one might.
            Err(unknown) => problem = unknown,
        }
    }
    Err(problem)
}

/// The name of the job whose run it is, and the session that says so.
async fn look_up(
    job: &ServedJob,
    run_id: i64,
) -> Result<Option<(String, PoolConnection<Postgres>)>, Problem> {
    let Some(mut ledger) = job.ledger().await? else {
        return Ok(None);
    };
    let looked = timeout(ANSWER_TIME_MAX, live::job_of(&mut ledger, RunId(run_id))).await;
    let name = job.in_time(looked, &mut ledger)??;
    Ok(name.map(|name| (name, ledger)))
}

fn no_run() -> Problem {
    Problem::not_found("run_not_found", "no job that is served here has a run of this number")
}
