//! Reads a few rows of the source to see whether undeclared columns hold personal data.

use ferry::position::Split;
use ferry::schema::{Column, ColumnType};

use crate::columns::ColumnError;
use crate::error::ClientError;
use crate::job::Job;
use crate::receive::Source;
use crate::suspect::{self, Suspect};

/// Columns that look like personal data although the job does not declare them,
/// judged by their names and by the first rows of a split.
pub(crate) async fn suspects(
    job: &Job,
    source: &mut Source,
    split: &Split,
) -> Result<Vec<Suspect>, ClientError> {
    let is_declared =
        |name: &str| job.columns.iter().any(|rule| rule.name == name && rule.pii.is_some());
    let dataset_columns = source.dataset_columns(&job.source.dataset).await?;
    let is_wanted = |column: &&Column| {
        let wanted = &job.source.columns;
        wanted.is_empty() || wanted.contains(&column.name)
    };
    let as_text =
        |column: &Column| Column { name: column.name.clone(), column_type: ColumnType::Text };
    let columns: Vec<Column> = dataset_columns.iter().filter(is_wanted).map(as_text).collect();
    if columns.is_empty() {
        return Err(ColumnError::NotLoaded(job.source.dataset.clone()).into());
    }
    let mut receiver = source.read(split, split.start, &columns).await?;
    let mut found = Vec::new();
    while let Some(batch) = receiver.next().await? {
        if batch.rows.records.num_rows() > 0 {
            found = suspect::suspects(&batch.rows.records, &is_declared);
            break;
        }
    }
    Ok(found)
}
