//! Compares what the source has with what the ledger says became of it.

use sqlx::PgConnection;

use crate::error::ClientError;
use crate::job::RejectLimit;
use crate::ledger::RunId;
use crate::ledger::accounts::{self, FileAccount};
use crate::report::{FileReport, RejectReport, Rows, RunReport};

/// Below this many rows a percentage says little, and is judged at the end only.
const JUDGED_ROWS_MIN: u64 = 10_000;

/// What a run has behind it and before it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Totals {
    pub(super) rows: Rows,
    bytes_done: u64,
    bytes_total: u64,
}

impl Totals {
    /// Bytes of the source that are still to be read.
    pub(super) fn bytes_left(self) -> u64 {
        self.bytes_total.saturating_sub(self.bytes_done)
    }
}

/// Sums up a run so far.
pub(super) async fn totals(
    run_id: RunId,
    connection: &mut PgConnection,
) -> Result<Totals, ClientError> {
    let mut totals = Totals::default();
    for file in accounts::accounts(connection, run_id).await? {
        totals.rows = totals.rows.plus(rows_of(&file));
        totals.bytes_done += file.bytes_done;
        totals.bytes_total += file.bytes_total;
    }
    Ok(totals)
}

/// Writes the accounts of a run into its report.
pub(super) async fn fill(
    run_id: RunId,
    connection: &mut PgConnection,
    report: &mut RunReport,
) -> Result<Vec<FileAccount>, ClientError> {
    let files = accounts::accounts(connection, run_id).await?;
    report.rows = files.iter().fold(Rows::default(), |sum, file| sum.plus(rows_of(file)));
    let state_of = |name: &str| {
        let planned = report.files.iter().find(|file| file.name == name);
        // A file that the source has not changed is in the run because an
        // earlier attempt left something of it.
        planned.map(|file| file.state).filter(|state| *state != "unchanged").unwrap_or("continued")
    };
    let reported = |file: &FileAccount| FileReport {
        name: file.file.clone(),
        state: state_of(&file.file),
        rows: rows_of(file),
    };
    report.files = files.iter().map(reported).collect();
    let rejects = accounts::reject_counts(connection, run_id).await?;
    let reported = |reject: accounts::RejectCount| RejectReport {
        code: reject.code,
        column: reject.column,
        count: reject.count,
    };
    report.rejects = rejects.into_iter().map(reported).collect();
    Ok(files)
}

fn rows_of(file: &FileAccount) -> Rows {
    Rows {
        read: file.read,
        loaded: file.loaded,
        quarantined: file.quarantined,
        filtered: file.filtered,
    }
}

/// Fails unless every record that the source counted is accounted for.
pub(super) fn refuse_open(files: &[FileAccount]) -> Result<(), ClientError> {
    for file in files {
        let accounted = file.loaded + file.quarantined + file.filtered;
        if accounted != file.rows_in_source {
            return Err(ClientError::AccountsOpen {
                file: file.file.clone(),
                expected: file.rows_in_source,
                accounted,
            });
        }
    }
    Ok(())
}

/// Ends a run that refuses more rows than its job allows.
pub(super) struct RejectGuard {
    limit: RejectLimit,
    read: u64,
    quarantined: u64,
}

impl RejectGuard {
    /// Goes on from what the run has behind it.
    pub(super) fn new(limit: RejectLimit, so_far: Rows) -> Self {
        Self { limit, read: so_far.read, quarantined: so_far.quarantined }
    }

    /// Takes note of rows that were committed.
    pub(super) fn take(&mut self, read: u64, quarantined: u64) -> Result<(), ClientError> {
        self.read += read;
        self.quarantined += quarantined;
        match self.limit {
            RejectLimit::Percent(_) if self.read < JUDGED_ROWS_MIN => Ok(()),
            _ => self.check_at_end(),
        }
    }

    /// Judges the whole.
    pub(super) fn check_at_end(&self) -> Result<(), ClientError> {
        let limit = match self.limit {
            RejectLimit::Count(count) if self.quarantined > count => count.to_string(),
            RejectLimit::Percent(percent) if self.is_over(percent) => format!("{percent}%"),
            _ => return Ok(()),
        };
        Err(ClientError::RejectsOverLimit { quarantined: self.quarantined, read: self.read, limit })
    }

    /// Counts of rows are far below 2^52, so that they are exact as f64.
    #[allow(clippy::cast_precision_loss)]
    fn is_over(&self, percent: f64) -> bool {
        self.quarantined as f64 * 100.0 > self.read as f64 * percent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_judged_at_once() {
        let mut guard = RejectGuard::new(RejectLimit::Count(3), Rows::default());
        assert!(guard.take(10, 3).is_ok());
        assert!(guard.take(10, 1).is_err());
    }

    #[test]
    fn a_percentage_is_judged_once_it_says_something() {
        let mut guard = RejectGuard::new(RejectLimit::Percent(1.0), Rows::default());
        assert!(guard.take(100, 50).is_ok());
        assert!(guard.check_at_end().is_err());
        assert!(guard.take(9_900, 50).is_ok());
        assert!(guard.take(0, 1).is_err());
    }

    #[test]
    fn no_row_may_be_refused_under_a_limit_of_zero() {
        let mut guard = RejectGuard::new(RejectLimit::Percent(0.0), Rows::default());
        assert!(guard.take(20_000, 0).is_ok());
        assert!(guard.take(1, 1).is_err());
    }
}
