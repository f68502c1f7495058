//! Shows what ran: a list of runs, or one run with its files, tables, workers and rejects.

use comfy_table::Table;
use serde_json::{Value, json};

use crate::database;
use crate::error::ClientError;
use crate::ledger::accounts::{self, FileAccount, RejectCount};
use crate::ledger::history::{self, RunDetails, RunSummary, WorkerDetails};
use crate::ledger::times::TimeForm;
use crate::ledger::{LedgerError, RunId, migrate};
use crate::output::{self, Style};
use crate::run::APPLICATION_NAME;
use crate::status::{NO_LEDGER, Scope};

/// Prints the last runs, the newest first.
pub(crate) async fn list(scope: &Scope, limit: i64, style: Style) -> Result<(), ClientError> {
    let mut connection = database::connect(&scope.database_url, APPLICATION_NAME).await?;
    let mut runs = Vec::new();
    if migrate::is_current(&mut connection).await? {
        runs = history::recent(&mut connection, scope.job.as_deref(), limit).await?;
    } else if style == Style::Table {
        output::line(NO_LEDGER);
        return Ok(());
    }
    match style {
        Style::Json => output::line(json!({ "runs": runs_json(&runs) }).to_string()),
        Style::Table if runs.is_empty() => output::line("no run yet"),
        Style::Table => output::line(runs_table(&runs).to_string()),
    }
    Ok(())
}

/// Prints all that is known of one run.
pub(crate) async fn show(scope: &Scope, id: i64, style: Style) -> Result<(), ClientError> {
    let mut connection = database::connect(&scope.database_url, APPLICATION_NAME).await?;
    if !migrate::is_current(&mut connection).await? {
        return Err(LedgerError::NotCurrent.into());
    }
    let run_id = RunId(id);
    let details = history::run(&mut connection, run_id, TimeForm::Words).await?;
    let is_meant = |run: &RunDetails| scope.job.as_ref().is_none_or(|job| *job == run.summary.job);
    let details = details.filter(is_meant).ok_or(ClientError::NoRun { id })?;
    let written = accounts::written(&mut connection, run_id).await?;
    let run = Run {
        tables: table_names(&details.target).into_iter().zip(written).collect(),
        files: accounts::accounts(&mut connection, run_id).await?,
        rejects: accounts::reject_counts(&mut connection, run_id).await?,
        details,
    };
    match style {
        Style::Json => output::line(run.to_json().to_string()),
        Style::Table => run.print(),
    }
    Ok(())
}

/// Runs for people, a line each.
pub(crate) fn runs_table(runs: &[RunSummary]) -> Table {
    let header = [
        "run",
        "job",
        "state",
        "started",
        "seconds",
        "read",
        "loaded",
        "quarantined",
        "filtered",
        "workers",
    ];
    let mut table = output::table(header, 4..10);
    for run in runs {
        table.add_row([
            run.run_id.to_string(),
            run.job.clone(),
            run.state.as_str().to_owned(),
            run.started_at.clone(),
            run.seconds().to_string(),
            format!("{}/{}", run.read, run.rows_in_source),
            run.loaded.to_string(),
            run.quarantined.to_string(),
            run.filtered.to_string(),
            run.workers.to_string(),
        ]);
    }
    table
}

/// Runs for machines.
pub(crate) fn runs_json(runs: &[RunSummary]) -> Vec<Value> {
    runs.iter().map(run_json).collect()
}

fn run_json(run: &RunSummary) -> Value {
    json!({
        "run_id": run.run_id.0,
        "job": run.job,
        "state": run.state.as_str(),
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "seconds": run.seconds(),
        "rows_in_source": run.rows_in_source,
        "rows": {
            "read": run.read,
            "loaded": run.loaded,
            "quarantined": run.quarantined,
            "filtered": run.filtered,
        },
        "worker_count": run.workers,
        "error": run.error_code,
    })
}

/// All that is known of one run.
struct Run {
    details: RunDetails,
    files: Vec<FileAccount>,
    /// Rows that were inserted or updated, by table; none of a run of a version that did not count them.
    tables: Vec<(String, u64)>,
    rejects: Vec<RejectCount>,
}

impl Run {
    fn print(&self) {
        for (name, value) in self.facts() {
            output::line(format!("{name:<12}{value}"));
        }
        if !self.files.is_empty() {
            output::heading("files");
            output::line(files_table(&self.files).to_string());
        }
        if !self.tables.is_empty() {
            output::heading("tables");
            let mut table = output::table(["table", "inserted or updated"], 1..2);
            for (name, written) in &self.tables {
                table.add_row([name.clone(), written.to_string()]);
            }
            output::line(table.to_string());
        }
        if !self.details.workers.is_empty() {
            output::heading("workers");
            output::line(workers_table(&self.details.workers).to_string());
        }
        if !self.rejects.is_empty() {
            output::heading("rejects");
            output::line(rejects_table(&self.rejects).to_string());
        }
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let RunDetails { summary, .. } = &self.details;
        let mut facts = vec![
            ("run", summary.run_id.to_string()),
            ("job", summary.job.clone()),
            ("state", summary.state.as_str().to_owned()),
        ];
        if let Some(message) = &summary.error_message {
            let code = summary.error_code.as_deref().unwrap_or("error");
            facts.push(("error", format!("{code}: {message}")));
        }
        facts.extend([
            ("source", format!("{}, dataset {}", self.details.source_url, self.details.dataset)),
            ("target", self.details.target.clone()),
            ("key", self.details.pii_key_id.clone().unwrap_or_else(|| "none".to_owned())),
            ("version", self.details.ferry_version.clone()),
            ("started", summary.started_at.clone()),
            ("finished", summary.finished_at.clone().unwrap_or_else(|| "not yet".to_owned())),
            ("seconds", summary.seconds().to_string()),
            ("commits", self.commits()),
            ("rows", accounts_line(summary)),
        ]);
        facts
    }

    fn commits(&self) -> String {
        let RunDetails { commits, first_commit_at, last_commit_at, .. } = &self.details;
        match (first_commit_at, last_commit_at) {
            (Some(first), Some(last)) => format!("{commits}, from {first} to {last}"),
            _ => commits.to_string(),
        }
    }

    fn to_json(&self) -> Value {
        let details = &self.details;
        let mut document = run_json(&details.summary);
        document["error_message"] = json!(details.summary.error_message);
        document["source_url"] = json!(details.source_url);
        document["dataset"] = json!(details.dataset);
        document["target"] = json!(details.target);
        document["pii_key_id"] = json!(details.pii_key_id);
        document["ferry_version"] = json!(details.ferry_version);
        document["commits"] = json!(details.commits);
        document["first_commit_at"] = json!(details.first_commit_at);
        document["last_commit_at"] = json!(details.last_commit_at);
        document["files"] = self.files.iter().map(file_json).collect();
        let table_json =
            |(table, written): &(String, u64)| json!({ "table": table, "written": written });
        document["tables"] = self.tables.iter().map(table_json).collect();
        document["workers"] = details.workers.iter().map(worker_json).collect();
        document["rejects"] = self.rejects.iter().map(reject_json).collect();
        document
    }
}

fn accounts_line(run: &RunSummary) -> String {
    let RunSummary { read, rows_in_source, loaded, quarantined, filtered, .. } = run;
    format!(
        "read {read} of {rows_in_source}: loaded {loaded}, quarantined {quarantined}, filtered {filtered}"
    )
}

fn files_table(files: &[FileAccount]) -> Table {
    let header = ["file", "splits", "read", "loaded", "quarantined", "filtered"];
    let mut table = output::table(header, 1..6);
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
    table
}

fn file_json(file: &FileAccount) -> Value {
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
}

fn workers_table(workers: &[WorkerDetails]) -> Table {
    let header = ["worker", "host", "process", "joined", "left", "commits", "rows"];
    let mut table = output::table(header, 5..7);
    for worker in workers {
        table.add_row([
            worker.worker_id.to_string(),
            worker.host.clone(),
            worker.process_id.to_string(),
            worker.joined_at.clone(),
            left_words(worker),
            worker.commits.to_string(),
            worker.rows.to_string(),
        ]);
    }
    table
}

/// When a worker left; one that neither left nor is at work died, or was cut off.
fn left_words(worker: &WorkerDetails) -> String {
    match &worker.left_at {
        Some(left_at) => left_at.clone(),
        None if worker.is_alive => "at work".to_owned(),
        None => "lost".to_owned(),
    }
}

fn worker_json(worker: &WorkerDetails) -> Value {
    json!({
        "worker_id": worker.worker_id.to_string(),
        "host": worker.host,
        "process_id": worker.process_id,
        "joined_at": worker.joined_at,
        "left_at": worker.left_at,
        "is_alive": worker.is_alive,
        "commits": worker.commits,
        "rows": worker.rows,
    })
}

fn rejects_table(rejects: &[RejectCount]) -> Table {
    let mut table = output::table(["reason", "column", "rows"], 2..3);
    for reject in rejects {
        let column = reject.column.clone().unwrap_or_else(|| "(whole record)".to_owned());
        table.add_row([reject.code.clone(), column, reject.count.to_string()]);
    }
    table
}

fn reject_json(reject: &RejectCount) -> Value {
    json!({ "code": reject.code, "column": reject.column, "count": reject.count })
}

/// The tables of a run: a comma between double quotes is part of a name.
fn table_names(target: &str) -> Vec<String> {
    let mut is_quoted = false;
    let names = target.split(|character: char| {
        is_quoted ^= character == '"';
        character == ',' && !is_quoted
    });
    names.map(|name| name.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests;
