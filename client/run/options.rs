//! What one call of `run` asks for beyond the job: which run, and which files.

use crate::ledger::runs::{OldRules, RunChoice};

/// What one call of `run` asks for beyond the job.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunOptions {
    /// What becomes of an unfinished run that began with other rules.
    pub(crate) old_rules: OldRules,
    /// Which run is taken part in.
    pub(crate) choice: RunChoice,
    /// Which files are loaded from their start.
    pub(crate) reload: Reload,
    /// Only files modified at this time or after it are loaded, in nanoseconds since 1970.
    pub(crate) since_unix_nanos: Option<i64>,
    /// What becomes of files that the source does not have any more.
    pub(crate) missing: Missing,
}

/// What becomes of files of which something is left to do, and that are gone from the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The run waits for them.
    Await,
    /// What is left of them is never loaded.
    GiveUp,
}

/// Which files are loaded from their start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reload {
    /// Those that are new, and those that were rewritten if the job says so.
    Changed,
    /// All of them, also those that are loaded.
    All,
}

/// What `run` without flags does.
impl Default for RunOptions {
    fn default() -> Self {
        Self {
            old_rules: OldRules::Keep,
            choice: RunChoice::Automatic,
            reload: Reload::Changed,
            since_unix_nanos: None,
            missing: Missing::Await,
        }
    }
}
