//! Shows what a run would do: files, splits, columns and types, DDL. Touches nothing.

use ferry::host::settings::ByteSize;
use ferry::position::Split;
use ferry::schema::Column;

use crate::columns::{ColumnPlan, SourceColumn, columns_json};
use crate::database;
use crate::error::ClientError;
use crate::job::{Job, Pii};
use crate::key::PseudonymKey;
use crate::ledger::{LedgerError, files, migrate, runs};
use crate::output;
use crate::receive::{self, Plan, PlannedFile, Source};
use crate::run::{APPLICATION_NAME, look_up_columns, refuse_rewritten, stages, suspects};

/// Prints the plan of a job.
pub(crate) async fn show(job: &Job) -> Result<(), ClientError> {
    let key = job.pii_key_file.as_deref().map(PseudonymKey::read).transpose()?;
    let mut connection = database::connect(&job.database_url, APPLICATION_NAME).await?;
    let mut source = receive::connect(&job.source).await?;
    let dataset = &job.source.dataset;
    let dataset_columns = source.dataset_columns(dataset).await?;
    let columns = look_up_columns(job, &dataset_columns, &mut connection, key.as_ref()).await?;
    // Finds what is wrong with a rule, as a run would.
    stages(job, &columns)?;
    // Before the first run there is no ledger, and nothing is known of any file.
    let mut known = Vec::new();
    if migrate::is_current(&mut connection).await? {
        known = files::known(&mut connection, &job.name, dataset).await?;
        let key_id = key.as_ref().map(PseudonymKey::id);
        let now = columns_json(&columns);
        runs::refuse_unsafe_change(&mut connection, &job.name, &now, key_id.as_deref()).await?;
    } else if migrate::exists(&mut connection).await? {
        return Err(LedgerError::NotCurrent.into());
    }
    let wanted = columns.source_columns();
    let plan = source.plan(dataset, &wanted, job.load.split_bytes, &known).await?;

    output::line(format!("job {}: {} -> {}", job.name, dataset, columns.table_names()));
    show_sources(&columns, key.as_ref());
    show_targets(&columns);
    if let Some(filter) = &job.transform.filter {
        output::line(format!("only rows for which {filter}"));
    }
    show_files(&plan);
    show_suspects(job, &mut source, &wanted, &plan).await?;
    refuse_rewritten(&plan.files)
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
            source.column.name.clone(),
            as_type,
            source.clean.len().to_string(),
            source.checks.len().to_string(),
            pii_words(source, key),
        ]);
    }
    output::line(table.to_string());
    if !columns.left_at_source.is_empty() {
        let names = columns.left_at_source.join(", ");
        output::line(format!("stays at the source: {names}"));
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
                column.column.name.clone(),
                column.column.column_type.to_string(),
                column.origin.clone(),
                if column.is_required { "not null".to_owned() } else { String::new() },
            ]);
        }
        output::line(table.to_string());
        match &target.ddl {
            Some(ddl) => output::line(format!("{ddl};")),
            None => output::line(format!("{} exists and stays as it is", target.table)),
        }
    }
}

/// Columns that look like personal data and are not declared.
async fn show_suspects(
    job: &Job,
    source: &mut Source,
    columns: &[Column],
    plan: &Plan,
) -> Result<(), ClientError> {
    let suspects = suspects(job, source, columns, &plan.splits).await?;
    if suspects.is_empty() {
        return Ok(());
    }
    output::heading("warnings");
    for suspect in suspects {
        output::line(suspect.to_string());
    }
    Ok(())
}

fn show_files(plan: &Plan) {
    output::heading("files");
    if plan.files.is_empty() {
        output::line("none: the dataset's globs match no file");
        return;
    }
    let header = ["file", "state", "size", "splits to load", "rows to load"];
    let mut table = output::table(header, 2..5);
    for file in &plan.files {
        table.add_row(file_row(file, &plan.splits));
    }
    output::line(table.to_string());
    let rows: u64 = plan.splits.iter().map(Split::row_count).sum();
    output::line(format!("splits to load: {}, rows to load: {rows}", plan.splits.len()));
}

fn file_row(file: &PlannedFile, splits: &[Split]) -> [String; 5] {
    let of_file = || splits.iter().filter(|split| split.file == file.name);
    let rows: u64 = of_file().map(Split::row_count).sum();
    [
        file.name.clone(),
        file.state_word().to_owned(),
        ByteSize(file.fingerprint.size_bytes).to_string(),
        of_file().count().to_string(),
        rows.to_string(),
    ]
}
