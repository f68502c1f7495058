//! Turns the targets of a job into tables that may be looked up, and says of the others why not.
//!
//! Invariant: a column is shown only if the job names it for that, or else if
//! the job's last run has loaded it.

use ferry::schema::ColumnType;
use serde::Deserialize;
use sqlx::PgConnection;

use super::{JsonKind, RecordError, Served, ServedColumn, ServedTable, SkippedTable};
use crate::cache::Cache;
use crate::job::{CachePolicy, Job, Pii, ServePolicy, Target};
use crate::ledger::{LedgerError, migrate, runs};
use crate::load::catalogue::{CatalogueError, TargetColumn, TargetTable};
use crate::names::TableName;
use crate::pseudonym::salt_name;

const ROWS: &str = "
SELECT c.reltuples::bigint FROM pg_catalog.pg_class AS c WHERE c.oid = to_regclass($1)";

/// What a run did to a column of the source, as far as it matters here.
#[derive(Deserialize)]
struct LoadedColumn {
    name: String,
    /// None if the column was left at the source.
    read_as: Option<String>,
    pii_mode: Option<String>,
}

/// Finds what of a job's targets may be looked up; `cache` is that of the job.
pub(crate) async fn served_tables(
    connection: &mut PgConnection,
    job: &Job,
    cache: Option<&Cache>,
) -> Result<Served, RecordError> {
    let loaded = loaded_names(connection, job).await?;
    let mut served = Served { tables: Vec::new(), skipped: Vec::new() };
    for target in &job.targets {
        match served_table(connection, job, target, loaded.as_deref()).await? {
            Ok(mut table) => {
                // Entries are under the key of the job.
                let is_cached = target.cache == CachePolicy::On && table.key == target.key;
                table.cache = cache.filter(|_| is_cached).cloned();
                served.tables.push(table);
            }
            Err(skipped) => served.skipped.push(skipped),
        }
    }
    Ok(served)
}

/// A table without its cache, or why it is not served.
async fn served_table(
    connection: &mut PgConnection,
    job: &Job,
    target: &Target,
    loaded: Option<&[String]>,
) -> Result<Result<ServedTable, SkippedTable>, RecordError> {
    let skipped = |table: &TableName, reason: String| {
        Err(SkippedTable { job: job.name.clone(), table: table.clone(), reason })
    };
    let found = match TargetTable::lookup(connection, &target.table).await {
        Ok(Some(found)) => found,
        Ok(None) => {
            let reason = "there is no such table yet: run the job".to_owned();
            return Ok(skipped(&target.table, reason));
        }
        Err(CatalogueError::Database(error)) => return Err(error.into()),
        Err(refused) => return Ok(skipped(&target.table, refused.to_string())),
    };
    let allowed = match allowed_names(target, loaded) {
        Ok(allowed) => allowed,
        Err(reason) => return Ok(skipped(&found.name, reason.to_owned())),
    };
    let rows: Option<i64> =
        sqlx::query_scalar(ROWS).bind(found.name.to_sql()).fetch_optional(connection).await?;
    // A table that was never analysed has -1 rows.
    let approximate_rows = rows.filter(|rows| *rows >= 0);
    match shown(job, target, &found, allowed) {
        Ok(table) => Ok(Ok(ServedTable { approximate_rows, ..table })),
        Err(reason) => Ok(skipped(&found.name, reason)),
    }
}

/// What of a table is shown.
fn shown(
    job: &Job,
    target: &Target,
    found: &TargetTable,
    allowed: &[String],
) -> Result<ServedTable, String> {
    let is_allowed = |column: &&TargetColumn| column.may_select && allowed.contains(&column.name);
    let columns: Vec<&TargetColumn> = found.columns.iter().filter(is_allowed).collect();
    let is_shown = |name: &String| columns.iter().any(|column| column.name == *name);
    let is_usable = |key: &&Vec<String>| {
        !key.is_empty() && key.iter().all(is_shown) && found.has_unique_key(key)
    };
    let mut candidates = std::iter::once(&target.key).chain(&found.unique_keys);
    let key = candidates.find(is_usable).cloned().ok_or(
        "no unique index is on columns that are shown, by which its rows could be asked for: add one, or set key and serve_columns",
    )?;
    let column = |column: &&TargetColumn| ServedColumn {
        name: column.name.clone(),
        type_name: column.type_name.clone(),
        kind: kind_of(column),
        pii: treatment_of(job, &column.name),
        is_key: key.contains(&column.name),
        is_nullable: !column.is_not_null,
        sql_type: column.store.compared_as().to_owned(),
    };
    let columns = columns.iter().map(column).collect();
    Ok(ServedTable {
        job: job.name.clone(),
        table: found.name.clone(),
        key,
        columns,
        cache: None,
        approximate_rows: None,
    })
}

/// Names of the columns that the job allows, or why there are none.
fn allowed_names<'a>(
    target: &'a Target,
    loaded: Option<&'a [String]>,
) -> Result<&'a [String], &'static str> {
    match &target.serve {
        ServePolicy::Hidden => Err("the job says serve = false"),
        ServePolicy::Columns(names) => Ok(names),
        ServePolicy::Loaded if !target.columns.is_empty() => Ok(&target.columns),
        ServePolicy::Loaded => loaded.ok_or("no run of the job has loaded it yet: run the job"),
    }
}

/// Names of the columns that the job's last run could load; none without a run.
async fn loaded_names(
    connection: &mut PgConnection,
    job: &Job,
) -> Result<Option<Vec<String>>, RecordError> {
    if !migrate::exists(connection).await? {
        return Ok(None);
    }
    let Some(columns) = runs::last_columns(connection, &job.name).await? else {
        return Ok(None);
    };
    let invalid = |_| LedgerError::Invalid { what: "list of columns of a run" };
    let columns: Vec<LoadedColumn> = serde_json::from_str(&columns).map_err(invalid)?;
    Ok(Some(names_after(job, &columns)))
}

/// Names under which columns of the source, and those made of them, are loaded.
fn names_after(job: &Job, columns: &[LoadedColumn]) -> Vec<String> {
    let mut names = Vec::new();
    for column in columns {
        let mode = column.pii_mode.as_deref();
        if column.read_as.is_none() || mode == Some("drop") {
            continue;
        }
        names.push(column.name.clone());
        if mode == Some("salted") {
            names.push(salt_name(&column.name));
        }
    }
    let transform = &job.transform;
    let made = transform.derive_before_hash.iter().chain(&transform.set);
    names.extend(made.map(|(name, _)| name.clone()));
    names.retain(|name| !transform.drop.contains(name));
    // All at once, so that two columns can change names.
    for name in &mut names {
        if let Some((_, new)) = transform.rename.iter().find(|(old, _)| old == name) {
            name.clone_from(new);
        }
    }
    names
}

/// What the job did to personal data in a column of a target.
fn treatment_of(job: &Job, name: &str) -> Option<&'static str> {
    let transform = &job.transform;
    let renamed = transform.rename.iter().find(|(_, new)| new == name);
    let source = renamed.map_or(name, |(old, _)| old.as_str());
    if transform.set.iter().any(|(set, _)| set == source) {
        return None;
    }
    job.columns.iter().find_map(|rule| match &rule.pii {
        Some(Pii::Hash { .. }) if rule.name == source => Some("hash"),
        Some(Pii::Mask { .. }) if rule.name == source => Some("mask"),
        Some(Pii::Salted { .. }) if rule.name == source || salt_name(&rule.name) == source => {
            Some("salted")
        }
        _ => None,
    })
}

fn kind_of(column: &TargetColumn) -> JsonKind {
    if column.store.cast.as_deref() == Some("pg_catalog.json") {
        return JsonKind::Json;
    }
    match column.column_type {
        Some(
            ColumnType::Smallint
            | ColumnType::Integer
            | ColumnType::Bigint
            | ColumnType::Real
            | ColumnType::DoublePrecision,
        ) => JsonKind::Number,
        Some(ColumnType::Boolean) => JsonKind::Boolean,
        Some(ColumnType::Jsonb) => JsonKind::Json,
        _ => JsonKind::Text,
    }
}

#[cfg(test)]
mod tests;
