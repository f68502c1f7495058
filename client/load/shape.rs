//! Compares the columns of tables with those that rows were encoded for.
//!
//! COPY in binary form believes what it is sent: eight bytes of a bigint are a
//! number of another type too, only a different one.

use sqlx::PgConnection;

use super::table::TableLoad;

const CHANGED: &str = "
SELECT planned.position
FROM unnest($1::text[], $2::text[], $3::text[])
     WITH ORDINALITY AS planned (table_name, column_name, type_name, position)
LEFT JOIN pg_catalog.pg_attribute AS a
  ON a.attrelid = to_regclass(planned.table_name) AND a.attname = planned.column_name
     AND NOT a.attisdropped
WHERE format_type(a.atttypid, a.atttypmod) IS DISTINCT FROM planned.type_name
LIMIT 1";

/// Name of the first table whose columns are not those that were planned, if there is one.
pub(super) async fn changed(
    connection: &mut PgConnection,
    tables: &[TableLoad],
) -> Result<Option<String>, sqlx::Error> {
    let (mut owners, mut names) = (Vec::new(), Vec::new());
    let (mut columns, mut types) = (Vec::new(), Vec::new());
    for table in tables {
        for (name, column, type_name) in table.shape() {
            owners.push(table.table());
            names.push(name);
            columns.push(column);
            types.push(type_name);
        }
    }
    let query = sqlx::query_scalar(CHANGED).bind(names).bind(columns).bind(types);
    let position: Option<i64> = query.fetch_optional(connection).await?;
    let index = position.and_then(|position| usize::try_from(position - 1).ok());
    Ok(index.and_then(|index| owners.get(index)).map(|table| (*table).to_owned()))
}
