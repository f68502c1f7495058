//! Answers where the columns of a table come from: columns of the source, and what the stages do to them.

mod trace;
mod words;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use super::access::Read;
use super::extract::InPath;
use super::problem::{Answer, Problem, ProblemBody};
use super::state::AppState;
use crate::error::ClientError;
use crate::job::{Job, Target};
use crate::ledger::runs;
use crate::names::TableName;
use crate::records::ServedTable;

use trace::{TableColumn, trace};

/// Where the handler of this file answers.
pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/api/v1/tables/{table}/lineage", get(show_lineage))
}

#[derive(OpenApi)]
#[openapi(paths(show_lineage))]
struct Document;

/// What the document of the whole API says of it.
pub(super) fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// Where the columns of a table come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct TableLineage {
    /// Name of the table.
    table: String,
    /// Job that loads it.
    job: String,
    #[serde(flatten)]
    lineage: Lineage,
}

/// Columns of a table, and those of the source that do not reach it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Lineage {
    /// Columns of the table that may be looked up, in its order.
    columns: Vec<ColumnLineage>,
    /// Columns of the source of which nothing reaches the table.
    dropped: Vec<DroppedColumn>,
}

/// Where one column comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct ColumnLineage {
    /// Name of the column in the table.
    target: String,
    /// Its type, as PostgreSQL writes it.
    #[serde(rename = "type")]
    type_name: String,
    /// Columns of the source that it is made of; empty if the job does not make it.
    sources: Vec<String>,
    /// What happens on the way, in its order.
    stages: Vec<LineageStage>,
    /// How personal data in it is hidden; null if there is none.
    pii: Option<LineagePii>,
}

/// What one stage does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct LineageStage {
    /// The stage.
    stage: StageName,
    /// What it does, in the words of the job.
    what: String,
}

/// A stage on the way of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum StageName {
    /// Its text is cleaned.
    Clean,
    /// Its values are checked.
    Check,
    /// Another column is made of it before it becomes a pseudonym.
    Derive,
    /// It becomes a pseudonym.
    Pseudonymise,
    /// It is renamed, or an expression makes it.
    Transform,
}

/// How personal data is hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum LineagePii {
    /// Equal values have equal pseudonyms.
    Hash,
    /// Each value has a pseudonym of its own.
    Salted,
    /// All but the last characters are stars.
    Mask,
}

/// A column of the source of which nothing reaches the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct DroppedColumn {
    /// Its name in the source.
    column: String,
    /// Why.
    why: DropReason,
}

/// Why a column of the source does not reach a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(super) enum DropReason {
    /// The job does not ask for it, or not for this table.
    #[serde(rename = "not asked for")]
    NotAskedFor,
    /// `transform.drop` names it.
    #[serde(rename = "drop")]
    Drop,
    /// It is personal data, and not loaded for that.
    #[serde(rename = "pii drop")]
    PiiDrop,
}

/// Show where the columns of a table come from, and what is done to them on the way.
///
/// Read from the job as it was when this process began, and from what the source
/// offered to its last run.
#[utoipa::path(
    get,
    path = "/api/v1/tables/{table}/lineage",
    tag = "tables",
    params(("table" = String, Path, description = "Name of the table, such as `public.users`.")),
    responses(
        (status = 200, description = "Its columns and their ways.", body = TableLineage),
        (
            status = 409,
            description = "The job does not fit what the source offered to its last run.",
            body = ProblemBody,
            content_type = "application/problem+json"
        )
    )
)]
pub(super) async fn show_lineage(
    _: Read,
    State(state): State<AppState>,
    InPath(name): InPath<String>,
) -> Answer<TableLineage> {
    let (job, table) = state.known_table(&name).await?;
    let target = target_of(&job.job, &table.table).ok_or_else(no_target)?;
    let offered = match job.ledger().await? {
        Some(mut ledger) => runs::last_source_columns(&mut ledger, &job.name).await?,
        None => None,
    };
    let offered = offered.unwrap_or_default();
    let columns = table_columns(&table);
    let lineage = trace(&job.job, target, &offered, &columns).map_err(ClientError::from)?;
    Ok(Json(TableLineage { table: table.table.to_string(), job: job.name.clone(), lineage }))
}

fn table_columns(table: &ServedTable) -> Vec<TableColumn<'_>> {
    let columns = table.columns.iter();
    columns.map(|column| TableColumn { name: &column.name, type_name: &column.type_name }).collect()
}

/// The target that a table of the catalogue is; one without a schema is found along the search path.
fn target_of<'a>(job: &'a Job, table: &TableName) -> Option<&'a Target> {
    let name = table.without_public();
    let exact = job.targets.iter().find(|target| target.table.without_public() == name);
    exact.or_else(|| {
        let is_along =
            |target: &&Target| target.table.schema.is_none() && target.table.name == table.name;
        job.targets.iter().find(is_along)
    })
}

fn no_target() -> Problem {
    Problem::not_found("table_not_found", "no job that is served here loads this table")
}

#[cfg(test)]
mod tests;
