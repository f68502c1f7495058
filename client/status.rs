//! Shows what the ledger knows: the last runs, and how far each file is loaded.

use std::path::Path;

use comfy_table::Table;
use ferry::host::settings::{Secret, expand};
use serde_json::json;

use crate::database;
use crate::error::ClientError;
use crate::job::{JobError, read_identity};
use crate::ledger::accounts::{self, FileAccount};
use crate::ledger::history::{self, RunSummary};
use crate::ledger::migrate;
use crate::output::{self, Style};
use crate::run::APPLICATION_NAME;

/// Runs that are listed.
const RUNS_SHOWN: i64 = 10;

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
            Style::Table => {
                "no ledger here yet, or one of another version: `ferry-client run` or `migrate` makes it"
            }
            Style::Json => r#"{"runs":[],"files":[]}"#,
        });
        return Ok(());
    }
    let runs = history::recent(&mut connection, scope.job.as_deref(), RUNS_SHOWN).await?;
    let files = match runs.first() {
        Some(last) => accounts::accounts(&mut connection, last.run_id).await?,
        None => Vec::new(),
    };
    match style {
        Style::Json => output::line(to_json(&runs, &files)),
        Style::Table if runs.is_empty() => output::line("no run yet"),
        Style::Table => {
            output::line(runs_table(&runs).to_string());
            show_last(&runs[0], &files);
        }
    }
    Ok(())
}

fn runs_table(runs: &[RunSummary]) -> Table {
    let header =
        ["run", "job", "state", "started", "seconds", "read", "loaded", "quarantined", "filtered"];
    let mut table = output::table(header, 4..9);
    for run in runs {
        table.add_row([
            run.run_id.to_string(),
            run.job.clone(),
            run.state.as_str().to_owned(),
            run.started_at.clone(),
            run.seconds.to_string(),
            format!("{}/{}", run.read, run.rows_in_source),
            run.loaded.to_string(),
            run.quarantined.to_string(),
            run.filtered.to_string(),
        ]);
    }
    table
}

fn show_last(run: &RunSummary, files: &[FileAccount]) {
    if let Some(message) = &run.error_message {
        output::line(format!("run {} failed: {message}", run.run_id));
    }
    if files.is_empty() {
        return;
    }
    output::heading(format!("files of run {}", run.run_id));
    let mut table =
        output::table(["file", "splits", "read", "loaded", "quarantined", "filtered"], 1..6);
    for file in files {
        table.add_row([
            file.file.clone(),
            format!("{}/{}", file.splits_done, file.splits_total),
            format!("{}/{}", file.read, file.rows_in_source),
            file.loaded.to_string(),
            file.quarantined.to_string(),
            file.filtered.to_string(),
        ]);
    }
    output::line(table.to_string());
}

fn to_json(runs: &[RunSummary], files: &[FileAccount]) -> String {
    let run_json = |run: &RunSummary| {
        json!({
            "run_id": run.run_id.0,
            "job": run.job,
            "state": run.state.as_str(),
            "started_at": run.started_at,
            "finished_at": run.finished_at,
            "seconds": run.seconds,
            "rows_in_source": run.rows_in_source,
            "rows": {
                "read": run.read,
                "loaded": run.loaded,
                "quarantined": run.quarantined,
                "filtered": run.filtered,
            },
            "error": run.error_code,
        })
    };
    let file_json = |file: &FileAccount| {
        json!({
            "name": file.file,
            "rows_in_source": file.rows_in_source,
            "read": file.read,
            "loaded": file.loaded,
            "quarantined": file.quarantined,
            "filtered": file.filtered,
            "splits_done": file.splits_done,
            "splits_total": file.splits_total,
        })
    };
    let runs: Vec<_> = runs.iter().map(run_json).collect();
    let files: Vec<_> = files.iter().map(file_json).collect();
    json!({ "runs": runs, "files": files }).to_string()
}
