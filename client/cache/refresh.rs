//! Reads rows back from a table by their keys, so that what is cached is what the table holds.
//!
//! Defaults, triggers and merges of the database are in it then. Bounds: 500
//! keys a statement, batches of 1 MiB, 10 s a statement.

use std::ops::Range;
use std::sync::Arc;

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use tokio_stream::StreamExt as _;

use super::{Cache, CacheOutcome, CachedRow, Moment, batches};
use crate::database::is_data_exception;
use crate::error::ClientError;
use crate::job::Target;
use crate::load::catalogue::{TargetColumn, TargetTable};
use crate::load::keys::TableKeys;
use crate::names::{TableName, quote_ident};

/// Most keys in one statement.
const KEYS_MAX: usize = 500;
/// Rows that were read are written when they take so many bytes.
const PENDING_BYTES: usize = 1 << 20;

/// A table whose rows are cached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CachedTable {
    /// The table, with its schema.
    pub(super) name: TableName,
    /// Columns that are cached, in the order of the table.
    columns: Arc<[String]>,
    /// Places of the key among them.
    key: Vec<usize>,
    /// Reads rows by their keys, one array of texts for each column of the key.
    statement: Arc<str>,
}

/// Why rows of a table cannot be cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Uncacheable {
    /// It is not there any more.
    Missing,
    /// Several rows may have one key.
    NoUniqueIndex,
    /// The role may not read its key.
    ClosedKey,
}

impl Uncacheable {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Missing => "the table is not there",
            Self::NoUniqueIndex => "it has no unique index on exactly its key",
            Self::ClosedKey => "the role may not read its key",
        }
    }
}

impl CachedTable {
    /// Looks a target up in the catalogue.
    pub(super) async fn look_up(
        connection: &mut PgConnection,
        target: &Target,
    ) -> Result<Result<Self, Uncacheable>, ClientError> {
        let found = TargetTable::lookup(connection, &target.table).await?;
        Ok(found.ok_or(Uncacheable::Missing).and_then(|table| Self::of(&table, &target.key)))
    }

    fn of(table: &TargetTable, key: &[String]) -> Result<Self, Uncacheable> {
        if !table.has_unique_key(key) {
            return Err(Uncacheable::NoUniqueIndex);
        }
        let readable: Vec<&TargetColumn> =
            table.columns.iter().filter(|column| column.may_select).collect();
        let place = |name: &String| readable.iter().position(|column| column.name == *name);
        let key: Option<Vec<usize>> = key.iter().map(place).collect();
        let key = key.ok_or(Uncacheable::ClosedKey)?;
        let statement = statement(&table.name, &readable, &key);
        let columns = readable.iter().map(|column| column.name.clone()).collect();
        Ok(Self { name: table.name.clone(), columns, key, statement: statement.into() })
    }

    /// Reads rows by their keys and writes them to the cache; whose row is not
    /// there is removed from it.
    pub(super) async fn refresh(
        &self,
        connection: &mut PgConnection,
        cache: &Cache,
        keys: &TableKeys,
        rows: &[usize],
    ) -> Result<CacheOutcome, sqlx::Error> {
        let mut outcome = CacheOutcome::default();
        for page in rows.chunks(KEYS_MAX) {
            // What is read from now on is not older; nor may it live longer for the reading.
            let Some(read_at) = cache.now(&self.name).await else {
                outcome.failed += page.len() as u64;
                continue;
            };
            let mut parts: Vec<Range<usize>> = std::iter::once(0..page.len()).collect();
            while let Some(part) = parts.pop() {
                let rows = &page[part.clone()];
                let read = self.refresh_part(connection, cache, keys, rows, read_at).await;
                match read {
                    Ok(done) => outcome.add(done),
                    // A row that was refused may have a key that is no value of its type.
                    Err(error) if is_data_exception(&error) => parts.extend(halves(&part)),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(outcome)
    }

    async fn refresh_part(
        &self,
        connection: &mut PgConnection,
        cache: &Cache,
        keys: &TableKeys,
        rows: &[usize],
        read_at: Moment,
    ) -> Result<CacheOutcome, sqlx::Error> {
        let mut query = sqlx::query(AssertSqlSafe(Arc::clone(&self.statement)));
        for column in &keys.columns {
            let texts: Vec<&str> =
                rows.iter().filter_map(|row| column.get(*row)).map(String::as_str).collect();
            query = query.bind(texts);
        }
        let mut outcome = CacheOutcome::default();
        let (mut pending, mut bytes, mut missing) = (Vec::new(), 0, Vec::new());
        let mut found = query.fetch(connection);
        while let Some(row) = found.try_next().await? {
            match self.read(&row)? {
                Ok(row) => {
                    bytes += batches::bytes(&row);
                    pending.push(row);
                }
                Err(key) => missing.push(key),
            }
            if bytes >= PENDING_BYTES {
                outcome.add(cache.put_all(&self.name, &pending, read_at).await);
                pending.clear();
                bytes = 0;
            }
        }
        outcome.add(cache.put_all(&self.name, &pending, read_at).await);
        outcome.add(cache.remove_all(&self.name, &missing).await);
        Ok(outcome)
    }

    /// The row as it is cached, or the key of a row that is not there.
    fn read(&self, row: &PgRow) -> Result<Result<CachedRow, Vec<String>>, sqlx::Error> {
        let width = self.key.len();
        let is_found: bool = row.try_get(width)?;
        if !is_found {
            let key = (0..width).map(|index| row.try_get(index));
            return Ok(Err(key.collect::<Result<Vec<String>, sqlx::Error>>()?));
        }
        let mut values: Vec<Option<String>> = Vec::with_capacity(self.columns.len());
        for index in 0..self.columns.len() {
            values.push(row.try_get(width + 1 + index)?);
        }
        // As the table writes it, which may differ from what was loaded.
        let key = self.key.iter().map(|place| values[*place].clone().unwrap_or_default());
        Ok(Ok(CachedRow { key: key.collect(), columns: Arc::clone(&self.columns), values }))
    }
}

/// The statement that reads rows by their keys: the key that was asked for,
/// whether there is a row, and its values, all as texts.
fn statement(table: &TableName, columns: &[&TargetColumn], key: &[usize]) -> String {
    let key: Vec<&TargetColumn> = key.iter().map(|place| columns[*place]).collect();
    let (mut asked, mut cast, mut arrays, mut names, mut same) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (index, column) in key.iter().enumerate() {
        asked.push(format!("w.k{index}::text"));
        cast.push(format!("k{index}::{} AS k{index}", column.store.compared_as()));
        arrays.push(format!("${}::text[]", index + 1));
        names.push(format!("k{index}"));
        same.push(format!("t.{} = w.k{index}", quote_ident(&column.name)));
    }
    let first = key.first().map(|column| quote_ident(&column.name)).unwrap_or_default();
    let values = columns.iter().map(|column| format!("t.{}::text", quote_ident(&column.name)));
    format!(
        "SELECT {}, t.{first} IS NOT NULL, {} FROM (SELECT {} FROM unnest({}) AS k ({})) AS w LEFT JOIN {} AS t ON {}",
        asked.join(", "),
        values.collect::<Vec<_>>().join(", "),
        cast.join(", "),
        arrays.join(", "),
        names.join(", "),
        table.to_sql(),
        same.join(" AND ")
    )
}

/// Both halves of a range; nothing of a single key, which names no row then.
fn halves(range: &Range<usize>) -> Vec<Range<usize>> {
    if range.len() < 2 {
        return Vec::new();
    }
    let middle = range.start + range.len() / 2;
    vec![range.start..middle, middle..range.end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[(&str, &str)]) -> TargetTable {
        let column = |(name, kind): &(&str, &str)| TargetColumn::sample(name, kind);
        TargetTable::sample("public.users", columns.iter().map(column).collect())
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn rows_are_read_by_all_columns_of_their_key() {
        let table = table(&[("name", "varchar(12)"), ("Day", "date"), ("uid", "integer")])
            .with_unique_key(&["Day", "uid"]);
        let cached = CachedTable::of(&table, &names(&["uid", "Day"])).expect("a unique key");
        assert_eq!(cached.key, [2, 1]);
        assert_eq!(
            &*cached.statement,
            r#"SELECT w.k0::text, w.k1::text, t."uid" IS NOT NULL, t."name"::text, t."Day"::text, t."uid"::text FROM (SELECT k0::integer AS k0, k1::date AS k1 FROM unnest($1::text[], $2::text[]) AS k (k0, k1)) AS w LEFT JOIN "public"."users" AS t ON t."uid" = w.k0 AND t."Day" = w.k1"#
        );
    }

    #[test]
    fn a_key_that_several_rows_may_have_is_not_cached() {
        let plain = table(&[("uid", "integer")]);
        let refused = CachedTable::of(&plain, &names(&["uid"]));
        assert_eq!(refused, Err(Uncacheable::NoUniqueIndex));
        let mut closed = plain.with_unique_key(&["uid"]);
        closed.columns[0].may_select = false;
        let refused = CachedTable::of(&closed, &names(&["uid"]));
        assert_eq!(refused, Err(Uncacheable::ClosedKey));
    }

    #[test]
    fn what_the_role_may_not_read_is_left_out() {
        let mut table = table(&[("uid", "integer"), ("note", "text")]).with_unique_key(&["uid"]);
        table.columns[1].may_select = false;
        let cached = CachedTable::of(&table, &names(&["uid"])).expect("a unique key");
        assert_eq!(&*cached.columns, ["uid"]);
        assert!(!cached.statement.contains("note"));
    }

    #[test]
    fn a_range_is_halved_down_to_one_key() {
        assert_eq!(halves(&(0..5)), [0..2, 2..5]);
        assert_eq!(halves(&(3..5)), [3..4, 4..5]);
        assert!(halves(&(3..4)).is_empty());
    }
}
