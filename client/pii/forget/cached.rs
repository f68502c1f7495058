//! Removes the rows of a forgotten person from the cache, once they are gone from the tables.
//!
//! Bounds: three attempts; what is left in the cache then ends with its time to live.

use std::time::Duration;

use crate::cache::Cache;
use crate::ledger::LedgerError;
use crate::names::TableName;
use crate::output;

const ATTEMPTS: u32 = 3;
/// Longer than Redis is left alone after an error.
const PAUSE: Duration = Duration::from_millis(2_200);

/// Reads the keys that the deletion gave back: a JSON array of arrays of texts.
///
/// A row with NULL in its key is never in the cache.
pub(super) fn keys_of(json: &str) -> Result<Vec<Vec<String>>, LedgerError> {
    let invalid = |_| LedgerError::Invalid { what: "list of deleted keys" };
    let keys: Vec<Vec<Option<String>>> = serde_json::from_str(json).map_err(invalid)?;
    Ok(keys.into_iter().filter_map(|key| key.into_iter().collect()).collect())
}

/// Removes entries, and says so; or else how long they live on.
pub(super) async fn forget(cache: &Cache, deleted: &[(TableName, Vec<Vec<String>>)]) {
    let mut removed = 0;
    for (table, keys) in deleted.iter().filter(|(_, keys)| !keys.is_empty()) {
        if !remove(cache, table, keys).await {
            output::line(format!(
                "Redis cannot be reached: rows of the person in {table} may be in the cache for up to {} yet; forget again when it is back, or wait",
                humantime::format_duration(cache.ttl())
            ));
            return;
        }
        removed += keys.len();
    }
    output::line(format!("rows taken out of the cache: {removed}"));
}

async fn remove(cache: &Cache, table: &TableName, keys: &[Vec<String>]) -> bool {
    for attempt in 1..=ATTEMPTS {
        if cache.remove_all(table, keys).await.failed == 0 {
            return true;
        }
        if attempt < ATTEMPTS {
            tokio::time::sleep(PAUSE).await;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_back() {
        let keys = keys_of(r#"[["1","a\"b"],["2",null],["3",""]]"#).expect("keys");
        assert_eq!(keys, [["1", "a\"b"], ["3", ""]]);
        assert!(keys_of("[]").expect("no keys").is_empty());
        assert!(keys_of("{}").is_err());
    }
}
