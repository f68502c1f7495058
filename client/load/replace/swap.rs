//! Replaces the rows of targets by those of their incoming tables, in the caller's transaction.
//!
//! Invariant: each target holds as many rows as its incoming table, or the
//! caller hears of it and must roll back.

use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::statements::{self, Step};
use super::{ReplaceError, Replaced, Replacement, access, inspect};
use crate::database::StatementError;
use crate::names::quote_ident;

/// Operators of a unique index over exactly the columns of `$2`, one row a column.
const LIST_KEY_OPERATORS: &str = "
SELECT a.attname::text AS name, n.nspname::text AS schema, o.oprname::text AS operator
FROM pg_catalog.pg_index AS i
CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indclass::oid[])
    WITH ORDINALITY AS part(attnum, opclass, position)
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = part.attnum
JOIN pg_catalog.pg_opclass AS class ON class.oid = part.opclass
JOIN pg_catalog.pg_amop AS equal
  ON equal.amopfamily = class.opcfamily AND equal.amopstrategy = 3
 AND equal.amoplefttype = class.opcintype AND equal.amoprighttype = class.opcintype
JOIN pg_catalog.pg_operator AS o ON o.oid = equal.amopopr
JOIN pg_catalog.pg_namespace AS n ON n.oid = o.oprnamespace
WHERE i.indexrelid = (
    SELECT candidate.indexrelid
    FROM pg_catalog.pg_index AS candidate
    WHERE candidate.indrelid = $1::oid AND candidate.indisunique AND candidate.indisvalid
      AND candidate.indpred IS NULL AND candidate.indexprs IS NULL
      AND (SELECT array_agg(own.attname::text ORDER BY own.attname::text)
           FROM unnest(candidate.indkey::int2[]) WITH ORDINALITY AS part(attnum, position)
           JOIN pg_catalog.pg_attribute AS own
             ON own.attrelid = candidate.indrelid AND own.attnum = part.attnum
           WHERE part.position <= candidate.indnkeyatts)
        = (SELECT array_agg(name ORDER BY name) FROM unnest($2::text[]) AS name)
    ORDER BY candidate.indisprimary DESC, candidate.indexrelid
    LIMIT 1
)
ORDER BY part.position";

/// Replaces the rows of all targets of a run.
///
/// Without a key all old rows go and all new ones come. With a key rows whose
/// key is not among the new ones go, others are updated where they differ, new
/// ones are inserted; rows that stay keep what the job does not load. The
/// tables are written in the order of the job and emptied in the reverse, so
/// that a table may refer to an earlier one.
pub(crate) async fn replace(
    conn: &mut PgConnection,
    all: &[Replacement],
) -> Result<Vec<Replaced>, ReplaceError> {
    if all.is_empty() {
        return Ok(Vec::new());
    }
    execute(conn, statements::lock(all)).await?;
    // Under the lock nobody can make another foreign key.
    let mut steps = Vec::with_capacity(all.len());
    for replacement in all {
        steps.push(prepare(conn, replacement, all).await?);
    }
    for step in &steps {
        keep_old(conn, step).await?;
    }
    let done = carry_out(conn, &steps).await;
    let done = done.map_err(|error| explain(error, all))?;
    for step in &steps {
        account(conn, step).await?;
    }
    Ok(done)
}

async fn prepare<'a>(
    conn: &mut PgConnection,
    replacement: &'a Replacement,
    all: &[Replacement],
) -> Result<Step<'a>, ReplaceError> {
    let found = inspect::check(conn, replacement, all).await?;
    let mut key_operators = Vec::with_capacity(replacement.key.len());
    if !replacement.key.is_empty() {
        let rows = sqlx::query(LIST_KEY_OPERATORS)
            .bind(found.oid)
            .bind(&replacement.key)
            .fetch_all(conn)
            .await?;
        for row in rows {
            let schema = quote_ident(row.try_get("schema")?);
            let symbol: &str = row.try_get("operator")?;
            key_operators.push((row.try_get("name")?, format!("OPERATOR({schema}.{symbol})")));
        }
    }
    if key_operators.len() != replacement.key.len() {
        let key: Vec<String> = replacement.key.iter().map(|name| quote_ident(name)).collect();
        return Err(ReplaceError::NoUniqueIndex {
            target: replacement.target.clone(),
            key: key.join(", "),
        });
    }
    Ok(Step { replacement, is_partitioned: found.is_partitioned, key_operators })
}

async fn keep_old(conn: &mut PgConnection, step: &Step<'_>) -> Result<(), ReplaceError> {
    let Some(sql) = statements::keep_old(step) else {
        return Ok(());
    };
    execute(conn, sql).await?;
    match &step.replacement.old {
        Some(old) => access::close(conn, old).await,
        None => Ok(()),
    }
}

/// Moves the rows; constraints that may be looked at later are, until the end.
async fn carry_out(
    conn: &mut PgConnection,
    steps: &[Step<'_>],
) -> Result<Vec<Replaced>, ReplaceError> {
    let mut done = vec![Replaced { removed: 0, written: 0 }; steps.len()];
    execute(conn, "SET CONSTRAINTS ALL DEFERRED".to_owned()).await?;
    for (step, done) in steps.iter().zip(&mut done).rev() {
        if step.replacement.key.is_empty() {
            done.removed = execute(conn, statements::delete_all(step)).await?;
        }
    }
    merge(conn, steps, &mut done).await?;
    for (step, done) in steps.iter().zip(&mut done) {
        if step.replacement.key.is_empty() {
            done.written = execute(conn, statements::insert_all(step)).await?;
        }
    }
    // Not at COMMIT, where nobody could say which step was refused.
    execute(conn, "SET CONSTRAINTS ALL IMMEDIATE".to_owned()).await?;
    Ok(done)
}

/// Carries out the replacements with a key.
async fn merge(
    conn: &mut PgConnection,
    steps: &[Step<'_>],
    done: &mut [Replaced],
) -> Result<(), ReplaceError> {
    let (keyed, mut places): (Vec<&Step<'_>>, Vec<&mut Replaced>) =
        steps.iter().zip(done).filter(|(step, _)| !step.replacement.key.is_empty()).unzip();
    if keyed.is_empty() {
        return Ok(());
    }
    for step in &keyed {
        execute(conn, statements::analyze(step)).await?;
    }
    let counts: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(statements::merge(&keyed)))
        .persistent(false)
        .fetch_one(conn)
        .await?;
    for (place, counts) in places.iter_mut().zip(counts.chunks_exact(3)) {
        if let [gone, changed, added] = counts {
            place.removed = gone.unsigned_abs();
            place.written = changed.unsigned_abs() + added.unsigned_abs();
        }
    }
    Ok(())
}

/// Compares what is there with what should be.
async fn account(conn: &mut PgConnection, step: &Step<'_>) -> Result<(), ReplaceError> {
    let row = sqlx::query(AssertSqlSafe(statements::count(step)))
        .persistent(false)
        .fetch_one(conn)
        .await?;
    let found = row.try_get::<i64, _>("found")?.unsigned_abs();
    let expected = row.try_get::<i64, _>("expected")?.unsigned_abs();
    if found == expected {
        return Ok(());
    }
    let target = step.replacement.target.clone();
    Err(ReplaceError::Unaccounted { target, expected, found })
}

/// Adds what to do to a refusal for what the rows hold together.
fn explain(error: ReplaceError, all: &[Replacement]) -> ReplaceError {
    match error {
        ReplaceError::Database(error) => match error.sqlstate().as_deref().and_then(advice) {
            Some(advice) => refused(error, all, advice),
            None => ReplaceError::Database(error),
        },
        other => other,
    }
}

fn refused(error: StatementError, all: &[Replacement], advice: &'static str) -> ReplaceError {
    let tables: Vec<String> = all.iter().map(|each| each.target.to_string()).collect();
    ReplaceError::Refused { tables: tables.join(", "), error, advice }
}

fn advice(sqlstate: &str) -> Option<&'static str> {
    match sqlstate {
        "23503" => Some(
            "give the target a key, so that rows that others refer to stay; if such a row goes, remove what refers to it first, or declare the foreign key DEFERRABLE or ON DELETE CASCADE",
        ),
        "23505" | "23P01" => Some(
            "rows that stay cannot exchange unique values one by one: declare the constraint DEFERRABLE, or replace without a key",
        ),
        "23514" => Some(
            "give a partitioned table a partition for each row, or a DEFAULT one; otherwise correct the rows",
        ),
        _ if sqlstate.starts_with("23") => Some("correct the rows or the constraint"),
        _ => None,
    }
}

/// Carries a statement out; gives the number of rows it touched.
async fn execute(conn: &mut PgConnection, sql: String) -> Result<u64, ReplaceError> {
    let done = sqlx::query(AssertSqlSafe(sql)).persistent(false).execute(conn).await?;
    Ok(done.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_to_a_row_that_goes_asks_for_a_key() {
        let text = advice("23503").expect("an advice");
        assert!(text.starts_with("give the target a key"), "{text}");
    }

    #[test]
    fn trouble_of_the_database_is_told_as_it_is() {
        for sqlstate in ["08006", "40001", "42501", "55P03", "57014"] {
            assert_eq!(advice(sqlstate), None, "{sqlstate}");
        }
        assert!(advice("23514").is_some_and(|text| text.contains("partition")));
        assert!(advice("23502").is_some());
    }
}
