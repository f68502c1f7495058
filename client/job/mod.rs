//! Turns `job.toml`, the environment and flags into a [`Job`] whose every setting is usable.

mod identity;
mod raw;

use std::path::{Path, PathBuf};
use std::time::Duration;

use ferry::host::settings::{
    ByteSize, Secret, SettingsError, beside, expand, read_secret, read_toml,
};
use ferry::schema::ColumnType;

use crate::names::TableName;
use raw::{RawColumn, RawJob, RawLimit, RawLoad, RawSource, RawTarget};

pub(crate) use identity::read_identity;
pub(crate) use raw::Overrides;

use identity::default_name;

const DATABASE_FLAG: &str = "--database or the environment variable DATABASE_URL";
const COMMIT_BYTES_DEFAULT: ByteSize = ByteSize(32 << 20);
const COMMIT_INTERVAL_DEFAULT: Duration = Duration::from_secs(5);
const COMMIT_INTERVAL_MAX: Duration = Duration::from_secs(20);
const SPLIT_BYTES_DEFAULT: ByteSize = ByteSize(256 << 20);
/// A file of which more than half is refused was not what the job expected.
const MAX_REJECTS_DEFAULT: RejectLimit = RejectLimit::Percent(50.0);
const JOB_NAME_BYTES_MAX: usize = 100;

/// A job that can be run.
#[derive(Debug)]
pub(crate) struct Job {
    /// Under this name the ledger remembers what was loaded.
    pub(crate) name: String,
    /// Where the target and the ledger are.
    pub(crate) database_url: Secret,
    /// Where the records come from.
    pub(crate) source: SourceSettings,
    /// What the job says of single columns.
    pub(crate) columns: Vec<ColumnRule>,
    /// Key of the pseudonyms; there is one if a column is personal data.
    pub(crate) pii_key_file: Option<PathBuf>,
    /// Where the records go.
    pub(crate) target: Target,
    /// Bounds of the load.
    pub(crate) load: LoadLimits,
}

/// Where the records come from.
#[derive(Debug)]
pub(crate) struct SourceSettings {
    /// Address of the source host.
    pub(crate) url: String,
    /// Name of the dataset there.
    pub(crate) dataset: String,
    /// Columns wanted; empty for all.
    pub(crate) columns: Vec<String>,
    /// Bearer token.
    pub(crate) token: Option<Secret>,
    /// Certificates that are trusted instead of the system's.
    pub(crate) ca_file: Option<PathBuf>,
    /// Client certificate and its key.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
}

/// What the job says of one column.
#[derive(Debug)]
pub(crate) struct ColumnRule {
    /// Name in the source.
    pub(crate) name: String,
    /// Type in the job's own words.
    pub(crate) column_type: Option<ColumnType>,
    /// Domain of the pseudonym, if the column is personal data.
    pub(crate) pii_domain: Option<String>,
}

/// Where the records go.
#[derive(Debug)]
pub(crate) struct Target {
    /// Table that is written.
    pub(crate) table: TableName,
    /// Whether a missing table is made.
    pub(crate) create: bool,
}

/// Bounds of the load.
#[derive(Debug)]
pub(crate) struct LoadLimits {
    /// A transaction ends with the batch that reaches so many bytes.
    pub(crate) commit_bytes: u64,
    /// A transaction ends after this time, even with fewer bytes.
    pub(crate) commit_interval: Duration,
    /// Size of the ranges that a file is cut into.
    pub(crate) split_bytes: u64,
    /// A run with more rejects fails.
    pub(crate) max_rejects: RejectLimit,
}

/// How many rows may be refused.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum RejectLimit {
    /// So many rows.
    Count(u64),
    /// So many of a hundred rows.
    Percent(f64),
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
    /// A setting that makes no sense.
    #[error("{0}")]
    Invalid(String),
}

impl JobError {
    /// No database is named.
    pub(crate) const NO_DATABASE: Self = Self::Missing { key: "database.url", flag: DATABASE_FLAG };
    /// Personal data is to be hashed, and there is no key to do it with.
    pub(crate) const NO_KEY: Self = Self::Missing { key: "pii.key_file", flag: "--key-file" };
}

impl Job {
    /// Reads the job file, if there is one, and lays the flags over it.
    pub(crate) fn load(file: Option<&Path>, flags: Overrides) -> Result<Self, JobError> {
        let mut raw = match file {
            Some(path) => rebase(read_toml::<RawJob>(path)?, path),
            None => RawJob::default(),
        };
        raw.overlay(flags);
        Self::validate(raw)
    }

    fn validate(raw: RawJob) -> Result<Self, JobError> {
        let database_url = required(raw.database.url, "database.url", DATABASE_FLAG)?;
        let database_url = expand(&database_url, "database.url")?;
        let source = source_settings(raw.source)?;
        let target = target(raw.target)?;
        let columns = column_rules(raw.column)?;
        let has_pii = columns.iter().any(|column| column.pii_domain.is_some());
        if has_pii && raw.pii.key_file.is_none() {
            return Err(JobError::NO_KEY);
        }
        let default_name = || default_name(&source.dataset, &target.table);
        Ok(Self {
            name: job_name(raw.name.unwrap_or_else(default_name))?,
            database_url,
            columns,
            pii_key_file: raw.pii.key_file.filter(|_| has_pii),
            target,
            load: load_limits(&raw.load)?,
            source,
        })
    }
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

fn source_settings(raw: RawSource) -> Result<SourceSettings, JobError> {
    let url = required(raw.url, "source.url", "--source")?;
    if url.contains('@') {
        let text = "source.url must not hold a password: use source.token_file";
        return Err(JobError::Invalid(text.to_owned()));
    }
    let token = match (raw.token, raw.token_file) {
        (Some(_), Some(_)) => {
            let text = "source.token and source.token_file exclude each other: keep one";
            return Err(JobError::Invalid(text.to_owned()));
        }
        (Some(token), None) if !token.contains("${") => {
            let text = "source.token must name a variable such as \"${FERRY_TOKEN}\": a secret does not belong in a job file";
            return Err(JobError::Invalid(text.to_owned()));
        }
        (Some(token), None) => Some(expand(&token, "source.token")?),
        (None, Some(path)) => Some(read_secret(&path)?),
        (None, None) => None,
    };
    let identity = match (raw.cert_file, raw.key_file) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => {
            let text = "source.cert_file and source.key_file belong together: set both or none";
            return Err(JobError::Invalid(text.to_owned()));
        }
    };
    refuse_repeats("source.columns", raw.columns.iter())?;
    Ok(SourceSettings {
        url,
        dataset: required(raw.dataset, "source.dataset", "--dataset")?,
        columns: raw.columns,
        token,
        ca_file: raw.ca_file,
        identity,
    })
}

fn target(raw: Vec<RawTarget>) -> Result<Target, JobError> {
    let mut targets = raw.into_iter();
    let first = targets.next().unwrap_or_default();
    if targets.next().is_some() {
        let text = "this version loads one [[target]] a job: write a job for each table";
        return Err(JobError::Invalid(text.to_owned()));
    }
    if let Some(mode) = first.mode.filter(|mode| mode != "append") {
        let text = format!("target.mode \"{mode}\" is not known: this version knows \"append\"");
        return Err(JobError::Invalid(text));
    }
    let table = required(first.table, "target.table", "--table")?;
    let table = table.parse().map_err(|error| JobError::Invalid(format!("{error}")))?;
    Ok(Target { table, create: first.create })
}

fn column_rules(raw: Vec<RawColumn>) -> Result<Vec<ColumnRule>, JobError> {
    refuse_repeats("[[column]]", raw.iter().map(|column| &column.name))?;
    let mut rules = Vec::with_capacity(raw.len());
    for column in raw {
        let invalid =
            |text: String| JobError::Invalid(format!("column \"{}\": {text}", column.name));
        let column_type = match &column.column_type {
            Some(name) => {
                Some(name.parse::<ColumnType>().map_err(|error| invalid(error.to_string()))?)
            }
            None => None,
        };
        if column.pii.is_some() && column_type.is_some_and(|kind| kind != ColumnType::Text) {
            return Err(invalid(
                "a column that is hashed is read as text: leave its type out".to_owned(),
            ));
        }
        if column.pii.is_none() && column.domain.is_some() {
            return Err(invalid("domain needs pii = \"hash\"".to_owned()));
        }
        let domain = column.domain.unwrap_or_else(|| column.name.clone());
        rules.push(ColumnRule {
            name: column.name,
            column_type,
            pii_domain: column.pii.map(|_| domain),
        });
    }
    Ok(rules)
}

fn refuse_repeats<'a>(
    setting: &str,
    names: impl Iterator<Item = &'a String>,
) -> Result<(), JobError> {
    let mut seen = std::collections::HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(JobError::Invalid(format!("{setting} names \"{name}\" twice")));
        }
    }
    Ok(())
}

fn load_limits(raw: &RawLoad) -> Result<LoadLimits, JobError> {
    let commit_interval = raw.commit_interval.map_or(COMMIT_INTERVAL_DEFAULT, |span| span.0);
    if commit_interval.is_zero() {
        return Err(JobError::Invalid("load.commit_interval must be longer than 0s".to_owned()));
    }
    if commit_interval > COMMIT_INTERVAL_MAX {
        let text = "load.commit_interval must be at most 20s: a worker that does not commit loses its lease after 60s";
        return Err(JobError::Invalid(text.to_owned()));
    }
    let max_rejects = match &raw.max_rejects {
        None => MAX_REJECTS_DEFAULT,
        Some(RawLimit::Count(count)) => RejectLimit::Count(*count),
        Some(RawLimit::Text(text)) => reject_limit(text)?,
    };
    Ok(LoadLimits {
        commit_bytes: raw.commit_bytes.unwrap_or(COMMIT_BYTES_DEFAULT).0,
        commit_interval,
        split_bytes: raw.split_bytes.unwrap_or(SPLIT_BYTES_DEFAULT).0,
        max_rejects,
    })
}

fn reject_limit(text: &str) -> Result<RejectLimit, JobError> {
    let invalid = || {
        JobError::Invalid(format!(
            "load.max_rejects \"{text}\" is neither a count nor a percentage such as \"1%\""
        ))
    };
    match text.trim().strip_suffix('%') {
        Some(percent) => {
            let percent: f64 = percent.trim().parse().map_err(|_| invalid())?;
            (0.0..=100.0)
                .contains(&percent)
                .then_some(RejectLimit::Percent(percent))
                .ok_or_else(invalid)
        }
        None => text.trim().parse().map(RejectLimit::Count).map_err(|_| invalid()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(text: &str) -> Result<Job, JobError> {
        let raw: RawJob = toml::from_str(text).expect("well-formed TOML");
        Job::validate(raw)
    }

    const SMALL: &str = "database.url = 'postgres://localhost/x'\n\
        source = { url = 'http://127.0.0.1:7443', dataset = 'customers' }\n";

    #[test]
    fn defaults_fill_what_the_file_leaves_out() {
        let job = job(&format!("{SMALL}target = [{{ table = 'public.users' }}]")).expect("valid");
        assert_eq!(job.name, "customers:users");
        assert_eq!(job.load.commit_bytes, 32 << 20);
        assert_eq!(job.load.max_rejects, RejectLimit::Percent(50.0));
        assert!(!job.target.create);
    }

    #[test]
    fn what_is_missing_is_named_with_its_flag() {
        let error = job(SMALL).expect_err("no table");
        assert!(error.to_string().contains("--table"), "{error}");
    }

    #[test]
    fn personal_data_needs_a_key() {
        let text = "target = [{ table = 'users' }]\ncolumn = [{ name = 'email', pii = 'hash' }]";
        let error = job(&format!("{SMALL}{text}")).expect_err("no key");
        assert!(error.to_string().contains("pii.key_file"), "{error}");
    }

    #[test]
    fn limits_are_counts_or_percentages() {
        assert_eq!(reject_limit("1%").ok(), Some(RejectLimit::Percent(1.0)));
        assert_eq!(reject_limit(" 12 ").ok(), Some(RejectLimit::Count(12)));
        assert!(reject_limit("101%").is_err());
        assert!(reject_limit("few").is_err());
    }
}
