//! Shows what a run would do: files, splits, columns and types, DDL. Touches nothing.

use ferry::host::settings::ByteSize;
use ferry::position::Split;

use crate::columns::PlannedColumn;
use crate::database;
use crate::error::ClientError;
use crate::job::Job;
use crate::ledger::{files, migrate};
use crate::output;
use crate::pseudonym::PseudonymKey;
use crate::receive::{self, Plan, PlannedFile};
use crate::run::{APPLICATION_NAME, TargetColumns, look_up_columns, refuse_rewritten};

/// Prints the plan of a job.
pub(crate) async fn show(job: &Job) -> Result<(), ClientError> {
    let key = job.pii_key_file.as_deref().map(PseudonymKey::read).transpose()?;
    let mut connection = database::connect(&job.database_url, APPLICATION_NAME).await?;
    let mut source = receive::connect(&job.source).await?;
    let dataset_columns = source.dataset_columns(&job.source.dataset).await?;
    let target = look_up_columns(job, &dataset_columns, &mut connection).await?;
    // Before the first run there is no ledger, and nothing is known of any file.
    let mut known = Vec::new();
    if migrate::is_current(&mut connection).await? {
        known = files::known(&mut connection, &job.name, &job.source.dataset).await?;
    }
    let wanted: Vec<_> = target.columns.iter().map(|column| column.source.clone()).collect();
    let dataset = &job.source.dataset;
    let plan = source.plan(dataset, &wanted, job.load.split_bytes, &known).await?;

    output::line(format!("job {}: {} -> {}", job.name, dataset, target.table));
    show_columns(&target.columns, key.as_ref());
    show_files(&plan);
    show_ddl(&target);
    refuse_rewritten(&plan.files)
}

fn show_columns(columns: &[PlannedColumn], key: Option<&PseudonymKey>) {
    output::heading("columns");
    let mut table = output::table(["column", "read as", "loaded as", ""], 0..0);
    for column in columns {
        let mut notes = Vec::new();
        if let (Some(domain), Some(key)) = (&column.pii_domain, key) {
            notes.push(format!("HMAC-SHA-256, domain {domain}, key {}", key.id()));
        }
        if column.is_required {
            notes.push("not null".to_owned());
        }
        table.add_row([
            column.source.name.clone(),
            column.source.column_type.to_string(),
            column.target.column_type.to_string(),
            notes.join("; "),
        ]);
    }
    output::line(table.to_string());
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

fn show_ddl(target: &TargetColumns) {
    output::heading("table");
    match &target.ddl {
        Some(ddl) => output::line(format!("{ddl};")),
        None => output::line(format!("{} exists and stays as it is", target.table)),
    }
}
