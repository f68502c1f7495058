//! Refuses a replacement that cannot end well, before a row is moved.
//!
//! The same is asked again when the rows are replaced: a foreign key that
//! somebody made meanwhile must not delete rows of another table unnoticed.

use sqlx::{PgConnection, Row as _};

use super::{ReplaceError, Replacement};
use crate::names::{TableName, quote_ident};

/// A target as it is now.
pub(super) struct Found {
    /// Identity in the catalogue.
    pub(super) oid: i64,
    /// Whether its rows lie in partitions.
    pub(super) is_partitioned: bool,
    /// Role of the connection.
    pub(super) role: String,
}

const FIND_TARGET: &str = "
SELECT c.oid::bigint AS oid, c.relkind = 'p' AS is_partitioned, current_user::text AS role,
       n.nspname::text AS schema,
       has_table_privilege(c.oid, 'SELECT') AS may_select,
       has_schema_privilege(n.oid, 'CREATE') AS may_keep,
       COALESCE(has_schema_privilege(to_regnamespace('ferry'), 'CREATE'), false) AS may_make,
       to_regclass($2) IS NOT NULL AS has_old
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass($1)";

/// A foreign key of another table under which not all rows of the target can go.
///
/// One that is DEFERRABLE and has no action looks at the end only, when the
/// rows may be there again. `$2` are tables that lose all their rows as well.
const FIND_REFERENCE: &str = "
WITH target AS (
    SELECT $1::oid AS oid UNION SELECT relid FROM pg_partition_tree($1::oid::regclass)
), emptied AS (
    SELECT oid FROM target
    UNION SELECT to_regclass(name) FROM unnest($2::text[]) AS name
    UNION SELECT tree.relid
          FROM unnest($2::text[]) AS name, pg_partition_tree(to_regclass(name)) AS tree
)
SELECT n.nspname::text AS schema, c.relname::text AS name, reference.conname::text AS constraint
FROM pg_catalog.pg_constraint AS reference
JOIN pg_catalog.pg_class AS c ON c.oid = reference.conrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE reference.contype = 'f'
  AND reference.confrelid IN (SELECT oid FROM target)
  AND reference.conrelid NOT IN (SELECT oid FROM emptied WHERE oid IS NOT NULL)
  AND NOT (reference.condeferrable AND reference.confdeltype = 'a')
ORDER BY reference.conparentid, schema, name, reference.conname
LIMIT 1";

/// Finds the target of a replacement that can be made ready.
pub(super) async fn check(
    conn: &mut PgConnection,
    replacement: &Replacement,
    all: &[Replacement],
) -> Result<Found, ReplaceError> {
    let target = &replacement.target;
    let old = replacement.old.as_ref();
    let row = sqlx::query(FIND_TARGET)
        .bind(target.to_sql())
        .bind(old.map(TableName::to_sql))
        .fetch_optional(&mut *conn)
        .await?;
    let row = row.ok_or_else(|| ReplaceError::Missing { table: target.clone() })?;
    let role: String = row.try_get("role")?;
    let lacks = |on: String| {
        let grant = format!("GRANT {on} TO {}", quote_ident(&role));
        ReplaceError::MissingGrant { role: role.clone(), grant }
    };
    if !row.try_get::<bool, _>("may_select")? {
        return Err(lacks(format!("SELECT ON {}", target.to_sql())));
    }
    if !row.try_get::<bool, _>("may_make")? {
        return Err(lacks("CREATE ON SCHEMA ferry".to_owned()));
    }
    if let Some(old) = old {
        if !row.try_get::<bool, _>("may_keep")? {
            let schema: &str = row.try_get("schema")?;
            return Err(lacks(format!("CREATE ON SCHEMA {}", quote_ident(schema))));
        }
        if row.try_get("has_old")? {
            return Err(ReplaceError::OldExists { target: target.clone(), table: old.clone() });
        }
    }
    refuse_fixed_column(replacement)?;
    let found =
        Found { oid: row.try_get("oid")?, is_partitioned: row.try_get("is_partitioned")?, role };
    refuse_reference(conn, replacement, &found, all).await?;
    Ok(found)
}

/// Refuses a column whose values rows that stay could not take over.
fn refuse_fixed_column(replacement: &Replacement) -> Result<(), ReplaceError> {
    if replacement.key.is_empty() {
        return Ok(());
    }
    let mut columns = replacement.columns.iter();
    let fixed =
        columns.find(|column| !column.is_updatable && !replacement.key.contains(&column.name));
    match fixed {
        Some(column) => Err(ReplaceError::FixedColumn {
            target: replacement.target.clone(),
            column: column.name.clone(),
        }),
        None => Ok(()),
    }
}

/// Refuses to remove all rows of a table that others refer to.
async fn refuse_reference(
    conn: &mut PgConnection,
    replacement: &Replacement,
    found: &Found,
    all: &[Replacement],
) -> Result<(), ReplaceError> {
    if !replacement.key.is_empty() {
        return Ok(());
    }
    let emptied: Vec<String> = all
        .iter()
        .filter(|other| other.key.is_empty())
        .map(|other| other.target.to_sql())
        .collect();
    let reference =
        sqlx::query(FIND_REFERENCE).bind(found.oid).bind(emptied).fetch_optional(conn).await?;
    let Some(reference) = reference else {
        return Ok(());
    };
    let by =
        TableName { schema: Some(reference.try_get("schema")?), name: reference.try_get("name")? };
    let constraint = reference.try_get("constraint")?;
    Err(ReplaceError::Referenced { target: replacement.target.clone(), by, constraint })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::RunId;
    use crate::load::replace::{LoadedColumn, incoming_name};

    fn replacement(key: &[&str]) -> Replacement {
        let column = |name: &str, is_updatable| LoadedColumn { name: name.into(), is_updatable };
        Replacement {
            target: "public.users".parse().expect("a table name"),
            incoming: incoming_name(RunId(1), 0),
            columns: vec![column("uid", false), column("email", true)],
            key: key.iter().map(|name| (*name).to_owned()).collect(),
            old: None,
        }
    }

    #[test]
    fn an_identity_that_is_always_generated_is_the_key_or_the_rows_all_go() {
        assert!(refuse_fixed_column(&replacement(&[])).is_ok());
        assert!(refuse_fixed_column(&replacement(&["uid"])).is_ok());
        let error =
            refuse_fixed_column(&replacement(&["email"])).expect_err("it cannot be updated");
        assert_eq!(
            error.to_string(),
            "column \"uid\" of public.users is GENERATED ALWAYS AS IDENTITY, so that rows that stay cannot take another value: make it the key or GENERATED BY DEFAULT, or do not load it"
        );
    }
}
