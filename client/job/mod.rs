//! Turns `job.toml`, the environment and flags into a [`Job`] whose every setting is usable.

mod cache;
mod checks;
mod cleaning;
mod columns;
mod identity;
mod limits;
mod mode;
mod overrides;
mod pii;
mod policies;
mod raw;
mod rule;
mod source;
mod targets;
#[cfg(test)]
mod tests;
mod transform;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use ferry::host::settings::{Secret, SettingsError, beside, expand, read_toml};

pub(crate) use cache::{CachePolicy, CacheSettings, ServePolicy};
pub(crate) use checks::{CheckRule, OnFail, RowCheck};
pub(crate) use cleaning::CleanRule;
pub(crate) use columns::ColumnRule;
pub(crate) use identity::read_identity;
pub(crate) use limits::{LoadLimits, RejectLimit};
pub(crate) use mode::{MODES, Mode};
pub(crate) use overrides::{LoadOverrides, Overrides, TargetOverrides};
pub(crate) use pii::{Form, Pii};
pub(crate) use policies::{
    DRIFT_POLICIES, DriftPolicy, FileOrder, REWRITTEN_POLICIES, RewrittenPolicy,
};
pub(crate) use source::SourceSettings;
pub(crate) use targets::Target;
pub(crate) use transform::Transform;

use cache::cache_settings;
use checks::row_checks;
use columns::column_rules;
use identity::default_name;
use limits::load_limits;
use raw::RawJob;
use source::source_settings;
use targets::all_targets;
use transform::transform_of;

const DATABASE_FLAG: &str = "--database or the environment variable DATABASE_URL";
const JOB_NAME_BYTES_MAX: usize = 100;

/// A job that can be run.
#[derive(Debug)]
pub(crate) struct Job {
    /// Under this name the ledger remembers what was loaded.
    pub(crate) name: String,
    /// Where the targets and the ledger are.
    pub(crate) database_url: Secret,
    /// Where the records come from.
    pub(crate) source: SourceSettings,
    /// What the job says of single columns.
    pub(crate) columns: Vec<ColumnRule>,
    /// What whole rows must be.
    pub(crate) row_checks: Vec<RowCheck>,
    /// What becomes of the columns before they are loaded.
    pub(crate) transform: Transform,
    /// Key of the pseudonyms; there is one if a column needs it.
    pub(crate) pii_key_file: Option<PathBuf>,
    /// Where the records go; at least one.
    pub(crate) targets: Vec<Target>,
    /// Bounds of the load.
    pub(crate) load: LoadLimits,
    /// Where rows are cached; there is one if a target needs it.
    pub(crate) cache: Option<CacheSettings>,
}

/// What a job file says of columns, for verbs that touch neither source nor database.
#[derive(Debug)]
pub(crate) struct JobRules {
    /// What the job says of single columns.
    pub(crate) columns: Vec<ColumnRule>,
    /// Key of the pseudonyms, if the file names one.
    pub(crate) pii_key_file: Option<PathBuf>,
}

/// A job that cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum JobError {
    /// A file or a variable.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A setting without which nothing can run.
    #[error("{key} is missing: set it in the job file, or use {flag}")]
    Missing {
        /// Key in the job file.
        key: &'static str,
        /// Flag that sets it.
        flag: &'static str,
    },
    /// Flags and settings that do not go together.
    #[error("{0}")]
    Clash(&'static str),
    /// A setting that makes no sense.
    #[error("{0}")]
    Invalid(String),
}

impl JobError {
    /// No database is named.
    pub(crate) const NO_DATABASE: Self = Self::Missing { key: "database.url", flag: DATABASE_FLAG };
    /// A table is to hold what the source holds, and a part of the source is left out.
    pub(crate) const SINCE_WITH_REPLACE: Self = Self::Clash(
        "--since cannot be used with mode = \"replace\": the rows of all older files would be gone from the table",
    );
    /// A table is to hold what the source holds, which files that are gone do not belong to.
    pub(crate) const GIVE_UP_WITH_REPLACE: Self = Self::Clash(
        "--give-up-missing cannot be used with mode = \"replace\": such a table is filled anew from the files that are there; run the job without the flag",
    );
    /// A table is to hold what the source holds, and the source gives what is new.
    pub(crate) const REPLACE_WITH_INCREMENTAL: Self = Self::Clash(
        "mode = \"replace\" cannot be used with a dataset that is read incrementally: what is new is not all that the table should hold; use mode = \"upsert\", or take [dataset.incremental] out of server.toml",
    );
    /// What is gone, the source alone knows.
    pub(crate) const GIVE_UP_WITH_CURRENT: Self = Self::Clash(
        "--give-up-missing cannot be used with --run current, which does not ask the source for its files",
    );
    /// A pseudonym or a digest is to be made, and there is no key to do it with.
    pub(crate) const NO_KEY: Self = Self::Missing { key: "pii.key_file", flag: "--key-file" };
}

impl Job {
    /// Reads the job file, if there is one, and lays the flags over it.
    pub(crate) fn load(file: Option<&Path>, flags: Overrides) -> Result<Self, JobError> {
        let mut raw = match file {
            Some(path) => rebase(read_toml::<RawJob>(path)?, path),
            None => RawJob::default(),
        };
        raw.overlay(flags)?;
        Self::validate(raw)
    }

    fn validate(raw: RawJob) -> Result<Self, JobError> {
        let database_url = required(raw.database.url, "database.url", DATABASE_FLAG)?;
        let database_url = expand(&database_url, "database.url")?;
        let source = source_settings(raw.source)?;
        let targets = all_targets(raw.target)?;
        let columns = column_rules(&raw.column)?;
        let needs_key = columns.iter().any(ColumnRule::needs_key);
        if needs_key && raw.pii.key_file.is_none() {
            return Err(JobError::NO_KEY);
        }
        let first = targets.first().map(|target| default_name(&source.dataset, &target.table));
        let load = load_limits(&raw.load, &targets)?;
        let cache = cache_settings(raw.cache, &targets)?;
        Ok(Self {
            name: job_name(raw.name.or(first).unwrap_or_default())?,
            database_url,
            source,
            columns,
            row_checks: row_checks(raw.check)?,
            transform: transform_of(raw.transform)?,
            pii_key_file: raw.pii.key_file.filter(|_| needs_key),
            targets,
            load,
            cache,
        })
    }
}

/// Reads only what a job file says of columns, so that its other settings need not be usable.
pub(crate) fn read_rules(file: &Path) -> Result<JobRules, JobError> {
    let raw = rebase(read_toml::<RawJob>(file)?, file);
    Ok(JobRules { columns: column_rules(&raw.column)?, pii_key_file: raw.pii.key_file })
}

/// Makes the paths in a job file relative to the folder that it lies in.
fn rebase(mut raw: RawJob, file: &Path) -> RawJob {
    let paths = [
        &mut raw.source.token_file,
        &mut raw.source.ca_file,
        &mut raw.source.cert_file,
        &mut raw.source.key_file,
        &mut raw.pii.key_file,
    ];
    for path in paths.into_iter().flatten() {
        *path = beside(file, path);
    }
    raw
}

fn required(
    value: Option<String>,
    key: &'static str,
    flag: &'static str,
) -> Result<String, JobError> {
    value.filter(|value| !value.is_empty()).ok_or(JobError::Missing { key, flag })
}

fn job_name(name: String) -> Result<String, JobError> {
    let is_printable = !name.chars().any(char::is_control);
    if name.is_empty() || name.len() > JOB_NAME_BYTES_MAX || !is_printable {
        let text =
            format!("the job's name must have 1 to {JOB_NAME_BYTES_MAX} printable characters");
        return Err(JobError::Invalid(text));
    }
    Ok(name)
}

fn refuse_repeats<'a>(
    setting: &str,
    names: impl Iterator<Item = &'a String>,
) -> Result<(), JobError> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(JobError::Invalid(format!("{setting} names \"{name}\" twice")));
        }
    }
    Ok(())
}
