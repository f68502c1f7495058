//! Every way in which the program ends badly, each with its exit code.

mod trouble;
mod unreadable;

use crate::cache::CacheError;
use crate::check::{CheckError, CheckFailure};
use crate::clean::CleanError;
use crate::columns::ColumnError;
use crate::database::{DatabaseError, StatementError};
use crate::demo::DemoError;
use crate::job::JobError;
use crate::key::KeyError;
use crate::ledger::{LedgerError, RunId};
use crate::load::catalogue::CatalogueError;
use crate::load::commit::{CopyError, LoadError};
use crate::load::replace::ReplaceError;
use crate::pii::PiiError;
use crate::pipeline::PipelineError;
use crate::receive::SourceError;
use crate::serve::ServeError;

pub(crate) use trouble::Trouble;
pub(crate) use unreadable::{RunLeft, UnreadableFiles};

/// Exit codes, as `docs/exit-codes.md` lists them.
mod exit {
    pub(super) const UNEXPECTED: u8 = 1;
    pub(super) const USAGE: u8 = 2;
    pub(super) const SOURCE_UNREACHABLE: u8 = 3;
    pub(super) const DATABASE_UNREACHABLE: u8 = 4;
    pub(super) const REJECTS_OVER_LIMIT: u8 = 5;
    pub(super) const ACCOUNTS_OPEN: u8 = 6;
    pub(super) const SOURCE_REFUSED: u8 = 7;
    pub(super) const DATABASE_REFUSED: u8 = 8;
    pub(super) const INTERRUPTED: u8 = 130;
}

/// Why the program failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ClientError {
    /// The job is not usable.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The cache cannot be used as it is configured.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The key of the pseudonyms is not usable.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A cleaning rule cannot be used.
    #[error(transparent)]
    Clean(#[from] CleanError),
    /// A check cannot be used.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// A check ends the run.
    #[error(transparent)]
    CheckFailure(#[from] CheckFailure),
    /// A verb on personal data failed.
    #[error(transparent)]
    Pii(#[from] PiiError),
    /// The columns of source, job and target do not fit together.
    #[error(transparent)]
    Column(#[from] ColumnError),
    /// The source failed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// No connection to the database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The target cannot be written.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A statement failed.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// A split could not be loaded.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// A file that was loaded has changed.
    #[error(
        "{files} was rewritten since it was loaded, so its positions mean nothing now: put the old content back, or give the new content a new name"
    )]
    Rewritten {
        /// Names of the files.
        files: String,
    },
    /// Files could not be read, or not to their end.
    #[error("{0}")]
    FilesUnreadable(UnreadableFiles),
    /// The target vanished after rows were loaded into it.
    #[error(
        "table {table} does not exist, and rows that this job has loaded before would be missing in a new one: use another job name (--name) to load all again, or make the table yourself"
    )]
    TargetGone {
        /// Name of the table.
        table: String,
    },
    /// A table cannot be replaced.
    #[error(transparent)]
    Replace(#[from] ReplaceError),
    /// More rows were refused than the job allows.
    #[error(
        "{quarantined} {scope} were refused, more than load.max_rejects = {limit} allows: `ferry-client quarantine list` shows why"
    )]
    RejectsOverLimit {
        /// Rows in quarantine.
        quarantined: u64,
        /// Of which rows, in words.
        scope: String,
        /// The limit as configured.
        limit: String,
    },
    /// Rows of a finished run are unaccounted for.
    #[error(
        "accounts of {file} do not close: the source has {expected} records, the ledger accounts for {accounted}"
    )]
    AccountsOpen {
        /// Name of the file.
        file: String,
        /// Records of the source.
        expected: u64,
        /// Loaded, quarantined and filtered rows.
        accounted: u64,
    },
    /// A command that would concern every row must say so.
    #[error("no row is named: give --ids, a filter such as --code, or --all")]
    NothingSelected,
    /// There is no such row.
    #[error("no row {id} in quarantine: `ferry-client quarantine list` shows them")]
    NotInQuarantine {
        /// Number that was asked for.
        id: i64,
    },
    /// There is no such run.
    #[error("no run {id}: `ferry-client runs` lists them")]
    NoRun {
        /// Number that was asked for.
        id: i64,
    },
    /// An export would overwrite a file.
    #[error("{path} exists: give another name, or --force")]
    ExportExists {
        /// The file.
        path: String,
    },
    /// An export cannot be written.
    #[error("cannot write {path}: {source}")]
    Export {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Nobody knows yet whether rows were replayed.
    #[error(
        "the connection was lost during COMMIT: of {rows} rows that it settles, {open} are still open; run the replay again, it takes up what is open"
    )]
    ReplayCommitLost {
        /// Rows of the transaction.
        rows: usize,
        /// How many of them are not settled.
        open: usize,
    },
    /// Rows of a run that is yet to replace a table.
    #[error(
        "run {run} is not finished, and what it has loaded takes the place of the table then, without rows that are replayed now: finish the run first"
    )]
    ReplayBeforeReplace {
        /// The unfinished run.
        run: RunId,
    },
    /// A signal stopped the run.
    #[error("stopped before the end: run the job again to continue where it stopped")]
    Interrupted,
    /// Nothing can be served.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The demo failed.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// The work is done, but what was to be told of it is not.
    #[error("cannot write the answer to standard output: {0}")]
    Output(&'static std::io::Error),
    /// The operating system refused something that always works.
    #[error("cannot start: {0}")]
    Start(#[from] std::io::Error),
}

impl From<sqlx::Error> for ClientError {
    fn from(error: sqlx::Error) -> Self {
        Self::Statement(error.into())
    }
}

impl ClientError {
    /// Code that the process ends with.
    pub(crate) fn exit_code(&self) -> u8 {
        self.class().1
    }

    /// Stable word for the ledger and for `--json`.
    pub(crate) fn code(&self) -> &'static str {
        self.class().0
    }

    fn class(&self) -> (&'static str, u8) {
        match self {
            Self::Job(_)
            | Self::Cache(_)
            | Self::Key(_)
            | Self::Clean(_)
            | Self::Check(_)
            | Self::Database(DatabaseError::InvalidUrl)
            | Self::NothingSelected
            | Self::NotInQuarantine { .. }
            | Self::NoRun { .. }
            | Self::ReplayBeforeReplace { .. }
            | Self::ExportExists { .. } => ("configuration", exit::USAGE),
            Self::CheckFailure(error) => check_class(error),
            Self::Pii(error) => pii_class(error),
            Self::Column(error) => column_class(error),
            Self::Source(error) => source_class(error),
            Self::Database(DatabaseError::TooOld { .. }) => {
                ("database_refused", exit::DATABASE_REFUSED)
            }
            Self::Database(_) | Self::ReplayCommitLost { .. } => {
                ("database_unreachable", exit::DATABASE_UNREACHABLE)
            }
            Self::Catalogue(CatalogueError::Database(error)) | Self::Statement(error) => {
                database_class(error)
            }
            Self::Serve(error) if error.is_of_settings() => ("configuration", exit::USAGE),
            Self::TargetGone { .. } => ("target_gone", exit::DATABASE_REFUSED),
            Self::Catalogue(_) => ("database_refused", exit::DATABASE_REFUSED),
            Self::Replace(ReplaceError::Database(error)) => database_class(error),
            Self::Replace(_) => ("replace_refused", exit::DATABASE_REFUSED),
            Self::Ledger(error) => ledger_class(error),
            Self::Pipeline(error) => pipeline_class(error),
            Self::Rewritten { .. } => ("file_rewritten", exit::SOURCE_REFUSED),
            Self::FilesUnreadable(_) => ("files_unreadable", exit::SOURCE_REFUSED),
            Self::RejectsOverLimit { .. } => ("rejects_over_limit", exit::REJECTS_OVER_LIMIT),
            Self::AccountsOpen { .. } => ("accounts_open", exit::ACCOUNTS_OPEN),
            Self::Interrupted | Self::Demo(DemoError::Interrupted) => {
                ("interrupted", exit::INTERRUPTED)
            }
            Self::Export { .. }
            | Self::Serve(_)
            | Self::Demo(_)
            | Self::Output(_)
            | Self::Start(_) => ("unexpected", exit::UNEXPECTED),
        }
    }
}

fn check_class(error: &CheckFailure) -> (&'static str, u8) {
    match error {
        CheckFailure::Refused { .. } => ("check_failed", exit::REJECTS_OVER_LIMIT),
        CheckFailure::UniqueMemory { .. } => ("configuration", exit::USAGE),
        CheckFailure::Arrow(_) => ("protocol", exit::UNEXPECTED),
    }
}

fn pii_class(error: &PiiError) -> (&'static str, u8) {
    match error {
        PiiError::Unwritable { .. } | PiiError::Input(_) => ("unexpected", exit::UNEXPECTED),
        PiiError::NoLedger | PiiError::NoTable { .. } | PiiError::WrongType { .. } => {
            ("database_refused", exit::DATABASE_REFUSED)
        }
        _ => ("configuration", exit::USAGE),
    }
}

fn copy_class(error: &CopyError) -> (&'static str, u8) {
    match error {
        CopyError::Database { error, .. } => database_class(error),
        CopyError::Unaccounted { .. } => ("accounts_open", exit::ACCOUNTS_OPEN),
    }
}

fn column_class(error: &ColumnError) -> (&'static str, u8) {
    match error {
        ColumnError::NotInDataset { .. } => ("column_not_found", exit::SOURCE_REFUSED),
        ColumnError::EmptyDataset(_) | ColumnError::HeaderLooksLikeData(_) => {
            ("source_refused", exit::SOURCE_REFUSED)
        }
        ColumnError::NotLoaded(_)
        | ColumnError::Unknown { .. }
        | ColumnError::Clash { .. }
        | ColumnError::DerivedAsItIs(_)
        | ColumnError::NoColumnType(_)
        | ColumnError::NoColumns(_)
        | ColumnError::NoKey(_)
        | ColumnError::Expression(_) => ("configuration", exit::USAGE),
        ColumnError::Drifted { .. } | ColumnError::FilesWithoutHeader { .. } => {
            ("drift", exit::SOURCE_REFUSED)
        }
        ColumnError::AppearedUndeclared { .. } | ColumnError::CannotAdd { .. } => {
            ("configuration", exit::USAGE)
        }
        ColumnError::MissingGrant { .. } => ("database_refused", exit::DATABASE_REFUSED),
        _ => ("target_does_not_fit", exit::DATABASE_REFUSED),
    }
}

fn source_class(error: &SourceError) -> (&'static str, u8) {
    match error {
        SourceError::Unreachable { .. }
        | SourceError::Unanswered(_)
        | SourceError::Lost(_)
        | SourceError::Interrupted => ("source_unreachable", exit::SOURCE_UNREACHABLE),
        SourceError::Refused { .. } => ("source_refused", exit::SOURCE_REFUSED),
        SourceError::Settings(_) => ("configuration", exit::USAGE),
        SourceError::Protocol(_) => ("protocol", exit::UNEXPECTED),
        SourceError::Gap { .. } | SourceError::Unaccounted { .. } => {
            ("accounts_open", exit::ACCOUNTS_OPEN)
        }
    }
}

fn database_class(error: &StatementError) -> (&'static str, u8) {
    if error.is_connection_lost() {
        ("database_unreachable", exit::DATABASE_UNREACHABLE)
    } else {
        ("database_refused", exit::DATABASE_REFUSED)
    }
}

fn ledger_class(error: &LedgerError) -> (&'static str, u8) {
    match error {
        LedgerError::Database(error) => database_class(error),
        LedgerError::JobChanged { .. }
        | LedgerError::ColumnsChanged { .. }
        | LedgerError::KeyChanged { .. }
        | LedgerError::DatasetChanged { .. }
        | LedgerError::RulesChanged { .. }
        | LedgerError::ClaimsOfOtherKey { .. }
        | LedgerError::NoLongerHashed { .. } => ("configuration", exit::USAGE),
        LedgerError::EndedByOther { .. } => ("ended_by_other", exit::DATABASE_REFUSED),
        _ => ("ledger", exit::DATABASE_REFUSED),
    }
}

fn pipeline_class(error: &PipelineError) -> (&'static str, u8) {
    match error {
        PipelineError::Source(error) => source_class(error),
        PipelineError::Load(LoadError::Database { error, .. }) => database_class(error),
        PipelineError::Load(LoadError::Ledger(error)) => ledger_class(error),
        PipelineError::Load(LoadError::Copy { error, .. }) | PipelineError::Copy(error) => {
            copy_class(error)
        }
        PipelineError::Load(LoadError::TableChanged { .. }) => {
            ("target_changed", exit::DATABASE_REFUSED)
        }
        PipelineError::Load(LoadError::NoTable) => ("configuration", exit::USAGE),
        PipelineError::Check(error) => check_class(error),
        PipelineError::Encode(_) | PipelineError::Arrow(_) => ("protocol", exit::UNEXPECTED),
        PipelineError::Broken(_) => ("unexpected", exit::UNEXPECTED),
    }
}
