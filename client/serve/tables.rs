//! Answers which tables are served, and what their columns are.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use super::access::Read;
use super::extract::InPath;
use super::problem::Answer;
use super::state::AppState;
use crate::records::{ServedColumn, ServedTable, SkippedTable};

#[derive(OpenApi)]
#[openapi(paths(list_tables, show_table))]
struct Document;

pub(super) fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/api/v1/tables", get(list_tables))
        .route("/api/v1/tables/{table}", get(show_table))
}

/// The tables that the jobs load.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TableList {
    /// Those whose records may be looked up.
    tables: Vec<TableSummary>,
    /// Those whose records may not, and why.
    skipped: Vec<TableSkipped>,
    /// Names of the jobs whose databases cannot be asked now; their tables are among `skipped`.
    unavailable: Vec<String>,
}

/// A table whose records may be looked up.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TableSummary {
    /// Name of the table, with its schema.
    table: String,
    /// Name of the job that loads it.
    job: String,
    /// Columns that tell its rows apart.
    key: Vec<String>,
    /// How many columns are served.
    columns: usize,
    /// Whether look-ups go to a cache first.
    cache: bool,
    /// What PostgreSQL takes for the number of its rows; null if it does not know.
    approximate_rows: Option<i64>,
}

/// A table whose records may not be looked up.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TableSkipped {
    /// Name of the table.
    table: String,
    /// Name of the job that loads it.
    job: String,
    /// Why not.
    reason: String,
}

/// A table with its columns.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TableDetail {
    /// Name of the table, with its schema.
    table: String,
    /// Name of the job that loads it.
    job: String,
    /// Columns that tell its rows apart, in their order in a key.
    key: Vec<String>,
    /// How long the cache holds a record; null if there is no cache.
    cache_ttl_seconds: Option<u64>,
    /// In the order of the table.
    columns: Vec<TableColumn>,
}

/// A column that is served.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TableColumn {
    /// Name of the column.
    name: String,
    /// Its type, as PostgreSQL calls it.
    #[serde(rename = "type")]
    type_name: String,
    /// What became of the personal data in it; null if it holds none.
    pii: Option<PiiForm>,
    /// Whether it belongs to the key.
    is_key: bool,
    /// Whether it can be null.
    nullable: bool,
}

/// What became of personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum PiiForm {
    /// A keyed hash.
    Hash,
    /// A keyed hash with a salt of its own.
    Salted,
    /// Stars, but for the last characters.
    Mask,
}

impl From<&ServedTable> for TableSummary {
    fn from(table: &ServedTable) -> Self {
        Self {
            table: table.table.to_string(),
            job: table.job.clone(),
            key: table.key.clone(),
            columns: table.columns.len(),
            cache: table.cache.is_some(),
            approximate_rows: table.approximate_rows,
        }
    }
}

impl From<&SkippedTable> for TableSkipped {
    fn from(skipped: &SkippedTable) -> Self {
        Self {
            table: skipped.table.to_string(),
            job: skipped.job.clone(),
            reason: skipped.reason.clone(),
        }
    }
}

impl From<&ServedTable> for TableDetail {
    fn from(table: &ServedTable) -> Self {
        Self {
            table: table.table.to_string(),
            job: table.job.clone(),
            key: table.key.clone(),
            cache_ttl_seconds: table.cache.as_ref().map(|cache| cache.ttl().as_secs()),
            columns: table.columns.iter().map(TableColumn::from).collect(),
        }
    }
}

impl From<&ServedColumn> for TableColumn {
    fn from(column: &ServedColumn) -> Self {
        Self {
            name: column.name.clone(),
            type_name: column.type_name.clone(),
            pii: column.pii.and_then(PiiForm::of_word),
            is_key: column.is_key,
            nullable: column.is_nullable,
        }
    }
}

impl PiiForm {
    fn of_word(word: &str) -> Option<Self> {
        match word {
            "hash" => Some(Self::Hash),
            "salted" => Some(Self::Salted),
            "mask" => Some(Self::Mask),
            _ => None,
        }
    }
}

/// List the tables that the jobs load.
#[utoipa::path(
    get,
    path = "/api/v1/tables",
    tag = "tables",
    responses((status = 200, description = "The tables.", body = TableList))
)]
pub(super) async fn list_tables(_: Read, State(state): State<AppState>) -> Answer<TableList> {
    let all = state.tables().await?;
    Ok(Json(TableList {
        tables: all.tables.iter().map(TableSummary::from).collect(),
        skipped: all.skipped.iter().map(TableSkipped::from).collect(),
        unavailable: all.unavailable,
    }))
}

/// Show a table with its columns.
#[utoipa::path(
    get,
    path = "/api/v1/tables/{table}",
    tag = "tables",
    params(("table" = String, Path, description = "Name of the table, such as `public.users`.")),
    responses((status = 200, description = "The table.", body = TableDetail))
)]
pub(super) async fn show_table(
    _: Read,
    State(state): State<AppState>,
    InPath(name): InPath<String>,
) -> Answer<TableDetail> {
    let (_, table) = state.known_table(&name).await?;
    Ok(Json(TableDetail::from(&table)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::JsonKind;

    #[test]
    fn a_column_says_what_became_of_personal_data() {
        let column = |pii| ServedColumn {
            name: "email".to_owned(),
            type_name: "bytea".to_owned(),
            kind: JsonKind::Text,
            pii,
            is_key: false,
            is_nullable: true,
            sql_type: "bytea".to_owned(),
        };
        let json = |pii| serde_json::to_value(TableColumn::from(&column(pii))).expect("JSON");
        let expected = serde_json::json!({
            "name": "email", "type": "bytea", "pii": "hash", "is_key": false, "nullable": true,
        });
        assert_eq!(json(Some("hash")), expected);
        assert_eq!(json(None)["pii"], serde_json::Value::Null);
    }
}
