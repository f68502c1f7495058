//! Answers what jobs there are, what each is doing and which files it knows, and starts runs.
//!
//! Invariants: every answer is of jobs that are configured here, and a list is of all of them,
//! whatever their databases do.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use sqlx::PgConnection;
use tokio::time::timeout;
use utoipa::{IntoParams, OpenApi};

use super::access::{Operate, Read};
use super::ask::ask_all;
use super::extract::{InPath, InQuery};
use super::problem::{Answer, Problem, ProblemBody};
use super::shapes::{
    Activity, FileList, JobDetail, JobFile, JobList, JobSummary, JobTarget, LastRun, RunStateWord,
    RunSummary, StartedRun,
};
use super::starter::NotStarted;
use super::state::{ANSWER_TIME_MAX, AppState, ServedJob};
use crate::ledger::quarantine::{self, Filter, State as RowState};
use crate::ledger::times::TimeForm;
use crate::ledger::{LedgerError, RunId, history, live};

/// Where the handlers of this file answer; [`start_run`] shares its path with a list.
pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/api/v1/jobs", get(list_jobs))
        .route("/api/v1/jobs/{job}", get(show_job))
        .route("/api/v1/jobs/{job}/files", get(list_files))
}

#[derive(OpenApi)]
#[openapi(paths(list_jobs, show_job, start_run, list_files))]
struct Document;

/// What the document of the whole API says of them.
pub(super) fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// Which files are meant.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct FilesQuery {
    /// Name behind which the page begins.
    after: Option<String>,
    /// Most files of the page; those of one name are kept together.
    #[param(minimum = 1)]
    limit: Option<u32>,
}

/// List the jobs, each with its last run.
///
/// A job whose database cannot be asked is listed with its `trouble`.
#[utoipa::path(
    get,
    path = "/api/v1/jobs",
    tag = "jobs",
    responses((status = 200, description = "The jobs that are served.", body = JobList))
)]
pub(super) async fn list_jobs(_: Read, State(state): State<AppState>) -> Json<JobList> {
    let mut questions = Vec::with_capacity(state.jobs().len());
    for job in state.jobs() {
        questions.push((job.database(), look_up(Arc::clone(job))));
    }
    let answers = ask_all(questions).await;
    let mut jobs = Vec::with_capacity(answers.len());
    for (job, answer) in state.jobs().iter().zip(answers) {
        jobs.push(job_summary(&state, job, answer));
    }
    Json(JobList { jobs })
}

/// Show one job with its tables.
#[utoipa::path(
    get,
    path = "/api/v1/jobs/{job}",
    tag = "jobs",
    params(("job" = String, Path, description = "Name of the job.")),
    responses((status = 200, description = "The job.", body = JobDetail))
)]
pub(super) async fn show_job(
    _: Read,
    State(state): State<AppState>,
    InPath(name): InPath<String>,
) -> Answer<JobDetail> {
    let job = state.known_job(&name)?;
    let known = look_up(Arc::clone(&job)).await?;
    let summary = job_summary(&state, &job, Ok(known));
    let targets = job.job.targets.iter().map(JobTarget::from).collect();
    Ok(Json(JobDetail { summary, targets }))
}

/// Start a run of a job, as `ferry-client run` would.
///
/// The job file is read anew. The run goes on when nobody listens any more; a
/// run of the job in another process is taken part in.
#[utoipa::path(
    post,
    path = "/api/v1/jobs/{job}/runs",
    tag = "jobs",
    params(("job" = String, Path, description = "Name of the job.")),
    responses(
        (status = 202, description = "The run is about to begin.", body = StartedRun),
        (
            status = 409,
            description = "A run of the job is under way in this process.",
            body = ProblemBody,
            content_type = "application/problem+json"
        )
    )
)]
pub(super) async fn start_run(
    Operate(caller): Operate,
    State(state): State<AppState>,
    InPath(name): InPath<String>,
) -> Result<(StatusCode, Json<StartedRun>), Problem> {
    let job = state.known_job(&name)?;
    let last = match job.ledger().await? {
        Some(mut ledger) => last_seen(&mut ledger, &job.name).await?,
        None => None,
    };
    let run_before = last.as_ref().map(|last| last.run.run_id);
    state.starter().start_run(&job, run_before).map_err(not_started)?;
    tracing::info!(caller = %caller.name, job = job.name, "run started");
    let activity = activity(&state, &job, last.as_ref());
    Ok((StatusCode::ACCEPTED, Json(StartedRun { job: job.name.clone(), activity })))
}

/// List the files that a job knows, and how far each is loaded.
#[utoipa::path(
    get,
    path = "/api/v1/jobs/{job}/files",
    tag = "jobs",
    params(("job" = String, Path, description = "Name of the job."), FilesQuery),
    responses((status = 200, description = "Files by name.", body = FileList))
)]
pub(super) async fn list_files(
    _: Read,
    State(state): State<AppState>,
    InPath(name): InPath<String>,
    InQuery(query): InQuery<FilesQuery>,
) -> Answer<FileList> {
    let job = state.known_job(&name)?;
    let limit = state.page_rows(query.limit)?;
    let Some(mut ledger) = job.ledger().await? else {
        return Ok(Json(FileList { files: Vec::new(), next_after: None }));
    };
    let after = query.after.as_deref();
    let page = live::files(&mut ledger, &job.name, after, limit).await?;
    let last = page.items.last().filter(|_| page.has_more);
    let next_after = last.map(|file| file.status.name.clone());
    let files = page.items.into_iter().map(JobFile::from).collect();
    Ok(Json(FileList { files, next_after }))
}

/// What the ledger says of a job.
#[derive(Default)]
struct Known {
    last: Option<LastSeen>,
    /// Rows in quarantine that wait for a decision.
    open_quarantine: u64,
}

/// The last run of a job, and whether somebody is at it.
struct LastSeen {
    run: RunSummary,
    is_worked_at: bool,
}

/// What is told of a job, whose database may not have answered.
fn job_summary(state: &AppState, job: &ServedJob, answer: Result<Known, Problem>) -> JobSummary {
    let (last, open_quarantine, trouble) = match answer {
        Ok(Known { last, open_quarantine }) => (last, Some(open_quarantine), None),
        Err(problem) => (None, None, Some(problem.detail().to_owned())),
    };
    JobSummary {
        name: job.name.clone(),
        source_url: job.job.source.url.clone(),
        dataset: job.job.source.dataset.clone(),
        tables: job.job.targets.iter().map(|target| target.table.to_string()).collect(),
        activity: activity(state, job, last.as_ref()),
        last_run: last.map(|last| last.run),
        open_quarantine,
        trouble,
    }
}

/// Asks the ledger of a job.
async fn look_up(job: Arc<ServedJob>) -> Result<Known, Problem> {
    let Some(mut ledger) = job.ledger().await? else {
        return Ok(Known::default());
    };
    let looked = timeout(ANSWER_TIME_MAX, known(&mut ledger, &job.name)).await;
    Ok(job.in_time(looked, &mut ledger)??)
}

async fn known(ledger: &mut PgConnection, job: &str) -> Result<Known, LedgerError> {
    let last = last_seen(ledger, job).await?;
    let filter =
        Filter { job: Some(job.to_owned()), state: Some(RowState::Open), ..Filter::default() };
    Ok(Known { last, open_quarantine: quarantine::count(ledger, &filter).await? })
}

async fn last_seen(ledger: &mut PgConnection, job: &str) -> Result<Option<LastSeen>, LedgerError> {
    let runs = history::page(&mut *ledger, job, None, 1, TimeForm::Rfc3339).await?;
    let Some(run) = runs.into_iter().next().map(RunSummary::from) else {
        return Ok(None);
    };
    let is_worked_at =
        run.state == RunStateWord::Running && live::is_worked_at(ledger, RunId(run.run_id)).await?;
    Ok(Some(LastSeen { run, is_worked_at }))
}

fn activity(state: &AppState, job: &ServedJob, last: Option<&LastSeen>) -> Activity {
    let standing = state.starter().standing(&job.name);
    let last = last.map(|last| LastRun {
        run_id: last.run.run_id,
        is_running: last.run.state == RunStateWord::Running,
        is_worked_at: last.is_worked_at,
        started_at: &last.run.started_at,
    });
    Activity::of(standing.as_ref(), last.as_ref())
}

fn not_started(refusal: NotStarted) -> Problem {
    match refusal {
        NotStarted::UnderWay => Problem::conflict(
            "run_in_progress",
            "a run of this job is under way here: wait for its end",
        ),
        NotStarted::Stopping => Problem::unavailable("stopping", "this process is stopping"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_is_under_way_is_a_conflict() {
        let problem = not_started(NotStarted::UnderWay);
        assert_eq!((problem.status(), problem.code()), (StatusCode::CONFLICT, "run_in_progress"));
        assert_eq!(not_started(NotStarted::Stopping).status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
