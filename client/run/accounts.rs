//! Compares what the source has with what the ledger says became of it.

use std::collections::VecDeque;

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
    report.rows = sum(&files);
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

/// The rows of all files.
pub(super) fn sum(files: &[FileAccount]) -> Rows {
    files.iter().fold(Rows::default(), |sum, file| sum.plus(rows_of(file)))
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

/// Ends a run that refuses more rows than its job allows, on the whole or of late.
#[derive(Clone)]
pub(super) struct RejectGuard {
    limit: RejectLimit,
    read: u64,
    quarantined: u64,
    /// There is none for a count: that is of the whole run.
    window: Option<Window>,
}

impl RejectGuard {
    /// Goes on from what the run has behind it.
    ///
    /// A percentage is also judged over the last `window_rows` rows, unless that is 0.
    pub(super) fn new(limit: RejectLimit, window_rows: u64, so_far: Rows) -> Self {
        let has_window = window_rows > 0 && matches!(limit, RejectLimit::Percent(_));
        // In which order earlier attempts refused is not known, so the window begins empty.
        let window = has_window.then(|| Window::new(window_rows));
        Self { limit, read: so_far.read, quarantined: so_far.quarantined, window }
    }

    /// Whether a limit would be exceeded with these rows, read and quarantined, committed.
    pub(super) fn would_end(&self, pending: &[(u64, u64)]) -> bool {
        let mut guard = self.clone();
        guard.take(pending).is_err()
    }

    /// Takes note of rows that were committed, read and quarantined, in their order.
    pub(super) fn take(&mut self, committed: &[(u64, u64)]) -> Result<(), ClientError> {
        for (read, quarantined) in committed {
            self.observe(*read, *quarantined);
        }
        self.verdict()
    }

    /// Takes note of some rows; says whether a limit is exceeded now.
    fn observe(&mut self, read: u64, quarantined: u64) -> bool {
        self.read += read;
        self.quarantined += quarantined;
        if let Some(window) = &mut self.window {
            window.push(read, quarantined);
        }
        self.verdict().is_err()
    }

    /// Judges the whole, once it says something, and the window, once it is full.
    pub(super) fn verdict(&self) -> Result<(), ClientError> {
        let is_count = matches!(self.limit, RejectLimit::Count(_));
        if is_count || self.read >= JUDGED_ROWS_MIN {
            self.check_at_end()?;
        }
        match self.window.as_ref().filter(|window| window.is_full()) {
            Some(window) => self.judge(window.quarantined, window.read, "of the last"),
            None => Ok(()),
        }
    }

    /// Judges the whole.
    pub(super) fn check_at_end(&self) -> Result<(), ClientError> {
        self.judge(self.quarantined, self.read, "of")
    }

    fn judge(&self, quarantined: u64, read: u64, scope: &str) -> Result<(), ClientError> {
        let limit = match self.limit {
            RejectLimit::Count(count) if quarantined > count => count.to_string(),
            RejectLimit::Percent(percent) if is_over(quarantined, read, percent) => {
                format!("{percent}%")
            }
            _ => return Ok(()),
        };
        let scope = format!("{scope} {read} rows");
        Err(ClientError::RejectsOverLimit { quarantined, scope, limit })
    }
}

/// Counts of rows are far below 2^52, so that they are exact as f64.
#[allow(clippy::cast_precision_loss)]
fn is_over(quarantined: u64, read: u64, percent: f64) -> bool {
    quarantined as f64 * 100.0 > read as f64 * percent
}

/// The rows seen last: as few observations as make up the wanted number.
#[derive(Clone)]
struct Window {
    rows_min: u64,
    /// Rows read and quarantined, the oldest observation first.
    observations: VecDeque<(u64, u64)>,
    read: u64,
    quarantined: u64,
}

impl Window {
    fn new(rows_min: u64) -> Self {
        Self { rows_min, observations: VecDeque::new(), read: 0, quarantined: 0 }
    }

    fn push(&mut self, read: u64, quarantined: u64) {
        self.observations.push_back((read, quarantined));
        self.read += read;
        self.quarantined += quarantined;
        // What is not needed any more goes, so that one large observation stands alone.
        while let Some((oldest_read, oldest_quarantined)) = self.observations.front().copied() {
            if self.read - oldest_read < self.rows_min {
                break;
            }
            self.observations.pop_front();
            self.read -= oldest_read;
            self.quarantined -= oldest_quarantined;
        }
    }

    fn is_full(&self) -> bool {
        self.read >= self.rows_min
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERCENT: RejectLimit = RejectLimit::Percent(5.0);
    const WINDOW: u64 = 10_000;

    fn guard(limit: RejectLimit, window_rows: u64) -> RejectGuard {
        RejectGuard::new(limit, window_rows, Rows::default())
    }

    /// A guard that has seen a million good rows, a thousand at a time.
    fn guard_of_good_rows(window_rows: u64) -> RejectGuard {
        let mut guard = guard(PERCENT, window_rows);
        for _ in 0..1000 {
            assert!(!guard.observe(1000, 0));
        }
        guard
    }

    fn message(guard: &RejectGuard) -> String {
        guard.verdict().expect_err("a limit is exceeded").to_string()
    }

    #[test]
    fn a_count_is_judged_at_once_and_never_over_a_window() {
        let mut guard = guard(RejectLimit::Count(3), 5);
        assert!(!guard.observe(10, 3));
        assert!(!guard.observe(90, 0));
        assert!(guard.observe(10, 1));
        assert!(message(&guard).contains("4 of 110 rows"), "{}", message(&guard));
    }

    #[test]
    fn a_percentage_is_judged_once_it_says_something() {
        let mut guard = guard(RejectLimit::Percent(1.0), 0);
        assert!(!guard.observe(100, 50));
        assert!(guard.check_at_end().is_err());
        assert!(!guard.observe(9_900, 50));
        assert!(guard.observe(0, 1));
        assert!(message(&guard).contains("101 of 10000 rows"), "{}", message(&guard));
    }

    #[test]
    fn no_row_may_be_refused_under_a_limit_of_zero() {
        let mut guard = guard(RejectLimit::Percent(0.0), 0);
        assert!(!guard.observe(20_000, 0));
        assert!(guard.observe(1, 1));
    }

    #[test]
    fn garbage_in_the_middle_stops_within_one_window() {
        let mut guard = guard_of_good_rows(WINDOW);
        let mut without_window = guard_of_good_rows(0);
        let mut garbage_rows = 0;
        while !guard.observe(100, 100) {
            assert!(!without_window.observe(100, 100), "on the whole it is little");
            garbage_rows += 100;
            assert!(garbage_rows < WINDOW, "a whole window of garbage passed");
        }
        assert!(message(&guard).contains("600 of the last 10600 rows"), "{}", message(&guard));
    }

    #[test]
    fn a_burst_below_the_percentage_of_the_window_passes() {
        let mut guard = guard_of_good_rows(WINDOW);
        for _ in 0..100 {
            // Half of a thousand rows are bad, and the nine thousand after them good.
            assert!(!guard.observe(1000, 500));
            for _ in 0..9 {
                assert!(!guard.observe(1000, 0));
            }
        }
        assert!(!guard.observe(1000, 500));
        assert!(guard.observe(1000, 1), "one more before the burst is out of the window");
    }

    #[test]
    fn a_window_is_not_judged_before_it_is_full() {
        let mut guard = guard(PERCENT, 1000);
        assert!(!guard.observe(999, 999));
        assert!(guard.observe(1, 0));
        assert!(message(&guard).contains("999 of the last 1000 rows"), "{}", message(&guard));
    }

    #[test]
    fn an_observation_larger_than_the_window_is_judged_alone() {
        let mut guard = guard_of_good_rows(100);
        assert!(!guard.observe(8000, 400));
        assert!(guard.observe(8000, 401));
        assert!(message(&guard).contains("401 of the last 8000 rows"), "{}", message(&guard));
    }

    #[test]
    fn an_observation_of_no_rows_changes_nothing() {
        let mut guard = guard(PERCENT, 1000);
        assert!(!guard.observe(0, 0));
        assert!(!guard.observe(999, 999));
        assert!(!guard.observe(0, 0));
        assert!(guard.observe(1, 0));
    }

    #[test]
    fn rows_that_are_not_committed_are_judged_and_not_kept() {
        let mut guard = guard(RejectLimit::Count(6), 0);
        assert!(!guard.would_end(&[(10, 6)]), "rolled back");
        assert!(guard.would_end(&[(10, 6), (0, 1)]));
        assert!(guard.take(&[(10, 6)]).is_ok(), "what was rolled back does not count");
        assert!(guard.take(&[(0, 1)]).is_err());
    }

    #[test]
    fn a_resumed_run_is_judged_by_its_whole_and_by_a_window_of_its_own() {
        let so_far = |quarantined| Rows { read: 1_000_000, quarantined, ..Rows::default() };
        let guard = RejectGuard::new(PERCENT, WINDOW, so_far(50_001));
        assert!(message(&guard).contains("50001 of 1000000 rows"), "{}", message(&guard));
        let mut guard = RejectGuard::new(PERCENT, WINDOW, so_far(40_000));
        assert!(guard.verdict().is_ok());
        assert!(!guard.observe(9_999, 9_999), "the window is not full, the whole below 5 %");
        assert!(guard.observe(1, 0));
    }
}
