//! Answers what records a table holds: one by its key, or a page of them in the order of their keys.
//!
//! Invariant: only columns that the job lets be served are in an answer, and no
//! key or value is in a log line; who asked for which table is, at level debug.

use std::time::Duration;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::access::Read;
use super::extract::{InPath, InQuery};
use super::key;
use super::problem::{Answer, Problem, bad_cursor};
use super::state::AppState;
use crate::records::{self, Found, ServedTable};

#[derive(OpenApi)]
#[openapi(paths(list_records, show_record))]
struct Document;

pub(super) fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/api/v1/tables/{table}/records", get(list_records))
        // The key of one empty part.
        .route("/api/v1/tables/{table}/records/", get(show_record))
        .route("/api/v1/tables/{table}/records/{key}", get(show_record))
}

/// Which records are meant.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RecordsQuery {
    /// `next` of the page before.
    #[param(pattern = "^([0-9a-f]{2})+$", max_length = 8192)]
    after: Option<String>,
    /// Most records of the page; 50 without it.
    #[param(minimum = 1)]
    limit: Option<u32>,
}

/// A page of records.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RecordList {
    /// Name of the table.
    table: String,
    /// In the order of their keys.
    records: Vec<KeyedRecord>,
    /// Where the next page begins; null on the last one.
    next: Option<String>,
}

/// A record of a page.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeyedRecord {
    /// The key as it stands in a path: parts percent-encoded, a comma between each two.
    key: String,
    /// The columns that are served.
    #[schema(value_type = Object)]
    record: Map<String, Value>,
}

/// One record.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RecordAnswer {
    /// Name of the table.
    table: String,
    /// The key as it stands in a path.
    key: String,
    /// The columns that are served.
    #[schema(value_type = Object)]
    record: Map<String, Value>,
    /// Where it was found.
    found_in: RecordPlace,
    /// How long the cache will hold it; null if it was not found there.
    #[schema(minimum = 0)]
    ttl_seconds: Option<f64>,
}

/// Where a record was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum RecordPlace {
    Cache,
    Database,
}

impl From<records::FoundIn> for RecordPlace {
    fn from(place: records::FoundIn) -> Self {
        match place {
            records::FoundIn::Cache => Self::Cache,
            records::FoundIn::Database => Self::Database,
        }
    }
}

/// A page of records, and the cursor of the next one.
pub(super) struct Page {
    pub(super) table: ServedTable,
    pub(super) rows: Vec<Vec<(String, Option<String>)>>,
    pub(super) next: Option<String>,
}

/// The last part of a path as it was sent, read as a key; `None` if no row can have it.
#[derive(Debug)]
pub(super) struct SentKey(Option<Vec<String>>);

impl<S: Send + Sync> FromRequestParts<S> for SentKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let (_, sent) = parts.uri.path().rsplit_once('/').unwrap_or_default();
        Ok(Self(key::from_path(sent)))
    }
}

/// Name of the table, from a path that may go on behind it.
#[derive(Debug, Deserialize)]
pub(super) struct OfTable {
    table: String,
}

/// List the records of a table in the order of their keys.
///
/// The pages of a table that is loaded meanwhile hold each record once, as it was when its page was read.
#[utoipa::path(
    get,
    path = "/api/v1/tables/{table}/records",
    tag = "tables",
    params(("table" = String, Path, description = "Name of the table, such as `public.users`."), RecordsQuery),
    responses((status = 200, description = "A page of records.", body = RecordList))
)]
pub(super) async fn list_records(
    Read(caller): Read,
    State(state): State<AppState>,
    InPath(name): InPath<String>,
    InQuery(query): InQuery<RecordsQuery>,
) -> Answer<RecordList> {
    let limit = state.page_rows(query.limit)?;
    let Page { table, rows, next } =
        record_page(&state, &name, query.after.as_deref(), limit).await?;
    let mut records = Vec::with_capacity(rows.len());
    for fields in rows {
        let key = table.key_of(&fields).unwrap_or_default();
        let record = records::to_json(&table.columns, &fields);
        records.push(KeyedRecord { key: key::to_path(&key), record });
    }
    let table = table.table.to_string();
    tracing::debug!(caller = %caller.name, table, records = records.len(), "records listed");
    Ok(Json(RecordList { table, records, next }))
}

/// Show the record with a key.
///
/// It is looked up in the cache, if the table has one, and then in the table.
/// A key of several columns is written as its parts, each percent-encoded, with a comma between each two.
#[utoipa::path(
    get,
    path = "/api/v1/tables/{table}/records/{key}",
    tag = "tables",
    params(
        ("table" = String, Path, description = "Name of the table, such as `public.users`."),
        ("key" = String, Path, description = "The key: its parts, percent-encoded, with a comma between each two.")
    ),
    responses((status = 200, description = "The record.", body = RecordAnswer))
)]
pub(super) async fn show_record(
    Read(caller): Read,
    State(state): State<AppState>,
    InPath(of): InPath<OfTable>,
    SentKey(key): SentKey,
) -> Answer<RecordAnswer> {
    let key = key.ok_or_else(no_such_record)?;
    let (table, found) = look_up(&state, &of.table, &key).await?;
    let name = table.table.to_string();
    tracing::debug!(caller = %caller.name, table = name, "a record looked up");
    // As PostgreSQL writes it: `007` finds 7.
    let key = table.key_of(&found.fields).unwrap_or(key);
    Ok(Json(RecordAnswer {
        record: records::to_json(&table.columns, &found.fields),
        table: name,
        key: key::to_path(&key),
        found_in: found.found_in.into(),
        ttl_seconds: found.ttl.as_ref().map(Duration::as_secs_f64),
    }))
}

/// Looks a record up by its key.
pub(super) async fn look_up(
    state: &AppState,
    table: &str,
    key: &[String],
) -> Result<(ServedTable, Found), Problem> {
    let (job, table) = state.known_table(table).await?;
    // PostgreSQL holds no NUL, and says so with an error.
    if key.len() != table.key.len() || key.iter().any(|part| part.contains('\0')) {
        return Err(no_such_record());
    }
    match records::look_up(&job.pool, &table, key).await? {
        Some(found) => Ok((table, found)),
        None => Err(no_such_record()),
    }
}

/// Reads a page of records.
pub(super) async fn record_page(
    state: &AppState,
    table: &str,
    after: Option<&str>,
    limit: u32,
) -> Result<Page, Problem> {
    let (job, table) = state.known_table(table).await?;
    let name = table.table.to_string();
    let after = match after {
        None => None,
        Some(cursor) => Some(key::from_cursor(&name, cursor).ok_or_else(bad_cursor)?),
    };
    let page = records::page(&job.pool, &table, after.as_deref(), limit).await?;
    let next = page.next.and_then(|key| key::to_cursor(&name, &key));
    Ok(Page { table, rows: page.rows, next })
}

fn no_such_record() -> Problem {
    Problem::not_found("record_not_found", "the table has no record with this key")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    async fn sent(uri: &str) -> Option<Vec<String>> {
        let (mut parts, ()) = Request::get(uri).body(()).expect("a request").into_parts();
        let key = SentKey::from_request_parts(&mut parts, &()).await;
        key.map(|SentKey(key)| key).unwrap_or_default()
    }

    #[tokio::test]
    async fn a_key_is_read_before_its_commas_are_decoded() {
        let key = |parts: &[&str]| {
            Some(parts.iter().map(|part| (*part).to_owned()).collect::<Vec<String>>())
        };
        assert_eq!(sent("/t/records/7,Ann%2C%20Lee?x=1").await, key(&["7", "Ann, Lee"]));
        assert_eq!(sent("/t/records/a%2Fb").await, key(&["a/b"]));
        assert_eq!(sent("/t/records/").await, key(&[""]));
        assert_eq!(sent("/t/records/%00").await, None);
    }

    #[test]
    fn an_answer_has_the_documented_form() {
        let answer = RecordAnswer {
            table: "public.users".to_owned(),
            key: "7".to_owned(),
            record: Map::new(),
            found_in: records::FoundIn::Cache.into(),
            ttl_seconds: Some(1.5),
        };
        let expected = serde_json::json!({
            "table": "public.users", "key": "7", "record": {},
            "found_in": "cache", "ttl_seconds": 1.5,
        });
        assert_eq!(serde_json::to_value(&answer).expect("JSON"), expected);
    }
}
