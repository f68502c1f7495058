//! One run in full: files, rejects, workers, splits, commits in time, and what its stream of events says.

use axum::response::sse::Event;
use serde::Serialize;
use utoipa::ToSchema;

use super::{RowCounts, RunStateWord, RunSummary};
use crate::ledger::accounts::{FileAccount, RejectCount};
use crate::ledger::history::{RunDetails, WorkerDetails};
use crate::ledger::live::{self, RunProgress, SplitShare, SplitStanding};
use crate::ledger::runs::RunState;

/// All that is known of one run.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct RunDetail {
    #[serde(flatten)]
    pub(crate) summary: RunSummary,
    /// Source host, without credentials.
    pub(crate) source_url: String,
    /// Dataset that was read.
    pub(crate) dataset: String,
    /// Tables that were loaded.
    pub(crate) target: String,
    /// Transactions that moved a split.
    pub(crate) commits: u64,
    /// What became of each file, by name.
    pub(crate) files: Vec<RunFile>,
    /// Why rows are in quarantine, the most frequent reason first.
    pub(crate) rejects: Vec<RejectedRows>,
    /// Who worked at it, in the order in which they came.
    pub(crate) workers_list: Vec<RunWorker>,
    /// Whether every record that was read is loaded, in quarantine or left out, and of a finished run every record of the source.
    pub(crate) closes: bool,
}

impl RunDetail {
    /// Puts together what the ledger knows of a run.
    pub(crate) fn of(
        details: RunDetails,
        files: Vec<FileAccount>,
        rejects: Vec<RejectCount>,
    ) -> Self {
        let files: Vec<RunFile> = files.into_iter().map(RunFile::from).collect();
        Self {
            closes: closes(details.summary.state, &files),
            summary: details.summary.into(),
            source_url: details.source_url,
            dataset: details.dataset,
            target: details.target,
            commits: details.commits,
            files,
            rejects: rejects.into_iter().map(RejectedRows::from).collect(),
            workers_list: details.workers.into_iter().map(RunWorker::from).collect(),
        }
    }
}

/// Whether every record of every file is where it belongs.
pub(crate) fn closes(state: RunState, files: &[RunFile]) -> bool {
    files.iter().all(|file| {
        let accounted = file.loaded + file.quarantined + file.filtered;
        let is_whole = state != RunState::Finished || file.read == file.rows_in_source;
        file.read == accounted && is_whole
    })
}

/// What a run did with one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct RunFile {
    /// Name of the file.
    pub(crate) name: String,
    /// Records in its splits, as the source counted them when it planned.
    pub(crate) rows_in_source: u64,
    /// Records that were dealt with.
    pub(crate) read: u64,
    /// Rows in the targets.
    pub(crate) loaded: u64,
    /// Rows in quarantine.
    pub(crate) quarantined: u64,
    /// Rows that the job left out.
    pub(crate) filtered: u64,
    /// Splits that are done.
    pub(crate) splits_done: u64,
    /// Splits in all.
    pub(crate) splits_total: u64,
}

impl From<FileAccount> for RunFile {
    fn from(file: FileAccount) -> Self {
        Self {
            name: file.file,
            rows_in_source: file.rows_in_source,
            read: file.read,
            loaded: file.loaded,
            quarantined: file.quarantined,
            filtered: file.filtered,
            splits_done: file.splits_done,
            splits_total: file.splits_total,
        }
    }
}

/// How often one reason put a row in quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct RejectedRows {
    /// First reason of the rows.
    pub(crate) code: String,
    /// Column that it concerns; null for the whole record.
    pub(crate) column: Option<String>,
    /// Number of rows.
    pub(crate) count: u64,
}

impl From<RejectCount> for RejectedRows {
    fn from(rejects: RejectCount) -> Self {
        Self { code: rejects.code, column: rejects.column, count: rejects.count }
    }
}

/// A session that worked at a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct RunWorker {
    /// Name of its host.
    pub(crate) host: String,
    /// Number of its process there.
    pub(crate) process_id: u64,
    /// When it came.
    #[schema(format = DateTime)]
    pub(crate) joined_at: String,
    /// When it left in order; null while it works, and if it was lost.
    #[schema(format = DateTime)]
    pub(crate) left_at: Option<String>,
    /// Whether it is at work now.
    pub(crate) is_alive: bool,
    /// Transactions that it committed.
    pub(crate) commits: u64,
    /// Records that it dealt with.
    pub(crate) rows: u64,
}

impl From<WorkerDetails> for RunWorker {
    fn from(worker: WorkerDetails) -> Self {
        Self {
            host: worker.host,
            process_id: worker.process_id,
            joined_at: worker.joined_at,
            left_at: worker.left_at,
            is_alive: worker.is_alive,
            commits: worker.commits,
            rows: worker.rows,
        }
    }
}

/// A split of a run, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct RunSplit {
    /// Number of the split.
    pub(crate) split_id: i64,
    /// Name of its file.
    pub(crate) file: String,
    /// Records of the file before it.
    pub(crate) start_row: u64,
    /// Records of the file before its end.
    pub(crate) end_row: u64,
    /// Records of the file before the place up to which it is committed.
    pub(crate) next_row: u64,
    /// Rows in the targets.
    pub(crate) loaded: u64,
    /// Rows in quarantine.
    pub(crate) quarantined: u64,
    /// Rows that the job left out.
    pub(crate) filtered: u64,
    /// Whether nothing of it is left to do.
    pub(crate) done: bool,
    /// How often it was claimed.
    pub(crate) epoch: i64,
}

impl From<SplitStanding> for RunSplit {
    fn from(split: SplitStanding) -> Self {
        Self {
            split_id: split.split_id.0,
            file: split.file,
            start_row: split.start_row,
            end_row: split.end_row,
            next_row: split.next_row,
            loaded: split.loaded,
            quarantined: split.quarantined,
            filtered: split.filtered,
            done: split.done,
            epoch: split.epoch.0,
        }
    }
}

/// How many records a run dealt with since the point before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct CommitPoint {
    /// Last commit that counts.
    #[schema(format = DateTime)]
    pub(crate) at: String,
    /// Records that were dealt with.
    pub(crate) rows: u64,
}

impl From<live::CommitPoint> for CommitPoint {
    fn from(point: live::CommitPoint) -> Self {
        Self { at: point.at, rows: point.rows }
    }
}

/// How much of a split is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct SplitProgress {
    /// Number of the split.
    pub(crate) split_id: i64,
    /// Name of its file.
    pub(crate) file: String,
    /// Records of it that were dealt with.
    pub(crate) done_rows: u64,
    /// Records in it.
    pub(crate) rows: u64,
}

impl From<&SplitShare> for SplitProgress {
    fn from(split: &SplitShare) -> Self {
        Self {
            split_id: split.split_id.0,
            file: split.file.clone(),
            done_rows: split.done_rows,
            rows: split.rows,
        }
    }
}

/// How a run stands at one moment: the data of an event `progress`.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct RunProgressEvent {
    /// Number of the run.
    pub(crate) run_id: i64,
    /// How it stands.
    pub(crate) state: RunStateWord,
    /// The moment, by the clock of the database.
    #[schema(format = DateTime)]
    pub(crate) at: String,
    /// Where its rows went so far.
    pub(crate) rows: RowCounts,
    /// Records that are dealt with in a second, over the last seconds.
    pub(crate) rows_per_second: f64,
    /// At most 200 splits: of many, those that are at work first.
    pub(crate) splits: Vec<SplitProgress>,
}

impl RunProgressEvent {
    /// Puts together what an event says.
    pub(crate) fn of(run_id: i64, progress: &RunProgress, rows_per_second: f64) -> Self {
        Self {
            run_id,
            state: progress.state.into(),
            at: progress.at.clone(),
            rows: RowCounts::from(progress),
            rows_per_second,
            splits: progress.splits.iter().map(SplitProgress::from).collect(),
        }
    }
}

/// One server-sent event of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct RunEvent {
    /// What it tells.
    pub(crate) event: RunEventName,
    /// JSON: a `RunProgressEvent`, or at the end a `RunSummary`.
    pub(crate) data: String,
}

/// What an event of a run tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RunEventName {
    /// How far it is.
    Progress,
    /// How it ended.
    End,
}

impl From<RunEvent> for Event {
    fn from(event: RunEvent) -> Self {
        let name = match event.event {
            RunEventName::Progress => "progress",
            RunEventName::End => "end",
        };
        Self::default().event(name).data(event.data)
    }
}
