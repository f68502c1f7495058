//! Makes the incoming tables of a run that begins.
//!
//! One refuses a row for what the target would refuse it for, so that a row is
//! refused while its place in the file is known. It is an ordinary, logged
//! table: a run fills it over many transactions, and goes on after a crash.

use std::collections::HashMap;

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

use super::layout::{self, Column, ForeignKey, Unique};
use super::{ReplaceError, Replacement, access, inspect, lock_wait};
use crate::names::{TableName, quote_ident};

/// Indexes of the target that refuse rows, with the constraints they belong to.
const LIST_UNIQUE: &str = "
SELECT i.indexrelid::bigint AS oid, c.relname::text AS name,
       pg_get_constraintdef(owner.oid) AS constraint_text,
       pg_get_indexdef(i.indexrelid) AS index_text,
       format('CREATE UNIQUE INDEX %I ON %s%I.%I', c.relname,
              CASE WHEN t.relkind = 'p' THEN 'ONLY ' ELSE '' END, n.nspname, t.relname)
           AS index_prefix
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
LEFT JOIN pg_catalog.pg_constraint AS owner
       ON owner.conindid = i.indexrelid AND owner.conrelid = i.indrelid
      AND owner.contype IN ('p', 'u', 'x')
WHERE i.indrelid = $1::oid AND (i.indisunique OR i.indisexclusion)
  AND i.indisready AND (i.indisvalid OR t.relkind = 'r')
ORDER BY i.indexrelid";

const LIST_COLUMNS: &str = "
SELECT a.attname::text AS name, a.attgenerated <> '' AS is_generated,
       a.attidentity <> '' OR EXISTS (
           SELECT FROM pg_catalog.pg_attrdef AS d
           JOIN pg_catalog.pg_depend AS uses
             ON uses.classid = 'pg_catalog.pg_attrdef'::regclass AND uses.objid = d.oid
            AND uses.refclassid = 'pg_catalog.pg_class'::regclass
           JOIN pg_catalog.pg_class AS s ON s.oid = uses.refobjid AND s.relkind = 'S'
           WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum
       ) AS is_numbered
FROM pg_catalog.pg_attribute AS a
WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum";

/// What the rows of each partition have in common; of the table itself, if it is a partition.
const LIST_PARTITIONS: &str = "
SELECT pg_get_partition_constraintdef(relid) AS condition
FROM pg_partition_tree($1::oid::regclass)
WHERE isleaf";

/// Foreign keys of the target over columns that the incoming table has.
///
/// Not those that refer to a table of `$3`, which the same transaction fills:
/// the rows may come in any order, and are there together only at its end. Nor
/// those that PostgreSQL made for the partitions of a table that is referred to.
const LIST_FOREIGN_KEYS: &str = "
SELECT key.conname::text AS name, pg_get_constraintdef(key.oid) AS definition,
       n.nspname::text AS schema, c.relname::text AS table_name,
       has_table_privilege(key.confrelid, 'REFERENCES') OR (
           SELECT bool_and(has_column_privilege(key.confrelid, referred, 'REFERENCES'))
           FROM unnest(key.confkey) AS referred
       ) AS may_refer
FROM pg_catalog.pg_constraint AS key
JOIN pg_catalog.pg_class AS c ON c.oid = key.confrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE key.conrelid = $1::oid AND key.contype = 'f'
  AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_constraint AS whole
      WHERE whole.oid = key.conparentid AND whole.conrelid = key.conrelid
  )
  AND NOT EXISTS (
      SELECT FROM unnest(key.conkey) AS own
      JOIN pg_catalog.pg_attribute AS a ON a.attrelid = key.conrelid AND a.attnum = own
      WHERE a.attname NOT IN (
          SELECT attname FROM pg_catalog.pg_attribute
          WHERE attrelid = to_regclass($2) AND attnum > 0 AND NOT attisdropped
      )
  )
  AND key.confrelid NOT IN (
      SELECT to_regclass(name) FROM unnest($3::text[]) AS name
      WHERE to_regclass(name) IS NOT NULL
  )
ORDER BY key.conname";

/// Makes the incoming tables of a run that begins, and checks that the targets
/// can be replaced. What has such a name already was not made by this run.
///
/// All targets that the run replaces are given together, because they may refer
/// to each other. For one worker at a time: under the lock of the job.
pub(crate) async fn make_incoming(
    conn: &mut PgConnection,
    all: &[Replacement],
) -> Result<(), ReplaceError> {
    let targets: Vec<String> = all.iter().map(|each| each.target.to_sql()).collect();
    let mut tx = conn.begin().await?;
    let mut made = Vec::with_capacity(all.len());
    for replacement in all {
        let found = inspect::check(&mut tx, replacement, all).await?;
        refuse_existing(&mut tx, &replacement.incoming).await?;
        make(&mut tx, replacement, found.oid).await?;
        made.push((replacement, found));
    }
    // Last: tables that are referred to stay locked against writers until the
    // caller's transaction ends.
    let lock_timeout = lock_wait::set(&mut tx, lock_wait::SHORT).await?;
    for (replacement, found) in &made {
        refer(&mut tx, replacement, found, &targets).await?;
    }
    lock_wait::set(&mut tx, &lock_timeout).await?;
    tx.commit().await?;
    Ok(())
}

/// What the target calls the constraints and unique indexes that have other
/// names in its incoming table. CHECKs and foreign keys have the same.
pub(crate) async fn constraint_names(
    conn: &mut PgConnection,
    target: &TableName,
    incoming: &TableName,
) -> Result<HashMap<String, String>, ReplaceError> {
    let oid: Option<i64> = sqlx::query_scalar("SELECT to_regclass($1)::oid::bigint")
        .bind(target.to_sql())
        .fetch_one(&mut *conn)
        .await?;
    let oid = oid.ok_or_else(|| ReplaceError::Missing { table: target.clone() })?;
    Ok(layout::names_of_target(incoming, &list_unique(conn, oid).await?))
}

async fn refuse_existing(
    conn: &mut PgConnection,
    incoming: &TableName,
) -> Result<(), ReplaceError> {
    let exists: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
        .bind(incoming.to_sql())
        .fetch_one(conn)
        .await?;
    if exists {
        return Err(ReplaceError::IncomingExists { table: incoming.clone() });
    }
    Ok(())
}

/// Makes the table and all that it refuses by itself.
async fn make(
    conn: &mut PgConnection,
    replacement: &Replacement,
    target: i64,
) -> Result<(), ReplaceError> {
    let incoming = &replacement.incoming;
    execute(conn, layout::create(replacement)).await?;
    access::close(conn, incoming).await?;
    for unique in list_unique(conn, target).await? {
        if let Some(sql) = layout::add_unique(incoming, &unique) {
            execute(conn, sql).await?;
        } else {
            // Its rows are refused with all others, when they replace the old ones.
            tracing::warn!(index = unique.name, "unique index is not understood");
        }
    }
    let partitions: Vec<Option<String>> =
        sqlx::query_scalar(LIST_PARTITIONS).bind(target).fetch_all(&mut *conn).await?;
    if let Some(sql) = layout::add_partition_check(incoming, &partitions) {
        execute(conn, sql).await?;
    }
    let columns = list_columns(conn, target).await?;
    // Last, so that what speaks of such a column goes with it.
    if let Some(sql) = layout::leave_out(replacement, &columns) {
        execute(conn, sql).await?;
    }
    Ok(())
}

/// Lets the table refer to what the target refers to.
async fn refer(
    conn: &mut PgConnection,
    replacement: &Replacement,
    found: &inspect::Found,
    targets: &[String],
) -> Result<(), ReplaceError> {
    let rows = sqlx::query(LIST_FOREIGN_KEYS)
        .bind(found.oid)
        .bind(replacement.incoming.to_sql())
        .bind(targets)
        .fetch_all(&mut *conn)
        .await?;
    for row in rows {
        let referred =
            TableName { schema: Some(row.try_get("schema")?), name: row.try_get("table_name")? };
        if !row.try_get::<bool, _>("may_refer")? {
            let role = found.role.clone();
            let grant =
                format!("GRANT REFERENCES ON {} TO {}", referred.to_sql(), quote_ident(&role));
            return Err(ReplaceError::MissingGrant { role, grant });
        }
        let key = ForeignKey { name: row.try_get("name")?, definition: row.try_get("definition")? };
        let sql = layout::add_foreign_key(&replacement.incoming, &key);
        execute(conn, sql).await.inspect_err(|error| warn_if_held(error, &referred))?;
    }
    Ok(())
}

/// PostgreSQL does not say which table it could not lock.
fn warn_if_held(error: &ReplaceError, table: &TableName) {
    if let ReplaceError::Database(error) = error
        && error.sqlstate().as_deref() == Some(lock_wait::IN_VAIN)
    {
        tracing::warn!(%table, "a transaction that writes to a table which the target refers to is in the way");
    }
}

async fn list_unique(conn: &mut PgConnection, target: i64) -> Result<Vec<Unique>, ReplaceError> {
    let read = |row: PgRow| -> Result<Unique, ReplaceError> {
        Ok(Unique {
            oid: row.try_get("oid")?,
            name: row.try_get("name")?,
            constraint: row.try_get("constraint_text")?,
            index: row.try_get("index_text")?,
            index_prefix: row.try_get("index_prefix")?,
        })
    };
    let rows = sqlx::query(LIST_UNIQUE).bind(target).fetch_all(conn).await?;
    rows.into_iter().map(read).collect()
}

async fn list_columns(conn: &mut PgConnection, target: i64) -> Result<Vec<Column>, ReplaceError> {
    let read = |row: PgRow| -> Result<Column, ReplaceError> {
        Ok(Column {
            name: row.try_get("name")?,
            is_generated: row.try_get("is_generated")?,
            is_numbered: row.try_get("is_numbered")?,
        })
    };
    let rows = sqlx::query(LIST_COLUMNS).bind(target).fetch_all(conn).await?;
    rows.into_iter().map(read).collect()
}

async fn execute(conn: &mut PgConnection, sql: String) -> Result<(), ReplaceError> {
    sqlx::query(AssertSqlSafe(sql)).persistent(false).execute(conn).await?;
    Ok(())
}
