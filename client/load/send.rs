//! Sends tuples to a table through COPY, and makes sure that PostgreSQL stored every row.
//!
//! Invariant: a table that stored another number of rows than it was sent is an
//! error, so that a transaction never ends with some of its rows.

use sqlx::PgConnection;
use sqlx::postgres::PgCopyIn;

use super::copy::{HEADER, TRAILER};
use super::table::{Pace, TableLoad};
use crate::database::{RowRefusal, StatementError};

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
    pub(super) fn of(table: &TableLoad, error: sqlx::Error) -> Self {
        Self::Database { error: error.into(), table: table.table().to_owned() }
    }

    /// What PostgreSQL refused a row for, if it refused a row: other rows may pass.
    pub(crate) fn row_refusal(&self) -> Option<RowRefusal> {
        match self {
            Self::Database { error, .. } => error.row_refusal(),
            Self::Unaccounted { .. } => None,
        }
    }
}

/// Makes sure that a table stored what it was sent.
pub(super) fn check_stored(table: &TableLoad, sent: u64, stored: u64) -> Result<(), CopyError> {
    if stored == sent {
        return Ok(());
    }
    Err(CopyError::Unaccounted { table: table.table().to_owned(), sent, stored })
}

/// Copies tuples that lie in several parts where the table takes them at this pace.
pub(super) async fn copy_parts<P: AsRef<[u8]>>(
    connection: &mut PgConnection,
    table: &TableLoad,
    pace: Pace,
    parts: &[P],
    rows: u64,
) -> Result<(), CopyError> {
    let mut copy = OpenCopy::begin(connection, table, pace).await?;
    for part in parts {
        copy.send(part.as_ref()).await?;
    }
    copy.finish(rows).await
}

/// A COPY that takes tuples for one table.
pub(super) struct OpenCopy<'c> {
    copy: PgCopyIn<&'c mut PgConnection>,
    table: &'c TableLoad,
}

impl<'c> OpenCopy<'c> {
    /// Begins a COPY, up to its first tuple.
    pub(super) async fn begin(
        connection: &'c mut PgConnection,
        table: &'c TableLoad,
        pace: Pace,
    ) -> Result<Self, CopyError> {
        let failed = |error: sqlx::Error| CopyError::of(table, error);
        let mut copy = connection.copy_in_raw(table.copy(pace)).await.map_err(failed)?;
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
        check_stored(table, rows, stored)
    }
}
