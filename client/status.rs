//! Shows what the ledger knows: the last runs, and what is loaded of each file.

use std::path::Path;

use comfy_table::Table;
use ferry::host::settings::{ByteSize, Secret, expand};
use serde_json::json;

use crate::database;
use crate::error::ClientError;
use crate::history::{runs_json, runs_table};
use crate::job::{JobError, read_identity};
use crate::ledger::files::{self, FileStatus};
use crate::ledger::history::{self, RunSummary};
use crate::ledger::migrate;
use crate::output::{self, Style};
use crate::run::APPLICATION_NAME;

/// Runs that are listed.
const RUNS_SHOWN: i64 = 10;
/// What is said of a database without a ledger.
pub(crate) const NO_LEDGER: &str =
    "no ledger here yet, or one of another version: `ferry-client run` or `migrate` makes it";

/// Whose status is asked for.
#[derive(Debug)]
pub(crate) struct Scope {
    /// Name of the job; none for all jobs.
    pub(crate) job: Option<String>,
    /// Where the ledger is.
    pub(crate) database_url: Secret,
}

impl Scope {
    /// Reads the job file, if there is one, and lays the flags over it.
    pub(crate) fn new(
        file: Option<&Path>,
        name: Option<String>,
        database: Option<String>,
    ) -> Result<Self, ClientError> {
        let identity = file.map(read_identity).transpose()?.unwrap_or_default();
        let url = database.or(identity.database_url);
        let url = url.ok_or(JobError::NO_DATABASE)?;
        let database_url = expand(&url, "database.url").map_err(JobError::from)?;
        Ok(Self { job: name.or(identity.name), database_url })
    }
}

/// Makes or updates the ledger.
pub(crate) async fn migrate(database: &str) -> Result<(), ClientError> {
    let url = expand(database, "--database").map_err(JobError::from)?;
    let mut connection = database::connect(&url, APPLICATION_NAME).await?;
    let applied = migrate::migrate(&mut connection).await?;
    if applied.is_empty() {
        output::line("the ledger is up to date");
    }
    for version in applied {
        output::line(format!("applied migration {version}"));
    }
    Ok(())
}

/// Prints the status.
pub(crate) async fn show(scope: &Scope, style: Style) -> Result<(), ClientError> {
    let mut connection = database::connect(&scope.database_url, APPLICATION_NAME).await?;
    if !migrate::is_current(&mut connection).await? {
        output::line(match style {
            Style::Table => NO_LEDGER,
            Style::Json => r#"{"job":null,"runs":[],"files":[]}"#,
        });
        return Ok(());
    }
    let runs = history::recent(&mut connection, scope.job.as_deref(), RUNS_SHOWN).await?;
    // Of all jobs, the one that ran last is shown with its files.
    let job = scope.job.clone().or_else(|| runs.first().map(|run| run.job.clone()));
    let files = match &job {
        Some(job) => files::statuses(&mut connection, job).await?,
        None => Vec::new(),
    };
    match style {
        Style::Json => output::line(to_json(job.as_deref(), &runs, &files)),
        Style::Table if runs.is_empty() => output::line("no run yet"),
        Style::Table => print(&runs, &files),
    }
    Ok(())
}

fn print(runs: &[RunSummary], files: &[FileStatus]) {
    output::line(runs_table(runs).to_string());
    let Some(last) = runs.first() else {
        return;
    };
    if let Some(message) = &last.error_message {
        output::line(format!("run {} failed: {message}", last.run_id));
    }
    if !files.is_empty() {
        output::heading(format!("files of job {}", last.job));
        output::line(files_table(files).to_string());
        for problem in files.iter().filter_map(|file| file.problem.as_ref()) {
            output::line(format!("could not be read to its end: {problem}"));
        }
    }
}

fn files_table(files: &[FileStatus]) -> Table {
    let header =
        ["file", "size", "rows", "loaded", "quarantined", "filtered", "left", "last commit"];
    let mut table = output::table(header, 1..7);
    for file in files {
        table.add_row([
            file.name.clone(),
            ByteSize(file.size_bytes).to_string(),
            file.planned_rows.to_string(),
            file.loaded.to_string(),
            file.quarantined.to_string(),
            file.filtered.to_string(),
            file.rows_left.to_string(),
            file.last_commit_at.clone().unwrap_or_default(),
        ]);
    }
    table
}

fn to_json(job: Option<&str>, runs: &[RunSummary], files: &[FileStatus]) -> String {
    let file_json = |file: &FileStatus| {
        json!({
            "dataset": file.dataset,
            "name": file.name,
            "size_bytes": file.size_bytes,
            "planned_rows": file.planned_rows,
            "loaded": file.loaded,
            "quarantined": file.quarantined,
            "filtered": file.filtered,
            "rows_left": file.rows_left,
            "last_commit_at": file.last_commit_at,
            "problem": file.problem,
        })
    };
    let files: Vec<_> = files.iter().map(file_json).collect();
    json!({ "job": job, "runs": runs_json(runs), "files": files }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::files::FileProblem;

    #[test]
    fn a_file_tells_what_is_left_of_it() {
        let file = FileStatus {
            dataset: "customers".to_owned(),
            name: "a.csv".to_owned(),
            size_bytes: 4_000_000,
            planned_rows: 100,
            loaded: 50,
            quarantined: 7,
            filtered: 3,
            rows_left: 40,
            last_commit_at: Some("2026-01-31 12:00:00 UTC".to_owned()),
            problem: Some(FileProblem {
                file: "a.csv".to_owned(),
                reason: "ARCHIVE_DAMAGED".to_owned(),
                message: "it ends early".to_owned(),
            }),
        };
        let files = [file];
        let table = files_table(&files).to_string();
        for cell in ["a.csv", "4.0 MB", " 40 ", "2026-01-31 12:00:00 UTC"] {
            assert!(table.contains(cell), "{cell} is not in\n{table}");
        }
        let json = to_json(Some("customers"), &[], &files);
        let document: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(document["job"], "customers");
        assert_eq!(document["files"][0]["rows_left"], 40);
        assert_eq!(document["files"][0]["problem"]["reason"], "ARCHIVE_DAMAGED");
        assert_eq!(document["files"][0]["last_commit_at"], "2026-01-31 12:00:00 UTC");
    }
}
