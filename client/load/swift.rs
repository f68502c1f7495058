//! Loads the rows of a transaction as they come: nothing is kept that could tell them apart.
//!
//! One connection does one COPY at a time, so that rows go to the first table
//! as they come, and wait in `taken` for the others: no more than a
//! transaction's bytes.

use sqlx::PgConnection;

use super::commit::Chunk;
use super::intake::Intake;
use super::send::{CopyError, OpenCopy, copy_parts};
use super::staged;
use super::table::{Pace, TableLoad};
use super::taken::Taken;

/// Loads `first` and what follows it; returns how many rows each table wrote.
pub(super) async fn load(
    connection: &mut PgConnection,
    tables: &[TableLoad],
    first: Chunk,
    intake: &mut Intake<'_>,
    taken: &mut Taken,
) -> Result<Vec<u64>, CopyError> {
    let Some((first_table, later_tables)) = tables.split_first() else {
        return Ok(Vec::new());
    };
    staged::make(connection, tables, Pace::Swift).await?;
    stream(connection, first_table, first, intake, taken).await?;
    let rows = taken.counts.loaded;
    let mut written = Vec::with_capacity(tables.len());
    written.push(settle(connection, first_table, rows).await?);
    // In the order of the job, so that a row may refer to one of an earlier table.
    let kept = std::mem::take(&mut taken.kept);
    for (table, parts) in later_tables.iter().zip(kept.into_iter().skip(1)) {
        copy_parts(connection, table, Pace::Swift, &parts, rows).await?;
        written.push(settle(connection, table, rows).await?);
    }
    Ok(written)
}

/// Sends chunks to the first table as they come.
async fn stream(
    connection: &mut PgConnection,
    table: &TableLoad,
    first: Chunk,
    intake: &mut Intake<'_>,
    taken: &mut Taken,
) -> Result<(), CopyError> {
    let mut copy = OpenCopy::begin(connection, table, Pace::Swift).await?;
    let mut next = Some(first);
    while let Some(chunk) = next {
        let is_last = intake.is_last(&chunk, taken);
        copy.send(&taken.take(chunk)).await?;
        next = if is_last { None } else { intake.next().await };
    }
    copy.finish(taken.counts.loaded).await
}

/// Takes what was copied to where it belongs; returns how many rows were written there.
async fn settle(
    connection: &mut PgConnection,
    table: &TableLoad,
    rows: u64,
) -> Result<u64, CopyError> {
    if table.is_direct(Pace::Swift) {
        return Ok(rows);
    }
    staged::merge(connection, table, rows).await
}
