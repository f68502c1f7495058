//! Turns the unique indexes of a table into the keys by which `ON CONFLICT` can find a row.

use sqlx::{PgConnection, Row as _};

use super::{CatalogueError, TargetTable};

/// An index that is being built, that is checked at the end of a transaction,
/// or that is on some rows or on expressions, is no arbiter of a conflict
/// between any two rows.
const LIST_KEYS: &str = "
SELECT ARRAY(
    SELECT a.attname::text
    FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE k.place <= i.indnkeyatts
    ORDER BY k.place) AS columns
FROM pg_catalog.pg_index AS i
WHERE i.indrelid = $1::oid AND i.indisunique AND i.indisvalid AND i.indimmediate
  AND NOT i.indisexclusion AND i.indpred IS NULL AND i.indexprs IS NULL
ORDER BY i.indisprimary DESC, i.indexrelid";

/// Lists the columns of each such index, the primary key first.
pub(super) async fn list(
    conn: &mut PgConnection,
    oid: i64,
) -> Result<Vec<Vec<String>>, CatalogueError> {
    let rows = sqlx::query(LIST_KEYS).bind(oid).fetch_all(conn).await?;
    let mut keys = Vec::with_capacity(rows.len());
    for row in rows {
        keys.push(row.try_get("columns")?);
    }
    Ok(keys)
}

impl TargetTable {
    /// Whether a unique index is on exactly these columns, in whatever order.
    pub(crate) fn has_unique_key(&self, key: &[String]) -> bool {
        let is_it = |unique: &Vec<String>| {
            unique.len() == key.len() && key.iter().all(|name| unique.contains(name))
        };
        self.unique_keys.iter().any(is_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_all_columns_of_an_index_in_any_order() {
        let table = TargetTable::sample("calls", Vec::new())
            .with_unique_key(&["id"])
            .with_unique_key(&["day", "line"]);
        let has = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            table.has_unique_key(&names)
        };
        assert!(has(&["id"]));
        assert!(has(&["line", "day"]));
        assert!(!has(&["day"]));
        assert!(!has(&["day", "line", "id"]));
        assert!(!has(&[]));
    }
}
