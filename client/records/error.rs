//! Why rows could not be looked up; no value and no key is in a text.

use crate::database::StatementError;
use crate::ledger::LedgerError;
use crate::load::catalogue::CatalogueError;

/// SQLSTATE of a statement that took too long.
const CANCELLED: &str = "57014";

/// Rows that could not be looked up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum RecordError {
    /// What a page should begin after is no key of the table.
    #[error(
        "the place after which the page should begin is none of this table: take it from the page before"
    )]
    BadCursor,
    /// Nobody answers, or everybody is busy.
    #[error("the database cannot be reached now: try again in a while")]
    Unavailable,
    /// A statement took too long.
    #[error("the database took too long: try again in a while")]
    TimedOut,
    /// The catalogue could not be read.
    #[error(transparent)]
    Catalogue(CatalogueError),
    /// The ledger could not be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A statement failed.
    #[error(transparent)]
    Statement(StatementError),
}

impl RecordError {
    /// Whether the same may succeed in a while.
    pub(crate) fn is_unavailable(&self) -> bool {
        match self {
            Self::Unavailable | Self::TimedOut => true,
            Self::Ledger(LedgerError::Database(error)) | Self::Statement(error) => {
                error.is_retryable()
            }
            Self::BadCursor | Self::Catalogue(_) | Self::Ledger(_) => false,
        }
    }
}

impl From<StatementError> for RecordError {
    fn from(error: StatementError) -> Self {
        match error.sqlstate().as_deref() {
            Some(CANCELLED) => Self::TimedOut,
            _ if error.is_connection_lost() => Self::Unavailable,
            _ => Self::Statement(error),
        }
    }
}

impl From<sqlx::Error> for RecordError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => Self::Unavailable,
            error => StatementError::from(error).into(),
        }
    }
}

impl From<CatalogueError> for RecordError {
    fn from(error: CatalogueError) -> Self {
        match error {
            CatalogueError::Database(error) => error.into(),
            error => Self::Catalogue(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_told_apart() {
        assert!(RecordError::from(sqlx::Error::PoolTimedOut).is_unavailable());
        let broken = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert!(RecordError::from(sqlx::Error::Io(broken)).is_unavailable());
        assert!(!RecordError::BadCursor.is_unavailable());
        let invalid = LedgerError::Invalid { what: "state of a run" };
        assert!(!RecordError::from(invalid).is_unavailable());
    }
}
