//! Why a target table cannot be loaded, whatever its columns are.

use crate::database::StatementError;
use crate::names::{TableName, quote_ident};

/// A target table that cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CatalogueError {
    /// The catalogue could not be read.
    #[error(transparent)]
    Database(StatementError),
    /// The name belongs to something other than a table.
    #[error("{table} is a {kind}: name a table")]
    NotATable {
        /// Name as found.
        table: TableName,
        /// What it is.
        kind: &'static str,
    },
    /// Some of its rows would lie on another server, whose commit is another one.
    #[error(
        "{table} has foreign tables among its partitions, and no commit covers both servers: load the partitions that are here"
    )]
    ForeignPartition {
        /// Name as found.
        table: TableName,
    },
    /// The role may not look into the schema.
    #[error(
        "role {role} may not use schema {schema}: run GRANT USAGE ON SCHEMA {} TO {}", quote_ident(.schema), quote_ident(.role)
    )]
    MissingUsage {
        /// Name of the schema.
        schema: String,
        /// Role of the connection.
        role: String,
    },
    /// The table's policies apply to the role; PostgreSQL has no COPY for that.
    #[error(
        "row-level security of {table} applies to role {role}, and COPY cannot obey it: load as the owner or as a role with BYPASSRLS"
    )]
    RowSecurity {
        /// Name as found.
        table: TableName,
        /// Role of the connection.
        role: String,
    },
}

impl From<sqlx::Error> for CatalogueError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_grant_is_named() {
        let error = CatalogueError::MissingUsage { schema: "Crm".into(), role: "loader".into() };
        assert_eq!(
            error.to_string(),
            "role loader may not use schema Crm: run GRANT USAGE ON SCHEMA \"Crm\" TO \"loader\""
        );
    }
}
