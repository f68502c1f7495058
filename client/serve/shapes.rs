//! Turns what the ledger knows of runs into the JSON of the answers: runs, their sums, and what a job is doing now.

mod jobs;
mod quarantine;
mod runs;

use std::time::SystemTime;

use serde::Serialize;
use utoipa::ToSchema;

use super::starter::{Beginning, Failure, Standing};
use crate::ledger::history;
use crate::ledger::live::RunProgress;
use crate::ledger::runs::RunState;

pub(super) use jobs::{FileList, JobDetail, JobFile, JobList, JobSummary, JobTarget, StartedRun};
pub(super) use quarantine::{QuarantineEntry, QuarantineState, QuarantinedRecord};
pub(super) use runs::{CommitPoint, RunDetail, RunEvent, RunEventName, RunProgressEvent, RunSplit};

/// Where rows went. They close: read is loaded, quarantined and filtered together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct RowCounts {
    /// Records that the source has, as it counted them when it planned.
    pub(crate) in_source: u64,
    /// Records that were dealt with.
    pub(crate) read: u64,
    /// Rows in the targets.
    pub(crate) loaded: u64,
    /// Rows in quarantine.
    pub(crate) quarantined: u64,
    /// Rows that the job left out.
    pub(crate) filtered: u64,
}

/// Why something failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FailureText {
    /// Stable word.
    pub(crate) code: String,
    /// Text for people; holds no value of a record.
    pub(crate) message: String,
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RunStateWord {
    /// Workers are at it, or died at it.
    Running,
    /// Everything is loaded.
    Finished,
    /// It met an error.
    Failed,
    /// Somebody asked it to stop, or began another run in its place.
    Stopped,
}

impl From<RunState> for RunStateWord {
    fn from(state: RunState) -> Self {
        match state {
            RunState::Running => Self::Running,
            RunState::Finished => Self::Finished,
            RunState::Failed => Self::Failed,
            RunState::Stopped => Self::Stopped,
        }
    }
}

/// One run in a list of runs.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct RunSummary {
    /// Number of the run.
    pub(crate) run_id: i64,
    /// Name of its job.
    pub(crate) job: String,
    /// How it stands.
    pub(crate) state: RunStateWord,
    /// When it began.
    #[schema(format = DateTime)]
    pub(crate) started_at: String,
    /// When it ended; null while it runs.
    #[schema(format = DateTime)]
    pub(crate) finished_at: Option<String>,
    /// Seconds from its beginning to its end, or to now.
    pub(crate) seconds: f64,
    /// Where its rows went.
    pub(crate) rows: RowCounts,
    /// Sessions that worked at it.
    pub(crate) workers: u64,
    /// Why it failed.
    pub(crate) error: Option<FailureText>,
}

impl From<history::RunSummary> for RunSummary {
    fn from(run: history::RunSummary) -> Self {
        Self {
            run_id: run.run_id.0,
            job: run.job,
            state: run.state.into(),
            started_at: run.started_at,
            finished_at: run.finished_at,
            seconds: seconds(run.milliseconds),
            rows: RowCounts {
                in_source: run.rows_in_source,
                read: run.read,
                loaded: run.loaded,
                quarantined: run.quarantined,
                filtered: run.filtered,
            },
            workers: run.workers,
            error: run
                .error_code
                .map(|code| FailureText { code, message: run.error_message.unwrap_or_default() }),
        }
    }
}

/// Milliseconds as seconds; longer than weeks they would lose their fraction, which nobody misses.
fn seconds(milliseconds: u64) -> f64 {
    let whole = u32::try_from(milliseconds / 1000).unwrap_or(u32::MAX);
    let rest = u32::try_from(milliseconds % 1000).unwrap_or_default();
    f64::from(whole) + f64::from(rest) / 1000.0
}

impl From<&RunProgress> for RowCounts {
    fn from(progress: &RunProgress) -> Self {
        Self {
            in_source: progress.rows_in_source,
            read: progress.read,
            loaded: progress.loaded,
            quarantined: progress.quarantined,
            filtered: progress.filtered,
        }
    }
}

/// What a job is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ActivityState {
    /// Nothing.
    Idle,
    /// A run was asked for here, and asks the source what there is.
    Starting,
    /// A run is under way, here or in another process.
    Running,
    /// The last run that was asked for here failed.
    Failed,
}

/// What a job is doing, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Activity {
    /// What it is doing.
    pub(crate) state: ActivityState,
    /// The run that is under way or failed; null if there is none yet.
    pub(crate) run_id: Option<i64>,
    /// Since when; null if it is idle.
    #[schema(format = DateTime)]
    pub(crate) since: Option<String>,
    /// Why the run failed.
    pub(crate) error: Option<FailureText>,
}

/// The last run of a job, as far as its activity depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LastRun<'a> {
    pub(super) run_id: i64,
    /// Whether the ledger says that it runs.
    pub(super) is_running: bool,
    /// Whether a worker takes part in it and lives.
    pub(super) is_worked_at: bool,
    pub(super) started_at: &'a str,
}

impl Activity {
    /// What a job is doing, by what was started here and by what the ledger knows.
    pub(super) fn of(standing: Option<&Standing>, last: Option<&LastRun<'_>>) -> Self {
        if let Some(Standing::UnderWay(beginning)) = standing {
            return Self::under_way(beginning, last);
        }
        if let Some(last) = last.filter(|last| last.is_running && last.is_worked_at) {
            return Self {
                state: ActivityState::Running,
                run_id: Some(last.run_id),
                since: Some(last.started_at.to_owned()),
                error: None,
            };
        }
        match standing {
            Some(Standing::Failed(beginning, failure))
                if !is_overtaken(*beginning, failure, last) =>
            {
                Self::failed(failure)
            }
            _ => Self { state: ActivityState::Idle, run_id: None, since: None, error: None },
        }
    }

    /// A run that was started here has a number once the ledger knows it.
    fn under_way(beginning: &Beginning, last: Option<&LastRun<'_>>) -> Self {
        let is_this =
            |last: &&LastRun<'_>| last.is_running || Some(last.run_id) > beginning.run_before;
        let run_id = last.filter(is_this).map(|last| last.run_id);
        let state = if run_id.is_some() { ActivityState::Running } else { ActivityState::Starting };
        Self { state, run_id, since: Some(rfc3339(beginning.at)), error: None }
    }

    fn failed(failure: &Failure) -> Self {
        let error = FailureText { code: failure.code.to_owned(), message: failure.message.clone() };
        Self {
            state: ActivityState::Failed,
            run_id: failure.run_id,
            since: Some(rfc3339(failure.at)),
            error: Some(error),
        }
    }
}

/// Whether another run has begun since, here or elsewhere: the failure is no news any more.
fn is_overtaken(beginning: Beginning, failure: &Failure, last: Option<&LastRun<'_>>) -> bool {
    let known = failure.run_id.max(beginning.run_before);
    last.is_some_and(|last| Some(last.run_id) > known)
}

/// An instant of this host.
fn rfc3339(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}

#[cfg(test)]
mod tests;
