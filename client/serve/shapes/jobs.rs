//! Jobs as the answers have them: their tables, what each is doing, and the files that they know.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Activity, RunSummary};
use crate::job::{CachePolicy, Mode, ServePolicy, Target};
use crate::ledger::files::FileProblem;
use crate::ledger::live::FileStanding;

/// The jobs that are served.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobList {
    /// In the order in which they were given.
    pub(crate) jobs: Vec<JobSummary>,
}

/// A job, and what it is doing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobSummary {
    /// Its name, under which the ledger knows it.
    pub(crate) name: String,
    /// Source host.
    pub(crate) source_url: String,
    /// Dataset that it reads.
    pub(crate) dataset: String,
    /// Tables that it loads.
    pub(crate) tables: Vec<String>,
    /// Its last run; null if it never ran, or its database cannot be asked.
    pub(crate) last_run: Option<RunSummary>,
    /// What it is doing; of a job whose database cannot be asked, what this process knows of it.
    pub(crate) activity: Activity,
    /// Rows in quarantine that wait for a decision; null if its database cannot be asked.
    pub(crate) open_quarantine: Option<u64>,
    /// Why its database cannot be asked; null if it can.
    pub(crate) trouble: Option<String>,
}

/// A job with all that is known of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobDetail {
    #[serde(flatten)]
    pub(crate) summary: JobSummary,
    /// Tables that it loads, with how.
    pub(crate) targets: Vec<JobTarget>,
}

/// A table that a job loads.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct JobTarget {
    /// Name of the table.
    pub(crate) table: String,
    /// How rows meet those that are there already.
    pub(crate) mode: ModeWord,
    /// Columns that tell its rows apart.
    pub(crate) key: Vec<String>,
    /// Whether its rows are cached.
    pub(crate) cache: bool,
    /// Whether its rows may be looked up here.
    pub(crate) served: bool,
}

/// How rows meet those that are in a table already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ModeWord {
    /// They are added.
    Append,
    /// They take the place of all of them.
    Replace,
    /// They update the row of the same key, or are added.
    Upsert,
    /// They are added unless there is such a row.
    InsertNew,
}

impl From<&Target> for JobTarget {
    fn from(target: &Target) -> Self {
        Self {
            table: target.table.to_string(),
            mode: match target.mode {
                Mode::Append => ModeWord::Append,
                Mode::Replace { .. } => ModeWord::Replace,
                Mode::Upsert { .. } => ModeWord::Upsert,
                Mode::InsertNew => ModeWord::InsertNew,
            },
            key: target.key.clone(),
            cache: target.cache == CachePolicy::On,
            served: target.serve != ServePolicy::Hidden,
        }
    }
}

/// A run that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StartedRun {
    /// Name of the job.
    pub(crate) job: String,
    /// What it is doing now.
    pub(crate) activity: Activity,
}

/// Files of a job.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FileList {
    /// By name.
    pub(crate) files: Vec<JobFile>,
    /// `after` of the next page; null on the last one.
    pub(crate) next_after: Option<String>,
}

/// A file that a job knows, and how far all runs together have loaded it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobFile {
    /// Its name in its dataset.
    pub(crate) name: String,
    /// Dataset that it belongs to.
    pub(crate) dataset: String,
    /// Its size when it was planned last.
    pub(crate) size_bytes: u64,
    /// Records in its splits.
    pub(crate) planned_rows: u64,
    /// Rows in the targets.
    pub(crate) loaded: u64,
    /// Rows in quarantine.
    pub(crate) quarantined: u64,
    /// Rows that the job left out.
    pub(crate) filtered: u64,
    /// Records that no run has dealt with yet.
    pub(crate) rows_left: u64,
    /// When something of it was committed last; null if nothing was.
    #[schema(format = DateTime)]
    pub(crate) last_commit_at: Option<String>,
    /// Why it could not be read to its end when it was planned last.
    pub(crate) problem: Option<FileTrouble>,
    /// Whether it is a page that was fetched from an API.
    pub(crate) is_page: bool,
}

/// Why a file cannot be read, or not to its end.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FileTrouble {
    /// Stable word of the source, such as `ARCHIVE_DAMAGED`.
    pub(crate) reason: String,
    /// Text for people; holds no value of a record.
    pub(crate) message: String,
}

impl From<FileStanding> for JobFile {
    fn from(FileStanding { status, is_page }: FileStanding) -> Self {
        let told =
            |problem: FileProblem| FileTrouble { reason: problem.reason, message: problem.message };
        Self {
            name: status.name,
            dataset: status.dataset,
            size_bytes: status.size_bytes,
            planned_rows: status.planned_rows,
            loaded: status.loaded,
            quarantined: status.quarantined,
            filtered: status.filtered,
            rows_left: status.rows_left,
            last_commit_at: status.last_commit_at,
            problem: status.problem.map(told),
            is_page,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_told_as_the_job_has_it() {
        let target = Target {
            table: "crm.users".parse().expect("a table name"),
            create: false,
            mode: Mode::InsertNew,
            key: vec!["uid".to_owned()],
            columns: Vec::new(),
            cache: CachePolicy::On,
            serve: ServePolicy::Hidden,
        };
        let written = serde_json::to_value(JobTarget::from(&target)).expect("an object");
        let expected = serde_json::json!({
            "table": "crm.users", "mode": "insert_new", "key": ["uid"],
            "cache": true, "served": false,
        });
        assert_eq!(written, expected);
    }
}
