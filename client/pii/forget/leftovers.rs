//! Finds the tables that runs left beside the targets of a job: old rows that are kept, new ones that wait.
//!
//! Invariant: a table counts only if its name is one that ferry gives, for a
//! run that the ledger knows.

use sqlx::{PgConnection, Row as _};

use crate::error::ClientError;
use crate::job::Job;
use crate::ledger::RunId;
use crate::load::replace;
use crate::names::TableName;
use crate::pii::places::Layer;

/// Tables of a schema that may keep rows which a run replaced, that of another job perhaps.
const LIST_OLD: &str = "
SELECT r.run_id, c.relname::text AS name
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN ferry.run AS r
  ON r.run_id = substring(c.relname FROM '_before_([0-9]{1,18})$')::bigint
WHERE n.nspname = $1 AND c.relkind = 'r'
ORDER BY r.run_id, c.relname";

/// Tables that runs of a job fill or have filled, each with the number of its target.
const LIST_INCOMING: &str = "
SELECT r.run_id, c.relname::text AS name,
       substring(c.relname FROM '_([0-9]{1,9})$')::integer AS target
FROM pg_catalog.pg_class AS c
JOIN ferry.run AS r
  ON r.run_id = substring(c.relname FROM '^incoming_([0-9]{1,18})_[0-9]{1,9}$')::bigint
WHERE c.relnamespace = to_regnamespace('ferry') AND c.relkind = 'r' AND r.job = $1
ORDER BY r.run_id, c.relname";

/// A table that a run left beside a target.
#[derive(Debug)]
pub(super) struct Leftover {
    pub(super) table: TableName,
    pub(super) layer: Layer,
    /// Index of its target; none may be there any more.
    pub(super) target: usize,
}

/// Lists the leftovers of a job; `targets` are its tables with their schemas, in its order.
pub(super) async fn list(
    conn: &mut PgConnection,
    job: &Job,
    targets: &[TableName],
) -> Result<Vec<Leftover>, ClientError> {
    let mut found = Vec::new();
    for (index, target) in targets.iter().enumerate() {
        let rows =
            sqlx::query(LIST_OLD).bind(target.schema.as_deref()).fetch_all(&mut *conn).await?;
        for row in rows {
            let run_id = RunId(row.try_get("run_id")?);
            let table = TableName { schema: target.schema.clone(), name: row.try_get("name")? };
            if table == replace::old_name(target, run_id) {
                found.push(Leftover { table, layer: Layer::Old(run_id), target: index });
            }
        }
    }
    let rows = sqlx::query(LIST_INCOMING).bind(&job.name).fetch_all(conn).await?;
    for row in rows {
        let target: i32 = row.try_get("target")?;
        found.push(Leftover {
            table: TableName { schema: Some("ferry".to_owned()), name: row.try_get("name")? },
            layer: Layer::Incoming(RunId(row.try_get("run_id")?)),
            target: usize::try_from(target).unwrap_or(usize::MAX),
        });
    }
    Ok(found)
}
