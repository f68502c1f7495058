//! Takes a new table from everybody but its owner.
//!
//! Default privileges may give every new table to others; what a run holds
//! back, or keeps of old rows, is not theirs to read because of that.

use sqlx::{AssertSqlSafe, PgConnection};

use super::ReplaceError;
use crate::names::{TableName, quote_ident};

/// Roles that hold a privilege on a table, without PUBLIC and its owner.
const LIST_GRANTEES: &str = "
SELECT DISTINCT pg_get_userbyid(granted.grantee)::text
FROM pg_catalog.pg_class AS c, aclexplode(c.relacl) AS granted
WHERE c.oid = to_regclass($1) AND granted.grantee NOT IN (0, c.relowner)
ORDER BY 1";

/// Leaves a table to its owner alone; in the transaction that makes it, so
/// that nobody else ever sees it.
pub(super) async fn close(conn: &mut PgConnection, table: &TableName) -> Result<(), ReplaceError> {
    let grantees: Vec<String> =
        sqlx::query_scalar(LIST_GRANTEES).bind(table.to_sql()).fetch_all(&mut *conn).await?;
    sqlx::query(AssertSqlSafe(revoke(table, &grantees))).persistent(false).execute(conn).await?;
    Ok(())
}

fn revoke(table: &TableName, grantees: &[String]) -> String {
    let mut sql = format!("REVOKE ALL ON TABLE {} FROM PUBLIC", table.to_sql());
    for grantee in grantees {
        sql.push_str(", ");
        sql.push_str(&quote_ident(grantee));
    }
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_named() {
        let table: TableName = "ferry.incoming_1_0".parse().expect("a table name");
        assert_eq!(
            revoke(&table, &["nosy".to_owned(), "a\"b".to_owned()]),
            r#"REVOKE ALL ON TABLE "ferry"."incoming_1_0" FROM PUBLIC, "nosy", "a""b""#
        );
    }
}
