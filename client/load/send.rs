//! Sends tuples to tables through COPY, and makes sure that PostgreSQL stored every row.
//!
//! Invariant: a table that stored another number of rows than it was sent is an
//! error, so that a transaction never ends with some of its rows.

use sqlx::PgConnection;
use sqlx::postgres::PgCopyIn;

use super::copy::{HEADER, TRAILER, TableCopy};
use crate::database::StatementError;

/// Rows that a table did not take.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CopyError {
    /// PostgreSQL refused, or the connection broke.
    #[error("{error}, while {table} was loaded")]
    Database {
        /// What it said.
        error: StatementError,
        /// Name of the table.
        table: String,
    },
    /// PostgreSQL stored another number of rows than it was sent.
    #[error(
        "accounts do not close: {sent} rows were sent to {table}, PostgreSQL stored {stored}: does a trigger or rule of the table drop rows?"
    )]
    Unaccounted {
        /// Name of the table.
        table: String,
        /// Rows sent.
        sent: u64,
        /// Rows that PostgreSQL says it stored.
        stored: u64,
    },
}

impl CopyError {
    fn of(table: &TableCopy, error: sqlx::Error) -> Self {
        Self::Database { error: error.into(), table: table.table().to_owned() }
    }
}

/// Copies the same rows into each table, one table after the other.
///
/// `tuples` are those of each table in the order of `tables`, without header
/// and trailer; `rows` is their number, the same for all.
pub(crate) async fn copy_tuples(
    connection: &mut PgConnection,
    tables: &[TableCopy],
    tuples: &[&[u8]],
    rows: u64,
) -> Result<(), CopyError> {
    for (index, table) in tables.iter().enumerate() {
        // A table that is sent too little stores too little, and is found out by it.
        let part = tuples.get(index).copied().unwrap_or_default();
        copy_parts(connection, table, &[part], rows).await?;
    }
    Ok(())
}

/// Copies tuples that lie in several parts into one table.
pub(super) async fn copy_parts(
    connection: &mut PgConnection,
    table: &TableCopy,
    parts: &[&[u8]],
    rows: u64,
) -> Result<(), CopyError> {
    let mut copy = OpenCopy::begin(connection, table).await?;
    for part in parts {
        copy.send(part).await?;
    }
    copy.finish(rows).await
}

/// A COPY that takes tuples for one table.
pub(super) struct OpenCopy<'c> {
    copy: PgCopyIn<&'c mut PgConnection>,
    table: &'c TableCopy,
}

impl<'c> OpenCopy<'c> {
    /// Begins a COPY, up to its first tuple.
    pub(super) async fn begin(
        connection: &'c mut PgConnection,
        table: &'c TableCopy,
    ) -> Result<Self, CopyError> {
        let failed = |error: sqlx::Error| CopyError::of(table, error);
        let mut copy = connection.copy_in_raw(table.statement()).await.map_err(failed)?;
        copy.send(HEADER).await.map_err(failed)?;
        Ok(Self { copy, table })
    }

    /// Sends some tuples.
    pub(super) async fn send(&mut self, tuples: &[u8]) -> Result<(), CopyError> {
        let table = self.table;
        self.copy.send(tuples).await.map_err(|error| CopyError::of(table, error))?;
        Ok(())
    }

    /// Ends the COPY, which must have been sent so many rows.
    pub(super) async fn finish(self, rows: u64) -> Result<(), CopyError> {
        let Self { mut copy, table } = self;
        let failed = |error: sqlx::Error| CopyError::of(table, error);
        copy.send(TRAILER).await.map_err(failed)?;
        let stored = copy.finish().await.map_err(failed)?;
        if stored == rows {
            return Ok(());
        }
        Err(CopyError::Unaccounted { table: table.table().to_owned(), sent: rows, stored })
    }
}
