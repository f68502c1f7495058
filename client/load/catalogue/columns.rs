//! Turns rows of `pg_attribute` into the columns of a table, their domains resolved to base types.

use ferry::schema::ColumnType;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use super::CatalogueError;
use super::types::{BaseType, Store};

/// A column of a target table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // Each is a fact of the catalogue by itself.
pub(crate) struct TargetColumn {
    /// Name of the column.
    pub(crate) name: String,
    /// Type as PostgreSQL writes it.
    pub(crate) type_name: String,
    /// Type in which ferry hands values over: of a domain its base type, text
    /// where PostgreSQL alone reads the values; `None` if the column takes none.
    pub(crate) column_type: Option<ColumnType>,
    /// How PostgreSQL takes the values.
    pub(crate) store: Store,
    /// Whether NULL is refused, by the column or by its domain.
    pub(crate) is_not_null: bool,
    /// Whether a row that leaves the column out is refused.
    pub(crate) is_required: bool,
    /// Whether the table computes the column, so that it cannot be loaded.
    pub(crate) is_generated: bool,
    /// Whether it is `GENERATED ALWAYS AS IDENTITY`: it can be loaded, but not updated.
    pub(crate) is_identity_always: bool,
    /// Whether the role may insert into it.
    pub(crate) may_insert: bool,
    /// Whether the role may read it.
    pub(crate) may_select: bool,
    /// Whether the role may update it.
    pub(crate) may_update: bool,
}

/// A domain can be made of another one. A default that a domain takes over is
/// stored with it, while a NOT NULL further down is not.
const LIST_COLUMNS: &str = "
WITH RECURSIVE resolved AS (
    SELECT attnum, atttypid AS type_id, atttypmod AS modifier, false AS is_not_null
    FROM pg_catalog.pg_attribute
    WHERE attrelid = $1::oid AND attnum > 0 AND NOT attisdropped
  UNION ALL
    SELECT r.attnum, d.typbasetype, d.typtypmod, r.is_not_null OR d.typnotnull
    FROM resolved AS r
    JOIN pg_catalog.pg_type AS d ON d.oid = r.type_id AND d.typtype = 'd'
)
SELECT a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type_name,
       format_type(b.oid, r.modifier) AS base_words, b.typname::text AS base_name,
       bn.nspname = 'pg_catalog' AS is_builtin, b.typtype::text AS kind,
       CASE WHEN e.oid IS NULL THEN quote_ident(bn.nspname) || '.' || quote_ident(b.typname)
            ELSE quote_ident(en.nspname) || '.' || quote_ident(e.typname) || '[]'
       END AS base_sql,
       quote_ident(cn.nspname) || '.' || quote_ident(l.collname) AS collation,
       a.attnotnull OR r.is_not_null AS is_not_null,
       a.attgenerated <> '' AS is_generated, a.attidentity = 'a' AS is_identity_always,
       (a.atthasdef AND a.attgenerated = '') OR a.attidentity <> ''
           OR t.typdefault IS NOT NULL AS has_default,
       has_column_privilege(a.attrelid, a.attnum, 'INSERT') AS may_insert,
       has_column_privilege(a.attrelid, a.attnum, 'SELECT') AS may_select,
       has_column_privilege(a.attrelid, a.attnum, 'UPDATE') AS may_update
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
JOIN resolved AS r ON r.attnum = a.attnum
JOIN pg_catalog.pg_type AS b ON b.oid = r.type_id AND b.typtype <> 'd'
JOIN pg_catalog.pg_namespace AS bn ON bn.oid = b.typnamespace
LEFT JOIN pg_catalog.pg_type AS e ON e.oid = b.typelem AND e.typarray = b.oid
LEFT JOIN pg_catalog.pg_namespace AS en ON en.oid = e.typnamespace
LEFT JOIN pg_catalog.pg_collation AS l ON l.oid = a.attcollation AND l.oid <> b.typcollation
LEFT JOIN pg_catalog.pg_namespace AS cn ON cn.oid = l.collnamespace
WHERE a.attrelid = $1::oid
ORDER BY a.attnum";

/// Lists the columns of a table in their order.
pub(super) async fn list(
    conn: &mut PgConnection,
    oid: i64,
) -> Result<Vec<TargetColumn>, CatalogueError> {
    let rows = sqlx::query(LIST_COLUMNS).bind(oid).fetch_all(conn).await?;
    let mut columns = Vec::with_capacity(rows.len());
    for row in &rows {
        columns.push(column(row)?);
    }
    Ok(columns)
}

fn column(row: &PgRow) -> Result<TargetColumn, sqlx::Error> {
    let base = BaseType {
        is_builtin: row.try_get("is_builtin")?,
        name: row.try_get("base_name")?,
        words: row.try_get("base_words")?,
        sql: row.try_get("base_sql")?,
        kind: row.try_get("kind")?,
        collation: row.try_get("collation")?,
    };
    let is_not_null: bool = row.try_get("is_not_null")?;
    let is_generated: bool = row.try_get("is_generated")?;
    let is_identity_always: bool = row.try_get("is_identity_always")?;
    let has_default: bool = row.try_get("has_default")?;
    Ok(TargetColumn {
        name: row.try_get("name")?,
        type_name: row.try_get("type_name")?,
        column_type: base.column_type(),
        store: Store { is_updatable: !is_identity_always, ..base.store() },
        is_not_null,
        is_required: is_not_null && !has_default && !is_generated,
        is_generated,
        is_identity_always,
        may_insert: row.try_get("may_insert")?,
        may_select: row.try_get("may_select")?,
        may_update: row.try_get("may_update")?,
    })
}

impl TargetColumn {
    /// A nullable column of the role's own table, as `ADD COLUMN` makes it.
    pub(crate) fn added(name: &str, column_type: ColumnType) -> Self {
        Self {
            name: name.to_owned(),
            type_name: column_type.to_string(),
            column_type: Some(column_type),
            store: Store::of(column_type),
            is_not_null: false,
            is_required: false,
            is_generated: false,
            is_identity_always: false,
            may_insert: true,
            may_select: true,
            may_update: true,
        }
    }
}

#[cfg(test)]
impl TargetColumn {
    /// A nullable column of a type that ferry knows; for tests.
    pub(crate) fn sample(name: &str, type_name: &str) -> Self {
        Self::added(name, type_name.parse().expect("a type"))
    }

    /// A column that PostgreSQL reads from text, such as an enum; for tests.
    pub(crate) fn sample_cast(name: &str, type_sql: &str) -> Self {
        let mut column = Self::sample(name, "text");
        column.type_name = type_sql.to_owned();
        column.store.cast = Some(type_sql.to_owned());
        column.store.is_direct = false;
        column
    }
}
