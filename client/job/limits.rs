//! Turns `[load]` into the bounds of the load.

use std::time::Duration;

use ferry::host::settings::{ByteSize, Span};

use super::JobError;
use super::policies::{DriftPolicy, FileOrder, RewrittenPolicy};
use super::raw::{RawLimit, RawLoad};
use super::targets::Target;

const COMMIT_BYTES_DEFAULT: ByteSize = ByteSize(32 << 20);
const COMMIT_INTERVAL_DEFAULT: Duration = Duration::from_secs(5);
const SPLIT_BYTES_DEFAULT: ByteSize = ByteSize(256 << 20);
/// A file of which more than half is refused was not what the job expected.
const MAX_REJECTS_DEFAULT: RejectLimit = RejectLimit::Percent(50.0);
const REJECT_WINDOW_DEFAULT: u64 = 100_000;
const UNIQUE_MEMORY_DEFAULT: ByteSize = ByteSize(512 << 20);
const WORKERS_DEFAULT: usize = 1;
/// Each worker has its own sessions with the source and with the database.
const WORKERS_MAX: usize = 64;
const LEASE_DEFAULT: Duration = Duration::from_mins(1);
const LEASE_MIN: Duration = Duration::from_secs(3);
const LEASE_MAX: Duration = Duration::from_hours(1);
/// A worker commits this often within a lease, so that one late commit does not cost it the split.
const COMMITS_PER_LEASE: u32 = 3;
const RETRIES_DEFAULT: usize = 8;
const RETRIES_MAX: usize = 100;

/// Bounds of the load.
#[derive(Debug)]
pub(crate) struct LoadLimits {
    /// A transaction ends with the batch that reaches so many bytes.
    pub(crate) commit_bytes: u64,
    /// A transaction ends after this time, even with fewer bytes.
    pub(crate) commit_interval: Duration,
    /// Size of the ranges that a file is cut into.
    pub(crate) split_bytes: u64,
    /// A run with more rejects fails.
    pub(crate) max_rejects: RejectLimit,
    /// Rows over which a share of rejects is judged before the end; 0 for no such window.
    pub(crate) reject_window: u64,
    /// Memory for the values that must be unique.
    pub(crate) unique_bytes: u64,
    /// Splits that this process loads at a time; at least 1.
    pub(crate) workers: usize,
    /// How long a split stays with a worker that shows no sign of life; whole seconds.
    pub(crate) lease: Duration,
    /// Attempts in a row that may come to nothing before the run fails.
    pub(crate) retries: usize,
    /// What becomes of columns that differ from those of the last run.
    pub(crate) drift: DriftPolicy,
    /// What becomes of a file whose loaded part changed.
    pub(crate) rewritten: RewrittenPolicy,
    /// In which order files are loaded.
    pub(crate) file_order: FileOrder,
}

/// How many rows may be refused.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum RejectLimit {
    /// So many rows.
    Count(u64),
    /// So many of a hundred rows.
    Percent(f64),
}

/// Reads the bounds; how the targets are written decides on the order of the files.
pub(super) fn load_limits(raw: &RawLoad, targets: &[Target]) -> Result<LoadLimits, JobError> {
    let lease = lease(raw.lease)?;
    let max_rejects = match &raw.max_rejects {
        None => MAX_REJECTS_DEFAULT,
        Some(RawLimit::Count(count)) => RejectLimit::Count(*count),
        Some(RawLimit::Text(text)) => reject_limit(text)?,
    };
    let invalid = JobError::Invalid;
    Ok(LoadLimits {
        commit_bytes: raw.commit_bytes.unwrap_or(COMMIT_BYTES_DEFAULT).0,
        commit_interval: commit_interval(raw.commit_interval, lease)?,
        split_bytes: raw.split_bytes.unwrap_or(SPLIT_BYTES_DEFAULT).0,
        max_rejects,
        reject_window: raw.reject_window.unwrap_or(REJECT_WINDOW_DEFAULT),
        unique_bytes: raw.unique_memory.unwrap_or(UNIQUE_MEMORY_DEFAULT).0,
        workers: workers(raw.workers)?,
        lease,
        retries: retries(raw.retries)?,
        drift: DriftPolicy::of_word(raw.drift.as_deref()).map_err(invalid)?,
        rewritten: RewrittenPolicy::of_word(raw.rewritten.as_deref()).map_err(invalid)?,
        file_order: FileOrder::of_word(raw.file_order.as_deref(), targets).map_err(invalid)?,
    })
}

fn lease(raw: Option<Span>) -> Result<Duration, JobError> {
    let lease = raw.map_or(LEASE_DEFAULT, |span| span.0);
    let is_whole = lease.subsec_nanos() == 0;
    if is_whole && (LEASE_MIN..=LEASE_MAX).contains(&lease) {
        return Ok(lease);
    }
    let text = "load.lease must be 3s to 1h, in whole seconds";
    Err(JobError::Invalid(text.to_owned()))
}

fn commit_interval(raw: Option<Span>, lease: Duration) -> Result<Duration, JobError> {
    let longest = lease / COMMITS_PER_LEASE;
    let Some(Span(interval)) = raw else {
        return Ok(COMMIT_INTERVAL_DEFAULT.min(longest));
    };
    if interval.is_zero() {
        return Err(JobError::Invalid("load.commit_interval must be longer than 0s".to_owned()));
    }
    if interval > longest {
        return Err(JobError::Invalid(format!(
            "load.commit_interval must be at most {longest:?}, a third of load.lease: commit more often, or set a longer lease"
        )));
    }
    Ok(interval)
}

fn workers(raw: Option<usize>) -> Result<usize, JobError> {
    let workers = raw.unwrap_or(WORKERS_DEFAULT);
    if (1..=WORKERS_MAX).contains(&workers) {
        return Ok(workers);
    }
    let text = format!(
        "load.workers must be 1 to {WORKERS_MAX}: for more, start the job in several processes"
    );
    Err(JobError::Invalid(text))
}

fn retries(raw: Option<usize>) -> Result<usize, JobError> {
    let retries = raw.unwrap_or(RETRIES_DEFAULT);
    if retries <= RETRIES_MAX {
        return Ok(retries);
    }
    Err(JobError::Invalid(format!("load.retries must be 0 to {RETRIES_MAX}")))
}

fn reject_limit(text: &str) -> Result<RejectLimit, JobError> {
    let invalid = || {
        JobError::Invalid(format!(
            "load.max_rejects \"{text}\" is neither a count nor a percentage such as \"1%\""
        ))
    };
    match text.trim().strip_suffix('%') {
        Some(percent) => {
            let percent: f64 = percent.trim().parse().map_err(|_| invalid())?;
            (0.0..=100.0)
                .contains(&percent)
                .then_some(RejectLimit::Percent(percent))
                .ok_or_else(invalid)
        }
        None => text.trim().parse().map(RejectLimit::Count).map_err(|_| invalid()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(keys: &str) -> Result<LoadLimits, JobError> {
        let raw: RawLoad = toml::from_str(keys).expect("well-formed TOML");
        load_limits(&raw, &[])
    }

    #[track_caller]
    fn assert_refused(keys: &str, hint: &str) {
        let error = limits(keys).expect_err("refused").to_string();
        assert!(error.contains(hint), "{error}");
    }

    #[test]
    fn defaults_fill_what_the_file_leaves_out() {
        let limits = limits("").expect("valid");
        assert_eq!(limits.commit_bytes, 32 << 20);
        assert_eq!(limits.commit_interval, Duration::from_secs(5));
        assert_eq!(limits.split_bytes, 256 << 20);
        assert_eq!(limits.max_rejects, RejectLimit::Percent(50.0));
        assert_eq!(limits.reject_window, 100_000);
        assert_eq!(limits.unique_bytes, 512 << 20);
        assert_eq!((limits.workers, limits.retries), (1, 8));
        assert_eq!(limits.lease, Duration::from_mins(1));
        assert_eq!(limits.drift, DriftPolicy::Freeze);
        assert_eq!(limits.rewritten, RewrittenPolicy::Refuse);
        assert_eq!(limits.file_order, FileOrder::Any);
    }

    #[test]
    fn a_window_of_no_rows_is_none() {
        let limits = limits("reject_window = 0\nunique_memory = '1MiB'").expect("valid");
        assert_eq!(limits.reject_window, 0);
        assert_eq!(limits.unique_bytes, 1 << 20);
    }

    #[test]
    fn an_interval_is_at_most_a_third_of_the_lease() {
        assert!(limits("commit_interval = '20s'").is_ok());
        assert_refused("commit_interval = '0s'", "load.commit_interval must be longer than 0s");
        let hint = "load.commit_interval must be at most 20s, a third of load.lease";
        assert_refused("commit_interval = '21s'", hint);
        assert!(limits("commit_interval = '21s'\nlease = '63s'").is_ok());
        assert_refused("commit_interval = '2s'\nlease = '4s'", "at most 1.333333333s");
    }

    #[test]
    fn the_interval_follows_a_short_lease() {
        let limits = limits("lease = '3s'").expect("valid");
        assert_eq!(limits.lease, Duration::from_secs(3));
        assert_eq!(limits.commit_interval, Duration::from_secs(1));
    }

    #[test]
    fn a_lease_is_neither_short_nor_endless() {
        assert!(limits("lease = '1h'").is_ok());
        for lease in ["0s", "2s", "3500ms", "3601s"] {
            assert_refused(&format!("lease = '{lease}'"), "load.lease must be 3s to 1h");
        }
    }

    #[test]
    fn workers_and_retries_have_bounds() {
        let most = limits("workers = 64\nretries = 100").expect("valid");
        assert_eq!((most.workers, most.retries), (64, 100));
        assert_eq!(limits("retries = 0").expect("valid").retries, 0);
        for workers in [0, 65] {
            let keys = format!("workers = {workers}");
            assert_refused(&keys, "load.workers must be 1 to 64: for more, start the job");
        }
        assert_refused("retries = 101", "load.retries must be 0 to 100");
    }

    #[test]
    fn limits_are_counts_or_percentages() {
        assert_eq!(reject_limit("1%").ok(), Some(RejectLimit::Percent(1.0)));
        assert_eq!(reject_limit(" 12 ").ok(), Some(RejectLimit::Count(12)));
        assert!(reject_limit("101%").is_err());
        assert!(reject_limit("few").is_err());
        assert!(matches!(
            limits("max_rejects = 7").map(|limits| limits.max_rejects),
            Ok(RejectLimit::Count(7))
        ));
    }
}
