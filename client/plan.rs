//! Shows what a run would do: files, splits, columns and types, DDL. Touches nothing.

use ferry::host::settings::ByteSize;
use ferry::position::Split;

use crate::cache;
use crate::columns::{ColumnPlan, SourceColumn, TargetPlan, columns_json};
use crate::database;
use crate::error::ClientError;
use crate::job::{Job, Mode, Pii};
use crate::key::PseudonymKey;
use crate::ledger::{migrate, runs};
use crate::output::{self, printable};
use crate::pipeline::Stages;
use crate::receive::{self, Plan, PlannedFile, Source};
use crate::run::{
    APPLICATION_NAME, Destination, RunOptions, Survey, refuse_part_of_api, refuse_part_of_rows,
    refuse_rewritten, stages, survey, suspects, warn_of_changing_pages,
};

/// Prints the plan of a job.
pub(crate) async fn show(job: &Job, options: &RunOptions) -> Result<(), ClientError> {
    let key = job.pii_key_file.as_deref().map(PseudonymKey::read).transpose()?;
    // Finds what is wrong with its settings; nobody is asked.
    let _ = cache::cache_of_targets(job)?;
    let mut connection = database::connect(&job.database_url, APPLICATION_NAME).await?;
    let mut source = receive::connect(&job.source).await?;
    let surveying = survey(job, options, &mut source, &mut connection, key.as_ref());
    let survey = surveying.await?;
    let columns = &survey.columns;
    // Finds what is wrong with a rule, as a run would.
    let stages = stages(job, columns, survey.drift.misfit(job), Destination::Live)?;
    if migrate::is_current(&mut connection).await? {
        let key_id = key.as_ref().map(PseudonymKey::id);
        let now = columns_json(columns);
        runs::refuse_unsafe_change(&mut connection, &job.name, &now, key_id.as_deref()).await?;
    }

    let dataset = &job.source.dataset;
    output::line(format!("job {}: {dataset} -> {}", job.name, columns.table_names()));
    show_drift(job, &survey);
    show_sources(columns, key.as_ref());
    show_targets(columns);
    if let Some(filter) = &job.transform.filter {
        output::line(format!("only rows for which {filter}"));
    }
    show_files(&survey);
    show_suspects(job, &mut source, &stages, &survey.plan).await?;
    warn_of_changing_pages(job, &survey.plan);
    refuse_rewritten(&survey, job)?;
    refuse_part_of_api(job, &survey.plan)?;
    refuse_part_of_rows(&survey, job)?;
    Ok(survey.drift.judge(job.load.drift)?)
}

/// How the source differs from what the job has seen of it, and what is done about it.
fn show_drift(job: &Job, survey: &Survey) {
    if survey.drift.differences.is_empty() {
        return;
    }
    output::heading(format!("drift of the source (load.drift = {})", job.load.drift.word()));
    for difference in &survey.drift.differences {
        output::line(difference.to_string());
    }
    for statement in &survey.evolution {
        output::line(format!("{statement};"));
    }
}

/// What is read, and what becomes of it before it is loaded.
fn show_sources(columns: &ColumnPlan, key: Option<&PseudonymKey>) {
    output::heading("columns of the source");
    let mut table = output::table(["column", "read as", "clean", "checks", "personal data"], 0..0);
    for source in &columns.sources {
        let as_type = if source.column.column_type == source.clean_type {
            source.clean_type.to_string()
        } else {
            format!("{}, then {}", source.column.column_type, source.clean_type)
        };
        table.add_row([
            printable(&source.column.name),
            as_type,
            source.clean.len().to_string(),
            source.checks.len().to_string(),
            pii_words(source, key),
        ]);
    }
    output::line(table.to_string());
    if !columns.left_at_source.is_empty() {
        let names = columns.left_at_source.join(", ");
        output::line(format!("stays at the source: {}", printable(&names)));
    }
}

fn pii_words(source: &SourceColumn, key: Option<&PseudonymKey>) -> String {
    let key_id = || key.map(PseudonymKey::id).unwrap_or_default();
    match &source.pii {
        None => String::new(),
        Some(Pii::Public) => "declared as none".to_owned(),
        Some(Pii::Hash { domain, .. }) => {
            format!("HMAC-SHA-256, domain {domain}, key {}", key_id())
        }
        Some(Pii::Salted { domain, .. }) => {
            format!("salted HMAC-SHA-256, domain {domain}, key {}", key_id())
        }
        Some(Pii::Mask { keep_last }) => format!("masked but for the last {keep_last}"),
        Some(Pii::Drop) => "dropped".to_owned(),
    }
}

fn show_targets(columns: &ColumnPlan) {
    for target in &columns.targets {
        output::heading(format!("table {}", target.table));
        let mut table = output::table(["column", "type", "from", ""], 0..0);
        for column in &target.columns {
            table.add_row([
                printable(&column.column.name),
                column.column.column_type.to_string(),
                printable(&column.origin),
                if column.is_required { "not null".to_owned() } else { String::new() },
            ]);
        }
        output::line(table.to_string());
        match &target.ddl {
            Some(ddl) => {
                let lines: Vec<String> = ddl.lines().map(printable).collect();
                output::line(format!("{};", lines.join("\n")));
            }
            None => output::line(format!("{} exists", target.table)),
        }
        output::line(mode_words(target));
    }
}

/// What becomes of the rows that the table has.
fn mode_words(target: &TargetPlan) -> String {
    let key = target.key.join(", ");
    match &target.mode {
        Mode::Append => "append: rows are added".to_owned(),
        Mode::InsertNew => format!("insert_new: rows whose key ({key}) is there are left out"),
        Mode::Upsert { only_if_newer: None, .. } => {
            format!("upsert: rows whose key ({key}) is there are updated")
        }
        Mode::Upsert { only_if_newer: Some(newer), .. } => {
            format!("upsert: rows whose key ({key}) is there are updated if {newer} is greater")
        }
        Mode::Replace { keep_old } => {
            let old = if *keep_old { "kept beside them" } else { "dropped" };
            format!("replace: all rows at one instant, the old ones are {old}")
        }
    }
}

/// Columns that look like personal data and are not declared.
async fn show_suspects(
    job: &Job,
    source: &mut Source,
    stages: &Stages,
    plan: &Plan,
) -> Result<(), ClientError> {
    let suspects = suspects(job, source, stages, plan).await?;
    if suspects.is_empty() {
        return Ok(());
    }
    output::heading("warnings");
    for suspect in suspects {
        output::line(suspect.to_string());
    }
    Ok(())
}

fn show_files(survey: &Survey) {
    let plan = &survey.plan;
    output::heading("files");
    if !survey.superseded.is_empty() {
        let count = survey.superseded.len();
        output::line(format!("loaded from their start again, or left out: {count} known files"));
    }
    for problem in &plan.problems {
        output::line(format!("cannot be read to its end: {problem}"));
    }
    if survey.reads_on {
        output::line("of the API, only what is newer than what was loaded");
    }
    if plan.files.is_empty() && plan.problems.is_empty() {
        output::line("none: the dataset's globs match no file, or its API has nothing new");
        return;
    }
    let header = ["file", "state", "size", "splits to load", "rows to load"];
    let mut table = output::table(header, 2..5);
    let mut earlier = 0;
    for file in &plan.files {
        // There may be thousands of them.
        if file.is_earlier && !plan.splits.iter().any(|split| split.file == file.name) {
            earlier += 1;
            continue;
        }
        table.add_row(file_row(file, &plan.splits));
    }
    output::line(table.to_string());
    if earlier > 0 {
        output::line(format!("pages of earlier runs that nothing is left of: {earlier}"));
    }
    let rows: u64 = plan.splits.iter().map(Split::row_count).sum();
    output::line(format!("splits to load: {}, rows to load: {rows}", plan.splits.len()));
}

fn file_row(file: &PlannedFile, splits: &[Split]) -> [String; 5] {
    let of_file = || splits.iter().filter(|split| split.file == file.name);
    let rows: u64 = of_file().map(Split::row_count).sum();
    [
        printable(&file.name),
        file.state_word().to_owned(),
        ByteSize(file.fingerprint.size_bytes).to_string(),
        of_file().count().to_string(),
        rows.to_string(),
    ]
}
