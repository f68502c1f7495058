//! Turns the name of a target table into what PostgreSQL's catalogue says of it.
//!
//! What is found here can be loaded: a table, not a view, that the role may insert into.

use ferry::schema::ColumnType;
use sqlx::{PgConnection, Row as _};

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
    /// The role may not insert.
    #[error(
        "role {role} may not insert into {table}: run GRANT INSERT ON {} TO {}", .table.to_sql(), quote_ident(.role)
    )]
    MissingInsert {
        /// Name as found.
        table: TableName,
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

/// A table that can be loaded.
#[derive(Debug, Clone)]
pub(crate) struct TargetTable {
    /// Schema and name as the catalogue has them.
    pub(crate) name: TableName,
    /// Columns in the order of the table.
    pub(crate) columns: Vec<TargetColumn>,
}

/// A column of a target table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TargetColumn {
    /// Name of the column.
    pub(crate) name: String,
    /// Type as PostgreSQL writes it.
    pub(crate) type_name: String,
    /// The type, if ferry can load it.
    pub(crate) column_type: Option<ColumnType>,
    /// Whether NULL is refused.
    pub(crate) is_not_null: bool,
    /// Whether a row that leaves the column out is refused.
    pub(crate) is_required: bool,
    /// Whether the table computes the column, so that it cannot be loaded.
    pub(crate) is_generated: bool,
}

const FIND_TABLE: &str = "
SELECT c.oid::bigint AS oid, n.nspname::text AS schema, c.relname::text AS name,
       c.relkind::text AS kind, current_user::text AS role,
       has_any_column_privilege(c.oid, 'INSERT') AS may_insert,
       row_security_active(c.oid) AS has_row_security
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass($1)";

const LIST_COLUMNS: &str = "
SELECT attname::text AS name, format_type(atttypid, atttypmod) AS type_name,
       attnotnull AS is_not_null, attgenerated <> '' AS is_generated,
       (atthasdef AND attgenerated = '') OR attidentity <> '' AS has_default
FROM pg_catalog.pg_attribute
WHERE attrelid = $1::oid AND attnum > 0 AND NOT attisdropped
ORDER BY attnum";

impl TargetTable {
    /// Finds a table; `None` if there is nothing of that name.
    pub(crate) async fn lookup(
        conn: &mut PgConnection,
        table: &TableName,
    ) -> Result<Option<Self>, CatalogueError> {
        let found = sqlx::query(FIND_TABLE).bind(table.to_sql()).fetch_optional(&mut *conn).await?;
        let Some(found) = found else {
            return Ok(None);
        };
        let oid: i64 = found.try_get("oid")?;
        let name =
            TableName { schema: Some(found.try_get("schema")?), name: found.try_get("name")? };
        if let Some(kind) = refused_kind(found.try_get("kind")?) {
            return Err(CatalogueError::NotATable { table: name, kind });
        }
        let role: String = found.try_get("role")?;
        if !found.try_get::<bool, _>("may_insert")? {
            return Err(CatalogueError::MissingInsert { table: name, role });
        }
        if found.try_get("has_row_security")? {
            return Err(CatalogueError::RowSecurity { table: name, role });
        }
        let columns = list_columns(conn, oid).await?;
        Ok(Some(Self { name, columns }))
    }
}

/// What the relation is, unless it is a table or a partitioned table.
fn refused_kind(kind: &str) -> Option<&'static str> {
    match kind {
        "r" | "p" => None,
        "v" => Some("view"),
        "m" => Some("materialized view"),
        // A commit here and one on a foreign server are not one commit.
        "f" => Some("foreign table"),
        "S" => Some("sequence"),
        "i" | "I" => Some("index"),
        _ => Some("relation without rows of its own"),
    }
}

async fn list_columns(
    conn: &mut PgConnection,
    oid: i64,
) -> Result<Vec<TargetColumn>, CatalogueError> {
    let rows = sqlx::query(LIST_COLUMNS).bind(oid).fetch_all(conn).await?;
    let mut columns = Vec::with_capacity(rows.len());
    for row in rows {
        let type_name: String = row.try_get("type_name")?;
        let is_not_null: bool = row.try_get("is_not_null")?;
        let is_generated: bool = row.try_get("is_generated")?;
        let has_default: bool = row.try_get("has_default")?;
        columns.push(TargetColumn {
            name: row.try_get("name")?,
            column_type: column_type(&type_name),
            type_name,
            is_not_null,
            is_required: is_not_null && !has_default && !is_generated,
            is_generated,
        });
    }
    Ok(columns)
}

/// The type that PostgreSQL calls so, if ferry can load it.
fn column_type(type_name: &str) -> Option<ColumnType> {
    // `character(n)` takes texts of up to n characters, as `varchar(n)` does.
    let name = match type_name.strip_prefix("character(") {
        Some(rest) => format!("varchar({rest}"),
        None => without_time_precision(type_name),
    };
    name.parse().ok()
}

/// `timestamp(3) without time zone` without `(3)`: PostgreSQL rounds what it receives.
fn without_time_precision(type_name: &str) -> String {
    let is_time = type_name.starts_with("time(") || type_name.starts_with("timestamp(");
    match (type_name.split_once('('), type_name.split_once(')')) {
        (Some((before, _)), Some((_, after))) if is_time => format!("{before}{after}"),
        _ => type_name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferry::schema::Precision;

    #[test]
    fn types_of_the_catalogue_become_column_types() {
        let numeric = ColumnType::Numeric(Some(Precision { precision: 15, scale: 2 }));
        assert_eq!(column_type("character varying(12)"), Some(ColumnType::Varchar(12)));
        assert_eq!(column_type("character varying"), Some(ColumnType::Text));
        assert_eq!(column_type("character(5)"), Some(ColumnType::Varchar(5)));
        assert_eq!(column_type("numeric(15,2)"), Some(numeric));
        assert_eq!(column_type("timestamp without time zone"), Some(ColumnType::Timestamp));
        assert_eq!(column_type("timestamp(3) with time zone"), Some(ColumnType::Timestamptz));
        assert_eq!(column_type("time(0) without time zone"), Some(ColumnType::Time));
    }

    #[test]
    fn types_that_ferry_cannot_load_are_none() {
        for name in ["json", "text[]", "inet", "time with time zone", "numeric(3,-2)", "citext"] {
            assert_eq!(column_type(name), None, "{name}");
        }
    }

    #[test]
    fn a_missing_grant_is_named() {
        let table = TableName { schema: Some("public".into()), name: "Users".into() };
        let error = CatalogueError::MissingInsert { table, role: "loader".into() };
        assert_eq!(
            error.to_string(),
            "role loader may not insert into public.\"Users\": run GRANT INSERT ON \"public\".\"Users\" TO \"loader\""
        );
    }
}
