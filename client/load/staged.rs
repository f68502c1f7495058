//! Takes rows from tables of the session into the tables of the job.
//!
//! A staging table is temporary: it is empty when a transaction begins, and
//! what it held is gone when the transaction ends, however it ends.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, Executor as _, PgConnection, SqlSafeStr};

use super::send::{CopyError, check_stored, copy_parts};
use super::table::{Pace, TableLoad};

/// Stands before a merge that may have to be done in another way.
const BEFORE_MERGE: &str = "SAVEPOINT ferry_merge";
const FORGET_MERGE: &str = "ROLLBACK TO SAVEPOINT ferry_merge";

/// Makes the staging tables that are needed at this pace.
pub(super) async fn make(
    connection: &mut PgConnection,
    tables: &[TableLoad],
    pace: Pace,
) -> Result<(), CopyError> {
    for table in tables.iter().filter(|table| !table.is_direct(pace)) {
        say(connection, table, AssertSqlSafe(table.statements().make.clone())).await?;
    }
    Ok(())
}

/// Takes all staged rows into their table; returns how many it inserted or updated.
pub(super) async fn merge(
    connection: &mut PgConnection,
    table: &TableLoad,
    rows: u64,
) -> Result<u64, CopyError> {
    let Some(merge_each) = table.merge_each() else {
        return merge_all(connection, table, rows).await;
    };
    say(connection, table, BEFORE_MERGE).await?;
    let merged = sqlx::query(AssertSqlSafe(merge_each)).execute(&mut *connection).await;
    match merged.map_err(|error| CopyError::of(table, error)) {
        Ok(merged) => {
            let written = merged.rows_affected();
            if table.statements().writes_each {
                // A trigger may keep rows back without a word.
                check_stored(table, rows, written)?;
            }
            Ok(written)
        }
        Err(CopyError::Database { error, .. }) if error.touches_row_twice() => {
            say(connection, table, FORGET_MERGE).await?;
            table.expect_repeats();
            merge_all(connection, table, rows).await
        }
        Err(error) => Err(error),
    }
}

/// The same, whether keys come twice or not.
async fn merge_all(
    connection: &mut PgConnection,
    table: &TableLoad,
    rows: u64,
) -> Result<u64, CopyError> {
    let merge_all = Arc::clone(&table.statements().merge_all);
    let merging = sqlx::query(AssertSqlSafe(merge_all)).execute(connection);
    let written = merging.await.map_err(|error| CopyError::of(table, error))?.rows_affected();
    check_written(table, rows, written)
}

/// Takes the `rows` staged rows between two numbers, both included, into their table.
pub(super) async fn merge_range(
    connection: &mut PgConnection,
    table: &TableLoad,
    (first, last): (u64, u64),
    rows: u64,
) -> Result<u64, CopyError> {
    let merge_range = Arc::clone(&table.statements().merge_range);
    let merging = sqlx::query(AssertSqlSafe(merge_range))
        .bind(first.cast_signed())
        .bind(last.cast_signed())
        .execute(connection);
    let written = merging.await.map_err(|error| CopyError::of(table, error))?.rows_affected();
    check_written(table, rows, written)
}

/// An append adds every row; where rows are merged, some may change nothing.
fn check_written(table: &TableLoad, rows: u64, written: u64) -> Result<u64, CopyError> {
    if table.is_append() {
        check_stored(table, rows, written)?;
    }
    Ok(written)
}

/// Takes rows out of the staging tables, by their numbers.
pub(super) async fn forget(
    connection: &mut PgConnection,
    tables: &[TableLoad],
    numbers: &[u64],
) -> Result<(), CopyError> {
    if numbers.is_empty() {
        return Ok(());
    }
    for table in tables {
        let forget = Arc::clone(&table.statements().forget);
        say_of_rows(connection, table, forget, numbers).await?;
    }
    Ok(())
}

/// Takes all other rows out of the staging tables.
pub(super) async fn keep(
    connection: &mut PgConnection,
    tables: &[TableLoad],
    numbers: &[u64],
) -> Result<(), CopyError> {
    for table in tables {
        let keep = Arc::clone(&table.statements().keep);
        say_of_rows(connection, table, keep, numbers).await?;
    }
    Ok(())
}

async fn say_of_rows(
    connection: &mut PgConnection,
    table: &TableLoad,
    statement: Arc<str>,
    numbers: &[u64],
) -> Result<(), CopyError> {
    let numbers: Vec<i64> = numbers.iter().map(|number| number.cast_signed()).collect();
    let saying = sqlx::query(AssertSqlSafe(statement)).bind(numbers).execute(connection);
    saying.await.map_err(|error| CopyError::of(table, error))?;
    Ok(())
}

/// Makes staged rows quick to find by their numbers.
pub(super) async fn index(
    connection: &mut PgConnection,
    table: &TableLoad,
) -> Result<(), CopyError> {
    say(connection, table, AssertSqlSafe(table.statements().index.clone())).await
}

/// Takes the indexes back: rows that come swiftly again would pay for them.
pub(super) async fn drop_indexes(
    connection: &mut PgConnection,
    tables: &[TableLoad],
) -> Result<(), CopyError> {
    for table in tables {
        say(connection, table, AssertSqlSafe(table.statements().drop_index.clone())).await?;
    }
    Ok(())
}

/// Runs statements that have no parameters and return nothing, in one round trip.
pub(super) async fn say(
    connection: &mut PgConnection,
    table: &TableLoad,
    statements: impl SqlSafeStr,
) -> Result<(), CopyError> {
    let saying = connection.execute(sqlx::raw_sql(statements));
    saying.await.map_err(|error| CopyError::of(table, error))?;
    Ok(())
}

/// Loads rows that are encoded for careful loading, all of them or none.
///
/// `tuples` are those of each table in the order of `tables`, without header
/// and trailer; `rows` is their number, the same for all.
pub(crate) async fn load_at_once(
    connection: &mut PgConnection,
    tables: &[TableLoad],
    tuples: &[Vec<u8>],
    rows: u64,
) -> Result<(), CopyError> {
    make(connection, tables, Pace::Careful).await?;
    for (index, table) in tables.iter().enumerate() {
        // A table that is sent too little stores too little, and is found out by it.
        let part = tuples.get(index).map(Vec::as_slice).unwrap_or_default();
        copy_parts(connection, table, Pace::Careful, &[part], rows).await?;
        merge_all(connection, table, rows).await?;
    }
    Ok(())
}
