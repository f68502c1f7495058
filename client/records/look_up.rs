//! Finds a row by its key, first in the cache, then in the database, and reads pages in the order of the key.
//!
//! Invariant: what is put back into the cache is under the key as the table
//! writes it, which a load would write over; `007` is another spelling of 7.

use std::collections::HashMap;

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgPool, Row as _};
use tokio_stream::StreamExt as _;

use super::{Fields, Found, FoundIn, RecordError, RecordPage, ServedTable};
use crate::cache::Lookup;
use crate::database::is_data_exception;
use crate::names::quote_ident;

const PAGE_ROWS_MAX: u32 = 1000;
/// A page ends with the row that reaches so many bytes.
const PAGE_BYTES: usize = 8 << 20;

/// Looks a row up; none if there is no row with this key, or the key cannot be one.
pub(crate) async fn look_up(
    pool: &PgPool,
    table: &ServedTable,
    key: &[String],
) -> Result<Option<Found>, RecordError> {
    if !is_possible(table, key) {
        return Ok(None);
    }
    let mut missed_at = None;
    if let Some(cache) = &table.cache {
        match cache.get(&table.table, key).await {
            Lookup::Hit { fields, ttl } => {
                if let Some(fields) = shown(table, fields) {
                    return Ok(Some(Found { fields, found_in: FoundIn::Cache, ttl: Some(ttl) }));
                }
            }
            Lookup::Miss { at } => missed_at = Some(at),
            Lookup::Unavailable => {}
        }
    }
    let mut query = sqlx::query(AssertSqlSafe(one_statement(table)));
    for part in key {
        query = query.bind(part);
    }
    let row = match query.fetch_optional(pool).await {
        Ok(row) => row,
        Err(error) if is_data_exception(&error) => None,
        Err(error) => return Err(error.into()),
    };
    let Some(row) = row else {
        return Ok(None);
    };
    let fields = read(table, &row)?;
    if let Some(missed_at) = missed_at
        && let (Some(cache), Some(key)) = (&table.cache, table.key_of(&fields))
    {
        cache.refill(&table.table, &key, &fields, missed_at).await;
    }
    Ok(Some(Found { fields, found_in: FoundIn::Database, ttl: None }))
}

/// Reads a page: at most `limit` rows behind the key `after`.
pub(crate) async fn page(
    pool: &PgPool,
    table: &ServedTable,
    after: Option<&[String]>,
    limit: u32,
) -> Result<RecordPage, RecordError> {
    if after.is_some_and(|key| !is_possible(table, key)) {
        return Err(RecordError::BadCursor);
    }
    let limit = limit.clamp(1, PAGE_ROWS_MAX);
    let mut query = sqlx::query(AssertSqlSafe(page_statement(table, after)));
    for part in after.unwrap_or_default() {
        query = query.bind(part);
    }
    // One more than wanted says whether there is more.
    let mut found = query.bind(i64::from(limit) + 1).fetch(pool);
    let mut rows: Vec<Fields> = Vec::new();
    let (mut bytes, mut has_more) = (0, false);
    loop {
        let row = match found.try_next().await {
            Ok(Some(row)) => row,
            Ok(None) => break,
            Err(error) if after.is_some() && is_data_exception(&error) => {
                return Err(RecordError::BadCursor);
            }
            Err(error) => return Err(error.into()),
        };
        if rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX) || bytes >= PAGE_BYTES {
            has_more = true;
            break;
        }
        let fields = read(table, &row)?;
        bytes += fields.iter().filter_map(|(_, text)| Some(text.as_ref()?.len())).sum::<usize>();
        rows.push(fields);
    }
    let next = rows.last().filter(|_| has_more).and_then(|row| table.key_of(row));
    Ok(RecordPage { rows, next })
}

/// Whether there can be a row with this key.
fn is_possible(table: &ServedTable, key: &[String]) -> bool {
    let has_nul = || key.iter().any(|part| part.contains('\0'));
    !key.is_empty() && key.len() == table.key.len() && !has_nul()
}

/// What of an entry is shown; none if it does not know a column that is: it is older
/// than the column, or of somebody who may read less.
fn shown(table: &ServedTable, mut entry: HashMap<String, Option<String>>) -> Option<Fields> {
    let mut fields = Fields::with_capacity(table.columns.len());
    for column in &table.columns {
        fields.push((column.name.clone(), entry.remove(&column.name)?));
    }
    Some(fields)
}

fn read(table: &ServedTable, row: &PgRow) -> Result<Fields, sqlx::Error> {
    let mut fields = Fields::with_capacity(table.columns.len());
    for (index, column) in table.columns.iter().enumerate() {
        fields.push((column.name.clone(), row.try_get(index)?));
    }
    Ok(fields)
}

/// The statement that reads one row; its parameters are the texts of the key.
fn one_statement(table: &ServedTable) -> String {
    let key = table.key_columns().into_iter().enumerate();
    let same = key.map(|(index, column)| {
        format!("t.{} = ${}::text::{}", quote_ident(&column.name), index + 1, column.sql_type)
    });
    format!("{} WHERE {} LIMIT 1", selection(table), same.collect::<Vec<_>>().join(" AND "))
}

/// The statement that reads a page; its parameters are the texts of the key
/// that it begins after, if there is one, and the number of rows.
fn page_statement(table: &ServedTable, after: Option<&[String]>) -> String {
    let key = table.key_columns();
    let (mut names, mut parts, mut conditions) = (Vec::new(), Vec::new(), Vec::new());
    for (index, column) in key.iter().enumerate() {
        let name = format!("t.{}", quote_ident(&column.name));
        parts.push(format!("${}::text::{}", index + 1, column.sql_type));
        if column.is_nullable {
            // No key leads to such a row.
            conditions.push(format!("{name} IS NOT NULL"));
        }
        names.push(name);
    }
    let names = names.join(", ");
    let mut limit = 1;
    if after.is_some() {
        conditions.push(format!("ROW({names}) > ROW({})", parts.join(", ")));
        limit += key.len();
    }
    let mut filter = String::new();
    if !conditions.is_empty() {
        filter = format!(" WHERE {}", conditions.join(" AND "));
    }
    format!("{}{filter} ORDER BY {names} LIMIT ${limit}::bigint", selection(table))
}

fn selection(table: &ServedTable) -> String {
    let texts = table.columns.iter().map(|column| format!("t.{}::text", quote_ident(&column.name)));
    let texts: Vec<String> = texts.collect();
    format!("SELECT {} FROM {} AS t", texts.join(", "), table.table.to_sql())
}

#[cfg(test)]
mod tests {
    use super::super::tests::table;
    use super::*;

    const SELECTION: &str =
        r#"SELECT t."uid"::text, t."Day"::text, t."note"::text FROM "public"."users" AS t"#;

    #[test]
    fn a_row_is_found_by_all_parts_of_its_key() {
        let expected = r#" WHERE t."Day" = $1::text::date AND t."uid" = $2::text::integer LIMIT 1"#;
        assert_eq!(one_statement(&table(&["Day", "uid"])), format!("{SELECTION}{expected}"));
    }

    #[test]
    fn pages_follow_the_key() {
        let table = table(&["uid", "note"]);
        let first = r#" WHERE t."note" IS NOT NULL ORDER BY t."uid", t."note" LIMIT $1::bigint"#;
        assert_eq!(page_statement(&table, None), format!("{SELECTION}{first}"));
        let next = r#" WHERE t."note" IS NOT NULL AND ROW(t."uid", t."note") > ROW($1::text::integer, $2::text::text) ORDER BY t."uid", t."note" LIMIT $3::bigint"#;
        assert_eq!(page_statement(&table, Some(&[])), format!("{SELECTION}{next}"));
    }

    #[test]
    fn a_key_of_another_shape_is_no_key() {
        let table = table(&["uid", "Day"]);
        let is = |key: &[&str]| {
            let key: Vec<String> = key.iter().map(|part| (*part).to_owned()).collect();
            is_possible(&table, &key)
        };
        assert!(is(&["7", "2026-01-31"]));
        for key in [&[] as &[&str], &["7"], &["7", "8", "9"], &["7", "a\0b"]] {
            assert!(!is(key), "{key:?}");
        }
    }

    #[test]
    fn an_entry_of_fewer_columns_than_are_shown_is_none() {
        let table = table(&["uid"]);
        let entry = |names: &[&str]| {
            let field =
                |name: &&str| ((*name).to_owned(), (*name == "uid").then(|| "7".to_owned()));
            names.iter().map(field).collect::<HashMap<_, _>>()
        };
        let all = shown(&table, entry(&["uid", "Day", "note", "secret"])).expect("all are known");
        let uid = ("uid".to_owned(), Some("7".to_owned()));
        assert_eq!(all, [uid, ("Day".to_owned(), None), ("note".to_owned(), None)]);
        assert!(shown(&table, entry(&["uid", "Day"])).is_none(), "is the note NULL? nobody knows");
    }

    #[tokio::test]
    async fn a_page_after_no_key_is_refused_before_anybody_is_asked() {
        let url = ferry::host::settings::Secret::new("postgres://127.0.0.1:1/none".to_owned());
        let pool = crate::database::pool(&url, "test", 1).expect("a valid URL");
        let table = table(&["uid"]);
        let refused = page(&pool, &table, Some(&[]), 10).await;
        assert!(matches!(refused, Err(RecordError::BadCursor)));
        let nothing = look_up(&pool, &table, &[]).await.expect("no error");
        assert!(nothing.is_none());
    }
}
