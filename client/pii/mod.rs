//! The verbs for personal data: look a person up, change the key, delete the rows of a person.
//!
//! Invariant: neither a key nor a value that was read is in an error, in the
//! log or in the ledger.

mod forget;
mod kept;
mod places;
mod rotate;
mod token;
mod value;
mod wanted;

use std::io;
use std::path::{Path, PathBuf};

use ferry::host::settings::nearest;
use sqlx::PgConnection;

use crate::database;
use crate::error::ClientError;
use crate::job::{ColumnRule, Job, Pii};
use crate::ledger::{RunId, migrate};
use crate::run::APPLICATION_NAME;

pub(crate) use forget::{ForgetOptions, forget};
pub(crate) use rotate::rotate;
pub(crate) use token::{TokenOptions, token};

/// A request that concerns personal data and cannot be met.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PiiError {
    /// The job says nothing of the column.
    #[error("the job has no [[column]] \"{column}\"{hint}")]
    UnknownColumn {
        /// Name that was asked for.
        column: String,
        /// The nearest name, or the list of names.
        hint: String,
    },
    /// The column has no pseudonyms that can be looked up.
    #[error("column \"{column}\" {reason}")]
    NotHashed {
        /// Name of the column.
        column: String,
        /// What the job does with it instead.
        reason: &'static str,
    },
    /// Standard input cannot be read.
    #[error("cannot read standard input: {0}")]
    Input(io::Error),
    /// A value is longer than any that a load would take.
    #[error("line {line}: longer than {bytes_max} bytes: write one value a line")]
    LineTooLong {
        /// Number of the line, from 1.
        line: u64,
        /// The limit.
        bytes_max: usize,
    },
    /// A value is not text.
    #[error("line {line}: not UTF-8: convert the values first")]
    NotText {
        /// Number of the line, from 1.
        line: u64,
    },
    /// The column's rules refuse a value.
    #[error("line {line}: the clean rules of the column refuse the value: {reason}")]
    NotClean {
        /// Number of the line, from 1.
        line: u64,
        /// Why, without the value.
        reason: String,
    },
    /// The empty string is not a person.
    #[error("line {line}: an empty value has no pseudonym")]
    EmptyValue {
        /// Number of the line, from 1.
        line: u64,
    },
    /// Nobody was named.
    #[error("standard input is empty: write one value to it, or give a pseudonym with --token")]
    NoValue,
    /// More than one person was named.
    #[error("standard input has more than one line: forget one person at a time")]
    ManyValues,
    /// The text is not a pseudonym.
    #[error(
        "--token takes the 64 hexadecimal digits that `ferry-client pii token` prints: give one of its lines"
    )]
    BadToken,
    /// Nothing is known of any job yet.
    #[error(
        "no ledger here yet, or one of another version: `ferry-client run` or `migrate` makes it"
    )]
    NoLedger,
    /// A key file cannot be written.
    #[error("cannot write {}: {source}", .path.display())]
    Unwritable {
        /// File that was written.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody else decides what the key file is.
    #[error(
        "{} is a symbolic link: name the file itself in pii.key_file (--key-file), so that it can be replaced", .path.display()
    )]
    LinkedKey {
        /// Path as configured.
        path: PathBuf,
    },
    /// A file that is named after a key holds something else.
    #[error(
        "{} should hold key {id} and does not: move it away, then run again", .path.display()
    )]
    OtherContent {
        /// The file.
        path: PathBuf,
        /// Identifier of the key.
        id: String,
    },
    /// The key would not change.
    #[error("{} holds key {id}, which the job uses already: name another file", .path.display())]
    SameKey {
        /// File that `--to` names.
        path: PathBuf,
        /// Identifier of the key.
        id: String,
    },
    /// A run needs the old key.
    #[error(
        "run {run} of this job is not finished and can only be finished with the old key: run the job to its end first"
    )]
    Unfinished {
        /// The run.
        run: RunId,
    },
    /// The key file was changed by hand, and the key before it is nowhere.
    #[error(
        "the key file holds another key ({now}) than the job's last run used ({before}): put the old key back first, then use --to FILE to change to the other one; if the old key is lost, give the job another name and load anew"
    )]
    ChangedByHand {
        /// Identifier of the key that the last run used.
        before: String,
        /// Identifier of the key in the file.
        now: String,
    },
    /// A key that made pseudonyms is not at hand.
    #[error(
        "runs of this job made pseudonyms with key {id} too: put that key into {}, or name its file with --old-key-file", .path.display()
    )]
    MissingKey {
        /// Identifier of the key.
        id: String,
        /// Where a rotation would have put it.
        path: PathBuf,
    },
    /// An expression stands where the pseudonym would.
    #[error(
        "transform.set overwrites column \"{column}\", so that no target holds its pseudonyms: use another column"
    )]
    Overwritten {
        /// Name of the column in the targets.
        column: String,
    },
    /// No target has the column.
    #[error(
        "no target of the job holds column \"{column}\", so that nobody can be found by it: use a column that is loaded"
    )]
    NotLoaded {
        /// Name of the column.
        column: String,
    },
    /// A target does not exist.
    #[error("table {table} does not exist: correct the job, or run it first")]
    NoTable {
        /// Name of the table.
        table: String,
    },
    /// The column of a target cannot hold pseudonyms.
    #[error("column \"{column}\" of {table} is {found}, which holds no pseudonym")]
    WrongType {
        /// Name of the table.
        table: String,
        /// Name of the column.
        column: String,
        /// Type in the table.
        found: String,
    },
    /// A target has rows of the person that cannot be told from others.
    #[error(
        "table {table} has no column \"{column}\" and no key that leads to it: add key = [...] to its [[target]], columns that {holder} has too"
    )]
    Unreachable {
        /// Name of the table.
        table: String,
        /// Name of the column that it lacks.
        column: String,
        /// A target that has the column.
        holder: String,
    },
}

/// The rule of a hashed column, and its domain.
fn hashed_column<'a>(
    columns: &'a [ColumnRule],
    name: &str,
) -> Result<(&'a ColumnRule, &'a str), PiiError> {
    let Some(rule) = columns.iter().find(|rule| rule.name == name) else {
        return Err(unknown_column(columns, name));
    };
    let reason = match &rule.pii {
        Some(Pii::Hash { domain, .. }) => return Ok((rule, domain.as_str())),
        Some(Pii::Salted { .. }) => {
            "is salted: every value has a salt of its own, so its pseudonyms cannot be looked up"
        }
        Some(Pii::Mask { .. }) => "is masked: many values have the same mask",
        Some(Pii::Drop) => "is dropped: nothing of it is loaded",
        Some(Pii::Public) => "is declared as not personal (pii = \"none\"): it is loaded as it is",
        None => "is not hashed: set pii = \"hash\" for columns of personal data",
    };
    Err(PiiError::NotHashed { column: name.to_owned(), reason })
}

fn unknown_column(columns: &[ColumnRule], name: &str) -> PiiError {
    let names = || columns.iter().map(|rule| rule.name.as_str());
    let hint = match nearest(name, names()) {
        Some(near) => format!(": did you mean \"{near}\"?"),
        None if columns.is_empty() => ": it has none".to_owned(),
        None => format!(": it has {}", names().collect::<Vec<_>>().join(", ")),
    };
    PiiError::UnknownColumn { column: name.to_owned(), hint }
}

/// A path with a further ending, such as `pii.key.new`.
fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

/// A session with a database that has a ledger of this version.
async fn connect_to_ledger(job: &Job) -> Result<PgConnection, ClientError> {
    let mut connection = database::connect(&job.database_url, APPLICATION_NAME).await?;
    if migrate::is_current(&mut connection).await? {
        Ok(connection)
    } else {
        Err(PiiError::NoLedger.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::OnFail;

    fn column(name: &str, pii: Option<Pii>) -> ColumnRule {
        ColumnRule {
            name: name.to_owned(),
            column_type: None,
            clean: Vec::new(),
            checks: Vec::new(),
            on_fail: OnFail::default(),
            pii,
        }
    }

    fn columns() -> Vec<ColumnRule> {
        let domain = || "person".to_owned();
        vec![
            column("email", Some(Pii::Hash { domain: domain(), form: None })),
            column("phone", Some(Pii::Salted { domain: domain(), form: None })),
            column("card", Some(Pii::Mask { keep_last: 4 })),
            column("note", Some(Pii::Drop)),
            column("country", None),
        ]
    }

    #[test]
    fn a_hashed_column_is_found_with_its_domain() {
        let columns = columns();
        let (rule, domain) = hashed_column(&columns, "email").expect("a hashed column");
        assert_eq!((rule.name.as_str(), domain), ("email", "person"));
    }

    #[test]
    fn other_columns_are_refused_with_the_reason() {
        let reasons = [
            ("phone", "salted"),
            ("card", "masked"),
            ("note", "dropped"),
            ("country", "not hashed"),
            ("emial", "did you mean \"email\"?"),
            ("zzz", "it has email, phone"),
        ];
        for (name, reason) in reasons {
            let error = hashed_column(&columns(), name).expect_err("no hashed column");
            assert!(error.to_string().contains(reason), "{error}");
        }
    }

    #[test]
    fn an_ending_is_added_and_replaces_none() {
        assert_eq!(with_ending(Path::new("a/pii.key"), "new"), Path::new("a/pii.key.new"));
    }
}
