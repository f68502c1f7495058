//! What a run did: while it runs, and when it is over.

mod progress;
mod summary;

use serde::Serialize;

use crate::cache::CacheReport;
use crate::error::{ClientError, RunLeft};
use crate::ledger::files::FileProblem;
use crate::output::Style;
use crate::receive::Plan;

pub(crate) use progress::{Display, Progress};

/// What a run did. Its JSON form is what `--json` prints.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RunReport {
    /// Name of the job.
    pub(crate) job: String,
    /// Number of the run in the ledger; none if it failed before it began.
    pub(crate) run_id: Option<i64>,
    /// How it ended.
    pub(crate) state: ReportState,
    /// Rows of the whole run, also of earlier attempts that this one continued.
    pub(crate) rows: Rows,
    /// The same, by file.
    pub(crate) files: Vec<FileReport>,
    /// What became of the loaded rows in each table.
    pub(crate) targets: Vec<TargetReport>,
    /// Workers of this process.
    pub(crate) workers: usize,
    /// Attempts of this process after an error that passed.
    pub(crate) retries: u64,
    /// Bytes of the source that this process read.
    pub(crate) bytes: u64,
    /// Wall-clock time of this process.
    pub(crate) seconds: f64,
    /// Rows in quarantine by reason.
    pub(crate) rejects: Vec<RejectReport>,
    /// Files that could not be read, or not to their end.
    pub(crate) problems: Vec<FileProblem>,
    /// What became of the cache; none if no row is cached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cache: Option<CacheReport>,
    /// Why it failed.
    pub(crate) error: Option<ErrorReport>,
}

impl RunReport {
    /// A report of a run that has not begun.
    pub(crate) fn new(job: &str) -> Self {
        Self {
            job: job.to_owned(),
            run_id: None,
            state: ReportState::Failed,
            rows: Rows::default(),
            files: Vec::new(),
            targets: Vec::new(),
            workers: 1,
            retries: 0,
            bytes: 0,
            seconds: 0.0,
            rejects: Vec::new(),
            problems: Vec::new(),
            cache: None,
            error: None,
        }
    }

    /// Takes note of what became of each file since the last run.
    pub(crate) fn take_plan(&mut self, plan: &Plan) {
        self.files = plan
            .files
            .iter()
            .map(|file| FileReport {
                name: file.name.clone(),
                state: file.state_word(),
                rows: Rows::default(),
            })
            .collect();
    }

    /// Says how the run ended, and prints it.
    pub(crate) fn finish(mut self, error: Option<&ClientError>, style: Style) {
        self.conclude(error);
        match style {
            Style::Json => summary::print_json(&self),
            // Without a run there is nothing but the error, which is told apart.
            Style::Table if self.run_id.is_some() => summary::print(&self),
            Style::Table => {}
        }
    }

    /// Says how the run ended.
    pub(crate) fn conclude(&mut self, error: Option<&ClientError>) {
        let mut failure = error;
        if let Some(ClientError::FilesUnreadable(files)) = error {
            // A run that went no further than its plan has not told them yet.
            if self.problems.is_empty() {
                self.problems.clone_from(&files.problems);
            }
            failure = failure.filter(|_| files.left != RunLeft::Finished);
        }
        self.state = match failure {
            None if self.rows == Rows::default() => ReportState::NothingNew,
            None => ReportState::Finished,
            Some(ClientError::Interrupted) => ReportState::Stopped,
            Some(_) => ReportState::Failed,
        };
        self.error =
            error.map(|error| ErrorReport { code: error.code(), message: error.to_string() });
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReportState {
    /// Everything that can be read is loaded.
    Finished,
    /// The ledger knew all of that already.
    NothingNew,
    /// A signal stopped it.
    Stopped,
    /// An error stopped it.
    Failed,
}

/// Rows by where they went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Rows {
    /// Records of the source.
    pub(crate) read: u64,
    /// Rows in the target.
    pub(crate) loaded: u64,
    /// Rows in quarantine.
    pub(crate) quarantined: u64,
    /// Rows that a filter took out.
    pub(crate) filtered: u64,
}

impl Rows {
    /// Whether every record read is somewhere.
    pub(crate) fn is_closed(self) -> bool {
        self.read == self.loaded + self.quarantined + self.filtered
    }

    /// Sum of two accounts.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            read: self.read + other.read,
            loaded: self.loaded + other.loaded,
            quarantined: self.quarantined + other.quarantined,
            filtered: self.filtered + other.filtered,
        }
    }
}

/// One file of a run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct FileReport {
    /// Name below the dataset's root.
    pub(crate) name: String,
    /// What became of it since the last run.
    pub(crate) state: &'static str,
    /// Its rows in this run.
    #[serde(flatten)]
    pub(crate) rows: Rows,
}

/// One table of a run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TargetReport {
    /// Name of the table.
    pub(crate) table: String,
    /// Word of its mode.
    pub(crate) mode: &'static str,
    /// Rows that were inserted or updated in the whole run.
    pub(crate) written: u64,
}

/// Rows that were refused for one reason.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RejectReport {
    /// Stable code.
    pub(crate) code: String,
    /// Column, none if the whole record is meant.
    pub(crate) column: Option<String>,
    /// Number of rows.
    pub(crate) count: u64,
}

/// Why a run failed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ErrorReport {
    /// Stable word.
    pub(crate) code: &'static str,
    /// Text for people.
    pub(crate) message: String,
}
