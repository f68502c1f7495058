//! Discards refused rows: they stay in quarantine, but no one waits for them any more.

use sqlx::PgConnection;

use super::{Selection, open};
use crate::error::ClientError;
use crate::ledger::quarantine::settle;
use crate::output;
use crate::status::Scope;

/// How much a discard may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Only rows that ids or a filter name.
    Named,
    /// Every open row, if none is named: `--all`.
    All,
}

/// Discards the open rows of a selection, and says how many they were.
pub(crate) async fn discard(
    scope: &Scope,
    selection: &Selection,
    reach: Reach,
) -> Result<(), ClientError> {
    if selection.is_everything() && reach == Reach::Named {
        return Err(ClientError::NothingSelected);
    }
    let mut connection = open(scope).await?;
    let filter = selection.filter(scope.job.as_deref());
    let discarded = settle::discard(&mut connection, &filter).await?;
    output::line(told(discarded, filter.ids.len() as u64));
    Ok(())
}

/// Discards the open rows of a job that ids name, without a word; returns how many they were.
pub(crate) async fn discard_rows(
    connection: &mut PgConnection,
    job: &str,
    ids: Vec<i64>,
) -> Result<u64, ClientError> {
    if ids.is_empty() {
        return Err(ClientError::NothingSelected);
    }
    let selection = Selection { ids, ..Selection::default() };
    Ok(settle::discard(connection, &selection.filter(Some(job))).await?)
}

fn told(discarded: u64, named: u64) -> String {
    let rows = if discarded == 1 { "row" } else { "rows" };
    match named.saturating_sub(discarded) {
        0 => format!("discarded {discarded} {rows}"),
        others => format!(
            "discarded {discarded} {rows}; {others} of the given ids are not open, or not meant by the filters"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_were_not_discarded_are_told() {
        assert_eq!(told(1, 0), "discarded 1 row");
        assert_eq!(told(2, 2), "discarded 2 rows");
        let expected =
            "discarded 0 rows; 2 of the given ids are not open, or not meant by the filters";
        assert_eq!(told(0, 2), expected);
    }
}
