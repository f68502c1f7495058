//! Turns `[load]` into the bounds of the load.

use std::time::Duration;

use ferry::host::settings::ByteSize;

use super::JobError;
use super::raw::{RawLimit, RawLoad};

const COMMIT_BYTES_DEFAULT: ByteSize = ByteSize(32 << 20);
const COMMIT_INTERVAL_DEFAULT: Duration = Duration::from_secs(5);
const COMMIT_INTERVAL_MAX: Duration = Duration::from_secs(20);
const SPLIT_BYTES_DEFAULT: ByteSize = ByteSize(256 << 20);
/// A file of which more than half is refused was not what the job expected.
const MAX_REJECTS_DEFAULT: RejectLimit = RejectLimit::Percent(50.0);
const REJECT_WINDOW_DEFAULT: u64 = 100_000;
const UNIQUE_MEMORY_DEFAULT: ByteSize = ByteSize(512 << 20);

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
}

/// How many rows may be refused.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum RejectLimit {
    /// So many rows.
    Count(u64),
    /// So many of a hundred rows.
    Percent(f64),
}

/// Reads the bounds.
pub(super) fn load_limits(raw: &RawLoad) -> Result<LoadLimits, JobError> {
    let commit_interval = raw.commit_interval.map_or(COMMIT_INTERVAL_DEFAULT, |span| span.0);
    if commit_interval.is_zero() {
        return Err(JobError::Invalid("load.commit_interval must be longer than 0s".to_owned()));
    }
    if commit_interval > COMMIT_INTERVAL_MAX {
        let text = "load.commit_interval must be at most 20s: a worker that does not commit loses its lease after 60s";
        return Err(JobError::Invalid(text.to_owned()));
    }
    let max_rejects = match &raw.max_rejects {
        None => MAX_REJECTS_DEFAULT,
        Some(RawLimit::Count(count)) => RejectLimit::Count(*count),
        Some(RawLimit::Text(text)) => reject_limit(text)?,
    };
    Ok(LoadLimits {
        commit_bytes: raw.commit_bytes.unwrap_or(COMMIT_BYTES_DEFAULT).0,
        commit_interval,
        split_bytes: raw.split_bytes.unwrap_or(SPLIT_BYTES_DEFAULT).0,
        max_rejects,
        reject_window: raw.reject_window.unwrap_or(REJECT_WINDOW_DEFAULT),
        unique_bytes: raw.unique_memory.unwrap_or(UNIQUE_MEMORY_DEFAULT).0,
    })
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
        load_limits(&raw)
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
    }

    #[test]
    fn a_window_of_no_rows_is_none() {
        let limits = limits("reject_window = 0\nunique_memory = '1MiB'").expect("valid");
        assert_eq!(limits.reject_window, 0);
        assert_eq!(limits.unique_bytes, 1 << 20);
    }

    #[test]
    fn an_interval_stays_within_the_lease() {
        assert!(limits("commit_interval = '20s'").is_ok());
        for interval in ["0s", "21s"] {
            let error = limits(&format!("commit_interval = '{interval}'")).expect_err("refused");
            assert!(error.to_string().starts_with("load.commit_interval must be"), "{error}");
        }
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
