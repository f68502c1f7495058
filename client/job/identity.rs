//! Who a job is: the name under which the ledger remembers it, and where the ledger is.

use std::path::Path;

use ferry::host::settings::read_toml;

use super::JobError;
use super::raw::RawJob;
use crate::names::TableName;

/// The same for every spelling of a table in the schema `public`.
pub(super) fn default_name(dataset: &str, table: &TableName) -> String {
    format!("{dataset}:{}", table.without_public())
}

/// What a job file says of the job's place in the ledger.
#[derive(Default)]
pub(crate) struct JobIdentity {
    /// Name of the job.
    pub(crate) name: Option<String>,
    /// Where the ledger is, variables not yet replaced.
    pub(crate) database_url: Option<String>,
}

/// Reads only who the job is, so that its other settings need not be usable.
pub(crate) fn read_identity(file: &Path) -> Result<JobIdentity, JobError> {
    let raw: RawJob = read_toml(file)?;
    let dataset = raw.source.dataset.unwrap_or_default();
    let table = raw.target.into_iter().next().and_then(|target| target.table);
    let table = table.and_then(|table| table.parse().ok());
    let default_name = table.map(|table| default_name(&dataset, &table));
    Ok(JobIdentity { name: raw.name.or(default_name), database_url: raw.database.url })
}
