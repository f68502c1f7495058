//! Turns the name of a target table into what PostgreSQL's catalogue says of it.
//!
//! What is found here can be loaded: a table, not a view, whose rows lie in
//! this database. What the role may do with it is noted, and judged once it is
//! known which columns are loaded and how.

mod columns;
mod error;
mod keys;
mod privileges;
mod types;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use crate::names::TableName;

pub(crate) use columns::TargetColumn;
pub(crate) use error::CatalogueError;
pub(crate) use privileges::Need;
pub(crate) use types::Store;

/// A table that can be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // Each privilege is granted by itself.
pub(crate) struct TargetTable {
    /// Schema and name as the catalogue has them.
    pub(crate) name: TableName,
    /// Columns in the order of the table.
    pub(crate) columns: Vec<TargetColumn>,
    /// Columns of each unique index that `ON CONFLICT` can use, the primary key first.
    pub(crate) unique_keys: Vec<Vec<String>>,
    /// Sequences behind defaults that the role may not use, each with its column.
    pub(crate) closed_sequences: Vec<ClosedSequence>,
    /// Role of the connection.
    pub(crate) role: String,
    /// Database of the connection.
    pub(crate) database: String,
    /// Whether the role may read every column.
    pub(crate) may_select: bool,
    /// Whether the role may delete rows.
    pub(crate) may_delete: bool,
    /// Whether the role may make temporary tables.
    pub(crate) may_stage: bool,
    /// Whether the role may make a table in the schema of this one.
    pub(crate) may_make_beside: bool,
}

/// A sequence that the role may not take numbers from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClosedSequence {
    /// Column whose default takes a number.
    pub(crate) column: String,
    /// The sequence as SQL, quoted.
    pub(crate) sequence: String,
}

const FIND_SCHEMA: &str = "
SELECT current_user::text AS role, has_schema_privilege(oid, 'USAGE') AS may_use
FROM pg_catalog.pg_namespace
WHERE nspname = $1";

const FIND_TABLE: &str = "
SELECT c.oid::bigint AS oid, n.nspname::text AS schema, c.relname::text AS name,
       c.relkind::text AS kind, current_user::text AS role,
       current_database()::text AS database,
       row_security_active(c.oid) AS has_row_security,
       EXISTS (SELECT 1 FROM pg_partition_tree(c.oid) AS part
               JOIN pg_catalog.pg_class AS f ON f.oid = part.relid
               WHERE f.relkind = 'f') AS has_foreign_partition,
       has_table_privilege(c.oid, 'SELECT') AS may_select,
       has_table_privilege(c.oid, 'DELETE') AS may_delete,
       has_database_privilege(current_database(), 'TEMPORARY') AS may_stage,
       has_schema_privilege(n.oid, 'CREATE') AS may_make_beside
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass($1)";

impl TargetTable {
    /// Finds a table; `None` if there is nothing of that name.
    pub(crate) async fn lookup(
        conn: &mut PgConnection,
        table: &TableName,
    ) -> Result<Option<Self>, CatalogueError> {
        refuse_closed_schema(conn, table).await?;
        let found = sqlx::query(FIND_TABLE).bind(table.to_sql()).fetch_optional(&mut *conn).await?;
        let Some(found) = found else {
            return Ok(None);
        };
        let oid: i64 = found.try_get("oid")?;
        let name =
            TableName { schema: Some(found.try_get("schema")?), name: found.try_get("name")? };
        refuse_unfit_relation(&found, &name)?;
        Ok(Some(Self {
            name,
            columns: columns::list(conn, oid).await?,
            unique_keys: keys::list(conn, oid).await?,
            closed_sequences: privileges::closed_sequences(conn, oid).await?,
            role: found.try_get("role")?,
            database: found.try_get("database")?,
            may_select: found.try_get("may_select")?,
            may_delete: found.try_get("may_delete")?,
            may_stage: found.try_get("may_stage")?,
            may_make_beside: found.try_get("may_make_beside")?,
        }))
    }
}

/// PostgreSQL does not even look a name up in a schema that the role may not use.
async fn refuse_closed_schema(
    conn: &mut PgConnection,
    table: &TableName,
) -> Result<(), CatalogueError> {
    let Some(schema) = &table.schema else {
        return Ok(());
    };
    let found = sqlx::query(FIND_SCHEMA).bind(schema).fetch_optional(conn).await?;
    let Some(found) = found else {
        return Ok(());
    };
    if found.try_get("may_use")? {
        return Ok(());
    }
    Err(CatalogueError::MissingUsage { schema: schema.clone(), role: found.try_get("role")? })
}

fn refuse_unfit_relation(found: &PgRow, name: &TableName) -> Result<(), CatalogueError> {
    let table = name.clone();
    if let Some(kind) = refused_kind(found.try_get("kind")?) {
        return Err(CatalogueError::NotATable { table, kind });
    }
    if found.try_get("has_foreign_partition")? {
        return Err(CatalogueError::ForeignPartition { table });
    }
    if found.try_get("has_row_security")? {
        return Err(CatalogueError::RowSecurity { table, role: found.try_get("role")? });
    }
    Ok(())
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

#[cfg(test)]
impl TargetTable {
    /// A table whose owner loads it, without a key; for tests.
    pub(crate) fn sample(name: &str, columns: Vec<TargetColumn>) -> Self {
        Self {
            name: name.parse().expect("a table name"),
            columns,
            unique_keys: Vec::new(),
            closed_sequences: Vec::new(),
            role: "loader".to_owned(),
            database: "shop".to_owned(),
            may_select: true,
            may_delete: true,
            may_stage: true,
            may_make_beside: true,
        }
    }

    /// The same with a unique index on these columns.
    pub(crate) fn with_unique_key(mut self, key: &[&str]) -> Self {
        self.unique_keys.push(key.iter().map(|name| (*name).to_owned()).collect());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tables_are_loaded() {
        assert_eq!((refused_kind("r"), refused_kind("p")), (None, None));
        for kind in ["v", "m", "f", "S", "i", "I", "c"] {
            assert!(refused_kind(kind).is_some(), "{kind}");
        }
    }
}
