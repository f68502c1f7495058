//! Answers which rows a job refused, and replays or discards those that are named.
//!
//! Invariants: a row of another job is as good as none; a record is shown alone,
//! never in a list, and as it was kept after pseudonymisation. Bounds: 500 rows
//! are replayed or discarded at once.

use std::ops::RangeInclusive;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::access::{Operate, Read};
use super::extract::{InBody, InPath, InQuery};
use super::problem::{Answer, Problem, ProblemBody};
use super::shapes::{QuarantineEntry, QuarantineState, QuarantinedRecord};
use super::state::{AppState, ServedJob};
use crate::ledger::RunId;
use crate::ledger::live::Page;
use crate::ledger::quarantine::{self as ledger, Filter};
use crate::ledger::times::TimeForm;
use crate::quarantine::{ReplayCounts, discard_rows};

/// Rows that may be named at once.
const IDS: RangeInclusive<usize> = 1..=500;

/// Where the handlers of this file answer.
pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/api/v1/jobs/{job}/quarantine", get(list_quarantine))
        .route("/api/v1/jobs/{job}/quarantine/{id}", get(show_quarantined))
        .route("/api/v1/jobs/{job}/quarantine/replay", post(replay_quarantined))
        .route("/api/v1/jobs/{job}/quarantine/discard", post(discard_quarantined))
}

#[derive(OpenApi)]
#[openapi(paths(list_quarantine, show_quarantined, replay_quarantined, discard_quarantined))]
struct Document;

/// What the document of the whole API says of them.
pub(super) fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// Refused rows of a job.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct QuarantineList {
    /// By their numbers.
    rows: Vec<QuarantineEntry>,
    /// `after` of the next page; null on the last one.
    next_after: Option<i64>,
    /// Rows that are meant, on all pages together.
    total: u64,
}

/// Which refused rows are meant: those that fit every parameter.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct QuarantineQuery {
    /// How they stand.
    state: Option<QuarantineState>,
    /// Code of any of their reasons; of the same reason as `column`, if both are set.
    code: Option<String>,
    /// Column of any of their reasons.
    column: Option<String>,
    /// Name of the file that they lie in.
    file: Option<String>,
    /// Run that refused them.
    run: Option<i64>,
    /// Number of the row behind which the page begins.
    after: Option<i64>,
    /// Most rows of the page.
    #[param(minimum = 1)]
    limit: Option<u32>,
}

impl QuarantineQuery {
    fn filter(&self, job: &str) -> Filter {
        Filter {
            job: Some(job.to_owned()),
            run: self.run.map(RunId),
            code: self.code.clone(),
            column: self.column.clone(),
            file: self.file.clone(),
            state: self.state.map(Into::into),
            ids: Vec::new(),
        }
    }
}

/// Rows that are named.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NamedRows {
    /// Their numbers in quarantine; those of other jobs, and of rows that are not open, mean nothing.
    #[schema(min_items = 1, max_items = 500)]
    ids: Vec<i64>,
}

impl NamedRows {
    fn checked(self) -> Result<Vec<i64>, Problem> {
        if IDS.contains(&self.ids.len()) {
            return Ok(self.ids);
        }
        let text = format!("`ids` must name {} to {} rows", IDS.start(), IDS.end());
        Err(Problem::bad_request("bad_ids", text))
    }
}

/// What became of rows that were read again. Those that were not open are in none of the counts.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct ReplayedRows {
    /// Rows that are in the targets now.
    loaded: u64,
    /// Rows that the job leaves out now.
    filtered: u64,
    /// Rows that stay in quarantine.
    refused: u64,
    /// Those of the refused ones whose bytes are no record of their own any more.
    not_a_record: u64,
    /// Rows that stay in quarantine too, because their files cannot be read any more.
    unread: u64,
}

impl From<ReplayCounts> for ReplayedRows {
    fn from(counts: ReplayCounts) -> Self {
        let ReplayCounts { loaded, filtered, refused, not_a_record, unread } = counts;
        Self { loaded, filtered, refused, not_a_record, unread }
    }
}

/// How many rows were given up.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DiscardedRows {
    /// Rows that were open, and are not any more.
    discarded: u64,
}

/// List the rows that a job refused, without their records.
#[utoipa::path(
    get,
    path = "/api/v1/jobs/{job}/quarantine",
    tag = "quarantine",
    params(("job" = String, Path, description = "Name of the job."), QuarantineQuery),
    responses((status = 200, description = "Refused rows by their numbers.", body = QuarantineList))
)]
pub(super) async fn list_quarantine(
    _: Read,
    State(state): State<AppState>,
    InPath(name): InPath<String>,
    InQuery(query): InQuery<QuarantineQuery>,
) -> Answer<QuarantineList> {
    let job = state.known_job(&name)?;
    let limit = state.page_rows(query.limit)?;
    let Some(mut connection) = job.ledger().await? else {
        return Ok(Json(QuarantineList { rows: Vec::new(), next_after: None, total: 0 }));
    };
    let filter = query.filter(&job.name);
    let after = query.after.unwrap_or_default();
    let asked = i64::from(limit) + 1;
    let rows = ledger::page(&mut connection, &filter, after, asked, TimeForm::Rfc3339).await?;
    let total = ledger::count(&mut connection, &filter).await?;
    let page = Page::of(rows, limit);
    let next_after = page.items.last().filter(|_| page.has_more).map(|row| row.id);
    let rows = page.items.into_iter().map(QuarantineEntry::from).collect();
    Ok(Json(QuarantineList { rows, next_after, total }))
}

/// Show one refused row with what was kept of its record.
///
/// The record is as it was kept after pseudonymisation.
#[utoipa::path(
    get,
    path = "/api/v1/jobs/{job}/quarantine/{id}",
    tag = "quarantine",
    params(
        ("job" = String, Path, description = "Name of the job."),
        ("id" = i64, Path, description = "Number of the row in quarantine.")
    ),
    responses((status = 200, description = "The row.", body = QuarantinedRecord))
)]
pub(super) async fn show_quarantined(
    _: Read,
    State(state): State<AppState>,
    InPath((name, id)): InPath<(String, i64)>,
) -> Answer<QuarantinedRecord> {
    let job = state.known_job(&name)?;
    let mut connection = job.ledger().await?.ok_or_else(no_row)?;
    let filter = Filter { job: Some(job.name.clone()), ids: vec![id], ..Filter::default() };
    let rows = ledger::page(&mut connection, &filter, 0, 1, TimeForm::Rfc3339).await?;
    let row = rows.into_iter().next().ok_or_else(no_row)?;
    Ok(Json(row.into()))
}

/// Ask the source for refused rows again, and load those that pass the job as it is now.
///
/// The job file is read anew. What was begun goes on when nobody waits for it any
/// more; then the state of the rows tells what became of them.
#[utoipa::path(
    post,
    path = "/api/v1/jobs/{job}/quarantine/replay",
    tag = "quarantine",
    params(("job" = String, Path, description = "Name of the job.")),
    request_body = NamedRows,
    responses(
        (status = 200, description = "What became of the rows.", body = ReplayedRows),
        (
            status = 409,
            description = "The rows cannot be replayed as things are.",
            body = ProblemBody,
            content_type = "application/problem+json"
        )
    )
)]
pub(super) async fn replay_quarantined(
    Operate(caller): Operate,
    State(state): State<AppState>,
    InPath(name): InPath<String>,
    InBody(rows): InBody<NamedRows>,
) -> Answer<ReplayedRows> {
    let Named { job, ids, ledger } = named(&state, &name, rows).await?;
    // The replay has sessions of its own.
    drop(ledger);
    let named = ids.len();
    let counts = state.starter().replay(&job, ids).await?;
    tracing::info!(
        caller = %caller.name,
        job = job.name,
        named,
        loaded = counts.loaded,
        filtered = counts.filtered,
        refused = counts.refused,
        unread = counts.unread,
        "rows of quarantine replayed"
    );
    Ok(Json(counts.into()))
}

/// Give refused rows up: they stay counted as quarantined and are not replayed.
#[utoipa::path(
    post,
    path = "/api/v1/jobs/{job}/quarantine/discard",
    tag = "quarantine",
    params(("job" = String, Path, description = "Name of the job.")),
    request_body = NamedRows,
    responses(
        (status = 200, description = "How many rows were given up.", body = DiscardedRows),
        (
            status = 409,
            description = "The job has not run yet.",
            body = ProblemBody,
            content_type = "application/problem+json"
        )
    )
)]
pub(super) async fn discard_quarantined(
    Operate(caller): Operate,
    State(state): State<AppState>,
    InPath(name): InPath<String>,
    InBody(rows): InBody<NamedRows>,
) -> Answer<DiscardedRows> {
    let Named { job, ids, mut ledger } = named(&state, &name, rows).await?;
    let named = ids.len();
    let discarded = discard_rows(&mut ledger, &job.name, ids).await?;
    tracing::info!(
        caller = %caller.name,
        job = job.name,
        named,
        discarded,
        "rows of quarantine discarded"
    );
    Ok(Json(DiscardedRows { discarded }))
}

/// Rows that are to be settled, and where.
struct Named {
    job: Arc<ServedJob>,
    ids: Vec<i64>,
    ledger: PoolConnection<Postgres>,
}

/// Finds the job of rows that a request names.
async fn named(state: &AppState, job: &str, rows: NamedRows) -> Result<Named, Problem> {
    let job = state.known_job(job)?;
    let ids = rows.checked()?;
    let ledger = job.ledger().await?.ok_or_else(no_ledger)?;
    Ok(Named { job, ids, ledger })
}

fn no_row() -> Problem {
    Problem::not_found("row_not_found", "the quarantine of this job has no row of this number")
}

/// Without a ledger of this version there is nothing to settle, and nothing is made for it.
fn no_ledger() -> Problem {
    Problem::conflict(
        "no_ledger",
        "the database has no ledger of this version yet: run the job first",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::quarantine::State as RowState;

    #[test]
    fn rows_are_named_and_not_too_many() {
        let checked = |count: i64| {
            let rows = NamedRows { ids: (0..count).collect() };
            rows.checked().map(|ids| ids.len()).map_err(|problem| problem.code())
        };
        assert_eq!(checked(0), Err("bad_ids"));
        assert_eq!(checked(1), Ok(1));
        assert_eq!(checked(500), Ok(500));
        assert_eq!(checked(501), Err("bad_ids"));
    }

    #[test]
    fn a_query_becomes_a_filter_of_its_job() {
        let query: QuarantineQuery = serde_json::from_value(serde_json::json!({
            "state": "open", "code": "bad_email", "run": 3, "limit": 20,
        }))
        .expect("a query");
        let expected = Filter {
            job: Some("people".to_owned()),
            run: Some(RunId(3)),
            code: Some("bad_email".to_owned()),
            state: Some(RowState::Open),
            ..Filter::default()
        };
        assert_eq!(query.filter("people"), expected);
    }

    #[test]
    fn counts_are_told_as_they_are() {
        let counts =
            ReplayCounts { loaded: 5, filtered: 4, refused: 3, not_a_record: 2, unread: 1 };
        let written = serde_json::to_value(ReplayedRows::from(counts)).expect("an object");
        let expected = serde_json::json!({
            "loaded": 5, "filtered": 4, "refused": 3, "not_a_record": 2, "unread": 1,
        });
        assert_eq!(written, expected);
    }
}
