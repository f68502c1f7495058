//! What happened: the tables of schema `ferry` in the destination database, and nothing else.
//!
//! A row of a target and the ledger's word on it are in one transaction, so
//! that after any stop the ledger alone says where to go on. Sessions must be
//! real ones: a pooler that hands a connection on after each transaction
//! breaks the advisory locks that tell living workers from dead ones.

pub(crate) mod accounts;
pub(crate) mod claims;
mod columns;
mod cuts;
pub(crate) mod erasures;
pub(crate) mod files;
pub(crate) mod history;
pub(crate) mod keys;
pub(crate) mod live;
pub(crate) mod migrate;
pub(crate) mod quarantine;
pub(crate) mod register;
pub(crate) mod runs;
pub(crate) mod splits;
pub(crate) mod times;
pub(crate) mod watermark;
pub(crate) mod workers;

use std::fmt;

use ferry::position::{Fingerprint, Position};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use crate::database::StatementError;

pub(crate) use columns::encode_columns;

/// First half of the advisory locks that ferry takes by name; "fery" in ASCII.
const LOCK_CLASS: i32 = 0x6665_7279;
/// Stands for NUL, which PostgreSQL cannot store in a text.
const REPLACEMENT: &str = "\u{FFFD}";

/// The ledger cannot be read or does not allow what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LedgerError {
    /// The database refused or is gone.
    #[error(transparent)]
    Database(StatementError),
    /// The tables are of a later version.
    #[error(
        "the ledger in schema ferry was made by a later ferry-client (its migration {version} is unknown here): install that version"
    )]
    Newer {
        /// First migration that is unknown here.
        version: i64,
    },
    /// The tables are not what the migrations made.
    #[error("the ledger in schema ferry cannot be brought up to date: {0}")]
    Migrate(String),
    /// Another worker has claimed the split since.
    #[error("split {split} was taken over by another worker: this one must leave it")]
    Fenced {
        /// The split.
        split: SplitId,
    },
    /// A commit that seemed to fail has taken place, or the reverse.
    #[error("split {split} stands at {found} in the ledger, not at {expected}: go on from there")]
    Moved {
        /// The split.
        split: SplitId,
        /// Position in the ledger.
        found: Position,
        /// Position that the worker held for true.
        expected: Position,
    },
    /// The run ended while this worker planned.
    #[error("run {run} has ended meanwhile: start again")]
    RunEnded {
        /// The run.
        run: RunId,
    },
    /// A worker elsewhere ended the run that this one takes part in.
    #[error("run {run} was ended by another worker: {message}")]
    EndedByOther {
        /// The run.
        run: RunId,
        /// Why, as a stable word.
        code: String,
        /// Why.
        message: String,
    },
    /// Another run of the job has begun or ended since this one was planned.
    #[error(
        "another run of this job has begun or ended while this one was planned, so that the plan is out of date: start again"
    )]
    PlanOutdated,
    /// The job loads other columns, or in another way, than its unfinished run.
    #[error(
        "run {run} of this job is not finished and began with other columns, types, modes, clean rules or PII settings: finish it with the old ones first, load the rest of it in a new run (--run new), or give the changed job another name"
    )]
    ColumnsChanged {
        /// The unfinished run.
        run: RunId,
    },
    /// The job checks or transforms otherwise than its unfinished run.
    #[error(
        "run {run} of this job is not finished and began with other checks or expressions: finish it with the old ones first, or let it go on with the new ones (--new-rules)"
    )]
    RulesChanged {
        /// The unfinished run.
        run: RunId,
    },
    /// A column that was pseudonymised would now be loaded as it is.
    #[error(
        "column \"{column}\" was hashed, masked or dropped by an earlier run of this job (the last is {run}) and now is not: treat it as personal data again, or give the changed job another name"
    )]
    NoLongerHashed {
        /// The job's last run.
        run: RunId,
        /// Name of the column.
        column: String,
    },
    /// The key file holds another key than before, and nobody rotated it.
    #[error(
        "the key file holds another key ({now}) than the job's last run used ({before}): put the old key back; to change it afterwards, run `ferry-client pii rotate`"
    )]
    KeyChanged {
        /// Key of the job's last run.
        before: String,
        /// Key in the file.
        now: String,
    },
    /// A run's unique values cannot be compared with new ones.
    #[error(
        "run {run} told personal values that must be unique apart under another key: its refused rows cannot be replayed under this one"
    )]
    ClaimsOfOtherKey {
        /// The run.
        run: RunId,
    },
    /// There are no tables yet, or older ones.
    #[error(
        "there is no ledger here, or one of an earlier version: `ferry-client migrate` makes it"
    )]
    NotCurrent,
    /// Rows of quarantine were settled by somebody else.
    #[error(
        "{rows} of these rows were replayed or discarded by another session meanwhile: nothing of this step was loaded, run the replay again"
    )]
    QuarantineMoved {
        /// Rows that are not open any more.
        rows: usize,
    },
    /// The job reads another dataset than its unfinished run.
    #[error(
        "run {run} of this job is not finished and reads dataset {before}, not {now}: finish it with the old one first, or give the changed job another name"
    )]
    DatasetChanged {
        /// The unfinished run.
        run: RunId,
        /// Dataset of the unfinished run.
        before: String,
        /// Dataset now.
        now: String,
    },
    /// The job was changed while one of its runs was not finished.
    #[error(
        "run {run} of this job is not finished and has {what} {before}, not {now}: finish it with the old setting first, load the rest of it in a new run (--run new), or give the changed job another name"
    )]
    JobChanged {
        /// The unfinished run.
        run: RunId,
        /// Setting that differs.
        what: &'static str,
        /// Its value in the unfinished run.
        before: String,
        /// Its value now.
        now: String,
    },
    /// A number that the ledger or the source cannot mean.
    #[error("{what} is {value}, outside of what the ledger can hold")]
    OutOfRange {
        /// What the number is.
        what: &'static str,
        /// The number.
        value: i128,
    },
    /// The ledger holds something that no ferry-client writes.
    #[error("the ledger holds an invalid {what}: it was changed by hand or by another program")]
    Invalid {
        /// What is invalid.
        what: &'static str,
    },
    /// The operating system gave no random number.
    #[error("the operating system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

impl From<sqlx::Error> for LedgerError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Identity of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RunId(pub(crate) i64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Identity of a file as a job knows it; one that is loaded from its start again gets another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FileId(pub(crate) i64);

/// Identity of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SplitId(pub(crate) i64);

impl fmt::Display for SplitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Number of times that a split was claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Epoch(pub(crate) i64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Makes the workers of a job wait for each other until the transaction ends.
///
/// For what only one of them may do at a time: open the run, register splits,
/// make the target table.
pub(crate) async fn lock_job(conn: &mut PgConnection, job: &str) -> Result<(), LedgerError> {
    sqlx::query("SELECT pg_advisory_xact_lock($1, hashtext($2))")
        .bind(LOCK_CLASS)
        .bind(job)
        .execute(conn)
        .await?;
    Ok(())
}

/// The text as PostgreSQL can hold it: without NUL.
fn without_nul(text: &str) -> String {
    text.replace('\0', REPLACEMENT)
}

/// A count or an offset as PostgreSQL stores it.
fn to_bigint(value: u64, what: &'static str) -> Result<i64, LedgerError> {
    i64::try_from(value).map_err(|_| LedgerError::OutOfRange { what, value: value.into() })
}

/// A count or an offset as it is stored in a column.
fn from_bigint(row: &PgRow, column: &'static str) -> Result<u64, LedgerError> {
    let value: i64 = row.try_get(column)?;
    u64::try_from(value).map_err(|_| LedgerError::OutOfRange { what: column, value: value.into() })
}

/// A position that is stored in two columns.
fn read_position(
    row: &PgRow,
    byte_column: &'static str,
    row_column: &'static str,
) -> Result<Position, LedgerError> {
    Ok(Position {
        byte_offset: from_bigint(row, byte_column)?,
        row_number: from_bigint(row, row_column)?,
    })
}

/// A fingerprint that is stored in the columns of that name.
fn read_fingerprint(row: &PgRow) -> Result<Fingerprint, LedgerError> {
    let content_hash: &[u8] = row.try_get("fingerprint_hash")?;
    let invalid = |_| LedgerError::Invalid { what: "fingerprint_hash" };
    Ok(Fingerprint {
        size_bytes: from_bigint(row, "fingerprint_bytes")?,
        content_hash: content_hash.try_into().map_err(invalid)?,
        modified_unix_nanos: row.try_get("modified_unix_nanos")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_too_great_for_the_ledger_is_refused() {
        assert_eq!(to_bigint(7, "offset").ok(), Some(7));
        let error = to_bigint(u64::MAX, "offset").expect_err("it does not fit");
        assert_eq!(
            error.to_string(),
            "offset is 18446744073709551615, outside of what the ledger can hold"
        );
    }

    #[test]
    fn a_position_that_moved_is_told() {
        let error = LedgerError::Moved {
            split: SplitId(3),
            found: Position { byte_offset: 90, row_number: 8 },
            expected: Position { byte_offset: 40, row_number: 4 },
        };
        assert_eq!(
            error.to_string(),
            "split 3 stands at byte 90, row 8 in the ledger, not at byte 40, row 4: go on from there"
        );
    }
}
