//! Reads a few rows of the source to see whether undeclared columns hold personal data.

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use ferry::schema::{Column, arrow_schema};

use crate::error::ClientError;
use crate::job::Job;
use crate::pipeline::{PipelineError, Stages};
use crate::receive::{Misfit, Plan, Source};
use crate::suspect::{self, Suspect};

/// Rows that a sample is content with.
const ROWS_MIN: usize = 200;
/// Splits that are read at most for it: small files may hold a row each.
const SPLITS_MAX: usize = 16;

/// Columns that look like personal data although the job does not declare them,
/// judged by their names and by the first rows.
///
/// Only columns are read that a run would read too: what stays at the source
/// stays there, and what is declared need not be looked at.
pub(crate) async fn suspects(
    job: &Job,
    source: &mut Source,
    stages: &Stages,
    plan: &Plan,
) -> Result<Vec<Suspect>, ClientError> {
    let is_declared =
        |name: &str| job.columns.iter().any(|rule| rule.name == name && rule.pii.is_some());
    let undeclared = stages.source_columns.iter().filter(|column| !is_declared(&column.name));
    let columns: Vec<Column> = undeclared.cloned().collect();
    if columns.is_empty() {
        return Ok(Vec::new());
    }
    let sample = sample(source, &columns, &stages.misfit, plan).await?;
    Ok(suspect::suspects(&sample, &is_declared))
}

/// The first rows of some splits.
async fn sample(
    source: &mut Source,
    columns: &[Column],
    misfit: &Misfit,
    plan: &Plan,
) -> Result<RecordBatch, ClientError> {
    let mut batches: Vec<RecordBatch> = Vec::new();
    for split in plan.splits.iter().take(SPLITS_MAX) {
        let header = plan.header(&split.file);
        let reading = source.read(split, split.start, columns, header.as_deref(), misfit);
        let mut receiver = reading.await?;
        if let Some(batch) = receiver.next().await? {
            batches.push(batch.rows.records);
        }
        if batches.iter().map(RecordBatch::num_rows).sum::<usize>() >= ROWS_MIN {
            break;
        }
    }
    let sample = concat_batches(&arrow_schema(columns), &batches).map_err(PipelineError::from)?;
    Ok(sample)
}
